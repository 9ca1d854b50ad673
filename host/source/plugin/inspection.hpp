// What a plugin exports and shares with the process, for `taskhost inspect`. Reads its file; owner's thread.
#pragma once

#include <string>

#include "plugin/library.hpp"

namespace taskhost {

std::string inspection_text(const PluginLibrary& library);
std::string inspection_json(const PluginLibrary& library);

}  // namespace taskhost
