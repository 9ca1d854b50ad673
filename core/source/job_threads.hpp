// Threads for what may block; each job has one while it runs, and threads are reused. Jobs are the runs of blocking
// executions, and the shards, since task code may block their threads though it must not. launch from any thread.
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
  // [any thread] Whether run does nothing that matters any more: its thread is as good as free.
  virtual bool finished() const noexcept = 0;
};

struct JobThreadOptions {
  std::string name = "th-job";  // followed by a number; cut to 15 bytes, as the system's thread names are
  std::size_t limit = 4096;     // of jobs that have not finished
  std::string exhausted = "all threads are in use";       // message of launch's exception at the limit
  std::size_t stack_size = 0;                             // bytes; 0: the system's default
  decltype(&::pthread_create) create = ::pthread_create;  // for tests: a system that gives no thread
};

class JobThreads {
 public:
  explicit JobThreads(JobThreadOptions options);
  // Joins the threads that are done, after which these hold no job. A thread that still runs a job is left alone, and a
  // job that no thread has taken yet never runs.
  ~JobThreads();
  JobThreads(const JobThreads&) = delete;
  JobThreads& operator=(const JobThreads&) = delete;

  // Uses a thread that is free, or whose job has finished, before making another one. Throws std::system_error if the
  // system provides no further thread, std::runtime_error at the limit, which `beyond_limit` ignores.
  void launch(std::shared_ptr<Job> job, bool beyond_limit = false);

  // Has it run by a thread that is free, a new one, or the first that becomes free. False: there is not one thread, and
  // none to be had. Throws std::bad_alloc.
  bool launch_sometime(std::shared_ptr<Job> job);

 private:
  struct State;  // shared with the threads, since an abandoned thread outlives this object
  static void work(std::shared_ptr<State> state, std::size_t number);

  std::shared_ptr<State> state_;
};

}  // namespace taskhost
