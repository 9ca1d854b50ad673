// The simulated host of `taskhost verify`: time that jumps, wakes, and the checks of each call; and its comparison of
// executions under test with others that are left alone.
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "verify/comparison.hpp"
#include "verify/driven_execution.hpp"
#include "verify/ends.hpp"
#include "verify/process_state.hpp"
#include "verify/simulated_host.hpp"
#include "verify/state_block.hpp"

using taskhost::Status;
using namespace taskhost::verify;
using std::chrono::hours;
using std::chrono::milliseconds;

namespace {

// One for all tests, since wakers and the clock know only the first.
struct World {
  Progress progress;
  std::vector<Finding> findings;
  SimulatedHost host{progress,
                     {.config = R"({"every": "2s"})", .name = "simulated", .directory = "/"},
                     [this](const Finding& found) { findings.push_back(found); }};
};
World& world() {
  static World one;
  return one;
}

bool has_finding(const std::string& rule, const std::string& words) {
  for (const Finding& finding : world().findings) {
    if (finding.rule == rule && finding.text.find(words) != std::string::npos) return true;
  }
  return false;
}

const taskhost_services& services() { return simulated_services; }

taskhost_factory factory(std::int32_t (*poll)(void*, const taskhost_exec*)) {
  taskhost_factory made{};
  made.struct_size = sizeof made;
  made.name = "test";
  made.state_size = 24;
  made.poll = poll;
  return made;
}

}  // namespace

TEST_CASE("an hour's sleep on a timer is over at once, and the clock says that it was an hour") {
  const taskhost_factory sleeper = factory([](void*, const taskhost_exec* exec) -> std::int32_t {
    taskhost_wake_after(exec, 3600 * TASKHOST_SECOND);
    return TASKHOST_PENDING;
  });
  DrivenExecution execution(world().host, sleeper, 1);
  REQUIRE(execution.start() == Status::ok);
  REQUIRE(execution.poll() == Status::pending);
  const std::uint64_t before = services().now();
  CHECK((execution.rest(hours(1)) & by_timer) != 0);
  CHECK(services().now() - before >= 3590 * TASKHOST_SECOND);
}

TEST_CASE("a wake goes before a timer, merges with others, and is seen once") {
  const taskhost_factory waiting = factory([](void*, const taskhost_exec* exec) -> std::int32_t {
    taskhost_wake_after(exec, 3600 * TASKHOST_SECOND);
    return TASKHOST_PENDING;
  });
  DrivenExecution execution(world().host, waiting, 1);
  REQUIRE(execution.start() == Status::ok);
  REQUIRE(execution.poll() == Status::pending);
  services().wake(execution.cell().waker());
  services().wake(execution.cell().waker());
  CHECK(execution.rest(hours(1)) == by_wake);
  CHECK(execution.rest(hours(1)) == by_timer);
}

TEST_CASE("a stale waker does nothing, a made-up one breaks rule 4.10, and 0 is nobody's") {
  const taskhost_factory good = factory([](void*, const taskhost_exec*) -> std::int32_t { return TASKHOST_PENDING; });
  taskhost_waker stale = 0;
  {
    DrivenExecution execution(world().host, good, 1);
    stale = execution.cell().waker();
  }
  const std::uint64_t before = world().host.stale_wakes();
  services().wake(stale);
  services().wake(0);
  CHECK(world().host.stale_wakes() == before + 1);
  CHECK_FALSE(has_finding("4.10", "not a waker"));
  services().wake(stale ^ std::uint64_t{1} << 60);
  CHECK(has_finding("4.10", "not a waker"));
}

TEST_CASE("a watched descriptor wakes as long as it is ready, until it is forgotten") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
  const taskhost_factory good = factory([](void*, const taskhost_exec*) -> std::int32_t { return TASKHOST_PENDING; });
  DrivenExecution execution(world().host, good, 1);
  REQUIRE(execution.start() == Status::ok);
  CHECK(execution.cell().watch(ends[0], TASKHOST_READABLE, 7) == TASKHOST_OK);
  CHECK(execution.rest(milliseconds(0)) == 0);
  REQUIRE(::write(ends[1], "x", 1) == 1);
  CHECK(execution.rest(hours(1)) == by_descriptor);
  CHECK(execution.rest(hours(1)) == by_descriptor);
  taskhost_ready ready[2];
  REQUIRE(execution.cell().take_ready(ready, 2) == 1);
  CHECK(ready[0].tag == 7);
  CHECK(ready[0].what == TASKHOST_READABLE);
  CHECK(execution.cell().watch(ends[0], 0, 0) == TASKHOST_OK);
  CHECK(execution.rest(milliseconds(1)) == 0);
  CHECK(execution.cell().watch(ends[0], TASKHOST_READABLE, 7) == TASKHOST_OK);
  ::close(ends[0]);
  CHECK(execution.cell().closed_descriptors() == std::vector<int>{ends[0]});
  ::close(ends[1]);
}

