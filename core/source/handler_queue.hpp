// The handlers that Asio has completed for one coroutine, in order. The shard runs them in the coroutine's polls, one
// handler each. So a handler is bounded and watched like a poll, and waits like one while the task is stalled. When the
// execution is dropped, the queue is closed: handlers are then destroyed instead of run, within the drop or in calls of
// their own.
#pragma once

#include <memory>
#include <mutex>

#include "taskhost/core/execution.hpp"

namespace taskhost {

struct TaskCell;

class QueuedHandler {
 public:
  virtual ~QueuedHandler() = default;
  virtual void run() = 0;

 private:
  friend class HandlerQueue;
  std::unique_ptr<QueuedHandler> next_;
};

// Shared by the execution, all copies of its coroutine's executor, and what is left of the coroutine in the shard.
class HandlerQueue : public std::enable_shared_from_this<HandlerQueue> {
 public:
  // To be made in the execution's start, with the execution's waker.
  HandlerQueue(TaskCell& cell, Waker waker) noexcept;

  TaskCell& cell() const noexcept { return cell_; }
  std::uint64_t execution() const noexcept { return execution_; }

  // [any thread] Adds a handler, to be run or destroyed soon. Throws std::bad_alloc.
  void add(std::unique_ptr<QueuedHandler> handler);
  // [any thread] Whether one of its handlers runs on the calling thread.
  bool is_running_here() const noexcept;

  // [execution] Runs the first handler, if any. True if there are more.
  bool run_one();
  void wake() const noexcept { Execution::wake(waker_); }
  // [execution] Calls function() as if in a handler: what it dispatches to the coroutine runs at once.
  template <class Function>
  void run_as_handler(Function&& function) const {
    const Here here(running, this);
    function();
  }

  // [execution] From now on no handler runs. Calls function(), then destroys the handlers that wait and those that
  // function() has added. Not before, since what they belong to has to be intact while function() cancels.
  template <class Function>
  void close(Function&& function) {
    const Here here(destroying, this);
    shut();
    function();
    destroy_all();
  }
  // [in a call of the task] Destroys a handler that came later, and those that this adds.
  void destroy(std::unique_ptr<QueuedHandler> handler) noexcept;

 private:
  // Records, while this object lives, which queue the calling thread is running or destroying handlers of.
  class Here {
   public:
    Here(const HandlerQueue*& what, const HandlerQueue* queue) noexcept : what_(what), outer_(what) { what = queue; }
    ~Here() { what_ = outer_; }
    Here(const Here&) = delete;
    Here& operator=(const Here&) = delete;

   private:
    const HandlerQueue*& what_;
    const HandlerQueue* const outer_;
  };
  static constinit thread_local const HandlerQueue* running;
  static constinit thread_local const HandlerQueue* destroying;

  enum class Place { behind_others, first, none };
  Place put(std::unique_ptr<QueuedHandler>& handler) noexcept;
  void shut() noexcept;
  void destroy_all() noexcept;
  std::unique_ptr<QueuedHandler> pop() noexcept;

  TaskCell& cell_;
  const std::uint64_t execution_;
  const Waker waker_;
  std::mutex mutex_;  // guards the rest
  bool open_ = true;
  std::unique_ptr<QueuedHandler> first_;
  QueuedHandler* last_ = nullptr;  // valid if first_ is not null
};

}  // namespace taskhost
