// Whose offloaded work runs on this thread: for the message if it ends the process.
#pragma once

namespace taskhost {

// [async-signal-safe] The task's name; null: none does. Also while the work is discarded.
const char* task_of_offloaded_work() noexcept;

}  // namespace taskhost
