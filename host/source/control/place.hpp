// Where control sockets are: DIR/NAME.sock. The host and the commands that talk to it find it by the same rule.
#pragma once

#include <string>

namespace taskhost {

// [any thread] /run/taskhost for root, else $XDG_RUNTIME_DIR/taskhost, else /tmp/taskhost-UID.
std::string control_directory();

}  // namespace taskhost
