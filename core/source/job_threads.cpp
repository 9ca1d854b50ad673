#include "job_threads.hpp"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <system_error>

#include "signal_stack.hpp"
#include "taskhost/core/system_failure.hpp"

namespace taskhost {

namespace {

void require(int error, const char* what) {
  if (error != 0) throw system_failure(error, what);
}

// For pthread_create, since std::thread can't set a stack size.
class ThreadAttributes {
 public:
  explicit ThreadAttributes(std::size_t stack_size) {
    require(::pthread_attr_init(&attributes_), "pthread_attr_init");
    if (stack_size != 0) ::pthread_attr_setstacksize(&attributes_, stack_size);  // if too small, the default remains
  }
  ~ThreadAttributes() { ::pthread_attr_destroy(&attributes_); }
  ThreadAttributes(const ThreadAttributes&) = delete;
  ThreadAttributes& operator=(const ThreadAttributes&) = delete;
  const pthread_attr_t* get() const noexcept { return &attributes_; }

 private:
  pthread_attr_t attributes_{};
};

}  // namespace

struct JobThreads::State {
  struct Worker {
    pthread_t thread{};
    const Job* job = nullptr;  // the job that it runs
    bool is_left = false;      // at the end: not to be joined
  };
  explicit State(JobThreadOptions its_options) : options(std::move(its_options)) {}

  const JobThreadOptions options;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<Job>> jobs;
  std::deque<std::shared_ptr<Job>> later;        // for workers that find no job there
  std::deque<std::shared_ptr<Job>> never_begun;  // filled at the end; a member, so that it needs no memory then
  std::deque<std::shared_ptr<Job>> later_never_begun;
  std::deque<Worker> workers;  // never shrinks, so numbers stay valid
  std::size_t idle = 0;
  std::size_t free_seen = 0;   // at least this many workers have nothing to do, and no queued job to take
  std::size_t unsearched = 0;  // launches since all workers were last searched
  bool closing = false;

  // Whether there is a worker for the job queued last: one whose own job has finished, though it may not be idle yet.
  // Searches all workers only when those found by the last search are used up; and if a new one can be made instead,
  // not even then each time, since a host with thousands of threads would do nothing else.
  bool take_free_worker(bool can_be_made);
  void add_worker(const std::shared_ptr<State>& self);
};

bool JobThreads::State::take_free_worker(bool can_be_made) {
  constexpr std::size_t looks_a_launch = 64;
  if (free_seen == 0) {
    if (can_be_made && ++unsearched * looks_a_launch < workers.size()) return false;
    unsearched = 0;
    const auto free = static_cast<std::size_t>(std::count_if(workers.begin(), workers.end(), [](const Worker& worker) {
      return worker.job == nullptr || worker.job->finished();
    }));
    const std::size_t taken = jobs.size() - 1;
    free_seen = free > taken ? free - taken : 0;
  }
  if (free_seen == 0) return false;
  --free_seen;
  changed.notify_one();
  return true;
}

void JobThreads::State::add_worker(const std::shared_ptr<State>& self) {
  struct Begin {
    std::shared_ptr<State> state;
    std::size_t number;
  };
  const ThreadAttributes attributes(options.stack_size);
  auto begin = std::make_unique<Begin>(Begin{self, workers.size()});
  workers.emplace_back();
  const int error = options.create(
      &workers.back().thread, attributes.get(),
      [](void* argument) -> void* {
        const SignalStack stack;
        const std::unique_ptr<Begin> mine(static_cast<Begin*>(argument));
        work(std::move(mine->state), mine->number);
        return nullptr;
      },
      begin.get());
  if (error != 0) {
    workers.pop_back();
    require(error, "clone3, for a thread");
  }
  (void)begin.release();
}

JobThreads::JobThreads(JobThreadOptions options) : state_(std::make_shared<State>(std::move(options))) {}

JobThreads::~JobThreads() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
    state_->jobs.swap(state_->never_begun);
    state_->later.swap(state_->later_never_begun);
    for (State::Worker& worker : state_->workers) {
      worker.is_left = worker.job != nullptr && !worker.job->finished();
      if (worker.is_left) ::pthread_detach(worker.thread);
    }
  }
  state_->changed.notify_all();
  for (const State::Worker& worker : state_->workers) {
    if (!worker.is_left) ::pthread_join(worker.thread, nullptr);
  }
  state_->never_begun.clear();
  state_->later_never_begun.clear();
}

bool JobThreads::launch_sometime(std::shared_ptr<Job> job) {
  try {
    launch(job);
    return true;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception&) {
    const std::lock_guard lock(state_->mutex);
    if (state_->workers.empty()) return false;
    state_->later.push_back(std::move(job));
    state_->changed.notify_one();  // one may have become free meanwhile
    return true;
  }
}

void JobThreads::launch(std::shared_ptr<Job> job, bool beyond_limit) {
  const std::lock_guard lock(state_->mutex);
  state_->jobs.push_back(std::move(job));
  if (state_->idle >= state_->jobs.size()) {
    if (state_->free_seen > 0) --state_->free_seen;
    state_->changed.notify_one();
    return;
  }
  const bool may_be_made = state_->workers.size() < state_->options.limit || beyond_limit;
  if (state_->take_free_worker(may_be_made)) return;
  try {
    if (!may_be_made) throw std::runtime_error(state_->options.exhausted);
    state_->add_worker(state_);
  } catch (...) {
    if (may_be_made && state_->take_free_worker(false)) return;
    state_->jobs.pop_back();
    throw;
  }
}

void JobThreads::work(std::shared_ptr<State> state, std::size_t number) {
  const std::string name = (state->options.name + '-' + std::to_string(number)).substr(0, 15);
  is_host_thread = true;
  std::unique_lock lock(state->mutex);
  while (true) {
    ::pthread_setname_np(::pthread_self(), name.c_str());  // a job may have changed it
    ++state->idle;
    state->changed.wait(lock, [&] { return state->closing || !state->jobs.empty() || !state->later.empty(); });
    --state->idle;
    if (state->closing) return;
    std::deque<std::shared_ptr<Job>>& queue = state->jobs.empty() ? state->later : state->jobs;
    if (state->jobs.empty() && state->free_seen > 0) --state->free_seen;  // a launch may have counted on this one
    std::shared_ptr<Job> job = std::move(queue.front());
    queue.pop_front();
    state->workers[number].job = job.get();
    lock.unlock();
    job->run();
    lock.lock();
    state->workers[number].job = nullptr;
    lock.unlock();
    job = nullptr;  // without the lock, as that may destroy what the job holds
    lock.lock();
  }
}

}  // namespace taskhost
