#include "worker/protocol.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>

#include "taskhost_version.hpp"

#include "taskhost/core/system_failure.hpp"

namespace taskhost {

namespace {

// Of this version of taskhost, so that a worker of another one is told apart at its first packet.
constexpr std::uint32_t protocol = [] {
  std::uint32_t hash = 2'166'136'261;  // FNV-1a
  for (const char letter : std::string_view(TASKHOST_VERSION " 3")) {
    hash = (hash ^ static_cast<unsigned char>(letter)) * 16'777'619;
  }
  return hash;
}();

struct Header {
  std::uint32_t protocol;
  std::uint16_t kind;
  std::uint16_t size;  // of the text
  std::uint32_t number;
  std::uint32_t reserved;
};
static_assert(sizeof(Header) == 16);
static_assert(max_packet_text < 65536);

bool is_known(std::uint16_t kind) noexcept {
  return (kind >= static_cast<std::uint16_t>(PacketKind::load) &&
          kind <= static_cast<std::uint16_t>(PacketKind::join)) ||
         (kind >= static_cast<std::uint16_t>(PacketKind::factory) &&
          kind <= static_cast<std::uint16_t>(PacketKind::gone));
}

// Room for two descriptors: a second one is nonsense, and must not stay open.
constexpr std::size_t control_size = CMSG_SPACE(2 * sizeof(int));

// Takes what came with a packet. False if that is more than one file.
bool take_file(msghdr& message, Descriptor& file) {
  bool is_one = true;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int value = -1;
      std::memcpy(&value, CMSG_DATA(part) + i * sizeof(int), sizeof value);
      Descriptor received(value);
      is_one = is_one && !file.is_open();
      if (!file.is_open()) file = std::move(received);
    }
  }
  return is_one && (message.msg_flags & MSG_CTRUNC) == 0;
}

}  // namespace

Channel::Received Channel::receive(Packet& packet, bool waits, Descriptor* document) {
  iovec place{.iov_base = bytes_, .iov_len = sizeof bytes_};
  alignas(cmsghdr) std::array<char, control_size> control;
  msghdr message{};
  message.msg_iov = &place;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = -1;
  do {
    size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | (waits ? 0 : MSG_DONTWAIT));
    // ECONNRESET, once: the other side has ended without reading all. What it said before comes after that.
  } while (size < 0 && (errno == EINTR || errno == ECONNRESET));
  if (size < 0) return errno == EAGAIN ? Received::nothing : Received::end;
  Descriptor file;
  const bool is_one = take_file(message, file);
  if (size == 0) return Received::end;
  Header header{};
  if (static_cast<std::size_t>(size) < sizeof header || (message.msg_flags & MSG_TRUNC) != 0 || !is_one) {
    return Received::nonsense;
  }
  std::memcpy(&header, bytes_, sizeof header);
  if (header.protocol != protocol || header.reserved != 0 || !is_known(header.kind) ||
      sizeof header + header.size != static_cast<std::size_t>(size) || (file.is_open() && document == nullptr)) {
    return Received::nonsense;
  }
  packet = {static_cast<PacketKind>(header.kind), header.number, {bytes_ + sizeof header, header.size}};
  if (document != nullptr) *document = std::move(file);
  return Received::packet;
}

bool Channel::send(const Packet& packet, bool waits, int document) const noexcept {
  const std::string_view text = packet.text.substr(0, max_packet_text);
  Header header{.protocol = protocol,
                .kind = static_cast<std::uint16_t>(packet.kind),
                .size = static_cast<std::uint16_t>(text.size()),
                .number = packet.number,
                .reserved = 0};
  std::array<iovec, 2> parts{iovec{.iov_base = &header, .iov_len = sizeof header},
                             iovec{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = text.empty() ? 1 : 2;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (document >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(part), &document, sizeof document);
  }
  for (;;) {
    if (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT)) >= 0) return true;
    if (errno != EINTR) return false;
  }
}

ChannelEnds make_channel() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw system_failure(errno, "socketpair");
  }
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

Descriptor make_document(std::string_view text) {
  Descriptor file(::memfd_create("taskhost", MFD_CLOEXEC));
  if (!file.is_open()) throw system_failure(errno, "memfd_create");
  while (!text.empty()) {
    const ssize_t size = ::write(file.get(), text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) throw std::system_error(errno, std::generic_category(), "no file in memory");
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return file;
}

std::optional<std::string> read_document(const Descriptor& file) {
  struct stat facts {};
  if (!file.is_open() || ::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return std::nullopt;
  if (facts.st_size < 0 || static_cast<std::size_t>(facts.st_size) > max_document) return std::nullopt;
  std::string text(static_cast<std::size_t>(facts.st_size), '\0');
  std::size_t read = 0;
  while (read < text.size()) {
    const ssize_t size = ::pread(file.get(), text.data() + read, text.size() - read, static_cast<off_t>(read));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return std::nullopt;
    read += static_cast<std::size_t>(size);
  }
  return text;
}

std::string order_text(const nlohmann::json& order) {
  std::string text;
  nlohmann::json::to_cbor(order, text);
  return text;
}

std::optional<nlohmann::json> read_order(const Descriptor& file) {
  const std::optional<std::string> text = read_document(file);
  if (!text) return std::nullopt;
  nlohmann::json order = nlohmann::json::from_cbor(*text, true, false);
  return order.is_object() ? std::optional(std::move(order)) : std::nullopt;
}

}  // namespace taskhost
