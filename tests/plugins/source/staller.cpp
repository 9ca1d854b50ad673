// A polled task that breaks rule 3.4 as configured: its start, polls or drop block. README.md lists its config.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <initializer_list>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "taskhost/plugin.h"
#include "taskhost/sdk/config.hpp"

namespace {

namespace sdk = taskhost::sdk;
using std::chrono::nanoseconds;
using Clock = std::chrono::steady_clock;

enum class Next { nothing, timer, wake, thread, descriptor };
enum class End { ok, error, exception, stay };

struct Staller {
  const taskhost_exec* exec;
  nanoseconds poll;
  nanoseconds drop;
  std::uint64_t polls_from;  // earlier polls don't block
  std::int64_t stalls;       // how many further polls block
  Next next;
  End end;
  bool spins;
  bool heeds_stop;
  int pipe[2] = {-1, -1};
  std::thread waker{};
  std::atomic<bool> inside{false};
  bool called_twice = false;

  void block(nanoseconds time) const {
    const auto until = Clock::now() + time;
    while (Clock::now() < until && !(heeds_stop && taskhost_stop_requested(exec))) {
      if (!spins) std::this_thread::sleep_for(heeds_stop ? nanoseconds(std::chrono::milliseconds(1)) : time);
    }
  }

  // Requested before it blocks, so that all of it happens while the call is still running.
  void arrange() {
    const taskhost_services* services = exec->services;
    const taskhost_waker self = services->waker(exec);
    if (next == Next::timer) taskhost_wake_after(exec, 10 * TASKHOST_MILLISECOND);
    if (next == Next::wake) services->wake(self);
    if (next == Next::descriptor) services->watch(exec, pipe[0], TASKHOST_READABLE, 0);
    if (next == Next::thread) {
      if (waker.joinable()) waker.join();
      waker = std::thread([services, self, pause = poll / 2] {
        std::this_thread::sleep_for(pause);
        services->wake(self);
      });
    }
  }

  std::int32_t finish() const {
    if (end == End::exception) throw std::runtime_error("was told to throw");
    if (end == End::error) return taskhost_fail(exec, "was told to fail");
    return end == End::ok ? TASKHOST_OK : TASKHOST_PENDING;
  }

  std::int32_t go_on() {
    if (taskhost_stop_requested(exec)) return TASKHOST_OK;
    const std::uint64_t now = taskhost_now(exec);
    if (now < polls_from) {
      taskhost_wake_after(exec, polls_from - now);
      return TASKHOST_PENDING;
    }
    if (stalls == 0) return finish();
    --stalls;
    arrange();
    block(poll);
    taskhost_log(exec, TASKHOST_LOG_INFO, "back again");
    return next == Next::nothing ? finish() : TASKHOST_PENDING;
  }
};

// The index of `word` in `words`.
int one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  int number = 0;
  for (const std::string_view candidate : words) {
    if (word == candidate) return number;
    ++number;
  }
  throw sdk::Failure("config: unknown word: " + std::string(word));
}

std::int32_t start(void* state, const taskhost_exec* exec) try {
  const sdk::Config config{sdk::Context(exec)};
  config.keys("start poll drop calm stalls next end spins heeds_stop");
  const nanoseconds in_start = config.duration("/start", nanoseconds(0));
  const nanoseconds in_poll = config.duration("/poll", nanoseconds(0));
  const nanoseconds in_drop = config.duration("/drop", nanoseconds(0));
  const nanoseconds calm = config.duration("/calm", nanoseconds(0));
  const std::int64_t stalls = config.integer("/stalls", in_poll > nanoseconds(0) ? 1 : 0, sdk::between(0, 1'000'000));
  const auto next = static_cast<Next>(one_of(config.text("/next"), {"", "timer", "wake", "thread", "descriptor"}));
  const auto end = static_cast<End>(one_of(config.text("/end", "ok"), {"ok", "error", "throw", "stay"}));
  const bool spins = config.boolean("/spins", false);
  const bool heeds_stop = config.boolean("/heeds_stop", false);
  auto* self = new (state) Staller{.exec = exec,
                                   .poll = in_poll,
                                   .drop = in_drop,
                                   .polls_from = taskhost_now(exec) + static_cast<std::uint64_t>(calm.count()),
                                   .stalls = stalls,
                                   .next = next,
                                   .end = end,
                                   .spins = spins,
                                   .heeds_stop = heeds_stop};
  if (next == Next::descriptor && (::pipe(self->pipe) != 0 || ::write(self->pipe[1], "x", 1) != 1)) {
    return taskhost_fail(exec, "no pipe");
  }
  self->block(in_start);
  return TASKHOST_OK;
} catch (const sdk::Failure& failure) {
  const bool told = *failure.what() == '\0';  // the host has reported it
  return told ? TASKHOST_ERROR : taskhost_fail(exec, failure.what());
}

std::int32_t poll(void* state, const taskhost_exec* exec) {
  auto* self = static_cast<Staller*>(state);
  if (self->inside.exchange(true)) {
    self->called_twice = true;
    return TASKHOST_PENDING;
  }
  std::int32_t status = TASKHOST_PANIC;
  try {
    status = self->go_on();
  } catch (const std::exception& error) {
    taskhost_fail(exec, error.what());
  }
  self->inside = false;
  return self->called_twice ? taskhost_fail(exec, "two calls at once") : status;
}

void drop(void* state, const taskhost_exec* /*exec*/) {
  auto* self = static_cast<Staller*>(state);
  self->block(self->drop);
  if (self->waker.joinable()) self->waker.join();
  for (const int end : self->pipe) {
    if (end >= 0) ::close(end);
  }
  std::destroy_at(self);
}

const taskhost_factory* first_factory() {
  static taskhost_factory made;
  made.struct_size = sizeof(taskhost_factory);
  made.name = PLUGIN_NAME;
  made.state_size = sizeof(Staller);
  made.state_align = alignof(Staller);
  made.start = start;
  made.poll = poll;
  made.drop = drop;
  return &made;
}

}  // namespace

extern "C" const taskhost_factory* taskhost_plugin_v1(void) { return first_factory(); }
