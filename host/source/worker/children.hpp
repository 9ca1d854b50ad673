// What a worker's plugins have started, such as the programs of `exec`, has process groups of its own.
#pragma once

#include <sys/types.h>

namespace taskhost {

// Kills each child of this process, with its group if it leads one. Nothing if /proc is that of another pid namespace.
// Async-signal-safe, and takes no lock: a thread that is stuck may hold it.
void kill_groups_of_children(pid_t process) noexcept;

}  // namespace taskhost
