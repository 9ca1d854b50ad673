// How a call ended, and how an execution ended. Plain values; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "taskhost/core/words.hpp"

namespace taskhost {

// What start, poll or run returned. The numbers are those of the C ABI (a test keeps them in step).
// again: pending, and to be called again after all others that are due.
enum class Status : std::int32_t { ok = 0, pending = 1, error = 2, panic = 3, again = 4 };

// How an execution ended. Ends that the host did not ask for (all but cancelled) are exits; only they trigger policy.
enum class Outcome : std::uint8_t {
  ok,
  error,      // it reported a failure
  panic,      // an exception or panic, caught at the boundary
  crashed,    // an isolated process died
  cancelled,  // the host asked it to end
};

template <>
inline constexpr auto words_of<Outcome> = std::to_array<Word<Outcome>>({{Outcome::ok, "ok"},
                                                                        {Outcome::error, "error"},
                                                                        {Outcome::panic, "panic"},
                                                                        {Outcome::crashed, "crashed"},
                                                                        {Outcome::cancelled, "cancelled"}});

}  // namespace taskhost
