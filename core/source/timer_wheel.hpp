// The timers of one shard: intrusive, one per task, O(1) to set and cancel. Not thread-safe; used by the shard's owner.
//
// A hierarchical timing wheel (Varghese and Lauck, 1987). A tick is 2^16 ns (65.5 µs): a timer fires at the first tick
// at or after its deadline, never before. Level 0 has 4096 slots (268 ms); each higher level has 64 slots, each as long
// as the whole level below: 17 s, 18 min, 19 h, 51 days, 9 years. A timer beyond the last level waits in that level's
// last slot and is placed again from there.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "taskhost/core/clock.hpp"

namespace taskhost {

struct TimerNode {
  TimerNode* next = nullptr;
  TimerNode** previous_next = nullptr;  // null: not set
  Nanoseconds deadline = 0;

  bool is_set() const noexcept { return previous_next != nullptr; }
};

class TimerWheel {
 public:
  explicit TimerWheel(Nanoseconds now) noexcept : current_(now >> tick_shift) {}

  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  bool empty() const noexcept { return count_ == 0; }

  // The node must not be set.
  void set(TimerNode& node, Nanoseconds deadline) noexcept {
    node.deadline = deadline;
    place(node);
    ++count_;
  }

  void cancel(TimerNode& node) noexcept {
    if (!node.is_set()) return;
    unlink(node);
    --count_;
  }

  // Calls function(TimerNode&) for every timer due at `now`; the timer is no longer set then. The function may set and
  // cancel timers; one that it sets for a time in the past fires in a later call.
  template <class Function>
  void advance(Nanoseconds now, Function&& function) {
    const std::uint64_t target = now >> tick_shift;
    while (current_ <= target) {
      if (count_ == 0) {
        current_ = target + 1;
        return;
      }
      if ((current_ & level0_mask) == 0) cascade(current_);
      const std::uint64_t next = next_tick();
      if (next > target) {
        current_ = target + 1;
        return;
      }
      if (next != current_ && (next & level0_mask) == 0) {
        current_ = next;
        continue;  // a new turn of level 0: cascade first
      }
      // Advanced first, so that what the function sets for a time in the past goes to the next tick.
      current_ = next + 1;
      clear_bit(next & level0_mask);
      TimerNode* due = level0_[next & level0_mask];
      if (due == nullptr) continue;  // cancelled: only the bit is left
      level0_[next & level0_mask] = nullptr;
      due->previous_next = &due;  // so that the function may cancel timers of this tick
      while (due != nullptr) {
        TimerNode& node = *due;
        unlink(node);
        --count_;
        function(node);
      }
    }
  }

  // A time at which advance has something to do, or never. May be early (where a higher level's slot begins, or a timer
  // was cancelled), but is never late.
  Nanoseconds next_deadline() const noexcept { return count_ == 0 ? never : next_tick() << tick_shift; }

 private:
  static constexpr unsigned tick_shift = 16;
  static constexpr unsigned level0_bits = 12;
  static constexpr unsigned level_bits = 6;
  static constexpr std::size_t levels = 5;
  static constexpr std::uint64_t level0_slots = 1u << level0_bits;
  static constexpr std::uint64_t level0_mask = level0_slots - 1;
  static constexpr std::uint64_t level_slots = 1u << level_bits;
  static constexpr std::uint64_t level_mask = level_slots - 1;
  static constexpr std::uint64_t never_tick = ~std::uint64_t{0};

  static constexpr unsigned shift_of(std::size_t level) noexcept {
    return level0_bits + level_bits * static_cast<unsigned>(level);
  }

  // The first tick from current_ on at which a timer may fire, or a higher level's slot cascades. The wheel must not be
  // empty.
  std::uint64_t next_tick() const noexcept {
    std::uint64_t tick = next_level0(current_);
    if ((tick & level0_mask) == 0 && tick != current_) {
      // Nothing is left in this turn. The slots before the current one belong to the next turn.
      const std::uint64_t wrapped = next_level0(tick);
      tick = (wrapped & level0_mask) < (current_ & level0_mask) && wrapped < tick + level0_slots ? wrapped : never_tick;
    }
    for (std::size_t level = 0; level < levels; ++level) tick = std::min(tick, next_upper(level));
    return tick == never_tick ? current_ : tick;
  }

