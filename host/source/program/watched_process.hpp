// The work of a command in a process of its own, so that a plugin that ends it without a word (_exit, the end of its
// last thread) is not taken for success: no handler sees that, only a parent does.
#pragma once

namespace taskhost {

// Before there are other threads. Returns in the child; the parent waits and ends as the child does, or with
// TASKHOST_RESULT_BAD_PLUGIN and a line on stderr if the child ends before its work is done. Without a process to be
// had it returns in this one. `what` was not done then: "check".
void continue_in_watched_process(const char* what);

// In the child: the work is done, with this status. What destructors and exit handlers do then does not change it.
void tell_watcher(int status) noexcept;

}  // namespace taskhost
