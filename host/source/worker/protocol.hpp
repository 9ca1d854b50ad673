// What a host and its worker say to each other: packets over a socket pair, each a header and a text. A packet that is
// not exactly so is nobody's: whoever gets one ends the connection. Both sides are of one build, which `protocol`
// holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "worker/descriptor.hpp"

namespace taskhost {

enum class PacketKind : std::uint16_t {
  // The host's. Those with a document have it as a file: an object, as CBOR.
  load = 1,     // {path, directory}: the library, before all others
  check = 2,    // {factory, task, config}: answered by `checked`
  start = 3,    // {factory, task, config, number, stop_timeout_ns}: once
  stop = 4,     // asks the execution to end
  signals = 5,  // `number`: bits of the signals that have come for it
  heard = 6,    // a heartbeat: the next one may come
  join = 7,     // on the first connection: with another one, for one more execution
  // The worker's.
  factory = 17,     // JSON: one of the library's
  loaded = 18,      // after them; a text says why it could not be loaded
  checked = 19,     // JSON: {pointer, text, is_of_plugin}, or no text
  log = 20,         // `number`: the level
  started = 21,     // the start of the execution has returned
  ready = 22,       //
  heartbeat = 23,   //
  status = 24,      //
  wants = 25,       // `number`: bits of the signals that it subscribes to
  ended = 26,       // `number`: an Outcome; the text is the message
  cant_begin = 27,  // the worker could not be set up; the text says why
  gone = 28,        // nothing of the execution is left; from a worker that others share
};

struct Packet {
  PacketKind kind{};
  std::uint32_t number = 0;
  std::string_view text{};  // received: valid until the next packet
};

constexpr std::size_t max_packet_text = 16384;
constexpr std::size_t max_document = std::size_t{64} << 20;

// One end of the connection. Sending: any thread; receiving: one thread at a time.
class Channel {
 public:
  explicit Channel(Descriptor socket) noexcept : socket_(std::move(socket)) {}

  int descriptor() const noexcept { return socket_.get(); }
  bool is_open() const noexcept { return socket_.is_open(); }
  void close() noexcept { socket_.close(); }

  enum class Received : std::uint8_t { packet, nothing, end, nonsense };
  // Takes the next packet; of a longer text than there may be, the whole is nonsense. `document`, if given, receives
  // the file that came with it. `waits`: until there is one.
  Received receive(Packet& packet, bool waits, Descriptor* document = nullptr);

  // With a file or a connection. False: it is full (unless it waits), or the other side is gone.
  bool send(const Packet& packet, bool waits, int document = -1) const noexcept;

 private:
  Descriptor socket_;
  alignas(std::uint32_t) char bytes_[max_packet_text + 16];
};

struct ChannelEnds {
  Descriptor host;
  Descriptor worker;
};
// Throws std::system_error.
ChannelEnds make_channel();

// A text as a file without a name, to be sent with a packet. Throws std::system_error.
Descriptor make_document(std::string_view text);
// Its text; nothing: it can't be read.
std::optional<std::string> read_document(const Descriptor& file);

// An order as the text of a document: CBOR, since paths need not be UTF-8.
std::string order_text(const nlohmann::json& order);
// Nothing: it is not one.
std::optional<nlohmann::json> read_order(const Descriptor& file);

}  // namespace taskhost
