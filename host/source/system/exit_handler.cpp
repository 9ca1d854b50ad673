#include "system/exit_handler.hpp"

#include <atomic>
#include <cstdlib>

namespace taskhost {

namespace {

std::atomic<ExitHandler> handler_at_exit{nullptr};

// Twice, because a handler is taken off the list before it is called, and meanwhile another thread may call exit, too.
void register_twice() {
  for (int i = 0; i < 2; ++i) {
    ::on_exit([](int status, void* /*unused*/) { handler_at_exit.load()(status); },
              nullptr);  // like atexit, but with the status
    std::at_quick_exit([] { handler_at_exit.load()(std::nullopt); });
  }
}

}  // namespace

void set_exit_handler(ExitHandler handler) {
  if (handler_at_exit.exchange(handler) == nullptr) register_twice();
}

void renew_exit_handler() {
  if (handler_at_exit.load() != nullptr) register_twice();
}

}  // namespace taskhost
