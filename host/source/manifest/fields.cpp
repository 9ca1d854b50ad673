#include "manifest/fields.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "calendar/cron.hpp"
#include "text/duration.hpp"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {
namespace {

using Words = std::string_view;

const ManifestField* find_field(ManifestObject object, Words key) {
  const auto found = std::find_if(manifest_fields.begin(), manifest_fields.end(),
                                  [&](const ManifestField& field) { return field.key == key && field.is_in(object); });
  return found == manifest_fields.end() ? nullptr : &*found;
}

std::vector<Words> keys_of(ManifestObject object) {
  std::vector<Words> keys;
  for (const ManifestField& field : manifest_fields) {
    if (field.is_in(object)) keys.push_back(field.key);
  }
  return keys;
}

// As in JSON Schema, 3.0 is a whole number.
bool is_whole_number(const ManifestNode& node, std::uint32_t least, std::uint32_t most) {
  const bool is_in_range = node.kind == NodeKind::number && node.number >= least && node.number <= most;
  return is_in_range && std::floor(node.number) == node.number;
}

// The objects that do have this field: it may just be in the wrong place.
std::string homes_of(Words field) {
  std::vector<std::string> homes;
  for (const Word<ManifestObject>& object : words_of<ManifestObject>) {
    const bool is_named = object.value != ManifestObject::included;  // it may have what the top object may
    if (is_named && find_field(object.value, field) != nullptr) homes.emplace_back(object.text);
  }
  return word_list(homes, "or");
}

// What to write instead of a value that is not an object: the object with that value in it, if it is a duration.
std::string object_hint(ManifestObject object, const ManifestNode& node) {
  if (object == ManifestObject::repeat && node.kind == NodeKind::string && parse_cron(node.text).value) {
    return "; write it as an object: {\"schedule\": " + quoted_text(node.text) + '}';
  }
  const std::string field = object == ManifestObject::backoff    ? "initial"
                            : object == ManifestObject::watchdog ? "interval"
                            : object == ManifestObject::repeat   ? "every"
                                                                 : "";
  if (field.empty()) return {};
  const DurationReading reading = parse_duration(node.kind == NodeKind::string ? node.text : "");
  const std::string duration = reading.value ? node.text : reading.meant.empty() ? "5s" : reading.meant;
  return "; write it as an object: {\"" + field + "\": " + quoted_text(duration) + '}';
}

}  // namespace

bool expect_kind(const ManifestNode& node, NodeKind kind, const std::string& pointer, ManifestFaults& faults) {
  if (node.kind != kind) {
    faults.add(node.offset, pointer, "expected " + std::string(kind_words(kind)) + ", found " + found_words(node));
  }
  return node.kind == kind;
}

bool expect_text_list(const ManifestNode& node, const std::string& pointer, ManifestFaults& faults) {
  if (node.kind != NodeKind::string) return expect_kind(node, NodeKind::array, pointer, faults);
  faults.add(node.offset, pointer, "expected an array, found a string; write [" + quoted_text(node.text) + ']');
  return false;
}

void refuse_unknown_field(const ManifestNode& field, const std::string& pointer, ManifestObject object,
                          ManifestFaults& faults) {
  const std::vector<Words> keys = keys_of(object);
  const Words nearest = nearest_word(field.key, keys);
  const std::string homes = homes_of(field.key);
  std::string message = "unknown field " + quoted_text(field.key);
  if (!nearest.empty()) {
    message += "; did you mean \"" + std::string(nearest) + "\"?";
    message += homes.empty() ? "" : " (spelled like this, it belongs in " + homes + ')';
  } else if (!homes.empty()) {
    message += " in " + std::string(to_string(object)) + "; it belongs in " + homes;
  } else {
    message += "; " + std::string(to_string(object)) + " may have " + quoted_list(keys, "and");
    if (object == ManifestObject::task) message += "; what is for the plugin belongs in \"config\"";
  }
  faults.add(field.key_offset, pointer, std::move(message));
}

std::optional<std::string> read_text(const ManifestNode& node, const std::string& pointer, std::size_t max_bytes,
                                     ManifestFaults& faults) {
  if (!expect_kind(node, NodeKind::string, pointer, faults)) {
    return std::nullopt;
  }
  if (node.text.empty()) {
    faults.add(node.offset, pointer, "expected a string with at least one character, found an empty one");
    return std::nullopt;
  }
  if (node.text.size() > max_bytes) {
    faults.add(node.offset, pointer,
               "expected at most " + std::to_string(max_bytes) + " bytes, found " + std::to_string(node.text.size()) +
                   " (" + quoted_text(node.text) + ')');
    return std::nullopt;
  }
  if (has_control_character(node.text)) {
    faults.add(node.offset, pointer, "control characters are not allowed here, found " + quoted_text(node.text));
    return std::nullopt;
  }
  return node.text;
}

std::optional<std::uint32_t> read_whole_number(const ManifestNode& node, const std::string& pointer,
                                               std::uint32_t least, std::uint32_t most, ManifestFaults& faults) {
  if (is_whole_number(node, least, most)) {
    return static_cast<std::uint32_t>(node.number);
  }
  faults.add(node.offset, pointer,
             "expected a whole number from " + std::to_string(least) + " to " + std::to_string(most) + ", found " +
                 found_words(node));
  return std::nullopt;
}

