#include "events/event_log.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <new>
#include <string>
#include <utility>

#include "events/event_json.hpp"
#include "events/event_text.hpp"
#include "events/patience.hpp"
#include "taskhost/core/system_failure.hpp"

namespace taskhost {

namespace {

constexpr std::size_t batch = 1024;  // events handed out at once, so that room comes in small steps

std::string_view name_of(const Event& event) { return to_string(event.kind); }
template <class HostEvent>
std::string_view name_of(const HostEvent&) {
  return HostEvent::kind;
}

const char* task_of(const Event& event) { return event.task; }
const char* task_of(const PluginLoaded& loaded) { return loaded.name.c_str(); }
const char* task_of(const EventsLost&) { return nullptr; }
const char* task_of(const EventsSummed&) { return nullptr; }

}  // namespace

EventLog::~EventLog() {
  if (worker_.joinable()) worker_.join();
}

void EventLog::open() {
  if (subscribers_.empty() && kept_ == nullptr) return;
  worker_done_ = false;
  std::vector<Entry> room;
  room.reserve(batch);
  worker_ = new_thread([this, room = std::move(room)]() mutable { work(std::move(room)); });
}

bool EventLog::close() {
  if (!worker_.joinable()) return true;
  std::unique_lock lock(mutex_);
  closing_ = true;
  filled_.notify_one();
  Patience left(limits_.patience, limits_.close);
  bool has_hurried = false;
  while (!worker_done_) {
    if (!has_hurried && left.is_over()) {
      has_hurried = hurrying_ = true;
      log_.write(LogLevel::warning, nullptr, "the events' reader is too slow: waiting events are dropped");
    }
    const std::uint64_t seen = handed_out_;
    const bool moved = emptied_.wait_until(lock, left.next(), [&] { return worker_done_ || handed_out_ != seen; });
    if (!moved && !left.stood_still()) {
      const std::uint64_t missing = give_up();
      lock.unlock();
      worker_.detach();
      tell_missing(missing);
      return false;
    }
  }
  const std::uint64_t missing = give_up();  // those for which there was no memory
  lock.unlock();
  worker_.join();
  tell_missing(missing);
  return true;
}

// With the lock. Nothing is handed out from now on, so the number stays correct.
std::uint64_t EventLog::give_up() {
  given_up_ = true;
  return published_ + lost_ - handed_out_;
}

void EventLog::tell_missing(std::uint64_t missing) noexcept {
  if (missing == 0) return;
  try {
    log_.write(LogLevel::error, nullptr,
               "the events' reader does not read: the last " + std::to_string(missing) + " events are lost");
  } catch (const std::exception&) {
    // There is no memory for the message.
  }
}

void EventLog::flush() noexcept {
  try {
    std::unique_lock lock(mutex_);
    if (worker_done_) return;
    stopped_ = true;
    const std::uint64_t all = published_;
    Patience left(limits_.patience, limits_.patience);
    while (!emptied_.wait_until(lock, left.next(), [&] { return worker_done_ || handed_out_ >= all; })) {
      if (!left.stood_still()) break;
    }
    const std::uint64_t missing = give_up();
    lock.unlock();
    tell_missing(missing);
  } catch (const std::exception&) {
    // Flushing is only a courtesy.
  }
}

bool EventLog::publish(Event&& event) noexcept {
  try {
    std::string last_words;
    const EventText text = event.for_log ? event_text(event, stopping()) : EventText{};
    {
      std::unique_lock lock(mutex_);
      // The few events of the host itself are always accepted: how it ended must not be lost.
      const bool is_end = event.kind == EventKind::host_stopping || event.kind == EventKind::host_stopped;
      const bool has_room = is_end || wait_for_room(lock);
      // The lock is held from here on, so that rejected events and those accepted before the stop are in one order.
      if (stopped_) return false;
      if (event.kind == EventKind::task_started && stopping_.load(std::memory_order_relaxed)) return false;
      if (event.kind == EventKind::host_stopping) stopping_.store(true, std::memory_order_release);
      if (event.kind == EventKind::host_stopped) {
        stopped_ = true;
        last_words = lost_words();
      }
      remember_lost(event);
      enqueue(std::move(event), has_room);
    }
    if (!last_words.empty()) log_.write(LogLevel::warning, nullptr, last_words);
    if (!text.words.empty()) log_.write(text.level, text.task, text.words);
  } catch (const std::exception&) {
    const std::lock_guard lock(mutex_);
    ++lost_;  // counted like an event that meets a full queue
  }
  return true;
}

void EventLog::publish(PluginLoaded&& loaded) noexcept {
  try {
    const EventText text = event_text(loaded);
    {
      std::unique_lock lock(mutex_);
      const bool has_room = wait_for_room(lock);
      enqueue(std::move(loaded), has_room);
    }
    log_.write(text.level, text.task, text.words);
  } catch (const std::exception&) {
    const std::lock_guard lock(mutex_);
    ++lost_;
  }
}

void EventLog::remember_lost(const Event& event) {
  if (event.kind == EventKind::task_started) lost_tasks_.erase(event.task);  // an operator has started it again
  if (event.kind == EventKind::task_gave_up && !event.message.empty()) gave_up_causes_.count(event.message);
  if (event.kind != EventKind::task_discarded || !is_lost(event)) return;
  lost_tasks_.try_emplace(event.task, lost_task_count_++);
}

// Tasks that are dead should not look healthy at the end.
std::string EventLog::lost_words() const {
  constexpr std::size_t max_named = 8;
  std::vector<std::pair<std::uint64_t, const char*>> in_order;
  for (const auto& [task, place] : lost_tasks_) in_order.emplace_back(place, task);
  std::sort(in_order.begin(), in_order.end());
  std::string names;
  for (std::size_t i = 0; i < std::min(max_named, in_order.size()); ++i) {
    names += (names.empty() ? "'" : ", '") + std::string(in_order[i].second) + "'";
  }
  if (in_order.size() > max_named) names += " and " + std::to_string(in_order.size() - max_named) + " more";
  if (names.empty()) return names;
  const std::string causes = gave_up_causes_.empty() ? "" : "; gave up: " + causes_text(gave_up_causes_);
  return "tasks lost during this run: " + names + causes;
}

// The only place where a reader may slow the host down. Those who ask for kept events may not.
bool EventLog::wait_for_room(std::unique_lock<std::mutex>& lock) {
  if (worker_done_) return true;
  if (skipping_) {
    skipping_ = queue_.size() > limits_.queue / 2;
    return !skipping_;
  }
  if (queue_.size() < limits_.queue) return true;
  if (subscribers_.empty()) {
    skipping_ = true;
    return false;
  }
  Patience left(limits_.patience, limits_.patience);
  while (!emptied_.wait_until(lock, left.next(), [this] { return queue_.size() < limits_.queue; })) {
    if (left.stood_still()) continue;
    skipping_ = true;
    return false;
  }
  return true;
}

void EventLog::enqueue(AnyEvent&& event, bool has_room) {
  if (!has_room) {
    ++lost_;
    return;
  }
  if (worker_done_) return;
  const std::int64_t time_us = now_us();
  if (lost_ != 0) {
    queue_.push_back({EventsLost{lost_}, time_us});
    published_ += lost_;
    lost_before_ += lost_;
    lost_ = 0;
  }
  queue_.push_back({std::move(event), time_us});
  ++published_;
  filled_.notify_one();
}

void EventLog::work(std::vector<Entry> entries) {
  pthread_setname_np(pthread_self(), "th-events");
  std::unique_lock lock(mutex_);
  while (true) {
    filled_.wait(lock, [this] { return closing_ || !queue_.empty(); });
    if (queue_.empty()) break;
    entries.clear();
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(batch, queue_.size()));
    entries.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
    queue_.erase(queue_.begin(), end);
    const bool more = !queue_.empty();
    lock.unlock();
    emptied_.notify_all();
    const std::size_t handed = hand_out(entries, more);
    lock.lock();
    if (handed != entries.size()) keep_only_the_end(entries, handed);
    emptied_.notify_all();
  }
  worker_done_ = true;
  emptied_.notify_all();
}

