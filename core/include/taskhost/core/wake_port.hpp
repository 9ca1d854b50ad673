// Wakes from any thread: wakers as values, the slots that they name, and a shard's mailbox of woken slots.
//
// A waker is (generation << 32 | slot index). Slots and ports are type-stable: they are allocated in chunks that are
// never freed, and reused by later hosts. So a waker of any age reads valid memory, and needs no reference count and no
// release. The chunks are the project's only global.
//
// A wake from a foreign thread goes like this: the slot's generation matches; the taken bit of `link` is set (only one
// waker finds it clear: wakes merge); the slot is pushed to its port's list; if the port's owner sleeps, its descriptor
// is written. The owner takes the list, clears `link` and looks at the slot. Every change of `link` is a
// read-modify-write, so the owner sees whatever any of the merged wakers wrote before. A slot never changes its port,
// so even a push that arrives in a later host ends in the right list, where it is a spurious wake at worst.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "taskhost/core/home_process.hpp"

namespace taskhost {

using Waker = std::uint64_t;

struct TaskCell;

struct WakeSlot {
  std::atomic<std::uint32_t> generation{1};  // the current waker's; only the port's owner changes it
  std::atomic<std::uint32_t> link{0};  // 0: not woken; else taken | index of the next + 1, or taken | 0 at the end
  TaskCell* cell = nullptr;            // for the owner only; null: free
};

class WakePort {
 public:
  // A port for one shard, from this process's pool. A child process has a pool of its own, since it shares the parent's
  // descriptors. Throws std::system_error if the system has no descriptor left.
  static WakePort& acquire();
  // To be set once per process. Called when somebody has closed a port's descriptor, so that its shard can't be woken;
  // on the thread whose wake or look finds it. Must not return.
  static void on_lost_descriptor(void (*handler)()) noexcept;
  // [any thread] Somebody has closed a descriptor without which a shard can't be woken.
  static void tell_lost_descriptor() noexcept;
  // [any thread]
  void look() const noexcept;
  // Returns it to the pool. All its slots must be free.
  void release() noexcept;

  WakePort(const WakePort&) = delete;
  WakePort& operator=(const WakePort&) = delete;

  static constexpr std::uint32_t no_slot = ~std::uint32_t{0};

  // [any thread] Puts a slot for the cell into `slot`, unless there is one already. Stores it with release, for those
  // who load it with acquire and wake what they find. Throws std::bad_alloc.
  std::uint32_t add(TaskCell* cell, std::atomic<std::uint32_t>& slot);
  std::uint32_t add(TaskCell* cell) {
    std::atomic<std::uint32_t> slot{no_slot};
    return add(cell, slot);
  }
  // [owner] Ignores no_slot.
  void remove(std::uint32_t slot) noexcept;

  // [owner] A slot's current generation: the upper half of its waker.
  static std::uint32_t generation(std::uint32_t slot) noexcept;
  static Waker waker(std::uint32_t slot) noexcept { return Waker{generation(slot)} << 32 | slot; }
  // [owner] Makes the wakers given out so far do nothing.
  static void expire(std::uint32_t slot) noexcept;
  // [any thread] Whether the waker's execution has not ended. Only a hint: it may end at any time.
  static bool current(Waker waker) noexcept;

  // [any thread] Lock-free; writes to a descriptor at most once. Does nothing in a child of the port's process.
  static void wake(Waker waker) noexcept;

  // [owner] Calls function(TaskCell&) for each slot woken since the last time.
  template <class Function>
  void drain(Function&& function) {
    if (woken_.load(std::memory_order_relaxed) == 0) return;
    for (std::uint32_t next = woken_.exchange(0, std::memory_order_acq_rel); next != 0;) {
      WakeSlot& slot = at(next - 1);
      // Cleared before the cell is looked at, so that a later wake counts.
      next = slot.link.exchange(0, std::memory_order_acq_rel) & ~taken;
      if (slot.cell != nullptr) function(*slot.cell);
    }
  }

  // [owner] To be called before a sleep that ends when descriptor() is readable. False: something was woken, so don't
  // sleep.
  bool begin_sleep() noexcept;
  void end_sleep() noexcept;
  // [any thread that knows that the owner exists] Ends its sleep.
  void ring() noexcept;
  int descriptor() const noexcept { return descriptor_; }
  // [any thread] The process of the shard that uses it.
  const HomeProcess& home() const noexcept { return home_; }
  // [owner] Makes the descriptor unreadable again.
  void quiet() noexcept;

 private:
  friend struct WakeChunk;
  explicit WakePort(int descriptor) : descriptor_(descriptor) {}

  static constexpr std::uint32_t taken = 1u << 31;

  static WakeSlot& at(std::uint32_t index) noexcept;

  std::atomic<std::uint32_t> woken_{0};  // first slot's index + 1, or 0
  std::atomic<bool> sleeping_{false};
  const HomeProcess home_;
  int descriptor_;    // an eventfd; never closed
  std::mutex mutex_;  // for the two below
  std::vector<std::uint32_t> free_;
  std::size_t slot_count_ = 0;  // free or not
};

}  // namespace taskhost
