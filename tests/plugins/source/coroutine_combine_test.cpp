// Several waits at once in one coroutine, and waits for descriptors, with a fake host.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "coroutine_run.hpp"
#include "pair.hpp"
#include "support/catch.hpp"

using taskhost::test::contains_text;

namespace {

namespace sdk = taskhost::sdk;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

sdk::Async<std::string> after(sdk::Context context, sdk::Duration delay, std::string text) {
  const Tracker tracker;
  co_await sdk::sleep(delay);
  context.info("after " + text);
  co_return text;
}
sdk::Async<int> throws_after(sdk::Duration delay) {
  const Tracker tracker;
  co_await sdk::sleep(delay);
  throw std::runtime_error("thrown");
}

sdk::Task gathers(sdk::Context context) {
  const auto all = co_await sdk::when_all(after(context, 2s, "two"), sdk::sleep(1s), after(context, 1s, "one"));
  context.info(std::get<0>(all) + " " + std::get<2>(all));
  std::vector<sdk::Async<std::string>> many;
  for (int number = 0; number < 3; ++number) many.push_back(after(context, 1s * number, std::to_string(number)));
  for (const std::string& text : co_await sdk::when_all(std::move(many))) context.info(text);
  co_await sdk::when_all(std::vector<sdk::Async<>>());
}

}  // namespace

TEST_CASE("when_all waits for all, and gives their results in the order of the arguments") {
  Run<gathers> run;
  run.finish();
  run.host.drop();
  CHECK(run.host.log == Lines{"after one", "after two", "two one", "after 0", "after 1", "after 2", "0", "1", "2"});
  CHECK(Tracker::live == 0);
}

namespace {

sdk::Task fails_fast(sdk::Context context) {
  try {
    co_await sdk::when_all(after(context, 3s, "late"), throws_after(1s), after(context, 1s, "not resumed"));
  } catch (const std::runtime_error& error) {
    context.info(error.what());
  }
  context.info(std::to_string(Tracker::live));
  std::vector<sdk::Async<int>> many;
  many.push_back(throws_after(2s));
  many.push_back(throws_after(1s));
  many.push_back(throws_after(3s));
  co_await sdk::when_all(std::move(many));
}

}  // namespace

TEST_CASE("when_all lets the first exception out and cancels the others") {
  Run<fails_fast> run;
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(Tracker::live == 3);
  const std::uint64_t start = run.host.time;
  CHECK(run.poll_at_timer() == TASKHOST_PENDING);
  CHECK(run.host.log == Lines{"thrown", "0"});
  CHECK(run.host.wake_time == start + 2 * TASKHOST_SECOND);
  CHECK(run.poll_at_timer() == TASKHOST_PANIC);
  CHECK(run.host.message == "thrown");
  run.host.drop();
  CHECK(Tracker::live == 0);
}

namespace {

sdk::Task takes_the_first(sdk::Context context) {
  const auto first = co_await sdk::when_any(sdk::sleep(3s), after(context, 1s, "one"), after(context, 1s, "too"));
  context.info(std::to_string(first.index()) + std::get<1>(first) + std::to_string(Tracker::live));
  const auto nested = co_await sdk::when_any(sdk::when_all(sdk::sleep(1s), after(context, 2s, "two")),
                                             sdk::when_any(sdk::sleep(5s), sdk::sleep_until(sdk::never)));
  context.info(std::get<1>(std::get<0>(nested)));
  context.info(co_await sdk::race(after(context, 2s, "slow"), after(context, 1s, "fast")));
  const auto at_once = co_await sdk::when_any(sdk::until([] { return true; }), after(context, 1s, "not begun"));
  context.info(std::to_string(at_once.index()));
  co_await sdk::when_any(sdk::sleep(2s), throws_after(1s));
}

}  // namespace

TEST_CASE("when_any takes the first in the list of those that have come, and cancels the others at once") {
  Run<takes_the_first> run;
  run.finish();
  CHECK(run.host.log == Lines{"after one", "1one0", "after two", "two", "after fast", "fast", "0"});
  CHECK(run.host.message == "thrown");
  CHECK(Tracker::live == 0);
}

namespace {

sdk::Task awaits_again(sdk::Context context) {
  auto first = sdk::when_any(sdk::sleep(1s), sdk::stopped());
  co_await first;
  context.info("once");
  co_await first;
}

}  // namespace

TEST_CASE("a combinator is awaited once") {
  Run<awaits_again> run;
  CHECK(run.finish() == TASKHOST_PANIC);
  CHECK(run.host.log == Lines{"once"});
  CHECK(run.host.message == "a combinator is awaited once");
}

