// A host with one execution, for tests: time advances only when a test says so, wakes are counted, messages are kept.
// One thread. The execution's host is the FakeHost itself, so it must not move.
#pragma once

#include <fcntl.h>
#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugin/config_extension.hpp"
#include "taskhost/ext/config.h"
#include "taskhost/ext/signals.h"
#include "taskhost/plugin.h"

class FakeHost : private taskhost_exec {
 public:
  FakeHost() : taskhost_exec{&table()} {}
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;
  ~FakeHost() { drop(); }

  const taskhost_exec* exec() const { return this; }

  // Provides fresh zeroed memory and calls start. Returns its status.
  std::int32_t start(const taskhost_factory& factory) {
    factory_ = &factory;
    const std::size_t align = factory.state_align == 0 ? alignof(std::max_align_t) : factory.state_align;
    const std::size_t size = (factory.state_size + align - 1) / align * align;
    state_.reset(std::aligned_alloc(align, size == 0 ? align : size));
    std::memset(state_.get(), 0, size);
    message.clear();
    wake_time = TASKHOST_NEVER;
    const std::int32_t status = factory.start == nullptr ? TASKHOST_OK : factory.start(state_.get(), this);
    live_ = status == TASKHOST_OK;
    return status;
  }
  std::int32_t poll() {
    const std::int32_t status = factory_->poll(state_.get(), this);
    agains += status == TASKHOST_AGAIN ? 1 : 0;
    return status;
  }
  std::int32_t run() { return factory_->run(state_.get(), this); }
  void drop() {
    if (live_ && factory_->drop != nullptr) factory_->drop(state_.get(), this);
    live_ = false;
  }
  const void* state() const { return state_.get(); }

  // To be set by tests.
  std::string config = "{}";
  std::uint64_t time = 1000 * TASKHOST_SECOND;
  std::uint64_t number = 1;
  bool stop = false;
  bool has_signals = true;
  bool has_config = true;
  std::uint32_t signals = 0;                     // those that have arrived
  std::uint64_t stop_at = TASKHOST_NEVER;        // wait advances the time, and requests the stop then
  std::int32_t descriptor_status = TASKHOST_OK;  // what watch returns
  std::deque<taskhost_ready> ready;              // what take_ready tells

  // To be checked by tests.
  std::vector<std::string> log;
  std::string message;  // from the last fail
  std::uint64_t wake_time = TASKHOST_NEVER;
  std::map<int, std::uint32_t> descriptors;  // watched ones
  std::map<int, std::uint64_t> tags;
  std::string status;
  std::vector<taskhost_work> works;  // offloaded: to be run by the test
  std::string known_keys;            // for the extension taskhost.config
  std::uint32_t subscribed = 0;
  int watches = 0;  // calls of watch
  int takes = 0;    // and of take_ready
  int wakes = 0;
  int agains = 0;  // polls that gave way
  int beats = 0;
  int readies = 0;

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  static FakeHost& of(const taskhost_exec* exec) { return *const_cast<FakeHost*>(static_cast<const FakeHost*>(exec)); }
  // `now` and `wake` get no execution.
  static FakeHost*& latest() {
    static FakeHost* host = nullptr;
    return host;
  }

