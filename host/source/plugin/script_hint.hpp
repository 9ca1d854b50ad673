// A hint for people who name a script where a plugin is expected.
#pragma once

#include <string>

namespace taskhost {

// A hint about the plugin that runs this file if it is a script; otherwise "".
std::string script_hint(const std::string& plugin);

}  // namespace taskhost
