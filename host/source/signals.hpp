// The process's signals, for a host that may handle them: to the tasks that subscribe, else a request to stop. Behind
// the extension taskhost.signals. Any thread, unless it says otherwise.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>

#include "taskhost/core/wake_port.hpp"

namespace taskhost {

class Signals {
 public:
  enum class Verdict : std::uint8_t {
    taken_by_task,
    stop,
    stop_at_once,
    default_action,  // no task wants it any more: as if none ever had
  };

  // Handlers run on `context`'s thread. `act` is told what to do (never default_action, which is done here), and the
  // signal's number. Throws boost::system::system_error if the system refuses the handlers.
  Signals(boost::asio::io_context& context, std::function<void(Verdict, int)> act);

  // False: a bit that is no signal of ours. 0 ends the subscription.
  bool subscribe(Waker waker, std::uint32_t signals);
  std::uint32_t take(Waker waker);

  // From now on a signal does nothing, until the end of this object, which gives the signals their default actions
  // again: a late one must not end the process. Tasks may still call: subscribe is false then, take 0. On the thread of
  // the context, or when that is at rest.
  void close();

  // What happens when the signal comes; apart from the system, so that tests need no signal. A default_action that is
  // due is there again, but the signal has yet to be raised.
  Verdict deliver(int number);

 private:
  struct Subscription {
    std::uint32_t wanted = 0;
    std::uint32_t pending = 0;
  };

  void listen();

  boost::asio::signal_set set_;
  const std::function<void(Verdict, int)> act_;

  std::mutex mutex_;
  std::unordered_map<Waker, Subscription> subscriptions_;  // those of ended executions go when a signal comes
  bool closed_ = false;
  bool stop_seen_ = false;  // an INTERRUPT or TERMINATE has come, whoever took it
};

const char* signal_name(int number) noexcept;

}  // namespace taskhost
