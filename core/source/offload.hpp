// Work that blocks, given by polled executions to the host's threads. An execution gets it back when it is done; what
// an execution that has ended would have got is discarded.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "job_threads.hpp"
#include "taskhost/core/execution.hpp"
#include "taskhost/core/task_fn.hpp"
#include "work_ledger.hpp"

namespace taskhost {

// What one execution and its works share.
class Offloads {
 public:
  // `task`: its name.
  Offloads(Waker waker, std::string task, std::shared_ptr<WorkLedger> ledger)
      : task_(std::move(task)), ledger_(std::move(ledger)), waker_(waker) {}
  const std::string& task() const noexcept { return task_; }
  const std::shared_ptr<WorkLedger>& ledger() const noexcept { return ledger_; }

  // [execution] Room for one more that is done. Throws std::bad_alloc.
  void expect_one();
  void expect_one_less() noexcept;
  // [execution] Those that are done, each once. Returns how many.
  std::size_t take(Ready* list, std::size_t capacity) noexcept;
  // [shard] The execution is over: those that come later discard themselves. Returns what discards those that are done,
  // on a thread that may block; or null.
  std::shared_ptr<Job> close() noexcept;
  // [any thread] False: the execution is over.
  bool put(const Work& work) noexcept;
  bool is_closed() noexcept;

 private:
  void forget_taken() noexcept;

  const std::string task_;
  const std::shared_ptr<WorkLedger> ledger_;
  const Waker waker_;
  std::mutex mutex_;  // guards the rest
  std::vector<Work> done_;
  std::size_t taken_ = 0;     // of them, that were told already
  std::size_t expected_ = 0;  // that are not done
  bool closed_ = false;
};

class OffloadedWork final : public Job {
 public:
  // `recipe` keeps what the work's code belongs to. Throws std::bad_alloc.
  OffloadedWork(const Work& work, std::shared_ptr<Offloads> offloads, std::shared_ptr<const Recipe> recipe)
      : work_(work),
        offloads_(std::move(offloads)),
        recipe_(std::move(recipe)),
        entry_(offloads_->ledger(), offloads_->task()) {}
  // One that was never run is discarded.
  ~OffloadedWork() override;

  // It could not be launched: nothing of it is called.
  void cancel() noexcept { is_settled_ = true; }

  void run() noexcept override;
  bool finished() const noexcept override { return finished_.load(std::memory_order_acquire); }

 private:
  void tell_exception(const char* text) const noexcept;

  const Work work_;
  const std::shared_ptr<Offloads> offloads_;
  const std::shared_ptr<const Recipe> recipe_;
  WorkLedger::Entry entry_;
  bool is_settled_ = false;
  std::atomic<bool> finished_{false};
};

}  // namespace taskhost
