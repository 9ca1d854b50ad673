// SIGPIPE and SIGXFSZ do nothing: a write that fails says so itself. Two steps, around the loading of plugins.
#pragma once

namespace taskhost {

// Before plugins are loaded: runtimes such as Go's check then whether a signal is ignored.
void ignore_failed_writes() noexcept;

// Once they are: from now on a handler that does nothing replaces SIG_IGN, which programs that plugins execute would
// inherit. In a child that has not executed anything yet, the signal has its default effect. What was ignored before
// stays ignored.
void handle_failed_writes() noexcept;

}  // namespace taskhost
