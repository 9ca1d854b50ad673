// A recipe made of lambdas, which counts what it made and what was dropped.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "taskhost/core/task_fn.hpp"

namespace taskhost::test {

struct Script {
  std::size_t state_size = 0;
  std::size_t state_align = 1;
  bool blocking = false;
  std::function<Status(void*, Execution&)> start = [](void*, Execution&) { return Status::ok; };
  std::function<Status(void*, Execution&)> step = [](void*, Execution&) { return Status::pending; };
  std::function<Status(void*, Execution&)> finish;  // empty: no end takes time
  std::function<void(void*)> drop = [](void*) {};
};

class ScriptRecipe final : public Recipe {
 public:
  explicit ScriptRecipe(Script script)
      : Recipe(script.state_size, script.state_align, script.blocking), script_(std::move(script)) {}

  Status start(void* state, Execution& execution) const override {
    ++starts;
    const Status status = script_.start(state, execution);
    if (status == Status::ok) ++made;
    return status;
  }
  Status step(void* state, Execution& execution) const override {
    ++steps;
    return script_.step(state, execution);
  }
  bool finishes() const noexcept override { return static_cast<bool>(script_.finish); }
  Status finish(void* state, Execution& execution) const override {
    ++finishes_called;
    return script_.finish(state, execution);
  }
  void drop(void* state) const override {
    ++drops;
    script_.drop(state);
  }

  mutable std::atomic<int> starts{0};
  mutable std::atomic<int> made{0};  // starts that succeeded
  mutable std::atomic<int> steps{0};
  mutable std::atomic<int> finishes_called{0};
  mutable std::atomic<int> drops{0};

 private:
  const Script script_;
};

inline std::shared_ptr<const ScriptRecipe> recipe_of(Script script) {
  return std::make_shared<const ScriptRecipe>(std::move(script));
}

// The most common script: only the step matters.
inline std::shared_ptr<const ScriptRecipe> stepping(std::function<Status(Execution&)> step) {
  Script script;
  script.step = [step = std::move(step)](void*, Execution& execution) { return step(execution); };
  return recipe_of(std::move(script));
}

inline Status fail(Execution& execution, std::string_view why) {
  execution.fail(why);
  return Status::error;
}

}  // namespace taskhost::test
