// The bench's tasks as C++ coroutines, as small as possible. The C counterparts are in c/bench_c.c.
#include <cstdint>
#include <taskhost/sdk/config.hpp>
#include <taskhost/sdk/coroutine.hpp>

namespace {

namespace sdk = taskhost::sdk;

sdk::Task give_way(std::int64_t turns) {
  for (std::int64_t turn = 0; turn < turns; ++turn) co_await sdk::yield();
}

// Yields as often as its config says: {"turns": N}.
sdk::Task yielder(sdk::Context context) {
  const sdk::Config config(context);
  config.keys("turns");
  config.require("/turns");
  return give_way(config.integer("/turns", 0, sdk::at_least(0)));
}

// Waits for the stop, which drops it where it waits.
sdk::Task sleeper() { co_await sdk::sleep_until(sdk::never); }

// The frames' sizes with g++ 12; a larger frame would go to the heap, which the trace log would report.
constexpr std::size_t frame_size = 256;

}  // namespace

TASKHOST_SDK_PLUGIN(sdk::coroutine<yielder, frame_size>("yielder"), sdk::coroutine<sleeper, frame_size>("sleeper"));
