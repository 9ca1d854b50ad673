#include "worker/children.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <string_view>
#include <utility>

#include "worker/descriptor.hpp"

namespace taskhost {

namespace {

using Path = std::array<char, 64>;

// Calls it with each number in the text, which may come in pieces.
template <typename Call>
class Numbers {
 public:
  explicit Numbers(Call call) noexcept : call_(call) {}
  void read(std::string_view piece) noexcept {
    for (const char letter : piece) {
      if (letter >= '0' && letter <= '9') {
        number_ = number_ * 10 + (letter - '0');
      } else {
        end();
      }
    }
  }
  void end() noexcept {
    if (number_ != 0) call_(std::exchange(number_, 0));
  }

 private:
  Call call_;
  pid_t number_ = 0;
};

bool is_proc_of_this_namespace() noexcept {
  Path text;
  const ssize_t size = ::readlink("/proc/self", text.data(), text.size());
  bool is_same = false;
  Numbers look([&is_same](pid_t number) { is_same = number == ::getpid(); });
  if (size > 0) look.read({text.data(), static_cast<std::size_t>(size)});
  look.end();
  return is_same;
}

void kill_children_of(pid_t process, const char* thread) noexcept {
  Path path;
  std::snprintf(path.data(), path.size(), "/proc/%d/task/%.20s/children", static_cast<int>(process), thread);
  const Descriptor file(::open(path.data(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return;
  Numbers children([](pid_t child) {
    ::kill(-child, SIGKILL);
    ::kill(child, SIGKILL);  // it may be about to lead one
  });
  std::array<char, 4096> text;
  for (ssize_t size = 0; (size = ::read(file.get(), text.data(), text.size())) > 0;) {
    children.read({text.data(), static_cast<std::size_t>(size)});
  }
  children.end();
}

}  // namespace

void kill_groups_of_children(pid_t process) noexcept {
  if (!is_proc_of_this_namespace()) return;
  Path path;
  std::snprintf(path.data(), path.size(), "/proc/%d/task", static_cast<int>(process));
  const Descriptor threads(::open(path.data(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!threads.is_open()) return;
  alignas(dirent64) std::array<char, 4096> entries;
  for (long size = 0; (size = ::syscall(SYS_getdents64, threads.get(), entries.data(), entries.size())) > 0;) {
    for (const char* at = entries.data(); at < entries.data() + size;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(at);  // as the kernel has it
      if (entry->d_name[0] != '.') kill_children_of(process, entry->d_name);
      at += entry->d_reclen;
    }
  }
}

}  // namespace taskhost
