// Waits for one file descriptor on behalf of one execution. Works on a duplicate, so that the plugin may close its
// descriptor at any time without confusing the loop. The duplicate exists only while something is waited for, since it
// keeps a connection open.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <utility>

namespace taskhost {

struct TaskCell;

// Closes its descriptor unless that was released. Any thread.
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

 private:
  int descriptor_ = -1;
};

// A duplicate of the descriptor, or nothing if it can't be waited for.
OwnedDescriptor duplicate_waitable(int descriptor) noexcept;

class DescriptorWatch : public std::enable_shared_from_this<DescriptorWatch> {
 public:
  // Throws boost::system::system_error.
  DescriptorWatch(boost::asio::io_context& context, TaskCell& cell, int descriptor, OwnedDescriptor duplicate);

  int descriptor() const noexcept { return descriptor_; }

  // [shard] Wakes the cell once for each of the interests, when it is met. The watch belongs to the cell's list, and
  // leaves it when there is nothing left to wait for.
  void arm(unsigned interests);
  // [shard] No more wakes: the execution is over, or no longer wants the descriptor.
  void close() noexcept;

 private:
  void wait(unsigned interest);
  void met(unsigned interest, bool aborted);
  void leave_if_served() noexcept;

  TaskCell& home_;
  TaskCell* cell_;  // the same; null once closed
  const int descriptor_;
  unsigned pending_ = 0;
  boost::asio::posix::stream_descriptor stream_;
};

}  // namespace taskhost
