#include "signals/delivery.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "system/own_descriptor.hpp"
#include "taskhost/core/execution.hpp"
#include "taskhost/core/system_failure.hpp"
#include "taskhost/ext/signals.h"

namespace taskhost {

namespace {

constexpr std::uint32_t contract_bit(int number) noexcept {
  switch (number) {
    case SIGINT:
      return TASKHOST_SIGNAL_INTERRUPT;
    case SIGTERM:
      return TASKHOST_SIGNAL_TERMINATE;
    case SIGHUP:
      return TASKHOST_SIGNAL_HANGUP;
    case SIGUSR1:
      return TASKHOST_SIGNAL_USER1;
    case SIGUSR2:
      return TASKHOST_SIGNAL_USER2;
    default:
      return 0;
  }
}

constexpr std::uint32_t known_signals = TASKHOST_SIGNAL_INTERRUPT | TASKHOST_SIGNAL_TERMINATE | TASKHOST_SIGNAL_HANGUP |
                                        TASKHOST_SIGNAL_USER1 | TASKHOST_SIGNAL_USER2;

}  // namespace

Signals::Signals(std::function<bool()> stopping, std::function<void(Fate, SignalHandler::Arrival)> act)
    : stopping_(std::move(stopping)), act_(std::move(act)) {}

void Signals::listen(boost::asio::io_context& context) {
  const int descriptor = duplicate_out_of_reach(handler_->descriptor());
  if (descriptor < 0) throw system_failure(errno, "fcntl");
  arrivals_.emplace(context, descriptor);
  wait();
}

void Signals::wait() {
  arrivals_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                        [this](const boost::system::error_code& error) {
                          if (error) return;
                          deliver_all();
                          wait();
                        });
}

void Signals::deliver_all() {
  for (const SignalHandler::Arrival arrival : handler_->take()) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
    }
    act_(deliver(arrival), arrival);
  }
}

bool Signals::subscribe(Waker waker, std::uint32_t signals) {
  if ((signals & ~known_signals) != 0 || waker == 0 || !home_.is_here()) return false;
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  if (signals == 0) {
    subscriptions_.erase(waker);
    return true;
  }
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) {
    if ((signals & contract_bit(number)) != 0) handler_->watch(number);
  }
  ever_wanted_ |= signals;
  std::erase_if(subscriptions_, [](const auto& entry) { return !WakePort::current(entry.first); });
  subscriptions_[waker].wanted = signals;
  return true;
}

std::uint32_t Signals::take(Waker waker) {
  if (!home_.is_here()) return 0;
  const std::lock_guard lock(mutex_);
  const auto found = subscriptions_.find(waker);
  if (found == subscriptions_.end()) return 0;
  const std::uint32_t pending = found->second.pending;
  found->second.pending = 0;
  return pending;
}

void Signals::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  subscriptions_.clear();
  handler_->close();
}

void Signals::release() { handler_.reset(); }

Signals::Fate Signals::deliver(SignalHandler::Arrival arrival) {
  const std::uint32_t bit = contract_bit(arrival.number);
  const std::lock_guard lock(mutex_);
  const bool asks_to_end = (bit & (TASKHOST_SIGNAL_INTERRUPT | TASKHOST_SIGNAL_TERMINATE)) != 0;
  if (arrival.second) {
    // A task that took the first one and has ended since, without the host, has dealt with it.
    const bool dealt_with =
        !stopping_() && (first_unwanted_ || !takers_.empty()) &&
        std::none_of(takers_.begin(), takers_.end(), [](Waker taker) { return WakePort::current(taker); });
    if (!dealt_with) return Fate::stop_at_once;
    handler_->begin_again();
  }
  if (asks_to_end) {
    takers_.clear();
    first_unwanted_ = false;
  }
  bool taken = false;
  std::erase_if(subscriptions_, [](const auto& entry) { return !WakePort::current(entry.first); });
  for (auto& [waker, subscription] : subscriptions_) {
    if ((subscription.wanted & bit) == 0) continue;
    subscription.pending |= bit;
    taken = true;
    if (asks_to_end) takers_.push_back(waker);
    Execution::wake(waker);
  }
  if (taken) return Fate::taken_by_task;
  if (SignalHandler::was_ignored(arrival.number)) {
    first_unwanted_ = first_unwanted_ || asks_to_end;
    return Fate::unwanted;
  }
  if (asks_to_end) return Fate::stop;
  if (arrival.number != SIGHUP || (ever_wanted_ & bit) != 0) return Fate::unwanted;
  return arrival.hangup ? Fate::stop : Fate::reload;
}

}  // namespace taskhost
