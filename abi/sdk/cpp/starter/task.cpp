// @NAME@: greets at an interval, until it is stopped or has greeted "times" times.
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <taskhost/sdk/config.hpp>
#include <taskhost/sdk/coroutine.hpp>

namespace {

namespace sdk = taskhost::sdk;

struct Settings {
  std::string_view greeting;
  sdk::Duration every;
  std::int64_t times;  // 0: unlimited
  std::string_view end;
};

Settings read_settings(sdk::Context context) {
  const sdk::Config config(context);
  config.keys("greeting every times end");
  Settings settings;
  settings.greeting = config.text("/greeting", "hello from C++");
  settings.every = config.duration("/every", std::chrono::seconds(1));
  settings.times = config.integer("/times", 0, sdk::at_least(0));
  settings.end = config.text("/end", "ok");
  if (settings.end != "ok" && settings.end != "error" && settings.end != "panic") {
    throw sdk::Failure(R"(config: /end: must be "ok", "error" or "panic")");
  }
  return settings;
}

// Each call is one execution. On a stop it is dropped at its co_await: destructors run, nothing after it does.
sdk::Task greet(sdk::Context context, Settings settings) {
  for (std::int64_t done = 1;; ++done) {
    context.info(settings.greeting);
    context.ready();
    if (done == settings.times) break;
    co_await sdk::sleep(settings.every);
  }
  if (settings.end == "error") throw sdk::Failure("was told to fail");
  if (settings.end == "panic") throw std::runtime_error("was told to panic");
}

// The start; it fails if this throws.
sdk::Task start(sdk::Context context) { return greet(context, read_settings(context)); }

// Called before the host starts, and by `taskhost check`: throws if no execution could live with the config.
void check(sdk::Context context) { read_settings(context); }

}  // namespace

TASKHOST_SDK_PLUGIN(sdk::with_check<check>(sdk::coroutine<start>("@NAME@", "1.0", "greets at an interval")));
