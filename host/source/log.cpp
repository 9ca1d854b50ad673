#include "log.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "event_json.hpp"
#include "manifest_text.hpp"

namespace taskhost {

namespace {

constexpr std::size_t queue_size = 1024;        // lines; spdlog allocates them at once
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

// Passes a flush on to the sink's own and tells who waits for it.
struct FlushSink final : spdlog::sinks::base_sink<std::mutex> {
  void sink_it_(const spdlog::details::log_msg&) override {}
  void flush_() override {
    {
      const std::lock_guard lock(mutex);
      ++flushes;
    }
    changed.notify_all();
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t flushes = 0;
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

Log::Log(LogLevel level, LogFormat format, Receiver receiver) : format_(format) {
  threads_ = std::make_shared<spdlog::details::thread_pool>(queue_size, 1,
                                                            [] { pthread_setname_np(pthread_self(), "th-log"); });
  spdlog::sink_ptr sink;
  if (receiver) {
    sink = std::make_shared<ReceiverSink>(std::move(receiver));
  } else {
    sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>();
  }
  const spdlog::sinks_init_list sinks{sink, std::make_shared<FlushSink>()};
  logger_ = std::make_shared<spdlog::async_logger>("taskhost", sinks, threads_,
                                                   spdlog::async_overflow_policy::overrun_oldest);
  logger_->set_level(spdlog_level(level));
  logger_->set_pattern(format == LogFormat::json ? "%v" : "%Y-%m-%d %H:%M:%S.%e %^%-7l%$ %v");
}

Log::~Log() {
  if (const auto lost = threads_->overrun_counter(); lost != 0) {
    write(LogLevel::warning, nullptr,
          "the log could not be kept up with: " + std::to_string(lost) + " lines were left out");
  }
  if (flush()) return;
  // Its thread can't be told to leave a write that does not return: both stay.
  static auto* const left_behind = new std::vector<std::shared_ptr<void>>;
  left_behind->push_back(threads_);
  left_behind->push_back(logger_);
}

void Log::write(LogLevel level, const char* task, std::string_view text) noexcept {
  try {
    if (closed_.load(std::memory_order_relaxed) || !logger_->should_log(spdlog_level(level))) return;
    logger_->log(spdlog_level(level), line(level, task, text));
  } catch (const std::exception&) {
    // A line that can't be written must not stop what it tells of.
  }
}

void Log::close() noexcept {
  closed_.store(true, std::memory_order_relaxed);
  try {
    if (auto* sink = dynamic_cast<ReceiverSink*>(logger_->sinks().front().get())) sink->close();
  } catch (const std::exception&) {
    // A mutex that can't be locked: then nobody calls the receiver either.
  }
}

bool Log::flush() noexcept {
  try {
    auto* sink = static_cast<FlushSink*>(logger_->sinks().back().get());
    std::unique_lock lock(sink->mutex);
    const std::uint64_t before = sink->flushes;
    lock.unlock();
    logger_->flush();
    lock.lock();
    return sink->changed.wait_for(lock, flush_limit, [&] { return sink->flushes != before; });
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
