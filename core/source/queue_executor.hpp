// A coroutine's executor: what is submitted to it goes into the execution's queue, from which the shard runs it. So a
// coroutine can be dropped at any suspension point: when what it awaits completes, its frame is destroyed and none of
// its code runs.
#pragma once

#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <memory>
#include <type_traits>
#include <utility>

#include "handler_queue.hpp"
#include "shard.hpp"

namespace taskhost {

// `Blocking`: whether what a handler submits may run at once, as a part of that handler (dispatch), or not (post).
// Outstanding work is not tracked: a shard's loop has work until it quits.
template <class Blocking = boost::asio::execution::blocking_t::possibly_t>
class QueueExecutor {
 public:
  explicit QueueExecutor(std::shared_ptr<HandlerQueue> queue) noexcept : queue_(std::move(queue)) {}

  template <class Function>
  void execute(Function&& function) const {
    using Handler = Work<std::decay_t<Function>>;
    if (std::is_same_v<Blocking, boost::asio::execution::blocking_t::possibly_t> && queue_->is_running_here()) {
      Handler(std::forward<Function>(function)).run();
    } else {
      queue_->add(std::make_unique<Handler>(std::forward<Function>(function)));
    }
  }

  boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept {
    return queue_->cell().kind->shard.context();
  }
  static constexpr boost::asio::execution::blocking_t query(boost::asio::execution::blocking_t) noexcept {
    return Blocking();
  }
  QueueExecutor<boost::asio::execution::blocking_t::never_t> require(
      boost::asio::execution::blocking_t::never_t) const noexcept {
    return QueueExecutor<boost::asio::execution::blocking_t::never_t>(queue_);
  }
  QueueExecutor<boost::asio::execution::blocking_t::possibly_t> require(
      boost::asio::execution::blocking_t::possibly_t) const noexcept {
    return QueueExecutor<boost::asio::execution::blocking_t::possibly_t>(queue_);
  }

  friend bool operator==(const QueueExecutor& a, const QueueExecutor& b) noexcept { return a.queue_ == b.queue_; }
  friend bool operator!=(const QueueExecutor& a, const QueueExecutor& b) noexcept { return !(a == b); }

 private:
  template <class Function>
  struct Work final : QueuedHandler {
    explicit Work(Function&& its_function) : function(std::move(its_function)) {}
    explicit Work(const Function& its_function) : function(its_function) {}
    void run() override { std::move(function)(); }
    Function function;
  };

  std::shared_ptr<HandlerQueue> queue_;
};

}  // namespace taskhost
