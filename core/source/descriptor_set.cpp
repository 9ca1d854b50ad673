#include "descriptor_set.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <limits>

#include "taskhost/core/system_failure.hpp"
#include "taskhost/core/wake_port.hpp"

namespace taskhost {

namespace {

Refusal refusal_of(int error) noexcept {
  switch (error) {
    case EBADF:
      return Refusal::not_open;
    case EPERM:
      return Refusal::always_ready;
    case EMFILE:
    case ENFILE:
      return Refusal::no_descriptor;
    case EINVAL:  // too many sets contain it, counted by the paths from it to a set that nobody watches
      return Refusal::watched_by_many;
    case ELOOP:
      return Refusal::loop;
    default:  // ENOMEM, ENOSPC
      return Refusal::no_memory;
  }
}

// A new one, or one that is there already under this number.
int put(int set, int descriptor, std::uint32_t events, std::uint64_t tag) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (::epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event) == 0) return 0;
  if (errno == EEXIST && ::epoll_ctl(set, EPOLL_CTL_MOD, descriptor, &event) == 0) return 0;
  return errno;
}

std::uint64_t tag_of(TaskCell& cell) noexcept { return reinterpret_cast<std::uintptr_t>(&cell); }

OwnedDescriptor new_set() noexcept {
  OwnedDescriptor set(::epoll_create1(EPOLL_CLOEXEC));
  if (set.get() > STDERR_FILENO || !set) return set;
  // A task has closed a standard stream, and another may print to it.
  return OwnedDescriptor(::fcntl(set.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

// To the nanosecond where the system has that, else to the millisecond: never early.
int wait_for(int set, epoll_event* events, int count, Nanoseconds limit) noexcept {
  constexpr Nanoseconds second = 1'000'000'000;
  constexpr Nanoseconds longest = std::numeric_limits<int>::max() * (second / 1000);
#ifdef SYS_epoll_pwait2
  static std::atomic<bool> has_nanoseconds{true};
  if (limit != 0 && limit != never && has_nanoseconds.load(std::memory_order_relaxed)) {
    struct {
      std::int64_t seconds;
      std::int64_t nanoseconds;
    } const time{static_cast<std::int64_t>(std::min(limit, longest) / second),
                 static_cast<std::int64_t>(limit % second)};
    const auto found = static_cast<int>(::syscall(SYS_epoll_pwait2, set, events, count, &time, nullptr, 0));
    if (found >= 0 || (errno != ENOSYS && errno != EPERM)) return found;
    has_nanoseconds.store(false, std::memory_order_relaxed);
  }
#endif
  const int milliseconds = limit == never ? -1 : static_cast<int>((std::min(limit, longest) + 999'999) / 1'000'000);
  return ::epoll_wait(set, events, count, milliseconds);
}

}  // namespace

OwnedDescriptor::~OwnedDescriptor() { reset(-1); }

void OwnedDescriptor::reset(int descriptor) noexcept {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = descriptor;
}

ShardSet::ShardSet(int port) : set_(new_set()) {
  if (!set_) throw system_failure(errno, "epoll_create1");
  if (const int error = put(set_.get(), port, EPOLLIN, 0); error != 0) throw system_failure(error, "epoll_ctl");
}

std::size_t ShardSet::wait(Nanoseconds limit, void* (&found)[max_found]) noexcept {
  std::array<epoll_event, max_found> events;
  const int count = wait_for(set_.get(), events.data(), static_cast<int>(max_found), limit);
  if (count < 0) {
    if (errno == EBADF || errno == EINVAL) WakePort::tell_lost_descriptor();
    return 0;
  }
  const auto all = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < all; ++i) found[i] = events[i].data.ptr;
  return all;
}

Refusal DescriptorSet::watch(TaskCell& cell, const ShardSet& shard, int descriptor, unsigned interests,
                             std::uint64_t tag) noexcept {
  int set = set_.load(std::memory_order_relaxed);
  if (interests == 0) {
    // One that is closed already has left the set, unless there is a copy of it.
    const bool is_closed = set >= 0 && ::epoll_ctl(set, EPOLL_CTL_DEL, descriptor, nullptr) != 0 && errno == EBADF;
    return is_closed ? Refusal::not_open : Refusal::none;
  }
  if (set < 0) {
    // Before the set takes the number of one that is not open.
    if (::fcntl(descriptor, F_GETFD) < 0) return Refusal::not_open;
    OwnedDescriptor made = new_set();
    if (!made) return refusal_of(errno);
    set = made.get();
    if (const int error = put(shard.descriptor(), set, EPOLLIN, tag_of(cell)); error != 0) return refusal_of(error);
    set_.store(made.release(), std::memory_order_release);
  }
  if (descriptor == set) return Refusal::not_open;  // the plugin's own with this number has been closed
  const std::uint32_t events =
      ((interests & readable) != 0 ? EPOLLIN : 0u) | ((interests & writable) != 0 ? EPOLLOUT : 0u);
  const int error = put(set, descriptor, events, tag);
  if (error == 0) return Refusal::none;
  // Somebody may have closed the set itself, and its number may be another's by now.
  epoll_event event;
  if ((error == EBADF || error == EINVAL) && ::epoll_wait(set, &event, 1, 0) < 0 && errno != EINTR) {
    WakePort::tell_lost_descriptor();
  }
  return refusal_of(error);
}

std::size_t DescriptorSet::take(Ready* list, std::size_t capacity) const noexcept {
  const int set = set_.load(std::memory_order_relaxed);
  if (set < 0 || capacity == 0) return 0;
  // In one call, since a further one would begin with those that are ready still. The system's entries are the smaller
  // ones: they are read into the list, and made ours from the last to the first.
  static_assert(sizeof(epoll_event) <= sizeof(Ready));
  auto* const events = reinterpret_cast<std::byte*>(list);
  const auto most = static_cast<int>(std::min<std::size_t>(capacity, std::numeric_limits<int>::max() / sizeof(Ready)));
  const int count = ::epoll_wait(set, reinterpret_cast<epoll_event*>(events), most, 0);
  if (count < 0 && (errno == EBADF || errno == EINVAL)) WakePort::tell_lost_descriptor();
  for (int i = count - 1; i >= 0; --i) {
    epoll_event event;
    std::memcpy(&event, events + static_cast<std::size_t>(i) * sizeof event, sizeof event);
    Ready ready{event.data.u64, 0, 0};
    if ((event.events & EPOLLIN) != 0) ready.what |= readable;
    if ((event.events & EPOLLOUT) != 0) ready.what |= writable;
    // A read or a write finds out what it is; a queue of errors has to be asked for them.
    if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) ready.what |= broken | readable | writable;
    list[i] = ready;
  }
  return static_cast<std::size_t>(std::max(count, 0));
}

void DescriptorSet::set_heard(TaskCell& cell, const ShardSet& shard, bool heard) const noexcept {
  const int set = set_.load(std::memory_order_acquire);
  if (set < 0) return;
  epoll_event event{};
  event.events = heard ? EPOLLIN : 0u;
  event.data.u64 = tag_of(cell);
  ::epoll_ctl(shard.descriptor(), EPOLL_CTL_MOD, set, &event);
}

void DescriptorSet::clear(const ShardSet& shard) noexcept {
  const int set = set_.exchange(-1, std::memory_order_acq_rel);
  if (set < 0) return;
  ::epoll_ctl(shard.descriptor(), EPOLL_CTL_DEL, set, nullptr);  // a child may have a copy, which would keep it there
  ::close(set);
}

}  // namespace taskhost
