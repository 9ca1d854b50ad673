// The program's end: what tasks have printed is written, and exit handlers and destructors of plugins run, but not for
// ever.
#pragma once

namespace taskhost {

// exit(status), for five seconds at most. After a stop that left tasks behind, which must not lose what they use to
// exit handlers and destructors, and may hold stdio's locks, only what is buffered is written, for a second. When the
// time is over, a line on stderr and the same status.
[[noreturn]] void exit_in_time(int status);

}  // namespace taskhost
