// The first process of a pid namespace, as a container's command is: the kernel lets it ignore signals, and makes it
// the parent of every orphan.
#pragma once

namespace taskhost {

// Where this process is PID 1, the rest of the program goes on in a child, and only there this returns; PID 1 reaps
// what has ended, passes signals on, and ends as the child does. Before there are threads, and before anything is
// printed. Where the system gives no process, it ends with 5 and a line.
void leave_first_process();

}  // namespace taskhost
