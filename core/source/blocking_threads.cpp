#include "blocking_threads.hpp"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "blocking_call.hpp"

namespace taskhost {

struct BlockingThreads::State {
  struct Worker {
    std::thread thread;
    const BlockingCall* call = nullptr;  // that it runs
  };
  explicit State(std::size_t its_limit) : limit(its_limit) {}

  const std::size_t limit;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<BlockingCall>> calls;
  std::deque<Worker> workers;  // never shrinks: numbers stay
  std::size_t idle = 0;
  std::size_t free_seen = 0;  // so many workers at least have nothing to do, and no call in the queue is theirs
  bool closing = false;

  // Whether the call that was queued last finds a worker whose own call has finished, though it may not be idle yet.
  // Looks through all of them only when those it saw the last time are used up.
  bool has_free_worker();
};

bool BlockingThreads::State::has_free_worker() {
  if (free_seen == 0) {
    const auto free = static_cast<std::size_t>(std::count_if(workers.begin(), workers.end(), [](const Worker& worker) {
      return worker.call == nullptr || worker.call->finished();
    }));
    const std::size_t taken = calls.size() - 1;
    free_seen = free > taken ? free - taken : 0;
  }
  return free_seen > 0;
}

BlockingThreads::BlockingThreads(std::size_t limit) : state_(std::make_shared<State>(limit)) {}

BlockingThreads::~BlockingThreads() {
  std::vector<std::thread> joinable;
  std::deque<std::shared_ptr<BlockingCall>> abandoned;
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
    state_->calls.swap(abandoned);
    for (State::Worker& worker : state_->workers) {
      if (worker.call != nullptr && !worker.call->finished()) {
        worker.thread.detach();
      } else {
        joinable.push_back(std::move(worker.thread));
      }
    }
  }
  state_->changed.notify_all();
  for (std::thread& thread : joinable) thread.join();
}

void BlockingThreads::launch(std::shared_ptr<BlockingCall> call) {
  const std::lock_guard lock(state_->mutex);
  state_->calls.push_back(std::move(call));
  if (state_->idle >= state_->calls.size()) {
    if (state_->free_seen > 0) --state_->free_seen;
    state_->changed.notify_one();
    return;
  }
  try {
    if (state_->workers.size() >= state_->limit) {
      if (!state_->has_free_worker()) {
        throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again),
                                "more than " + std::to_string(state_->limit) + " blocking tasks run at once");
      }
      --state_->free_seen;
      state_->changed.notify_one();
      return;
    }
    state_->workers.emplace_back();
    try {
      state_->workers.back().thread = std::thread(&BlockingThreads::work, state_, state_->workers.size() - 1);
    } catch (...) {
      state_->workers.pop_back();
      throw;
    }
  } catch (...) {
    state_->calls.pop_back();
    throw;
  }
}

void BlockingThreads::work(std::shared_ptr<State> state, unsigned number) {
  pthread_setname_np(pthread_self(), ("th-block-" + std::to_string(number)).c_str());
  std::unique_lock lock(state->mutex);
  while (true) {
    ++state->idle;
    state->changed.wait(lock, [&] { return state->closing || !state->calls.empty(); });
    --state->idle;
    if (state->calls.empty()) return;
    std::shared_ptr<BlockingCall> call = std::move(state->calls.front());
    state->calls.pop_front();
    state->workers[number].call = call.get();
    lock.unlock();
    call->run();
    lock.lock();
    state->workers[number].call = nullptr;
    lock.unlock();
    call = nullptr;  // with what it holds of the recipe
    lock.lock();
  }
}

}  // namespace taskhost
