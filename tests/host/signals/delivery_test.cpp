// Who gets which signal. No signal is raised here; the tests call deliver().
#include "signals/delivery.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "support/catch.hpp"
#include "support/sanitizers.hpp"
#include "taskhost/core/wake_port.hpp"
#include "taskhost/ext/signals.h"

using namespace taskhost;
using Fate = Signals::Fate;

namespace {

// Wakers without tasks.
class Wakers {
 public:
  ~Wakers() {
    for (const std::uint32_t slot : slots_) port_.remove(slot);
    port_.release();
  }
  Waker make() {
    slots_.push_back(port_.add(nullptr));
    return WakePort::waker(slots_.back());
  }
  void expire_all() {
    for (const std::uint32_t slot : slots_) WakePort::expire(slot);
  }

 private:
  WakePort& port_ = WakePort::acquire();
  std::vector<std::uint32_t> slots_;
};

struct Scene {
  Wakers wakers;
  int acts = 0;
  bool stopping = false;
  Signals signals{[this] { return stopping; }, [this](Fate, SignalHandler::Arrival) { ++acts; }};
};

// Like two from a terminal, which never count as one.
void request_end_twice() {
  for (int request = 0; request < 2; ++request) {
    siginfo_t info{};
    info.si_signo = SIGTERM;
    info.si_code = SI_KERNEL;
    ::syscall(SYS_rt_sigqueueinfo, ::getpid(), SIGTERM, &info);
  }
}

auto handler_of(int number) {
  struct sigaction action {};
  REQUIRE(::sigaction(number, nullptr, &action) == 0);
  return action.sa_handler;
}

bool is_default(int number) { return handler_of(number) == SIG_DFL; }

bool is_on_its_own_stack(int number) {
  struct sigaction action {};
  REQUIRE(::sigaction(number, nullptr, &action) == 0);
  return (action.sa_flags & SA_ONSTACK) != 0;
}

}  // namespace

TEST_CASE("a child of a process that ends by a second signal has two requests of its own") {
  if (taskhost::test::sanitized) {
    WARN("skipped: with a sanitizer, a thread may hang in a child of a process with threads");
    return;
  }
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  const pid_t parent = ::fork();
  REQUIRE(parent >= 0);
  if (parent == 0) {
    const SignalHandler handler;
    request_end_twice();
    if (::fork() != 0) ::_exit(0);  // before its second has passed
    ::alarm(60);
    const SignalHandler own;
    request_end_twice();
    while (true) ::pause();
  }
  int status = 0;
  REQUIRE(::waitpid(parent, &status, 0) == parent);
  REQUIRE(status == 0);
  REQUIRE(::waitpid(-1, &status, 0) > 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 4);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_CASE("a handler takes the thread's stack for signals, if it has one: a goroutine's own would be too small") {
  Scene scene;
  CHECK(scene.signals.subscribe(scene.wakers.make(), TASKHOST_SIGNAL_HANGUP));
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) CHECK(is_on_its_own_stack(number));
}

TEST_CASE("a signal goes to all tasks that subscribe to it, and each takes it once") {
  Scene scene;
  const Waker first = scene.wakers.make();
  const Waker second = scene.wakers.make();
  CHECK(scene.signals.subscribe(first, TASKHOST_SIGNAL_HANGUP));
  CHECK(scene.signals.subscribe(second, TASKHOST_SIGNAL_HANGUP | TASKHOST_SIGNAL_USER1));
  CHECK_FALSE(is_default(SIGHUP));
  CHECK(scene.signals.deliver({SIGHUP}) == Fate::taken_by_task);
  CHECK(scene.signals.deliver({SIGUSR1}) == Fate::taken_by_task);
  CHECK(scene.signals.take(first) == TASKHOST_SIGNAL_HANGUP);
  CHECK(scene.signals.take(second) == (TASKHOST_SIGNAL_HANGUP | TASKHOST_SIGNAL_USER1));
  CHECK(scene.signals.take(first) == 0);
}

TEST_CASE("a signal whose last subscriber is gone is the host's and does nothing") {
  for (const bool ended : {false, true}) {
    Scene scene;
    const Waker waker = scene.wakers.make();
    CHECK(scene.signals.subscribe(waker, TASKHOST_SIGNAL_HANGUP | TASKHOST_SIGNAL_USER2));
    if (ended) {
      scene.wakers.expire_all();
    } else {
      CHECK(scene.signals.subscribe(waker, 0));
    }
    CHECK(scene.signals.deliver({SIGHUP}) == Fate::unwanted);
    CHECK(scene.signals.deliver({SIGUSR2}) == Fate::unwanted);
    CHECK_FALSE(is_default(SIGHUP));
    CHECK_FALSE(is_default(SIGUSR2));
  }
}

TEST_CASE("a signal that a subscriber changed its mind about does nothing") {
  Scene scene;
  const Waker waker = scene.wakers.make();
  CHECK(scene.signals.subscribe(waker, TASKHOST_SIGNAL_USER1));
  CHECK(scene.signals.subscribe(waker, TASKHOST_SIGNAL_USER2));
  CHECK(scene.signals.deliver({SIGUSR1}) == Fate::unwanted);
  CHECK(scene.signals.deliver({SIGUSR2}) == Fate::taken_by_task);
}

