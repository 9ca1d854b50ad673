// The log's output: what is lost if a reader does not read, and that this is reported.
#include "events/log.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/pipe.hpp"
#include "system/last_words.hpp"

using namespace taskhost;
using taskhost::test::Pipe;

namespace {

// A reader that takes its first line only when it is allowed to, and then everything.
struct Reader {
  std::promise<void> has_one;
  std::promise<void> may_go_on;
  std::vector<std::string> lines;

  Log::Receiver receiver() {
    return [this](LogLevel, std::string_view line) {
      if (lines.empty()) {
        has_one.set_value();
        may_go_on.get_future().wait();
      }
      lines.emplace_back(line);
    };
  }
};

std::string number(int line) { return "line " + std::to_string(line); }

}  // namespace

TEST_CASE("behind a reader that stops, the oldest lines go, and a line in their place says how many") {
  constexpr int kept = 8192;
  constexpr int too_many = 100;
  Reader reader;
  const LogFormat format = GENERATE(LogFormat::text, LogFormat::json);
  {
    Log log(LogLevel::info, format, reader.receiver());
    log.write(LogLevel::info, nullptr, "first");
    reader.has_one.get_future().wait();
    for (int i = 0; i < kept + too_many; ++i) log.write(LogLevel::info, nullptr, number(i));
    reader.may_go_on.set_value();
    CHECK(log.flush());
  }
  REQUIRE(reader.lines.size() == 2 + kept);
  CHECK(reader.lines[1].find("100 lines were dropped here") != std::string::npos);
  if (format == LogFormat::json) CHECK(reader.lines[1].starts_with("{\"time\":"));
  for (int i = 0; i < kept; ++i) {
    CAPTURE(i);
    REQUIRE(reader.lines[static_cast<std::size_t>(2 + i)].find(number(i + too_many)) != std::string::npos);
  }
}

TEST_CASE("a line that could not be written is counted in a line of its own, though none follows") {
  std::vector<std::string> lines;
  {
    Log log(LogLevel::info, LogFormat::text, [&lines](LogLevel, std::string_view line) {
      if (line == "refused") throw std::bad_alloc();
      lines.emplace_back(line);
    });
    log.write(LogLevel::info, nullptr, "refused");
    log.flush();
  }
  REQUIRE(lines.size() == 1);
  CHECK(lines.front().starts_with("1 line was dropped here"));
}

TEST_CASE("lines that there is no memory for are counted, and the log needs none to say so") {
  const LogFormat format = GENERATE(LogFormat::text, LogFormat::json);
  std::promise<void> has_one;
  std::promise<void> may_go_on;
  std::future<void> go_on = may_go_on.get_future();
  int lines = 0;
  int told = 0;
  {
    Log log(LogLevel::info, format, [&](LogLevel, std::string_view line) {
      if (++lines == 1) {
        has_one.set_value();
        go_on.wait();
      }
      if (line.find("2 lines were dropped here") != std::string_view::npos) ++told;
    });
    log.write(LogLevel::info, nullptr, "first");
    has_one.get_future().wait();
    allocations_until_failure = 0;
    log.write(LogLevel::info, nullptr, "a line that is too long to be kept without any memory of its own");
    log.write(LogLevel::info, nullptr, "another line that is too long to be kept without any memory");
    may_go_on.set_value();
    log.flush();
    allocations_until_failure = -1;
  }
  CHECK(lines == 2);
  CHECK(told == 1);
}

TEST_CASE("a receiver that refuses every line is not asked for ever") {
  std::atomic<int> calls = 0;
  {
    Log log(LogLevel::info, LogFormat::text, [&calls](LogLevel, std::string_view) {
      ++calls;
      throw std::bad_alloc();
    });
    log.write(LogLevel::info, nullptr, "refused");
    log.flush();
  }
  CHECK(calls == 2);  // the line, and a report that one is missing
}

TEST_CASE("a forked child's line goes to stderr at once, marked with its id") {
  Pipe err;
  Log log(LogLevel::info, LogFormat::text, [](LogLevel, std::string_view) {});
  log.flush();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(err.write_end(), own_stderr());
    log.write(LogLevel::debug, "task", "below the level");
    log.write(LogLevel::warning, "task", "first\nsecond");
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(err.read_some(1000) ==
        "taskhost: child process " + std::to_string(child) + " of task 'task': warning: first\\u000asecond\n");
}

