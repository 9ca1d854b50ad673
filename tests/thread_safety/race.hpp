// Shared by this folder's tests: groups of threads, and a limit on how long they run.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "recording_sink.hpp"
#include "script.hpp"
#include "support/catch.hpp"
#include "taskhost/core/supervisor.hpp"

namespace taskhost::test {

// Threads that repeat something until they are told to end.
class Crowd {
 public:
  Crowd(int threads, std::function<void(unsigned number)> again) {
    for (int number = 0; number < threads; ++number) {
      threads_.emplace_back([this, again, number] {
        while (!done_.load(std::memory_order_relaxed)) again(static_cast<unsigned>(number));
      });
    }
  }
  ~Crowd() { end(); }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  void end() {
    done_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

 private:
  std::atomic<bool> done_{false};
  std::vector<std::thread> threads_;
};

// The poll of a task that ends when it is asked to.
inline Status obey(Execution& execution) { return execution.stop_requested() ? Status::ok : Status::pending; }

// True until this many rounds are done or a second has passed, whichever comes first.
class Rounds {
 public:
  explicit Rounds(int most) : left_(most) {}
  bool next() { return left_-- > 0 && std::chrono::steady_clock::now() < end_; }

 private:
  int left_;
  const std::chrono::steady_clock::time_point end_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
};

// Wakers of all ages, for anyone to use. The newest ones overwrite the oldest.
class WakerBoard {
 public:
  void put(Waker waker) { places_[next_.fetch_add(1) % size].store(waker, std::memory_order_relaxed); }
  void wake(unsigned number) const {
    for (unsigned i = 0; i < size; ++i) {
      Execution::wake(places_[(i * 7 + number) % size].load(std::memory_order_relaxed));
    }
  }

 private:
  static constexpr unsigned size = 256;
  std::atomic<unsigned> next_{0};
  std::atomic<Waker> places_[size] = {};
};

inline SupervisorOptions with_shards(unsigned shards) {
  SupervisorOptions options;
  options.shards = shards;
  return options;
}

// Whether each start has exactly one end in the stream.
inline bool starts_match_ends(const RecordingSink& sink) {
  return sink.count(EventKind::task_started) == sink.count(EventKind::task_exited) +
                                                    sink.count(EventKind::task_stopped) +
                                                    sink.count(EventKind::task_abandoned);
}

}  // namespace taskhost::test
