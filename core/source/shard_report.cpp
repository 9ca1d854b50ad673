// What a shard tells about its tasks when somebody asks.
#include "shard.hpp"

namespace taskhost {

std::optional<std::uint64_t> Shard::ask(Questions::Question question) {
  return questions_.ask(std::move(question), [this] { post([this] { answer(); }); });
}

// Each turn answers a part, so that questions about many tasks don't hold up those that are due.
void Shard::answer() {
  if (questions_.answer()) post([this] { answer(); });
}

void Shard::keep_for_reports(TaskCell& cell, const TaskNews& news) noexcept {
  if (!note_news(cell.life, news)) return;
  try {
    if (news.kind == EventKind::task_abandoned) {
      stall_records_[&cell].message = news.message;
    } else if (!news.message.empty()) {
      cell.need_extra().last_message = news.message;
    } else if (cell.extra) {
      cell.extra->last_message.clear();
    }
  } catch (const std::bad_alloc&) {
    // A report without the message is better than none.
  }
}

void Shard::count_stall(const TaskCell& cell) noexcept {
  ++counters_.stalls;
  try {
    ++stall_records_[&cell].stalls;
  } catch (const std::bad_alloc&) {
    // The log has it.
  }
}

TaskReport Shard::report(TaskCell& cell) {
  const TaskLife& life = cell.life;
  const SupervisedCell* const supervised = cell.supervised();
  TaskReport report{.task = cell.index, .name = cell.name(), .type = cell.options().type, .options = &cell.options()};
  report.blocking = cell.kind->blocking;
  report.state_size = cell.kind->state_size;
  report.at = clock_.now();
  report.execution = cell.execution;
  report.restarts = cell.options().restarts;
  const auto record = stall_records_.find(&cell);
  if (record != stall_records_.end()) report.stalls = record->second.stalls;
  if (is_live(life.state)) {
    report.started_at = cell.started_at;
    report.stalled = cell.stalled;
    report.status = owner_.statuses().get(cell.index, cell.execution);
  }
  if (cell.kind->coordinated) return report;  // the coordinator knows the rest

  if (life.unstoppable) {
    if (record != stall_records_.end()) report.last_message = record->second.message;
  } else if (!(cell.stalled && cell.kind->simple) && cell.extra) {
    // Not while a thread is stuck in a simple task: it may be about to make `extra`.
    report.last_message = cell.extra->last_message;
  }
  report.state = life.state;
  if (cell.machine().is_to_stop()) report.purpose = life.purpose;
  switch (life.state) {
    case TaskState::waiting:  // it is its turn soon
      break;
    case TaskState::starting:
      report.since = cell.started_at;
      break;
    case TaskState::running:
      report.since = supervised != nullptr && supervised->ready_at != 0 ? supervised->ready_at : cell.started_at;
      report.ready = true;
      break;
    case TaskState::stopping: {
      const auto asked = asked_at_.find(&cell);
      report.since = supervised != nullptr      ? supervised->asked_at
                     : asked != asked_at_.end() ? asked->second
                                                : stop_began_;
      break;
    }
    case TaskState::delayed:
      report.next_start = cell.machine().next_start(report.at);
      report.waits_for_time = cell.machine().waits_for_time();
      report.since = cell.started_at;
      break;
    case TaskState::stopped:
    case TaskState::ended:
      report.since = cell.started_at;
      break;
  }
  report.remaining = cell.machine().remaining(report.at);
  if (life.last_outcome != no_outcome) report.last_outcome = life.last_outcome;
  if (life.state == TaskState::ended) {
    if (life.is_discarded) report.over_for = life.discarded_for;
    report.is_lost = life.is_lost;
    report.abandoned = life.unstoppable;
  }
  return report;
}

bool Shard::report(std::size_t first, std::size_t most, std::vector<TaskReport>& reports) {
  return for_some(first, most, [&](TaskCell& cell) { reports.push_back(report(cell)); });
}

bool Shard::count(std::size_t first, std::size_t most, TaskCounts& counts) noexcept {
  if (first == 0) {
    counts.starts = counters_.starts;
    counts.restarts = restarts();
    counts.exits = exits();
    counts.gave_up = counters_.gave_up;
    counts.stalls = counters_.stalls;
    counts.turns = counters_.turns;
    counts.sleeps = counters_.sleeps;
  }
  return for_some(first, most, [&](TaskCell& cell) {
    if (cell.stalled && is_live(cell.life.state)) ++counts.stalled;
    if (cell.kind->coordinated) return;
    const bool waits = cell.life.state == TaskState::delayed && cell.machine().waits_for_time();
    counts.add(cell.options().type, cell.life.state, cell.life.is_lost, waits);
  });
}

}  // namespace taskhost
