// A million restarts while somebody listens to every event.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

// For a stream too long to be stored: counts, and the first gap. Lines are recognised by what the host writes in each.
struct Census {
  std::uint64_t lines = 0;
  std::uint64_t started = 0;
  std::uint64_t exited = 0;
  std::uint64_t restarting = 0;
  std::uint64_t lost = 0;  // events, as events_lost reports
  std::string first_fault;
  std::string last;

  void take(const std::string& line) {
    ++lines;
    const auto number_of = [&line](const char* key) -> std::uint64_t {
      const std::size_t at = line.find(key);
      return at == std::string::npos ? 0 : std::strtoull(line.c_str() + at + std::string_view(key).size(), nullptr, 10);
    };
    if (number_of("\"seq\":") != lines && first_fault.empty()) {
      first_fault = "line " + std::to_string(lines) + ": " + line;
    }
    constexpr std::string_view key = "\"event\":\"";
    const std::size_t at = line.find(key);
    const std::string_view rest =
        at == std::string::npos ? std::string_view() : std::string_view(line).substr(at + key.size());
    const std::string_view event = rest.substr(0, rest.find('"'));
    if (event == "task_started") {
      if (number_of("\"execution\":") != ++started && lost == 0 && first_fault.empty()) {
        first_fault = "start " + std::to_string(started) + ": " + line;
      }
    } else if (event == "task_exited") {
      ++exited;
    } else if (event == "task_restarting") {
      ++restarting;
    } else if (event == "events_lost") {
      lost += number_of("\"count\":");
    }
    last = line;
  }
};

// Reads the pipe's lines until the program has ended and everything is read.
Census read_all(int pipe, Process& program) {
  Census census;
  std::string line;
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    static char buffer[1 << 16];
    const bool over = !program.running();
    const ssize_t size = ::read(pipe, buffer, sizeof buffer);
    if (size <= 0) {
      if (over || std::chrono::steady_clock::now() > deadline) {
        return census;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    for (std::string_view bytes(buffer, static_cast<std::size_t>(size)); !bytes.empty();) {
      const std::size_t end = bytes.find('\n');
      line += bytes.substr(0, end);
      if (end == std::string_view::npos) {
        break;
      }
      census.take(line);
      line.clear();
      bytes.remove_prefix(end + 1);
    }
  }
}

}  // namespace

TEST_CASE("of a million restarts each one is told to whoever listens, and the log is a summary") {
  constexpr unsigned restarts = sanitized ? 100'000 : 1'000'000;
  Scene scene;
  scene.add(task("storm", "probe", "detachable", probe_that_ends("error"), restarts));
  REQUIRE(::mkfifo(scene.events_path().c_str(), 0600) == 0);
  const int pipe = ::open(scene.events_path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(pipe >= 0);
  Process program(scene.command());
  const Census census = read_all(pipe, program);
  ::close(pipe);
  const ProcessEnd end = program.wait();
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(census.first_fault == "");
  CHECK(census.last.find("\"event\":\"host_stopped\"") != std::string::npos);
  const std::uint64_t told = census.started + census.exited + census.restarting + census.lost;
  CHECK(told >= 3 * std::uint64_t{restarts} + 2);
  if (census.lost == 0) {
    CHECK(census.started == restarts + 1);
    CHECK(census.exited == restarts + 1);
    CHECK(census.restarting == restarts);
  }
  CHECK(count_lines(end.err) < 200);
  CHECK(has_line(end.err, {"storm"}));
}
