// How many jobs may run at once, and that a thread which is about to be free counts as free.
#include "job_threads.hpp"

#include <future>
#include <thread>

#include "blocking_call.hpp"
#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;

namespace {

std::shared_ptr<const ScriptRecipe> blocking(std::function<Status()> step) {
  Script script;
  script.blocking = true;
  script.step = [step = std::move(step)](void*, Execution&) { return step(); };
  return recipe_of(std::move(script));
}

// Launches what the shard wants to launch, and returns the calls.
std::vector<std::shared_ptr<BlockingCall>> launch_all(ShardScene& scene, JobThreads& threads) {
  std::vector<std::shared_ptr<BlockingCall>> calls(scene.owner.calls.begin(), scene.owner.calls.end());
  scene.owner.calls.clear();
  for (const std::shared_ptr<BlockingCall>& call : calls) threads.launch(call);
  return calls;
}

void await(const BlockingCall& call) {
  while (!call.finished()) std::this_thread::yield();
}

}  // namespace

TEST_CASE("as many blocking tasks as there may be can restart together, again and again") {
  constexpr std::size_t limit = 3;
  constexpr int restarts = 500;
  ShardScene scene(false);
  JobThreads threads({.limit = limit});
  const auto recipe = blocking([] { return Status::error; });
  for (std::size_t i = 0; i < limit; ++i) scene.add("t", recipe, options_of(TaskType::detachable, restarts));
  scene.run();
  for (int round = 0; round <= restarts; ++round) {
    const auto calls = launch_all(scene, threads);
    REQUIRE(calls.size() == limit);
    for (const auto& call : calls) await(*call);
    scene.run();
    // A call has finished a moment before it wakes the shard.
    while (round < restarts && scene.owner.calls.size() < limit) scene.run();
  }
  CHECK(recipe->steps == static_cast<int>(limit) * (restarts + 1));
}

TEST_CASE("one blocking task more than there may be is refused, until another one ends") {
  ShardScene scene;
  JobThreads threads({.limit = 1});
  std::promise<void> release;
  scene.add("long", blocking([released = release.get_future().share()] {
              released.wait();
              return Status::ok;
            }));
  scene.run();
  const auto calls = launch_all(scene, threads);
  scene.add("short", blocking([] { return Status::ok; }));
  scene.run();
  const auto further = scene.owner.calls.front();
  CHECK_THROWS_AS(threads.launch(further), std::runtime_error);
  CHECK_THROWS_AS(threads.launch(further), std::runtime_error);
  release.set_value();
  await(*calls.front());
  threads.launch(further);
  await(*further);
}
