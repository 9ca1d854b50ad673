// Ends the program when it has no memory to go on. Any thread.
#pragma once

namespace taskhost {

// Prints "taskhost: out of memory: …" to stderr and returns the exit status for it. Needs no memory.
int say_no_memory() noexcept;

}  // namespace taskhost
