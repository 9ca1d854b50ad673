// Events and log lines: 32 bytes of numbers, then TASK NUL MESSAGE.
#include <nlohmann/json.hpp>
#include <string>

#include "events/event_json.hpp"
#include "events/event_text.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace taskhost;
  fuzz::Input input(data, size);
  const auto numbers = input.number<std::uint64_t>();
  const auto big = input.number<std::uint64_t>();
  const auto small = input.number<std::uint32_t>();
  const auto time_us = input.number<std::int64_t>();
  const auto flags = input.number<std::uint32_t>();
  const std::string task{input.text()};

  Event event;
  event.kind = static_cast<EventKind>(numbers % 14);
  event.type = static_cast<TaskType>(numbers / 16 % 3);
  event.outcome = static_cast<Outcome>(numbers / 64 % 5);
  event.reason = static_cast<StopReason>(numbers / 512 % 8);
  event.unlimited = (flags & 1) != 0;
  event.for_log = (flags & 2) != 0;
  event.status = static_cast<std::int32_t>(flags % 8);
  event.execution = big;
  event.remaining = small;
  event.delay_ms = big % 31'536'000'000;
  event.uptime_ms = ~big % 3'153'600'000'000;
  event.stalled_ms = big % 86'400'000;
  // Only the host's own events may lack a task.
  const bool of_host = event.kind == EventKind::host_started || event.kind == EventKind::host_stopping ||
                       event.kind == EventKind::host_stopped;
  event.task = of_host && (flags & 4) != 0 ? nullptr : task.c_str();
  event.message = input.rest();

  std::string line;
  // Possible values of a machine's clock: until the year 9999.
  append_event_json(line, event, big, time_us / 64 % 253'402'300'800'000'000);
  fuzz::require(line.find('\n') == std::string::npos && is_utf8(line), "an event is a line", line);
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  fuzz::require(json.is_object() && json.contains("time") && json.contains("seq") && json.contains("event"),
                "an event is an object with its time, number and name", line);
  const EventText text = event_text(event, (flags & 8) != 0);
  const std::string printed = printable_text(text.words, 4608);
  fuzz::require(fuzz::is_one_printable_line(printed), "a line of the log is printable", printed);
  LogSummary summary{.starts = big, .exits = small, .restarts = flags, .last_task = task.c_str()};
  summary.milliseconds = event.delay_ms;
  summary.causes.count(event.message);
  fuzz::require(fuzz::is_one_printable_line(printable_text(summary_text(summary))), "a summary is printable");
  const std::size_t most = flags / 16 % 200;
  fuzz::require(printable_text(event.message, most).size() <= 6 * most + 3, "a text has its bound", event.message);
  return 0;
}
