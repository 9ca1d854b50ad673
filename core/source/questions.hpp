// Questions about what one thread owns: it answers them between its own work, so that nobody who asks holds it up. Once
// it owns nothing any more, they are answered within the call.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace taskhost {

class Questions {
 public:
  // Answers, or a part of it; true if there is more to answer, in a later turn of the owner. Must not throw, nor ask.
  using Question = std::function<bool()>;

  // [any thread] `wake` makes the owner call answer soon, or throws std::bad_alloc.
  template <class Wake>
  void ask(Question question, Wake wake) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) {
        while (question()) {
        }
        return;
      }
      waiting_.push_back(std::move(question));
    }
    wake();
  }

  // [owner] True if some have more to answer: then it is to be called again.
  bool answer() {
    std::vector<Question> questions;
    {
      const std::lock_guard lock(mutex_);
      questions.swap(waiting_);
    }
    std::erase_if(questions, [](const Question& question) { return !question(); });
    if (questions.empty()) return false;
    const std::lock_guard lock(mutex_);
    waiting_.insert(waiting_.end(), std::make_move_iterator(questions.begin()),
                    std::make_move_iterator(questions.end()));
    return true;
  }

  // [owner] At the very end, when nobody changes any more what questions are about.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const Question& question : waiting_) {
      while (question()) {
      }
    }
    waiting_.clear();
  }

 private:
  std::mutex mutex_;  // guards both; also serializes the answers once closed
  bool closed_ = false;
  std::vector<Question> waiting_;
};

}  // namespace taskhost
