// A task that behaves as its config says, for tests. Compiled twice: polled, and with PROBE_BLOCKING as a blocking
// task.
#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "taskhost/sdk/config.hpp"
#include "taskhost/sdk/task.hpp"

namespace {

namespace sdk = taskhost::sdk;

enum class End { ok, error, exception, busy };

struct Script {
  sdk::Duration run_for = sdk::Duration::max();  // max: until it is stopped
  End end = End::ok;
  std::string message;
  bool deaf = false;
  sdk::Duration ready_after = sdk::Duration::max();   // max: never
  sdk::Duration heartbeat = sdk::Duration::max();     // max: never
  sdk::Duration silent_after = sdk::Duration::max();  // no heartbeats after that
};

End parse_end(std::string_view word) {
  if (word == "ok") return End::ok;
  if (word == "error") return End::error;
  if (word == "throw") return End::exception;
  if (word == "busy") return End::busy;
  throw sdk::Failure("config: /end: must be \"ok\", \"error\", \"throw\" or \"busy\"");
}

Script read_script(sdk::Context context) {
  const sdk::Config config(context);
  config.keys("run_for end message deaf ready_after heartbeat silent_after");
  Script script;
  const std::string_view end = config.text("/end");
  const bool ends = end.data() != nullptr;
  script.run_for = config.duration("/run_for", ends ? sdk::Duration::zero() : sdk::Duration::max());
  if (ends) script.end = parse_end(end);
  script.message = config.text("/message", "the probe was told to fail");
  script.deaf = config.boolean("/deaf", false);
  script.ready_after = config.duration("/ready_after", sdk::Duration::max());
  script.heartbeat = config.duration("/heartbeat", sdk::Duration::max());
  script.silent_after = config.duration("/silent_after", sdk::Duration::max());
  if (script.heartbeat < std::chrono::milliseconds(1)) throw sdk::Failure("config: /heartbeat: must be at least 1ms");
  return script;
}

class Probe {
 public:
  explicit Probe(sdk::Context context)
      : context_(context),
        script_(read_script(context)),
        deadline_(deadline(context.now(), script_.run_for)),
        ready_at_(deadline(context.now(), script_.ready_after)),
        beat_at_(deadline(context.now(), script_.heartbeat)),
        silent_at_(deadline(context.now(), script_.silent_after)) {}

  static void check(sdk::Context context) { read_script(context); }

#ifdef PROBE_BLOCKING
  sdk::RunResult run() {
    if (script_.end == End::busy) return block();
    while (context_.now() < deadline_) {
      const sdk::Time next = give_signs(context_.now());
      if (script_.deaf) {
        sleep_deaf(next);
      } else if (context_.wait_until(next).stop()) {
        return sdk::done;
      }
    }
    give_signs(deadline_);
    return finish();
  }
#else
  sdk::PollResult poll() {
    if (script_.end == End::busy) return block();
    if (context_.stop_requested() && !script_.deaf) return sdk::done;
    const sdk::Time now = context_.now();
    context_.wake_at(give_signs(std::min(now, deadline_)));
    return now >= deadline_ ? sdk::PollResult(finish()) : sdk::pending;
  }
#endif

 private:
  static sdk::Time deadline(sdk::Time start, sdk::Duration run_for) {
    return run_for > sdk::never - start ? sdk::never : start + run_for;
  }

  // Does what is due, also if this is late and the end is, too; and returns the time at which there is more to do.
  sdk::Time give_signs(sdk::Time now) {
    if (now >= ready_at_) {
      context_.ready();
      ready_at_ = sdk::never;
    }
    if (beat_at_ >= silent_at_) beat_at_ = sdk::never;
    if (now >= beat_at_) {
      context_.heartbeat();
      beat_at_ = now + script_.heartbeat;
    }
    return std::min({deadline_, ready_at_, beat_at_});
  }

  sdk::Done block() const {
    std::this_thread::sleep_for(script_.run_for);
    return sdk::done;
  }

#ifdef PROBE_BLOCKING
  // Sleeps in slices, since wait() returns at once after a request to stop, and a sleep until `never` overflows.
  void sleep_deaf(sdk::Time until) const {
    const sdk::Duration slice = std::chrono::seconds(1);
    const sdk::Duration left = until - context_.now();
    std::this_thread::sleep_for(left < slice ? left : slice);
  }
#endif

  sdk::RunResult finish() const {
    if (script_.end == End::exception) throw std::runtime_error(script_.message);
    if (script_.end == End::error) return sdk::failed(script_.message);
    return sdk::done;
  }

  sdk::Context context_;
  Script script_;
  sdk::Time deadline_;
  sdk::Time ready_at_;
  sdk::Time beat_at_;
  sdk::Time silent_at_;
};

}  // namespace

#ifdef PROBE_BLOCKING
TASKHOST_SDK_PLUGIN(sdk::factory<Probe>("probe_blocking", "1.0", "ends as its config says; blocking"));
#else
TASKHOST_SDK_PLUGIN(sdk::factory<Probe>("probe", "1.0", "ends as its config says; polled"));
#endif
