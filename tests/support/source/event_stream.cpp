#include "support/event_stream.hpp"

#include <nlohmann/json.hpp>

namespace taskhost::test {

namespace {

constexpr std::size_t max_faults = 20;

using Json = nlohmann::json;

// Takes fields from an object, and notes those of a wrong type.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  const std::string& wrong() const noexcept { return wrong_; }

  void take(const char* key, std::string& into) { take(key, "a string", &Json::is_string, into); }
  void take(const char* key, std::optional<std::uint64_t>& into) {
    take(key, "a whole number from 0", &Json::is_number_unsigned, into);
  }
  void take(const char* key, std::optional<int>& into) { take(key, "a whole number", &Json::is_number_integer, into); }
  void take(const char* key, std::optional<double>& into) {
    take(key, "a number", &Json::is_number, into);
    if (into && *into < 0) {
      complain(key, "a number from 0");
    }
  }
  bool is_null(const char* key) const {
    const auto found = object_.find(key);
    return found != object_.end() && found->is_null();
  }

 private:
  template <typename Value>
  static Value value_of(const Json& json, const Value&) {
    return json.get<Value>();
  }
  template <typename Value>
  static Value value_of(const Json& json, const std::optional<Value>&) {
    return json.get<Value>();
  }
  template <typename Into>
  void take(const char* key, const char* expected, bool (Json::*accepts)() const noexcept, Into& into) {
    const auto found = object_.find(key);
    if (found == object_.end()) {
      return;
    }
    if (((*found).*accepts)()) {
      into = value_of(*found, into);
    } else {
      complain(key, expected);
    }
  }
  void complain(const char* key, const char* expected) {
    wrong_ += std::string(wrong_.empty() ? "" : ", ") + '"' + key + "\" is not " + expected;
  }

  const Json& object_;
  std::string wrong_;
};

}  // namespace

void EventStream::append(std::string_view text) {
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    if (rest_.empty()) {
      append_line(text.substr(0, end));
    } else {
      rest_.append(text.substr(0, end));
      append_line(rest_);
      rest_.clear();
    }
    text.remove_prefix(end + 1);
  }
  rest_.append(text);
}

void EventStream::append_line(std::string_view line) {
  const Json object = Json::parse(line, nullptr, false);
  if (!object.is_object()) {
    fault(line, "not a JSON object");
    return;
  }
  Fields fields(object);
  Event event;
  std::optional<std::uint64_t> seq;
  fields.take("seq", seq);
  event.seq = seq.value_or(0);
  fields.take("time", event.time);
  fields.take("event", event.name);
  fields.take("task", event.task);
  fields.take("id", event.id);
  fields.take("type", event.type);
  fields.take("outcome", event.outcome);
  fields.take("message", event.message);
  fields.take("reason", event.reason);
  fields.take("execution", event.execution);
  event.unlimited = fields.is_null("remaining");
  if (!event.unlimited) {
    fields.take("remaining", event.remaining);
  }
  fields.take("delay_ms", event.delay_ms);
  fields.take("uptime_ms", event.uptime_ms);
  fields.take("stalled_ms", event.stalled_ms);
  fields.take("status", event.status);
  fields.take("count", event.count);
  if (!fields.wrong().empty()) {
    fault(line, fields.wrong());
  }
  ++counts_[event.name][event.task];
  events_.push_back(std::move(event));
}

void EventStream::fault(std::string_view line, const std::string& what) {
  if (faults_.size() < max_faults) {
    faults_.push_back("line " + std::to_string(events_.size() + 1) + ": " + what + ": " +
                      std::string(line.substr(0, 300)));
  }
}

std::size_t EventStream::count(std::string_view name, std::string_view task) const {
  const auto of_name = counts_.find(name);
  std::size_t found = 0;
  if (of_name != counts_.end()) {
    for (const auto& [of_task, count] : of_name->second) {
      found += task.empty() || of_task == task ? count : 0;
    }
  }
  return found;
}

const Event* EventStream::first(std::string_view name, std::string_view task) const {
  for (const Event& event : events_) {
    if (event.name == name && (task.empty() || event.task == task)) {
      return &event;
    }
  }
  return nullptr;
}

std::string EventStream::story(std::string_view task) const {
  std::string names;
  for (const Event& event : events_) {
    if (event.task == task && event.name.starts_with("task_") && event.name != "task_ready" &&
        event.name != "task_stalled") {
      names += (names.empty() ? "" : " ") + event.name;
    }
  }
  return names;
}

const EventStream& EventFile::read() {
  read_piece();
  return stream_;
}

const EventStream& EventFile::read_all() {
  while (read_piece()) {
  }
  return stream_;
}

bool EventFile::read_piece() {
  if (!file_.is_open()) {
    file_.open(path_, std::ios::binary);
  }
  file_.clear();  // the file may have grown since its end was reached
  std::string piece(std::size_t{1} << 20, '\0');
  file_.read(piece.data(), static_cast<std::streamsize>(piece.size()));
  stream_.append(std::string_view(piece).substr(0, static_cast<std::size_t>(file_.gcount())));
  return file_.gcount() > 0;
}

bool EventFile::wait_for(std::string_view name, std::string_view task, std::size_t count,
                         std::chrono::nanoseconds limit) {
  return eventually([&] { return read().count(name, task) >= count; }, limit);
}

}  // namespace taskhost::test
