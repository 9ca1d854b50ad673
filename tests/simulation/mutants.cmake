# Writes copies of core's sources with deliberate faults, each inactive until it is chosen, and the list of their names.
# It is an error if a text is no longer in its source, or occurs there twice.
#   cmake -DSOURCES=core/source -DTARGET=folder -P mutants.cmake
#
# mutant(NAME FILE KIND RIGHT WRONG WHAT): in FILE, replaces RIGHT by WRONG. KIND is expression or statement (both can
# be put into braces), or text: WRONG is inserted as it is, with ACTIVE for the condition.
cmake_policy(VERSION 3.22)

foreach(file IN ITEMS coordinator coordinator_state repetition restart_policy shard_orders task_machine)
  file(READ "${SOURCES}/${file}.cpp" original_${file})
  set(changed_${file} "${original_${file}}")
endforeach()
set(count 0)
set(table "")

function(mutant name file kind right wrong what)
  string(FIND "${original_${file}}" "${right}" first)
  string(FIND "${original_${file}}" "${right}" last REVERSE)
  if(first EQUAL -1)
    message(FATAL_ERROR "mutant ${name}: this is not in ${file}.cpp any more:\n${right}")
  elseif(NOT first EQUAL last)
    message(FATAL_ERROR "mutant ${name}: this is in ${file}.cpp more than once:\n${right}")
  endif()
  math(EXPR number "${count} + 1")
  set(active "taskhost::simulation::is_mutant(${number})")
  if(kind STREQUAL "expression")
    set(text "(${active} ? (${wrong}) : (${right}))")
  elseif(kind STREQUAL "statement")
    set(text "if (${active}) { ${wrong} } else { ${right} }")
  else()
    string(REPLACE "ACTIVE" "${active}" text "${wrong}")
  endif()
  # If another mutant has replaced this text before, the right text comes last in its replacement.
  string(FIND "${changed_${file}}" "${right}" at REVERSE)
  if(at EQUAL -1)
    message(FATAL_ERROR "mutant ${name}: another mutant has taken this in ${file}.cpp apart:\n${right}")
  endif()
  string(LENGTH "${right}" length)
  string(SUBSTRING "${changed_${file}}" 0 ${at} before)
  math(EXPR end "${at} + ${length}")
  string(SUBSTRING "${changed_${file}}" ${end} -1 after)
  set(changed_${file} "${before}${text}${after}" PARENT_SCOPE)
  set(count ${number} PARENT_SCOPE)
  set(table "${table}    {\"${name}\", \"${what}\"},\n" PARENT_SCOPE)
endfunction()

# --- budget and backoff ---
mutant(budget_one_more restart_policy expression [[charged_at(ledger, optional, now) >= options.restarts]]
       [[charged_at(ledger, optional, now) > options.restarts]] "restarts once more than the budget allows")
mutant(budget_one_less restart_policy expression [[charged_at(ledger, optional, now) >= options.restarts]]
       [[charged_at(ledger, optional, now) + 1 >= options.restarts]] "restarts once less than the budget allows")
mutant(uncharged restart_policy statement [[++ledger.charged;]] "" "a restart is not charged")
mutant(uncharged_in_window restart_policy statement [[ledger.times.push_back(now);]] ""
       "a restart is not charged when there is a window")
mutant(repeat_charged restart_policy text [[case ExitAction::repeat:
      ++ledger.lifetime;]] [[case ExitAction::repeat:
      if (ACTIVE) ++ledger.charged;
      ++ledger.lifetime;]] "a repeat is charged")
