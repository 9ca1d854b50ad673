#include "task_machine.hpp"

#include <algorithm>
#include <utility>

namespace taskhost {

const SupervisionOptions& TaskMachine::optional() const noexcept { return options_.supervision(); }

std::optional<std::uint32_t> TaskMachine::remaining(Nanoseconds now) const noexcept {
  if (supervision_ == nullptr) return options_.restarts - life_.charged;
  return remaining_restarts(options_, supervision_->ledger, now);
}

void TaskMachine::give_back() noexcept {
  life_.charged = 0;
  if (supervision_ != nullptr) supervision_->ledger.give_back();
}

// --- an execution ----------------------------------------------------------------------------------------------------

void TaskMachine::prepare() noexcept {
  if (supervision_ == nullptr) return;
  supervision_->begun = false;
  supervision_->start_over = false;
  supervision_->said_ready = false;
  supervision_->armed_anew = false;
  supervision_->failure.clear();
}

void TaskMachine::begun(Nanoseconds now) noexcept {
  if (supervision_ == nullptr) return;
  supervision_->begun = true;
  if (optional().repeat) supervision_->covered = cover(*optional().repeat, supervision_->covered, now);
  if (optional().start_timeout && !life_.to_ask) {
    supervision_->deadline = later(now, to_nanoseconds(*optional().start_timeout));
  }
}

bool TaskMachine::becomes_ready(Nanoseconds now) noexcept {
  if (life_.state != TaskState::starting) return false;
  Supervision& supervision = *supervision_;
  if (!supervision.start_over || (optional().notify && !supervision.said_ready)) return false;
  supervision.warned = false;
  supervision.armed_anew = false;
  supervision.sign = now;
  const bool watched = optional().watchdog && !life_.to_ask;
  supervision.deadline = watched ? later(now, to_nanoseconds(optional().watchdog->interval)) : never;
  return true;
}

// From now on the task is no longer watched.
void TaskMachine::want_stop(StopPurpose purpose) noexcept {
  life_.purpose = is_to_stop() ? std::min(life_.purpose, purpose) : purpose;
  life_.to_ask = life_.state != TaskState::stopping;
  if (supervision_ != nullptr) supervision_->deadline = never;
}

// --- ends ------------------------------------------------------------------------------------------------------------

TaskMachine::Next TaskMachine::end(const End& end, bool is_exit, HostPhase host, Nanoseconds now, double random,
                                   TaskVoice& voice) {
  if (supervision_ != nullptr) {
    supervision_->deadline = never;
    give_back_after(options_, supervision_->ledger, end.lived);
  }
  if (is_exit) return exit(end, host, now, random, voice);
  // It was asked to end, or was about to be asked, or the host ended it without asking.
  const StopPurpose purpose = is_to_stop() ? life_.purpose : StopPurpose::host;
  const bool abandoned = end.ending == Ending::abandoned;
  if (purpose == StopPurpose::failure && !abandoned) {
    End failed = end;
    failed.outcome = Outcome::error;
    failed.message = std::move(supervision_->failure);
    return exit(failed, host, now, random, voice);
  }
  if (supervision_ == nullptr || supervision_->begun) {
    if (life_.state != TaskState::stopping) voice.tell({.kind = EventKind::task_stopping});
    voice.tell({.kind = abandoned ? EventKind::task_abandoned : EventKind::task_stopped,
                .outcome = Outcome::cancelled,
                .uptime = end.uptime,
                .message = end.message});
  }
  if (abandoned) return could_not_stop(end, host, voice);
  switch (purpose) {
    case StopPurpose::host:
    case StopPurpose::failure:
      break;
    case StopPurpose::operator_stop:
      return {.state = TaskState::stopped};
    case StopPurpose::discard:
      voice.tell({.kind = EventKind::task_discarded, .outcome = Outcome::cancelled, .reason = StopReason::group});
      break;
    case StopPurpose::again:
      return {.state = TaskState::waiting};
  }
  return {};
}

// The abandoned execution remains for ever.
TaskMachine::Next TaskMachine::could_not_stop(const End& end, HostPhase host, TaskVoice& voice) {
  life_.unstoppable = true;
  if (host == HostPhase::stopping) return {};
  if (options_.type != TaskType::detachable) {
    voice.stop_host(StopReason::not_stopped, true, end.message);
    return {};
  }
  voice.tell({.kind = EventKind::task_discarded,
              .outcome = Outcome::cancelled,
              .reason = StopReason::not_stopped,
              .message = end.message});
  return {.is_given_up = true};
}

TaskMachine::Next TaskMachine::exit(const End& end, HostPhase host, Nanoseconds now, double random, TaskVoice& voice) {
  const bool was_up = supervision_ == nullptr || supervision_->start_over;
  voice.tell({.kind = EventKind::task_exited,
              .outcome = end.outcome,
              .uptime = was_up ? end.uptime : 0,
              .message = end.message});
  const Consequence consequence = judge(end, now, random);
  const bool well = end.outcome == Outcome::ok;
  switch (consequence.kind) {
    case Consequence::Kind::restart:
      return restart(consequence.delay, RestartKind::charged, host, now, voice);
    case Consequence::Kind::repeat:
      if (optional().repeat) return repeat(host, now, voice);
      return restart(consequence.delay, RestartKind::repeat, host, now, voice);
    case Consequence::Kind::discard:
      voice.tell(
          {.kind = EventKind::task_discarded, .outcome = end.outcome, .message = well ? "it ended well" : end.message});
      return {.well = well};
    case Consequence::Kind::stop_host_success:
    case Consequence::Kind::stop_host_failure:
      voice.stop_host(StopReason::task_exit, consequence.kind == Consequence::Kind::stop_host_failure, end.message);
      return {.well = well};
    case Consequence::Kind::give_up:
      return give_up(end, host, now, voice);
  }
  return {};
}

Consequence TaskMachine::judge(const End& end, Nanoseconds now, double random) {
  if (supervision_ != nullptr) {
    return judge_exit(options_, supervision_->ledger, end.outcome, end.message, now, random);
  }
  RestartLedger ledger;
  ledger.charged = life_.charged;
  const Consequence consequence = judge_exit(options_, ledger, end.outcome, end.message, now, random);
  life_.charged = ledger.charged;
  return consequence;
}

TaskMachine::Next TaskMachine::restart(Nanoseconds delay, RestartKind restart_kind, HostPhase host, Nanoseconds now,
                                       TaskVoice& voice) {
  if (host != HostPhase::running) return {};
  voice.tell({.kind = EventKind::task_restarting, .delay = delay, .restart_kind = restart_kind});
  const bool with_group = restart_kind != RestartKind::repeat;
  if (delay == 0) return {.state = TaskState::waiting, .restarts = true, .with_group = with_group};
  supervision_->deadline = later(now, delay);
  supervision_->until_due = false;
  return {.state = TaskState::delayed, .restarts = true, .with_group = with_group};
}

TaskMachine::Next TaskMachine::repeat(HostPhase host, Nanoseconds now, TaskVoice& voice) {
  const Nanoseconds left = time_until_due(*optional().repeat, supervision_->covered, now);
  const Next next = restart(left, RestartKind::repeat, host, now, voice);
  if (next.state == TaskState::delayed) wait_until_due(left, now);
  return next;
}

void TaskMachine::wait_until_due(Nanoseconds left, Nanoseconds now) noexcept {
  supervision_->until_due = true;
  supervision_->deadline = later(now, optional().repeat->schedule ? std::min(left, schedule_look) : left);
}

Nanoseconds TaskMachine::next_start(Nanoseconds now) const noexcept {
  if (!waits_for_time()) return supervision_->deadline;
  Nanoseconds covered = supervision_->covered;
  return later(now, time_until_due(*optional().repeat, covered, now));
}

TaskMachine::Next TaskMachine::give_up(const End& end, HostPhase host, Nanoseconds now, TaskVoice& voice) {
  voice.tell({.kind = EventKind::task_gave_up, .outcome = end.outcome, .message = end.message});
  switch (after_giving_up(options_)) {
    case GiveUp::by_type:
    case GiveUp::stop_host:
      voice.stop_host(StopReason::budget_exhausted, true, end.message);
      return {};
    case GiveUp::discard:
      voice.tell({.kind = EventKind::task_discarded,
                  .outcome = end.outcome,
                  .reason = StopReason::budget_exhausted,
                  .message = end.message});
      return {.is_given_up = true};
    case GiveUp::cooldown:
      give_back();
      return restart(to_nanoseconds(optional().cooldown), RestartKind::cooldown, host, now, voice);
  }
  return {};
}

// --- time ------------------------------------------------------------------------------------------------------------

TaskMachine::Step TaskMachine::due(Nanoseconds now, Nanoseconds heartbeat, TaskVoice& voice) {
  const Nanoseconds deadline = std::exchange(supervision_->deadline, never);
  const bool stood_still = now > later(deadline, standstill);
  if (waits_for_time()) {
    const Nanoseconds left = time_until_due(*optional().repeat, supervision_->covered, now);
    if (left == 0) return Step::wait;
    wait_until_due(left, now);
    return Step::nothing;
  }
  if (life_.state == TaskState::delayed) return Step::wait;
  if (life_.state == TaskState::running) return watch(stood_still, now, heartbeat, voice);
  if (life_.state != TaskState::starting) return Step::nothing;
  if (!stood_still || supervision_->armed_anew) return fail(lateness_message(*optional().start_timeout));
  arm_anew(*optional().start_timeout, now);
  return Step::nothing;
}

// Time in which nothing could run is not held against the task: it has its turn first.
void TaskMachine::arm_anew(std::chrono::nanoseconds duration, Nanoseconds now) noexcept {
  supervision_->armed_anew = true;
  supervision_->deadline = later(now, to_nanoseconds(duration));
}

TaskMachine::Step TaskMachine::fail(std::string message) noexcept {
  supervision_->failure = std::move(message);
  want_stop(StopPurpose::failure);
  return Step::ask;
}

TaskMachine::Step TaskMachine::watch(bool stood_still, Nanoseconds now, Nanoseconds heartbeat, TaskVoice& voice) {
  Supervision& supervision = *supervision_;
  const Watchdog& watchdog = *optional().watchdog;
  const Nanoseconds interval = to_nanoseconds(watchdog.interval);
  // After a heartbeat the timer is set from that, even if it is due at once: other timers may come first.
  if (heartbeat > supervision.sign) {
    supervision.sign = heartbeat;
    supervision.warned = false;
    supervision.armed_anew = false;
    supervision.deadline = later(heartbeat, interval);
    return Step::nothing;
  }
  if (stood_still && !supervision.armed_anew && !supervision.warned) {
    arm_anew(watchdog.interval, now);
    return Step::nothing;
  }
  if (watchdog.action == WatchdogAction::restart) return fail(silence_message(watchdog.interval));
  supervision.deadline = later(now, interval);
  if (supervision.warned) return Step::nothing;
  supervision.warned = true;
  voice.tell({.kind = EventKind::task_stalled,
              .silence = now - supervision.sign,
              .message = silence_message(watchdog.interval)});
  return Step::nothing;
}

// --- operators -------------------------------------------------------------------------------------------------------

TaskMachine::Step TaskMachine::operate(Operation operation) noexcept {
  switch (life_.state) {
    case TaskState::waiting:
    case TaskState::delayed:
      if (supervision_ != nullptr) supervision_->deadline = never;
      return operation == Operation::stop ? Step::stop : Step::wait;
    case TaskState::starting:
    case TaskState::running:
    case TaskState::stopping:
      if (operation == Operation::stop) {
        want_stop(StopPurpose::operator_stop);
      } else if (is_to_stop() && (life_.purpose == StopPurpose::operator_stop ||
                                  (operation == Operation::restart && life_.purpose == StopPurpose::failure))) {
        life_.purpose = StopPurpose::again;
      } else if (operation == Operation::restart) {
        want_stop(StopPurpose::again);
      }
      return life_.to_ask ? Step::ask : Step::nothing;
    case TaskState::stopped:
    case TaskState::ended:
      if (operation == Operation::stop || life_.unstoppable) return Step::nothing;
      give_back();
      return Step::wait;
  }
  return Step::nothing;
}

}  // namespace taskhost