TEST_CASE("a service that is for the execution's own calls is not for other threads, nor for outside of them") {
  static const taskhost_exec* exec_kept;
  const taskhost_factory good = factory([](void*, const taskhost_exec* exec) -> std::int32_t {
    exec_kept = exec;
    taskhost_wake_after(exec, TASKHOST_SECOND);
    return TASKHOST_PENDING;
  });
  DrivenExecution execution(world().host, good, 1);
  REQUIRE(execution.start() == Status::ok);
  REQUIRE(execution.poll() == Status::pending);
  CHECK_FALSE(has_finding("4.2", "wake_after"));
  std::thread([] { taskhost_wake_after(exec_kept, TASKHOST_SECOND); }).join();
  CHECK(has_finding("4.2", "wake_after"));
  CHECK_FALSE(has_finding("4.1", "task_name"));
  CHECK(std::string(services().task_name(exec_kept)) == "simulated");
  execution.drop();
  services().task_name(exec_kept);
  CHECK(has_finding("4.1", "task_name"));
}

TEST_CASE("what a poll returns, throws and writes is looked at") {
  const taskhost_factory nonsense = factory([](void*, const taskhost_exec*) -> std::int32_t { return 17; });
  const taskhost_factory throwing =
      factory([](void*, const taskhost_exec*) -> std::int32_t { throw std::runtime_error("thrown"); });
  const taskhost_factory writing = factory([](void* state, const taskhost_exec* exec) -> std::int32_t {
    static_cast<unsigned char*>(state)[-1] = 1;
    return taskhost_fail(exec, "done");
  });
  for (const auto& [bad, outcome] :
       {std::pair(nonsense, Status::error), {throwing, Status::panic}, {writing, Status::error}}) {
    DrivenExecution execution(world().host, bad, 1);
    REQUIRE(execution.start() == Status::ok);
    CHECK(execution.poll() == outcome);
  }
  CHECK(has_finding("3.2", "17"));
  CHECK(has_finding("3.6", "thrown"));
  CHECK(has_finding("2.5", "24 bytes"));
}

TEST_CASE("texts are judged: not UTF-8 breaks rule 4.6, too long is a note") {
  const taskhost_factory talking = factory([](void*, const taskhost_exec* exec) -> std::int32_t {
    const std::string text(5000, 'x');
    exec->services->log(exec, TASKHOST_LOG_INFO, text.data(), text.size());
    return taskhost_fail(exec, "\xff");
  });
  DrivenExecution execution(world().host, talking, 1);
  REQUIRE(execution.start() == Status::ok);
  CHECK(execution.poll() == Status::error);
  CHECK(has_finding("4.6", "fail got a text that is not UTF-8"));
  CHECK(has_finding("4.6", "log got a text of 5000 bytes"));
  CHECK(execution.cell().failure() == "\\xff");
}

TEST_CASE("wait sleeps until the stop, and answers 0 at once to a poll") {
  static std::atomic<bool> has_slept = false;
  taskhost_factory blocking{};
  blocking.struct_size = sizeof blocking;
  blocking.name = "blocking";
  blocking.run = [](void*, const taskhost_exec* exec) -> std::int32_t {
    const bool slept = taskhost_wait_for(exec, 60 * TASKHOST_SECOND) == TASKHOST_WAIT_TIME;
    has_slept = true;
    const bool stopped = (exec->services->wait(exec, TASKHOST_NEVER) & TASKHOST_WAIT_STOP) != 0;
    return slept && stopped ? TASKHOST_OK : TASKHOST_ERROR;
  };
  DrivenExecution execution(world().host, blocking, 1);
  REQUIRE(execution.start() == Status::ok);
  Status outcome = Status::pending;
  std::thread running([&] { outcome = execution.run(); });
  while (!has_slept) std::this_thread::yield();
  execution.request_stop();
  running.join();
  CHECK(outcome == Status::ok);

  const taskhost_factory polled = factory([](void*, const taskhost_exec* exec) -> std::int32_t {
    return exec->services->wait(exec, TASKHOST_NEVER) == 0 ? TASKHOST_OK : TASKHOST_ERROR;
  });
  DrivenExecution other(world().host, polled, 1);
  REQUIRE(other.start() == Status::ok);
  CHECK(other.poll() == Status::ok);
  CHECK(has_finding("4.7", "in poll"));
}

