// when_all, when_any and race of any number of Asyncs, with a fake host.
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "coroutine_run.hpp"
#include "support/catch.hpp"

namespace {

namespace sdk = taskhost::sdk;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

sdk::Async<std::unique_ptr<int>> number_after(sdk::Duration delay, int number) {
  const Tracker tracker;
  co_await sdk::sleep(delay);
  co_return std::make_unique<int>(number);
}
sdk::Async<> nothing_after(sdk::Duration delay) {
  const Tracker tracker;
  co_await sdk::sleep(delay);
}
sdk::Async<std::unique_ptr<int>> throws_after(sdk::Duration delay) {
  const Tracker tracker;
  co_await sdk::sleep(delay);
  throw std::runtime_error("thrown");
}
sdk::Async<std::unique_ptr<int>> fails_after(sdk::Duration delay) {
  const Tracker tracker;
  co_await sdk::sleep(delay);
  co_await sdk::failed("failed");
  co_return nullptr;
}

using Numbers = std::vector<sdk::Async<std::unique_ptr<int>>>;

// The numbers of the arguments, each after its delay. (Lists in braces within a co_await do not compile with g++ 12.)
template <class... Delays>
Numbers numbers(Delays... delays) {
  Numbers made;
  (made.push_back(number_after(delays, static_cast<int>(made.size()))), ...);
  return made;
}

sdk::Task takes_the_first(sdk::Context context) {
  const auto first = co_await sdk::when_any(numbers(3s, 1s, 2s, 1s));
  context.info(std::to_string(first.index) + std::to_string(*first.value) + std::to_string(Tracker::live));
  std::vector<sdk::Async<>> voids;
  voids.push_back(nothing_after(2s));
  voids.push_back(nothing_after(1s));
  const auto of_voids = co_await sdk::when_any(std::move(voids));
  context.info(std::to_string(of_voids.index));
  const auto raced = co_await sdk::race(numbers(2s, 3s, 1s));
  context.info(std::to_string(*raced));
  voids.clear();
  voids.push_back(nothing_after(1s));
  co_await sdk::race(std::move(voids));
  const auto at_once = co_await sdk::when_any(numbers(1s, 0s));
  context.info(std::to_string(at_once.index));
}

}  // namespace

TEST_CASE("when_any of a vector tells which was first, with its result, and cancels the others at once") {
  Run<takes_the_first> run;
  CHECK(run.finish() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"110", "1", "2", "1"});
  CHECK(Tracker::live == 0);
}

namespace {

sdk::Task takes_what_throws(sdk::Context context) {
  Numbers waits = numbers(3s, 2s);
  waits.push_back(throws_after(1s));
  try {
    co_await sdk::when_any(std::move(waits));
  } catch (const std::runtime_error& error) {
    context.info(error.what() + std::to_string(Tracker::live));
  }
  waits = numbers(2s);
  waits.push_back(throws_after(1s));
  waits.push_back(throws_after(1s));
  try {
    co_await sdk::when_all(std::move(waits));
  } catch (const std::runtime_error& error) {
    context.info(error.what() + std::to_string(Tracker::live));
  }
  try {
    co_await sdk::race(Numbers());
  } catch (const std::invalid_argument& error) {
    context.info(error.what());
  }
  const auto nothing = co_await sdk::when_all(Numbers());
  context.info(std::to_string(nothing.size()));
}

}  // namespace

TEST_CASE("an exception counts as the first, and an empty vector has none") {
  Run<takes_what_throws> run;
  CHECK(run.finish() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"thrown0", "thrown0", "the first of an empty vector would never be done", "0"});
}

namespace {

sdk::Task awaits_twice(sdk::Context context) {
  Numbers waits = numbers(1s);
  auto taken = std::move(waits[0]);
  waits.push_back(number_after(1s, 1));
  std::swap(waits[0], waits[1]);  // the second has been moved from
  auto all = sdk::when_all(std::move(waits));
  try {
    co_await all;
  } catch (const std::logic_error& error) {
    context.info(error.what() + std::to_string(Tracker::live));
  }
  auto pair = sdk::when_all(number_after(1s, 1), std::move(all));
  try {
    co_await pair;
  } catch (const std::logic_error& error) {
    context.info(error.what() + std::to_string(Tracker::live));
  }
  co_await taken;
  const auto last = co_await sdk::when_all(numbers(1s, 2s));
  context.info(std::to_string(last.size()));
}

}  // namespace

TEST_CASE("a combinator that can't begin leaves nothing behind") {
  Run<awaits_twice> run;
  CHECK(run.finish() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"an Async is awaited once0", "a combinator is awaited once0", "2"});
  CHECK(Tracker::live == 0);
}

