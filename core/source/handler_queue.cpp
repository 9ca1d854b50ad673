#include "handler_queue.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "shard.hpp"

namespace taskhost {

constinit thread_local const HandlerQueue* HandlerQueue::running = nullptr;
constinit thread_local const HandlerQueue* HandlerQueue::destroying = nullptr;

HandlerQueue::HandlerQueue(TaskCell& cell, Waker waker) noexcept
    : cell_(cell), execution_(cell.execution), waker_(waker) {}

bool HandlerQueue::is_running_here() const noexcept { return running == this; }

void HandlerQueue::add(std::unique_ptr<QueuedHandler> handler) {
  const Place place = put(handler);
  if (place == Place::behind_others) return;  // whoever takes the others finds this one
  Shard& shard = cell_.kind->shard;
  const CallFrame* const call = current_call();
  // True if Asio itself calls, on the thread that owns the shard. A thread that has lost the shard is in a call until
  // it leaves the loop.
  const bool in_loop = call == nullptr && shard.context().get_executor().running_in_this_thread();
  if (place == Place::none) {
    if (in_loop) {
      shard.bury(shared_from_this(), std::move(handler));
    } else {
      boost::asio::post(shard.context(), [&shard, self = shared_from_this(), handler = std::move(handler)]() mutable {
        shard.bury(std::move(self), std::move(handler));
      });
    }
  } else if (in_loop) {
    shard.wake(cell_);
  } else if (call == nullptr || call->task() != &cell_ || call->requests.stage >= Stage::drop) {
    WakePort::wake(waker_);
  }  // else in its own call: a start is followed by a poll, and a poll checks for more at its end
}

// Takes the handler, unless the queue is closed and nobody on this thread is about to empty it.
HandlerQueue::Place HandlerQueue::put(std::unique_ptr<QueuedHandler>& handler) noexcept {
  const std::lock_guard lock(mutex_);
  if (!open_ && destroying != this) return Place::none;
  const bool is_first = first_ == nullptr;
  QueuedHandler* const added = handler.get();
  (is_first ? first_ : last_->next_) = std::move(handler);
  last_ = added;
  return is_first && open_ ? Place::first : Place::behind_others;
}

bool HandlerQueue::run_one() {
  {
    const std::unique_ptr<QueuedHandler> handler = pop();
    if (handler == nullptr) return false;
    const Here here(running, this);
    handler->run();
  }
  const std::lock_guard lock(mutex_);
  return first_ != nullptr;
}

void HandlerQueue::destroy(std::unique_ptr<QueuedHandler> handler) noexcept {
  const Here here(destroying, this);
  handler.reset();
  destroy_all();
}

void HandlerQueue::shut() noexcept {
  const std::lock_guard lock(mutex_);
  open_ = false;
}

// One by one: when a handler is destroyed, Asio submits its frame to the executor again, possibly while holding locks.
void HandlerQueue::destroy_all() noexcept {
  while (pop() != nullptr) {
  }
}

std::unique_ptr<QueuedHandler> HandlerQueue::pop() noexcept {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<QueuedHandler> handler = std::move(first_);
  if (handler != nullptr) first_ = std::move(handler->next_);
  return handler;
}

}  // namespace taskhost
