// The program's end: exit handlers and destructors of plugins run, but not for ever.
#pragma once

namespace taskhost {

// exit(status), and if that takes more than five seconds, a line on stderr and the same status.
[[noreturn]] void exit_in_time(int status);

}  // namespace taskhost