  void place(TimerNode& node) noexcept {
    constexpr Nanoseconds rounding = (Nanoseconds{1} << tick_shift) - 1;
    std::uint64_t tick =
        node.deadline > never - rounding ? never >> tick_shift : (node.deadline + rounding) >> tick_shift;
    if (tick < current_) tick = current_;
    const std::uint64_t distance = tick - current_;
    if (distance < level0_slots) {
      push(level0_[tick & level0_mask], node);
      set_bit(tick & level0_mask);
      return;
    }
    for (std::size_t level = 0; level < levels; ++level) {
      if (distance >> shift_of(level + 1) == 0 || level + 1 == levels) {
        std::uint64_t slot_tick = tick;
        if (distance >> shift_of(level + 1) != 0) slot_tick = current_ + (level_mask << shift_of(level));  // too far
        const std::uint64_t slot = (slot_tick >> shift_of(level)) & level_mask;
        push(upper_[level][slot], node);
        upper_bits_[level] |= std::uint64_t{1} << slot;
        return;
      }
    }
  }

  void push(TimerNode*& head, TimerNode& node) noexcept {
    node.next = head;
    node.previous_next = &head;
    if (head != nullptr) head->previous_next = &node.next;
    head = &node;
  }

  static void unlink(TimerNode& node) noexcept {
    *node.previous_next = node.next;
    if (node.next != nullptr) node.next->previous_next = node.previous_next;
    node.previous_next = nullptr;
  }

  // At the start of a turn of level 0: redistributes the slots of higher levels that begin now.
  void cascade(std::uint64_t tick) noexcept {
    for (std::size_t level = 0; level < levels; ++level) {
      TimerNode*& slot = upper_[level][(tick >> shift_of(level)) & level_mask];
      TimerNode* node = slot;
      slot = nullptr;
      upper_bits_[level] &= ~(std::uint64_t{1} << ((tick >> shift_of(level)) & level_mask));
      while (node != nullptr) {
        TimerNode* next = node->next;
        place(*node);
        node = next;
      }
      if (((tick >> shift_of(level)) & level_mask) != 0) break;
    }
  }

  // The start of this level's first slot that has not cascaded yet and may hold a timer; or never_tick.
  std::uint64_t next_upper(std::size_t level) const noexcept {
    if (upper_bits_[level] == 0) return never_tick;
    const bool poured = (current_ & ((std::uint64_t{1} << shift_of(level)) - 1)) != 0;
    const std::uint64_t first = (current_ >> shift_of(level)) + (poured ? 1 : 0);
    const std::uint64_t bits = std::rotr(upper_bits_[level], static_cast<int>(first & level_mask));
    return (first + static_cast<std::uint64_t>(std::countr_zero(bits))) << shift_of(level);
  }

  void set_bit(std::uint64_t slot) noexcept { bits_[slot / 64] |= std::uint64_t{1} << slot % 64; }
  void clear_bit(std::uint64_t slot) noexcept { bits_[slot / 64] &= ~(std::uint64_t{1} << slot % 64); }

  // The first tick from `from` on whose slot may hold a timer, or the start of the next turn. Cancelled timers leave
  // their bit behind.
  std::uint64_t next_level0(std::uint64_t from) const noexcept {
    const std::uint64_t start = from & level0_mask;
    std::uint64_t word = start / 64;
    std::uint64_t bits = bits_[word] & (~std::uint64_t{0} << start % 64);
    while (bits == 0) {
      if (++word == level0_slots / 64) return (from | level0_mask) + 1;
      bits = bits_[word];
    }
    return (from & ~level0_mask) + word * 64 + static_cast<std::uint64_t>(std::countr_zero(bits));
  }

  std::uint64_t current_;  // the first tick not yet fired
  std::size_t count_ = 0;
  std::array<TimerNode*, level0_slots> level0_{};
  std::array<std::uint64_t, level0_slots / 64> bits_{};
  std::array<std::array<TimerNode*, level_slots>, levels> upper_{};
  std::array<std::uint64_t, levels> upper_bits_{};  // like bits_: set where a slot may hold a timer
};

}  // namespace taskhost
