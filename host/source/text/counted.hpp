// Counts with nouns, for messages. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace taskhost {

// "1 line", "2 lines"; "1 factory", "2 factories"
inline std::string counted(std::uint64_t count, std::string_view one, std::string_view several = {}) {
  std::string words = std::to_string(count) + ' ';
  if (count != 1 && !several.empty()) return words.append(several);
  return words.append(one).append(count == 1 ? "" : "s");
}

}  // namespace taskhost
