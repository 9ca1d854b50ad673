// Questions about what one thread owns: it answers them between its own work, so that nobody who asks holds it up. Once
// it owns nothing any more, they are answered within the call. An owner that stands still is asked once: whoever asks
// it meanwhile need not wait.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace taskhost {

class Questions {
 public:
  // Answers, or a part of it; true if there is more to answer, in a later turn of the owner. Must not throw, nor ask.
  using Question = std::function<bool()>;

  // [any thread] `wake` makes the owner call answer soon, or throws std::bad_alloc: then nothing was asked. The number
  // of the question; none, and nothing was asked, if the owner has not looked since somebody gave up waiting for it.
  template <class Wake>
  std::optional<std::uint64_t> ask(Question question, Wake wake) {
    std::uint64_t number = 0;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) {
        while (question()) {
        }
        return asked_;
      }
      if (given_up_ > looked_) return std::nullopt;
      number = ++asked_;
      waiting_.push_back({number, std::move(question)});
    }
    try {
      wake();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      std::erase_if(waiting_, [number](const Asked& asked) { return asked.number == number; });
      throw;
    }
    return number;
  }

  // [any thread] Whoever asked the question of this number has waited in vain. That says nothing about an owner that
  // has looked meanwhile.
  void give_up(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    given_up_ = std::max(given_up_, number);
  }

  // [owner] True if some have more to answer: then it is to be called again.
  bool answer() {
    std::vector<Asked> questions;
    {
      const std::lock_guard lock(mutex_);
      looked_ = asked_;
      questions.swap(waiting_);
    }
    std::erase_if(questions, [](const Asked& asked) { return !asked.question(); });
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
    for (const Asked& asked : waiting_) {
      while (asked.question()) {
      }
    }
    waiting_.clear();
  }

 private:
  struct Asked {
    std::uint64_t number;
    Question question;
  };

  std::mutex mutex_;  // guards all; also serializes the answers once closed
  bool closed_ = false;
  std::uint64_t asked_ = 0;     // the number of the last question
  std::uint64_t looked_ = 0;    // the last one that the owner has seen
  std::uint64_t given_up_ = 0;  // the last one that was waited for in vain
  std::vector<Asked> waiting_;
};

}  // namespace taskhost