TEST_CASE("a hangup that no task ever wanted is a request to stop, but never the first or second of two") {
  Scene scene;
  CHECK(scene.signals.deliver({.number = SIGHUP, .hangup = true}) == Fate::stop);
  CHECK(scene.signals.deliver({.number = SIGHUP, .hangup = true}) == Fate::stop);
}

TEST_CASE("SIGHUP of a process is a request to reload, unless a task ever wanted it") {
  Scene scene;
  CHECK(scene.signals.deliver({SIGHUP}) == Fate::reload);
  const Waker waker = scene.wakers.make();
  CHECK(scene.signals.subscribe(waker, TASKHOST_SIGNAL_HANGUP));
  CHECK(scene.signals.deliver({SIGHUP}) == Fate::taken_by_task);
  scene.wakers.expire_all();
  CHECK(scene.signals.deliver({SIGHUP}) == Fate::unwanted);
}

TEST_CASE("a signal to stop that nobody takes stops the host, and a second one at once") {
  Scene scene;
  CHECK(scene.signals.deliver({SIGTERM}) == Fate::stop);
  CHECK(scene.signals.deliver({SIGINT, true}) == Fate::stop_at_once);
  CHECK_FALSE(is_default(SIGTERM));
}

TEST_CASE("a signal to stop may be taken by a task; while that lives, the second one stops at once nevertheless") {
  Scene scene;
  const Waker waker = scene.wakers.make();
  CHECK(scene.signals.subscribe(waker, TASKHOST_SIGNAL_TERMINATE));
  CHECK(scene.signals.deliver({SIGTERM}) == Fate::taken_by_task);
  CHECK(scene.signals.deliver({SIGTERM, true}) == Fate::stop_at_once);
}

TEST_CASE("a signal that a task took which has ended since was not the first of two, unless the host stops") {
  for (const bool stopping : {false, true}) {
    Scene scene;
    CHECK(scene.signals.subscribe(scene.wakers.make(), TASKHOST_SIGNAL_TERMINATE));
    CHECK(scene.signals.deliver({SIGTERM}) == Fate::taken_by_task);
    scene.wakers.expire_all();
    scene.stopping = stopping;
    CHECK(scene.signals.deliver({SIGTERM, true}) == (stopping ? Fate::stop_at_once : Fate::stop));
  }
}

TEST_CASE("a request to end that was ignored and that no task took was not the first of two, unless the host stops") {
  for (const bool stopping : {false, true}) {
    struct sigaction ignore {};
    struct sigaction before {};
    ignore.sa_handler = SIG_IGN;
    REQUIRE(::sigaction(SIGINT, &ignore, &before) == 0);
    {
      Scene scene;
      CHECK(scene.signals.subscribe(scene.wakers.make(), TASKHOST_SIGNAL_INTERRUPT));
      scene.wakers.expire_all();
      CHECK(scene.signals.deliver({SIGINT}) == Fate::unwanted);
      scene.stopping = stopping;
      CHECK(scene.signals.deliver({SIGTERM, true}) == (stopping ? Fate::stop_at_once : Fate::stop));
    }
    REQUIRE(::sigaction(SIGINT, &before, nullptr) == 0);
  }
}

TEST_CASE("what is no signal of ours can't be subscribed to, nor by nobody") {
  Scene scene;
  CHECK_FALSE(scene.signals.subscribe(scene.wakers.make(), 1u << 31));
  CHECK_FALSE(scene.signals.subscribe(0, TASKHOST_SIGNAL_HANGUP));
}

TEST_CASE("once closed, a signal does nothing and tasks that still call in get nothing, until the end of it all") {
  constexpr std::array numbers = {SIGINT, SIGTERM, SIGHUP};
  std::array<decltype(handler_of(0)), numbers.size()> before{};
  std::transform(numbers.begin(), numbers.end(), before.begin(), handler_of);
  const auto check_all_are_as_before = [&] {
    for (std::size_t i = 0; i < numbers.size(); ++i) CHECK(handler_of(numbers[i]) == before[i]);  // Catch2 has its own
  };
  for (const bool released : {false, true}) {
    Scene scene;
    const Waker waker = scene.wakers.make();
    CHECK(scene.signals.subscribe(waker, TASKHOST_SIGNAL_HANGUP));
    CHECK(scene.signals.deliver({SIGHUP}) == Fate::taken_by_task);
    scene.signals.close();
    CHECK(scene.signals.take(waker) == 0);
    CHECK_FALSE(scene.signals.subscribe(waker, TASKHOST_SIGNAL_HANGUP));
    CHECK_FALSE(scene.signals.subscribe(waker, 0));
    for (const int number : numbers) CHECK_FALSE(is_default(number));
    for (const int number : {SIGTERM, SIGHUP}) {  // a second request to end would still end the process
      REQUIRE(::raise(number) == 0);
    }
    scene.signals.deliver_all();
    CHECK(scene.acts == 0);
    scene.signals.close();
    if (!released) continue;
    scene.signals.release();
    check_all_are_as_before();
    CHECK_FALSE(scene.signals.subscribe(waker, TASKHOST_SIGNAL_HANGUP));
    CHECK(scene.signals.take(waker) == 0);
  }
  check_all_are_as_before();
}
