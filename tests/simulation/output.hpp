// What a supervisor, real or model, does in one step: its orders and its news, in one sequence. Plain values that can
// be compared and printed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "coordinator.hpp"

namespace taskhost::simulation {

struct Output {
  enum class Kind : std::uint8_t { start, ask, tell, stop_host };
  Kind kind = Kind::tell;
  EventKind event = EventKind::task_started;  // tell
  Place task = 0;
  std::uint64_t execution = 0;
  Outcome outcome = Outcome::ok;
  StopReason reason = StopReason::task_exit;
  bool failure = false;                             // stop_host
  RestartKind restart_kind = RestartKind::charged;  // task_restarting
  Nanoseconds delay = 0;
  Nanoseconds uptime = 0;
  Nanoseconds silence = 0;
  std::optional<std::uint32_t> remaining{};
  std::optional<Place> because{};
  std::string message{};

  bool operator==(const Output&) const = default;
};

// Only those fields of the news that the contract defines for its kind.
Output to_output(const TaskNews& news);

// Without the supervisor's own wording.
std::string fixed_part(std::string message);

std::string to_text(const Output& output, Nanoseconds unit);

}  // namespace taskhost::simulation
