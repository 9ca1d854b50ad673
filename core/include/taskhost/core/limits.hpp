// Limits of the task model that more than one part checks or prints.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace taskhost {

inline constexpr unsigned max_shards = 256;
inline constexpr std::chrono::milliseconds min_stall_limit{10};
inline constexpr std::uint32_t max_restarts_in_window = 65'536;  // the time of each is kept
inline constexpr std::size_t max_status_bytes = 256;             // of what an execution says that it is doing
inline constexpr std::size_t max_message_bytes = 4096;           // of a fail or log text; the rest is cut

}  // namespace taskhost
