#include "offload.hpp"

#include <algorithm>
#include <utility>

#include "task_cell.hpp"

namespace taskhost {

namespace {

void discard(const Work& work) noexcept {
  if (work.discard != nullptr) work.discard(work.argument);
}

// Of works that nobody was told of any more. On the thread that destroys it if there is no other.
class Discarding final : public Job {
 public:
  Discarding(std::vector<Work> works, const std::shared_ptr<WorkLedger>& ledger, const std::string& task)
      : entry_(ledger, task), works_(std::move(works)) {}
  ~Discarding() override { run(); }

  void run() noexcept override {
    for (const Work& work : works_) discard(work);
    works_.clear();
    entry_.end();
    finished_.store(true, std::memory_order_release);
  }
  bool finished() const noexcept override { return finished_.load(std::memory_order_acquire); }

 private:
  WorkLedger::Entry entry_;
  std::vector<Work> works_;
  std::atomic<bool> finished_{false};
};

}  // namespace

void Offloads::expect_one() {
  const std::lock_guard lock(mutex_);
  done_.reserve(done_.size() + expected_ + 1);
  ++expected_;
}

void Offloads::expect_one_less() noexcept {
  const std::lock_guard lock(mutex_);
  --expected_;
}

std::size_t Offloads::take(const TaskCell& cell, Ready* list, std::size_t capacity) noexcept {
  std::size_t count = 0;
  std::size_t threw = 0;
  {
    const std::lock_guard lock(mutex_);
    count = std::min(capacity, done_.size());
    for (std::size_t i = 0; i < count; ++i) {
      list[i] = {done_[i].work.tag, work_done, 0};
      threw += done_[i].threw ? 1 : 0;
    }
    done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(count));
  }
  if (threw != 0) cell.log(LogLevel::error, "offloaded work let an exception out, and counts as done (rule 3.6)");
  return count;
}

std::shared_ptr<Job> Offloads::close() noexcept {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  if (done_.empty()) return nullptr;
  std::vector<Work> left;
  try {
    left.reserve(done_.size());
    for (const Done& one : done_) left.push_back(one.work);
    done_.clear();
    return std::make_shared<Discarding>(std::move(left), ledger_, task_);
  } catch (const std::bad_alloc&) {
    return nullptr;  // lost, as so much else by then
  }
}

bool Offloads::put(const Work& work, bool threw) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    --expected_;
    done_.push_back({work, threw});  // never grows beyond what expect_one reserved
  }
  WakePort::wake(waker_);
  return true;
}

OffloadedWork::~OffloadedWork() {
  if (!is_settled_) discard(work_);
}

void OffloadedWork::run() noexcept {
  bool threw = false;
  try {
    work_.run(work_.argument);
  } catch (...) {
    threw = true;
  }
  is_settled_ = true;
  if (!offloads_->put(work_, threw)) discard(work_);
  entry_.end();
  finished_.store(true, std::memory_order_release);
}

}  // namespace taskhost
