#include "descriptor_watch.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shard.hpp"
#include "task_cell.hpp"

namespace taskhost {

namespace {

// Many devices are like files: they are always ready, and epoll rejects them. Asio would call them ready at once.
bool is_waitable_device(int descriptor) noexcept {
  if (::isatty(descriptor) == 1) return true;
  const OwnedDescriptor poll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  return poll && ::epoll_ctl(poll.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

}  // namespace

OwnedDescriptor::~OwnedDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

OwnedDescriptor duplicate_waitable(int descriptor) noexcept {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return {};
  if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) return {};  // always ready, like those devices
  if ((S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) && !is_waitable_device(descriptor)) return {};
  // Above the standard streams: a task may have closed one of them, and another may print to it.
  return OwnedDescriptor(::fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

DescriptorWatch::DescriptorWatch(boost::asio::io_context& context, TaskCell& cell, int descriptor,
                                 OwnedDescriptor duplicate)
    : home_(cell), cell_(&cell), descriptor_(descriptor), stream_(context) {
  stream_.assign(duplicate.get());
  duplicate.release();
}

void DescriptorWatch::arm(unsigned interests) {
  try {
    for (const unsigned interest : {unsigned{readable}, unsigned{writable}}) {
      if ((interests & interest) != 0 && (pending_ & interest) == 0) wait(interest);
    }
  } catch (...) {
    leave_if_served();
    throw;
  }
}

void DescriptorWatch::wait(unsigned interest) {
  const auto what = interest == readable ? boost::asio::posix::stream_descriptor::wait_read
                                         : boost::asio::posix::stream_descriptor::wait_write;
  stream_.async_wait(what, [self = shared_from_this(), interest](const boost::system::error_code& error) {
    self->met(interest, error == boost::asio::error::operation_aborted);
  });
  pending_ |= interest;
}

void DescriptorWatch::met(unsigned interest, bool aborted) {
  // A thread is stuck in a call of the task, and may be about to change this watch.
  if (home_.stalled) {
    home_.kind->shard.defer(home_, [self = shared_from_this(), interest, aborted] { self->met(interest, aborted); });
    return;
  }
  pending_ &= ~interest;
  if (cell_ == nullptr) return;
  leave_if_served();
  // An error that we did not cause wakes the task as well: it will see the error when it reads.
  if (!aborted) home_.kind->shard.wake(home_);
}

void DescriptorWatch::leave_if_served() noexcept {
  if (cell_ == nullptr || pending_ != 0) return;
  const std::shared_ptr<DescriptorWatch> self = shared_from_this();  // the cell may hold the only other reference
  std::erase(cell_->extra->watches, self);
  close();
}

void DescriptorWatch::close() noexcept {
  cell_ = nullptr;
  boost::system::error_code ignored;
  stream_.close(ignored);
}

}  // namespace taskhost