TEST_CASE("a state is zeroed, aligned as asked and no better, and lies at a wall") {
  for (const std::size_t align : {1u, 8u, 16u, 64u, 2048u, 4096u}) {
    for (const std::size_t size : {1u, 24u, 100u, 4096u, 10'000u}) {
      CAPTURE(align, size);
      const StateBlock block(size, align);
      const auto address = reinterpret_cast<std::uintptr_t>(block.get());
      CHECK(address % align == 0);
      if (align < 4096) CHECK(address % (2 * align) != 0);
      const auto* const bytes = static_cast<const unsigned char*>(block.get());
      CHECK(std::all_of(bytes, bytes + size, [](unsigned char byte) { return byte == 0; }));
      CHECK(block.is_whole());
    }
  }
}

TEST_CASE("what is new in the process is told by kind") {
  const ProcessState before = ProcessState::take();
  CHECK(changes(before, ProcessState::take()).empty());
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  ::setenv("VERIFY_TEST", "1", 1);
  CHECK(change_words(changes(before, ProcessState::take())) == "$VERIFY_TEST and 2 times descriptor (pipe)");
  ::unsetenv("VERIFY_TEST");
  for (const int end : ends) ::close(end);
  CHECK(changes(before, ProcessState::take()).empty());
}

TEST_CASE("a crash is put down to the call that it happened in, or to the thread that was in none") {
  Progress progress;
  progress.phase = Phase::poll;
  progress.execution = 3;
  progress.call = 2;
  progress.hit = Hit::dropped_state;
  ChildEnd end;
  end.signal = SIGSEGV;

  const Verdict called = death(end, progress);
  CHECK(called.rules == "3.9");
  CHECK(called.text.find("SIGSEGV in poll of execution 3, poll 2: ") == 0);

  progress.crashed_outside = true;
  const Verdict thread = death(end, progress);
  CHECK(thread.rules == "5.2");
  CHECK(thread.text.find("SIGSEGV on a thread of the plugin's own, while another was in poll of execution 3: ") == 0);
}

TEST_CASE("what a plugin writes to the pipe is no message, and what a test says counts only if it ends by itself") {
  SharedProgress progress;
  const ChildEnd whole = run_in_child(*progress, hours(1), [](const Reporter& reporter) {
    for (int descriptor = 3; descriptor < 64; ++descriptor) {
      struct stat status {};
      if (::fstat(descriptor, &status) != 0 || !S_ISFIFO(status.st_mode)) continue;
      constexpr std::string_view forged = "{\"type\":\"verdict\"}\n{\"type\":1}\n{\"type\":\"fini";
      (void)!::write(descriptor, forged.data(), forged.size());
    }
    reporter.send({{"type", "verdict"}, {"text", 5}});
  });
  CHECK(whole.has_finished);
  CHECK(whole.has_foreign_messages);
  REQUIRE(whole.messages.size() == 1);
  CHECK(text_in(whole.messages[0], "type") == "verdict");
  CHECK(text_in(whole.messages[0], "text").empty());
  const ChildEnd cut = run_in_child(*progress, hours(1), [](const Reporter& reporter) {
    reporter.send({{"type", "finished"}});
    ::_exit(3);
  });
  CHECK_FALSE(cut.has_finished);
  CHECK_FALSE(cut.has_foreign_messages);
}

TEST_CASE("what a test leaves running is named and ended, whether in its group, in a session of its own or a sibling") {
  const auto runs = [](pid_t process) { return ::kill(process, 0) == 0; };
  std::array<int, 2> ids{};
  REQUIRE(::pipe2(ids.data(), O_CLOEXEC) == 0);
  const auto leave = [&](bool in_session, long flags) {
    if (::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr) != 0) return;
    if (in_session) ::setsid();
    const pid_t self = ::getpid();
    if (::write(ids[1], &self, sizeof self) == sizeof self) ::sleep(60);
    ::_exit(0);
  };
  SharedProgress progress;
  const ChildEnd end = run_in_child(*progress, hours(1), [&](const Reporter&) {
    leave(false, 0);
    leave(true, 0);
    leave(false, CLONE_PARENT);
  });
  CHECK(end.has_finished);
  CHECK(end.status == 0);
  CHECK(end.left_running.size() == 3);
  for (int number = 0; number < 3; ++number) {
    pid_t left = 0;
    REQUIRE(::read(ids[0], &left, sizeof left) == sizeof left);
    CHECK_FALSE(runs(left));
  }
  for (const int end_of_pipe : ids) ::close(end_of_pipe);
}