TEST_CASE("combinators are destroyed once wherever they are dropped") {
  for (const taskhost_factory* factory :
       {&Run<takes_the_first>::factory, &Run<gathers>::factory, &Run<fails_fast>::factory}) {
    for (int polls = 0; polls < 8; ++polls) {
      FakeHost host;
      REQUIRE(host.start(*factory) == TASKHOST_OK);
      for (int turn = 0; turn < polls && host.poll() == TASKHOST_PENDING; ++turn) host.time = host.wake_time;
      host.drop();
      CHECK(Tracker::live == 0);
    }
  }
}

namespace {

sdk::Task in_time(sdk::Context context) {
  const auto text = co_await sdk::with_timeout(1s, after(context, 1s, "both at once"));
  context.info(text ? *text : "too late");
  if (!co_await sdk::with_timeout(1s, sdk::sleep(2s))) context.info("too long");
  if (co_await sdk::with_timeout(2s, sdk::sleep(1s))) context.info("in time");
  co_await sdk::with_timeout(2s, throws_after(1s));
}
sdk::Task stops_in_order(sdk::Context context) {
  const Tracker tracker;
  while (co_await sdk::with_timeout(1s, sdk::stopped()) == std::nullopt) context.info("tick");
  co_await sdk::sleep(1s);
  context.info("in order");
}
sdk::Async<> fails_in_a_branch() {
  co_await sdk::sleep(1s);
  co_await sdk::failed("in a branch");
}
sdk::Task ends_in_a_branch(sdk::Context context) {
  const Tracker tracker;
  co_await sdk::when_all(fails_in_a_branch(), after(context, 1s, "not resumed"));
  context.info("not reached");
}
sdk::Task ends_in_any(sdk::Context context) {
  co_await sdk::when_any(fails_in_a_branch(), after(context, 1s, "not resumed"));
  context.info("not reached");
}

}  // namespace

TEST_CASE("with_timeout tells whether it was in time") {
  Run<in_time> run;
  run.finish();
  CHECK(run.host.log == Lines{"after both at once", "both at once", "too long", "in time"});
  CHECK(run.host.message == "thrown");
}

TEST_CASE("a branch that waits for the stop asks for the whole task") {
  for (int turns = 1; turns < 4; ++turns) {
    Run<stops_in_order> run;
    for (int turn = 0; turn < turns; ++turn) CHECK(run.poll_at_timer() == TASKHOST_PENDING);
    CHECK(run.stop() == TASKHOST_PENDING);
    CHECK(run.poll_at_timer() == TASKHOST_OK);
    CHECK(run.host.log.back() == "in order");
  }
  Run<stops_in_order> never_polled;
  CHECK(never_polled.stop() == TASKHOST_OK);
  CHECK(never_polled.host.log.empty());
}

TEST_CASE("a failure in a branch ends the execution there and then") {
  for (const taskhost_factory* factory : {&Run<ends_in_a_branch>::factory, &Run<ends_in_any>::factory}) {
    FakeHost host;
    REQUIRE(host.start(*factory) == TASKHOST_OK);
    CHECK(host.poll() == TASKHOST_PENDING);
    host.time += TASKHOST_SECOND;
    CHECK(host.poll() == TASKHOST_ERROR);
    CHECK(host.message == "in a branch");
    CHECK(host.log.empty());
    host.drop();
    CHECK(Tracker::live == 0);
  }
}

namespace {

// Current compilers have handled such temporaries wrongly: destroyed them twice, or copied them as bytes.
sdk::Async<std::size_t> length_of(std::string text, Tracker) {
  co_await sdk::yield();
  co_return text.size();
}
sdk::Task keeps_temporaries(sdk::Context context) {
  const std::string long_text(100, 'x');
  std::size_t sum = 0;
  for (int turn = 0; turn < 3; ++turn) sum += co_await length_of(long_text + "y", Tracker());
  if (co_await length_of(long_text, Tracker()) == 100 && sum == 303) sum = 0;
  const auto kept = std::make_shared<std::string>("kept");
  {
    const auto third_time = [kept, tracker = Tracker(), turn = 0]() mutable { return ++turn == 3 && *kept == "kept"; };
    co_await sdk::until(third_time);
  }
  const auto any = co_await sdk::when_any(length_of(long_text, Tracker()), sdk::until([&kept] { return !kept; }));
  context.info(std::to_string(sum + std::get<0>(any)) + " " + std::to_string(kept.use_count()));
  co_await sdk::sleep(1s);
}

}  // namespace

