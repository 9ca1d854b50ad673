#include "stall_monitor.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "taskhost/core/duration.hpp"
#include "taskhost/core/system_failure.hpp"

namespace taskhost {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::nanoseconds stop_interval = 20ms;  // between two checks during a stop
constexpr int looks_per_limit = 4;
constexpr std::chrono::nanoseconds min_interval = 1ms;

int new_timer() {
  const int descriptor = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (descriptor < 0) throw system_failure(errno, "timerfd_create");
  return descriptor;
}

std::string milliseconds(std::chrono::nanoseconds duration) { return print_duration(duration / 1ms * 1ms); }

}  // namespace

StallMonitor::StallMonitor(boost::asio::io_context& control, ShardOwner& owner, EventSink& sink,
                           std::chrono::nanoseconds limit, JobThreads& threads, bool complete_events)
    : owner_(owner),
      sink_(sink),
      limit_(limit),
      threads_(threads),
      timer_(control, new_timer()),
      time_(limit, std::chrono::steady_clock::now()),
      complete_events_(complete_events) {}

StallMonitor::~StallMonitor() = default;

void StallMonitor::listen(std::function<void()> active) {
  active_ = std::move(active);
  armed_.store(true);
  set_timer(limit_ / looks_per_limit);
  wait();
}

void StallMonitor::arm() noexcept {
  if (!armed_.exchange(true, std::memory_order_acq_rel)) set_timer(limit_ / looks_per_limit);
}

void StallMonitor::set_timer(std::chrono::nanoseconds delay) noexcept {
  delay = std::max(delay, min_interval);
  itimerspec time{};
  time.it_value.tv_sec = static_cast<time_t>(delay / 1s);
  time.it_value.tv_nsec = static_cast<long>((delay % 1s).count());
  ::timerfd_settime(timer_.native_handle(), 0, &time, nullptr);
}

void StallMonitor::wait() {
  timer_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error || ended_) return;
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(timer_.native_handle(), &count, sizeof count);
    look();
    if (!ended_) wait();
  });
}

void StallMonitor::begin_stop(std::function<bool(ShardThread&)> give_up) {
  give_up_ = std::move(give_up);
  time_.advance(std::chrono::steady_clock::now());
  stop_.begin(time_.now());
  look();
}

void StallMonitor::expire_stop() {
  time_.advance(std::chrono::steady_clock::now());
  stop_.expire(time_.now());
  look();
}

void StallMonitor::begin_quit() {
  quitting_ = true;
  expire_stop();
}

void StallMonitor::end() {
  ended_ = true;
  boost::system::error_code ignored;
  timer_.cancel(ignored);
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  if (log_gate_.holds_back()) sink_.summarize(log_gate_.take(to_nanoseconds(now)));
}

void StallMonitor::look() {
  const WatchTime::Real real = std::chrono::steady_clock::now();
  time_.advance(real);
  const Time now = time_.now();
  const Nanoseconds real_now = to_nanoseconds(real.time_since_epoch());
  if (log_gate_.refill(real_now)) sink_.summarize(log_gate_.take(real_now));
  for (Member& member : members_) {
    if (!member.given_up && can_be_stuck(member)) look_at(member, now);
    if (ended_) return;
  }
  tell_untold(now);
  bool acted = stop_.begun();
  for (Member& member : members_) acted = member.thread->shard().take_acted() || acted;
  if (acted && active_) active_();

  std::chrono::nanoseconds interval = limit_ / looks_per_limit;
  for (const Member& member : members_) {
    interval = std::min(interval, member.watch.patience(now) / looks_per_limit);
  }
  if (stop_.begun()) interval = std::min(interval, stop_interval);
  interval = std::max(interval, min_interval);
  const auto busy = [this] {
    return stop_.begun() || !untold_.empty() || log_gate_.holds_back() ||
           std::any_of(members_.begin(), members_.end(), [this](const Member& member) {
             const Shard& shard = member.thread->shard();
             return (shard.awake() && can_be_stuck(member)) || shard.acted();
           });
  };
  if (!busy()) {
    time_.next_look_in(std::nullopt);
    armed_.store(false, std::memory_order_relaxed);
    heavy_fence();
    // A shard that has just woken up either sees that the timer is not armed, or is seen here.
    if (!busy() || armed_.exchange(true, std::memory_order_acq_rel)) return;
  }
  time_.next_look_in(interval);
  set_timer(interval);
}

