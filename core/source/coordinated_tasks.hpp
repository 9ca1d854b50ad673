// Connects the coordinator to the threads: passes facts from the shards to it, its orders to the shards and its news to
// the sink, and drives its timers. On the control thread, unless a function says otherwise.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator.hpp"
#include "log_gate.hpp"
#include "shard_thread.hpp"

namespace taskhost {

class CoordinatedTasks final : public CoordinatorPort {
 public:
  struct Owner {
    std::function<void(StopCause)> stop_host;
    std::function<boost::uuids::uuid(std::uint32_t)> id_of;
    std::function<void()> changed;  // to check whether everything has ended
    std::function<void()> active;   // after each input; may be empty
  };

  CoordinatedTasks(boost::asio::io_context& control, EventSink& sink, const Clock& clock, bool complete_events,
                   Owner owner);

  // [owner] Before start: takes charge of those tasks that relate to others. Then comes made (on the shards' threads,
  // each for its own tasks), and then begin.
  void plan(const TaskList& tasks, std::uint64_t seed);
  // [any thread] After plan.
  bool is_coordinated(std::uint32_t index) const { return places_.contains(index); }
  void made(std::uint32_t index, Shard& shard, TaskCell& cell);
  bool empty() const noexcept { return members_.empty(); }
  std::size_t size() const noexcept { return members_.size(); }
  // How many tasks are over without having ended well.
  std::size_t lost() const noexcept { return lost_; }
  void begin();

  // [any thread] As of a shard.
  void set_complete_events(bool complete) noexcept { complete_events_.store(complete, std::memory_order_relaxed); }

  // [any thread] Facts; they are processed in order.
  void begun(std::uint32_t index);
  void started(std::uint32_t index);
  void ready(std::uint32_t index);
  void step_ended(std::uint32_t index);
  void ended(std::uint32_t index, End end);

  void begin_stop();
  void expire_stop();
  // To be called when a shard is given up, with its tasks.
  void give_up(const Shard& shard);
  bool live_on(const Shard& shard) const;
  bool all_ended() const noexcept { return coordinator_->idle(); }
  void operate(std::uint32_t index, Operation operation);

  // For questions: what the coordinator knows of all its tasks, or of one; and how many of them are doing what. report
  // throws std::bad_alloc.
  std::vector<TaskReport> report(std::optional<std::size_t> task);
  void count(TaskCounts& counts) const noexcept { coordinator_->count(counts); }

  // For a line in the log: the names of the tasks that waited for this one to stop, shortened if there are many; and
  // whether this one was itself still waiting to be asked when the stop ran out of time.
  std::string held_up_by(std::uint32_t index) const;
  bool was_held_up(std::uint32_t index) const;

 private:
  struct Member {
    std::uint32_t index = 0;
    Shard* shard = nullptr;
    TaskCell* cell = nullptr;
    bool is_lost = false;  // over without having ended well
  };

  void start(Place task, std::optional<std::uint32_t> remaining) override;
  void ask(Place task) override;
  void tell(const TaskNews& news) override;
  void stop_host(Place task, StopReason reason, bool failure, std::string_view message) override;
  Nanoseconds last_heartbeat(Place task) override;

  template <class Fact>
  void post_fact(std::uint32_t index, Fact fact);
  void after_input();

  boost::asio::io_context& control_;
  EventSink& sink_;
  const Clock& clock_;
  std::atomic<bool> complete_events_;
  const Owner owner_;
  boost::asio::steady_timer timer_;
  Nanoseconds armed_ = never;
  std::unordered_map<std::uint32_t, Place> places_;
  std::vector<Member> members_;
  std::unique_ptr<Coordinator> coordinator_;  // set by plan
  LogGate log_gate_{sink_.log_level()};
  std::size_t lost_ = 0;
};

}  // namespace taskhost
