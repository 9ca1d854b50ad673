// All output: takes the supervisor's events and lines, numbers the events, hands them to subscribers on a thread of its
// own, and logs what people should read. Any thread, unless stated otherwise.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "events/history.hpp"
#include "events/host_event.hpp"
#include "events/log.hpp"
#include "taskhost/core/event.hpp"

namespace taskhost {

class EventLog final : public EventSink {
 public:
  struct Limits {
    std::size_t queue = 65'536;  // events that may wait for subscribers
    // How long one event waits for room in a full queue. A reader that takes more than about 1,000 events a second
    // slows the host down and loses nothing; with a slower one, events are lost until half of the queue is free. At the
    // end, how long one call of a subscriber may take.
    std::chrono::milliseconds patience{1000};
    std::chrono::milliseconds close{5000};  // at the end, for all waiting events
  };

  struct Record {
    std::uint64_t sequence;
    std::string_view name;
    const char* task;       // or null
    std::string_view json;  // followed by a NUL
    bool more;              // another one follows at once
  };
  using Subscriber = std::function<void(const Record&)>;

  explicit EventLog(Log& log) : EventLog(log, Limits{}) {}
  EventLog(Log& log, const Limits& limits) : log_(log), limits_(limits) {}
  // After close, or without open.
  ~EventLog() override;

  // Before open, by the owner.
  void subscribe(Subscriber subscriber) { subscribers_.push_back(std::move(subscriber)); }
  bool has_subscribers() const noexcept { return !subscribers_.empty(); }
  std::size_t subscriber_count() const noexcept { return subscribers_.size(); }

  // Before open, by the owner: keeps the events of this log, which are those that somebody listens to, or else those
  // that the log shows, with the sums of what it holds back. Never slows the host down.
  void keep(History& kept) { kept_ = &kept; }
  // [any thread] Whether the host publishes all events now, though there are no subscribers.
  void set_complete(bool complete) noexcept;

  // By the owner. close hands out what is left. If it returns false, a subscriber did not return and its thread was
  // left behind, so this object must live for ever.
  void open();
  bool close();
  // For a process that ends at once: takes no more events, and hands out the waiting ones for up to limits.patience.
  // Those left after that are not handed out, and the log has their number.
  void flush() noexcept;

  bool publish(Event&& event) noexcept override;
  void publish(PluginLoaded&& loaded) noexcept;
  LogLevel log_level() const noexcept override { return log_.level(); }
  void summarize(const LogSummary& summary) noexcept override;
  void log(LogLevel level, const char* task, std::string_view text) noexcept override { log_.write(level, task, text); }

  // [any thread] Counted since open, and while there are subscribers or events are kept.
  struct Totals {
    std::uint64_t published = 0;  // with those that were lost
    std::uint64_t lost = 0;
  };
  Totals totals() {
    const std::lock_guard lock(mutex_);
    return {published_ + lost_, lost_before_ + lost_};
  }

  bool stopping() const noexcept { return stopping_.load(std::memory_order_acquire); }

 private:
  using AnyEvent = std::variant<Event, PluginLoaded, EventsLost, EventsSummed>;
  struct Entry {
    AnyEvent event;
    std::int64_t time_us = 0;

    // Of events that it stands for.
    std::uint64_t weight() const noexcept {
      const auto* const lost = std::get_if<EventsLost>(&event);
      return lost != nullptr ? lost->count : 1;
    }
  };

  bool wait_for_room(std::unique_lock<std::mutex>& lock);
  void enqueue(AnyEvent&& event, bool has_room);
  std::uint64_t give_up();
  void tell_missing(std::uint64_t missing) noexcept;
  void remember_lost(const Event& event);
  std::string lost_words() const;
  void work(std::vector<Entry> entries);
  std::size_t hand_out(const std::vector<Entry>& entries, bool more);
  void hand_out(std::string& line, const Entry& entry, bool is_last);
  void keep_only_the_end(std::vector<Entry>& entries, std::size_t handed);

  Log& log_;
  const Limits limits_;
  std::vector<Subscriber> subscribers_;
  History* kept_ = nullptr;
  std::atomic<bool> stopping_{false};

  std::mutex mutex_;
  std::condition_variable filled_;   // for the worker
  std::condition_variable emptied_;  // for publishers, flush and close
  std::deque<Entry> queue_;
  std::uint64_t lost_ = 0;  // since the last accepted event
  std::uint64_t lost_before_ = 0;
  // Events, including those that an events_lost stands for.
  std::uint64_t published_ = 0;
  std::atomic<std::uint64_t> handed_out_{0};
  std::atomic<bool> given_up_{false};  // events that were not handed out have been reported as lost
  std::atomic<bool> hurrying_{false};  // close has no time left for waiting events
  std::int64_t complete_since_us_ = std::numeric_limits<std::int64_t>::max();  // while all events are published
  bool skipping_ = false;  // the reader is too slow: events are lost until half of the queue is free
  bool closing_ = false;
  bool stopped_ = false;  // host_stopped was published: nothing comes after it
  bool worker_done_ = true;
  std::unordered_map<const char*, std::uint64_t> lost_tasks_;  // over without having ended well; numbered in that order
  std::uint64_t lost_task_count_ = 0;
  CauseCounts gave_up_causes_;

  std::uint64_t sequence_ = 0;  // used by the worker
  std::uint64_t unmade_ = 0;    // events for whose lines there was no memory; reported with the next. The worker's
  std::thread worker_;
};

}  // namespace taskhost
