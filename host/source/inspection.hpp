// What a plugin exports, for `taskhost inspect`. Pure; any thread.
#pragma once

#include <string>

#include "plugin_library.hpp"

namespace taskhost {

std::string inspection_text(const PluginLibrary& library);
std::string inspection_json(const PluginLibrary& library);

}  // namespace taskhost
