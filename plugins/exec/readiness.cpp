#include "readiness.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace exec {

namespace sdk = taskhost::sdk;

namespace {

constexpr int messages_at_once = 64;  // then others have their turn

bool is_heeded(const ucred& sender, pid_t program) {
  return sender.uid == 0 || sender.uid == ::geteuid() || ::getsid(sender.pid) == program;
}

void take_message(sdk::Context context, std::string_view message) {
  constexpr std::string_view status = "STATUS=";
  while (!message.empty()) {
    const std::size_t end = message.find('\n');
    const std::string_view line = message.substr(0, end);
    message.remove_prefix(end == std::string_view::npos ? message.size() : end + 1);
    if (line == "READY=1") context.ready();
    if (line == "WATCHDOG=1") context.heartbeat();
    if (line.starts_with(status)) context.status(line.substr(status.size()));
  }
}

// The system may give an attempt the very port that it is to reach; without a listener it then meets itself.
bool is_connected_to_itself(int socket) {
  sockaddr_storage own{};
  sockaddr_storage other{};
  socklen_t own_size = sizeof own;
  socklen_t other_size = sizeof other;
  return ::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &own_size) == 0 &&
         ::getpeername(socket, reinterpret_cast<sockaddr*>(&other), &other_size) == 0 && own_size == other_size &&
         std::memcmp(&own, &other, own_size) == 0;
}

}  // namespace

NotifySocket::NotifySocket() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  constexpr int on = 1;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t size = sizeof address;
  // Without a name the system chooses one that is no file.
  if (!socket_.is_open() || ::setsockopt(socket_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address.sun_family) != 0 ||
      ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw system_failure("can't make a socket for $NOTIFY_SOCKET");
  }
  name_.assign(address.sun_path, size - offsetof(sockaddr_un, sun_path));
  name_.front() = '@';
}

void NotifySocket::take(sdk::Context context, pid_t program) const {
  for (int count = 0; count < messages_at_once; ++count) {
    std::array<char, 4096> bytes;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};  // descriptors that come along find no room
    iovec part{.iov_base = bytes.data(), .iov_len = bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (size < 0) return;
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS) continue;
    ucred sender{};
    std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
    if (is_heeded(sender, program)) take_message(context, {bytes.data(), static_cast<std::size_t>(size)});
  }
}

bool ConnectionTest::has_succeeded() {
  if (!socket_.is_open()) {
    socket_ = Descriptor(::socket(address_.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket_.is_open()) return false;
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address_.address), address_.size) != 0 &&
        errno != EINPROGRESS) {
      socket_.close();
      return false;
    }
  }
  pollfd attempt{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
  if (::poll(&attempt, 1, 0) != 1) return false;
  int error = 0;
  socklen_t size = sizeof error;
  bool is_accepted = ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  if (is_accepted && is_connected_to_itself(socket_.get())) {
    is_accepted = false;
    constexpr linger none{.l_onoff = 1, .l_linger = 0};  // else the port would stay taken for a minute
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
  }
  socket_.close();
  return is_accepted;
}

}  // namespace exec
