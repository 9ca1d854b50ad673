// What the system refuses, told so that people can mend it: which limit was reached, how high it is, what raises it. A
// pure look at limits; any thread.
#pragma once

#include <system_error>
#include <thread>
#include <utility>

namespace taskhost {

// Whether an errno says that a limit was reached, or memory.
bool is_shortage(int error) noexcept;

// The same, or a call that this process may not make.
bool is_refusal(int error) noexcept;

// `error` is an errno; `what` names the call, for errors that say no more.
std::system_error system_failure(int error, const char* what);

// A thread; where there is none, it is told as system_failure does.
template <class Function>
std::thread new_thread(Function&& function) {
  try {
    return std::thread(std::forward<Function>(function));
  } catch (const std::system_error& error) {
    throw system_failure(error.code().value(), "clone3, for a thread");
  }
}

}  // namespace taskhost
