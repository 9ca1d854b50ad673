// The process's only Python interpreter, and an execution's data in it. All Python tasks share it, and its lock.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "taskhost/sdk/task.hpp"

namespace python_plugin {

struct Source {
  std::string file;  // empty: the text is the config's "code"
  std::string text;
};

// One execution as its script sees it. Outlives the execution if the script has left something behind.
struct Execution {
  Execution(taskhost::sdk::Context host, Source script) : context(host), source(std::move(script)) {}

  const taskhost::sdk::Context context;
  Source source;  // until it is compiled

  // Guarded by the interpreter's lock.
  bool over = false;              // the context may be gone
  bool asked_about_stop = false;  // then the script ends by itself
  bool told_to_stop = false;      // Stopped has been raised in it, or will be
  unsigned long thread = 0;       // the script's thread, by Python's number; 0 before it runs

  std::mutex mutex;
  std::condition_variable stopping;
  bool stop = false;  // guarded by the mutex
};

struct Outcome {
  enum class Kind { ok, error, panic };
  Kind kind = Kind::ok;
  std::string text;
};

// What a compiler says about a script: why it is none, or nothing; and its warnings, one in a line.
struct Verdict {
  std::string problem;
  std::string warnings;
};

// Compiles the script and executes nothing of it, whatever tasks there are. Starts the interpreter; throws a Failure if
// that is impossible.
Verdict compile_only(const Source& source);

// Starts the interpreter, once. Throws a Failure if that is impossible.
void start_interpreter();

// Runs the script to its end on the calling thread, which is its own. Throws nothing.
Outcome run_script(const std::shared_ptr<Execution>& execution) noexcept;

// Raises Stopped in a script that computes, unless it has asked about the stop. To be called from another thread.
void interrupt(Execution& execution) noexcept;

}  // namespace python_plugin
