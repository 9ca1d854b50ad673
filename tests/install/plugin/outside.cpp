// A coroutine from outside the tree: sleeps, says that it is ready, and ends well.
#include <chrono>
#include <string>
#include <taskhost/sdk/coroutine.hpp>

namespace {

namespace sdk = taskhost::sdk;
using namespace std::chrono_literals;

sdk::Task outside(sdk::Context context) {
  const std::string greeting = "from outside";
  co_await sdk::sleep(1ms);
  context.ready();
  context.info(greeting);
}

}  // namespace

TASKHOST_SDK_PLUGIN(sdk::coroutine<outside>("outside"));
