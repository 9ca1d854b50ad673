#include "control/record_stream.hpp"

#include <algorithm>
#include <charconv>
#include <deque>
#include <limits>

namespace taskhost {

namespace {

constexpr std::size_t at_once = 256;  // records whose places are copied while the history is locked

// The number in "INSTANCE:NUMBER"; 0 if this is another instance.
std::uint64_t number_in(std::string_view id, std::string_view instance) noexcept {
  if (!id.starts_with(instance) || id.size() <= instance.size() || id[instance.size()] != ':') return 0;
  id.remove_prefix(instance.size() + 1);
  std::uint64_t number = 0;
  const auto read = std::from_chars(id.data(), id.data() + id.size(), number);
  return read.ec == std::errc() && read.ptr == id.data() + id.size() ? number : 0;
}

}  // namespace

RecordStream::RecordStream(const Source& source, const RecordsWanted& wanted, RecordFormat format,
                           std::string_view last_event_id)
    : source_(source),
      wanted_(wanted),
      format_(format),
      position_(last_event_id.empty() ? wanted.since : number_in(last_event_id, source.instance)) {
  const std::uint64_t end = source_.history.last();
  if (position_ > end) position_ = 0;
  tells_missing_ = position_ != 0 || end == 0;
  if (wanted_.newer_than && last_event_id.empty()) {
    since_us_ = source_.now_us - std::chrono::duration_cast<std::chrono::microseconds>(*wanted_.newer_than).count();
  }
  if (!wanted_.last || !last_event_id.empty()) return;
  const bool is_filtered = since_us_ != 0 || wanted_.level != LogLevel::trace || !wanted_.task.empty();
  if (is_filtered) {
    last_end_ = end;
  } else if (*wanted_.last < end - position_) {
    position_ = end - *wanted_.last;
    tells_missing_ = *wanted_.last == 0;
  }
}

bool RecordStream::is_wanted(const HistoryRecord& record) const noexcept {
  return record.time_us >= since_us_ && record.level >= wanted_.level &&
         (wanted_.task.empty() || record.task == wanted_.task);
}

void RecordStream::look_for_last(std::size_t most) {
  std::size_t looked_at = 0;
  while (position_ < last_end_ && looked_at < most) {
    const History::Reading reading = source_.history.after(position_, at_once);
    if (reading.records.empty()) {
      position_ = last_end_;
      break;
    }
    position_ = reading.records.back()->sequence;
    looked_at += reading.records.size();
    for (const History::Record& record : reading.records) {
      if (record->sequence > last_end_) break;
      if (is_wanted(*record)) last_.push_back(record->sequence);
      if (last_.size() > *wanted_.last) last_.pop_front();
    }
  }
  if (position_ < last_end_) return;
  if (last_.size() == *wanted_.last) {
    tells_missing_ = last_.empty();
    position_ = last_.empty() ? last_end_ : last_.front() - 1;
  } else {  // all of them are wanted, and what is missing among them
    tells_missing_ = wanted_.since != 0;
    position_ = wanted_.since < last_end_ ? wanted_.since : 0;
  }
  last_end_ = 0;
  last_ = {};
}

std::string RecordStream::next(std::size_t bytes) {
  constexpr std::size_t most = 4096;
  std::string text;
  if (last_end_ != 0) {
    look_for_last(most);
    if (last_end_ != 0) return text;
  }
  for (std::size_t looked_at = 0; text.size() < bytes && looked_at < most;) {
    const History::Reading reading = source_.history.after(position_, at_once);
    for (const History::Record& record : reading.records) {
      pass_to(text, record->sequence - 1);
      position_ = record->sequence;
      ++looked_at;
      if (is_wanted(*record)) append(text, record->sequence, record->json);
      if (text.size() >= bytes) return text;
    }
    if (!reading.records.empty()) continue;
    pass_to(text, reading.last);  // there was no memory for the last ones
    break;
  }
  return text;
}

// Tells that those up to this number are missing.
void RecordStream::pass_to(std::string& text, std::uint64_t sequence) {
  if (sequence > position_) {
    if (tells_missing_) append_missing(text, sequence, sequence - position_);
    position_ = sequence;
  }
  tells_missing_ = true;
}

void RecordStream::append(std::string& text, std::uint64_t sequence, std::string_view json) const {
  if (format_ == RecordFormat::server_sent_events) {
    text.append("id: ").append(source_.instance).append(":").append(std::to_string(sequence)).append("\ndata: ");
  }
  text.append(json).append(format_ == RecordFormat::server_sent_events ? "\n\n" : "\n");
}

void RecordStream::append_missing(std::string& text, std::uint64_t sequence, std::uint64_t count) const {
  const std::string number = std::to_string(count);
  const std::string place = "{\"seq\":" + std::to_string(sequence);
  if (source_.is_log) {
    append(text, sequence, place + ",\"lost\":" + number + "}");
  } else {
    append(text, sequence, place + R"(,"event":"events_lost","count":)" + number + "}");
  }
}

std::string_view RecordStream::content_type(RecordFormat format) noexcept {
  return format == RecordFormat::json_lines ? "application/x-ndjson" : "text/event-stream";
}

std::string_view RecordStream::heartbeat(RecordFormat format) noexcept {
  return format == RecordFormat::json_lines ? "" : ":\n\n";
}

}  // namespace taskhost
