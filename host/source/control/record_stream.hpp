// Reads a history as one client wants it: those records that it asked for, then those that come, as lines of JSON or as
// Server-Sent Events. What is missing is told in its place. For the thread of the control server.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "control/route.hpp"
#include "events/history.hpp"

namespace taskhost {

enum class RecordFormat : std::uint8_t {
  json_lines,
  server_sent_events,  // https://html.spec.whatwg.org/multipage/server-sent-events.html
};

class RecordStream {
 public:
  struct Source {
    const History& history;
    bool is_log = false;        // its lines, or events
    std::string_view instance;  // of the host; valid as long as it
    std::int64_t now_us = 0;    // since 1970
  };

  // `last_event_id`: the header of this name, from a client that reconnects; empty if there is none. One of another
  // instance, or a number that is still to come, means all records: the host is another one.
  RecordStream(const Source& source, const RecordsWanted& wanted, RecordFormat format, std::string_view last_event_id);

  // Those that there are, but not much more than `bytes` in one go, and after a look at not much more than 4,096 of
  // them: it may be empty though there are more. Throws std::bad_alloc.
  std::string next(std::size_t bytes);

  std::uint64_t position() const noexcept { return position_; }  // the number of the last one that was looked at
  // Whether there are some that were not looked at.
  bool has_more() const noexcept { return source_.history.last() > position_; }

  static std::string_view content_type(RecordFormat format) noexcept;
  // What says that the connection still lives, if the format has something for that.
  static std::string_view heartbeat(RecordFormat format) noexcept;

 private:
  bool is_wanted(const HistoryRecord& record) const noexcept;
  void look_for_last(std::size_t most);
  void pass_to(std::string& text, std::uint64_t sequence);
  void append(std::string& text, std::uint64_t sequence, std::string_view json) const;
  void append_missing(std::string& text, std::uint64_t sequence, std::uint64_t count) const;

  const Source source_;
  const RecordsWanted wanted_;
  const RecordFormat format_;
  std::int64_t since_us_ = 0;
  std::uint64_t position_ = 0;  // the number of the last record that was looked at
  bool tells_missing_ = false;  // whether the client expects the next one
  // While the last ones are looked for, by task, level or time: where that ends, and those found.
  std::uint64_t last_end_ = 0;
  std::deque<std::uint64_t> last_;
};

}  // namespace taskhost