mutant(repeat_in_a_row restart_policy text [[return {Consequence::Kind::repeat,]] [[if (ACTIVE) ++ledger.in_a_row;
      return {Consequence::Kind::repeat,]] "a repeat makes the next delay longer")
mutant(repeat_grows restart_policy expression [[optional.backoff->delay(1, random)]]
       [[optional.backoff->delay(ledger.in_a_row + 1, random)]] "a repeat waits as long as a restart would")
mutant(window_edge restart_policy expression [[later(charged, window) < now]] [[later(charged, window) <= now]]
       "the window is open at its end")
mutant(window_for_ever restart_policy expression [[later(charged, window) < now]] [[false]]
       "restarts before the window count")
mutant(reset_edge restart_policy expression [[uptime >= to_nanoseconds(*optional.reset_after)]]
       [[uptime > to_nanoseconds(*optional.reset_after)]] "reset_after asks for more than it says")
mutant(backoff_goes_on restart_policy statement [[in_a_row = 0;]] "" "backoff is never given back")
mutant(backoff_ahead restart_policy expression [[optional.backoff->delay(ledger.in_a_row, random)]]
       [[optional.backoff->delay(ledger.in_a_row + 1, random)]] "the first delay is that of the second restart")
mutant(jitter_above_max restart_policy expression [[std::min(longest, plain + plain * jitter * random)]]
       [[plain + plain * jitter * random]] "jitter goes above max")
mutant(rules_are_deaf restart_policy expression [[its_message.find(message) != std::string_view::npos]] [[true]]
       "exit_rules ignore the message")
mutant(failed_start_was_up task_machine expression [[was_up ? end.uptime : 0]] [[end.uptime]]
       "a start that failed is told with an uptime")
mutant(start_keeps_budget task_machine text [[if (operation == Operation::stop || life_.unstoppable) return Step::nothing;
      give_back();]] [[if (operation == Operation::stop || life_.unstoppable) return Step::nothing;
      if (!ACTIVE) give_back();]] "an operator's start does not give the budget back")
mutant(cooldown_keeps_budget task_machine text [[give_back();
      return restart(]] [[if (!ACTIVE) give_back();
      return restart(]] "a cooldown does not give the budget back")

# --- the stop ---
mutant(restart_after_stop task_machine statement [[if (host != HostPhase::running) return {};]] "" "an exit is followed by a restart though the host stops")
mutant(start_after_stop coordinator_state statement [[if (stopping_ || closing_) return;]] ""
       "tasks are started though the host stops")
mutant(start_while_closing coordinator_state statement [[if (stopping_ || closing_) return;]] [[if (stopping_) return;]]
       "tasks are started until the host has heard that it is to stop")
mutant(refused_and_on coordinator text [[closing_ = true;
    --entry.execution;]] [[if (!ACTIVE) closing_ = true;
    --entry.execution;]] "goes on after a start was refused")
mutant(stop_in_order coordinator_state expression [[free_to_ask_.last()]] [[free_to_ask_.first()]]
       "the first is asked first")
mutant(stop_at_once coordinator_state expression [[stopping_ || for_group]] [[for_group]]
       "nobody waits for dependants when the host stops")
mutant(stop_before_begun coordinator_state expression [[!entry.life.to_ask || entry.blockers != 0 || !entry.supervision.begun]]
       [[!entry.life.to_ask || entry.blockers != 0]] "an execution is asked before it has begun")
mutant(asked_end_is_exit coordinator expression
       [[entry.life.state == TaskState::stopping || of_group]]
       [[of_group]] "an end that was asked for is judged like an exit")
mutant(stopped_is_over coordinator_state expression [[static_cast<std::size_t>(next != TaskState::ended)]]
       [[static_cast<std::size_t>(next != TaskState::ended && next != TaskState::stopped)]]
       "a task that an operator stopped does not keep the host running")

# --- time ---
mutant(stale_timer task_machine statement [[if (supervision_ != nullptr) supervision_->deadline = never;
      return operation == Operation::stop ? Step::stop : Step::wait;]] [[return operation == Operation::stop ? Step::stop : Step::wait;]]
       "the timer of a delay that an operator has ended goes off")
mutant(start_timeout_is_late task_machine expression [[later(now, to_nanoseconds(*optional().start_timeout))]]
       [[later(now, 2 * to_nanoseconds(*optional().start_timeout))]] "start_timeout is twice as long")
mutant(watchdog_nags task_machine statement [[if (supervision.warned) return Step::nothing;]] "" "the watchdog warns again and again")
mutant(watchdog_warns_once task_machine text [[supervision.warned = false;
    supervision.armed_anew = false;
    supervision.deadline = later(heartbeat]] [[if (!ACTIVE) supervision.warned = false;
    supervision.armed_anew = false;
    supervision.deadline = later(heartbeat]] "the watchdog warns once, whatever comes later")
mutant(watchdog_is_deaf task_machine expression [[heartbeat > supervision.sign]] [[false]] "heartbeats do not count")
mutant(pause_charges task_machine expression [[now > later(deadline, standstill)]] [[false]]
       "a standstill of the process charges the tasks")
mutant(standstill_for_ever task_machine statement [[supervision_->armed_anew = true;]] ""
       "a timer that comes late is armed anew again and again")
mutant(standstill_once_a_life task_machine statement [[supervision.armed_anew = false;
  supervision.sign = now;]] [[supervision.sign = now;]] "a standstill in the start uses up the one of the watchdog")
mutant(uptime_is_life task_machine expression [[give_back_after(options_, supervision_->ledger, end.lived)]]
       [[give_back_after(options_, supervision_->ledger, end.uptime)]] "start and dying count for reset_after")
mutant(timeout_is_no_exit task_machine expression [[purpose == StopPurpose::failure && !abandoned]] [[false]]
       "what start_timeout or the watchdog has ended is not judged")
mutant(delay_does_not_count coordinator_state expression
       [[entry.life.state != TaskState::waiting || entry.held || entry.unsatisfied != 0]]
       [[entry.held || entry.unsatisfied != 0]] "a delayed task is started when it is looked at")

# --- repeat ---
mutant(ok_is_no_repeat restart_policy expression [[optional.repeat && outcome == Outcome::ok]] [[false]]
       "with repeat, an exit by ok leads to what the type says")
mutant(failure_is_repeat restart_policy expression [[optional.repeat && outcome == Outcome::ok]] [[optional.repeat.has_value()]]
       "with repeat, a failure is a repeat, too")
mutant(repeat_before_rules restart_policy text [[if (rule != optional.exit_rules.end()) return rule->action;]]
       [[if (ACTIVE && optional.repeat && outcome == Outcome::ok) return ExitAction::repeat;
  if (rule != optional.exit_rules.end()) return rule->action;]] "repeat comes before exit_rules")
mutant(rule_repeats_by_backoff task_machine text [[if (optional().repeat) return repeat(host, now, voice);]]
       [[if (optional().repeat && (!ACTIVE || !optional().backoff)) return repeat(host, now, voice);]]
       "with a backoff, repeats wait for its delay")
mutant(every_from_the_end repetition expression [[due <= clock ? 0 : due - clock]] [[to_nanoseconds(repetition.every)]]
       "every counts from the end")
mutant(every_from_the_last_begin repetition expression [[now - (now - covered) % every]] [[now]]
       "every counts from the last execution's beginning")
mutant(every_from_the_due_time repetition expression [[now - (now - covered) % every]] [[covered + every]]
       "each time that was missed has an execution of its own")
mutant(never_looks task_machine expression [[std::min(left, schedule_look)]] [[left]]
       "nobody looks whether the wall clock was set")
mutant(due_when_it_looks task_machine statement [[if (left == 0) return Step::wait;]] [[return Step::wait;]]
       "it is due whenever it looks at the wall clock")
mutant(set_back_again repetition text [[return covered == never || wall > covered ||]] [[return ACTIVE || covered == never || wall > covered ||]]
       "a clock that was set back repeats times")
mutant(set_back_for_ever repetition expression [[later(wall, schedule_correction) < covered]] [[false]]
       "a clock that was set back by a day stops the task for a day")
mutant(due_by_group coordinator_state expression [[entry.life.state == TaskState::delayed && !waits_for_time(entry)]]
       [[entry.life.state == TaskState::delayed]] "a restart of its group ends the wait for its time")
mutant(due_is_not_satisfied coordinator expression [[waits_for_time(entries_[task])]] [[false]]
       "dependants do not start while a task waits for its time")
mutant(due_is_satisfied_for_ever coordinator_state statement [[if (before == TaskState::running || before == TaskState::delayed) set_satisfied(task, false);]]
       [[if (before == TaskState::running) set_satisfied(task, false);]] "a task that an operator stops while it waits for its time satisfies others")

# --- dependencies ---
mutant(after_only_first coordinator_state expression [[entry.unsatisfied != 0]]
       [[entry.execution == 0 && entry.unsatisfied != 0]] "a restart does not wait for what is in after")
mutant(started_is_ready task_machine expression [[(optional().notify && !supervision.said_ready)]] [[false]]
       "a task with notify is ready before it says so")
mutant(never_skips coordinator_state expression [[entry.lost_after != 0]] [[false]]
       "a task waits for ever for one that is gone")
mutant(skips_what_is_needed coordinator_state statement [[if (needed) stop_host(task, StopReason::skipped, true, {});]]
       "" "a mandatory task is skipped, and the host goes on")
mutant(giving_up_is_well task_machine text [[return {.is_given_up = true};
    case GiveUp::cooldown:]]
       [[return {.well = ACTIVE && end.outcome == Outcome::ok, .is_given_up = true};
    case GiveUp::cooldown:]] "what gave up satisfies others")
mutant(satisfies_while_stopping coordinator_state statement [[if (before == TaskState::running || before == TaskState::delayed) set_satisfied(task, false);]]
       [[if (next != TaskState::stopping) set_satisfied(task, false);]]
       "a task that is stopping counts as ready")

# --- groups ---
mutant(siblings_charged task_machine text [[case StopPurpose::again:
      return]] [[case StopPurpose::again:
      if (ACTIVE && supervision_ != nullptr) ++supervision_->ledger.charged;
      return]] "what the group restarts is charged")
mutant(repeat_takes_group task_machine expression [[restart_kind != RestartKind::repeat]] [[true]]
       "a repeat takes its group along")
mutant(rest_is_the_others coordinator_state expression [[member < task]] [[member > task]]
       "rest_for_one concerns those before the task")
mutant(siblings_do_not_wait coordinator_state text [[set_held(other, true);]] [[if (!ACTIVE) set_held(other, true);]]
       "siblings are started before all have ended")
mutant(group_stops_in_any_order coordinator_state expression [[stopping_ || for_group]] [[stopping_]]
       "members of a group do not wait for those that come after them")
mutant(sibling_end_is_exit coordinator expression [[entry.life.to_ask && entry.leaving]] [[false]]
       "the end of a member that was about to be stopped is judged")
mutant(siblings_survive coordinator statement [[if (next.is_given_up) discard_group(task, now);]] ""
       "a group lives on when a member gave up")

# --- purposes and operators ---
mutant(purpose_is_kept task_machine expression [[std::min(life_.purpose, purpose)]] [[life_.purpose]]
       "a purpose is never replaced")
mutant(purpose_is_replaced task_machine expression [[std::min(life_.purpose, purpose)]] [[purpose]]
       "a purpose is always replaced")
mutant(second_execution task_machine expression [[operation == Operation::stop || life_.unstoppable]]
       [[operation == Operation::stop]] "a task is started though an abandoned execution is in it")
mutant(operators_never_stop coordinator statement [[if (stopping_ || closing_) return;]] [[if (stopping_) return;]]
       "operators are heeded though a task has stopped the host")
mutant(detachable_is_needed restart_policy expression
       [[options.type == TaskType::detachable ? GiveUp::discard : GiveUp::stop_host]] [[GiveUp::stop_host]]
       "a detachable task that gives up stops the host")

# --- what a shard does for its own tasks ---
mutant(order_lost_when_stuck shard_orders statement [[follow(cell, step);]]
       [[if (!cell.stalled) follow(cell, step);]]
       "an operator's order is lost while a thread is stuck in the task")
mutant(order_lost_when_ended shard_orders statement [[if (phase() != HostPhase::running) return;]]
       [[if (phase() != HostPhase::running || unended_ == 0) return;]]
       "an operator can't start a task of a shard that has ended")
mutant(timer_stays shard_orders statement [[supervision_timers_->cancel(supervised);]]
       [[if (deadline != never) supervision_timers_->cancel(supervised);]]
       "a timer of which the machine wants no more goes off")
mutant(revived_uncounted shard_orders statement [[++unended_;]] ""
       "a task that an operator starts again is not counted")
mutant(revived_untold shard_orders statement [[if (!owner_.shard_revived()) return;]] ""
       "nobody hears that a shard which had ended goes on")
mutant(readiness_untold shard_orders statement [[supervised->supervision.said_ready = true;]] ""
       "the machine does not hear that an execution says it is ready")
mutant(start_timeout_from_start shard_orders text [[supervised.supervision.start_over = true;
    become_ready(]] [[supervised.supervision.start_over = true;
    if (ACTIVE) cell.machine().begun(now);
    become_ready(]] "start_timeout counts again from the end of the start")
mutant(start_untold shard_orders statement [[supervised.supervision.start_over = true;]] ""
       "the machine does not hear that the start is over")
mutant(begun_before_its_turn shard_orders expression [[machine.begun(cell.started_at)]] [[machine.begun(now_)]]
       "start_timeout counts from the turn's begin, whatever else ran in it")
mutant(ready_like_the_last shard_orders statement [[supervised.ready_at = supervised.asked_at = 0;]]
       [[supervised.asked_at = 0;]] "an execution counts as ready since the last one was")
mutant(asked_like_the_last shard_orders statement [[supervised.ready_at = supervised.asked_at = 0;]]
       [[supervised.ready_at = 0;]] "an execution that exits has lived until the last one was asked to end")
mutant(dying_is_living shard_orders expression [[supervised->asked_at != 0 ? std::min(supervised->asked_at, over) : over]] [[over]]
       "the time between the request to end and the end counts for reset_after")
mutant(failed_start_stopped_up shard_orders expression [[was_up ? over - cell.started_at : 0]] [[over - cell.started_at]]
       "a start that fails once it is to end is told with an uptime")
mutant(stop_is_exit shard_orders expression
       [[ending == Ending::returned && cell.life.state != TaskState::stopping]] [[ending == Ending::returned]]
       "an end that the shard asked for is judged like an exit")
mutant(timeout_asks_for_another shard_orders expression [[ask_soon(cell, cell.life.purpose)]]
       [[ask_soon(cell, StopPurpose::again)]] "what start_timeout or the watchdog ends is restarted uncharged")
mutant(host_stop_is_closing shard_orders statement [[if (stopping_) return HostPhase::stopping;]] ""
       "who can't be stopped while the host stops wants it to stop")
mutant(closing_is_running shard_orders expression [[host_stopping() ? HostPhase::closing : HostPhase::running]]
       [[HostPhase::running]] "exits are followed by restarts until the shard hears of the stop")
mutant(last_words_stay shard_orders expression [[ending != Ending::abandoned && cell.extra]] [[false]]
       "an execution that fails without a word has that of the last one")
mutant(restart_sleeps shard_orders statement [[if (next.state == TaskState::waiting) wake(cell);]] ""
       "a restart without a delay waits for ever")
mutant(ready_unarmed shard_orders statement [[cell.life.state = TaskState::running;
  arm(*cell.supervised());]] [[cell.life.state = TaskState::running;]]
       "the timer of start_timeout stays, and there is none for the watchdog")

# --- processes of their own: crashes, late starts, killed stops ---
mutant(crash_is_error restart_policy expression [[std::find(outcomes.begin(), outcomes.end(), outcome) != outcomes.end()]]
       [[std::find(outcomes.begin(), outcomes.end(), outcome == Outcome::crashed ? Outcome::error : outcome) != outcomes.end()]]
       "exit_rules take a crash for an error")
mutant(crash_is_free restart_policy statement [[++ledger.charged;]] [[if (outcome != Outcome::crashed) ++ledger.charged;]]
       "a restart after a crash is not charged")
mutant(crash_is_exit coordinator expression [[entry.life.state == TaskState::stopping || of_group]]
       [[(entry.life.state == TaskState::stopping && end.outcome != Outcome::crashed) || of_group]]
       "a crash is judged though the task was asked to end")
mutant(crash_on_shard_is_exit shard_orders expression
       [[ending == Ending::returned && cell.life.state != TaskState::stopping]]
       [[ending == Ending::returned && (cell.life.state != TaskState::stopping || outcome == Outcome::crashed)]]
       "a crash is judged though the shard has asked the task to end")
mutant(late_start_is_over shard_orders text [[void Shard::start_has_returned(TaskCell& cell) {
  if (cell.kind->starts_later) {]] [[void Shard::start_has_returned(TaskCell& cell) {
  if (!ACTIVE && cell.kind->starts_later) {]] "a start that goes on is over when its call returns")
mutant(starts_again shard_orders expression [[!std::exchange(extra.is_start_over, true)]] [[(extra.is_start_over = true)]]
       "an execution starts once more whenever it says so")
mutant(ready_before_started shard_orders expression [[!extra.is_start_over || !extra.is_ready]] [[!extra.is_ready]]
       "an execution is ready before its start is over")
mutant(killed_is_no_exit task_machine expression [[purpose == StopPurpose::failure && !abandoned]]
       [[purpose == StopPurpose::failure && end.ending == Ending::returned]]
       "what is killed after start_timeout or the watchdog is not judged")
mutant(killed_is_abandoned task_machine expression [[end.ending == Ending::abandoned]] [[end.ending != Ending::returned]]
       "what is killed at its stop_timeout counts as abandoned")

# --- the files ---
foreach(file IN ITEMS coordinator coordinator_state repetition restart_policy shard_orders task_machine)
  file(WRITE "${TARGET}/${file}.cpp" "#include \"mutants.hpp\"\n${changed_${file}}")
endforeach()
file(WRITE "${TARGET}/mutants.cpp" "#include \"mutants.hpp\"

namespace taskhost::simulation {

int active_mutant = 0;

std::span<const Mutant> mutants() {
  static constexpr Mutant all[] = {
${table}  };
  return all;
}

}  // namespace taskhost::simulation
")
