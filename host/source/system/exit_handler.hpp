// What runs first when something calls exit() or quick_exit().
#pragma once

#include <optional>

namespace taskhost {

// The status that exit() was called with; none for quick_exit, which tells its handlers none.
using ExitHandler = void (*)(std::optional<int> status);

// Any thread, any number of times, always with the same one. Handlers run in the reverse order, so before those that
// were there.
void set_exit_handler(ExitHandler handler);

// Any thread, after a library has been loaded: the handler, if one is set, runs before the library's own, too. Those
// that the library registers later still run before it.
void renew_exit_handler();

}  // namespace taskhost
