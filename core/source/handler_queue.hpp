// What Asio has completed for one coroutine, in order. Its shard runs it in the coroutine's polls, one handler each, so
// a handler is bounded and watched as a poll is, and waits as one does while the task is stalled. Once the execution is
// dropped the queue is closed: handlers are destroyed instead of run, within the drop, or in calls of their own.
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

// Shared by the execution, every copy of its coroutine's executor, and what is left of it in the shard.
class HandlerQueue : public std::enable_shared_from_this<HandlerQueue> {
 public:
  // In its start. `waker`: of the execution.
  HandlerQueue(TaskCell& cell, Waker waker) noexcept;

  TaskCell& cell() const noexcept { return cell_; }
  std::uint64_t execution() const noexcept { return execution_; }

  // [any thread] Has it run or destroyed soon. Throws std::bad_alloc.
  void add(std::unique_ptr<QueuedHandler> handler);
  // [any thread] One of its handlers runs on the calling thread.
  bool is_running_here() const noexcept;

  // [execution] Runs the first one, if there is any. True: there are more.
  bool run_one();
  void wake() const noexcept { Execution::wake(waker_); }
  // [execution] Calls function() as a part of a handler: what that dispatches to the coroutine runs at once.
  template <class Function>
  void run_as_handler(Function&& function) const {
    const Here here(running, this);
    function();
  }

  // [execution] No handler runs any more. Destroys those that wait, and those that function() adds; after that, since
  // what they belong to has to be whole while it cancels.
  template <class Function>
  void close(Function&& function) {
    const Here here(destroying, this);
    shut();
    function();
    destroy_all();
  }
  // [in a call of the task] The same for one that came later.
  void destroy(std::unique_ptr<QueuedHandler> handler) noexcept;

 private:
  // What the calling thread does with which queue while this object lives.
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
  QueuedHandler* last_ = nullptr;  // unless there is none
};

}  // namespace taskhost
