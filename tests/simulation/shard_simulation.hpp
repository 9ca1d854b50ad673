// One run of a real shard in virtual time: scripted tasks on it, a supervisor that only records, operators and the
// host's stop, and a model for each task, which gets each fact in the order in which the shard has it. A call that does
// not return drives the rest of the run from within: see stick.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <memory>
#include <string>
#include <vector>

#include "model.hpp"
#include "random.hpp"
#include "scenario.hpp"
#include "shard.hpp"
#include "shard_simulator.hpp"

namespace taskhost::simulation {

// An execution: its progress, and what it does.
struct ShardLife {
  Execution* execution = nullptr;
  std::shared_ptr<BlockingCall> call{};
  bool live = false;     // it has begun, and its end was not reported
  bool in_call = false;  // some thread is in one of its functions
  bool start_called = false;
  bool start_ok = false;       // its start has returned ok
  bool start_is_told = false;  // and the model knows
  bool start_failed = false;
  bool has_started = false;    // in a process of its own: its step has said that its start is over
  bool said_ready = false;     //
  bool ready_is_told = false;  // the shard has reported that
  bool is_final = false;       // its step has returned an end
  bool drop_called = false;
  bool dropped = false;  // drop has returned
  bool reacts = false;   // it knows of its stop, and has decided what it does
  Outcome outcome = Outcome::ok;
  std::string message{};
  // When things happen, or have happened.
  Random random{};
  Nanoseconds began = 0;
  Nanoseconds ready_at = never;
  Nanoseconds asked_at = never;
  Nanoseconds starts = never;  // in a process of its own
  Nanoseconds says_ready = never;
  Nanoseconds over = never;
  bool ends_well = false;
  Nanoseconds silent_from = never;
  Nanoseconds last_beat = 0;
  Nanoseconds wakes = never;  // when it has asked to be polled
  bool is_woken = false;      // by its waker, and not polled since
  Nanoseconds stop_due = never;
  bool stop_due_anew = false;       // after a standstill
  bool was_due = false;             // when it was dropped its time was over, whatever it returns
  std::uint64_t stop_due_turn = 0;  // the turn in which that was
  bool stop_due_unclear = false;    // the shard was lost in that turn, and may have checked it later
  bool may_be_removed = false;
  Nanoseconds limit = never;  // as the shard had it when the turn began
};

struct ShardTask : ShardLife {
  TaskOptions options;
  Character character;
  TaskCell* cell = nullptr;
  std::unique_ptr<Model> model;
  std::vector<Output> expected{};  // by the model, but not seen yet
  std::size_t seen = 0;            // how many of these were seen
  std::uint64_t number = 0;        // the execution's number
  bool knows_host_stop = false;    // whether its model does
  bool lost = false;               // abandoned: never started again

  bool is_being_removed() const { return drop_called && !is_final; }
  bool pending() const { return seen < expected.size(); }
  bool is_start_over() const { return start_ok && (has_started || !character.isolated); }
  bool notifies() const { return options.optional && options.optional->notify; }
};

class ShardSimulation final : ShardOwner, EventSink, Clock, World {
 public:
  ShardSimulation(const Scenario& scenario, std::string* trace);
  Run run();

  // What the scripts of the tasks do: see shard_scripts.cpp.
  Status start(std::size_t place, Execution& execution);
  Status poll(std::size_t place, Execution& execution);
  Status block(std::size_t place, Execution& execution);
  void drop(std::size_t place);

 private:
  struct Step {
    enum class Kind : std::uint8_t { operate, pause, beat, say_ready, end_block, wake, announce, begin_stop, expire };
    Kind kind = Kind::operate;
    Nanoseconds time = 0;
    std::size_t task = 0;
    std::uint64_t execution = 0;
    Operation operation = Operation::stop;
    Nanoseconds duration = 0;    // pause
    Nanoseconds since = 0;       // begin_stop
    bool for_all_done = false;   // announce
    Waker waker = 0;             // poke
    std::uint64_t sequence = 0;  // order among those of the same time
  };

