// Compares what the shard reports with what the models of its tasks say.
#include <algorithm>

#include "shard_simulation.hpp"

namespace taskhost::simulation {

namespace {

constexpr Nanoseconds millisecond = 1'000'000;
constexpr const char* no_thread = "no thread for a blocking task: ";

// An event has times in milliseconds.
Output rounded(Output output) {
  for (Nanoseconds* const time : {&output.delay, &output.uptime, &output.silence}) *time -= *time % millisecond;
  return output;
}

std::optional<std::uint32_t> remaining_of(const Event& event) {
  return event.unlimited ? std::nullopt : std::optional(event.remaining);
}

Output to_output(const Event& event) {
  const TaskNews news{.kind = event.kind,
                      .execution = event.execution,
                      .outcome = event.outcome,
                      .reason = event.reason,
                      .delay = event.delay_ms * millisecond,
                      .uptime = event.uptime_ms * millisecond,
                      .silence = event.stalled_ms * millisecond,
                      .remaining = remaining_of(event),
                      .restart_kind = event.restart_kind,
                      .message = event.message};
  return simulation::to_output(news);
}

}  // namespace

template <class Fact>
void ShardSimulation::give(ShardTask& task, Fact fact) {
  if (task.pending()) {
    complain(task, "nothing instead of " + to_text(task.expected[task.seen], scenario_.unit));
  }
  task.expected.clear();
  task.seen = 0;
  looked_at_ = &task;
  fact(*task.model);
  std::erase_if(task.expected, [](const Output& output) { return output.kind == Output::Kind::ask; });
}

void ShardSimulation::did(ShardTask& task, Output is) {
  if (trace_ != nullptr) {
    Output traced = is;
    traced.task = static_cast<Place>(place_of(task));
    say("    " + to_text(traced, scenario_.unit));
  }
  if (!task.pending()) return complain(task, to_text(is, scenario_.unit) + " instead of nothing");
  const Output must_be = rounded(task.expected[task.seen++]);
  if (is != must_be) {
    complain(task, to_text(is, scenario_.unit) + "\n instead of\n  " + to_text(must_be, scenario_.unit));
  }
}

bool ShardSimulation::publish(Event&& event) noexcept {
  ShardTask& task = tasks_[event.id.data[0]];
  const EventKind kind = event.kind;
  if (task.lost && kind != EventKind::task_discarded) complain(task, "tells something after it was abandoned");
  if (!task.pending()) take_fact(task, event);
  if (kind == EventKind::task_started) {
    did(task, {.kind = Output::Kind::start, .remaining = remaining_of(event)});
    if (event.execution != task.number) complain(task, "has an execution with a wrong number");
    return true;
  }
  did(task, to_output(event));
  if (kind == EventKind::task_stopping) was_asked(task);
  // Reported before the exit is judged, or before a cooldown resets it: either a part of the output, or irrelevant.
  const bool is_of_before = kind == EventKind::task_exited || kind == EventKind::task_gave_up;
  if (!is_of_before && remaining_of(event) != task.model->budget(0, now_)) {
    complain(task, "is told with a wrong budget");
  }
  if (kind == EventKind::task_restarting) ++restarts_;
  return true;
}

// What must have happened, since the shard reports it.
void ShardSimulation::take_fact(ShardTask& task, const Event& event) {
  switch (event.kind) {
    case EventKind::task_started:
      if (task.live) complain(task, "has two executions at once");
      if (is_stopping_) complain(task, "is started though the host stops");
      static_cast<ShardLife&>(task) = {};
      ++task.number;
      task.live = true;
      task.began = now_;
      task.random = Random(scenario_.seed, task.character.key, task.number);
      ++starts_;
      return give(task, [this](Model& model) { model.begun(0, now_); });
    case EventKind::task_ready:
      if (!task.said_ready || !task.is_start_over() || task.ready_is_told)
        complain(task, "is ready, and has not said so");
      tell_start(task);
      task.ready_is_told = true;
      if (task.notifies()) task.ready_at = now_;
      return give(task, [this](Model& model) { model.said_ready(0, now_); });
    case EventKind::task_stopping:
      if (stop_began_) give(task, [this](Model& model) { model.reached(0, now_); });
      if (!stop_began_) judged(task);
      return;
    case EventKind::task_stalled:
      return judged(task);
    case EventKind::task_exited:
    case EventKind::task_stopped:
    case EventKind::task_abandoned:
      if (task.cell->life.purpose == StopPurpose::host || event.kind == EventKind::task_abandoned) tell_host_stop(task);
      return give(task, [&, end = end_of(task, event)](Model& model) { model.ended(0, end, now_); });
    default:
      return;  // not caused by anything new
  }
}

void ShardSimulation::tell_start(ShardTask& task) {
  if (!task.is_start_over() || std::exchange(task.start_is_told, true)) return;
  if (!task.notifies()) task.ready_at = now_;
  give(task, [this](Model& model) { model.started(0, now_); });
}

void ShardSimulation::advance(ShardTask& task) {
  give(task, [this](Model& model) { model.advance(turned_at_); });
}

// The shard has checked a time limit of the task, at the beginning of its turn.
void ShardSimulation::judged(ShardTask& task) {
  looked_at_ = &task;
  if (announced_ || !is_live(task.model->state(0)) || task.model->next_due() > turned_at_) return;
  advance(task);
}

Nanoseconds ShardSimulation::limit_of(const ShardTask& task) {
  const SupervisedCell* const supervised = task.cell->supervised();
  return supervised != nullptr ? supervised->supervision.deadline : never;
}

void ShardSimulation::operate(ShardTask& task, Operation operation) {
  give(task, [&](Model& model) { model.operate(0, operation, now_); });
  shard_.operate(place_of(task), operation);
}

void ShardSimulation::begin_stop(Nanoseconds since) {
  say("the host stops");
  stop_began_ = true;
  stop_since_ = since;
  for (ShardTask& task : tasks_) {
    if (task.cell->life.state != TaskState::stopping) tell_host_stop(task);
  }
}

// One that is stopping already learns of it when the shard reaches it, in later turns, without an event.
void ShardSimulation::tell_host_stop(ShardTask& task) {
  if (!stop_began_ || std::exchange(task.knows_host_stop, true)) return;
  give(task, [this](Model& model) { model.begin_stop(now_); });
}

void ShardSimulation::was_asked(ShardTask& task) {
  if (!task.live || task.asked_at != never) return complain(task, "is asked to end out of turn");
  task.asked_at = now_;
  task.stop_due = (stop_began_ ? stop_since_ : now_) + to_nanoseconds(task.options.stop_timeout);
  task.stop_due_unclear = task.stop_due <= now_;  // the shard checks it in this turn or the next
  if (!task.character.blocking) return;
  react(task);
  if (task.call) {
    put({.kind = Step::Kind::end_block, .time = task.over, .task = place_of(task), .execution = task.number});
  }
}

End ShardSimulation::end_of(ShardTask& task, const Event& event) {
  if (!task.live) complain(task, "ends twice");
  task.live = false;
  ++ends_;
  End end{Ending::returned, task.outcome, task.message, now_ - task.began, 0};
  const Nanoseconds last = std::min(task.asked_at, now_);
  if (task.ready_at < last) end.lived = last - task.ready_at;
  if (event.kind == EventKind::task_abandoned) {
    end.ending = Ending::abandoned;
    const bool runs = task.call != nullptr && !task.is_final;
    if (task.character.isolated) complain(task, "is abandoned, and its process can be killed");
    if (!task.in_call && !runs) complain(task, "is abandoned, and nothing of it runs");
    if (!task.may_be_removed && !task.stop_due_unclear && !task.is_being_removed() && expired_ == never) {
      complain(task, "is abandoned before its time");
    }
    ++abandonments_;
    task.lost = true;
  } else if (task.start_failed) {
    if (task.in_call) complain(task, "ends before its start is over");
    end.uptime = 0;
  } else {
    if (!task.dropped) complain(task, "ends before it was dropped");
    if (!task.is_final) end.ending = Ending::dropped;
  }
  if (end.ending != Ending::returned) {
    end.outcome = Outcome::cancelled;
    end.message = event.message;  // the shard's own wording
    if (event.message.empty() && event.kind != EventKind::task_exited) complain(task, "is not told why");
  } else if (end.message == no_thread) {
    end.message = event.message.starts_with(no_thread) ? event.message : no_thread;
  }
  if (end.outcome == Outcome::ok) end.message.clear();
  return end;
}

// --- the shard's owner -----------------------------------------------------------------------------------------------

void ShardSimulation::stop_wanted(StopCause cause) noexcept {
  ShardTask& task = tasks_[static_cast<std::size_t>(cause.task[0] - '0')];
  did(task, {.kind = Output::Kind::stop_host,
             .reason = cause.reason,
             .failure = cause.failure,
             .message = fixed_part(std::move(cause.detail))});
  announce();
}

void ShardSimulation::shard_ended() noexcept {
  ++ended_;
  if (announced_ || scenario_.has_others) return;
  put({.kind = Step::Kind::announce, .time = now_ + units(random_.below(4)), .for_all_done = true});
}

bool ShardSimulation::shard_revived() noexcept {
  if (is_stopping_) return false;
  --ended_;
  return true;
}

boost::uuids::uuid ShardSimulation::task_id(std::uint32_t index) const noexcept {
  boost::uuids::uuid id{};
  id.data[0] = static_cast<std::uint8_t>(index);
  return id;
}

void ShardSimulation::did_not_stop(Straggler straggler) {
  ShardTask& task = tasks_[straggler.index];
  if (straggler.execution != task.number) complain(task, "did not stop, in an execution that is not its own");
  const Nanoseconds asked = now_ - straggler.for_time;
  if (asked != task.asked_at && !(stop_began_ && asked == stop_since_)) complain(task, "was asked at another time");
}

Nanoseconds ShardSimulation::last_heartbeat(Place) { return looked_at_->last_beat; }

// The random part is the real one's; the bounds are the model's.
Nanoseconds ShardSimulation::drawn_delay(Place, std::uint64_t restart, Nanoseconds least, Nanoseconds most) {
  const ShardTask& task = *looked_at_;
  const double random = chance(seed(), place_of(task), task.cell->supervised()->supervision.ledger.lifetime);
  const Nanoseconds drawn = task.options.optional->backoff->delay(restart, random);
  return drawn + 1 >= least && drawn <= most + 1 ? drawn : least;  // a nanosecond for rounding
}

// --- when nothing is left to do at this moment -----------------------------------------------------------------------

void ShardSimulation::look_at_rest() {
  bool all_ended = true;
  for (ShardTask& task : tasks_) {
    look_at_rest(task);
    all_ended = all_ended && task.cell->life.state == TaskState::ended;
    looked_at_ = &task;
    Nanoseconds due = announced_ ? never : task.model->next_due();
    if (task.live && !task.is_being_removed() && !task.stop_due_unclear) due = std::min(due, task.stop_due);
    const Nanoseconds tick = (std::max(due, now_ + 1) + shard_tick - 1) / shard_tick * shard_tick;
    if (due != never && last_.deadline > tick) complain(task, "has a timer that its shard would miss");
  }
  if (shard_.ended() != all_ended || ended_ != (all_ended ? 1 : 0)) complain(tasks_[0], "(or another): who has ended");
}

void ShardSimulation::look_at_rest(ShardTask& task) {
  if (task.pending()) {
    return complain(task, "nothing instead of\n  " + to_text(task.expected[task.seen], scenario_.unit));
  }
  tell_host_stop(task);
  const TaskState is = task.cell->life.state;
  const TaskState must_be = task.model->state(0);
  const bool is_plain = !task.options.optional && must_be == TaskState::starting && is == TaskState::running;
  const bool is_refused = announced_ && !is_live(must_be) && is == TaskState::ended;
  if (is != must_be && !is_plain && !is_refused) {
    complain(task, "is " + std::string(to_string(is)) + ", and has to be " + std::string(to_string(must_be)));
  }
  if (is == TaskState::waiting) complain(task, "is not started");
  if (stop_began_ && is != TaskState::stopping && is != TaskState::ended) complain(task, "was not asked to end");
  if (expired_ != never && now_ > expired_ + shard_tick && is != TaskState::ended) {
    complain(task, "lives though the stop has run out of time");
  }
  if (!task.live || task.in_call) return;
  if (task.wakes != never && task.wakes + shard_tick < now_) complain(task, "was not woken");
  if (task.is_woken) complain(task, "was woken, and not polled");
  if (task.is_start_over() && task.said_ready && !task.ready_is_told) complain(task, "is not told to be ready");
  if (task.asked_at != never && task.wakes == never && !task.reacts) complain(task, "was not polled after its request");
  if (task.may_be_removed && !task.stop_due_unclear) complain(task, "lives though its stop has run out of time");
  if (task.is_final || task.start_failed) complain(task, "has ended, and nobody says so");
}

void ShardSimulation::look_at_the_end() {
  look_at_rest();
  const ShardCounters& counters = shard_.counters();
  const bool counted = counters.starts == starts_ && shard_.restarts() == restarts_;
  if (!counted) complain(tasks_[0], "(or another): its starts or restarts are counted wrongly");
  if (starts_ != ends_) complain(tasks_[0], "(or another): not each execution has one end");
  if (abandonments_ != abandoned_) complain(tasks_[0], "(or another): who was abandoned");
}

void ShardSimulation::complain(const ShardTask& task, const std::string& what) {
  if (!run_.fault.empty()) return;
  run_.symptom = what.substr(0, what.find(" execution"));
  std::erase_if(run_.symptom, [](char letter) { return letter >= '0' && letter <= '9'; });
  run_.fault = "on a shard, at step " + std::to_string(run_.steps) + ": task " + std::to_string(place_of(task)) +
               ", execution " + std::to_string(task.number) + ": " + what;
  say("  WRONG: task " + std::to_string(place_of(task)) + " " + what);
}

void ShardSimulation::say(const std::string& text) {
  if (trace_ == nullptr) return;
  const double since = static_cast<double>(now_ - first_tick) / static_cast<double>(scenario_.unit);
  *trace_ += std::to_string(since).substr(0, 8) + std::string(1 + 2 * depth_, ' ') + text + "\n";
}

}  // namespace taskhost::simulation
