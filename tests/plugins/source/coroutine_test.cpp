// Coroutines as tasks, with a fake host: how they end, what they wait for, what they allocate.
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "coroutine_run.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"

using taskhost::test::contains_text;

namespace {

namespace sdk = taskhost::sdk;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

sdk::Task does_nothing() { co_return; }
sdk::Task falls_off(sdk::Context context) {
  co_await sdk::yield();
  context.info("here");
}
sdk::Task says_once(sdk::Context context) {
  context.info("body");
  co_return;
}
sdk::Task waits_for_ever() {
  const Tracker tracker;
  co_await sdk::sleep_until(sdk::never);
}

struct Blocking {
  void run() {}
};

}  // namespace

TASKHOST_SDK_PLUGIN(sdk::coroutine<does_nothing>("nothing"), sdk::factory<Blocking>("blocking"),
                    sdk::coroutine<says_once, 256>("says"));

TEST_CASE("coroutines and classes stand side by side in a plugin") {
  const taskhost_factory* first = taskhost_plugin_v1();
  CHECK(std::string(first->name) == "nothing");
  CHECK(std::string(first->next->name) == "blocking");
  CHECK(std::string(first->next->next->name) == "says");
  CHECK(first->next->next->next == nullptr);
}

TEST_CASE("a coroutine describes itself as a factory does") {
  constexpr taskhost_factory factory = sdk::coroutine<says_once>("says", "1.0", "text");
  CHECK(factory.struct_size == sizeof(taskhost_factory));
  CHECK(std::string(factory.name) == "says");
  CHECK(std::string(factory.version) == "1.0");
  CHECK(std::string(factory.description) == "text");
  CHECK(factory.state_size >= 1024);
  CHECK(factory.run == nullptr);
}

TEST_CASE("nothing of the body runs in start, and all of it in the first poll") {
  Run<says_once> run;
  REQUIRE(run.status == TASKHOST_OK);
  CHECK(run.host.log.empty());
  CHECK(run.poll() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"body"});
}

TEST_CASE("a coroutine needs no context, and no co_return") {
  Run<does_nothing> nothing;
  CHECK(nothing.poll() == TASKHOST_OK);
  Run<falls_off> falls;
  CHECK(falls.poll() == TASKHOST_PENDING);
  CHECK(falls.host.wakes == 1);
  CHECK(falls.poll() == TASKHOST_OK);
  CHECK(falls.host.log == Lines{"here"});
}

TEST_CASE("an execution that was never polled is dropped without running") {
  Run<says_once> run;
  run.host.drop();
  CHECK(run.host.log.empty());
}

TEST_CASE("a stop before the first poll means that nothing runs") {
  Run<says_once> run;
  CHECK(run.stop() == TASKHOST_OK);
  CHECK(run.host.log.empty());
}

namespace {

sdk::Async<> throws_runtime_error(bool after_wait) {
  const Tracker tracker;
  if (after_wait) co_await sdk::sleep(1s);
  throw std::runtime_error("from below");
}
sdk::Task throws_at_once() {
  const Tracker tracker;
  throw std::runtime_error("at once");
  co_return;
}
sdk::Task throws_later() {
  const Tracker tracker;
  co_await sdk::sleep(1s);
  throw std::runtime_error("later");
}
sdk::Task throws_an_int() {
  co_await sdk::yield();
  throw 5;
}
sdk::Task throws_below() {
  const Tracker tracker;
  co_await throws_runtime_error(true);
}
sdk::Task gives_up() {
  const Tracker tracker;
  co_await sdk::yield();
  throw sdk::Failure("gave up");
}
sdk::Task fails() {
  const Tracker tracker;
  co_await sdk::failed("failed");
  throw std::runtime_error("not reached");
}
sdk::Task fails_through_the_context(sdk::Context context) { co_await context.fail("told"); }
sdk::Async<int> fails_in_an_async() {
  const Tracker tracker;
  co_await sdk::yield();
  co_await sdk::failed("deep");
  co_return 5;
}
sdk::Task fails_below(sdk::Context context) {
  const Tracker tracker;
  try {
    const int five = co_await fails_in_an_async();
    context.info(std::to_string(five));
  } catch (...) {
    context.info("caught");
  }
}
sdk::Task catches(sdk::Context context) {
  std::string text;
  try {
    co_await throws_runtime_error(false);
  } catch (const std::exception& exception) {
    text = exception.what();
  }
  co_await sdk::sleep(1s);  // not possible within the handler
  context.info(text);
}

struct End {
  const taskhost_factory* factory;
  std::int32_t status;
  const char* message;
};

}  // namespace

