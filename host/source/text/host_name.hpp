// Names of hosts, which are also names of files. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

namespace taskhost {

// Empty if it is right: 1 to 64 letters, digits, '.', '_' and '-', and neither '.' nor '-' first.
std::string host_name_problem(std::string_view name);

// A host's name from that of its manifest or directory: "demo" for "/x/demo.json". Other characters become '-'.
std::string host_name_from(std::string_view path);

}  // namespace taskhost
