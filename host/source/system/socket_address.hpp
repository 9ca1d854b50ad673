// The address of a socket in the file system.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace taskhost {

// An address has room for 107 bytes. A longer path goes by way of its directory, which is open as long as this lives;
// then only its last part is limited, to some 85 bytes.
class SocketAddress {
 public:
  explicit SocketAddress(const std::string& path) {
    address_.sun_family = AF_UNIX;
    std::string shorter = path;
    if (path.size() >= sizeof address_.sun_path) {
      const std::size_t end = path.rfind('/') + 1;
      directory_ = ::open(path.substr(0, end).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
      shorter = "/proc/self/fd/" + std::to_string(directory_) + '/' + path.substr(end);
    }
    fits_ = shorter.size() < sizeof address_.sun_path;
    shorter.copy(address_.sun_path, sizeof address_.sun_path - 1);
  }
  ~SocketAddress() {
    if (directory_ >= 0) ::close(directory_);
  }
  SocketAddress(const SocketAddress&) = delete;
  SocketAddress& operator=(const SocketAddress&) = delete;

  bool fits() const noexcept { return fits_; }
  // 0, or -1 with errno, as bind(2) and connect(2) have it.
  int bind(int descriptor) const noexcept {
    return fits_ ? ::bind(descriptor, address(), sizeof address_) : too_long();
  }
  int connect(int descriptor) const noexcept {
    return fits_ ? ::connect(descriptor, address(), sizeof address_) : too_long();
  }

 private:
  static int too_long() noexcept {
    errno = ENAMETOOLONG;
    return -1;
  }
  const sockaddr* address() const noexcept { return reinterpret_cast<const sockaddr*>(&address_); }

  sockaddr_un address_{};
  int directory_ = -1;
  bool fits_ = false;
};

}  // namespace taskhost