TEST_CASE("an end reaches the host, and what was made is destroyed once, with the drop") {
  for (const End& end :
       {End{&Run<throws_at_once>::factory, TASKHOST_PANIC, "at once"},
        End{&Run<throws_later>::factory, TASKHOST_PANIC, "later"},
        End{&Run<throws_an_int>::factory, TASKHOST_PANIC, "an exception that is not a std::exception"},
        End{&Run<throws_below>::factory, TASKHOST_PANIC, "from below"},
        End{&Run<gives_up>::factory, TASKHOST_ERROR, "gave up"}, End{&Run<fails>::factory, TASKHOST_ERROR, "failed"},
        End{&Run<fails_through_the_context>::factory, TASKHOST_ERROR, "told"},
        End{&Run<fails_below>::factory, TASKHOST_ERROR, "deep"}, End{&Run<catches>::factory, TASKHOST_OK, ""}}) {
    CAPTURE(end.message);
    FakeHost host;
    REQUIRE(host.start(*end.factory) == TASKHOST_OK);
    std::int32_t status = host.poll();
    for (int turn = 0; turn < 5 && status == TASKHOST_PENDING; ++turn) {
      host.time += TASKHOST_SECOND;
      status = host.poll();
    }
    CHECK(status == end.status);
    CHECK(host.message == end.message);
    host.drop();
    CHECK(Tracker::live == 0);
    CHECK(host.log == (end.status == TASKHOST_OK ? Lines{"from below"} : Lines{}));
  }
}

namespace {

// A plain function may prepare what the coroutine needs; it runs as a part of the start.
sdk::Task prepared(sdk::Context context, std::unique_ptr<std::string> text) {
  context.info(*text);
  co_await sdk::sleep(1s);
  context.info(*text);
}
sdk::Task prepares(sdk::Context context) {
  if (context.config() == "refuse") throw sdk::Failure("refused");
  return prepared(context, std::make_unique<std::string>("given"));
}

}  // namespace

TEST_CASE("what a function does before it calls the coroutine belongs to the start") {
  FakeHost host;
  host.config = "refuse";
  CHECK(host.start(Run<prepares>::factory) == TASKHOST_ERROR);
  CHECK(host.message == "refused");
  host.config = "{}";
  REQUIRE(host.start(Run<prepares>::factory) == TASKHOST_OK);
  CHECK(host.poll() == TASKHOST_PENDING);
  host.time += TASKHOST_SECOND;
  CHECK(host.poll() == TASKHOST_OK);
  CHECK(host.log == Lines{"given", "given"});
}

namespace {

sdk::Task sleeps(sdk::Context context) {
  for (int count = 0; count < 3; ++count) {
    co_await sdk::sleep(100ms);
    context.info("slept");
  }
  co_await sdk::sleep_until(context.now() + 2s);
  co_await sdk::sleep(-5s);
  co_await sdk::sleep_until(sdk::Time());
}

}  // namespace

TEST_CASE("a sleep is never early, and a wake for nothing does not set the timer again") {
  Run<sleeps> run;
  const std::uint64_t start = run.host.time;
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.wake_time == start + 100 * TASKHOST_MILLISECOND);
  run.host.time += 99 * TASKHOST_MILLISECOND;
  run.host.wake_time = 1;
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.wake_time == 1);
  CHECK(run.host.log.empty());
  run.host.time = start + 100 * TASKHOST_MILLISECOND;
  for (int turn = 0; turn < 3; ++turn) CHECK(run.poll_at_timer() == TASKHOST_PENDING);
  CHECK(run.host.log.size() == 3);
  CHECK(run.host.wake_time == start + 2300 * TASKHOST_MILLISECOND);
  CHECK(run.poll_at_timer() == TASKHOST_PENDING);  // what is due at once first lets other tasks have their turn
  CHECK(run.poll_at_timer() == TASKHOST_PENDING);
  CHECK(run.poll_at_timer() == TASKHOST_OK);
}

TEST_CASE("what never comes sets no timer") {
  Run<waits_for_ever> run;
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.wake_time == TASKHOST_NEVER);
  CHECK(run.poll() == TASKHOST_PENDING);
}

TEST_CASE("a task that never asked about the stop is dropped at its co_await") {
  Run<waits_for_ever> run;
  run.poll();
  CHECK(Tracker::live == 1);
  CHECK(run.stop() == TASKHOST_OK);
  CHECK(Tracker::live == 1);  // dropping it is up to the host
  run.host.drop();
  CHECK(Tracker::live == 0);
}

namespace {

sdk::Task ends_itself(sdk::Context context) {
  co_await sdk::stopped();
  context.info("asked");
  co_await sdk::sleep(1s);
  co_await sdk::stopped();  // returns at once by now
  context.info("done");
}
sdk::Task asks_each_time(sdk::Context context) {
  while (!context.stop_requested()) co_await sdk::sleep(1s);
  context.info("saw it");
}
sdk::Async<> asks_below(sdk::Context context) {
  if (context.stop_requested()) context.info("early");
  co_await sdk::sleep(1s);
}
sdk::Task asks_once_below(sdk::Context context) {
  co_await asks_below(context);
  co_await sdk::sleep(1s);
  context.info("end");
}

}  // namespace

