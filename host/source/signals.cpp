#include "signals.hpp"

#include <unistd.h>

#include <csignal>

#include "taskhost/core/execution.hpp"
#include "taskhost/ext/signals.h"

namespace taskhost {

namespace {

constexpr std::uint32_t bit_of(int number) noexcept {
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

constexpr std::uint32_t stop_signals = TASKHOST_SIGNAL_INTERRUPT | TASKHOST_SIGNAL_TERMINATE;
constexpr std::uint32_t known_signals =
    stop_signals | TASKHOST_SIGNAL_HANGUP | TASKHOST_SIGNAL_USER1 | TASKHOST_SIGNAL_USER2;

// Asio's handlers use whatever stack there is; in a thread of a plugin that runs goroutines that may be too small a
// one. Such runtimes give their threads another, for handlers that ask for it.
void add_signal(boost::asio::signal_set& set, int number) {
  set.add(number);
  struct sigaction action {};
  if (::sigaction(number, nullptr, &action) != 0) return;
  action.sa_flags |= SA_ONSTACK;
  ::sigaction(number, &action, nullptr);
}

}  // namespace

Signals::Signals(boost::asio::io_context& context, std::function<void(Verdict, int)> act)
    : set_(context), act_(std::move(act)) {
  // The others keep their default until a task asks for them.
  add_signal(set_, SIGINT);
  add_signal(set_, SIGTERM);
  listen();
}

bool Signals::subscribe(Waker waker, std::uint32_t signals) {
  if ((signals & ~known_signals) != 0 || waker == 0) return false;
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  if (signals == 0) {
    subscriptions_.erase(waker);
    return true;
  }
  for (const int number : {SIGHUP, SIGUSR1, SIGUSR2}) {
    if ((signals & bit_of(number)) != 0) add_signal(set_, number);  // again: no effect
  }
  std::erase_if(subscriptions_, [](const auto& entry) { return !WakePort::current(entry.first); });
  subscriptions_[waker].wanted = signals;
  return true;
}

std::uint32_t Signals::take(Waker waker) {
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
}

Signals::Verdict Signals::deliver(int number) {
  const std::uint32_t bit = bit_of(number);
  const std::lock_guard lock(mutex_);
  const bool asks_to_stop = (bit & stop_signals) != 0;
  if (asks_to_stop) {
    if (stop_seen_) return Verdict::stop_at_once;
    stop_seen_ = true;
  }
  bool taken = false;
  std::erase_if(subscriptions_, [](const auto& entry) { return !WakePort::current(entry.first); });
  for (auto& [waker, subscription] : subscriptions_) {
    if ((subscription.wanted & bit) == 0) continue;
    subscription.pending |= bit;
    taken = true;
    Execution::wake(waker);
  }
  if (taken) return Verdict::taken_by_task;
  if (asks_to_stop) return Verdict::stop;
  // Under the lock: who subscribes from now on adds it again, and gets what is raised.
  boost::system::error_code ignored;
  set_.remove(number, ignored);
  return Verdict::default_action;
}

void Signals::listen() {
  set_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
    }
    const Verdict verdict = deliver(number);
    if (verdict == Verdict::default_action) {
      ::kill(::getpid(), number);
    } else {
      act_(verdict, number);
    }
    listen();
  });
}

const char* signal_name(int number) noexcept {
  switch (number) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    case SIGHUP:
      return "SIGHUP";
    case SIGUSR1:
      return "SIGUSR1";
    case SIGUSR2:
      return "SIGUSR2";
    default:
      return "a signal";
  }
}

}  // namespace taskhost
