// Who owns a shard while task code runs on its thread. Before each call into task code the owner lends the shard out;
// after it, takes it back. Between the two another thread may take the shard over for good: the call was stuck. The
// thread that comes back late finds its lease gone, and must touch neither the shard nor the task again.
//
// One word: call number × 4 + state. The compare-exchange in take_back and take_over decides every race between them;
// that both name the call number makes sure that take_over hits the very call that was seen to be stuck.
#pragma once

#include <atomic>
#include <cstdint>

namespace taskhost {

class Lease {
 public:
  using Call = std::uint64_t;

  // [owner] Everything the owner wrote is visible to whoever takes over.
  Call lend() noexcept {
    const Call call = ++calls_ << 2 | in_call;
    word_.store(call, std::memory_order_release);
    return call;
  }

  // [the thread that lent] False: the shard was taken over meanwhile.
  bool take_back(Call call) noexcept {
    return word_.compare_exchange_strong(call, call & ~state_mask, std::memory_order_acq_rel,
                                         std::memory_order_relaxed);
  }

  // [any thread] The call that runs now, or 0.
  Call running() const noexcept {
    const Call word = word_.load(std::memory_order_acquire);
    return (word & state_mask) == in_call ? word : 0;
  }

  // [any thread] Grows with each call.
  std::uint64_t calls() const noexcept { return word_.load(std::memory_order_relaxed) >> 2; }

  // [any thread] True: that call is still running, and the caller owns the shard now.
  bool take_over(Call call) noexcept {
    return word_.compare_exchange_strong(call, call & ~state_mask, std::memory_order_acq_rel,
                                         std::memory_order_relaxed);
  }

 private:
  static constexpr Call state_mask = 3;
  static constexpr Call in_call = 1;

  std::atomic<Call> word_{0};
  Call calls_ = 0;  // the owner's
};

}  // namespace taskhost
