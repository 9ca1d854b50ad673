#include "events/log.hpp"

#include <poll.h>
#include <pthread.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/details/os.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "events/event_json.hpp"
#include "events/patience.hpp"
#include "system/last_words.hpp"
#include "system/own_descriptor.hpp"
#include "taskhost/core/system_failure.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::size_t queue_size = 8192;            // lines
constexpr std::size_t max_line_bytes = 4096 + 512;  // bytes: a task's longest message, and what we add to it
constexpr std::string_view continuation = "  | ";
constexpr std::size_t chunk = 4096;  // bytes written at once. (PIPE_BUF: in one piece, whoever else writes)
constexpr int retry_ms = 100;        // if the disk is full
constexpr std::chrono::seconds reader_patience{1};    // if the reader does not read
constexpr std::chrono::seconds max_flush_time{5};     // if the reader is slow
constexpr std::chrono::milliseconds last_chunk{100};  // for what is being written when the rest is given up
constexpr std::size_t gap_room = 256;                 // bytes of the line that says how many were dropped
constexpr std::size_t prefix = 64;                    // bytes of a line besides its text: time, level and colour

// Holds no lock while it calls the receiver, which may never return.
class ReceiverSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit ReceiverSink(Log::Receiver receiver) : receiver_(std::move(receiver)) {}

  void close() {
    std::unique_lock lock(call_mutex_);
    closed_ = true;
    Patience left(max_flush_time, max_flush_time);
    while (!returned_.wait_until(lock, left.next(), [this] { return !calling_; }) && left.stood_still()) continue;
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    {
      const std::lock_guard lock(call_mutex_);
      if (closed_) return;
      calling_ = true;
    }
    // Our levels have the same numbers as spdlog's.
    receiver_(static_cast<LogLevel>(message.level), std::string_view(message.payload.data(), message.payload.size()));
    const std::lock_guard lock(call_mutex_);
    calling_ = false;
    returned_.notify_all();
  }
  void flush_() override {}

  const Log::Receiver receiver_;
  std::mutex call_mutex_;
  std::condition_variable returned_;
  bool calling_ = false;
  bool closed_ = false;
};

char priority_of(LogLevel level) noexcept {
  if (level >= LogLevel::error) return error_priority;
  if (level == LogLevel::warning) return warning_priority;
  return level == LogLevel::info ? info_priority : debug_priority;
}

// Bypasses stdio: a write that does not return would hold its lock on stderr to the end of the process and beyond.
class StderrSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  StderrSink() : coloured_(spdlog::details::os::is_color_terminal() && ::isatty(own_stderr()) == 1) {
    text_.reserve(2 * chunk);                        // so that most lines need no memory here
    const char* no_color = std::getenv("NO_COLOR");  // no-color.org
    if (no_color != nullptr && *no_color != '\0') coloured_ = false;
  }

 private:
  // Writes the whole line, or throws.
  void sink_it_(const spdlog::details::log_msg& message) override {
    line_.clear();
    formatter_->format(message, line_);
    const std::string_view words(line_.data(), line_.size());
    text_.reserve(text_.size() + words.size() + colour_room);
    if (is_journal_) text_.append({'<', priority_of(static_cast<LogLevel>(message.level)), '>'});
    if (!coloured_ || message.color_range_end <= message.color_range_start) {
      text_.append(words);
    } else {
      text_.append(words.substr(0, message.color_range_start)).append(colour_of(message.level));
      text_.append(words.substr(message.color_range_start, message.color_range_end - message.color_range_start));
      text_.append("\033[m").append(words.substr(message.color_range_end));
    }
    if (text_.size() >= chunk) flush_();
  }

  void flush_() override {
    const char* next = text_.data();
    std::size_t left = text_.size();
    while (left != 0) {
      const ssize_t written = write_to_stderr({next, left});
      if (written >= 0) {
        next += written;
        left -= static_cast<std::size_t>(written);
      } else if (errno == EAGAIN) {  // the other end may have made it non-blocking for us, too
        is_ready(own_stderr(), POLLOUT, -1);
      } else if (errno != EINTR) {
        if (errno == EBADF || !is_file(own_stderr())) break;  // nobody is there to read it
        ::poll(nullptr, 0, retry_ms);  // a full disk or a limit: treated like a reader that does not read
      }
    }
    text_.clear();
  }

  static bool is_file(int descriptor) {
    struct stat status {};
    return ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  }

  static std::string_view colour_of(spdlog::level::level_enum level) {
    switch (level) {
      case spdlog::level::warn:
        return "\033[33m\033[1m";
      case spdlog::level::err:
      case spdlog::level::critical:
        return "\033[31m\033[1m";
      case spdlog::level::info:
        return "\033[32m";
      case spdlog::level::debug:
        return "\033[36m";
      default:
        return "\033[37m";
    }
  }

  static constexpr std::size_t colour_room = 16;

  bool coloured_;
  const bool is_journal_ = stderr_is_journal();
  spdlog::memory_buf_t line_;
  std::string text_;
};

