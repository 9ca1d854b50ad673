#include "offload.hpp"

#include <algorithm>
#include <utility>

#include "task_cell.hpp"
#include "taskhost/core/home_process.hpp"
#include "taskhost/core/offloaded_work.hpp"

namespace taskhost {

namespace {

// Initial-exec, since a signal handler reads it.
__attribute__((tls_model("initial-exec"))) thread_local const char* working_for = nullptr;

// Runs code of a task outside of its executions: named if it ends the process, and a child that it forks goes no
// further.
template <class Function>
void work_for(const std::string& task, const Function& function) {
  const ChildGuard guard("the offloaded work of task", task.c_str());
  const char* const outer = std::exchange(working_for, task.c_str());
  function();
  working_for = outer;
}

void discard(const Work& work, const std::string& task) noexcept {
  if (work.discard == nullptr) return;
  work_for(task, [&work] { work.discard(work.argument); });
}

// Of works that nobody was told of any more. On the thread that destroys it if there is no other.
class Discarding final : public Job {
 public:
  Discarding(std::vector<Work> works, const std::shared_ptr<WorkLedger>& ledger, const std::string& task)
      : entry_(ledger, task), works_(std::move(works)), task_(task) {}
  ~Discarding() override { run(); }

  void run() noexcept override {
    for (const Work& work : works_) discard(work, task_);
    works_.clear();
    entry_.end();
    finished_.store(true, std::memory_order_release);
  }
  bool finished() const noexcept override { return finished_.load(std::memory_order_acquire); }

 private:
  WorkLedger::Entry entry_;
  std::vector<Work> works_;
  const std::string task_;
  std::atomic<bool> finished_{false};
};

}  // namespace

const char* task_of_offloaded_work() noexcept { return working_for; }

void Offloads::expect_one() {
  const std::lock_guard lock(mutex_);
  done_.reserve(done_.size() + expected_ + 1);
  ++expected_;
}

void Offloads::expect_one_less() noexcept {
  const std::lock_guard lock(mutex_);
  --expected_;
}

std::size_t Offloads::take(Ready* list, std::size_t capacity) noexcept {
  const std::lock_guard lock(mutex_);
  const std::size_t count = std::min(capacity, done_.size() - taken_);
  for (std::size_t i = 0; i < count; ++i) list[i] = {done_[taken_ + i].tag, work_done, 0};
  taken_ += count;
  if (taken_ >= done_.size() / 2) forget_taken();  // so that each is moved once, on the average
  return count;
}

void Offloads::forget_taken() noexcept {
  done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(std::exchange(taken_, 0)));
}

std::shared_ptr<Job> Offloads::close() noexcept {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  forget_taken();
  if (done_.empty()) return nullptr;
  try {
    return std::make_shared<Discarding>(std::exchange(done_, {}), ledger_, task_);
  } catch (const std::bad_alloc&) {
    return nullptr;  // lost, as so much else by then
  }
}

bool Offloads::put(const Work& work) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    --expected_;
    done_.push_back(work);  // never grows beyond what expect_one reserved
  }
  WakePort::wake(waker_);
  return true;
}

bool Offloads::is_closed() noexcept {
  const std::lock_guard lock(mutex_);
  return closed_;
}

OffloadedWork::~OffloadedWork() {
  if (!is_settled_) discard(work_, offloads_->task());
}

// Work of an execution that ended before it began is not begun.
void OffloadedWork::run() noexcept {
  const std::string& task = offloads_->task();
  if (!offloads_->is_closed()) {
    try {
      work_for(task, [this] { work_.run(work_.argument); });
    } catch (const std::exception& error) {
      tell_exception(error.what());
    } catch (...) {
      tell_exception("of no standard type");
    }
    working_for = nullptr;  // an exception has left it
  }
  is_settled_ = true;
  if (!offloads_->put(work_)) discard(work_, task);
  entry_.end();
  finished_.store(true, std::memory_order_release);
}

void OffloadedWork::tell_exception(const char* text) const noexcept {
  try {
    offloads_->ledger()->log(
        offloads_->task(),
        std::string("offloaded work let an exception out, and counts as done ") + "(rule 4.11): " + text);
  } catch (const std::bad_alloc&) {
    // It counts as done all the same.
  }
}

}  // namespace taskhost