// Returns how many it handed out.
std::size_t EventLog::hand_out(const std::vector<Entry>& entries, bool more) {
  std::string line;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (hurrying_.load(std::memory_order_relaxed)) {
      hurrying_ = false;
      return i;
    }
    if (given_up_.load(std::memory_order_relaxed)) return entries.size();
    const bool is_last = !more && i + 1 == entries.size();
    try {
      if (unmade_ != 0) {
        hand_out(line, {EventsLost{unmade_}, entries[i].time_us}, false);
        unmade_ = 0;
      }
      hand_out(line, entries[i], is_last);
    } catch (const std::bad_alloc&) {
      unmade_ += entries[i].weight();
    }
  }
  return entries.size();
}

void EventLog::hand_out(std::string& line, const Entry& entry, bool is_last) {
  line.clear();
  std::visit([&](const auto& event) { append_event_json(line, event, sequence_ + 1, entry.time_us); }, entry.event);
  ++sequence_;
  const Record record{sequence_, std::visit([](const auto& event) { return name_of(event); }, entry.event),
                      std::visit([](const auto& event) { return task_of(event); }, entry.event), line, !is_last};
  if (kept_ != nullptr) {
    kept_->put({.sequence = sequence_,
                .time_us = entry.time_us,
                .task = record.task != nullptr ? record.task : std::string(),
                .json = line});
  }
  for (const Subscriber& subscriber : subscribers_) subscriber(record);
  handed_out_.fetch_add(entry.weight(), std::memory_order_relaxed);
}