namespace {

sdk::Async<void> works_off(sdk::Context context, std::vector<int>& jobs, int& left) {
  while (left > 0) {
    co_await sdk::until([&] { return !jobs.empty() || left == 0; });
    if (jobs.empty()) break;
    context.info("job " + std::to_string(jobs.back()));
    jobs.pop_back();
    --left;
  }
}
sdk::Async<void> gives_jobs(std::vector<int>& jobs) {
  co_await sdk::sleep(1s);
  jobs = {3, 2, 1};
}
sdk::Task works_before_it_gets_jobs(sdk::Context context) {
  std::vector<int> jobs;
  int left = 3;
  co_await sdk::when_all(works_off(context, jobs, left), works_off(context, jobs, left), gives_jobs(jobs));
}

int turns = 0;
sdk::Async<void> plays(int mine, int other, int& ball) {
  while (turns < 1000) {
    co_await sdk::until([&ball, mine] { return ball == mine || turns >= 1000; });
    ++turns;
    ball = other;
  }
}
sdk::Task plays_ping_pong() {
  int ball = 1;
  co_await sdk::when_all(plays(0, 1, ball), plays(1, 0, ball));
}

}  // namespace

TEST_CASE("a condition that a later coroutine of the same poll makes true is noticed, without a wake") {
  Run<works_before_it_gets_jobs> run;
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.poll_at_timer() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"job 1", "job 2", "job 3"});
  CHECK(run.host.wakes == 0);
}

TEST_CASE("coroutines that make each other's conditions true for long give way, and go on by a wake") {
  turns = 0;
  Run<plays_ping_pong> run;
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(turns < 1000);
  CHECK(run.host.wakes == 1);
  std::int32_t status = TASKHOST_PENDING;
  for (int polls = 0; status == TASKHOST_PENDING && polls < 1000; ++polls) status = run.poll();
  CHECK(status == TASKHOST_OK);
  CHECK(turns >= 1000);
}

TEST_CASE("temporaries in a co_await live until it is over, and are destroyed once") {
  for (int polls = 1; polls < 12; ++polls) {
    Run<keeps_temporaries> run;
    for (int turn = 0; turn < polls; ++turn) REQUIRE(run.poll() == TASKHOST_PENDING);
    if (polls > 9) CHECK(run.host.log == Lines{"100 1"});
    run.host.drop();
    CHECK(Tracker::live == 0);
  }
}

namespace {

int descriptor = -1;

std::string read_from(int source) {
  char bytes[64];
  const ssize_t size = ::read(source, bytes, sizeof bytes);
  return {bytes, size > 0 ? static_cast<std::size_t>(size) : 0};
}

sdk::Task reads_thrice(sdk::Context context) {
  for (int turn = 0; turn < 3; ++turn) {
    co_await sdk::readable(descriptor);
    context.info(read_from(descriptor));
  }
}

}  // namespace

TEST_CASE("a task waits until its descriptor is readable, which the host watches from then on") {
  Pair pair;
  descriptor = pair.theirs();
  Run<reads_thrice> run;
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.descriptors == std::map<int, std::uint32_t>{{descriptor, TASKHOST_READABLE}});
  CHECK(run.poll() == TASKHOST_PENDING);  // a spurious wake
  CHECK(run.host.descriptors.size() == 1);
  pair.write("one");
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.log == Lines{"one"});
  CHECK(run.host.descriptors.size() == 1);
  pair.write("two");
  CHECK(run.poll() == TASKHOST_PENDING);
  pair.close_ours();
  CHECK(run.poll() == TASKHOST_OK);  // the end is readable, too
  CHECK(run.host.log == Lines{"one", "two", ""});
}

namespace {

sdk::Task forgets(sdk::Context) {
  co_await sdk::when_any(sdk::readable(descriptor), sdk::sleep(1s));
  co_await sdk::sleep(1s);
}
sdk::Async<> tells(sdk::Context context, bool write) {
  if (write) {
    co_await sdk::writable(descriptor);
  } else {
    co_await sdk::readable(descriptor);
  }
  context.info(write ? "writable" : "readable");
}
sdk::Task waits_both_ways(sdk::Context context) {
  co_await sdk::when_all(tells(context, false), tells(context, true), tells(context, false));
}

}  // namespace

TEST_CASE("a wait that is cancelled is forgotten by the host, but not in the drop") {
  Pair pair;
  descriptor = pair.theirs();
  Run<forgets> run;
  run.poll();
  CHECK(run.host.descriptors.size() == 1);
  CHECK(run.poll_at_timer() == TASKHOST_PENDING);
  CHECK(run.host.descriptors.empty());
  Run<forgets> dropped;
  dropped.poll();
  dropped.host.drop();
  CHECK(dropped.host.descriptors.size() == 1);  // the host then forgets it by itself (rule 4.2)
}

