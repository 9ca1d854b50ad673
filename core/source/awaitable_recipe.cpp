// TaskFn from an asio::awaitable factory: each start spawns a fresh coroutine on the shard's loop; polling it looks
// whether it is done.
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <exception>
#include <new>

#include "gated_executor.hpp"
#include "taskhost/core/task_fn.hpp"

namespace taskhost {

namespace {

// One coroutine. Shared with its completion handler, which Asio may hold beyond the drop.
struct Run {
  explicit Run(TaskCell& cell) : gate(std::make_shared<Gate>(cell)) {}

  // Not part of the run: the cancellation holds the executor, and that the gate.
  const std::shared_ptr<Gate> gate;
  boost::asio::cancellation_signal cancellation;
  bool cancelled = false;
  bool done = false;
  std::exception_ptr exception;
  TaskResult result = TaskResult::ok();
  Waker waker = 0;
};

using RunPointer = std::shared_ptr<Run>;

// What a cancelled operation throws.
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
    auto run = std::make_shared<Run>(static_cast<TaskCell&>(execution));
    run->waker = execution.waker();
    boost::asio::any_io_executor executor =
        GatedExecutor<boost::asio::any_io_executor>(execution.executor(), run->gate);
    boost::asio::co_spawn(executor, factory_(execution),
                          boost::asio::bind_cancellation_slot(run->cancellation.slot(),
                                                              [run](std::exception_ptr exception, TaskResult result) {
                                                                run->done = true;
                                                                run->exception = std::move(exception);
                                                                run->result = std::move(result);
                                                                Execution::wake(run->waker);
                                                              }));
    new (state) RunPointer(std::move(run));
    return Status::ok;
  }

  Status step(void* state, Execution& execution) const override {
    Run& run = **static_cast<RunPointer*>(state);
    if (!run.done && execution.stop_requested() && !run.cancelled) {
      run.cancelled = true;
      run.cancellation.emit(boost::asio::cancellation_type::terminal);
    }
    if (!run.done) return Status::pending;
    if (run.exception && run.cancelled && was_aborted(run.exception)) return Status::ok;  // as it was asked to
    if (run.exception) std::rethrow_exception(run.exception);
    if (run.result.status() != Status::ok) execution.fail(run.result.message());
    return run.result.status();
  }

  void drop(void* state) const override {
    auto& run = *static_cast<RunPointer*>(state);
    run->gate->open = false;
    // What it awaits completes now instead of some day, and is then destroyed at the gate. The cancellation itself,
    // which co_spawn submits to the same executor, has to pass.
    run->gate->passing = true;
    if (!run->done) run->cancellation.emit(boost::asio::cancellation_type::terminal);
    run->gate->passing = false;
    run.~RunPointer();
  }

 private:
  detail::AwaitableFactory factory_;
};

}  // namespace

std::shared_ptr<const Recipe> detail::awaitable_recipe(AwaitableFactory factory) {
  return std::make_shared<const AwaitableRecipe>(std::move(factory));
}

}  // namespace taskhost
