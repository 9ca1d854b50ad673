// Where taskhost differs from Erlang/OTP on purpose: each difference in README.md, with what both do. If one of them
// disappears, its test fails.
#include "otp_side.hpp"
#include "support/catch.hpp"
#include "taskhost_side.hpp"

namespace taskhost::test {

namespace {

constexpr std::size_t a = 0;
constexpr std::size_t b = 1;
constexpr std::size_t c = 2;
constexpr Child permanent{Restart::permanent, Ending::orderly};
constexpr Child transient{Restart::transient, Ending::orderly};
constexpr Child temporary{Restart::temporary, Ending::orderly};
constexpr auto stop = Operation::stop;
constexpr auto start = Operation::start;
constexpr auto restart = Operation::restart;

using Names = std::vector<std::string>;

Setup with(std::vector<Child> children) {
  Setup setup;
  setup.children = std::move(children);
  return setup;
}

Setup group(Strategy strategy, std::vector<Child> children) {
  Setup setup = with(std::move(children));
  setup.strategy = strategy;
  setup.grouped = true;
  return setup;
}

// Both sides, with all of their children started.
struct Both {
  explicit Both(const Setup& setup) : opened(otp.open(setup)), taskhost(setup) {
    REQUIRE(opened == "up");
    const Events started = otp.settle().events;
    REQUIRE(taskhost.settle_with(setup.children.size()).events == started);
  }

  Settled taskhost_ends() {
    return taskhost.settle([](const Settled& settled) { return !settled.up; });
  }

