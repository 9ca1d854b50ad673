#include "plugin/config_values.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <vector>

#include "text/duration.hpp"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

// Of the manifest, which are looked for in a config now and again.
constexpr std::string_view fields_of_tasks[] = {"after",  "backoff",  "exit_rules",   "group",    "isolation",
                                                "limits", "process",  "repeat",       "restarts", "type",
                                                "user",   "watchdog", "stop_timeout", "window",   "start_timeout"};

std::string complaint(std::string_view pointer, std::string_view words) {
  std::string text = "config: ";
  if (!pointer.empty()) text.append(printable_text(pointer, 200)).append(": ");
  return text.append(words);
}

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t begin = text.find_first_not_of(' ');
    if (begin == std::string_view::npos) return words;
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    text.remove_prefix(end);
  }
}

// Dismantles from the leaves up: the destructor of a value with children needs memory, and ends the process if there is
// none.
void dismantle(nlohmann::json& value, int depth) noexcept {
  constexpr int max_nesting = 1000;  // deeper than any manifest; beyond it the destructor has to do it
  if (depth == max_nesting || !value.is_structured()) return;
  for (nlohmann::json& child : value) dismantle(child, depth + 1);
  value.clear();
}

}  // namespace

ConfigValues::ConfigValues(std::string_view text, bool has_secrets)
    : root_(nlohmann::json::parse(text, nullptr, false)), is_json_(!root_.is_discarded()), has_secrets_(has_secrets) {}

ConfigValues::~ConfigValues() { dismantle(root_, 0); }

ConfigValues::Found ConfigValues::find(const char* pointer) const {
  if (!is_json_) return {nullptr, complaint("", "it is not valid JSON")};
  if (pointer == nullptr) return {nullptr, complaint("", "the plugin asks for a value without a JSON pointer")};
  try {
    const nlohmann::json::json_pointer path(pointer);
    if (!root_.contains(path)) return {};
    return {&root_.at(path), {}};
  } catch (const nlohmann::json::exception&) {
    return {nullptr, complaint("", "the plugin asks for " + quoted_text(pointer) +
                                       ", which is not a JSON pointer, such as \"/every\" or \"/pins/0\"")};
  }
}

ConfigValues::Problem ConfigValues::keys(std::string_view known) const {
  if (!is_json_) return complaint("", "it is not valid JSON");
  if (!root_.is_object()) return complaint("", "it must be an object, {…}");
  const std::vector<std::string_view> words = split_words(known);
  for (const auto& entry : root_.items()) {
    if (std::find(words.begin(), words.end(), entry.key()) != words.end()) continue;
    const std::string_view near = nearest_word(entry.key(), words);
    std::string text = "unknown key " + quoted_text(entry.key());
    if (!near.empty()) {
      text += "; did you mean " + quoted_text(near) + "?";
    } else if (words.empty()) {
      text += "; this config has no keys";
    } else {
      text += "; the known keys are " + quoted_text(words.front());
      for (std::size_t index = 1; index < words.size(); ++index) {
        text += (index + 1 < words.size() ? ", " : " and ") + quoted_text(words[index]);
      }
    }
    if (std::find(std::begin(fields_of_tasks), std::end(fields_of_tasks), entry.key()) != std::end(fields_of_tasks)) {
      text += "; for the task's own field, write it beside \"config\"";
    }
    return complaint("", text);
  }
  return {};
}

ConfigValues::Problem ConfigValues::require(const char* pointer) const {
  const Found found = find(pointer);
  if (found.problem || found.value != nullptr) return found.problem;
  return complaint(pointer, "is missing");
}

ConfigValues::Problem ConfigValues::text(const char* pointer, const char** value, std::size_t* size) const {
  const Found found = find(pointer);
  if (found.value == nullptr) return found.problem;
  if (!found.value->is_string()) return complaint(pointer, "must be a string");
  const auto& text = found.value->get_ref<const std::string&>();
  if (size == nullptr && text.find('\0') != std::string::npos) {
    return complaint(pointer, "must be a string without \\u0000");
  }
  *value = text.c_str();
  if (size != nullptr) *size = text.size();
  return {};
}

ConfigValues::Problem ConfigValues::integer(const char* pointer, std::int64_t least, std::int64_t most,
                                            std::int64_t& value) const {
  const Found found = find(pointer);
  if (found.value == nullptr) return found.problem;
  const bool whole = found.value->is_number_integer();
  const bool too_large = found.value->is_number_unsigned() && found.value->get<std::uint64_t>() > INT64_MAX;
  if (!whole || too_large || found.value->get<std::int64_t>() < least || found.value->get<std::int64_t>() > most) {
    std::string wanted = "must be a whole number";
    if (least != INT64_MIN && most != INT64_MAX) {
      wanted += " from " + std::to_string(least) + " to " + std::to_string(most);
    } else if (least != INT64_MIN) {
      wanted += ", at least " + std::to_string(least);
    } else if (most != INT64_MAX) {
      wanted += ", at most " + std::to_string(most);
    } else if (too_large) {
      wanted += " of 64 bits";
    }
    return complaint(pointer, wanted);
  }
  value = found.value->get<std::int64_t>();
  return {};
}

ConfigValues::Problem ConfigValues::number(const char* pointer, double& value) const {
  const Found found = find(pointer);
  if (found.value == nullptr) return found.problem;
  if (!found.value->is_number()) return complaint(pointer, "must be a number");
  const double read = found.value->get<double>();
  if (!std::isfinite(read)) return complaint(pointer, "is too large");
  value = read;
  return {};
}

ConfigValues::Problem ConfigValues::boolean(const char* pointer, bool& value) const {
  const Found found = find(pointer);
  if (found.value == nullptr) return found.problem;
  if (!found.value->is_boolean()) return complaint(pointer, "must be true or false");
  value = found.value->get<bool>();
  return {};
}

ConfigValues::Problem ConfigValues::duration(const char* pointer, std::chrono::nanoseconds& value) const {
  const Found found = find(pointer);
  if (found.value == nullptr) return found.problem;
  std::string wanted = "must be a duration such as " + std::string(duration_examples);
  if (!found.value->is_string()) return complaint(pointer, wanted);
  const DurationReading reading = parse_duration(found.value->get_ref<const std::string&>());
  if (!reading.value) return complaint(pointer, has_secrets_ ? wanted : wanted + "; " + reading.problem);
  value = *reading.value;
  return {};
}

ConfigValues::Problem ConfigValues::count(const char* pointer, std::size_t& value) const {
  const Found found = find(pointer);
  if (found.value == nullptr) return found.problem;
  if (!found.value->is_array()) return complaint(pointer, "must be an array");
  value = found.value->size();
  return {};
}

}  // namespace taskhost
