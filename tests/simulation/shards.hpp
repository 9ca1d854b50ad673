// Shards, tasks and operators as the coordinator sees them, in virtual time: orders go in, and facts come out after a
// while, those of one task in order. It also checks that no task has two executions at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "random.hpp"
#include "scenario.hpp"

namespace taskhost::simulation {

// Something that a supervisor learns.
struct Input {
  enum class Kind : std::uint8_t {
    begin,
    begun,
    started,
    said_ready,
    ended,
    advance,
    begin_stop,
    expire_stop,
    operate,
    // The following happen within a shard, and are not reported.
    run_start,    // its turn has come
    start_over,   // with success
    says_ready,   //
    call_ended,   // by itself
    run_ask,      // the request to stop arrives
    stop_is_due,  // its stop_timeout has passed
    lose_calls,   // all live executions' calls never return
  };
  Kind kind = Kind::begin;
  Place task = 0;
  Nanoseconds time = 0;
  std::uint64_t sequence = 0;   // order among those of the same time
  std::uint64_t execution = 0;  // the execution concerned, if any
  End end{};
  Operation operation = Operation::stop;
};

std::string to_text(const Input& input, Nanoseconds unit);

class Shards {
 public:
  explicit Shards(const Scenario& scenario);

  // Orders, at `now`.
  void start(Place task, Nanoseconds now);
  void ask(Place task, Nanoseconds now);
  // The host's stop is announced: from now on no execution begins.
  void announce_stop(Nanoseconds now);
  // Drops or abandons what lives.
  void expire_stop(Nanoseconds now);

  // When next() returns something, or never.
  Nanoseconds next_time();
  Input next();
  // Makes everything happen that is due up to `now`.
  void run_until(Nanoseconds now);

  Nanoseconds last_heartbeat(Place task, Nanoseconds now) const;
  const std::string& fault() const noexcept { return fault_; }

 private:
  struct Body {
    Character character;
    std::chrono::nanoseconds stop_timeout{0};
    bool live = false;
    bool asked = false;
    bool lost = false;  // it has an execution that can't be ended
    std::uint64_t execution = 0;
    Nanoseconds began = 0;
    Nanoseconds ready = never;  // when its start is over, and it has said that it is ready if it has to
    Nanoseconds asked_at = never;
    bool notifies = false;
    Nanoseconds silent_from = never;
    Nanoseconds last_order = 0;
    Nanoseconds last_fact = 0;
    Random random{};
  };

  Nanoseconds units(std::uint64_t count) const { return count * scenario_.unit; }
  Nanoseconds latency(Body& body);
  void put(Input input);
  static Input take(std::vector<Input>& heap);
  void fact(Place task, Input::Kind kind, Nanoseconds now, End end = {});
  void happen(const Input& input);
  void run_start(Place task, Nanoseconds now);
  void live_on(Place task, Nanoseconds from);
  End some_end(Body& body, unsigned ends_well);
  void live_exactly(Place task, const Exactly& exactly, Nanoseconds now);
  void run_ask(Place task, Nanoseconds now);
  void end(Place task, const End& end, Nanoseconds now);
  void take_away(Place task, Nanoseconds now);
  void lose(Place task, Nanoseconds now);

  const Scenario& scenario_;
  std::vector<Body> bodies_;
  std::vector<Input> told_;  // heaps: what supervisors learn, and what happens in the shards
  std::vector<Input> happenings_;
  std::uint64_t sequence_ = 0;
  bool announced_ = false;
  std::string fault_;
};

}  // namespace taskhost::simulation
