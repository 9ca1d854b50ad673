// Threads for what may block, one for each job while it runs, reused afterwards: the runs of blocking executions, and
// the shards, whose threads task code may block though it must not. launch from any thread.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <memory>
#include <string>

namespace taskhost {

class Job {
 public:
  virtual ~Job() = default;
  virtual void run() noexcept = 0;
  // [any thread] Nothing of any interest happens in run any more: its thread is as good as free.
  virtual bool finished() const noexcept = 0;
};

struct JobThreadOptions {
  std::string name = "th-job";  // followed by a number; cut to 15 bytes, as the system's thread names are
  std::size_t limit = 4096;     // jobs that have not finished
  std::string exhausted = "all threads are in use";       // what launch says then
  std::size_t stack_size = 0;                             // bytes; 0: the system's default
  decltype(&::pthread_create) create = ::pthread_create;  // for tests: a system that gives no thread
};

class JobThreads {
 public:
  explicit JobThreads(JobThreadOptions options);
  // Joins the threads that are done; one that still runs a job is left alone, and a job that no thread has taken yet is
  // never run. None of the others holds a job then.
  ~JobThreads();
  JobThreads(const JobThreads&) = delete;
  JobThreads& operator=(const JobThreads&) = delete;

  // A thread that is free, or whose job has finished, is used before another one is made. Throws std::system_error when
  // the system allows no further thread, std::runtime_error when the limit allows no further job; `beyond_limit`:
  // whatever the limit says.
  void launch(std::shared_ptr<Job> job, bool beyond_limit = false);

 private:
  struct State;  // shared with the threads, since an abandoned one outlives this object
  static void work(std::shared_ptr<State> state, std::size_t number);

  std::shared_ptr<State> state_;
};

}  // namespace taskhost
