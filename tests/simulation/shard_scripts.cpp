// What the tasks on the real shard do, and the calls that get stuck in them.
#include <algorithm>
#include <array>
#include <stdexcept>
#include <system_error>

#include "shard_simulation.hpp"

namespace taskhost::simulation {

namespace {

constexpr unsigned max_stuck = 5;  // one within the other

}  // namespace

// --- calls of the shard ----------------------------------------------------------------------------------------------

Status ShardSimulation::start(std::size_t place, Execution& execution) {
  ShardTask& task = tasks_[place];
  if (!task.live || task.start_called || task.in_call || task.lost) complain(task, "is started out of turn");
  task.start_called = true;
  task.in_call = true;
  task.execution = &execution;
  const std::uint64_t number = task.number;
  // A process fails later, for the most part.
  const bool fails =
      task.random.percent(task.character.fails_to_start) && (!task.character.isolated || task.random.percent(20));
  const bool panics = task.random.percent(30);
  if (task.random.percent(20)) {
    execution.ready();
    task.said_ready = true;
  }
  if (task.random.percent(20)) beat(task);
  stick(task);
  if (task.lost || task.number != number) return Status::ok;
  task.in_call = false;
  say("  start of " + std::to_string(place) + (fails ? " fails" : " is over"));
  if (!fails) {
    task.start_ok = true;
    live_on(task);
    if (task.random.percent(20)) say_why(task, "blue");  // the message, if it fails without another one
    if (task.character.blocking) task.message.clear();   // its thread has its own message
    return Status::ok;
  }
  task.start_failed = true;
  task.outcome = panics ? Outcome::panic : Outcome::error;
  if (panics) throw std::runtime_error(task.message = "red");
  if (task.random.percent(70)) say_why(task, "red");
  return Status::error;
}

// Plans what happens once its start is over.
void ShardSimulation::live_on(ShardTask& task) {
  Random& random = task.random;
  const Character& character = task.character;
  if (!task.said_ready && !random.percent(character.never_ready)) task.says_ready = now_ + units(random.below(8));
  if (character.isolated) {
    const Nanoseconds over = now_ + units(random.percent(60) ? 0 : random.below(6));
    if (random.percent(character.fails_to_start)) {
      task.over = over;
      return;
    }
    if (!random.percent(character.never_starts)) task.starts = over;
  }
  if (random.percent(character.falls_silent)) task.silent_from = now_ + units(random.below(30));
  if (random.percent(character.never_ends)) return;
  task.over = now_ + units(random.below(character.longest_life + 1));
  task.ends_well = random.percent(character.ends_well);
}

Status ShardSimulation::poll(std::size_t place, Execution& execution) {
  ShardTask& task = tasks_[place];
  if (!task.live || !task.start_ok || task.in_call || task.is_final || task.drop_called || task.lost) {
    complain(task, "is polled out of turn");
    return Status::error;
  }
  tell_start(task);
  task.in_call = true;
  task.is_woken = false;
  task.wakes = never;
  if (task.random.percent(50)) beat(task);
  if (task.random.percent(50)) say_what_is_due(task);
  const std::uint64_t number = task.number;
  stick(task);
  if (task.lost || task.number != number) return Status::ok;
  task.in_call = false;
  beat(task);
  say_what_is_due(task);
  tell_start(task);
  if (execution.stop_requested() != (task.asked_at != never)) complain(task, "does not know whether it is to stop");
  if (task.asked_at != never) react(task);
  if (task.over <= now_) return finish(task);
  if (task.random.percent(10)) {
    put({.kind = Step::Kind::wake,
         .time = now_ + units(task.random.below(4)),
         .task = place,
         .execution = number,
         .waker = execution.waker()});
  }
  const Nanoseconds next_beat = task.last_beat + units(task.character.heartbeat);
  Nanoseconds next = std::min({task.over, task.starts, task.says_ready});
  if (next_beat > now_ && next_beat < task.silent_from) next = std::min(next, next_beat);
  if (next == never) return Status::pending;
  task.wakes = next;
  say("  poll of " + std::to_string(place) + " wants to be woken in " +
      std::to_string(static_cast<double>(next - now_) / static_cast<double>(scenario_.unit)).substr(0, 6));
  if (!some_are_slow_ && task.random.percent(30)) {  // else it may be later: by the calls until the clock is read
    execution.wake_after(next - now_);
  } else {
    execution.wake_at(next);
  }
  return Status::pending;
}

// Runs on its own thread; called when it is over.
Status ShardSimulation::block(std::size_t place, Execution& execution) {
  ShardTask& task = tasks_[place];
  if (task.lost) return Status::error;  // nobody waits for it
  if (!task.live || !task.start_ok || task.is_final || task.drop_called) complain(task, "is run out of turn");
  const bool is_told = (execution.wait_until(0) & wait_stop) != 0;
  if (is_told != (task.asked_at != never)) complain(task, "does not know whether it is to stop");
  return finish(task);
}

void ShardSimulation::launch(std::shared_ptr<Job> job) {
  auto call = std::static_pointer_cast<BlockingCall>(std::move(job));  // its tasks offload nothing
  const auto slot = static_cast<std::uint32_t>(call->waker());
  const auto task = std::find_if(tasks_.begin(), tasks_.end(),
                                 [slot](const ShardTask& one) { return one.cell->slot.load() == slot; });
  if (!task->live || !task->start_ok || task->in_call || task->call) complain(*task, "is launched out of turn");
  tell_start(*task);
  if (task->random.percent(scenario_.no_threads)) {
    task->is_final = true;
    task->outcome = Outcome::error;
    task->message = "no thread for a blocking task: ";
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  }
  task->call = std::move(call);
  const auto later = [&](Step::Kind kind, Nanoseconds time) {
    if (time != never) put({.kind = kind, .time = time, .task = place_of(*task), .execution = task->number});
  };
  later(Step::Kind::say_ready, task->says_ready);
  later(Step::Kind::beat, now_);
  later(Step::Kind::end_block, task->over);
}

Status ShardSimulation::finish(ShardTask& task) {
  constexpr std::array<const char*, 3> messages{"red", "blue", "red and blue"};
  task.is_final = true;
  task.wakes = never;
  const unsigned dies = task.ends_well ? task.character.dies_in_drop : task.character.crashes;
  if (task.random.percent(dies)) {
    task.outcome = Outcome::crashed;
    task.execution->crashed(task.message = task.random.one_of(messages));
    return Status::error;
  }
  task.outcome = task.ends_well ? Outcome::ok : task.random.percent(70) ? Outcome::error : Outcome::panic;
  if (task.outcome == Outcome::panic && task.random.percent(50)) {
    throw std::runtime_error(task.message = task.random.one_of(messages));
  }
  if (task.random.percent(task.ends_well ? 20 : 70)) say_why(task, task.random.one_of(messages));
  return task.ends_well ? Status::ok : task.outcome == Outcome::error ? Status::error : Status::panic;
}

void ShardSimulation::drop(std::size_t place) {
  ShardTask& task = tasks_[place];
  if (!task.live || !task.start_ok || task.in_call || task.drop_called || task.lost) {
    complain(task, "is dropped out of turn");
    return;
  }
  if (!task.is_final && !task.may_be_removed && !task.stop_due_unclear && expired_ == never) {
    complain(task, "is dropped before its time");
  }
  if (!task.start_is_told) tell_start(task);
  task.drop_called = true;
  task.was_due = task.may_be_removed && task.call != nullptr;  // it is removed because it is due
  if (task.was_due && some_are_slow_) {
    task.stop_due_unclear = true;  // it may count as late, and be postponed
  }
  task.in_call = true;
  task.wakes = never;
  const std::uint64_t number = task.number;
  stick(task);
  if (task.lost || task.number != number) return;
  task.in_call = false;
  task.dropped = true;
  say("  drop of " + std::to_string(place) + " is over");
}

// --- what an execution does -----------------------------------------------------------------------------------------

void ShardSimulation::say_why(ShardTask& task, const char* text) {
  task.message = text;
  task.execution->fail(text);
}

// In a process of its own, it may be ready before its start is over, and say both more than once.
void ShardSimulation::say_what_is_due(ShardTask& task) {
  if (!task.said_ready && now_ >= task.says_ready) {
    task.execution->ready();
    task.said_ready = true;
    task.says_ready = never;
  }
  if (now_ >= task.starts) {
    task.has_started = true;
    task.starts = never;
  }
  if (task.has_started && (!task.start_is_told || task.random.percent(20))) task.execution->started();
}

void ShardSimulation::beat(ShardTask& task) {
  if (now_ >= task.silent_from) return;
  task.last_beat = now_;
  task.execution->heartbeat();
}

// Reacts to the request to end.
void ShardSimulation::react(ShardTask& task) {
  if (std::exchange(task.reacts, true)) return;
  if (task.random.percent(task.character.deaf)) {
    if (task.random.percent(50)) task.over = never;
    return;
  }
  const Nanoseconds over = now_ + units(task.random.percent(50) ? 0 : task.random.below(6));
  if (over > task.over) return;
  task.over = over;
  task.ends_well = task.random.percent(80);
}

// The call takes a while; or the monitor gives the shard to another thread, which goes on from here, while the call
// does not return for a while, or never. What that thread has left to do later is done by its predecessor's caller.
void ShardSimulation::stick(ShardTask& task) {
  if (!run_.fault.empty()) return;
  if (task.random.percent(task.character.slow)) {
    now_ += task.random.below(3) * scenario_.unit / 2 / shard_tick * shard_tick;
  }
  if (depth_ == max_stuck || !task.random.percent(task.character.gets_stuck)) return;
  Tenure& tenure = shard_.tenure();
  if (!tenure.pin(tenure.look())) return complain(task, "is in a call that can't be pinned");
  for (ShardTask& other : tasks_) {
    if (other.stop_due_anew && other.stop_due_turn == turns_) other.stop_due_unclear = true;
  }
  lost_.push_back(shard_.replace_tenure(std::make_shared<Tenure>()));
  tenure.set_told();
  tenure.take();
  const Nanoseconds until = task.random.percent(25) ? never : now_ + units(task.random.below(12));
  say("  " + std::to_string(place_of(task)) + " gets stuck" + (until == never ? " for ever" : ""));
  CallFrame none;  // of another thread
  const ThreadFrame foreign(none);
  ++depth_;
  shard_.adopt(lost_.back(), 0);
  drive(until);
  --depth_;
}

}  // namespace taskhost::simulation
