// Wakes from anywhere: wakers as values, the slots they name, and a shard's mailbox of woken slots.
//
// A waker is (generation << 32 | slot index). Slots and ports are type-stable: allocated in chunks that are never given
// back to the system and reused by later hosts, so a waker of any age reads valid memory. This is the one global of the
// project, and the reason why a stale waker needs no counting and no freeing.
//
// Life of a wake from a foreign thread: the slot's generation matches; the taken bit of `link` is set (only one waker
// finds it clear, wakes merge); the slot is pushed to its port's list; if the port's owner sleeps, its descriptor is
// written. The owner takes the list, clears `link` and looks at the slot. Every change of `link` is a
// read-modify-write, so the owner sees whatever any of the merged wakers wrote before. A slot never changes its port,
// so a push that is late by a whole host still ends in the list it belongs to, and is a spurious wake there at worst.
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
  std::atomic<std::uint32_t> generation{1};  // that of the current waker; only the port's owner changes it
  std::atomic<std::uint32_t> link{0};  // 0: not woken; else taken | index of the next + 1, or taken | 0 at the end
  TaskCell* cell = nullptr;            // the owner's; null: free
};

class WakePort {
 public:
  // A port for one shard, from the pool of this process; a child of it has its own, as descriptors are shared with it.
  // Throws std::system_error if the system has no descriptor left.
  static WakePort& acquire();
  // Once in a process: called when somebody has closed a port's descriptor, so that its shard can't be woken. On the
  // thread that has found it, by a wake or a look; does not return.
  static void on_lost_descriptor(void (*handler)()) noexcept;
  // [any thread]
  void look() const noexcept;
  // Gives it back. All its slots must be free.
  void release() noexcept;

  WakePort(const WakePort&) = delete;
  WakePort& operator=(const WakePort&) = delete;

  static constexpr std::uint32_t no_slot = ~std::uint32_t{0};

  // [any thread] Puts a slot for the cell into `slot`, unless there is one: with release, for those who
  // look there first, with acquire, and wake by what they find. Throws std::bad_alloc.
  std::uint32_t add(TaskCell* cell, std::atomic<std::uint32_t>& slot);
  std::uint32_t add(TaskCell* cell) {
    std::atomic<std::uint32_t> slot{no_slot};
    return add(cell, slot);
  }
  // [owner] no_slot: nothing.
  void remove(std::uint32_t slot) noexcept;

  // [owner] A slot's current generation: what is above the slot in its waker.
  static std::uint32_t generation(std::uint32_t slot) noexcept;
  static Waker waker(std::uint32_t slot) noexcept { return Waker{generation(slot)} << 32 | slot; }
  // [owner] From now on, wakers given out before do nothing.
  static void expire(std::uint32_t slot) noexcept;
  // [anywhere] Whether the waker's execution has not ended. A hint: it may end meanwhile.
  static bool current(Waker waker) noexcept;

  // [anywhere] Wakes. Lock-free; at most one write to a descriptor. In a child of the port's process nobody is woken.
  static void wake(Waker waker) noexcept;

  // [owner] Calls function(TaskCell&) for each slot woken since the last time.
  template <class Function>
  void drain(Function&& function) {
    if (woken_.load(std::memory_order_relaxed) == 0) return;
    for (std::uint32_t next = woken_.exchange(0, std::memory_order_acq_rel); next != 0;) {
      WakeSlot& slot = at(next - 1);
      // Before the cell is looked at: a wake after this one counts.
      next = slot.link.exchange(0, std::memory_order_acq_rel) & ~taken;
      if (slot.cell != nullptr) function(*slot.cell);
    }
  }

  // [owner] To be called before a sleep that ends when descriptor() is readable. False: something was woken; don't.
  bool begin_sleep() noexcept;
  void end_sleep() noexcept;
  // [any thread that knows the owner to be there] Ends its sleep.
  void ring() noexcept;
  int descriptor() const noexcept { return descriptor_; }
  // [any thread] The process whose shard has it.
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
