#include "worker/isolated_process.hpp"

#include <algorithm>
#include <utility>

namespace taskhost {

IsolatedProcess::IsolatedProcess(WorkerKeeper& keeper, bool is_counted, ChannelEnds first, const Member& member)
    : keeper_(keeper),
      first_(std::move(first.host)),
      members_{&member},
      reader_(&member),
      output_([this](LogLevel level, std::string_view line) { reader_.load()->execution.log(level, line); }),
      errors_([this](LogLevel level, std::string_view line) {
        if (!line.empty()) {
          const std::lock_guard lock(last_error_mutex_);
          last_error_ = line;
        }
        reader_.load()->execution.log(level, line);
      }) {
  process_->is_counted = is_counted;
  process_->channel = std::move(first.worker);
  process_->output = output_.take_writing_end();
  process_->errors = errors_.take_writing_end();
  keeper_.start(process_, member.waker);
}

bool IsolatedProcess::enter(const Member& member, int connection) {
  const std::lock_guard lock(mutex_);
  const bool is_settled = process_->is_settled.load(std::memory_order_acquire);
  if (is_over_ || end_ || (is_settled && (!process_->problem.empty() || has_ended(*process_)))) return false;
  if (!first_.send({PacketKind::join}, false, connection)) return false;
  keeper_.start(process_, member.waker);  // it is woken once that is there
  members_.push_back(&member);
  return true;
}

void IsolatedProcess::leave(const Member& member, bool is_gone) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase(members_, &member);
  if (members_.empty()) {
    is_over_ = true;
    process_->is_reaped = end_.has_value();
    keeper_.bury(process_);
    return;
  }
  if (!is_gone && !end_) {
    if (killed_for_.empty()) killed_for_ = member.execution.task_name();
    is_over_ = true;
    kill_process();
  }
  if (!is_reader(member)) return;
  reader_ = members_.front();
  Execution::wake(members_.front()->waker);
}

bool IsolatedProcess::is_alone() const {
  const std::lock_guard lock(mutex_);
  return members_.size() == 1;
}

std::optional<WorkerEnd> IsolatedProcess::end() {
  const std::lock_guard lock(mutex_);
  if (is_to_kill_) kill_process();
  if (!end_) end_ = keeper_.take_end(*process_);
  return end_;
}

void IsolatedProcess::kill(const Member& member) noexcept {
  const std::lock_guard lock(mutex_);
  if (end_) return;
  if (killed_for_.empty()) killed_for_ = member.execution.task_name();
  is_over_ = true;
  kill_process();
}

void IsolatedProcess::kill_process() noexcept {
  is_to_kill_ = !process_->is_settled.load(std::memory_order_acquire);
  if (!is_to_kill_ && process_->problem.empty()) keeper_.kill(*process_);
}

std::string IsolatedProcess::killed_for(const Member& member) const {
  const std::lock_guard lock(mutex_);
  return killed_for_ != member.execution.task_name() ? killed_for_ : std::string();
}

void IsolatedProcess::hear_out() noexcept {
  is_heard_out_ = true;
  const std::lock_guard lock(mutex_);
  for (const Member* const one : members_) Execution::wake(one->waker);
}

std::string IsolatedProcess::last_error() const {
  const std::lock_guard lock(last_error_mutex_);
  return last_error_;
}

std::shared_ptr<IsolatedProcess> SharedProcess::enter(WorkerKeeper& keeper, bool is_counted, ChannelEnds& ends,
                                                      const IsolatedProcess::Member& member) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<IsolatedProcess> process = current_.lock();
  if (process != nullptr && process->enter(member, ends.worker.get())) return process;
  process = std::make_shared<IsolatedProcess>(keeper, is_counted, std::move(ends), member);
  current_ = process;
  return process;
}

}  // namespace taskhost
