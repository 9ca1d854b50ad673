// For people who name a script where a plugin is wanted.
#pragma once

#include <string>

namespace taskhost {

// Which plugin runs this file, if it is a script; "" if it is none.
std::string script_hint(const std::string& plugin);

}  // namespace taskhost