void StallMonitor::look_at(Member& member, Time now) {
  const Time since = member.watch.since();
  if (!member.watch.look(member.thread->shard().tenure().look(), now)) {
    if (member.logged != nullptr) {
      sink_.log(LogLevel::info, member.logged->name(),
                "it returned after " + milliseconds(now - since) + ", and shard " +
                    std::to_string(member.thread->number()) + " goes on");
    }
    member.told = false;
    member.logged = nullptr;
    member.told_bound = false;
  } else if (member.watch.sight().call) {
    look_at_call(member, now);
  } else if (member.watch.sight().in_loop() && stop_.is_hopeless(since, now)) {
    if (member.thread->shard().tenure().pin(member.watch.sight())) give_up(member);
  }
}

void StallMonitor::look_at_call(Member& member, Time now) {
  const Time since = member.watch.since();
  const std::chrono::nanoseconds blocked_for = now - since;
  const bool impatient = blocked_for >= member.watch.patience(now);
  if (!impatient && !stop_.is_stuck(since, now)) return;
  Tenure& tenure = member.thread->shard().tenure();
  if (!tenure.pin(member.watch.sight())) return;
  TaskCell& cell = *tenure.pinned();
  const bool over = stop_.is_stuck(since, now) && stop_.is_over(cell.options().stop_timeout, now);
  if (!over && !impatient) {
    tenure.unpin();
    return;
  }
  if (blocked_for >= limit_) {
    member.watch.note_stall(now);
    if (!member.told && tell(event_of(cell), tenure, blocked_for)) {
      tenure.set_told();
      member.logged = &cell;
    }
    member.told = true;
  }
  try {
    // From here until take, the new thread may already own the shard; the old one waits at the end of its call.
    Untold untold{nullptr, &member, since, {}};
    if (!member.told) {
      untold.event = event_of(cell);
      untold_.reserve(untold_.size() + 1);
    }
    untold.tenure = member.thread->take_over(threads_, over, static_cast<Nanoseconds>(blocked_for.count()));
    if (!member.told) untold_.push_back(std::move(untold));
    tenure.take();
    member.watch.forget();
    member.told = false;
    member.logged = nullptr;
    member.told_bound = false;
  } catch (const std::exception& error) {
    refuse(member, now, over, error.what());
  }
}

// To be called when no other thread can go on with the shard.
void StallMonitor::refuse(Member& member, Time now, bool over, const char* why) {
  const Shard& shard = member.thread->shard();
  Tenure& tenure = shard.tenure();
  if (!member.told_bound && (over || member.logged != nullptr)) {
    sink_.log(LogLevel::error, tenure.pinned()->name(),
              "its " + std::string(to_string(tenure.frame.requests.stage)) + " holds up all of shard " +
                  std::to_string(member.thread->number()) + ": no other thread can take over: " + why);
    member.told_bound = true;
  }
  if (over && stop_.is_over(shard.longest_stop_timeout(), now)) {
    give_up(member);
  } else {
    tenure.unpin();
  }
}

// Only while its thread is pinned.
void StallMonitor::give_up(Member& member) {
  Tenure& tenure = member.thread->shard().tenure();
  member.given_up = give_up_(*member.thread);
  if (member.given_up) {
    tenure.give_up();
  } else {
    tenure.unpin();
  }
}

void StallMonitor::tell_untold(Time now) {
  std::erase_if(untold_, [&](const Untold& stall) {
    bool told = false;
    const bool out = stall.tenure->while_out([&] {
      if (now - stall.since < limit_) return;
      stall.member->watch.note_stall(now);
      if (tell(stall.event, *stall.tenure, now - stall.since)) stall.tenure->set_told();
      told = true;
    });
    return told || !out;
  });
}

// Only while the call is pinned, so that nobody changes what is read here.
Event StallMonitor::event_of(TaskCell& cell) const {
  TaskNews news{.kind = EventKind::task_stalled, .execution = cell.execution};
  news.remaining = cell.remaining(cell.kind->shard.clock().now());
  return taskhost::event_of(std::move(news), cell, owner_.task_id(cell.index), false);
}

// Only while the call can't return. False if it is not in the log.
bool StallMonitor::tell(Event event, const Tenure& stuck, std::chrono::nanoseconds blocked_for) {
  const bool is_first = named_.insert(stuck.pinned()->index).second;
  event.for_log = is_first ? log_gate_.admit(event, event.task, stop_.begun())
                           : log_gate_.admit_again(event, event.task, stop_.begun());
  if (!event.for_log && !complete_events_.load(std::memory_order_relaxed)) return false;
  const bool for_log = event.for_log;
  event.stalled_ms = static_cast<std::uint64_t>(blocked_for / 1ms);
  event.message = "its " + std::string(to_string(stuck.frame.requests.stage)) + " has blocked its thread for " +
                  milliseconds(blocked_for) + owner_.statuses().words(stuck.pinned()->index, stuck.pinned()->execution);
  sink_.publish(std::move(event));
  return for_log;
}

}  // namespace taskhost
