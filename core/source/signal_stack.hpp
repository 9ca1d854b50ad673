// An alternate stack for the calling thread's signal handlers (SA_ONSTACK), so that even a stack overflow can be
// reported. It lies in this object, at the beginning of the thread's own stack, and lasts as long as the object.
#pragma once

#include <signal.h>

#include <cstddef>

namespace taskhost {

class SignalStack {
 public:
  SignalStack() noexcept {
    stack_t stack{};
    stack.ss_sp = memory_;
    stack.ss_size = sizeof memory_;
    (void)::sigaltstack(&stack, nullptr);  // fails where the system needs a larger one: then there is none
  }
  ~SignalStack() {
    stack_t now{};
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    if (::sigaltstack(nullptr, &now) == 0 && now.ss_sp == memory_) (void)::sigaltstack(&none, nullptr);
  }
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  alignas(16) std::byte memory_[std::size_t{16} << 10];  // untouched until it is needed
};

}  // namespace taskhost
