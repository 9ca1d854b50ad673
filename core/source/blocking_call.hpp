// One run of a blocking execution. Shared by its thread and its shard, since an abandoned thread outlives everything
// else that knows of the run.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>

#include "descriptor_set.hpp"
#include "job_threads.hpp"
#include "taskhost/core/task_fn.hpp"

namespace taskhost {

struct TaskCell;

class BlockingCall final : public Job {
 public:
  BlockingCall(TaskCell& cell, std::shared_ptr<const Recipe> recipe, Waker waker)
      : cell_(cell), recipe_(std::move(recipe)), waker_(waker) {}

  // [its thread] Runs the execution to its end and tells the shard.
  void run() noexcept override;

  // [shard]
  void request_stop() noexcept;
  void notify() noexcept;
  bool finished() const noexcept override { return finished_.load(std::memory_order_acquire); }
  Status status() const noexcept { return status_; }    // once finished
  std::string& message() noexcept { return message_; }  // once finished

  // [its thread]
  unsigned wait_until(Nanoseconds time) noexcept;
  // A descriptor that is readable while wait_until would return at once, its times left out; -1 if there is none to be
  // had.
  int descriptor() noexcept;
  void set_timer(Nanoseconds time) noexcept { timer_ = time; }
  void set_message(std::string_view text) { message_ = text; }
  Waker waker() const noexcept { return waker_; }

 private:
  void ring() const noexcept;

  TaskCell& cell_;
  const std::shared_ptr<const Recipe> recipe_;  // kept alive for an abandoned thread
  const Waker waker_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_requested_ = false;
  bool woken_ = false;
  OwnedDescriptor bell_;  // an eventfd, made when its thread asks for it

  Nanoseconds timer_ = never;  // this and the next two belong to its thread until finished
  std::string message_;
  Status status_ = Status::ok;
  std::atomic<bool> finished_{false};
};

}  // namespace taskhost