spdlog::level::level_enum spdlog_level(LogLevel level) noexcept {
  return level == LogLevel::off ? spdlog::level::off : static_cast<spdlog::level::level_enum>(level);
}

// [async-signal-safe]
void tell_missing(std::uint64_t lines) noexcept {
  constexpr std::string_view before =
      "the log's reader has stopped reading, its disk is full, or memory is short: its last ";
  constexpr std::string_view after = " lines were not written";
  std::array<char, before.size() + 20 + after.size()> text;
  char* end = std::copy(before.begin(), before.end(), text.data());
  end = std::to_chars(end, end + 20, lines).ptr;
  end = std::copy(after.begin(), after.end(), end);
  last_words({text.data(), static_cast<std::size_t>(end - text.data())});
}

// Without the time: the lock of the C library's time zone may be among those that are held.
void tell_of_child(LogLevel level, const char* task, std::string_view text) {
  const std::string who = task != nullptr ? " of task '" + printable_text(task, 128) + "'" : std::string();
  last_words("child process " + std::to_string(::getpid()) + who + ": " + std::string(to_string(level)) + ": " +
                 printable_text(text, max_line_bytes),
             priority_of(level));
}

// A message of several lines becomes several lines of the log, each with time, level and task, and all but the first
// are marked: a search finds them all, and no message can pose as somebody else's line. Of many lines, the first and
// the last are kept.
std::string lines_of(const char* task, std::string_view text) {
  constexpr std::size_t max_first = 30;
  constexpr std::size_t max_last = 10;
  const std::string head = task != nullptr ? "[" + printable_text(task, 128) + "] " : std::string();
  while (text.ends_with('\n')) text.remove_suffix(1);
  const bool is_cut = text.size() > max_line_bytes;
  if (is_cut) text = text.substr(0, max_line_bytes + 1);  // one byte more, so that the last line shows that it is cut
  const auto count = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;

  std::string result;
  for (std::size_t number = 0, left = max_line_bytes; number < count; ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (number < max_first || number + max_last >= count) {
      result.append(number == 0 ? "" : "\n").append(head).append(number == 0 ? "" : continuation);
      result += printable_text(line, left);
    } else if (number == max_first) {
      result.append("\n").append(head).append(continuation);
      result += "… " + std::to_string(count - max_first - max_last) + " more lines";
    }
    left -= std::min(left, line.size() + 1);
  }
  if (is_cut && !result.ends_with("…")) result += "…";
  return result;
}

// `sequence` 0: without a number. Up to the value of "message".
void append_json_head(std::string& result, std::uint64_t sequence, std::int64_t time_us, LogLevel level,
                      const char* task) {
  result += "{\"time\":\"";
  append_time(result, time_us);
  result += '"';
  if (sequence != 0) result += ",\"seq\":" + std::to_string(sequence);
  result.append(",\"level\":\"").append(to_string(level)).append("\"");
  if (task != nullptr) {
    result += ",\"task\":";
    append_json_string(result, task);
  }
  result += ",\"message\":";
}

void append_log_json(std::string& result, std::uint64_t sequence, std::int64_t time_us, LogLevel level,
                     const char* task, std::string_view text) {
  append_json_head(result, sequence, time_us, level, task);
  append_json_string(result, text);
  result += '}';
}

// As text, a record may have several lines.
std::string record_of(LogFormat format, LogLevel level, const char* task, std::string_view text) {
  if (format == LogFormat::text) return lines_of(task, text);
  std::string result;
  append_log_json(result, 0, now_us(), level, task, text);
  return result;
}

}  // namespace

// The queue and its writer. Shared with the thread, which may be stuck for ever in a write that does not return.
// spdlog's own asynchronous logger would do, but its thread wakes up every ten seconds; ours sleeps while there is
// nothing to do.
struct Log::Writer {
  struct Record {
    spdlog::log_clock::time_point time;
    spdlog::level::level_enum level;
    std::string text;
  };

  // `is_bare`: without time and level, which the text has, or the journal.
  Writer(LogFormat chosen, bool is_bare, spdlog::sink_ptr sink) : format(chosen), logger("taskhost", std::move(sink)) {
    gap_words.reserve(gap_room);
    logger.set_level(spdlog::level::trace);  // Log::write filters by level
    logger.set_pattern(is_bare ? "%v" : "%Y-%m-%d %H:%M:%S.%e %^%-7l%$ %v");
    logger.set_error_handler([this](const std::string&) { has_failed = true; });  // no memory, or the receiver threw
  }