TEST_CASE(
    "a test that was too slow breaks a rule only if one call has lasted long, and a run only if it was asked to stop") {
  Progress progress;
  const auto ago = [](std::chrono::nanoseconds time) { return Progress::steady_time() - time.count(); };
  progress.enter(Phase::start);
  CHECK_FALSE(is_stuck(progress, milliseconds(100)));
  progress.call_began = ago(std::chrono::seconds(3));
  CHECK(is_stuck(progress, milliseconds(100)));
  CHECK_FALSE(is_stuck(progress, std::chrono::seconds(10)));
  progress.enter(Phase::run);
  progress.call_began = ago(hours(1));
  CHECK_FALSE(is_stuck(progress, milliseconds(100)));
  progress.stop_began = ago(stop_timeout);
  CHECK_FALSE(is_stuck(progress, milliseconds(100)));
  progress.stop_began = ago(2 * stop_timeout);
  CHECK(is_stuck(progress, milliseconds(100)));

  ChildEnd end;
  end.was_late = true;
  end.time_in_call = std::chrono::seconds(3);
  progress.enter(Phase::start);
  CHECK(death(end, progress).judgement == Judgement::unproven);
  end.was_stuck = true;
  const Verdict stuck = death(end, progress);
  CHECK(stuck.rules == "3.4");
  CHECK(stuck.text.find("it had not returned after 3 s, in start") == 0);
}

TEST_CASE("a thread that crashes while another is in a call is seen to be in none, whatever the signal") {
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) {
    for (const bool elsewhere : {true, false}) {
      SharedProgress progress;
      const ChildEnd end = run_in_child(*progress, hours(1), [&](const Reporter&) {
        tell_what_crashes_hit(*progress);
        progress->phase = Phase::poll;
        current_call().phase = Phase::poll;
        const auto crash = [signal] { (void)::raise(signal); };
        if (elsewhere) {
          std::thread(crash).join();
        } else {
          crash();
        }
      });
      CAPTURE(signal, elsewhere);
      CHECK(end.signal == signal);
      CHECK(progress->crashed_outside == elsewhere);
    }
  }
}

namespace {

// Which of the executions fail, counted from 1.
using Failing = bool (*)(int number);
constexpr Failing all = [](int) { return true; };
constexpr Failing none = [](int) { return false; };
constexpr Failing first = [](int number) { return number == 1; };
constexpr Failing seldom = [](int number) { return number % 10 == 4; };

}  // namespace