TEST_CASE("lines below the level take no room") {
  Reader reader;
  {
    Log log(LogLevel::warning, LogFormat::text, reader.receiver());
    log.write(LogLevel::warning, nullptr, "first");
    reader.has_one.get_future().wait();
    for (int i = 0; i < 20'000; ++i) log.write(LogLevel::info, nullptr, number(i));
    log.write(LogLevel::error, "task", "last");
    reader.may_go_on.set_value();
    CHECK(log.flush());
  }
  CHECK(reader.lines == std::vector<std::string>{"first", "[task] last"});
}

TEST_CASE("what was logged is out when a handler has waited for it") {
  std::atomic<int> lines{0};
  Log log(LogLevel::info, LogFormat::text, [&](LogLevel, std::string_view) { ++lines; });
  for (int i = 0; i < 1000; ++i) log.write(LogLevel::info, nullptr, number(i));
  CHECK(log.flush_in_handler());
  CHECK(lines == 1000);
}

TEST_CASE("after close the receiver is called no more") {
  int lines = 0;
  Log log(LogLevel::info, LogFormat::text, [&](LogLevel, std::string_view) { ++lines; });
  log.write(LogLevel::info, nullptr, "one");
  log.flush();
  log.close();
  log.write(LogLevel::info, nullptr, "two");
  log.flush();
  CHECK(lines == 1);
}

TEST_CASE("close waits for the receiver's call that is going on, and none comes after it") {
  std::promise<void> has_one;
  std::promise<void> may_return;
  std::atomic<bool> is_in_a_call{false};
  std::atomic<bool> is_closed{false};
  std::atomic<bool> called_late{false};
  {
    Log log(LogLevel::info, LogFormat::text, [&, is_first = true](LogLevel, std::string_view) mutable {
      is_in_a_call = true;
      if (is_closed) called_late = true;
      if (std::exchange(is_first, false)) {
        has_one.set_value();
        may_return.get_future().wait();
      }
      is_in_a_call = false;
    });
    for (int i = 0; i < 200; ++i) log.write(LogLevel::info, nullptr, number(i));
    has_one.get_future().wait();
    std::future<void> closing = std::async(std::launch::async, [&] {
      log.close();
      is_closed = true;
      CHECK_FALSE(is_in_a_call);
    });
    may_return.set_value();
    closing.wait();
  }
  CHECK_FALSE(called_late);
}

namespace {

std::vector<std::string> lines_of(LogFormat format, const char* task, std::string_view text) {
  std::vector<std::string> lines;
  Log log(LogLevel::info, format, [&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  log.write(LogLevel::info, task, text);
  log.flush();
  return lines;
}

}  // namespace

TEST_CASE("each line of a message is a line of its task, and all but the first are marked") {
  CHECK(lines_of(LogFormat::text, "snake", "Traceback:\n  File \"x\"\n\nKeyError: 7\n") ==
        std::vector<std::string>{"[snake] Traceback:", "[snake]   |   File \"x\"", "[snake]   | ",
                                 "[snake]   | KeyError: 7"});
  CHECK(lines_of(LogFormat::text, nullptr, "stopping\n[other] forged\r\x1b") ==
        std::vector<std::string>{"stopping", "  | [other] forged\\u000d\\u001b"});
  CHECK(lines_of(LogFormat::text, "empty", "\n").size() == 1);
  CHECK(lines_of(LogFormat::json, "snake", "one\ntwo").size() == 1);
}

TEST_CASE("of a message of very many lines the first and the last are shown, and the others counted") {
  std::string text;
  for (int i = 1; i <= 1000; ++i) text += std::to_string(i) + '\n';
  const std::vector<std::string> lines = lines_of(LogFormat::text, "t", text);
  REQUIRE(lines.size() == 41);
  CHECK(lines[29] == "[t]   | 30");
  CHECK(lines[30] == "[t]   | … 960 more lines");
  CHECK(lines[31] == "[t]   | 991");
  CHECK(lines[40] == "[t]   | 1000");
}

TEST_CASE("a message that is too long is cut, in one line or in many") {
  for (const std::size_t width : {10'000, 100}) {
    std::string text;
    while (text.size() < 10'000) text += std::string(width, 'x') + '\n';
    std::size_t bytes = 0;
    const std::vector<std::string> lines = lines_of(LogFormat::text, "t", text);
    for (const std::string& line : lines) bytes += static_cast<std::size_t>(std::count(line.begin(), line.end(), 'x'));
    CHECK(bytes <= 4608);
    CHECK(lines.back().ends_with("…"));
  }
}
