#include "log.hpp"

#include <pthread.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "event_json.hpp"
#include "manifest_text.hpp"

namespace taskhost {

namespace {

constexpr std::size_t queue_size = 8192;        // lines
constexpr std::size_t line_limit = 4096 + 512;  // bytes: a task's longest message, and what we say around it
constexpr std::chrono::seconds flush_limit{1};

class ReceiverSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit ReceiverSink(Log::Receiver receiver) : receiver_(std::move(receiver)) {}

  void close() {
    const std::lock_guard lock(mutex_);
    receiver_ = nullptr;
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (!receiver_) return;
    // The levels are spdlog's, which begin with the same numbers.
    receiver_(static_cast<LogLevel>(message.level), std::string_view(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}

  Log::Receiver receiver_;
};

std::string_view name_of(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::trace:
      return "trace";
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
    case LogLevel::off:
      return "off";
  }
  return "?";
}

spdlog::level::level_enum spdlog_level(LogLevel level) noexcept {
  return level == LogLevel::off ? spdlog::level::off : static_cast<spdlog::level::level_enum>(level);
}

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

// The queue, and who empties it. Shared with the thread, which a writer that does not return may keep for ever.
// spdlog's own asynchronous logger would do, but its thread looks around every ten seconds; ours sleeps as long as all
// is quiet.
struct Log::Writer {
  struct Line {
    spdlog::level::level_enum level;
    std::string text;
  };

  explicit Writer(spdlog::sink_ptr sink) : logger("taskhost", std::move(sink)) {}

  void put(Line&& line) {
    {
      const std::lock_guard lock(mutex);
      if (lines.size() == queue_size) {
        lines.pop_front();
        ++lost;
        ++done;
      }
      lines.push_back(std::move(line));
      ++taken_in;
    }
    filled.notify_one();
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      filled.wait(lock, [this] { return closing || !lines.empty(); });
      if (lines.empty()) return;
      std::deque<Line> batch;
      batch.swap(lines);
      lock.unlock();
      for (const Line& line : batch) logger.log(line.level, line.text);  // an error of the sink's is spdlog's to tell
      logger.flush();
      lock.lock();
      done += batch.size();
      emptied.notify_all();
    }
  }

  // Whether all that had come in by now went out in time.
  bool await() {
    std::unique_lock lock(mutex);
    return emptied.wait_for(lock, flush_limit, [this, all = taken_in] { return done >= all; });
  }

  spdlog::logger logger;  // writes on the calling thread
  std::mutex mutex;
  std::condition_variable filled;   // the thread waits
  std::condition_variable emptied;  // flush waits
  std::deque<Line> lines;
  std::uint64_t taken_in = 0;
  std::uint64_t done = 0;  // written, or thrown away
  std::uint64_t lost = 0;
  bool closing = false;
};

Log::Log(LogLevel level, LogFormat format, Receiver receiver) : format_(format) {
  spdlog::sink_ptr sink;
  if (receiver) {
    sink = std::make_shared<ReceiverSink>(std::move(receiver));
  } else {
    sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>();
  }
  writer_ = std::make_shared<Writer>(std::move(sink));
  writer_->logger.set_level(spdlog_level(level));
  writer_->logger.set_pattern(format == LogFormat::json ? "%v" : "%Y-%m-%d %H:%M:%S.%e %^%-7l%$ %v");
  thread_ = std::thread([writer = writer_] {
    pthread_setname_np(pthread_self(), "th-log");
    writer->work();
  });
}

Log::~Log() {
  std::uint64_t lost = 0;
  {
    const std::lock_guard lock(writer_->mutex);
    lost = writer_->lost;
  }
  if (lost != 0) {
    write(LogLevel::warning, nullptr,
          "the log could not be kept up with: " + std::to_string(lost) + " lines were left out");
  }
  const bool written = flush();
  {
    const std::lock_guard lock(writer_->mutex);
    writer_->closing = true;
  }
  writer_->filled.notify_one();
  if (written) {
    thread_.join();
  } else {
    thread_.detach();  // it can't be told to leave a write that does not return: it stays, with the queue
  }
}

void Log::write(LogLevel level, const char* task, std::string_view text) noexcept {
  try {
    if (closed_.load(std::memory_order_relaxed) || !writer_->logger.should_log(spdlog_level(level))) return;
    writer_->put({spdlog_level(level), line(level, task, text)});
  } catch (const std::exception&) {
    // A line that can't be written must not stop what it tells of.
  }
}

void Log::close() noexcept {
  closed_.store(true, std::memory_order_relaxed);
  try {
    if (auto* sink = dynamic_cast<ReceiverSink*>(writer_->logger.sinks().front().get())) sink->close();
  } catch (const std::exception&) {
    // A mutex that can't be locked: then nobody calls the receiver either.
  }
}

bool Log::flush() noexcept {
  try {
    return writer_->await();
  } catch (const std::exception&) {
    return false;
  }
}

std::string Log::line(LogLevel level, const char* task, std::string_view text) const {
  std::string result;
  if (format_ == LogFormat::text) {
    if (task != nullptr) result.append("[").append(printable_text(task, 128)).append("] ");
    result += printable_text(text, line_limit);
    return result;
  }
  result = "{\"time\":\"";
  append_time(result, now_us());
  result.append("\",\"level\":\"").append(name_of(level)).append("\"");
  if (task != nullptr) {
    result += ",\"task\":";
    append_json_string(result, task);
  }
  result += ",\"message\":";
  append_json_string(result, text);
  result += "}";
  return result;
}

}  // namespace taskhost
