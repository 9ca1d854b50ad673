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

}  // namespace taskhost
