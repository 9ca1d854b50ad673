// The descriptors that one execution watches: a kernel set of its own, which its shard watches in turn. What a plugin
// closes leaves the set by itself, a number that is used again is a new descriptor, and nothing of the plugin's is
// duplicated or made non-blocking.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "taskhost/core/execution.hpp"

namespace taskhost {

struct TaskCell;

// Closes its descriptor, unless it was released. Any thread.
class OwnedDescriptor {
 public:
  OwnedDescriptor() = default;
  explicit OwnedDescriptor(int descriptor) noexcept : descriptor_(descriptor) {}
  OwnedDescriptor(OwnedDescriptor&& other) noexcept : descriptor_(other.release()) {}
  OwnedDescriptor& operator=(OwnedDescriptor&&) = delete;
  ~OwnedDescriptor();

  explicit operator bool() const noexcept { return descriptor_ >= 0; }
  int get() const noexcept { return descriptor_; }
  int release() noexcept { return std::exchange(descriptor_, -1); }
  void reset(int descriptor) noexcept;

 private:
  int descriptor_ = -1;
};

// The kernel set in which a shard watches its port and the sets of its executions.
class ShardSet {
 public:
  // Throws std::system_error. `port`: the descriptor of the shard's port, which stays its owner's.
  explicit ShardSet(int port);

  int descriptor() const noexcept { return set_.get(); }
  // [owner] Waits for at most so long, and calls port() if that is readable, and ready(cell) for each cell with a ready
  // descriptor.
  template <class Port, class Ready>
  void wait(Nanoseconds limit, Port&& port, Ready&& ready) {
    void* found[max_found];
    const std::size_t count = wait(limit, found);
    for (std::size_t i = 0; i < count; ++i) {
      if (found[i] == nullptr) {
        port();
      } else {
        ready(*static_cast<TaskCell*>(found[i]));
      }
    }
  }

 private:
  static constexpr std::size_t max_found = 64;
  std::size_t wait(Nanoseconds limit, void* (&found)[max_found]) noexcept;

  OwnedDescriptor set_;
};

class DescriptorSet {
 public:
  DescriptorSet() = default;
  DescriptorSet(const DescriptorSet&) = delete;
  DescriptorSet& operator=(const DescriptorSet&) = delete;

  // [execution] No interests: forgets it.
  Refusal watch(TaskCell& cell, const ShardSet& shard, int descriptor, unsigned interests, std::uint64_t tag) noexcept;
  // [execution] Those that are ready now. Returns how many.
  std::size_t take(Ready* list, std::size_t capacity) const noexcept;

  // [shard] While a thread is stuck in a call of the cell, which can't be polled: a ready descriptor must not keep the
  // shard from sleeping.
  void set_heard(TaskCell& cell, const ShardSet& shard, bool heard) const noexcept;
  // [shard] The execution is over.
  void clear(const ShardSet& shard) noexcept;

 private:
  std::atomic<int> set_{-1};  // made by the execution's thread, and read by the shard's while that is stuck
};

}  // namespace taskhost