std::optional<std::chrono::nanoseconds> read_duration(const ManifestNode& node, const std::string& pointer,
                                                      ManifestFaults& faults) {
  const std::string expected = "expected a duration such as " + std::string(duration_examples) + ", found ";
  if (node.kind != NodeKind::string) {
    const bool is_number = node.kind == NodeKind::number;
    const std::string hint = is_number ? "; write it as a string with a unit, such as \"10s\"" : "";
    faults.add(node.offset, pointer, expected + found_words(node) + hint);
    return std::nullopt;
  }
  const DurationReading reading = parse_duration(node.text);
  if (!reading.value) {
    faults.add(node.offset, pointer, expected + quoted_text(node.text) + "; " + reading.problem);
  }
  return reading.value;
}

std::optional<std::chrono::nanoseconds> read_duration(const ManifestNode& node, const std::string& pointer,
                                                      std::chrono::nanoseconds least, std::chrono::nanoseconds most,
                                                      ManifestFaults& faults) {
  const std::optional<std::chrono::nanoseconds> value = read_duration(node, pointer, faults);
  if (!value || (*value >= least && *value <= most)) {
    return value;
  }
  faults.add(node.offset, pointer,
             "expected a duration from " + print_duration(least) + " to " + print_duration(most) + ", found " +
                 quoted_text(node.text));
  return std::nullopt;
}

std::optional<std::chrono::nanoseconds> read_positive_duration(const ManifestNode& node, const std::string& pointer,
                                                               ManifestFaults& faults) {
  const std::optional<std::chrono::nanoseconds> value = read_duration(node, pointer, faults);
  if (!value || value->count() > 0) {
    return value;
  }
  faults.add(node.offset, pointer, "expected a duration longer than 0s, found " + quoted_text(node.text));
  return std::nullopt;
}

std::optional<double> read_number(const ManifestNode& node, const std::string& pointer, double least, double most,
                                  ManifestFaults& faults) {
  if (node.kind == NodeKind::number && node.number >= least && node.number <= most) {
    return node.number;
  }
  const std::string from = std::to_string(static_cast<long>(least));
  const bool bounded = most < std::numeric_limits<double>::max();
  faults.add(node.offset, pointer,
             "expected a number " +
                 (bounded ? "from " + from + " to " + std::to_string(static_cast<long>(most)) : "of at least " + from) +
                 ", found " + found_words(node));
  return std::nullopt;
}

bool expect_word(const ManifestNode& node, const std::string& pointer, std::string_view what,
                 std::span<const std::string_view> words, ManifestFaults& faults) {
  if (!expect_kind(node, NodeKind::string, pointer, faults)) return false;
  if (std::find(words.begin(), words.end(), node.text) != words.end()) return true;
  const Words nearest = nearest_word(node.text, words);
  faults.add(
      node.offset, pointer,
      "unknown " + std::string(what) + ' ' + quoted_text(node.text) +
          (nearest.empty() ? "; use " + quoted_list(words, "or") : "; did you mean \"" + std::string(nearest) + "\"?"));
  return false;
}

std::optional<Restarts> read_restarts(const ManifestNode& node, const std::string& pointer, ManifestFaults& faults) {
  if (node.kind == NodeKind::string && node.text == "unlimited") {
    return Restarts{.count = 0, .unlimited = true};
  }
  if (is_whole_number(node, 0, max_restarts)) {
    return Restarts{.count = static_cast<std::uint32_t>(node.number), .unlimited = false};
  }
  faults.add(node.offset, pointer,
             "expected a whole number from 0 to " + std::to_string(max_restarts) + " or \"unlimited\", found " +
                 found_words(node));
  return std::nullopt;
}

FieldReader::FieldReader(const ManifestNode& node, const std::string& pointer, ManifestObject object,
                         ManifestFaults& faults)
    : node_(node), pointer_(pointer), faults_(faults) {
  if (node.kind != NodeKind::object) {
    faults.add(node.offset, pointer, "expected an object, found " + found_words(node) + object_hint(object, node));
    return;
  }
  for (const ManifestNode& field : node.children) {
    const ManifestField* const known = find_field(object, field.key);
    if (known == nullptr) {
      refuse_unknown_field(field, pointer_to(field.key), object, faults);
    } else {
      has_optional_ = has_optional_ || known->is_optional;
    }
  }
}

std::string FieldReader::pointer_to(std::string_view field) const { return pointer_ + pointer_step(field); }

std::optional<std::string> FieldReader::text(std::string_view field, std::size_t max_bytes) const {
  const ManifestNode* const node = find(field);
  return node == nullptr ? std::nullopt : read_text(*node, pointer_to(field), max_bytes, faults_);
}

std::optional<Restarts> FieldReader::restarts(std::string_view field) const {
  const ManifestNode* const node = find(field);
  return node == nullptr ? std::nullopt : read_restarts(*node, pointer_to(field), faults_);
}

std::optional<double> FieldReader::number(std::string_view field, double least, double most) const {
  const ManifestNode* const node = find(field);
  return node == nullptr ? std::nullopt : read_number(*node, pointer_to(field), least, most, faults_);
}

std::optional<std::chrono::nanoseconds> FieldReader::duration(std::string_view field) const {
  const ManifestNode* const node = find(field);
  return node == nullptr ? std::nullopt : read_duration(*node, pointer_to(field), faults_);
}

std::optional<std::chrono::nanoseconds> FieldReader::positive_duration(std::string_view field) const {
  const ManifestNode* const node = find(field);
  return node == nullptr ? std::nullopt : read_positive_duration(*node, pointer_to(field), faults_);
}

void FieldReader::require(std::string_view field, std::string_view hint) const {
  if (find(field) == nullptr) {
    faults_.add(node_.offset, pointer_, '"' + std::string(field) + "\" is missing; " + std::string(hint));
  }
}

}  // namespace taskhost
