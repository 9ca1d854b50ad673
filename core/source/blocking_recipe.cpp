// TaskFn from a blocking function: the execution is the call itself, without state of its own.
#include "taskhost/core/task_fn.hpp"

namespace taskhost {

bool BlockingContext::wait_for(std::chrono::nanoseconds duration) noexcept {
  const unsigned result = execution_.wait_until(later(SteadyClock::read(), to_nanoseconds(duration)));
  return (result & wait_stop) == 0;
}

namespace {

class BlockingRecipe final : public Recipe {
 public:
  explicit BlockingRecipe(detail::BlockingFunction function) : Recipe(0, 1, true), function_(std::move(function)) {}

  Status start(void*, Execution&) const override { return Status::ok; }

  Status step(void*, Execution& execution) const override {
    BlockingContext context(execution);
    const TaskResult result = function_(context);
    if (result.status() != Status::ok) execution.fail(result.message());
    return result.status();
  }

  void drop(void*) const override {}

 private:
  detail::BlockingFunction function_;
};

}  // namespace

std::shared_ptr<const Recipe> detail::blocking_recipe(BlockingFunction function) {
  return std::make_shared<const BlockingRecipe>(std::move(function));
}

}  // namespace taskhost
