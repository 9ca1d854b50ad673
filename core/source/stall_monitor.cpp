#include "stall_monitor.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "system_failure.hpp"

namespace taskhost {

namespace {

using namespace std::chrono_literals;

// While a stop is under way: how often to look, and how long the very same call must have been seen, beyond its task's
// stop_timeout, before its shard is taken over.
constexpr std::chrono::nanoseconds stop_interval = 20ms;
constexpr std::chrono::nanoseconds stuck_after = 200ms;
// A shard that is stuck outside any call (a handler that a C++ task posted by itself) can't be taken over. When the
// stop has run out of time, or all tasks have ended, and it has made no step for so long, it is given up.
constexpr std::chrono::nanoseconds give_up_after = 5s;
// A shard that was just taken over probably has more such tasks: the next calls get this part of the limit.
constexpr int hurry = 16;
constexpr int looks_a_limit = 4;
constexpr std::chrono::nanoseconds shortest_interval = 1ms;

int new_timer() {
  const int descriptor = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (descriptor < 0) throw system_failure(errno, "timerfd_create");
  return descriptor;
}

std::string milliseconds(std::chrono::nanoseconds duration) { return std::to_string(duration / 1ms) + " ms"; }

}  // namespace

StallMonitor::StallMonitor(boost::asio::io_context& control, ShardOwner& owner, EventSink& sink,
                           std::chrono::nanoseconds limit, JobThreads& threads)
    : owner_(owner), sink_(sink), limit_(limit), threads_(threads), timer_(control, new_timer()) {}

StallMonitor::~StallMonitor() = default;

void StallMonitor::listen() {
  armed_.store(true);
  last_look_ = std::chrono::steady_clock::now();
  set_timer(interval_ = limit_ / looks_a_limit);
  wait();
}

void StallMonitor::arm() noexcept {
  if (!armed_.exchange(true, std::memory_order_acq_rel)) set_timer(limit_ / looks_a_limit);
}

void StallMonitor::set_timer(std::chrono::nanoseconds delay) noexcept {
  delay = std::max(delay, shortest_interval);
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

void StallMonitor::begin_stop(Time began, std::function<bool(ShardThread&)> stuck_outside) {
  stopping_ = true;
  stop_began_ = began;
  stuck_outside_ = std::move(stuck_outside);
  look();
}

void StallMonitor::expire_stop() {
  expired_ = true;
  expired_at_ = std::chrono::steady_clock::now();
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
}

void StallMonitor::look() {
  const Time now = std::chrono::steady_clock::now();
  // Where this thread itself came late (a paused machine, a busy one), the calls may have had no more time than it.
  const std::chrono::nanoseconds late = now - last_look_ - 2 * interval_;
  last_look_ = now;
  for (Member& member : members_) {
    if (late > 0ns) member.since = std::min(now, member.since + late);
    if (!member.given_up && can_be_stuck(member)) look_at(member, now);
    if (ended_) return;
  }
  tell_untold(now);

  std::chrono::nanoseconds interval = limit_ / looks_a_limit;
  for (const Member& member : members_) {
    if (hurries(member, now)) interval = std::min(interval, patience(member, now) / looks_a_limit);
  }
  if (stopping_) interval = std::min(interval, stop_interval);
  const auto busy = [this] {
    return stopping_ || !untold_.empty() || std::any_of(members_.begin(), members_.end(), [this](const Member& member) {
             return member.thread->shard().awake() && can_be_stuck(member);
           });
  };
  if (!busy()) {
    armed_.store(false, std::memory_order_relaxed);
    heavy_fence();
    // A shard that woke up meanwhile either sees that nothing is armed, or is seen here.
    if (!busy() || armed_.exchange(true, std::memory_order_acq_rel)) return;
  }
  set_timer(interval_ = interval);
}

void StallMonitor::look_at(Member& member, Time now) {
  const Tenure& tenure = member.thread->shard().tenure();
  const std::uint64_t step = tenure.steps();
  const bool in_call = tenure.in_call();
  if (step != member.step || in_call != member.in_call) {
    if (member.told != nullptr) {
      sink_.log(LogLevel::info, member.told->name(),
                "it returned after " + milliseconds(now - member.since) + ", and shard " +
                    std::to_string(member.thread->number()) + " goes on");
    }
    member.step = step;
    member.in_call = in_call;
    member.since = now;
    member.told = nullptr;
    member.told_bound = false;
  } else if (in_call) {
    look_at_call(member, now);
  } else if (expired_ && now - std::max(member.since, expired_at_) >= give_up_after) {
    member.given_up = stuck_outside_(*member.thread);
  }
}

std::chrono::nanoseconds StallMonitor::patience(const Member& member, Time now) const {
  return hurries(member, now) ? limit_ / hurry : limit_;
}

// Whether the call has used up the time that its task has for stopping.
bool StallMonitor::is_over(const Member& member, const TaskCell& cell, Time now) const {
  if (!stopping_ || now - member.since < stuck_after) return false;
  return expired_ || now - stop_began_ >= cell.options().stop_timeout;
}

void StallMonitor::look_at_call(Member& member, Time now) {
  const std::chrono::nanoseconds blocked_for = now - member.since;
  if (blocked_for < patience(member, now) && !(stopping_ && blocked_for >= stuck_after)) return;
  Tenure& tenure = member.thread->shard().tenure();
  const TaskCell* const pinned = tenure.pin(member.step);
  if (pinned == nullptr) return;
  const TaskCell& cell = *pinned;
  const bool over = is_over(member, cell, now);
  if (!over && blocked_for < patience(member, now)) {
    tenure.unpin();
    return;
  }
  if (member.told == nullptr && blocked_for >= limit_) {
    tell(cell, tenure.frame.requests.stage, blocked_for);
    member.told = &cell;
  }
  try {
    // From here to take, the new thread may own the shard already; the old one waits at the end of its call.
    Untold stall{nullptr, member.since};
    if (member.told == nullptr) untold_.reserve(untold_.size() + 1);
    stall.tenure = member.thread->take_over(threads_, over, static_cast<Nanoseconds>(blocked_for.count()));
    if (member.told == nullptr) untold_.push_back(std::move(stall));
    tenure.take();
    member.taken_over = now;
    member.told = nullptr;  // the next owner's first step is another one
    member.step = ~std::uint64_t{0};
  } catch (const std::exception& error) {
    if (!member.told_bound) {
      sink_.log(LogLevel::error, cell.name(),
                "its " + std::string(to_string(tenure.frame.requests.stage)) + " holds up all of shard " +
                    std::to_string(member.thread->number()) + ": no other thread can go on with it: " + error.what());
      member.told_bound = true;
    }
    tenure.unpin();
  }
}

void StallMonitor::tell_untold(Time now) {
  std::erase_if(untold_, [&](const Untold& stall) {
    bool told = false;
    const bool out = stall.tenure->while_out([&] {
      if (now - stall.since < limit_) return;
      tell(stall.tenure->pinned(), stall.tenure->frame.requests.stage, now - stall.since);
      told = true;
    });
    return told || !out;
  });
}

// While the call can't end: until then nobody changes what is read here.
void StallMonitor::tell(const TaskCell& cell, Stage stage, std::chrono::nanoseconds blocked_for) {
  Event event;
  event.kind = EventKind::task_stalled;
  event.type = cell.options().type;
  event.task = cell.name();
  event.id = owner_.task_id(cell.index);
  event.execution = cell.execution;
  event.stalled_ms = static_cast<std::uint64_t>(blocked_for / 1ms);
  cell.tell_budget(event);
  event.message = "its " + std::string(to_string(stage)) + " has blocked its thread for " + milliseconds(blocked_for);
  sink_.publish(std::move(event));
}

}  // namespace taskhost
