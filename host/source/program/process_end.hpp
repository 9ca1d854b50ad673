// Ends the program: writes what tasks have printed and runs the exit handlers and destructors of plugins, for a limited
// time.
#pragma once

namespace taskhost {

// Before anything is loaded: creates the thread that watches the time, since plugins may use up threads and timers, and
// change what signals do. Without it there is no limit. Throws std::system_error.
void prepare_exit();

// Calls exit(status), for at most five seconds, not counting time in which the process stands still. After a stop that
// left code of tasks running, it only writes what is buffered, for at most a second: these tasks still use what exit
// handlers and destructors would take away, and may hold stdio's locks. When the time is over, prints a line to stderr
// and ends with the same status; also if a handler or destructor calls exit or quick_exit with another one.
[[noreturn]] void exit_in_time(int status, bool code_still_runs = false);

}  // namespace taskhost
