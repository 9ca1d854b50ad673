// Waits for one file descriptor on behalf of one execution. Works on a duplicate of its own, so that the plugin may
// close its descriptor at any time without confusing the loop; the duplicate is there only while something is waited
// for, since it keeps a connection open.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <utility>

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

  // [shard] One wake of the cell for each of the interests, once it is met. The watch is one of the cell's; it leaves
  // them when nothing is waited for any more.
  void arm(unsigned interests);
  // [shard] The execution is over, or forgets the descriptor: no wake any more.
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
