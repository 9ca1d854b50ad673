// The first process of a pid namespace, such as a container's command: the kernel lets it ignore signals and makes it
// the parent of every orphan.
#pragma once

namespace taskhost {

// If this process is PID 1, the rest of the program runs in a child, and this returns only there; PID 1 reaps orphans,
// passes signals on, and ends with the child's status. Call it before there are threads and before anything is printed.
// If the system refuses the process, ends with 5 and a line.
void leave_first_process();

}  // namespace taskhost
