// How events are written for readers of all kinds, and at the end.
#include "events/event_log.hpp"

#include <chrono>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "events/event_json.hpp"
#include "support/catch.hpp"

using namespace taskhost;
using Json = nlohmann::json;
using std::chrono::hours;
using std::chrono::milliseconds;

namespace {

struct Scene {
  std::promise<std::string> first_line;
  bool has_one = false;
  Log log{LogLevel::info, LogFormat::text, [this](LogLevel, std::string_view line) {
            if (!std::exchange(has_one, true)) first_line.set_value(std::string(line));
          }};
  std::vector<Json> events;
};

void publish(EventLog& events, EventKind kind) {
  Event event;
  event.kind = kind;
  event.for_log = false;
  event.task = kind == EventKind::task_exited ? "pump" : nullptr;
  events.publish(std::move(event));
}

// For readers that do not return in time: their thread may still be reading for a moment after the test.
EventLog& left_behind(Log& log, const EventLog::Limits& limits) {
  static auto& kept = *new std::vector<std::unique_ptr<EventLog>>;
  return *kept.emplace_back(std::make_unique<EventLog>(log, limits));
}

std::uint64_t lost(const Json& event) {
  return event["event"] == "events_lost" ? event["count"].get<std::uint64_t>() : 0;
}

}  // namespace

TEST_CASE("events get out in order, numbered, and the last of a batch says so") {
  Scene scene;
  std::vector<bool> more;
  EventLog events(scene.log, {.close = std::chrono::minutes(1)});  // a slow machine is not a stuck reader
  events.subscribe([&](const EventLog::Record& record) {
    scene.events.push_back(Json::parse(record.json));
    more.push_back(record.more);
  });
  events.open();
  for (int i = 0; i < 5000; ++i) publish(events, EventKind::task_exited);
  publish(events, EventKind::host_stopped);
  CHECK(events.close());
  REQUIRE(scene.events.size() == 5001);
  for (std::size_t i = 0; i < scene.events.size(); ++i) REQUIRE(scene.events[i]["seq"] == i + 1);
  CHECK_FALSE(more.back());
}

