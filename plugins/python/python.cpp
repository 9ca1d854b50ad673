// Runs a script in Python as a blocking task. The script has a thread of its own, while the host's thread waits, so
// that it notices the stop at once, whatever the script does.
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "interpreter.hpp"
#include "plugin_support/path.hpp"
#include "taskhost/sdk/config.hpp"

namespace python_plugin {

namespace {

namespace sdk = taskhost::sdk;

void check_config(sdk::Context context) {
  const sdk::Config config(context);
  config.keys("script code args path");
  const std::string_view named = config.text("/script");
  const bool has_script = named.data() != nullptr;
  const bool has_code = config.text("/code").data() != nullptr;
  if (!has_script && !has_code) throw sdk::Failure("config: \"script\" or \"code\" is missing");
  if (has_script && has_code) throw sdk::Failure("config: either \"script\" or \"code\", not both");
  const std::size_t folders = config.count("/path");
  for (std::size_t i = 0; i < folders; ++i) (void)config.text(("/path/" + std::to_string(i)).c_str());
  if (!has_script) return;
  if (!plugin_support::may_be_path(named)) throw sdk::Failure("config: /script: must name a file");
  const std::string script = plugin_support::located(context.exec(), std::string(named));
  struct stat status {};
  std::string problem = "is no file";
  if (::stat(script.c_str(), &status) != 0) {
    problem = std::generic_category().message(errno);
  } else if (S_ISREG(status.st_mode)) {
    return;
  }
  if (script.front() != '/') {
    std::error_code ignored;
    problem += " (seen from " + std::filesystem::current_path(ignored).string() + ")";
  }
  throw sdk::Failure("config: \"script\": " + script + ": " + problem);
}

class Script {
 public:
  explicit Script(sdk::Context context) : context_(context) { check_config(context); }

  static void check(sdk::Context context) { check_config(context); }

  sdk::RunResult run() {
    start_interpreter();
    const auto execution = std::make_shared<Execution>(context_);
    Outcome outcome;
    std::atomic<bool> done = false;
    std::thread script([&, waker = context_.waker()] {
      outcome = run_script(execution);
      done = true;
      waker.wake();
    });
    bool stop = false;
    while (!done && !stop) stop = context_.wait().stop();
    if (stop && !done) {
      {
        const std::lock_guard lock(execution->mutex);
        execution->stop = true;
      }
      execution->stopping.notify_all();
      interrupt(*execution);
    }
    script.join();
    if (outcome.kind == Outcome::Kind::panic) throw std::runtime_error(outcome.text);
    if (outcome.kind == Outcome::Kind::error) return sdk::failed(std::move(outcome.text));
    return sdk::done;
  }

 private:
  sdk::Context context_;
};

}  // namespace

}  // namespace python_plugin

TASKHOST_SDK_PLUGIN(taskhost::sdk::factory<python_plugin::Script>("python", "1.0", "runs a script in Python"));
