#include "events/event_json.hpp"

#include <array>
#include <boost/uuid/uuid_io.hpp>
#include <charconv>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

namespace taskhost {

namespace {

void append_number(std::string& line, std::uint64_t number) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  line.append(digits.data(), end);
}

void append_field(std::string& line, std::string_view key, std::uint64_t number) {
  line.append(",\"").append(key).append("\":");
  append_number(line, number);
}

// For words that need no escaping.
void append_word(std::string& line, std::string_view key, std::string_view word) {
  line.append(",\"").append(key).append("\":\"").append(word).append("\"");
}

void append_text(std::string& line, std::string_view key, std::string_view text) {
  line.append(",\"").append(key).append("\":");
  append_json_string(line, text);
}

void append_head(std::string& line, std::string_view name, std::uint64_t sequence, std::int64_t time_us) {
  line.append("{\"time\":\"");
  append_time(line, time_us);
  line.append("\",\"seq\":");
  append_number(line, sequence);
  line.append(",\"event\":\"").append(name).append("\"");
}

void append_uuid(std::string& line, const boost::uuids::uuid& id) {
  line.append(",\"id\":\"");
  std::array<char, 36> text;
  boost::uuids::to_chars(id, text.begin());
  line.append(text.data(), text.size());
  line.append("\"");
}

struct Fields {
  bool outcome = false;
  bool uptime = false;
  bool delay = false;
};

constexpr Fields fields_of(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::task_exited:
    case EventKind::task_stopped:
    case EventKind::task_abandoned:
      return {.outcome = true, .uptime = true};
    case EventKind::task_gave_up:
    case EventKind::task_discarded:
      return {.outcome = true};
    case EventKind::task_restarting:
      return {.delay = true};
    case EventKind::host_started:
    case EventKind::task_started:
    case EventKind::task_ready:
    case EventKind::task_stopping:
    case EventKind::task_stalled:
    case EventKind::host_stopping:
    case EventKind::host_stopped:
      return {};
  }
  return {};
}

void append_task_fields(std::string& line, const Event& event) {
  const Fields fields = fields_of(event.kind);
  append_text(line, "task", event.task);
  append_uuid(line, event.id);
  append_word(line, "type", to_string(event.type));
  append_field(line, "execution", event.execution);
  if (fields.outcome) append_word(line, "outcome", to_string(event.outcome));
  if (event.unlimited && event.type != TaskType::shutdown_on_exit) {
    line.append(",\"remaining\":null");
  } else if (event.type != TaskType::shutdown_on_exit) {
    append_field(line, "remaining", event.remaining);
  }
  if (fields.delay) append_field(line, "delay_ms", event.delay_ms);
  if (fields.uptime) append_field(line, "uptime_ms", event.uptime_ms);
  if (event.kind == EventKind::task_stalled) append_field(line, "stalled_ms", event.stalled_ms);
  if (event.kind == EventKind::task_discarded) {
    append_word(line, "reason", event.reason == StopReason::task_exit ? "ended" : to_string(event.reason));
  }
  if (event.restart_kind != RestartKind::charged) append_word(line, "message", to_string(event.restart_kind));
  if (!event.message.empty()) append_text(line, "message", event.message);
}

// Most times are of the same second as the one before.
struct WrittenSecond {
  std::time_t second = 0;
  std::array<char, 64> text{};
  std::size_t size = 0;  // 0: nothing is written yet
};

}  // namespace

std::int64_t now_us() noexcept {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

void append_time(std::string& line, std::int64_t time_us) {
  std::int64_t rest = time_us % 1'000'000;
  if (rest < 0) rest += 1'000'000;  // for times before 1970
  const auto seconds = static_cast<std::time_t>((time_us - rest) / 1'000'000);
  thread_local WrittenSecond last;
  if (last.second != seconds || last.size == 0) {
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    last.size = std::strftime(last.text.data(), last.text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    last.second = seconds;
  }
  line.append(last.text.data(), last.size);
  std::array<char, 8> digits{'.', '0', '0', '0', '0', '0', '0', 'Z'};
  for (std::size_t place = 6; place > 0; --place, rest /= 10) digits[place] = static_cast<char>('0' + rest % 10);
  line.append(digits.data(), digits.size());
}

void append_json_string(std::string& line, std::string_view text) {
  bool plain = true;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\') plain = false;
  }
  if (plain) {
    line.append("\"").append(text).append("\"");
    return;
  }
  line += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void append_event_json(std::string& line, const Event& event, std::uint64_t sequence, std::int64_t time_us) {
  append_head(line, to_string(event.kind), sequence, time_us);
  switch (event.kind) {
    case EventKind::host_started:
      if (!event.message.empty()) append_text(line, "message", event.message);
      break;
    case EventKind::host_stopping:
      append_word(line, "reason", to_string(event.reason));
      if (event.task != nullptr) append_text(line, "task", event.task);
      if (!event.message.empty()) append_text(line, "message", event.message);
      break;
    case EventKind::host_stopped:
      append_field(line, "status", static_cast<std::uint64_t>(event.status));
      append_word(line, "reason", to_string(event.reason));
      if (event.task != nullptr) append_text(line, "task", event.task);
      break;
    case EventKind::task_started:
    case EventKind::task_ready:
    case EventKind::task_exited:
    case EventKind::task_restarting:
    case EventKind::task_discarded:
    case EventKind::task_gave_up:
    case EventKind::task_stopping:
    case EventKind::task_stopped:
    case EventKind::task_abandoned:
    case EventKind::task_stalled:
      append_task_fields(line, event);
      break;
  }
  line.append("}");
}

void append_event_json(std::string& line, const PluginLoaded& loaded, std::uint64_t sequence, std::int64_t time_us) {
  append_head(line, loaded.kind, sequence, time_us);
  append_text(line, "plugin", loaded.name);
  append_text(line, "path", loaded.path);
  line.append("}");
}

void append_event_json(std::string& line, const EventsLost& lost, std::uint64_t sequence, std::int64_t time_us) {
  append_head(line, lost.kind, sequence, time_us);
  append_field(line, "count", lost.count);
  line.append("}");
}

void append_event_json(std::string& line, const EventsSummed& summed, std::uint64_t sequence, std::int64_t time_us) {
  append_head(line, summed.kind, sequence, time_us);
  append_field(line, "starts", summed.starts);
  append_field(line, "exits", summed.exits);
  append_field(line, "failures", summed.failures);
  append_field(line, "restarts", summed.restarts);
  append_field(line, "stalls", summed.stalls);
  append_field(line, "ends", summed.ends);
  append_field(line, "milliseconds", summed.milliseconds);
  line.append("}");
}

}  // namespace taskhost
