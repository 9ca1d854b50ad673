// Threads for blocking executions: one each while it runs, reused afterwards. launch from any thread.
#pragma once

#include <cstddef>
#include <memory>

namespace taskhost {

class BlockingCall;

class BlockingThreads {
 public:
  static constexpr std::size_t most_calls = 4096;  // that have not finished

  explicit BlockingThreads(std::size_t limit = most_calls);
  // Joins the threads that are done; one that still runs task code is left alone, and a call that no thread has taken
  // yet is never run. None of the others holds a recipe then.
  ~BlockingThreads();
  BlockingThreads(const BlockingThreads&) = delete;
  BlockingThreads& operator=(const BlockingThreads&) = delete;

  // Throws std::system_error when the system allows no further thread, or the limit no further call.
  void launch(std::shared_ptr<BlockingCall> call);

 private:
  struct State;  // shared with the threads, since an abandoned one outlives this object
  static void work(std::shared_ptr<State> state, unsigned number);

  std::shared_ptr<State> state_;
};

}  // namespace taskhost
