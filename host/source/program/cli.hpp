// The command line: turns verbs and options into calls of the C interface, and results into exit statuses. Of our own
// headers, uses only taskhost.h.
#pragma once

namespace taskhost {

// Returns the exit status. Runs on the program's main thread.
int run_command_line(int argument_count, char** arguments);

}  // namespace taskhost