// With the lock, when there is no time left: counts the waiting events as lost, except for the last one.
void EventLog::keep_only_the_end(std::vector<Entry>& entries, std::size_t handed) {
  entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(handed));
  queue_.insert(queue_.begin(), std::make_move_iterator(entries.begin()), std::make_move_iterator(entries.end()));
  Entry last = std::move(queue_.back());
  queue_.pop_back();
  std::uint64_t lost = 0;
  for (const Entry& entry : queue_) lost += entry.weight();
  queue_.clear();
  if (lost != 0) queue_.push_back({EventsLost{lost}, now_us()});
  queue_.push_back(std::move(last));
}

void EventLog::set_complete(bool complete) noexcept {
  const std::lock_guard lock(mutex_);
  complete_since_us_ = complete ? now_us() : std::numeric_limits<std::int64_t>::max();
}

void EventLog::summarize(const LogSummary& summary) noexcept {
  try {
    log_.write(summary.level, nullptr, summary_text(summary));
    if (kept_ == nullptr || !subscribers_.empty()) return;
    // A sum from before and after is told: rather twice than not at all.
    const std::int64_t since = now_us() - static_cast<std::int64_t>(summary.milliseconds) * 1000;
    std::unique_lock lock(mutex_);
    if (stopped_ || since > complete_since_us_) return;
    const bool has_room = wait_for_room(lock);
    enqueue(EventsSummed{.starts = summary.starts,
                         .exits = summary.exits,
                         .failures = summary.failures,
                         .restarts = summary.restarts,
                         .stalls = summary.stalls,
                         .ends = summary.ends,
                         .milliseconds = summary.milliseconds},
            has_room);
  } catch (const std::exception&) {
    // The event stream has every event, unless they are only kept.
    if (kept_ == nullptr) return;
    const std::lock_guard lock(mutex_);
    ++lost_;
  }
}

}  // namespace taskhost
