#include "control/service_notifier.hpp"

#include <pthread.h>

#include <exception>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include "control/health.hpp"
#include "control/status_line.hpp"
#include "taskhost/core/system_failure.hpp"

namespace taskhost {

namespace {

using namespace std::chrono_literals;
using SteadyTime = std::chrono::steady_clock;

constexpr std::size_t max_named_among = 1000;  // tasks: in larger hosts, the line has numbers only
constexpr auto no_memory_pause = 1s;
constexpr auto last_attempts = 20;  // at the end, for a reader that is busy
constexpr auto last_pause = 50ms;

}  // namespace

ServiceNotifier::ServiceNotifier(ControlledHost& host, NotifySocket& socket, std::chrono::microseconds watchdog,
                                 NotifyPlan::Duration stop_limit)
    : host_(host),
      socket_(socket),
      has_watchdog_(watchdog != 0us),
      plan_(watchdog, stop_limit, SteadyTime::now()),
      thread_(new_thread([this] {
        ::pthread_setname_np(::pthread_self(), "th-notify");
        run();
      })) {}

ServiceNotifier::~ServiceNotifier() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void ServiceNotifier::begin() noexcept {
  {
    const std::lock_guard lock(mutex_);
    has_begun_ = true;
    is_poked_ = true;
  }
  changed_.notify_one();
}

void ServiceNotifier::poke(bool host_stops) noexcept {
  const bool begins = host_stops && !stop_seen_.exchange(true);
  if (is_poked_.exchange(true) && !begins) return;
  if (is_calm_ && !begins) return;
  { const std::lock_guard lock(mutex_); }  // else it could miss this between its look at the flags and its sleep
  changed_.notify_one();
}

void ServiceNotifier::run() noexcept {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return has_begun_ || is_closing_; });
  while (true) {
    const auto is_wanted = [this] { return is_closing_ || (stop_seen_ && !stop_taken_); };
    const NotifyPlan::Time next = plan_.next_look();
    const NotifyPlan::Time calm_until = std::min(next, plan_.calm_until());
    is_calm_ = true;
    changed_.wait_until(lock, calm_until, is_wanted);
    is_calm_ = false;
    const auto has_news = [&] { return is_wanted() || is_poked_; };
    if (next == NotifyPlan::Time::max()) {
      changed_.wait(lock, has_news);
    } else {
      changed_.wait_until(lock, next, has_news);
    }
    if (is_closing_) return;
    is_poked_ = false;
    const bool stop_begins = stop_seen_ && !stop_taken_;
    stop_taken_ = stop_seen_;
    lock.unlock();
    try {
      if (stop_begins) {
        plan_.begin_stop();
        (void)talk();
      }
      look();
      (void)talk();
    } catch (const std::exception&) {
      std::this_thread::sleep_for(no_memory_pause);  // there is no memory for it
      is_poked_ = true;
    }
    lock.lock();
  }
}

void ServiceNotifier::look() {
  const HostStatus host = host_.describe();
  std::vector<TaskStatus> tasks;
  if (host.tasks <= max_named_among && has_remarkable_tasks(host)) (void)host_.describe(std::nullopt, tasks, false);
  const std::string problem = live_problem(host);
  tell_liveness(problem);
  plan_.note({.is_live = problem.empty(),
              .has_control = !host.counts.silent_control,
              .is_ready = problem.empty() && ready_problem(host, {}).empty(),
              .is_stopping = host.state != "running",
              .is_start_limited = start_is_limited(host, tasks),
              .line = status_line(host, tasks)},
             SteadyTime::now());
}

void ServiceNotifier::tell_liveness(const std::string& problem) {
  const bool is_live = problem.empty();
  if (has_watchdog_ && is_live != was_live_) {
    if (is_live) {
      host_.tell("WATCHDOG=1 is sent again: all shards and the control thread answer");
    } else {
      host_.warn("no WATCHDOG=1 is sent for the time being: " + problem);
    }
  }
  was_live_ = is_live;
}

bool ServiceNotifier::talk() {
  while (true) {
    const std::string message = plan_.message(SteadyTime::now());
    if (message.empty()) return true;
    const NotifySocket::Sent result = socket_.send(message);
    const NotifyPlan::Time now = SteadyTime::now();
    if (result == NotifySocket::Sent::yes) {
      plan_.sent(now);
      if (std::exchange(told_gone_, false)) host_.tell("somebody reads from NOTIFY_SOCKET again");
      continue;
    }
    const bool is_gone = result == NotifySocket::Sent::gone;
    plan_.refused(is_gone, now);
    if (is_gone && !std::exchange(told_gone_, true)) {
      host_.warn("nobody reads from NOTIFY_SOCKET (" + std::generic_category().message(socket_.error()) +
                 "), so the service manager hears nothing of this host; it is tried on");
    }
    return is_gone;
  }
}

void ServiceNotifier::end(const std::string& line, bool ended_well) noexcept {
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
  }
  changed_.notify_one();
  thread_.join();
  try {
    plan_.end(line, ended_well);
    for (int attempt = 0; attempt < last_attempts && !talk(); ++attempt) {
      std::this_thread::sleep_for(last_pause);
      plan_.hurry();
    }
  } catch (const std::bad_alloc&) {
    // The end of the process says the rest.
  }
}

}  // namespace taskhost
