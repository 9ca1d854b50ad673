// Runs a script in Python as a blocking task. The script has a thread of its own, while the host's thread waits, so
// that it notices the stop at once, whatever the script does.
#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "interpreter.hpp"
#include "plugin_support/path.hpp"
#include "plugin_support/script.hpp"
#include "taskhost/sdk/config.hpp"

namespace python_plugin {

namespace {

namespace sdk = taskhost::sdk;

Source read_source(sdk::Context context) {
  const sdk::Config config(context);
  config.keys("script code args path");
  const std::string_view named = config.text("/script");
  const std::string_view code = config.text("/code");
  const bool has_script = named.data() != nullptr;
  const bool has_code = code.data() != nullptr;
  if (!has_script && !has_code) throw sdk::Failure("config: \"script\" or \"code\" is missing");
  if (has_script && has_code) throw sdk::Failure("config: either \"script\" or \"code\", not both");
  const std::size_t folders = config.count("/path");
  for (std::size_t i = 0; i < folders; ++i) (void)config.text(("/path/" + std::to_string(i)).c_str());
  if (!has_script) return {"", std::string(code)};
  if (!plugin_support::may_be_path(named)) throw sdk::Failure("config: /script: must name a file");
  std::string file = plugin_support::located(context.exec(), std::string(named));
  std::string text = plugin_support::read_script(file);
  return {std::move(file), std::move(text)};
}

class Script {
 public:
  explicit Script(sdk::Context context) : context_(context), source_(read_source(context)) {}

  // Compiles the script, too, without running it.
  static void check(sdk::Context context) {
    const Source source = read_source(context);
    const Verdict verdict = compile_only(source);
    std::string_view lines = verdict.warnings;
    while (!lines.empty()) {
      context.warning(lines.substr(0, lines.find('\n')));
      lines.remove_prefix(std::min(lines.find('\n'), lines.size() - 1) + 1);
    }
    if (!verdict.problem.empty()) throw sdk::Failure(verdict.problem);
  }

  sdk::RunResult run() {
    start_interpreter();
    const auto execution = std::make_shared<Execution>(context_, std::move(source_));
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
  Source source_;  // until it runs
};

}  // namespace

}  // namespace python_plugin

TASKHOST_SDK_PLUGIN(taskhost::sdk::factory<python_plugin::Script>("python", "1.0", "runs a script in Python"));