TEST_CASE("a failure counts if sixteen executions fail under test before one fails that is left alone") {
  struct Row {
    const char* what;
    Failing fails;
    Failing fails_alone;
    int treated;  // how many executions that takes
    int alone;
    Judgement judgement;  // holds: no verdict
    const char* words = "";
    Failing is_tested = all;
    bool has_time = true;
  };
  const std::vector<Row> rows = {
      {"none fails", none, all, 5, 0, Judgement::holds},
      {"all fail, and none alone", all, none, 16, 16, Judgement::broken,
       "it failed when tried, but not when it was left alone, 16 times: why 16"},
      {"the first alone fails, too", all, first, 5, 1, Judgement::holds},
      {"the sixteenth alone fails", all, [](int number) { return number == 16; }, 16, 16, Judgement::holds},
      {"the seventeenth would", all, [](int number) { return number == 17; }, 16, 16, Judgement::broken},
      {"the third fails, and the third after it alone", [](int number) { return number == 3; },
       [](int number) { return number == 3; }, 5, 3, Judgement::holds},
      {"one in ten fails, and of others alone one in ten", seldom, seldom, 7, 4, Judgement::holds},
      {"failures are too rare to tell", seldom, none, 101, 98, Judgement::holds},
      {"one fails, and never again", first, none, 101, 101, Judgement::holds},
      {"none lives long enough", none, none, 100, 0, Judgement::holds, "", none},
      {"the eighth is the first that lives long enough", none, none, 8, 0, Judgement::holds, "",
       [](int number) { return number == 8; }},
      {"one fails, and the time is over", all, none, 1, 1, Judgement::unproven, "1 time, and not when", all, false},
      {"none fails, and the time is over", none, none, 1, 0, Judgement::holds, "", all, false},
  };
  const taskhost_factory unused = factory(nullptr);
  for (const Row& row : rows) {
    CAPTURE(row.what);
    TestContext context(world().host, unused, {.time_limit = row.has_time ? nanoseconds(hours(1)) : nanoseconds(0)});
    int treated = 0;
    int alone = 0;
    int tested = 0;
    Comparison comparison;
    comparison.rules = "4.4";
    comparison.when = "when tried";
    comparison.treat = [&](int number) {
      CHECK(number == treated);
      ++treated;
      Went went;
      went.has_failed = row.fails(treated);
      went.tested = row.is_tested(treated) ? 1 : 0;
      went.failure = "why " + std::to_string(treated);
      tested += static_cast<int>(went.tested);
      return went;
    };
    comparison.fails_alone = [&](const Went& went) {
      CHECK(went.failure == "why " + std::to_string(treated));
      return row.fails_alone(++alone);
    };
    const Compared compared = compare(context, comparison);
    CHECK(treated == row.treated);
    CHECK(alone == row.alone);
    CHECK(compared.tested == static_cast<std::uint64_t>(tested));
    REQUIRE(compared.verdict.has_value() == (row.judgement != Judgement::holds));
    if (!compared.verdict) continue;
    CHECK(compared.verdict->judgement == row.judgement);
    CHECK(compared.verdict->text.find(row.words) != std::string::npos);
    if (row.judgement == Judgement::broken) CHECK(compared.verdict->rules == "4.4");
  }
}

TEST_CASE("an execution is left alone for as many polls and as long as the one under test") {
  static int polls = 0;
  static std::int32_t (*next)(const taskhost_exec* exec) = nullptr;
  const auto sleeps = [](const taskhost_exec* exec) -> std::int32_t {
    taskhost_wake_after(exec, TASKHOST_SECOND);
    return TASKHOST_PENDING;
  };
  const auto fails_at_the_third = [](const taskhost_exec* exec) -> std::int32_t {
    taskhost_wake_after(exec, TASKHOST_SECOND);
    return polls == 3 ? taskhost_fail(exec, "the third") : TASKHOST_PENDING;
  };
  const auto ends_at_the_second = [](const taskhost_exec* exec) -> std::int32_t {
    taskhost_wake_after(exec, TASKHOST_SECOND);
    return polls == 2 ? TASKHOST_OK : TASKHOST_PENDING;
  };
  const auto waits_for_the_stop = [](const taskhost_exec*) -> std::int32_t { return TASKHOST_PENDING; };
  struct Row {
    const char* what;
    std::int32_t (*poll)(const taskhost_exec* exec);
    std::uint64_t polls;  // of the one under test
    int seconds;          // and how long it lived
    std::uint64_t polls_alone;
    bool fails = false;
    bool has_nothing_arranged = false;
  };
  const std::vector<Row> rows = {
      {"as many polls", sleeps, 7, 0, 7},
      {"as long, in more polls", sleeps, 2, 10, 11},
      {"one poll more, and it would fail", fails_at_the_third, 2, 0, 2},
      {"it fails in the last poll", fails_at_the_third, 3, 0, 3, true},
      {"it fails before the time is over", fails_at_the_third, 1, 100, 3, true},
      {"it ends well before that", ends_at_the_second, 10, 0, 2},
      {"only a stop would wake it", waits_for_the_stop, 10, 0, 1, false, true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    polls = 0;
    next = row.poll;
    const taskhost_factory alone = factory([](void*, const taskhost_exec* exec) -> std::int32_t {
      ++polls;
      return next(exec);
    });
    TestContext context(world().host, alone, {.time_limit = hours(1)});
    const Went went = left_alone(context, row.polls, std::chrono::seconds(row.seconds));
    CHECK(went.polls == row.polls_alone);
    CHECK(went.has_failed == row.fails);
    CHECK(went.failure == (row.fails ? "the third" : ""));
    CHECK(went.has_nothing_arranged == row.has_nothing_arranged);
  }
}