namespace {

sdk::Async<std::size_t> nested(sdk::Duration delay) {
  const auto all = co_await sdk::when_all(numbers(delay, delay + 1s));
  const auto in_time = co_await sdk::with_timeout(1s, sdk::when_any(numbers(2s, 3s)));
  co_return in_time ? 100 : all.size();
}
sdk::Task nests(sdk::Context context) {
  std::vector<sdk::Async<std::size_t>> waits;
  waits.push_back(nested(3s));
  waits.push_back(nested(1s));
  waits.push_back(nested(2s));
  const auto result = co_await sdk::when_any(sdk::when_any(std::move(waits)), sdk::sleep(100s));
  const auto& first = std::get<0>(result);
  context.info(std::to_string(first.index) + std::to_string(first.value) + std::to_string(Tracker::live));
}
sdk::Task ends_in_one() {
  Numbers waits = numbers(1s, 3s);
  waits.push_back(fails_after(2s));
  waits.push_back(number_after(2s, 3));
  co_await sdk::with_timeout(10s, sdk::when_all(std::move(waits)));
}

}  // namespace

TEST_CASE("combinators of vectors can be nested, with a limit and in each other") {
  Run<nests> run;
  CHECK(run.finish() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"120"});
  CHECK(Tracker::live == 0);
}

TEST_CASE("a failure in one of many ends the execution there and then") {
  Run<ends_in_one> run;
  CHECK(run.finish() == TASKHOST_ERROR);
  CHECK(run.host.message == "failed");
  run.host.drop();
  CHECK(Tracker::live == 0);
}

TEST_CASE("combinators of vectors are destroyed once wherever they are dropped, or stopped") {
  for (const taskhost_factory* factory :
       {&Run<takes_the_first>::factory, &Run<takes_what_throws>::factory, &Run<awaits_twice>::factory,
        &Run<nests>::factory, &Run<ends_in_one>::factory}) {
    for (int polls = 0; polls < 10; ++polls) {
      FakeHost host;
      REQUIRE(host.start(*factory) == TASKHOST_OK);
      for (int turn = 0; turn < polls && host.poll() == TASKHOST_PENDING; ++turn) host.time = host.wake_time;
      host.drop();
      CHECK(Tracker::live == 0);
    }
  }
}

namespace {

int resumed = 0;

sdk::Async<int> counts(int number, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    co_await sdk::sleep(1s * (number % 10 + 1));
    ++resumed;
  }
  co_return number;
}
sdk::Task gathers_a_thousand(sdk::Context context) {
  std::vector<sdk::Async<int>> waits;
  for (int number = 0; number < 1000; ++number) waits.push_back(counts(number, 3));
  const std::vector<int> all = co_await sdk::when_all(std::move(waits));
  bool in_order = all.size() == 1000;
  for (int number = 0; number < 1000; ++number) in_order = in_order && all[static_cast<std::size_t>(number)] == number;
  context.info(in_order ? "in order" : "in another order");
}
sdk::Async<> tells(sdk::Context context, int number, sdk::Duration first) {
  co_await sdk::sleep(first);
  co_await sdk::sleep_until(sdk::Time(2000s));
  context.info(std::to_string(number));
}
sdk::Task keeps_the_order(sdk::Context context) {
  std::vector<sdk::Async<>> waits;
  for (int number = 0; number < 4; ++number) waits.push_back(tells(context, number, 1s * (4 - number)));
  co_await sdk::when_all(std::move(waits));
}

}  // namespace

TEST_CASE("a thousand are gathered in their order, and each wake resumes only those that are due") {
  Run<gathers_a_thousand> run;
  resumed = 0;
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.poll_at_timer() == TASKHOST_PENDING);
  CHECK(resumed == 100);
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(resumed == 100);
  for (int turn = 0; turn < 40 && run.status == TASKHOST_PENDING; ++turn) run.poll_at_timer();
  CHECK(run.status == TASKHOST_OK);
  CHECK(resumed == 3000);
  CHECK(run.host.log == Lines{"in order"});
}

TEST_CASE("those of many that are ready at the same time are resumed in the order of the vector") {
  Run<keeps_the_order> run;
  CHECK(run.finish() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"0", "1", "2", "3"});
}

namespace {

sdk::Async<int> offloads(int number) {
  const auto work = [number] { return number; };
  co_return co_await sdk::offload(work);
}
sdk::Task offloads_many(sdk::Context context) {
  std::vector<sdk::Async<int>> waits;
  for (int number = 0; number < 5000; ++number) waits.push_back(offloads(number));
  const std::vector<int> numbers = co_await sdk::when_all(std::move(waits));
  context.info(std::to_string(numbers.back()));
}

}  // namespace

TEST_CASE("more works that are done at once than a poll takes are taken by the next one, for which it wakes itself") {
  Run<offloads_many> run;
  CHECK(run.poll() == TASKHOST_PENDING);
  REQUIRE(run.host.works.size() == 5000);
  for (const taskhost_work& work : run.host.works) {
    work.run(work.argument);
    run.host.ready.push_back({work.tag, TASKHOST_DONE, 0});
  }
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.wakes == 1);
  CHECK(run.poll() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"4999"});
}