TEST_CASE("a task that has asked about the stop ends by itself") {
  Run<ends_itself> run;
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.stop() == TASKHOST_PENDING);
  CHECK(run.host.log == Lines{"asked"});
  CHECK(run.poll_at_timer() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"asked", "done"});
}

TEST_CASE("asking through the context counts, also in a function below") {
  Run<asks_each_time> each;
  CHECK(each.poll() == TASKHOST_PENDING);
  CHECK(each.stop() == TASKHOST_PENDING);  // it sleeps on, and notices the stop afterwards
  CHECK(each.poll_at_timer() == TASKHOST_OK);
  CHECK(each.host.log == Lines{"saw it"});

  Run<asks_once_below> below;
  below.poll();
  CHECK(below.stop() == TASKHOST_PENDING);
  CHECK(below.poll_at_timer() == TASKHOST_PENDING);
  CHECK(below.poll_at_timer() == TASKHOST_OK);
  CHECK(below.host.log == Lines{"end"});
}

namespace {

int flag = 0;

sdk::Task waits_for_wakes(sdk::Context context) {
  while (flag < 2) co_await sdk::woken();
  context.info("two");
  co_await sdk::until([] { return flag > 2; });
  context.info("three");
  co_await sdk::until([] { return true; });
  try {
    co_await sdk::until([]() -> bool { return flag > 3 ? throw std::runtime_error("condition") : false; });
  } catch (const std::runtime_error& error) {
    context.info(error.what());
  }
}

}  // namespace

TEST_CASE("a wake from outside resumes a task, and one for nothing is tolerated") {
  flag = 0;
  Run<waits_for_wakes> run;
  CHECK(run.poll() == TASKHOST_PENDING);
  for (flag = 1; flag < 4; ++flag) {
    CHECK(run.poll() == TASKHOST_PENDING);
    CHECK(run.poll() == TASKHOST_PENDING);
    CHECK(run.host.log.size() == static_cast<std::size_t>(flag - 1));
  }
  CHECK(run.poll() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"two", "three", "condition"});
  CHECK(run.host.wakes == 0);
}

namespace {

sdk::Async<std::string> text_of(Tracker, int number) {
  co_await sdk::sleep(1s);
  co_return "text " + std::to_string(number);
}
sdk::Async<std::unique_ptr<int>> at_once(int number) { co_return std::make_unique<int>(number); }
sdk::Task composed(sdk::Context context) {
  int sum = 0;
  for (int number = 0; number < 20000; ++number) sum += *co_await at_once(1);  // without using up the stack
  context.info(std::to_string(sum));
  context.info(co_await text_of(Tracker(), sum));
  sdk::Async<std::string> kept = text_of(Tracker(), 2);
  context.info(co_await kept);
  kept = text_of(Tracker(), 3);
  context.info(co_await std::move(kept));
  try {
    co_await kept;
  } catch (const std::logic_error& error) {
    context.info(error.what());
  }
}

}  // namespace

TEST_CASE("a task awaits others, which may end at once as often as they like") {
  Run<composed> run;
  run.poll();
  CHECK(run.host.log == Lines{"20000"});
  for (int turn = 0; turn < 3; ++turn) run.poll_at_timer();
  CHECK(run.status == TASKHOST_OK);
  CHECK(run.host.log == Lines{"20000", "text 20000", "text 2", "text 3", "an Async is awaited once"});
  run.host.drop();
  CHECK(Tracker::live == 0);
}

TEST_CASE("an execution is destroyed once wherever it is dropped") {
  for (int polls = 0; polls < 5; ++polls) {
    Run<composed> run;
    for (int turn = 0; turn < polls; ++turn) run.poll_at_timer();
    run.host.drop();
    CHECK(Tracker::live == 0);
  }
}

namespace {

// Bodies without variables, with a co_await in a condition: g++ 12 gives these frames another layout.
sdk::Async<int> five() {
  if (co_await sdk::with_timeout(1s, sdk::yield())) co_return 5;
  co_return 6;
}
sdk::Task bare_while(sdk::Context context) {
  while (co_await five() == 5) {
    context.info("again");
    co_await sdk::sleep(1s);
  }
}
sdk::Task bare_if(sdk::Context context) {
  if (co_await five() == 5 && co_await five() == 5) {
    if (co_await sdk::with_timeout(1s, sdk::sleep_until(sdk::never))) context.info("not in time");
    if (co_await five() == 6) context.info("not six");
    if (co_await five() == 6) context.info("not six");
    switch (co_await five()) {
      case 5:
        context.info("five");
        break;
      default:
        context.info("not five");
    }
  }
}
sdk::Task bare_throw() {
  if (co_await five() == 5) throw std::runtime_error("bare");
}

}  // namespace