  OtpSide otp;
  std::string opened;
  TaskhostSide taskhost;
};

}  // namespace

TEST_CASE("the budget is a task's own; OTP's is everybody's") {
  Setup setup = with({permanent, permanent});
  setup.intensity = 1;
  Both both(setup);

  both.otp.exit(a, Reason::crash);
  CHECK(both.otp.settle().up);
  both.otp.exit(b, Reason::crash);
  CHECK(both.otp.settle().reason == "shutdown");

  both.taskhost.exit(a, Reason::crash);
  CHECK(both.taskhost.settle_with(2).up);
  both.taskhost.exit(b, Reason::crash);
  CHECK(both.taskhost.settle_with(2).live == Names{"a", "b"});
  both.taskhost.exit(a, Reason::crash);
  CHECK(both.taskhost_ends().reason == "budget_exhausted 1");
}

TEST_CASE("giving up is the task's by its type, if nothing else is said; OTP's supervisor gives up as a whole") {
  Setup setup = with({transient, permanent});
  setup.intensity = 0;
  setup.by_the_table = true;
  Both both(setup);

  both.otp.exit(a, Reason::crash);
  CHECK(both.otp.settle().events == Events{"exit:a", "ask:b", "end:b"});

  both.taskhost.exit(a, Reason::crash);
  const Settled settled = both.taskhost.settle_with(1);
  CHECK(settled.events == Events{"exit:a"});
  CHECK(settled.live == Names{"b"});
  CHECK(both.taskhost.has_told("task_discarded:a budget_exhausted"));
}

TEST_CASE("a detachable member that gives up takes along those of its group; OTP's supervisor ends") {
  Setup setup = group(Strategy::rest_for_one, {permanent, transient, transient});
  setup.intensity = 0;
  setup.by_the_table = true;
  Both both(setup);

  both.otp.exit(b, Reason::crash);
  CHECK(both.otp.settle().events == Events{"exit:b", "ask:c", "end:c", "ask:a", "end:a"});

  both.taskhost.exit(b, Reason::crash);
  const Settled settled = both.taskhost.settle_with(3);
  CHECK(settled.events == Events{"exit:b", "ask:c", "end:c"});
  CHECK(settled.live == Names{"a"});
  CHECK(both.taskhost.has_told("task_discarded:c group"));
}

TEST_CASE("a task waits for one in its `after` that an operator stopped; OTP's children know of no others") {
  Setup setup = with({permanent, permanent});
  setup.ordered = true;
  Both both(setup);

  CHECK(both.otp.terminate_child(a) == "ok");
  both.otp.exit(b, Reason::crash);
  CHECK(both.otp.settle().events == Events{"ask:a", "end:a", "exit:b", "start:b"});

  both.taskhost.operate(a, stop);
  both.taskhost.settle_with(2);
  both.taskhost.exit(b, Reason::crash);
  const Settled waiting = both.taskhost.settle_with(1);
  CHECK(waiting.events == Events{"exit:b"});
  CHECK(waiting.up);
  CHECK(waiting.live.empty());
  both.taskhost.operate(a, start);
  CHECK(both.taskhost.settle_with(2).events == Events{"start:a", "start:b"});
}

TEST_CASE("a task is skipped once one in its `after` has ended badly; OTP's children know of no others") {
  Setup setup = with({temporary, permanent});
  setup.ordered = true;
  Both both(setup);

  both.otp.exit(a, Reason::crash);
  both.otp.exit(b, Reason::crash);
  const Settled otp = both.otp.settle();
  CHECK(otp.events == Events{"exit:a", "exit:b", "start:b"});
  CHECK(otp.live == Names{"b"});

  both.taskhost.exit(a, Reason::crash);
  CHECK(both.taskhost.settle_with(1).live == Names{"b"});
  both.taskhost.exit(b, Reason::crash);
  const Settled taskhost = both.taskhost_ends();
  CHECK(taskhost.events == Events{"exit:b"});
  CHECK(taskhost.reason == "skipped 1");
}

TEST_CASE("without `after` all are asked to end at once; OTP's list is an order") {
  Both both(with({permanent, Child{Restart::permanent, Ending::held}}));

  both.otp.stop();
  both.otp.await("ask:b");
  both.otp.release(b);
  CHECK(both.otp.settle().events == Events{"ask:b", "end:b", "ask:a", "end:a"});

  both.taskhost.stop();
  CHECK(both.taskhost.await("end:a"));
  const Settled asked = both.taskhost.settle_with(3);
  CHECK(asked.up);
  CHECK(asked.live == Names{"b"});
  both.taskhost.release(b);
  const Settled ended = both.taskhost_ends();
  CHECK(ended.events == Events{"end:b"});
  CHECK(ended.reason == "request 0");
}

TEST_CASE("a group that starts again leaves alone who was stopped or is over; OTP starts all of its children") {
  Both both(group(Strategy::one_for_all, {permanent, transient, permanent}));

  both.otp.exit(b, Reason::normal);
  CHECK(both.otp.settle().live == Names{"a", "c"});
  CHECK(both.otp.terminate_child(c) == "ok");
  CHECK(both.otp.settle().live == Names{"a"});
  both.otp.exit(a, Reason::crash);
  CHECK(both.otp.settle().events == Events{"exit:a", "start:a", "start:b", "start:c"});

  both.taskhost.exit(b, Reason::normal);
  both.taskhost.operate(c, stop);
  CHECK(both.taskhost.settle_with(3).live == Names{"a"});
  both.taskhost.exit(a, Reason::crash);
  const Settled settled = both.taskhost.settle_with(2);
  CHECK(settled.events == Events{"exit:a", "start:a"});
  CHECK(settled.live == Names{"a"});
}

TEST_CASE("a group starts again with all that lived in it; OTP forgets its temporary children then") {
  Both both(group(Strategy::one_for_all, {permanent, temporary}));

  both.otp.exit(a, Reason::crash);
  CHECK(both.otp.settle().events == Events{"exit:a", "ask:b", "end:b", "start:a"});
  CHECK(both.otp.restart_child(b) == "not_found");

  both.taskhost.exit(a, Reason::crash);
  const Settled settled = both.taskhost.settle_with(5);
  CHECK(settled.events == Events{"exit:a", "ask:b", "end:b", "start:a", "start:b"});
  CHECK(settled.live == Names{"a", "b"});
}

TEST_CASE("restarts of a group that meet are one; OTP makes them one after the other") {
  Both both(group(Strategy::rest_for_one, {permanent, permanent, Child{Restart::permanent, Ending::held}}));

  both.otp.exit(b, Reason::crash);
  both.otp.await("ask:c");
  both.otp.exit(a, Reason::crash);
  both.otp.release(c);
  both.otp.await("start:c");
  both.otp.release(c);                                                                                  // the next one
  CHECK(both.otp.settle().events == Events{"exit:b", "ask:c", "exit:a", "end:c", "start:b", "start:c",  //
                                           "ask:c", "end:c", "ask:b", "end:b", "start:a", "start:b", "start:c"});

  both.taskhost.exit(b, Reason::crash);
  REQUIRE(both.taskhost.await("ask:c"));
  both.taskhost.exit(a, Reason::crash);
  REQUIRE(both.taskhost.await("exit:a"));
  both.taskhost.release(c);
  CHECK(both.taskhost.settle_with(7).events ==
        Events{"exit:b", "ask:c", "exit:a", "end:c", "start:a", "start:b", "start:c"});
}

TEST_CASE("an operator can start any task; OTP forgets a temporary child that has ended") {
  Both both(with({permanent, temporary}));

  both.otp.exit(b, Reason::normal);
  both.otp.settle();
  CHECK(both.otp.restart_child(b) == "not_found");
  CHECK(both.otp.settle().live == Names{"a"});

  both.taskhost.exit(b, Reason::normal);
  both.taskhost.settle_with(1);
  both.taskhost.operate(b, start);
  CHECK(both.taskhost.settle_with(1).live == Names{"a", "b"});
}

TEST_CASE("an operator's start gives the budget back; in OTP the restarts before it still count") {
  Setup setup = with({permanent, permanent});
  setup.intensity = 1;
  setup.windowed = true;
  Both both(setup);

  both.otp.exit(a, Reason::crash);
  both.otp.settle();
  CHECK(both.otp.terminate_child(a) == "ok");
  CHECK(both.otp.restart_child(a) == "ok");
  both.otp.exit(a, Reason::crash);
  CHECK_FALSE(both.otp.settle().up);

  both.taskhost.exit(a, Reason::crash);
  both.taskhost.settle_with(2);
  both.taskhost.operate(a, stop);
  both.taskhost.settle_with(2);
  both.taskhost.operate(a, start);
  both.taskhost.settle_with(1);
  both.taskhost.exit(a, Reason::crash);
  CHECK(both.taskhost.settle_with(2).live == Names{"a", "b"});
  both.taskhost.operate(a, restart);  // it is live, so nothing is reset
  both.taskhost.settle_with(3);
  both.taskhost.exit(a, Reason::crash);
  CHECK(both.taskhost_ends().reason == "budget_exhausted 1");
}

TEST_CASE("a start that fails at an operator's order is an exit like any other; OTP tells the caller, and no more") {
  Both both(with({permanent, permanent}));

  CHECK(both.otp.terminate_child(b) == "ok");
  both.otp.fail(b, 1);
  CHECK(both.otp.restart_child(b) == "failed");
  CHECK(both.otp.settle().live == Names{"a"});

  both.taskhost.operate(b, stop);
  both.taskhost.settle_with(2);
  both.taskhost.fail(b, 1);
  both.taskhost.operate(b, start);
  const Settled settled = both.taskhost.settle_with(2);
  CHECK(settled.events == Events{"failed:b", "start:b"});
  CHECK(settled.live == Names{"a", "b"});
}

TEST_CASE("a first start that fails is an exit like any other; OTP's supervisor does not come up") {
  const Setup setup = with({permanent, permanent, permanent});

  OtpSide otp;
  otp.fail(b, 1);
  CHECK(otp.open(setup).starts_with("failed {shutdown,{failed_to_start_child,"));
  CHECK(otp.settle().events == Events{"start:a", "failed:b", "ask:a", "end:a"});

  TaskhostSide taskhost(setup, b, 1);
  const Settled settled = taskhost.settle_with(4);
  CHECK(settled.up);
  CHECK(settled.live == Names{"a", "b", "c"});
}

TEST_CASE("the host ends when nothing is left that could go on; OTP's supervisor waits for children to come") {
  Both both(with({transient}));

  both.otp.exit(a, Reason::normal);
  const Settled otp = both.otp.settle();
  CHECK(otp.up);
  CHECK(otp.live.empty());

  both.taskhost.exit(a, Reason::normal);
  CHECK(both.taskhost_ends().reason == "all_done 0");
}

TEST_CASE("a blocking task that does not stop is abandoned, and never started again; OTP kills any child") {
  Both both(with({permanent, Child{Restart::permanent, Ending::stuck}}));

  CHECK(both.otp.terminate_child(b) == "ok");
  CHECK(both.otp.restart_child(b) == "ok");
  CHECK(both.otp.settle().events == Events{"ask:b", "end:b", "start:b"});

  both.taskhost.operate(b, restart);
  const Settled settled = both.taskhost_ends();
  CHECK(settled.events == Events{"ask:b", "abandoned:b", "ask:a", "end:a"});
  CHECK(settled.reason == "not_stopped 4");
}

}  // namespace taskhost::test
