// Fifty tasks that all block, and many ticking ones that are hardly affected.
#include <sstream>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

constexpr int fleet = sanitized ? 1'000 : 10'000;
constexpr int herd = 50;

// How often these tick within five seconds, while so many tasks block for four and a half of them.
std::uint64_t ticks_beside(int mules) {
  Scene scene;
  scene.manifest["shards"] = 2;
  scene.manifest["stall_limit"] = "100ms";
  const std::string file = (scene.directory() / "ticks").string();
  for (int number = 0; number < mules; ++number) {
    scene.add(task("mule " + std::to_string(number), "staller", "detachable", {{"calm", "300ms"}, {"poll", "4500ms"}}));
  }
  for (int number = 0; number < fleet; ++number) {
    scene.add(task("ticker " + std::to_string(number), "stall_ticker", "detachable",
                   {{"file", file}, {"run_for", "5s"}, {"interval", "1ms"}}));
  }
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_discarded") == static_cast<std::size_t>(mules + fleet));
  CHECK(run.events.count("task_stalled") >= static_cast<std::size_t>(mules));
  std::istringstream record(read_file(file));
  std::uint64_t sum = 0;
  std::uint64_t ticks = 0;
  std::uint64_t longest_wait = 0;
  int tickers = 0;
  while (record >> ticks >> longest_wait) {
    sum += ticks;
    ++tickers;
  }
  CHECK(tickers == fleet);
  return sum;
}

}  // namespace

TEST_CASE("a ticking fleet loses less than a quarter of its ticks to 50 tasks that block both of its shards") {
  // Other work on the machine may affect one of the two runs, so there are up to three attempts. A host that gives no
  // help loses nine tenths; one attempt shows that.
  double share = 0.5;
  for (int look = 0; look < 3 && share >= 0.5 && share < 0.75; ++look) {
    const auto alone = static_cast<double>(ticks_beside(0));
    REQUIRE(alone > 0);
    share = static_cast<double>(ticks_beside(herd)) / alone;
  }
  CHECK(share >= 0.75);
}
