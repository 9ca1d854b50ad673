// Intensity and period on both sides' own clocks: the only comparison here that takes time.
#include <thread>

#include "otp_side.hpp"
#include "support/catch.hpp"
#include "taskhost_side.hpp"

namespace taskhost::test {

TEST_CASE("only the restarts of the last period count, on both sides") {
  Setup setup;
  setup.children = {{Restart::permanent, Ending::orderly}};
  setup.intensity = 2;
  setup.period = std::chrono::seconds(4);  // OTP counts whole seconds
  setup.windowed = true;
  OtpSide otp;
  REQUIRE(otp.open(setup) == "up");
  TaskhostSide taskhost(setup);
  otp.settle();
  taskhost.settle_with(1);

  for (int round = 0; round < 2; ++round) {
    if (round != 0) std::this_thread::sleep_for(setup.period + std::chrono::seconds(2));
    for (int restart = 0; restart < 2; ++restart) {
      otp.exit(0, Reason::crash);
      taskhost.exit(0, Reason::crash);
      CHECK(otp.settle().events == Events{"exit:a", "start:a"});
      CHECK(taskhost.settle_with(2).events == Events{"exit:a", "start:a"});
    }
  }
  otp.exit(0, Reason::crash);
  taskhost.exit(0, Reason::crash);
  CHECK(otp.settle().reason == "shutdown");
  CHECK(taskhost.settle([](const Settled& settled) { return !settled.up; }).reason == "budget_exhausted 1");
}

}  // namespace taskhost::test