TEST_CASE("a body may be nothing but a condition that waits") {
  Run<bare_if> bare;
  CHECK(bare.finish() == TASKHOST_OK);
  CHECK(bare.host.log == Lines{"five"});
  Run<bare_throw> throws;
  CHECK(throws.finish() == TASKHOST_PANIC);
  CHECK(throws.host.message == "bare");
  for (int polls = 0; polls < 6; ++polls) {
    Run<bare_while> dropped;
    for (int turn = 0; turn < polls; ++turn) CHECK(dropped.poll_at_timer() == TASKHOST_PENDING);
    CHECK(dropped.host.log.size() == static_cast<std::size_t>(polls / 2));
    CHECK(dropped.stop() == TASKHOST_OK);
  }
}

namespace {

sdk::Async<> waits_on(sdk::Context context, sdk::Async<std::string>& other) { context.info(co_await other); }
sdk::Task outlived(sdk::Context context) {
  auto nap = sdk::sleep(2s);
  auto kept = text_of(Tracker(), 1);
  co_await sdk::with_timeout(500ms, waits_on(context, kept));
  context.info(std::to_string(Tracker::live));
  const auto naps = [&nap]() -> sdk::Async<> { co_await nap; };
  co_await sdk::with_timeout(1s, naps());
  co_await sdk::sleep(5s);
  co_await nap;
  context.info("slept");
  co_await kept;
}

}  // namespace

TEST_CASE("a wait that outlives the coroutine which awaited it is cancelled with that") {
  Run<outlived> run;
  CHECK(run.finish() == TASKHOST_PANIC);
  CHECK(run.host.log == Lines{"0", "slept"});
  CHECK(run.host.message == "an Async is awaited once");
}

namespace {

sdk::Task polls_often() {
  co_await sdk::sleep(1s);
  for (int turn = 0; turn < 100; ++turn) {
    co_await sdk::when_any(sdk::sleep(1s), sdk::stopped(), sdk::woken());
    co_await sdk::when_all(sdk::sleep(1s), sdk::yield(), sdk::until([turn] { return turn >= 0; }));
    co_await sdk::with_timeout(1s, sdk::sleep_until(sdk::never));
  }
  co_await sdk::sleep_until(sdk::never);
}

template <class Running>
int allocations_of_an_execution() {
  FakeHost host;
  host.log.reserve(1);
  allocations = 0;
  host.start(Running::factory);
  host.poll();
  for (int turn = 0; turn < 1000; ++turn) {
    host.time += TASKHOST_SECOND;
    host.poll();
  }
  host.drop();
  return allocations;
}

}  // namespace

TEST_CASE("an execution allocates its frame at most, and not even that where it fits into the host's memory") {
  CHECK(allocations_of_an_execution<Run<polls_often, 16384>>() == 0);
  CHECK(allocations_of_an_execution<Run<polls_often, 0>>() == 2);  // the frame, and the log line that reports it
}

TEST_CASE("a frame that does not fit is told at level trace, with its size") {
  Run<does_nothing, 0> run;
  CHECK(run.poll() == TASKHOST_OK);
  REQUIRE(run.host.log.size() == 1);
  CHECK_THAT(run.host.log[0], contains_text("0 are reserved"));
}

TEST_CASE("no memory for the frame is a start that fails") {
  FakeHost host;
  host.message.reserve(100);
  allocations_until_failure = 0;
  const std::int32_t status = host.start(Run<does_nothing, 0>::factory);
  allocations_until_failure = -1;
  CHECK(status == TASKHOST_ERROR);
  CHECK(host.message == "no memory for the coroutine");
}

namespace {

struct Throws {
  ~Throws() noexcept(false) { throw std::runtime_error("destructor"); }
};
sdk::Async<> destroyed_badly() {
  const Tracker tracker;
  const Throws throws;
  co_await sdk::sleep(1s);
}
sdk::Task destroyed_badly_below() {
  const Tracker tracker;
  const Throws throws;
  co_await destroyed_badly();
}
sdk::Task returns_badly() {
  const Throws throws;
  co_return;
}

}  // namespace

TEST_CASE("an exception in a destructor is logged at the drop, and the rest is destroyed all the same") {
  Run<destroyed_badly_below> run;
  run.poll();
  run.host.drop();
  CHECK(Tracker::live == 0);
  REQUIRE(run.host.log.size() == 4);
  CHECK(run.host.log[1] == "destructor");
  CHECK(run.host.message.empty());
  Run<returns_badly> returns;
  CHECK(returns.poll() == TASKHOST_PANIC);
  CHECK(returns.host.message == "destructor");
}
