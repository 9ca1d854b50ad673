// How the shard is driven: its turns, time, and outside events.
#include "shard_simulation.hpp"

#include <algorithm>

namespace taskhost::simulation {

namespace {

constexpr std::uint64_t max_steps = 20'000;
constexpr int max_turns = 2'000;  // at one moment

class ScriptedRecipe final : public Recipe {
 public:
  ScriptedRecipe(ShardSimulation& simulation, std::size_t place, const Character& character)
      : Recipe(8, 8, character.blocking), simulation_(simulation), place_(place), starts_later_(character.isolated) {}

  bool starts_later() const noexcept override { return starts_later_; }
  Status start(void*, Execution& execution) const override { return simulation_.start(place_, execution); }
  Status step(void*, Execution& execution) const override {
    return blocking ? simulation_.block(place_, execution) : simulation_.poll(place_, execution);
  }
  void drop(void*) const override { simulation_.drop(place_); }

 private:
  ShardSimulation& simulation_;
  const std::size_t place_;
  const bool starts_later_;
};

}  // namespace

ShardSimulation::ShardSimulation(const Scenario& scenario, std::string* trace)
    : scenario_(scenario),
      trace_(trace),
      some_are_slow_(std::any_of(scenario.characters.begin(), scenario.characters.end(),
                                 [](const Character& character) { return character.slow != 0; })),
      random_(scenario.seed, 0x5a4d),
      tasks_(scenario.tasks.size()),
      shard_(*this, *this, *this, true),
      work_(shard_.context().get_executor()) {
  for (std::size_t place = 0; place < tasks_.size(); ++place) {
    ShardTask& task = tasks_[place];
    task.options = scenario.tasks[place].options;
    task.character = scenario.characters[place];
    World& world = *this;
    const std::vector<CoordinatedTask> alone{{.options = task.options, .after = {}, .group = {}}};
    task.model = std::make_unique<Model>(alone, std::vector<Strategy>{}, world, task.expected, Model::Overseer::shard);
    const TaskFn function(std::make_shared<const ScriptedRecipe>(*this, place, task.character));
    task.cell = &shard_.add(function, task.options, std::to_string(place), static_cast<std::uint32_t>(place));
  }
  for (const Operator& one : scenario.operators) {
    put({.kind = Step::Kind::operate, .time = one.time, .task = one.task, .operation = one.operation});
  }
  for (const Pause& pause : scenario.pauses) {
    put({.kind = Step::Kind::pause, .time = pause.time, .duration = pause.duration});
  }
}

Run ShardSimulation::run() {
  for (ShardTask& task : tasks_) task.model->begin(now_);
  drive(never);
  if (run_.fault.empty()) look_at_the_end();
  run_.time = now_ - first_tick;
  run_.executions = starts_;
  return run_;
}

bool ShardSimulation::is_over() const {
  return stop_began_ && std::all_of(tasks_.begin(), tasks_.end(),
                                    [](const ShardTask& task) { return task.cell->life.state == TaskState::ended; });
}

// Runs until that time, the end, or the first fault. A call that does not return drives the run from within.
void ShardSimulation::drive(Nanoseconds until) {
  while (true) {
    settle();
    if (!run_.fault.empty() || is_over()) return;
    if (++run_.steps > max_steps) return complain(tasks_[0], "(or another): does not come to rest");
    if (run_.steps > scenario_.stop_after) announce();
    const Nanoseconds planned = agenda_.empty() ? never : agenda_.front().time;
    const Nanoseconds next = std::min(planned, last_.deadline);
    if (until <= next && until != never) {
      now_ = std::max(now_, until);
      return;
    }
    if (next == never) {
      if (announced_) return complain(tasks_[0], "(or another): nothing happens any more, but the shard does not end");
      announce();
      continue;
    }
    now_ = std::max(now_, (next + shard_tick - 1) / shard_tick * shard_tick);
    if (scenario_.late && random_.percent(25)) now_ += random_.below(5) * scenario_.unit / 2 / shard_tick * shard_tick;
    if (random_.percent(30)) settle();  // before the outside event, or after it
    while (run_.fault.empty() && !agenda_.empty() && agenda_.front().time <= now_) {
      std::pop_heap(agenda_.begin(), agenda_.end(), is_later);
      const Step step = agenda_.back();
      agenda_.pop_back();
      happen(step);
      if (random_.percent(30)) break;
    }
  }
}

bool ShardSimulation::is_later(const Step& a, const Step& b) {
  return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
}

void ShardSimulation::put(Step step) {
  step.sequence = ++sequence_;
  agenda_.push_back(step);
  std::push_heap(agenda_.begin(), agenda_.end(), is_later);
}

// Runs turns, and what is ready in the loop, until there is nothing left to do at this moment.
void ShardSimulation::settle() {
  for (int turns = 0; turns < max_turns; ++turns) {
    const bool kept = turn();
    if (!run_.fault.empty() || is_over()) return;
    if (!kept) continue;
    const std::size_t handled = shard_.context().poll();
    if (!run_.fault.empty()) return;
    if (last_.more || handled != 0 || last_.deadline <= now_ || !shard_.port().begin_sleep()) continue;
    shard_.port().end_sleep();
    return look_at_rest();
  }
  complain(tasks_[0], "(or another): does not come to rest at one moment");
}

// False if the shard was lost in it, and its new owner has driven on.
bool ShardSimulation::turn() {
  look_at_limits();                                // those of the turn before, if that was lost
  const bool timers_may_fire = now_ > turned_at_;  // those of a moment fire in its first turn
  turned_at_ = now_;
  ++turns_;
  for (ShardTask& task : tasks_) {
    looked_at_ = &task;
    if (timers_may_fire && !announced_ && !is_live(task.model->state(0)) && task.model->next_due() <= now_) {
      advance(task);
    }
    task.may_be_removed = false;  // whatever the turn before would have done if it had not been lost
    if (!task.live || task.stop_due > now_ || task.is_being_removed()) continue;
    if (now_ > later(task.stop_due, standstill) && !task.stop_due_anew && !task.was_due && expired_ == never) {
      task.stop_due = now_ + to_nanoseconds(task.options.stop_timeout);
      task.stop_due_anew = true;
      task.stop_due_turn = turns_;
      task.stop_due_unclear = task.stop_due_unclear || some_are_slow_;  // it is checked in a later turn
    }
    task.may_be_removed = task.stop_due <= now_;
  }
  last_ = shard_.turn();
  if (last_.lost) return false;
  look_at_limits();
  return true;
}

// Those that the shard has checked without reporting anything; but not one that it has set for a time in the past, and
// checks in the next tick.
void ShardSimulation::look_at_limits() {
  for (ShardTask& task : tasks_) {
    const Nanoseconds before = std::exchange(task.limit, limit_of(task));
    if (task.limit != before && task.limit > turned_at_) judged(task);
  }
}

// The host is to stop; the shard hears of it after a while.
void ShardSimulation::announce() {
  if (announced_) return;
  announced_ = is_stopping_ = true;
  say("the host is to stop");
  for (ShardTask& task : tasks_) task.model->close();
  const Nanoseconds began = now_ + units(random_.below(2));
  put({.kind = Step::Kind::begin_stop, .time = began + units(random_.below(2)), .since = began});
  put({.kind = Step::Kind::expire, .time = began + units(2 + scenario_.patience)});
}

void ShardSimulation::happen(const Step& step) {
  ShardTask& task = tasks_[step.task];
  const bool is_current = task.number == step.execution && task.execution != nullptr;
  const bool has_thread = is_current && task.call != nullptr && !task.is_final;
  switch (step.kind) {
    case Step::Kind::operate:
      say("an operator wants to " + std::string(to_string(step.operation)) + " " + std::to_string(step.task));
      operate(task, step.operation);
      break;
    case Step::Kind::pause:
      say("the process stands still");
      now_ += step.duration;
      break;
    case Step::Kind::beat: {
      if (!has_thread || now_ >= task.silent_from) break;
      beat(task);
      Step next = step;
      next.time = now_ + units(task.character.heartbeat);
      put(next);
      break;
    }
    case Step::Kind::say_ready:
      if (!has_thread || task.said_ready) break;
      task.said_ready = true;
      task.execution->ready();
      break;
    case Step::Kind::end_block:
      if (!has_thread || task.over > now_) break;
      say("the thread of " + std::to_string(step.task) + " is done");
      task.call->run();
      break;
    case Step::Kind::wake:
      if (is_current && task.live && !task.is_final && !task.drop_called) task.is_woken = true;
      Execution::wake(step.waker);
      break;
    case Step::Kind::announce:
      if (!step.for_all_done || shard_.ended()) announce();
      break;
    case Step::Kind::begin_stop:
      if (stop_began_) break;
      begin_stop(step.since);
      shard_.begin_stop(step.since);
      break;
    case Step::Kind::expire:
      if (is_over()) break;
      say("the stop runs out of time");
      if (!stop_began_) begin_stop(now_);
      expired_ = now_;
      shard_.expire_stop();
      break;
  }
}

Run simulate_shard(const Scenario& scenario, std::string* trace) { return ShardSimulation(scenario, trace).run(); }

}  // namespace taskhost::simulation
