#include "operate/process_watch.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace taskhost {

namespace {

// struct pidfd_info of Linux 6.13, whose PIDFD_INFO_EXIT came with 6.15.
struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroup;
  std::uint32_t ids[11];
  std::int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr std::uint64_t info_exit = 1U << 3U;
constexpr unsigned long get_info = _IOWR(0xFF, 11, PidfdInfo);

// Of one that its parent has not waited for yet; nothing for others.
std::optional<int> status_of_zombie(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text;
  std::getline(file, text, '\0');  // which, unlike an iterator, takes it calmly if the process is gone meanwhile
  const std::size_t name_end = text.rfind(')');  // the name may have anything in it
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::string state;
  fields >> state;
  if (state != "Z") return std::nullopt;
  constexpr int status_field = 52;
  std::string last;
  for (int number = 4; number <= status_field; ++number) {
    if (!(fields >> last)) return std::nullopt;
  }
  return std::stoi(last);
}

}  // namespace

ProcessWatch::ProcessWatch(pid_t process) : process_(process) {
  if (process > 0) descriptor_ = static_cast<int>(::syscall(SYS_pidfd_open, process, 0));
}

ProcessWatch::~ProcessWatch() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool ProcessWatch::wait(std::chrono::milliseconds limit) const {
  pollfd waited{.fd = descriptor_, .events = POLLIN, .revents = 0};
  return ::poll(&waited, 1, static_cast<int>(limit.count())) > 0;
}

std::optional<int> ProcessWatch::wait_status() const {
  // The system tells it when the parent has waited for it, which is usually at once.
  for (int attempt = 0; attempt < 10; ++attempt) {
    PidfdInfo info{};
    info.mask = info_exit;
    if (::ioctl(descriptor_, get_info, &info) == 0 && (info.mask & info_exit) != 0) return info.exit_code;
    if (const std::optional<int> status = status_of_zombie(process_)) return status;
    pollfd pause{.fd = -1, .events = 0, .revents = 0};
    ::poll(&pause, 1, 10);
  }
  return std::nullopt;
}

}  // namespace taskhost
