// A thread that runs one function after another, for tests whose calls come on certain threads.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "verify/kit_thread.hpp"

namespace taskhost::verify {

class WorkerThread {
 public:
  WorkerThread() : thread_([this] { work(); }) {}
  ~WorkerThread() {
    set([this] { is_over_ = true; });
    thread_.join();
  }
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  // Returns when the function has.
  void run(const std::function<void()>& function) {
    set([&] { function_ = &function; });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return function_ == nullptr; });
  }

 private:
  template <class Change>
  void set(const Change& change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  void work() {
    const KitThread mark;
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return is_over_ || function_ != nullptr; });
      if (function_ == nullptr) return;
      lock.unlock();
      (*function_)();
      lock.lock();
      function_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* function_ = nullptr;
  bool is_over_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace taskhost::verify
