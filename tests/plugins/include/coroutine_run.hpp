// Runs a coroutine as a task against a fake host, and counts what it makes.
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
  // As the host does when the timer is due.
  std::int32_t poll_at_timer() {
    if (host.wake_time != TASKHOST_NEVER && host.time < host.wake_time) host.time = host.wake_time;
    return poll();
  }
  // Until it ends, or has been polled often enough.
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
  std::int32_t status = TASKHOST_OK;  // of the last call
};

// How many there are; one that is destroyed twice would make it negative.
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
