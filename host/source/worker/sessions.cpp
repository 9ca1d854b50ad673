#include "worker/sessions.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstring>
#include <mutex>

#include "system/own_descriptor.hpp"

namespace taskhost {

namespace {

constexpr unsigned most_passes = 10;  // over processes that go on to start others

std::mutex reading;  // what is kept has one position for all

// 0: it is none.
pid_t number_in(const char* text) noexcept {
  pid_t number = 0;
  const char* const end = text + std::strlen(text);
  const auto result = std::from_chars(text, end, number);
  return result.ptr == end && result.ec == std::errc() ? number : 0;
}

bool is_of_this_namespace() noexcept {
  std::array<char, 32> self{};
  const ssize_t size = ::readlink("/proc/self", self.data(), self.size() - 1);
  return size > 0 && number_in(self.data()) == ::getpid();
}

}  // namespace

Sessions::Sessions() noexcept {
  if (!is_of_this_namespace()) return;
  const Descriptor low(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (low.is_open()) processes_ = Descriptor(duplicate_out_of_reach(low.get()));
}

template <typename Call>
void Sessions::for_each(pid_t leader, Call call) const noexcept {
  const Descriptor own(::openat(processes_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::unique_lock lock(reading, std::defer_lock);
  if (!own.is_open()) {
    lock.lock();
    ::lseek(processes_.get(), 0, SEEK_SET);
  }
  alignas(dirent64) std::array<char, 8192> entries;
  const int directory = own.is_open() ? own.get() : processes_.get();
  for (long size = 0; (size = ::syscall(SYS_getdents64, directory, entries.data(), entries.size())) > 0;) {
    for (const char* at = entries.data(); at < entries.data() + size;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(at);  // as the kernel has it
      const pid_t process = number_in(entry->d_name);
      if (process != 0 && process != leader && ::getsid(process) == leader) call(process);
      at += entry->d_reclen;
    }
  }
}

void Sessions::kill(pid_t leader) const noexcept {
  unsigned before = 0;
  for (unsigned pass = 0; pass < most_passes; ++pass) {
    unsigned count = 0;
    for_each(leader, [&](pid_t process) {
      ++count;
      const pid_t group = ::getpgid(process);  // which is of one session only
      ::kill(group > 0 && group != leader ? -group : process, SIGKILL);
    });
    if (count <= before) return;
    before = count;
  }
}

bool Sessions::has_others(pid_t leader) const noexcept {
  bool has_some = false;
  for_each(leader, [&has_some](pid_t) { has_some = true; });
  return has_some;
}

}  // namespace taskhost
