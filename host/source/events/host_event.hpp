// Events of the host itself, which the supervisor knows nothing of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace taskhost {

struct PluginLoaded {
  static constexpr std::string_view kind = "plugin_loaded";
  std::string name;
  std::string path;
};

// In the place of events for which there was no room or no memory.
struct EventsLost {
  static constexpr std::string_view kind = "events_lost";
  std::uint64_t count = 0;
};

// What was only counted, because nobody listened to each single event of a storm.
struct EventsSummed {
  static constexpr std::string_view kind = "events_summed";
  std::uint64_t starts = 0;  // these are what LogSummary says
  std::uint64_t exits = 0;
  std::uint64_t failures = 0;
  std::uint64_t restarts = 0;
  std::uint64_t stalls = 0;
  std::uint64_t ends = 0;
  std::uint64_t milliseconds = 0;
};

}  // namespace taskhost
