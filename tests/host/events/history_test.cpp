// What is kept of the events and of the log.
#include "events/history.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "control/record_stream.hpp"
#include "events/event_log.hpp"
#include "events/log.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"

using namespace taskhost;

namespace {

void put(History& history, std::uint64_t sequence) { history.put({.sequence = sequence}); }

std::vector<std::uint64_t> numbers(const History& history, std::uint64_t after, std::size_t most = 100) {
  std::vector<std::uint64_t> found;
  const History::Reading reading = history.after(after, most);
  for (const History::Record& record : reading.records) found.push_back(record->sequence);
  return found;
}

std::vector<nlohmann::json> kept(const History& history) {
  std::vector<nlohmann::json> found;
  const History::Reading reading = history.after(0, 100'000);
  for (const History::Record& record : reading.records) {
    found.push_back(nlohmann::json::parse(record->json));
    CHECK(found.back()["seq"] == record->sequence);
  }
  return found;
}

}  // namespace

TEST_CASE("a history keeps the last records, and finds those after a number") {
  History history(3);
  CHECK(history.last() == 0);
  CHECK(numbers(history, 0).empty());
  for (const std::uint64_t sequence : {1, 2, 4, 5}) put(history, sequence);
  CHECK(history.last() == 5);
  CHECK(numbers(history, 0) == std::vector<std::uint64_t>{2, 4, 5});
  CHECK(numbers(history, 3) == std::vector<std::uint64_t>{4, 5});
  CHECK(numbers(history, 0, 2) == std::vector<std::uint64_t>{2, 4});
  CHECK(numbers(history, 5).empty());
  history.set_capacity(1);
  CHECK(numbers(history, 0) == std::vector<std::uint64_t>{5});
}

TEST_CASE("a record outlives its place, for those who still read it") {
  History history(1);
  history.put({.sequence = 1, .json = "{}"});
  const std::vector<History::Record> read = history.after(0, 1).records;
  put(history, 2);
  CHECK(read.at(0)->json == "{}");
}

TEST_CASE("a record for which there was no memory counts as one that was there, so that its reader goes on") {
  History history(10);
  put(history, 1);
  HistoryRecord record{.sequence = 2};
  allocations_until_failure = 0;
  history.put(std::move(record));
  allocations_until_failure = -1;
  const History::Reading reading = history.after(1, 10);
  CHECK(reading.records.empty());
  CHECK(reading.last == 2);
  RecordStream stream({.history = history, .is_log = true, .instance = "me", .now_us = 0}, {.since = 1},
                      RecordFormat::json_lines, "");
  CHECK(stream.has_more());
  CHECK(stream.next(1000) == "{\"seq\":2,\"lost\":1}\n");
  CHECK_FALSE(stream.has_more());
  put(history, 3);
  CHECK(numbers(history, 0) == std::vector<std::uint64_t>{1, 3});
}

TEST_CASE("the bell rings once for the next record, and not at all once it is taken away") {
  History history(10);
  const int bell = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const auto rang = [bell] {
    std::uint64_t count = 0;
    return ::read(bell, &count, sizeof count) == static_cast<ssize_t>(sizeof count) ? count : 0;
  };
  put(history, 1);
  history.ring(bell);
  CHECK(rang() == 0);
  put(history, 2);
  put(history, 3);
  CHECK(rang() == 1);
  put(history, 4);
  CHECK(rang() == 0);
  history.ring(bell);
  history.ring({});
  put(history, 5);
  CHECK(rang() == 0);
  ::close(bell);
}

TEST_CASE("the log keeps what it shows, whole, numbered, and with its task") {
  History history(100);
  Log log(
      LogLevel::info, LogFormat::text, [](LogLevel, std::string_view) {}, &history);
  log.write(LogLevel::debug, nullptr, "below the level");
  log.write(LogLevel::warning, "feed", "two\nlines with \"quotes\" and \x1b[31m");
  log.write(LogLevel::info, nullptr, "of the host");
  const auto lines = kept(history);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0]["level"] == "warning");
  CHECK(lines[0]["task"] == "feed");
  CHECK(lines[0]["message"] == "two\nlines with \"quotes\" and \x1b[31m");
  CHECK_FALSE(lines[1].contains("task"));
  CHECK(history.after(0, 1).records.at(0)->task == "feed");
  CHECK(history.after(0, 1).records.at(0)->level == LogLevel::warning);
}

TEST_CASE("a log whose reader does not read still keeps its lines") {
  History history(20'000);
  std::promise<void> go;
  Log log(
      LogLevel::info, LogFormat::text,
      [released = go.get_future().share()](LogLevel, std::string_view) { released.wait(); }, &history);
  for (int i = 0; i < 10'000; ++i) log.write(LogLevel::info, nullptr, "a line");
  CHECK(log.lines_lost() != 0);
  CHECK(kept(history).size() == 10'000);
  go.set_value();
}

TEST_CASE("events are kept without any subscriber, and storms as sums unless somebody follows") {
  History history(100);
  Log log(LogLevel::info, LogFormat::text, [](LogLevel, std::string_view) {});
  EventLog events(log);
  events.keep(history);
  CHECK_FALSE(events.has_subscribers());
  events.open();
  const auto exited = [&events] {
    Event event;
    event.kind = EventKind::task_exited;
    event.task = "pump";
    events.publish(std::move(event));
  };
  const auto storm = [&events](std::uint64_t exits) {
    LogSummary sum;
    sum.exits = exits;
    sum.last_task = "pump";
    sum.starts = 2;
    sum.milliseconds = 1;
    events.summarize(sum);
  };
  exited();
  storm(7);
  events.set_complete(true);
  exited();
  // Of a time in which it was followed from the beginning.
  LogSummary within;
  within.exits = 8;
  within.last_task = "pump";
  events.summarize(within);
  events.set_complete(false);
  storm(9);
  CHECK(events.close());
  const auto records = kept(history);
  REQUIRE(records.size() == 4);
  CHECK(records[0]["event"] == "task_exited");
  CHECK(records[0]["task"] == "pump");
  CHECK(history.after(0, 1).records.at(0)->task == "pump");
  CHECK(records[1]["event"] == "events_summed");
  CHECK(records[1]["exits"] == 7);
  CHECK(records[1]["starts"] == 2);
  CHECK(records[2]["event"] == "task_exited");
  CHECK(records[3]["exits"] == 9);
  CHECK(events.totals().published == 4);
  CHECK(events.totals().lost == 0);
}

TEST_CASE("keeping events never makes the host wait: what does not fit is lost and counted") {
  History history(100);
  Log log(LogLevel::info, LogFormat::text, [](LogLevel, std::string_view) {});
  EventLog events(log, {.queue = 16, .patience = std::chrono::hours(1)});
  events.keep(history);
  events.open();
  constexpr std::uint64_t many = 20'000;
  for (std::uint64_t i = 0; i < many; ++i) {
    Event event;
    event.kind = EventKind::task_exited;
    event.for_log = false;
    event.task = "pump";
    events.publish(std::move(event));  // would wait for an hour
  }
  Event stopped;
  stopped.kind = EventKind::host_stopped;
  events.publish(std::move(stopped));
  CHECK(events.close());
  CHECK(kept(history).back()["event"] == "host_stopped");
  CHECK(events.totals().published == many + 1);
}
