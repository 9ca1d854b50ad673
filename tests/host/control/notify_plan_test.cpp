// What a service manager is told, and when.
#include "control/notify_plan.hpp"

#include <string>

#include "support/catch.hpp"

using namespace taskhost;
using namespace std::chrono_literals;

namespace {

constexpr NotifyPlan::Facts well(const char* line = "1 task runs") {
  return {.is_live = true,
          .has_control = true,
          .is_ready = true,
          .is_stopping = false,
          .is_start_limited = false,
          .line = line};
}

// Time passes only here.
struct Plan {
  explicit Plan(std::chrono::microseconds watchdog = 0us, NotifyPlan::Duration limit = 1min)
      : plan(watchdog, limit, now) {}

  void pass(NotifyPlan::Duration time) { now += time; }
  std::string tell(NotifyPlan::Facts facts) {
    plan.note(std::move(facts), now);
    return sent();
  }
  std::string sent() {
    std::string message = plan.message(now);
    if (!message.empty()) plan.sent(now);
    return message;
  }
  NotifyPlan::Duration until_next_look() const { return plan.next_look() - now; }

  NotifyPlan::Time now{1h};
  NotifyPlan plan;
};

bool mentions(const std::string& message, const char* part) { return message.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a host at rest that has said everything is not looked at again") {
  Plan plan;
  CHECK(plan.tell(well()) == "READY=1\nSTATUS=1 task runs\n");
  CHECK(plan.plan.next_look() == NotifyPlan::Time::max());
  CHECK(plan.tell(well()).empty());
}

TEST_CASE("a line that changes is told at most once a second, and the last one always") {
  Plan plan;
  CHECK(plan.tell(well("a")) == "READY=1\nSTATUS=a\n");
  plan.pass(300ms);
  CHECK(plan.tell(well("b")).empty());
  CHECK(plan.until_next_look() == 700ms);
  plan.pass(300ms);
  CHECK(plan.tell(well("c")).empty());
  plan.pass(400ms);
  CHECK(plan.sent() == "STATUS=c\n");
  CHECK(plan.plan.next_look() == NotifyPlan::Time::max());
}

TEST_CASE("the longer nothing changes, the more seldom a busy host is looked at") {
  Plan plan;
  NotifyPlan::Facts unready = well();
  unready.is_ready = false;
  plan.tell(unready);
  CHECK(plan.plan.calm_until() == plan.now + 100ms);
  for (int i = 0; i < 10; ++i) plan.tell(unready);
  CHECK(plan.plan.calm_until() == plan.now + 1s);
  plan.tell(well());
  for (int i = 0; i < 10; ++i) plan.tell(well());
  CHECK(plan.plan.calm_until() == plan.now + 5s);
  plan.tell(well("something else"));
  CHECK(plan.plan.calm_until() == plan.now + 1s);
}

TEST_CASE("WATCHDOG=1 is due at half of its time, and only if the host is live") {
  Plan plan(10s);
  plan.tell(well());
  CHECK(plan.until_next_look() == 5s);
  plan.pass(4s);
  CHECK(plan.tell(well()).empty());
  plan.pass(1s);
  NotifyPlan::Facts stuck = well();
  stuck.is_live = false;
  CHECK(plan.tell(stuck).empty());
  CHECK(plan.until_next_look() == 1s);  // so that it is told as soon as it is live again
  plan.pass(1s);
  CHECK(plan.tell(well()) == "WATCHDOG=1\n");
  CHECK(plan.until_next_look() == 5s);
}

TEST_CASE("a watchdog time of next to nothing does not make the host spin") {
  Plan plan(1us);
  plan.tell(well());
  CHECK(plan.until_next_look() == 5ms);
}

TEST_CASE("a stop asks for time at once, then every five seconds, as long as it is within its limit") {
  Plan plan(0us, 12s);
  plan.tell(well());
  plan.pass(1s);
  plan.plan.begin_stop();
  CHECK(plan.sent() == "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000\n");
  NotifyPlan::Facts stopping = well("stopping");
  stopping.is_stopping = true;
  plan.tell(stopping);
  CHECK(plan.until_next_look() == 5s);
  for (int i = 0; i < 2; ++i) {
    plan.pass(5s);
    CHECK(plan.tell(stopping) == "EXTEND_TIMEOUT_USEC=20000000\n");
  }
  plan.pass(5s);
  CHECK(plan.tell(stopping).empty());
  CHECK(plan.plan.next_look() == NotifyPlan::Time::max());
}

TEST_CASE("a start asks for time every five seconds while the manifest limits it, and a stop asks anew") {
  Plan plan;
  NotifyPlan::Facts starting = well("starts");
  starting.is_ready = false;
  plan.tell(starting);
  CHECK(plan.plan.next_look() == NotifyPlan::Time::max());
  starting.is_start_limited = true;
  CHECK(plan.tell(starting) == "EXTEND_TIMEOUT_USEC=20000000\n");
  CHECK(plan.until_next_look() == 5s);
  plan.pass(5s);
  CHECK(plan.tell(starting) == "EXTEND_TIMEOUT_USEC=20000000\n");
  plan.pass(5s);
  NotifyPlan::Facts stuck = starting;
  stuck.is_live = false;
  CHECK(plan.tell(stuck).empty());
  CHECK(plan.tell(starting) == "EXTEND_TIMEOUT_USEC=20000000\n");
  SECTION("until it is ready") {
    CHECK(plan.tell(well("starts")) == "READY=1\n");
    CHECK(plan.plan.next_look() == NotifyPlan::Time::max());
  }
  SECTION("until it stops") {
    plan.plan.begin_stop();
    CHECK(plan.sent() == "EXTEND_TIMEOUT_USEC=20000000\n");
  }
}

TEST_CASE("a stop whose control thread is stuck asks for no more time, and one that stood still uses none up") {
  Plan plan(0us, 20s);
  NotifyPlan::Facts stopping = well("stopping");
  stopping.is_stopping = true;
  CHECK(mentions(plan.tell(stopping), "READY=1"));
  CHECK(mentions(plan.sent(), "STOPPING=1"));
  stopping.has_control = false;
  plan.pass(6s);
  CHECK(plan.tell(stopping).empty());
  stopping.has_control = true;
  plan.pass(1h);
  CHECK(mentions(plan.tell(stopping), "EXTEND_TIMEOUT_USEC="));
}

TEST_CASE("what a busy reader did not take comes again, the line in its latest form") {
  Plan plan;
  plan.plan.note(well("a"), plan.now);
  CHECK(mentions(plan.plan.message(plan.now), "READY=1"));
  plan.plan.refused(false, plan.now);
  CHECK(plan.plan.message(plan.now).empty());
  CHECK(plan.until_next_look() == 100ms);
  plan.pass(100ms);
  plan.plan.note(well("b"), plan.now);
  plan.plan.begin_stop();
  CHECK(plan.sent() == "READY=1\nEXTEND_TIMEOUT_USEC=20000000\nSTATUS=b\n");
  CHECK(plan.sent() == "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000\n");
  CHECK(plan.sent().empty());
}

TEST_CASE("a reader that is gone is tried less and less often, a busy one each second") {
  const bool is_gone = GENERATE(false, true);
  Plan plan;
  plan.plan.note(well(), plan.now);
  for (int i = 0; i < 40; ++i) {
    (void)plan.plan.message(plan.now);
    plan.plan.refused(is_gone, plan.now);
    plan.now = plan.plan.next_look();
  }
  (void)plan.plan.message(plan.now);
  plan.plan.refused(is_gone, plan.now);
  CHECK(plan.until_next_look() == (is_gone ? NotifyPlan::Duration(1h) : 1s));
}

TEST_CASE("the end is told whatever was told before, and READY=1 only of a host that had nothing left to do") {
  const bool ended_well = GENERATE(false, true);
  Plan plan(1s);
  plan.plan.end("stopped", ended_well);
  const std::string rest = "EXTEND_TIMEOUT_USEC=20000000\nWATCHDOG=1\nSTATUS=stopped\n";
  if (ended_well) {
    CHECK(plan.sent() == "READY=1\n" + rest);
    CHECK(plan.sent() == "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000\n");
  } else {
    CHECK(plan.sent() == "STOPPING=1\n" + rest);
  }
  CHECK(plan.sent().empty());
}

TEST_CASE(
    "a stop that begins before the host was ready asks for time, and says STOPPING=1 only when READY=1 is settled") {
  Plan plan;
  NotifyPlan::Facts stopping = well("stopping");
  stopping.is_ready = false;
  stopping.is_stopping = true;
  CHECK(plan.tell(stopping) == "EXTEND_TIMEOUT_USEC=20000000\nSTATUS=stopping\n");
  CHECK(plan.until_next_look() == 5s);
  plan.plan.end("stopped", true);
  CHECK(plan.sent() == "READY=1\nEXTEND_TIMEOUT_USEC=20000000\nSTATUS=stopped\n");
  CHECK(plan.sent() == "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000\n");
}

TEST_CASE("a host that is not live is looked at again, with or without a watchdog") {
  Plan plan;
  NotifyPlan::Facts stuck = well("does not answer");
  stuck.is_live = false;
  stuck.is_ready = false;
  CHECK(plan.tell(stuck) == "STATUS=does not answer\n");
  CHECK(plan.until_next_look() == 1s);
}