  // --- the shard's surroundings ---
  Nanoseconds now() const noexcept override { return now_; }
  const std::atomic<bool>& stopping() const noexcept override { return is_stopping_; }
  void stop_wanted(StopCause cause) noexcept override;
  void task_abandoned() noexcept override { ++abandoned_; }
  void count_lost(int) noexcept override {}
  void shard_ended() noexcept override;
  bool shard_revived() noexcept override;
  std::uint64_t seed() const noexcept override { return scenario_.seed; }
  void shard_awake() noexcept override {}
  boost::uuids::uuid task_id(std::uint32_t index) const noexcept override;
  void launch(std::shared_ptr<Job> job) override;
  bool launch_sometime(std::shared_ptr<Job> job) override { return launch(std::move(job)), true; }
  void coordinated_begun(std::uint32_t) override {}
  void coordinated_started(std::uint32_t) override {}
  void coordinated_ready(std::uint32_t) override {}
  void coordinated_step_ended(std::uint32_t) override {}
  void coordinated_ended(std::uint32_t, End) override {}
  void did_not_stop(Straggler straggler) override;
  bool publish(Event&& event) noexcept override;
  void summarize(const LogSummary&) noexcept override {}
  void log(LogLevel, const char*, std::string_view) noexcept override {}
  Nanoseconds last_heartbeat(Place task) override;
  Nanoseconds drawn_delay(Place task, std::uint64_t restart, Nanoseconds least, Nanoseconds most) override;

  // --- driving it ---
  void drive(Nanoseconds until);
  void settle();
  bool turn();
  void look_at_limits();
  void happen(const Step& step);
  static bool is_later(const Step& a, const Step& b);
  void put(Step step);
  void announce();
  bool is_over() const;
  Nanoseconds units(std::uint64_t count) const { return count * scenario_.unit; }

  // --- scripts ---
  void live_on(ShardTask& task);
  void stick(ShardTask& task);
  void react(ShardTask& task);
  void beat(ShardTask& task);
  void say_what_is_due(ShardTask& task);
  Status finish(ShardTask& task);
  static void say_why(ShardTask& task, const char* text);
  void tell_start(ShardTask& task);

  // --- comparing: see shard_facts.cpp ---
  template <class Fact>
  void give(ShardTask& task, Fact fact);
  void advance(ShardTask& task);
  void judged(ShardTask& task);
  static Nanoseconds limit_of(const ShardTask& task);
  void operate(ShardTask& task, Operation operation);
  void begin_stop(Nanoseconds since);
  void tell_host_stop(ShardTask& task);
  void did(ShardTask& task, Output output);
  void was_asked(ShardTask& task);
  void take_fact(ShardTask& task, const Event& event);
  End end_of(ShardTask& task, const Event& event);
  void look_at_rest();
  void look_at_rest(ShardTask& task);
  void look_at_the_end();
  void complain(const ShardTask& task, const std::string& what);
  std::size_t place_of(const ShardTask& task) const { return static_cast<std::size_t>(&task - tasks_.data()); }
  void say(const std::string& text);

  const Scenario& scenario_;
  std::string* const trace_;
  const bool some_are_slow_;
  Random random_;
  Nanoseconds now_ = first_tick;
  std::atomic<bool> is_stopping_{false};
  std::vector<ShardTask> tasks_;
  Shard shard_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::vector<std::shared_ptr<Tenure>> lost_;  // of threads that would still exist
  Shard::Turn last_;
  Nanoseconds turned_at_ = 0;
  std::uint64_t turns_ = 0;
  std::vector<Step> agenda_;  // a heap
  std::uint64_t sequence_ = 0;
  unsigned depth_ = 0;  // number of calls that have not returned

  bool announced_ = false;
  bool stop_began_ = false;
  Nanoseconds stop_since_ = 0;
  Nanoseconds expired_ = never;  // the time of that
  int ended_ = 0;                // how often its owner was told that it has ended
  std::uint64_t starts_ = 0;
  std::uint64_t ends_ = 0;
  std::uint64_t restarts_ = 0;
  std::uint64_t abandonments_ = 0;
  std::uint64_t abandoned_ = 0;
  const ShardTask* looked_at_ = nullptr;  // by its model
  Run run_;
};

}  // namespace taskhost::simulation
