#include "needed_calls.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <cerrno>

#include "descriptor_set.hpp"
#include "taskhost/core/system_failure.hpp"

namespace taskhost {

namespace {

void require(bool done, const char* call) {
  if (!done) throw system_failure(errno, call);
}

}  // namespace

void require_needed_calls() {
  const OwnedDescriptor bell(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  require(static_cast<bool>(bell), "eventfd2");
  const OwnedDescriptor set(::epoll_create1(EPOLL_CLOEXEC));
  require(static_cast<bool>(set), "epoll_create1");
  epoll_event event{};
  require(::epoll_ctl(set.get(), EPOLL_CTL_ADD, bell.get(), &event) == 0, "epoll_ctl");
  require(::epoll_wait(set.get(), &event, 1, 0) >= 0 || errno == EINTR, "epoll_wait");
  const OwnedDescriptor timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  require(static_cast<bool>(timer), "timerfd_create");
  const itimerspec never{};
  require(::timerfd_settime(timer.get(), 0, &never, nullptr) == 0, "timerfd_settime");
}

}  // namespace taskhost
