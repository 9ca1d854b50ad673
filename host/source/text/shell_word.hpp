// Names as arguments of a command that somebody may paste into a shell. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

namespace taskhost {

// In quotes if it needs them; after "--" if it looks like an option.
std::string shell_word(std::string_view name);

}  // namespace taskhost
