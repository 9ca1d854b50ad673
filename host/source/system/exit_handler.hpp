// A handler that runs first when something calls exit() or quick_exit().
#pragma once

#include <optional>

namespace taskhost {

// Gets the status that exit() was called with, or none for quick_exit, which does not pass it to handlers.
using ExitHandler = void (*)(std::optional<int> status);

// Any thread, any number of times, always with the same handler. Handlers run in reverse order, so it runs before those
// registered earlier.
void set_exit_handler(ExitHandler handler);

// Any thread, after a library has been loaded: if a handler is set, it now runs before the library's own, too. Those
// that the library registers later still run before it.
void renew_exit_handler();

}  // namespace taskhost
