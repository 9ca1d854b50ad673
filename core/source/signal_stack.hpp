// A second stack for the signal handlers of the calling thread that ask for one (SA_ONSTACK): so that even a stack
// overflow can be told. At the beginning of the thread's own stack, for as long as this object lives there.
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
    (void)::sigaltstack(&stack, nullptr);  // where handlers need more, they go without
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
  alignas(16) std::byte memory_[std::size_t{16} << 10];  // not touched until it is needed
};

}  // namespace taskhost
