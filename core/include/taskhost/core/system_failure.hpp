// What the system refuses, told so that people can mend it: which limit was reached, how high it is, what raises it. A
// pure look at limits; any thread.
#pragma once

#include <system_error>
#include <thread>
#include <utility>

#include "taskhost/core/host_thread.hpp"

namespace taskhost {

// Whether an errno says that a limit was reached, or memory.
bool is_shortage(int error) noexcept;

// The same, or a call that this process may not make.
bool is_refusal(int error) noexcept;

// `error` is an errno; `what` names the call, for errors that say no more.
std::system_error system_failure(int error, const char* what);

// A thread of the host's; where there is none, it is told as system_failure does.
template <class Function>
std::thread new_thread(Function&& function) {
  try {
    return std::thread([work = std::forward<Function>(function)]() mutable {
      is_host_thread = true;
      work();
    });
  } catch (const std::system_error& error) {
    throw system_failure(error.code().value(), "clone3, for a thread");
  }
}

}  // namespace taskhost
