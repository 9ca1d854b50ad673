#include "worker/connection.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "plugin/plugin_task.hpp"
#include "taskhost/ext/signals.h"
#include "worker/sessions.hpp"

namespace taskhost {

namespace {

constexpr std::uint32_t known_signals = TASKHOST_SIGNAL_INTERRUPT | TASKHOST_SIGNAL_TERMINATE | TASKHOST_SIGNAL_HANGUP |
                                        TASKHOST_SIGNAL_USER1 | TASKHOST_SIGNAL_USER2;

const taskhost_signals passed_signals = {
    sizeof(taskhost_signals),
    TASKHOST_SIGNALS_REVISION,
    [](const taskhost_exec* exec, uint32_t wanted) -> int32_t {
      return Connection::of(exec).subscribe(execution_of(exec).waker(), wanted) ? TASKHOST_OK : TASKHOST_ERROR;
    },
    [](const taskhost_exec* exec) -> uint32_t { return Connection::of(exec).take_signals(); },
};

const HomeProcess home;
const Sessions sessions;

}  // namespace

void leave(int status) noexcept { ::_exit(status); }

void leave_without_descriptors() noexcept {
  std::fputs("a plugin has closed descriptors that are not its own (rule 5.1)\n", stderr);
  leave(EXIT_FAILURE);
}

void leave_with_host(int descriptor) noexcept {
  if (::fcntl(descriptor, F_GETFD) < 0) leave_without_descriptors();
  if (home.is_here() && ::getsid(0) == ::getpid()) sessions.kill(::getpid());
  if (::getpgrp() == ::getpid()) ::kill(0, SIGKILL);
  leave(EXIT_FAILURE);
}

Connection::Services::Services(Connection& owner) noexcept : taskhost_services(plugin_services), connection(owner) {
  taskhost_services::ready = [](const taskhost_exec* exec) { of(exec).ready(); };
  taskhost_services::heartbeat = [](const taskhost_exec* exec) {
    if (of(exec).is_watched) of(exec).heartbeat();
  };
  taskhost_services::status = [](const taskhost_exec* exec, const char* text, size_t size) {
    const std::string_view words = text != nullptr ? std::string_view(text, size) : std::string_view();
    of(exec).say(PacketKind::status, 0, words.substr(0, max_message_bytes));
  };
  taskhost_services::extension = [](const taskhost_exec* exec, const char* id, uint32_t revision) -> const void* {
    const bool is_of_signals = id != nullptr && std::string_view(id) == TASKHOST_EXTENSION_SIGNALS;
    if (!is_of_signals) return plugin_services.extension(exec, id, revision);
    return revision == TASKHOST_SIGNALS_REVISION && of(exec).passes_signals ? &passed_signals : nullptr;
  };
}

Connection& Connection::of(const taskhost_exec* exec) noexcept {
  return static_cast<const Services*>(exec->services)->connection;
}

void Connection::say(PacketKind kind, std::uint32_t number, std::string_view text) noexcept {
  if (!home_.is_here()) return;  // a child that the plugin has forked speaks for nobody
  if (kind == PacketKind::ended) has_said_end_ = true;
  if (channel_.send({kind, number, text}, true)) return;
  // The host is gone; or it has done with this execution, and leaves the process to others.
  if (is_first_ || ::fcntl(channel_.descriptor(), F_GETFD) < 0) leave_with_host(channel_.descriptor());
}

void Connection::heartbeat() noexcept {
  if (!home_.is_here()) return;
  for (Beats before = beats_.load();;) {
    if (before == Beats::another) return;
    const Beats after = before == Beats::none ? Beats::sent : Beats::another;
    if (!beats_.compare_exchange_weak(before, after)) continue;
    if (after == Beats::sent) say(PacketKind::heartbeat);
    return;
  }
}

void Connection::heard() noexcept {
  Beats before = beats_.load();
  while (!beats_.compare_exchange_weak(before, before == Beats::another ? Beats::sent : Beats::none)) {
  }
  if (before == Beats::another) say(PacketKind::heartbeat);
}

bool Connection::subscribe(Waker waker, std::uint32_t wanted) noexcept {
  if ((wanted & ~known_signals) != 0 || waker == 0 || !passes_signals) return false;
  waker_.store(waker);
  say(PacketKind::wants, wanted);
  return true;
}

}  // namespace taskhost
