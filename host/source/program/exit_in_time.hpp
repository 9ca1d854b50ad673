// The program's end: what tasks have printed is written, and exit handlers and destructors of plugins run, but not for
// ever.
#pragma once

namespace taskhost {

// Before anything is loaded: makes the thread that sees to the time, since plugins may use up threads, timers, and
// change what a signal does. Without it there is no limit. Throws std::system_error.
void prepare_exit();

// exit(status), for five seconds at most, in which the process does not stand still. After a stop that left tasks
// behind, which must not lose what they use to exit handlers and destructors, and may hold stdio's locks, only what is
// buffered is written, for a second. When the time is over, a line on stderr and the same status. So is the status if
// one of those handlers and destructors calls exit or quick_exit with another one.
[[noreturn]] void exit_in_time(int status);

}  // namespace taskhost
