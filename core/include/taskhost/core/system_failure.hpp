// Explains what the system refused, and what to do about it: which limit was reached, its value, and how to raise it.
// Only reads limits; any thread.
#pragma once

#include <system_error>
#include <thread>
#include <utility>

#include "taskhost/core/host_thread.hpp"

namespace taskhost {

// Whether the errno means that a limit was reached, or that memory ran out.
bool is_shortage(int error) noexcept;

// The same, or that this process is not allowed to make the call.
bool is_refusal(int error) noexcept;

// `error` is an errno; `what` names the call, for errors about which there is no more to say.
std::system_error system_failure(int error, const char* what);

// Makes one of the host's own threads. Throws what system_failure returns if there is none.
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
