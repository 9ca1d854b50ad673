// Of a worker: its connection for an execution, and what the words of that connection say. Tasks that share a worker
// have one each.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "taskhost/core/execution.hpp"
#include "taskhost/core/home_process.hpp"
#include "taskhost/plugin.h"
#include "worker/protocol.hpp"

namespace taskhost {

// No destructors run: threads of plugins may go on.
[[noreturn]] void leave(int status) noexcept;
[[noreturn]] void leave_without_descriptors() noexcept;
// The host is gone, and so are the process and what it has started; or a plugin has closed this descriptor.
[[noreturn]] void leave_with_host(int descriptor) noexcept;

class Connection {
 public:
  // `is_first`: the process ends with it.
  Connection(Descriptor socket, bool is_first) noexcept : channel_(std::move(socket)), is_first_(is_first) {}

  Channel& channel() noexcept { return channel_; }
  // What executions call; from it leads a way back here.
  const taskhost_services* services() const noexcept { return &services_; }
  static Connection& of(const taskhost_exec* exec) noexcept;

  // Any thread. Waits for room.
  void say(PacketKind kind, std::uint32_t number = 0, std::string_view text = {}) noexcept;
  void say_once(std::atomic<bool>& is_said, PacketKind kind) noexcept {
    if (!is_said.exchange(true)) say(kind);
  }

  // Heartbeats: the next one is sent when the host has heard of the last.
  void heartbeat() noexcept;
  void heard() noexcept;

  // Signals.
  bool subscribe(Waker waker, std::uint32_t wanted) noexcept;
  std::uint32_t take_signals() noexcept { return signals_.exchange(0); }
  void signal(std::uint32_t bits) noexcept {
    signals_.fetch_or(bits);
    Execution::wake(waker_.load());
  }

  // Says that the start has returned, if that was not said.
  void started() noexcept { say_once(is_started_said_, PacketKind::started); }
  void ready() noexcept { say_once(is_ready_said_, PacketKind::ready); }

  bool has_said_end() const noexcept { return has_said_end_.load(); }

  // Set before the execution begins.
  bool passes_signals = false;
  bool is_watched = false;
  taskhost_factory factory{};  // of the plugin

 private:
  enum class Beats : std::uint8_t { none, sent, another };

  struct Services : taskhost_services {
    explicit Services(Connection& owner) noexcept;
    Connection& connection;
  };

  const HomeProcess home_;
  Channel channel_;
  const bool is_first_;
  const Services services_{*this};
  std::atomic<bool> has_said_end_{false};
  std::atomic<bool> is_started_said_{false};
  std::atomic<bool> is_ready_said_{false};
  std::atomic<Beats> beats_{Beats::none};
  std::atomic<std::uint32_t> signals_{0};
  std::atomic<Waker> waker_{0};
};

}  // namespace taskhost