  void put(Record&& record) {
    {
      const std::lock_guard lock(mutex);
      if (lines.size() == queue_size) {
        lines.pop_front();
        ++lost;
        ++done;
      }
      lines.push_back(std::move(record));
      ++taken_in;
    }
    filled.notify_one();
  }

  // For a line for which there is no memory: it is counted in a line of its own, even if no other line follows.
  void miss() {
    {
      const std::lock_guard lock(mutex);
      ++lost;
      owe_gap();
    }
    filled.notify_one();
  }

  // Takes no more than is written at once: the queue drops its oldest lines, and what waits here would be older still.
  // Of lines that follow each other closely, many are written at once: to wake a thread for each costs more than a
  // line.
  void work() {
    constexpr std::chrono::milliseconds burst{1};
    constexpr timespec nap{.tv_sec = 0, .tv_nsec = 200'000};
    std::chrono::steady_clock::time_point last_batch{};
    std::unique_lock lock(mutex);
    while (true) {
      filled.wait(lock, [this] { return closing || gap_owed || !lines.empty(); });
      if ((lines.empty() && !gap_owed) || thrown_away) return;  // later lines go to nobody
      std::size_t bytes = 0;
      std::uint64_t count = 0;
      const std::uint64_t gap = lost;
      // Within one chunk, so that all of it is written, or nothing.
      if (gap != 0) bytes = 2 * prefix;
      while (!lines.empty() && count < batch.size()) {
        const std::size_t size = lines.front().text.size() + prefix;
        if (count != 0 && bytes + size > chunk) break;
        bytes += size;
        batch[count++] = std::move(lines.front());
        lines.pop_front();
      }
      writing = true;
      lock.unlock();
      const bool told = gap == 0 || tell_gap(gap);
      std::uint64_t failed = 0;
      for (std::uint64_t i = 0; i < count; ++i) failed += write_lines(batch[i]) ? 0 : 1;
      logger.flush();
      lock.lock();
      writing = false;
      done += count + (gap_owed ? 1 : 0);
      gap_owed = false;
      if (told) {
        lost_before += gap;
        lost -= gap;
      }
      lost += failed;
      if (told && lost != 0) owe_gap();  // otherwise with the next line
      emptied.notify_all();
      const auto now = std::chrono::steady_clock::now();
      if (now - std::exchange(last_batch, now) < burst && lines.empty() && !closing) {
        lock.unlock();
        ::nanosleep(&nap, nullptr);
        lock.lock();
      }
    }
  }

  // Uses memory that is there already. Returns false if even that fails.
  bool tell_gap(std::uint64_t count) {
    constexpr std::string_view after = " dropped here: the log's reader was too slow, its disk full, or memory short";
    std::array<char, 20> digits;
    gap_words.clear();
    if (format == LogFormat::json) {
      append_json_head(gap_words, 0, now_us(), LogLevel::error, nullptr);
      gap_words += '"';
    }
    gap_words.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), count).ptr);
    gap_words.append(count == 1 ? " line was" : " lines were").append(after);
    if (format == LogFormat::json) gap_words += "\"}";
    logger.error(gap_words);
    return !std::exchange(has_failed, false);
  }

  bool write_lines(const Record& record) {
    std::string_view left = record.text;
    while (true) {
      const std::size_t end = left.find('\n');
      logger.log(record.time, {}, record.level, left.substr(0, end));
      if (end == std::string_view::npos) return !std::exchange(has_failed, false);
      left.remove_prefix(end + 1);
    }
  }

  // With the lock: has the thread say how many lines were dropped, even if no other line follows. That line counts as
  // one to wait for, but not as one that is lost.
  void owe_gap() {
    if (!gap_owed) ++taken_in;
    gap_owed = true;
  }

  // Lines that have not been written.
  std::uint64_t unwritten() const noexcept { return taken_in - done + lost - (gap_owed ? 1 : 0); }

  // Whether everything queued by now has been written. A slow reader gets some time, one that does not read gets
  // little.
  bool await() {
    std::unique_lock lock(mutex);
    const std::uint64_t all = taken_in;
    Patience left(reader_patience, max_flush_time);
    while (done < all) {
      if (thrown_away || left.is_over()) return false;
      const std::uint64_t seen = done;
      if (!emptied.wait_until(lock, left.next(), [&] { return done != seen; }) && !left.stood_still()) return false;
    }
    return true;
  }

  // The same for places where no lock may be taken and nothing woken.
  bool await_in_handler() const noexcept {
    const std::uint64_t all = taken_in;
    constexpr timespec moment{0, 1'000'000};
    for (int tries = 0; tries < std::chrono::milliseconds(reader_patience).count() && done < all; ++tries) {
      ::nanosleep(&moment, nullptr);
    }
    return done >= all;
  }

  // For a reader that does not read: drops what it has not taken, and returns how many lines that is. What is being
  // written gets a moment, so that it is not counted if it goes out.
  std::uint64_t throw_away() {
    std::unique_lock lock(mutex);
    thrown_away = true;
    emptied.wait_for(lock, last_chunk, [this] { return !writing; });
    return unwritten();
  }

  const LogFormat format;
  spdlog::logger logger;  // writes on the calling thread
  std::mutex mutex;
  std::condition_variable filled;   // for the thread
  std::condition_variable emptied;  // for flush
  std::deque<Record> lines;
  std::array<Record, 64> batch;  // used by the thread
  std::string gap_words;         // used by the thread
  bool has_failed = false;       // to write the last line; used by the thread
  std::atomic<std::uint64_t> taken_in{0};
  std::atomic<std::uint64_t> done{0};  // lines written or dropped
  std::atomic<std::uint64_t> lost{0};  // lines dropped and not yet reported
  std::atomic<std::uint64_t> lost_before{0};
  std::atomic<bool> gap_owed{false};
  bool writing = false;
  bool closing = false;
  bool thrown_away = false;
};

