// The command line: verbs and options to calls of the C interface, and their results to exit statuses. Uses nothing of
// ours but taskhost.h.
#pragma once

namespace taskhost {

// Returns the exit status. The program's only thread of its own.
int run_command_line(int argument_count, char** arguments);

}  // namespace taskhost
