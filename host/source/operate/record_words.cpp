#include "operate/record_words.hpp"

#include <string_view>

#include "operate/time_words.hpp"
#include "text/counted.hpp"

namespace taskhost {

namespace {

constexpr std::size_t max_bytes = 8192;  // of one line

Tone tone_of(std::string_view level) noexcept {
  if (level == "error") return Tone::bad;
  if (level == "warning") return Tone::warning;
  return level == "info" ? Tone::good : Tone::plain;
}

std::string missing_words(std::uint64_t count, std::string_view one) {
  return "… " + counted(count, one) + (count == 1 ? " is" : " are") +
         " missing here: no longer kept by the host, or read too slowly\n";
}

// A number or a text, as people write it.
std::string value_words(const Json& value) {
  if (value.is_string()) return terminal_text(value.get<std::string>(), max_bytes);
  if (value.is_null()) return "none";
  return value.dump(-1, ' ', true, Json::error_handler_t::replace);
}

}  // namespace

bool tells_missing(const Json& record) {
  return number_field(record, "lost").has_value() || text_field(record, "event") == "events_lost";
}

std::string log_words(const Json& record, const TableStyle& style) {
  if (const auto lost = number_field(record, "lost")) return missing_words(*lost, "line");
  const std::string level = text_field(record, "level");
  std::string head = local_time(text_field(record, "time")) + ' ';
  std::string padded = terminal_text(level, 20);
  if (padded.size() < 7) padded.resize(7, ' ');
  head += toned(padded, tone_of(level), style) + ' ';
  const std::string task = text_field(record, "task");
  if (!task.empty()) head += '[' + terminal_text(task, 128) + "] ";
  const std::string message = text_field(record, "message");
  std::string words;
  std::string_view left = message;
  do {  // each line by itself, so that none can pose as another one's
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    words += head + (words.empty() ? "" : "  | ") + terminal_text(line, max_bytes) + '\n';
  } while (!left.empty());
  return words;
}

std::string event_words(const Json& record) {
  const std::string event = text_field(record, "event");
  if (event == "events_lost") return missing_words(number_field(record, "count").value_or(0), "event");
  std::string words = local_time(text_field(record, "time")) + ' ' + terminal_text(event, 40);
  const std::string task = text_field(record, "task");
  if (!task.empty()) words += ' ' + terminal_text(task, 128);
  const char* separator = ": ";
  for (const auto& [key, value] : record.items()) {
    if (key == "time" || key == "seq" || key == "event" || key == "task" || key == "id") continue;
    words += separator + terminal_text(key, 40) + ' ' + value_words(value);
    separator = ", ";
  }
  return words + '\n';
}

}  // namespace taskhost