TEST_CASE("waits for one descriptor do not disturb each other") {
  Pair pair;
  pair.fill_theirs();
  descriptor = pair.theirs();
  Run<waits_both_ways> run;
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.descriptors[descriptor] == (TASKHOST_READABLE | TASKHOST_WRITABLE));
  pair.write("x");
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.log == Lines{"readable", "readable"});
  CHECK(run.host.descriptors[descriptor] == TASKHOST_WRITABLE);
  pair.empty_ours();
  CHECK(run.poll() == TASKHOST_OK);
  CHECK(run.host.log.back() == "writable");
  CHECK(run.host.descriptors.empty());
}

namespace {

sdk::Async<> tries(sdk::Context context, int wanted) {
  try {
    co_await sdk::readable(wanted);
  } catch (const sdk::Failure& failure) {
    context.info(failure.what());
  }
}
sdk::Task waits_for_what_cant_be(sdk::Context context) {
  co_await tries(context, descriptor);
  co_await tries(context, 1000000);
  co_await sdk::readable(1000001);
}
sdk::Task waits_for_a_file() {
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  co_await sdk::readable(file);
  ::close(file);
}
sdk::Task waits_for_many(sdk::Context context) {
  std::array<Pair, 65> pairs;
  std::vector<sdk::Async<>> waits;
  waits.reserve(pairs.size());
  for (const Pair& pair : pairs) waits.push_back(tries(context, pair.theirs()));
  pairs[63].write("x");
  co_await sdk::when_any(sdk::when_all(std::move(waits)), sdk::sleep(1s));
}

}  // namespace

TEST_CASE("what can't be waited for is a Failure, and a file is always ready") {
  Pair pair;
  descriptor = pair.theirs();
  Run<waits_for_what_cant_be> run;
  run.host.descriptor_status = TASKHOST_REFUSED_DESCRIPTORS;
  CHECK(run.poll() == TASKHOST_ERROR);
  CHECK_THAT(run.host.log[0], contains_text("the process has no descriptor left"));
  CHECK(run.host.log[1] == "can't wait for descriptor 1000000: it is not open");
  CHECK(run.host.message == "can't wait for descriptor 1000001: it is not open");
  Run<waits_for_a_file> file;
  file.host.descriptor_status = TASKHOST_REFUSED_ALWAYS;
  CHECK(file.poll() == TASKHOST_OK);
}

TEST_CASE("a task waits for many descriptors at once") {
  Run<waits_for_many, 8192> run;
  run.poll();
  REQUIRE(run.host.log.empty());
  CHECK(run.host.descriptors.size() == 65);
  CHECK(run.poll_at_timer() == TASKHOST_OK);
  CHECK(run.host.descriptors.empty());
}

namespace {

sdk::Task asks(sdk::Context context) {
  const int answer = co_await sdk::offload([] { return 42; });
  context.info(std::to_string(answer));
}

std::shared_ptr<int> kept;  // by the work
sdk::Task holds(sdk::Context) {
  const auto work = [copy = kept] { ++*copy; };
  co_await sdk::offload(work);
}

void discard(const taskhost_work& work) { work.discard(work.argument); }

}  // namespace

TEST_CASE("offloaded work is waited for, and what it returns is the wait's result") {
  Run<asks> run;
  CHECK(run.poll() == TASKHOST_PENDING);
  REQUIRE(run.host.works.size() == 1);
  const taskhost_work work = run.host.works[0];
  work.run(work.argument);
  run.host.ready.push_back({work.tag, TASKHOST_DONE, 0});
  CHECK(run.poll() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"42"});
}

TEST_CASE("work whose execution is dropped is released once, whether the drop or the discard comes first") {
  for (const bool discarded_first : {false, true}) {
    for (const bool was_run : {false, true}) {
      kept = std::make_shared<int>(0);
      Run<holds> run;
      CHECK(run.poll() == TASKHOST_PENDING);
      REQUIRE(run.host.works.size() == 1);
      const taskhost_work work = run.host.works[0];
      if (was_run) work.run(work.argument);
      if (discarded_first) discard(work);
      run.host.drop();
      CHECK(kept.use_count() == (discarded_first ? 1 : 2));
      if (!discarded_first) discard(work);
      CHECK(kept.use_count() == 1);
      CHECK(*kept == (was_run ? 1 : 0));
    }
  }
}
