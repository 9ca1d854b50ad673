// Runs a coroutine as a task with a fake host, and counts what it creates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "fake_host.hpp"
#include "taskhost/sdk/coroutine.hpp"

template <auto Function, std::size_t FrameSize = 4096>
class Run {
 public:
  Run() { status = host.start(factory); }

  std::int32_t poll() { return status = host.poll(); }
  // Polls it as the host does when the timer is due.
  std::int32_t poll_at_timer() {
    if (host.wake_time != TASKHOST_NEVER && host.time < host.wake_time) host.time = host.wake_time;
    return poll();
  }
  // Polls it until it ends, or has been polled often enough.
  std::int32_t finish() {
    poll();
    for (int turn = 0; turn < 20 && status == TASKHOST_PENDING; ++turn) poll_at_timer();
    return status;
  }
  std::int32_t stop() {
    host.stop = true;
    return poll();
  }

  static constexpr taskhost_factory factory = taskhost::sdk::coroutine<Function, FrameSize>("test");
  FakeHost host;
  std::int32_t status = TASKHOST_OK;  // returned by the last call
};

// Counts its live objects; one that is destroyed twice would make the count negative.
class Tracker {
 public:
  Tracker() { ++live; }
  Tracker(const Tracker&) { ++live; }
  Tracker(Tracker&&) noexcept { ++live; }
  Tracker& operator=(const Tracker&) = default;
  Tracker& operator=(Tracker&&) = default;
  ~Tracker() { --live; }

  static inline int live = 0;
};
