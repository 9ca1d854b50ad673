// TaskFn from an asio::awaitable factory: each start spawns a fresh coroutine on the shard's loop; each poll runs one
// of its handlers and checks whether it is done.
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <exception>
#include <new>

#include "queue_executor.hpp"
#include "taskhost/core/task_fn.hpp"

namespace taskhost {

namespace {

// One coroutine. Shared with its completion handler, which is a part of its frame, so this lives as long as the frame.
struct Run {
  // Shared, since the cancellation holds the executor, which holds the queue.
  std::shared_ptr<HandlerQueue> queue;
  boost::asio::cancellation_signal cancellation;
  bool cancelled = false;
  bool done = false;
  std::exception_ptr exception;
  TaskResult result = TaskResult::ok();

  // Cancels what it awaits. co_spawn dispatches the cancellation to the coroutine's own executor, and it has to run
  // now.
  void cancel() {
    queue->run_as_handler([this] { cancellation.emit(boost::asio::cancellation_type::terminal); });
  }
};

using RunPointer = std::shared_ptr<Run>;

// Whether it is the exception that a cancelled operation throws.
bool was_aborted(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const boost::system::system_error& error) {
    return error.code() == boost::asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

class AwaitableRecipe final : public Recipe {
 public:
  explicit AwaitableRecipe(detail::AwaitableFactory factory)
      : Recipe(sizeof(RunPointer), alignof(RunPointer), false), factory_(std::move(factory)) {}

  Status start(void* state, Execution& execution) const override {
    auto run = std::make_shared<Run>();
    run->queue = std::make_shared<HandlerQueue>(static_cast<TaskCell&>(execution), execution.waker());
    try {
      boost::asio::co_spawn(boost::asio::any_io_executor(QueueExecutor<>(run->queue)), factory_(execution),
                            boost::asio::bind_cancellation_slot(run->cancellation.slot(),
                                                                [run](std::exception_ptr exception, TaskResult result) {
                                                                  run->done = true;
                                                                  run->exception = std::move(exception);
                                                                  run->result = std::move(result);
                                                                }));
    } catch (...) {
      run->queue->close([] {});
      throw;
    }
    new (state) RunPointer(std::move(run));
    return Status::ok;
  }

  Status step(void* state, Execution& execution) const override {
    Run& run = **static_cast<RunPointer*>(state);
    if (execution.stop_requested() && !run.cancelled) {
      run.cancelled = true;
      run.cancel();
    }
    const bool more = run.queue->run_one();
    if (!run.done) {
      if (more) run.queue->wake();
      return Status::pending;
    }
    if (run.exception && run.cancelled && was_aborted(run.exception)) return Status::ok;  // it ended as requested
    if (run.exception) std::rethrow_exception(run.exception);
    if (run.result.status() != Status::ok) execution.fail(run.result.message());
    return run.result.status();
  }

  void drop(void* state) const override {
    auto& run = *static_cast<RunPointer*>(state);
    const std::weak_ptr<Run> frame = run;
    // Cancelled, so that what it awaits completes now, and is then destroyed.
    run->queue->close([&run] {
      if (!run->done) run->cancel();
    });
    run.~RunPointer();
    if (CallFrame* const call = current_call(); call != nullptr) call->requests.lingers = !frame.expired();
  }

 private:
  detail::AwaitableFactory factory_;
};

}  // namespace

std::shared_ptr<const Recipe> detail::awaitable_recipe(AwaitableFactory factory) {
  return std::make_shared<const AwaitableRecipe>(std::move(factory));
}

}  // namespace taskhost
