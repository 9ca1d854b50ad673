// How many jobs may run at once, and that a thread that is about to be free counts as free.
#include "job_threads.hpp"

#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <future>
#include <system_error>
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

// Launches what the shard would launch, and returns the calls.
std::vector<std::shared_ptr<Job>> launch_all(ShardScene& scene, JobThreads& threads) {
  std::vector<std::shared_ptr<Job>> calls(scene.owner.calls.begin(), scene.owner.calls.end());
  scene.owner.calls.clear();
  for (const std::shared_ptr<Job>& call : calls) threads.launch(call);
  return calls;
}

void await(const Job& job) {
  while (!job.finished()) std::this_thread::yield();
}

// A job that finishes, and later gives its thread back, when the test says so.
class HeldJob final : public Job {
 public:
  void run() noexcept override {
    finish.get_future().wait();
    finished_ = true;
    leave.get_future().wait();
  }
  bool finished() const noexcept override { return finished_; }

  std::promise<void> finish;
  std::promise<void> leave;

 private:
  std::atomic<bool> finished_{false};
};

// Limits the number of threads, and counts how often one was requested.
std::atomic<int> threads_left{0};
std::atomic<int> threads_wanted{0};

int create_if_any_is_left(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                          void* argument) noexcept {
  ++threads_wanted;
  return threads_left.fetch_sub(1) > 0 ? ::pthread_create(thread, attributes, run, argument) : EAGAIN;
}

JobThreadOptions with_threads(int count) {
  threads_left = count;
  threads_wanted = 0;
  JobThreadOptions options;
  options.create = create_if_any_is_left;
  return options;
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

TEST_CASE("a thread whose job has finished is used before another one is made") {
  JobThreads threads(with_threads(2));
  const auto first = std::make_shared<HeldJob>();
  const auto second = std::make_shared<HeldJob>();
  threads.launch(first);
  first->finish.set_value();
  await(*first);
  threads.launch(second);
  CHECK(threads_wanted == 1);
  first->leave.set_value();
  second->finish.set_value();
  await(*second);
  second->leave.set_value();
}

TEST_CASE("in a crowd of threads a free one is found at the latest when the system gives no other") {
  constexpr int crowd = 200;
  JobThreads threads(with_threads(crowd));
  std::vector<std::shared_ptr<HeldJob>> jobs;
  for (int i = 0; i < crowd; ++i) threads.launch(jobs.emplace_back(std::make_shared<HeldJob>()));
  for (int i = 0; i < 3; ++i) {
    jobs[i]->finish.set_value();
    await(*jobs[i]);
    threads.launch(jobs.emplace_back(std::make_shared<HeldJob>()));
  }
  CHECK_THROWS_AS(threads.launch(std::make_shared<HeldJob>()), std::system_error);
  for (std::size_t i = 3; i < jobs.size(); ++i) jobs[i]->finish.set_value();
  for (const auto& job : jobs) job->leave.set_value();
  for (const auto& job : jobs) await(*job);
}

TEST_CASE(
    "when the system gives no thread and none is free, it is told which limit to raise, and the job is not kept") {
  JobThreads threads(with_threads(1));
  const auto only = std::make_shared<HeldJob>();
  threads.launch(only);
  const auto refused = std::make_shared<HeldJob>();
  std::string message;
  try {
    threads.launch(refused);
  } catch (const std::system_error& error) {
    CHECK(error.code() == std::errc::resource_unavailable_try_again);
    message = error.what();
  }
  CHECK(message.starts_with("can't create another thread: RLIMIT_NPROC is "));
  rlimit memory{};
  REQUIRE(::getrlimit(RLIMIT_AS, &memory) == 0);
  CHECK((message.find("RLIMIT_AS is") != std::string::npos) == (memory.rlim_cur != RLIM_INFINITY));
  CHECK(message.find("pids.max") != std::string::npos);
  CHECK(refused.use_count() == 1);
  only->finish.set_value();
  only->leave.set_value();
  await(*only);
  const auto next = std::make_shared<HeldJob>();
  threads.launch(next);
  next->finish.set_value();
  next->leave.set_value();
  await(*next);
}

TEST_CASE("a job that may wait is run when a thread becomes free, after those that may not") {
  JobThreads threads({.limit = 1});
  const auto first = std::make_shared<HeldJob>();
  const auto waiting = std::make_shared<HeldJob>();
  CHECK(JobThreads({.limit = 0}).launch_sometime(waiting) == false);  // no thread at all
  threads.launch(first);
  CHECK(threads.launch_sometime(waiting));
  CHECK_THROWS_AS(threads.launch(std::make_shared<HeldJob>()), std::runtime_error);
  first->finish.set_value();
  await(*first);
  const auto next = std::make_shared<HeldJob>();
  threads.launch(next);
  first->leave.set_value();
  next->finish.set_value();
  await(*next);
  CHECK_FALSE(waiting->finished());
  next->leave.set_value();
  waiting->finish.set_value();
  await(*waiting);
  waiting->leave.set_value();
}
