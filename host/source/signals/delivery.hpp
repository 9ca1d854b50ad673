// Distributes the process's signals, for a host that may handle them: a signal goes to the tasks that subscribe to it,
// or is a request to stop. Implements the extension taskhost.signals. Any thread, unless stated otherwise.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "signals/process_handlers.hpp"
#include "taskhost/core/home_process.hpp"
#include "taskhost/core/wake_port.hpp"

namespace taskhost {

class Signals {
 public:
  // What happens with a signal.
  enum class Fate : std::uint8_t {
    taken_by_task,
    stop,
    stop_at_once,
    reload,
    unwanted,  // no task wants it now, though one did, or the process was started with it ignored
  };

  // `act` gets what to do, and the signal; `stopping` returns whether the host is stopping already. Throws
  // std::system_error if the system refuses.
  Signals(std::function<bool()> stopping, std::function<void(Fate, SignalHandler::Arrival)> act);

  // From now on `act` is called on the context's thread. Until then deliver_all calls it.
  void listen(boost::asio::io_context& context);
  // Delivers the signals that have come. On the context's thread, or while that is at rest.
  void deliver_all();

  // Returns false for a bit that is not one of our signals, or in a child of this process. 0 ends the subscription.
  bool subscribe(Waker waker, std::uint32_t signals);
  std::uint32_t take(Waker waker);

  // From now on signals have no effect, except for the second of two requests to end: a late one must not end the
  // process. Tasks may still call: subscribe returns false, take 0. On the context's thread, or while that is at rest.
  void close();
  // After close: restores the signals' former actions, as the destructor does.
  void release();

  // What happens when the signal comes. Separate from the system, so that tests need no signals.
  Fate deliver(SignalHandler::Arrival arrival);

 private:
  struct Subscription {
    std::uint32_t wanted = 0;
    std::uint32_t pending = 0;
  };

  void wait();

  const HomeProcess home_;
  std::optional<SignalHandler> handler_{std::in_place};
  const std::function<bool()> stopping_;
  const std::function<void(Fate, SignalHandler::Arrival)> act_;
  std::optional<boost::asio::posix::stream_descriptor> arrivals_;

  std::mutex mutex_;
  std::unordered_map<Waker, Subscription> subscriptions_;  // those of ended executions are removed when a signal comes
  std::vector<Waker> takers_;                              // who took the first of two requests to end
  bool first_unwanted_ = false;                            // no task took it
  std::uint32_t ever_wanted_ = 0;
  bool closed_ = false;
};

}  // namespace taskhost
