// Who gets which of the process's signals, for a host that may handle them: the tasks that subscribe, else it is a
// request to stop. Behind the extension taskhost.signals. Any thread, unless it says otherwise.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "signals/handler.hpp"
#include "taskhost/core/home_process.hpp"
#include "taskhost/core/wake_port.hpp"

namespace taskhost {

class Signals {
 public:
  // What becomes of a signal.
  enum class Fate : std::uint8_t {
    taken_by_task,
    stop,
    stop_at_once,
    unwanted,  // no task wants it now, though one did, or whoever started the process has had it ignored
  };

  // `act` is told what to do, and the signal; `stopping` says whether the host stops already. Throws
  // std::system_error if the system refuses.
  Signals(std::function<bool()> stopping, std::function<void(Fate, SignalHandler::Arrival)> act);

  // From now on `act` is called on the context's thread. Before, deliver_all does it.
  void listen(boost::asio::io_context& context);
  // What has come by now. On the context's thread, or when that is at rest.
  void deliver_all();

  // False: a bit that is no signal of ours, or a child of this process. 0 ends the subscription.
  bool subscribe(Waker waker, std::uint32_t signals);
  std::uint32_t take(Waker waker);

  // From now on a signal does nothing, but for the second of two requests to end: a late one must not end the process.
  // Tasks may still call: subscribe is false then, take 0. On the thread of the context, or when that is at rest.
  void close();
  // After close: the signals have their former actions again, as at the end of this object.
  void release();

  // What happens when the signal comes; apart from the system, so that tests need no signal.
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
  std::unordered_map<Waker, Subscription> subscriptions_;  // those of ended executions go when a signal comes
  std::vector<Waker> takers_;                              // of the first of two requests to end
  bool first_unwanted_ = false;                            // nobody took it
  std::uint32_t ever_wanted_ = 0;
  bool closed_ = false;
};

}  // namespace taskhost
