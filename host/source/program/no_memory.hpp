// The program's end where there is no memory to go on with. Any thread.
#pragma once

namespace taskhost {

// "taskhost: out of memory: …" on stderr, and the exit status for it. Needs no memory itself.
int say_no_memory() noexcept;

}  // namespace taskhost
