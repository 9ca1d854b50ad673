// The coordinator among the threads: brings it the facts from the shards, its orders to them, its news to the sink, and
// its timers. On the control thread, unless a function says otherwise.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "log_gate.hpp"
#include "shard_thread.hpp"
#include "taskhost/core/coordinator.hpp"

namespace taskhost {

class CoordinatedTasks final : public CoordinatorPort {
 public:
  struct Owner {
    std::function<void(StopCause)> stop_host;
    std::function<boost::uuids::uuid(std::uint32_t)> id_of;
    std::function<void()> changed;  // look whether all has ended
  };

  CoordinatedTasks(boost::asio::io_context& control, EventSink& sink, const Clock& clock, bool complete_events,
                   Owner owner);

  // [owner] Before start: which of these tasks it is to supervise. Then is_coordinated, made (on the shards' threads,
  // each for its own tasks), and begin.
  void plan(const TaskList& tasks, std::uint64_t seed);
  bool is_coordinated(std::uint32_t index) const { return places_.contains(index); }
  void made(std::uint32_t index, Shard& shard, TaskCell& cell);
  bool empty() const noexcept { return members_.empty(); }
  void begin();

  // [any thread] Facts, taken in order.
  void begun(std::uint32_t index);
  void started(std::uint32_t index);
  void ready(std::uint32_t index);
  void ended(std::uint32_t index, Coordinator::End end);

  void begin_stop();
  void expire_stop();
  // A shard is given up, with its tasks.
  void give_up(const Shard& shard);
  bool live_on(const Shard& shard) const;
  // A task that is being handed over belongs to neither side for a moment: then nothing has ended.
  bool all_ended() const noexcept { return waiting_operations_.empty() && coordinator_->idle(); }

  // `shard` and `place` say where a task is that the coordinator does not know yet.
  void operate(std::uint32_t index, Coordinator::Operation operation, Shard& shard, std::size_t place);

  // For a report: names of the tasks that waited for this one to stop, the first of them if they are many; and whether
  // this one had not been asked either when the stop ran out of time.
  std::string held_up_by(std::uint32_t index) const;
  bool was_held_up(std::uint32_t index) const;

 private:
  struct Member {
    std::uint32_t index = 0;
    Shard* shard = nullptr;
    TaskCell* cell = nullptr;
  };

  struct Waiting {
    Shard* shard = nullptr;
    std::vector<Coordinator::Operation> operations;
  };

  void start(Place task, std::optional<std::uint32_t> remaining) override;
  void ask(Place task) override;
  void tell(const TaskNews& news) override;
  void stop_host(Place task, StopReason reason, bool failure, std::string_view message) override;
  Nanoseconds last_heartbeat(Place task) override;

  void take_over(std::uint32_t index, Shard& shard, const Shard::HandedOver& handed);
  template <class Fact>
  void post_fact(std::uint32_t index, Fact fact);
  void after_input();

  boost::asio::io_context& control_;
  EventSink& sink_;
  const Clock& clock_;
  const bool complete_events_;
  const Owner owner_;
  boost::asio::steady_timer timer_;
  Nanoseconds armed_ = never;
  std::unordered_map<std::uint32_t, Place> places_;
  std::vector<Member> members_;
  std::unique_ptr<Coordinator> coordinator_;  // from plan on
  bool stopping_ = false;
  std::map<std::uint32_t, Waiting> waiting_operations_;  // for tasks that are being handed over
  LogGate log_gate_;
};

}  // namespace taskhost
