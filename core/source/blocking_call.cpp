#include "blocking_call.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "forked_child.hpp"
#include "task_cell.hpp"
#include "taskhost/core/home_process.hpp"

namespace taskhost {

void BlockingCall::run() noexcept {
  {
    CallFrame frame;
    frame.begin(cell_, Stage::poll);
    frame.call = this;
    const ThreadFrame current(frame);
    const HomeProcess home;
    status_ = run_guarded(cell_);
    if (!home.is_here()) end_forked_child(&cell_);
  }
  finished_.store(true, std::memory_order_release);  // from here on the cell is the shard's
  WakePort::wake(waker_);
}

void BlockingCall::request_stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stop_requested_ = true;
    ring();
  }
  changed_.notify_one();
}

void BlockingCall::notify() noexcept {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    ring();
  }
  changed_.notify_one();
}

// Under the lock.
void BlockingCall::ring() const noexcept {
  const std::uint64_t one = 1;
  if (!bell_) return;
  [[maybe_unused]] const auto written = ::write(bell_.get(), &one, sizeof one);  // full: it is readable
}

int BlockingCall::descriptor() noexcept {
  const std::lock_guard lock(mutex_);
  if (!bell_) {
    const OwnedDescriptor made(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    bell_.reset(made ? ::fcntl(made.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1);
    if (stop_requested_ || woken_) ring();
  }
  return bell_.get();
}

unsigned BlockingCall::wait_until(Nanoseconds time) noexcept {
  const Nanoseconds first = std::min(time, timer_);
  std::unique_lock lock(mutex_);
  const auto changed = [this] { return stop_requested_ || woken_; };
  if (first == never) {
    changed_.wait(lock, changed);
  } else {
    // Times that are too far away would overflow inside the wait, so a wait is limited to 100 years.
    constexpr Nanoseconds far = 100ull * 365 * 24 * 3600 * 1'000'000'000;
    const Nanoseconds now = SteadyClock::read();
    const Nanoseconds delay = first > now ? std::min(first - now, far) : 0;
    changed_.wait_until(lock, std::chrono::steady_clock::now() + std::chrono::nanoseconds(delay), changed);
  }
  unsigned result = 0;
  if (stop_requested_) result |= wait_stop;
  if (woken_) result |= wait_wake;
  woken_ = false;
  if (bell_ && !stop_requested_) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(bell_.get(), &count, sizeof count);
  }
  const Nanoseconds now = SteadyClock::read();
  if (timer_ <= now) {
    timer_ = never;
    result |= wait_wake;
  }
  if (time <= now) result |= wait_time;
  return result;
}

}  // namespace taskhost