  static const taskhost_services& table() {
    static const taskhost_services services = [] {
      taskhost_services made{};
      made.struct_size = sizeof made;
      made.abi_minor = TASKHOST_ABI_MINOR;
      made.log = [](const taskhost_exec* exec, std::int32_t, const char* text, std::size_t size) {
        of(exec).log.emplace_back(text, size);
      };
      made.fail = [](const taskhost_exec* exec, const char* text, std::size_t size) -> std::int32_t {
        of(exec).message.assign(text, size);
        return TASKHOST_ERROR;
      };
      made.config = [](const taskhost_exec* exec, std::size_t* size) {
        if (size != nullptr) *size = of(exec).config.size();
        return of(exec).config.c_str();
      };
      made.task_name = [](const taskhost_exec*) { return "fake"; };
      made.execution_number = [](const taskhost_exec* exec) { return of(exec).number; };
      made.stop_requested = [](const taskhost_exec* exec) -> std::int32_t { return of(exec).stop ? 1 : 0; };
      made.now = [] { return latest()->time; };
      made.waker = [](const taskhost_exec*) -> taskhost_waker { return 7; };
      made.wake = [](taskhost_waker waker) { latest()->wakes += waker == 7 ? 1 : 0; };
      made.wake_at = [](const taskhost_exec* exec, std::uint64_t when) { of(exec).wake_time = when; };
      made.wake_after = [](const taskhost_exec* exec, std::uint64_t delay) {
        FakeHost& host = of(exec);
        host.wake_time = delay >= TASKHOST_NEVER - host.time ? TASKHOST_NEVER : host.time + delay;
      };
      made.watch = [](const taskhost_exec* exec, taskhost_fd descriptor, std::uint32_t interests, std::uint64_t tag) {
        FakeHost& host = of(exec);
        ++host.watches;
        if (interests == 0) {
          host.descriptors.erase(static_cast<int>(descriptor));
          return TASKHOST_OK;
        }
        if (::fcntl(static_cast<int>(descriptor), F_GETFD) == -1) return TASKHOST_REFUSED_CLOSED;
        if (host.descriptor_status != TASKHOST_OK) return host.descriptor_status;
        host.descriptors[static_cast<int>(descriptor)] = interests;
        host.tags[static_cast<int>(descriptor)] = tag;
        return TASKHOST_OK;
      };
      made.take_ready = [](const taskhost_exec* exec, taskhost_ready* list, std::size_t capacity) {
        FakeHost& host = of(exec);
        ++host.takes;
        std::size_t count = 0;
        while (count < capacity && !host.ready.empty()) {
          list[count++] = host.ready.front();
          host.ready.pop_front();
        }
        for (const auto& [descriptor, interests] : host.descriptors) {
          const bool reads = (interests & TASKHOST_READABLE) != 0;
          const bool writes = (interests & TASKHOST_WRITABLE) != 0;
          pollfd polled{descriptor, static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)), 0};
          if (count == capacity || ::poll(&polled, 1, 0) != 1 || (polled.revents & POLLNVAL) != 0) continue;
          const bool broken = (polled.revents & (POLLERR | POLLHUP)) != 0;
          const std::uint32_t what = (broken || (polled.revents & POLLIN) != 0 ? TASKHOST_READABLE : 0) |
                                     (broken || (polled.revents & POLLOUT) != 0 ? TASKHOST_WRITABLE : 0) |
                                     (broken ? TASKHOST_BROKEN : 0);
          list[count++] = {host.tags[descriptor], what, 0};
        }
        return count;
      };
      made.offload = [](const taskhost_exec* exec, const taskhost_work* work) {
        of(exec).works.push_back(*work);
        return TASKHOST_OK;
      };
      made.wait_fd = [](const taskhost_exec*) -> taskhost_fd { return -1; };
      made.status = [](const taskhost_exec* exec, const char* text, std::size_t size) {
        of(exec).status.assign(text, size);
      };
      made.wait = [](const taskhost_exec* exec, std::uint64_t until) -> std::uint32_t {
        FakeHost& host = of(exec);
        if (host.stop_at <= until) {
          if (host.time < host.stop_at) host.time = host.stop_at;
          host.stop = true;
        }
        if (host.stop) return TASKHOST_WAIT_STOP;
        if (host.time < until) host.time = until;
        return TASKHOST_WAIT_TIME;
      };
      made.ready = [](const taskhost_exec* exec) { ++of(exec).readies; };
      made.heartbeat = [](const taskhost_exec* exec) { ++of(exec).beats; };
      made.extension = [](const taskhost_exec* exec, const char* id, std::uint32_t revision) -> const void* {
        if (std::strcmp(id, TASKHOST_EXTENSION_CONFIG) == 0 && revision == TASKHOST_CONFIG_REVISION) {
          return of(exec).has_config ? &config_table() : nullptr;
        }
        const bool known = std::strcmp(id, TASKHOST_EXTENSION_SIGNALS) == 0 && revision == TASKHOST_SIGNALS_REVISION;
        return known && of(exec).has_signals ? &signal_table() : nullptr;
      };
      return made;
    }();
    return services;
  }

  static const taskhost_signals& signal_table() {
    static const taskhost_signals signals = [] {
      taskhost_signals made{};
      made.struct_size = sizeof made;
      made.revision = TASKHOST_SIGNALS_REVISION;
      made.subscribe = [](const taskhost_exec* exec, std::uint32_t bits) -> std::int32_t {
        of(exec).subscribed = bits;
        return TASKHOST_OK;
      };
      made.take = [](const taskhost_exec* exec) {
        const std::uint32_t taken = of(exec).signals;
        of(exec).signals = 0;
        return taken;
      };
      return made;
    }();
    return signals;
  }

  // The real host's, which also checks which keys the plugin knows.
  static const taskhost_config_reader& config_table() {
    static const taskhost_config_reader reader = [] {
      taskhost_config_reader made = taskhost::config_extension<config_values>;
      made.keys = [](const taskhost_exec* exec, const char* keys) {
        of(exec).known_keys = keys;
        return taskhost::config_extension<config_values>.keys(exec, keys);
      };
      return made;
    }();
    return reader;
  }
  static const taskhost::ConfigValues& config_values(const taskhost_exec* exec) {
    FakeHost& host = of(exec);
    if (!host.values_ || host.read_ != host.config) host.values_.emplace(host.read_ = host.config);
    return *host.values_;
  }

  // Registers this object: `now` reads the clock of the latest host.
  struct Latest {
    explicit Latest(FakeHost* host) { latest() = host; }
  };
  Latest registered_{this};
  const taskhost_factory* factory_ = nullptr;
  std::unique_ptr<void, Free> state_;
  bool live_ = false;
  std::string read_;  // the config that values_ was made from
  std::optional<taskhost::ConfigValues> values_;
};
