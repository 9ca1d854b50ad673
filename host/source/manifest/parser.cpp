#include "manifest/parser.hpp"

#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "manifest/syntax.hpp"
#include "text/printable.hpp"

namespace taskhost {
namespace {

using Json = nlohmann::json;

// Records how far the library has read, which its SAX interface does not report.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(pointer at, pointer* seen) : at_(at), seen_(seen) {}

  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *seen_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  pointer at_;
  pointer* seen_;
};

// An array or object that has not ended yet.
struct OpenNode {
  ManifestNode node;
  std::string key;  // of the next child
  std::size_t key_offset = 0;
  bool is_duplicate = false;  // the key was there before: its value is checked and dropped
  std::size_t child_count = 0;
  std::unordered_map<std::string, std::size_t> key_offsets;  // used only once there are many children
};

// Implements nlohmann_json's SAX interface; returning `false` ends the parse.
class NodeBuilder {
 public:
  NodeBuilder(std::string_view text, ManifestSink& sink, ManifestFaults& faults)
      : text_(text), sink_(sink), faults_(faults), read_to_(text.data()) {}

  // Returns whether the parse reached the end.
  bool run() {
    const CountingIterator begin(text_.data(), &read_to_);
    const CountingIterator end(text_.data() + text_.size(), &read_to_);
    Json::sax_parse(begin, end, this, nlohmann::detail::input_format_t::json, true, true);
    if (is_complete_) {
      sink_.take_end(root_offset_);
    }
    return is_complete_;
  }

  bool null() { return add_scalar(NodeKind::null, "null"); }
  bool boolean(bool value) { return add_scalar(NodeKind::boolean, value ? "true" : "false"); }
  bool number_integer(Json::number_integer_t value) {
    return add_scalar(NodeKind::number, std::to_string(value), static_cast<double>(value));
  }
  bool number_unsigned(Json::number_unsigned_t value) {
    return add_scalar(NodeKind::number, std::to_string(value), static_cast<double>(value));
  }
  bool number_float(Json::number_float_t value, const std::string& as_written) {
    std::string digits = as_written;
    // The library puts the locale's decimal point there.
    for (char& character : digits) {
      const bool is_of_json = std::string_view("0123456789+-eE").find(character) != std::string_view::npos;
      character = is_of_json ? character : '.';
    }
    return add_scalar(NodeKind::number, std::move(digits), value);
  }
  bool string(std::string& value) { return add_scalar(NodeKind::string, std::move(value)); }
  bool binary(Json::binary_t& /*value*/) { return false; }  // does not occur in JSON text
  bool start_object(std::size_t /*size*/) { return open(NodeKind::object); }
  bool end_object() { return close(); }
  bool start_array(std::size_t /*size*/) { return open(NodeKind::array); }
  bool end_array() { return close(); }

  bool key(std::string& value) {
    OpenNode& object = open_.back();
    object.key = std::move(value);
    object.key_offset = last_read();
    const std::size_t* const first = find_key(object);
    object.is_duplicate = first != nullptr;
    if (first != nullptr) {
      faults_.add_if_told(object.key_offset, [this, first = *first] {
        return ManifestFaults::Texts{pointer(), "given twice in one object, first on line " +
                                                    std::to_string(faults_.line_of(first)) + "; keep one of the two"};
      });
    } else if (!object.key_offsets.empty()) {
      object.key_offsets.emplace(object.key, object.key_offset);
    }
    return went_on(LastToken::key);
  }

  bool parse_error(std::size_t position, const std::string& /*token*/, const Json::exception& error) {
    is_complete_ = false;
    SyntaxState state{last_token_, read_to_after_last_token_, std::nullopt, 0};
    if (!open_.empty()) {
      state.container = open_.back().node.kind;
      state.container_offset = open_.back().node.offset;
    }
    SyntaxFault fault = explain_syntax_error(text_, state, position, error.what());
    faults_.add_syntax(fault.offset, std::move(fault.message));
    return false;
  }

 private:
  // The last byte of the current token; after a number, the byte after it, but nothing beyond.
  std::size_t last_read() const {
    const auto count = static_cast<std::size_t>(read_to_ - text_.data());
    return count == 0 ? 0 : count - 1;
  }

  // The end of a number shows only in the byte after it, if there is one. That byte is a digit only after a leading
  // zero.
  bool read_behind_number(bool is_zero) const {
    const std::size_t last = last_read();
    return !is_digit(text_[last]) || (is_zero && last > 0 && is_digit(text_[last - 1]));
  }

  bool went_on(LastToken token) {
    last_token_ = token;
    read_to_after_last_token_ = static_cast<std::size_t>(read_to_ - text_.data());
    return true;
  }