TEST_CASE("times are right before 1970 too, where a board without a clock may be") {
  std::string text;
  append_time(text, -1);
  append_time(text, -86'400'000'000);
  append_time(text, 1'000'001);
  CHECK(text == "1969-12-31T23:59:59.999999Z1969-12-31T00:00:00.000000Z1970-01-01T00:00:01.000001Z");
}

TEST_CASE("what a slow reader has not taken when the time is over is counted, and the end is told") {
  Scene scene;
  EventLog events(scene.log, {.patience = hours(1), .close = milliseconds(0)});
  std::promise<void> has_three;
  std::shared_future<std::string> warning = scene.first_line.get_future().share();
  events.subscribe([&](const EventLog::Record& record) {
    scene.events.push_back(Json::parse(record.json));
    if (record.sequence != 3) return;
    has_three.set_value();
    warning.wait();
  });
  events.open();
  for (int i = 0; i < 3000; ++i) publish(events, EventKind::task_exited);
  publish(events, EventKind::host_stopping);
  publish(events, EventKind::host_stopped);
  has_three.get_future().wait();
  CHECK(events.close());
  CHECK(warning.get().find("too slow") != std::string::npos);
  REQUIRE(scene.events.size() == 5);
  CHECK(lost(scene.events[3]) == 2998);
  CHECK(scene.events[4]["event"] == "host_stopped");
  CHECK(scene.events[4]["seq"] == 5);
}

TEST_CASE("a reader that does not return is left behind, and what it misses is counted in the log") {
  Scene scene;
  std::promise<void> has_first;
  std::promise<void> may_return;
  std::promise<std::vector<std::uint64_t>> has_returned;
  std::vector<std::uint64_t> read;
  EventLog& events = left_behind(scene.log, {.patience = milliseconds(1), .close = hours(1)});
  events.subscribe([&](const EventLog::Record& record) {
    read.push_back(record.sequence);
    has_first.set_value();
    may_return.get_future().wait();
    has_returned.set_value(read);
  });
  events.open();
  publish(events, EventKind::task_exited);
  has_first.get_future().wait();
  for (int i = 0; i < 9; ++i) publish(events, EventKind::task_exited);
  publish(events, EventKind::host_stopped);
  CHECK_FALSE(events.close());
  CHECK(scene.first_line.get_future().get().find("the last 11 events are lost") != std::string::npos);
  may_return.set_value();
  CHECK(has_returned.get_future().get() == std::vector<std::uint64_t>{1});
}

TEST_CASE("the last words name each task that is over and did not end well once, and none that runs again") {
  std::string last;
  Log log{LogLevel::info, LogFormat::text, [&last](LogLevel, std::string_view line) { last = line; }};
  EventLog events(log);
  const auto publish_of = [&events](EventKind kind, const char* task) {
    Event event;
    event.kind = kind;
    event.for_log = false;
    event.task = task;
    event.outcome = kind == EventKind::task_discarded ? Outcome::error : Outcome::ok;
    events.publish(std::move(event));
  };
  const char* const pump = "pump";
  const char* const feed = "feed";
  const char* const mill = "mill";
  for (const char* const task : {pump, feed, mill}) publish_of(EventKind::task_discarded, task);
  publish_of(EventKind::task_started, pump);
  publish_of(EventKind::task_discarded, pump);
  publish_of(EventKind::task_started, mill);
  publish(events, EventKind::host_stopped);
  log.flush();
  CHECK(last.find("tasks lost during this run: 'feed', 'pump'") != std::string::npos);
  CHECK(last.find("mill") == std::string::npos);
}

TEST_CASE("behind a reader that does not read, events are lost and counted at their place") {
  Scene scene;
  std::promise<void> has_first;
  std::promise<void> may_go_on;
  std::promise<void> has_last;
  EventLog& events = left_behind(scene.log, {.queue = 10, .patience = milliseconds(1)});
  events.subscribe([&](const EventLog::Record& record) {
    scene.events.push_back(Json::parse(record.json));
    if (record.name == "host_stopped") has_last.set_value();
    if (record.sequence != 1) return;
    has_first.set_value();
    may_go_on.get_future().wait();
  });
  events.open();
  publish(events, EventKind::task_exited);
  has_first.get_future().wait();
  for (int i = 0; i < 25; ++i) publish(events, EventKind::task_exited);
  publish(events, EventKind::host_stopped);
  may_go_on.set_value();
  has_last.get_future().wait();
  events.close();
  REQUIRE(scene.events.size() == 13);
  CHECK(lost(scene.events[11]) == 15);
  CHECK(scene.events[12]["event"] == "host_stopped");
}

TEST_CASE("an event that stands for lost ones counts as all of them when its reader does not return") {
  Scene scene;
  std::promise<void> has_first;
  std::promise<void> may_return;
  std::promise<void> has_returned;
  EventLog& events = left_behind(scene.log, {.queue = 10, .patience = milliseconds(1), .close = hours(1)});
  events.subscribe([&](const EventLog::Record& record) {
    if (record.sequence != 1) return;
    has_first.set_value();
    may_return.get_future().wait();
    has_returned.set_value();
  });
  events.open();
  publish(events, EventKind::task_exited);
  has_first.get_future().wait();
  for (int i = 0; i < 25; ++i) publish(events, EventKind::task_exited);
  publish(events, EventKind::host_stopped);
  CHECK_FALSE(events.close());
  CHECK(scene.first_line.get_future().get().find("the last 27 events are lost") != std::string::npos);
  may_return.set_value();
  has_returned.get_future().wait();
}

TEST_CASE("what a reader has not got when the process ends at once is counted in the log") {
  Scene scene;
  std::promise<void> has_first;
  std::promise<void> may_return;
  EventLog& events = left_behind(scene.log, {.patience = milliseconds(1)});
  events.subscribe([&](const EventLog::Record& record) {
    if (record.sequence != 1) return;
    has_first.set_value();
    may_return.get_future().wait();
  });
  events.open();
  publish(events, EventKind::task_exited);
  has_first.get_future().wait();
  for (int i = 0; i < 9; ++i) publish(events, EventKind::task_exited);
  events.flush();
  CHECK(scene.first_line.get_future().get().find("the last 10 events are lost") != std::string::npos);
  may_return.set_value();
  events.close();
}
