// What a host and its worker say to each other: what is said last is heard, and nonsense is told apart.
#include "worker/protocol.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "support/catch.hpp"

using namespace taskhost;

namespace {

struct Connection {
  Connection() {
    ChannelEnds ends = make_channel();
    host = std::make_unique<Channel>(std::move(ends.host));
    worker = std::make_unique<Channel>(std::move(ends.worker));
  }
  std::unique_ptr<Channel> host;
  std::unique_ptr<Channel> worker;
};

// As a worker sends it, with another header.
std::string bytes_of(std::uint32_t protocol, std::uint16_t kind, std::uint16_t size, std::uint32_t number,
                     std::uint32_t reserved, const std::string& text) {
  std::string bytes(16, '\0');
  std::memcpy(bytes.data(), &protocol, 4);
  std::memcpy(bytes.data() + 4, &kind, 2);
  std::memcpy(bytes.data() + 6, &size, 2);
  std::memcpy(bytes.data() + 8, &number, 4);
  std::memcpy(bytes.data() + 12, &reserved, 4);
  return bytes + text;
}

// What each packet begins with.
std::uint32_t protocol_of_this_version() {
  const Connection connection;
  REQUIRE(connection.worker->send({PacketKind::log}, false));
  std::uint32_t number = 0;
  REQUIRE(::recv(connection.host->descriptor(), &number, sizeof number, MSG_DONTWAIT) == sizeof number);
  return number;
}

}  // namespace

TEST_CASE("what a worker has said before its end is heard, even if it has not read what was said to it") {
  Connection connection;
  REQUIRE(connection.host->send({PacketKind::heard}, false));
  REQUIRE(connection.worker->send({PacketKind::log, 2, "nearly there"}, false));
  REQUIRE(connection.worker->send({PacketKind::ended, 0, "the last word"}, false));
  connection.worker->close();
  Packet packet;
  REQUIRE(connection.host->receive(packet, false) == Channel::Received::packet);
  CHECK(packet.text == "nearly there");
  REQUIRE(connection.host->receive(packet, false) == Channel::Received::packet);
  CHECK(packet.kind == PacketKind::ended);
  CHECK(packet.text == "the last word");
  CHECK(connection.host->receive(packet, false) == Channel::Received::end);
}

TEST_CASE("a document is sent as a file, and only where one is expected") {
  Connection connection;
  const std::string text(1'000'000, 'x');
  REQUIRE(connection.host->send({PacketKind::load}, false, make_document(text).get()));
  Packet packet;
  Descriptor document;
  REQUIRE(connection.worker->receive(packet, false, &document) == Channel::Received::packet);
  CHECK(packet.kind == PacketKind::load);
  CHECK(read_document(document) == text);
  REQUIRE(connection.worker->send({PacketKind::log}, false, make_document("x").get()));
  CHECK(connection.host->receive(packet, false) == Channel::Received::nonsense);
}

TEST_CASE("a packet that is not exactly one is nonsense") {
  const std::uint32_t ours = protocol_of_this_version();
  constexpr std::uint16_t log = 20;
  const std::array<std::string, 9> nonsense = {
      "x",
      std::string(15, '\0'),
      bytes_of(ours + 1, log, 0, 0, 0, ""),
      bytes_of(ours, 0, 0, 0, 0, ""),
      bytes_of(ours, 1000, 0, 0, 0, ""),
      bytes_of(ours, log, 2, 0, 0, "x"),
      bytes_of(ours, log, 0, 0, 0, "x"),
      bytes_of(ours, log, 0, 0, 1, ""),
      std::string(100'000, 'x'),
  };
  for (const std::string& bytes : nonsense) {
    INFO(bytes.substr(0, 20));
    ChannelEnds ends = make_channel();
    Channel host(std::move(ends.host));
    REQUIRE(::send(ends.worker.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    Packet packet;
    CHECK(host.receive(packet, false) == Channel::Received::nonsense);
  }
  ChannelEnds ends = make_channel();
  Channel host(std::move(ends.host));
  const std::string right = bytes_of(ours, log, 4, 2, 0, "text");
  REQUIRE(::send(ends.worker.get(), right.data(), right.size(), 0) == static_cast<ssize_t>(right.size()));
  Packet packet;
  REQUIRE(host.receive(packet, false) == Channel::Received::packet);
  CHECK(packet.number == 2);
  CHECK(packet.text == "text");
}

TEST_CASE("a document that is no file of its size is none") {
  CHECK_FALSE(read_document(Descriptor()));
  CHECK_FALSE(read_document(Descriptor(::open("/dev/zero", O_RDONLY | O_CLOEXEC))));
  CHECK_FALSE(read_document(Descriptor(::open("/", O_RDONLY | O_CLOEXEC))));
  CHECK(read_document(make_document("")) == "");
}

TEST_CASE("one who does not listen fills the connection, and then is sent nothing more") {
  Connection connection;
  std::size_t sent = 0;
  while (sent < 100'000 && connection.host->send({PacketKind::signals, 1}, false)) ++sent;
  CHECK(sent < 100'000);
  Packet packet;
  for (std::size_t i = 0; i < sent; ++i)
    REQUIRE(connection.worker->receive(packet, false) == Channel::Received::packet);
  CHECK(connection.worker->receive(packet, false) == Channel::Received::nothing);
  CHECK(connection.host->send({PacketKind::stop}, false));
  connection.worker->close();
  CHECK_FALSE(connection.host->send({PacketKind::stop}, true));
}
