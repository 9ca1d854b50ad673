// A question to several owners, for whose answers somebody waits, but not for ever. An answer that comes too late is
// thrown away. Shared by the asker and those who are answering: either may be the last to use it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace taskhost {

template <class Answer>
class Inquiry {
 public:
  explicit Inquiry(std::size_t owners) : answers_(owners) {}

  // [its owner] Once each.
  void answer(std::size_t owner, Answer answer) {
    const std::lock_guard lock(mutex_);
    answers_[owner] = std::move(answer);
    ++answered_;
    condition_.notify_one();
  }

  // [asker] One of the owners can't be asked.
  void leave_out() {
    const std::lock_guard lock(mutex_);
    ++answered_;
  }

  // [asker] Once. Absent: this owner has not answered by then.
  std::vector<std::optional<Answer>> wait_until(std::chrono::steady_clock::time_point end) {
    std::unique_lock lock(mutex_);
    condition_.wait_until(lock, end, [this] { return answered_ == answers_.size(); });
    auto answers = std::move(answers_);
    answers_.assign(answers.size(), {});  // for those that come too late
    return answers;
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  std::vector<std::optional<Answer>> answers_;
  std::size_t answered_ = 0;  // or left out
};

}  // namespace taskhost