  bool refuse_root(const ManifestNode& node) {
    faults_.add(node.offset, "",
                "expected an object at the top, such as {\"tasks\": [...]}, found " + found_words(node));
    return false;
  }

  bool add_scalar(NodeKind kind, std::string text, double number = 0) {
    const bool is_zero = std::string_view(text) == "0";
    ManifestNode node{kind, last_read(), {}, 0, std::move(text), number, {}};
    if (open_.empty()) {
      return refuse_root(node);
    }
    const bool is_number = kind == NodeKind::number;
    add_child(std::move(node));
    went_on(LastToken::value);
    if (is_number && read_behind_number(is_zero)) {
      --read_to_after_last_token_;
    }
    return true;
  }

  bool open(NodeKind kind) {
    ManifestNode node{kind, last_read(), {}, 0, {}, 0, {}};
    if (open_.empty() && kind != NodeKind::object) {
      return refuse_root(node);
    }
    if (open_.size() == max_nesting) {
      faults_.add_syntax(node.offset, "arrays and objects are nested more than " + std::to_string(max_nesting) +
                                          " levels deep; parsing stopped here");
      return false;
    }
    if (open_.empty()) {
      root_offset_ = node.offset;
    }
    open_.emplace_back().node = std::move(node);
    return went_on(LastToken::opening);
  }

  bool close() {
    ManifestNode node = std::move(open_.back().node);
    open_.pop_back();
    if (open_.empty()) {
      is_complete_ = true;
    } else {
      add_child(std::move(node));
    }
    return went_on(LastToken::value);
  }

  void add_child(ManifestNode child) {
    OpenNode& parent = open_.back();
    const std::size_t index = parent.child_count++;
    if (parent.is_duplicate) {
      return;
    }
    child.key = std::move(parent.key);
    child.key_offset = parent.key_offset;
    if (is_task_list()) {
      if (!open_.front().is_duplicate) {
        sink_.take_task(child, index);
      }
      return;
    }
    if (open_.size() == 1) {
      // Keep the key, to find duplicates.
      const std::string key = child.key;
      sink_.take_field(child);
      child = ManifestNode{NodeKind::null, child.offset, key, child.key_offset, {}, 0, {}};
    }
    parent.node.children.push_back(std::move(child));
  }

  bool is_task_list() const {
    return open_.size() == 2 && open_.back().node.kind == NodeKind::array && open_.front().key == "tasks";
  }

  // Where the next child's key was before. Uses a map only for objects so large that searching would be quadratic.
  static const std::size_t* find_key(OpenNode& object) {
    constexpr std::size_t many_children = 16;
    const std::vector<ManifestNode>& children = object.node.children;
    if (children.size() < many_children) {
      const ManifestNode* const child = object.node.find(object.key);
      return child == nullptr ? nullptr : &child->key_offset;
    }
    if (object.key_offsets.empty()) {
      for (const ManifestNode& child : children) {
        object.key_offsets.emplace(child.key, child.key_offset);
      }
    }
    const auto found = object.key_offsets.find(object.key);
    return found == object.key_offsets.end() ? nullptr : &found->second;
  }

  // The JSON pointer of the next child.
  std::string pointer() const {
    std::string result;
    for (const OpenNode& level : open_) {
      result += level.node.kind == NodeKind::object ? pointer_step(level.key) : '/' + std::to_string(level.child_count);
    }
    return result;
  }

  std::string_view text_;
  ManifestSink& sink_;
  ManifestFaults& faults_;
  const char* read_to_;
  std::vector<OpenNode> open_;
  std::size_t root_offset_ = 0;
  bool is_complete_ = false;
  LastToken last_token_ = LastToken::none;
  std::size_t read_to_after_last_token_ = 0;
};

// Encodings that the library would report with a misleading message, or accept.
bool refuse_encoding(std::string_view text, ManifestFaults& faults) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    faults.add_syntax(0, "the file is UTF-16; save it as UTF-8");
    return true;
  }
  if (text.starts_with("\177ELF")) {
    faults.add_syntax(0,
                      "it is a program or a library, not a manifest; for a plugin there are taskhost inspect and "
                      "taskhost verify");
    return true;
  }
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    faults.add_syntax(nul, "found a NUL byte; a manifest is JSON text in UTF-8");
    return true;
  }
  return false;
}

}  // namespace

bool parse_manifest(std::string_view text, ManifestSink& sink, ManifestFaults& faults) {
  return !refuse_encoding(text, faults) && NodeBuilder(text, sink, faults).run();
}

}  // namespace taskhost
