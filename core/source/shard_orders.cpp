// The tasks of a shard whose ends the coordinator interprets: it orders their starts and stops, and is told what
// becomes of them.
#include <boost/asio/post.hpp>

#include "shard.hpp"

namespace taskhost {

void Shard::order_start(TaskCell& cell, std::optional<std::uint32_t> remaining) {
  CoordinatedCell& coordinated = *cell.extra->coordinated;
  coordinated.start_ordered = true;
  coordinated.remaining = remaining.value_or(0);
  coordinated.unlimited = !remaining;
  coordinated.heartbeat.store(0, std::memory_order_relaxed);
  wake(cell);
}

bool Shard::start_coordinated(TaskCell& cell) {
  CoordinatedCell& coordinated = *cell.extra->coordinated;
  if (!coordinated.start_ordered) return true;  // a wake that came before it was handed over
  coordinated.start_ordered = false;
  coordinated.ready_at = coordinated.asked_at = 0;
  cell.stop_deadline_set = false;
  ++cell.execution;
  cell.started_at = clock_.now();
  if (stopping_ || host_stopping() || !publish(cell, EventKind::task_started)) {
    --cell.execution;
    owner_.coordinated_ended(cell.index, {.ending = Coordinator::Ending::refused, .message = {}});
    return true;
  }
  owner_.coordinated_begun(cell.index);
  Tenure& tenure = *tenure_;
  const Status status = begin_execution(cell);
  if (!tenure.end_call()) return lose(tenure, {.status = status});
  return after_start(cell, tenure.frame, status);
}

void Shard::tell_started(TaskCell& cell) {
  const SupervisionOptions* const optional = cell.options().optional.get();
  if (optional == nullptr || !optional->notify) cell.extra->coordinated->ready_at = clock_.now();
  owner_.coordinated_started(cell.index);
}

void Shard::order_stop(TaskCell& cell) {
  if (!tell_to_stop(cell)) return;  // it has ended by itself, and that is on its way
  limit_stop(cell);                 // at once: its next call may never return
  if (cell.stalled || cell.kind->blocking) {
    if (!cell.stalled) {
      cell.extra->call->request_stop();
    } else if (!cell.kind->blocking) {
      stall_of(cell).woken = true;  // to be polled once more when it is back
    }
  } else {
    wake(cell);
  }
}

void Shard::report_end(TaskCell& cell, Coordinator::Ending ending, Outcome outcome, std::string_view message) {
  cell.machine.state = TaskState::waiting;  // for the next order
  const CoordinatedCell& coordinated = *cell.extra->coordinated;
  const Nanoseconds now = clock_.now();
  // Neither the start nor the dying counts as living.
  const Nanoseconds last = coordinated.asked_at != 0 ? coordinated.asked_at : now;
  const bool lived = coordinated.ready_at != 0 && coordinated.ready_at < last;
  owner_.coordinated_ended(cell.index, {ending, outcome, std::string(message), now - cell.started_at,
                                        lived ? last - coordinated.ready_at : 0});
}

void Shard::hand_over(std::size_t place, const std::function<void(const HandedOver&)>& take) {
  if (stopping_) {  // an order does nothing any more, and the task is asked to end like all others
    take({});
    return;
  }
  std::size_t before = 0;
  for (const Run& run : runs_) {
    if (place - before >= run.count) {
      before += run.count;
      continue;
    }
    TaskCell& cell = run.at(place - before);
    if (cell.stalled) {  // a thread is stuck in it, and writes what would be written here
      defer(cell, [this, place, take] { hand_over(place, take); });
      return;
    }
    HandedOver handed{&cell, Coordinator::State::ended, cell.execution, cell.machine.restarts_used};
    cell.need_extra().coordinated = std::make_unique<CoordinatedCell>();
    cell.extra->coordinated->remaining = cell.machine.remaining(cell.options());
    cell.coordinated = true;
    has_coordinated_.store(true, std::memory_order_relaxed);
    cell.machine.restarts_used = cell.options().restarts;
    switch (cell.machine.state) {
      case TaskState::waiting:
      case TaskState::restarting:
        cell.machine.state = TaskState::waiting;
        handed.state = Coordinator::State::waiting;
        break;
      case TaskState::running:
        handed.state = Coordinator::State::running;
        break;
      case TaskState::stopping:  // only a shard that stops has asked it
      case TaskState::ended:
        cell.machine.state = TaskState::waiting;
        take(handed);
        return;
    }
    take(handed);
    end(cell);  // for the shard
    return;
  }
}

}  // namespace taskhost
