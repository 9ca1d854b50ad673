// The one Python interpreter of the process, and what an execution is to it. All Python tasks share it, and its lock.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "taskhost/sdk/task.hpp"

namespace python_plugin {

// One execution as its script sees it. It outlives the execution where the script has left something behind.
struct Execution {
  explicit Execution(taskhost::sdk::Context host) : context(host) {}

  const taskhost::sdk::Context context;

  // Of whoever holds the interpreter's lock.
  bool over = false;              // the context may be gone
  bool asked_about_stop = false;  // then the script ends by itself
  bool told_to_stop = false;      // it has got, or will get, its Stopped
  unsigned long thread = 0;       // the script's, for the interpreter; 0 before it runs

  std::mutex mutex;
  std::condition_variable stopping;
  bool stop = false;  // of the mutex
};

struct Outcome {
  enum class Kind { ok, error, panic };
  Kind kind = Kind::ok;
  std::string text;
};

// Starts the interpreter, once. Throws a Failure where that is impossible.
void start_interpreter();

// Runs the script to its end on the calling thread, which is its own. Throws nothing.
Outcome run_script(const std::shared_ptr<Execution>& execution) noexcept;

// Raises Stopped in a script that computes, unless it has asked about the stop. From another thread.
void interrupt(Execution& execution) noexcept;

}  // namespace python_plugin
