// What the system refuses, told so that people can mend it: which limit was reached, how high it is, what raises it. A
// pure look at limits; any thread.
#pragma once

#include <system_error>

namespace taskhost {

// Whether an errno says that a limit was reached, or memory.
bool is_shortage(int error) noexcept;

// `error` is an errno; `what` names the call, for errors that say no more.
std::system_error system_failure(int error, const char* what);

}  // namespace taskhost