Log::Log(LogLevel level, LogFormat format, Receiver receiver, History* kept)
    : level_(level), has_receiver_(receiver != nullptr), kept_(kept) {
  spdlog::sink_ptr sink;
  if (has_receiver_) {
    sink = std::make_shared<ReceiverSink>(std::move(receiver));
  } else {
    keep_stderr();
    sink = std::make_shared<StderrSink>();
    write_last_words_as_json(format == LogFormat::json);
  }
  const bool is_bare = format == LogFormat::json || (!has_receiver_ && stderr_is_journal());
  writer_ = std::make_shared<Writer>(format, is_bare, std::move(sink));
  thread_ = new_thread([writer = writer_] {
    pthread_setname_np(pthread_self(), "th-log");
    writer->work();
  });
}

Log::~Log() {
  const bool written = flush();
  if (!written) {
    give_up();
    close();
  }
  {
    const std::lock_guard lock(writer_->mutex);
    writer_->closing = true;
  }
  writer_->filled.notify_one();
  if (written) {
    thread_.join();
  } else {
    thread_.detach();  // can't be made to leave a write that does not return: it stays, with the queue
  }
}

void Log::write(LogLevel level, const char* task, std::string_view text) noexcept {
  try {
    if (closed_.load(std::memory_order_relaxed) || level < level_) return;
    if (!home_.is_here()) return tell_of_child(level, task, text);
    if (kept_ != nullptr) keep(level, task, text);
    writer_->put({spdlog::log_clock::now(), spdlog_level(level), record_of(writer_->format, level, task, text)});
  } catch (const std::exception&) {
    // If a line can't be written, what it reports must go on all the same.
    if (home_.is_here()) writer_->miss();
  }
}

void Log::keep(LogLevel level, const char* task, std::string_view text) {
  const std::int64_t time_us = now_us();
  std::string json;
  const std::lock_guard lock(keep_mutex_);
  append_log_json(json, ++kept_sequence_, time_us, level, task, text);
  kept_->put({.sequence = kept_sequence_,
              .time_us = time_us,
              .level = level,
              .task = task != nullptr ? task : std::string(),
              .json = std::move(json)});
}

void Log::finish() noexcept {
  if (flush() && writer_->lost == 0) return;
  try {
    give_up();
  } catch (const std::exception&) {
    // There is no memory for the message.
  }
}

// Only the first time: later lines are not counted again.
void Log::give_up() {
  if (has_receiver_ || closed_.exchange(true)) return;
  tell_missing(writer_->throw_away());
}

void Log::close() noexcept {
  closed_.store(true, std::memory_order_relaxed);
  try {
    if (auto* sink = dynamic_cast<ReceiverSink*>(writer_->logger.sinks().front().get())) sink->close();
  } catch (const std::exception&) {
    // The mutex can't be locked, so nobody calls the receiver, either.
  }
}

std::uint64_t Log::lines_lost() const noexcept { return writer_->lost_before + writer_->lost; }

bool Log::flush() noexcept {
  try {
    return writer_->await();
  } catch (const std::exception&) {
    return false;
  }
}

bool Log::flush_in_handler() noexcept {
  if (writer_->await_in_handler()) return true;
  if (!has_receiver_ && !closed_) tell_missing(writer_->unwritten());
  return false;
}

}  // namespace taskhost
