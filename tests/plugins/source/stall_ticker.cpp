// Ticks for a while, then writes the number of ticks and the longest wait. README.md lists its config.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <new>
#include <string>

#include "taskhost/ext/config.h"
#include "taskhost/plugin.h"

namespace {

struct Ticker {
  const char* file;  // owned by the host
  std::uint64_t interval;
  std::uint64_t end;
  std::uint64_t ticks;
  std::uint64_t last;
  std::uint64_t longest;
};

// All tickers of the process count in the same period, which begins with the first start.
std::atomic<std::uint64_t> first_start{0};

std::int32_t start(void* state, const taskhost_exec* exec) {
  const auto* config = static_cast<const taskhost_config_reader*>(
      exec->services->extension(exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION));
  const char* file = "";
  std::uint64_t run_for = 0;
  std::uint64_t interval = TASKHOST_MILLISECOND;
  if (config->keys(exec, "file run_for interval") != TASKHOST_OK ||
      config->text(exec, "/file", &file, nullptr) != TASKHOST_OK ||
      config->duration(exec, "/run_for", &run_for) != TASKHOST_OK ||
      config->duration(exec, "/interval", &interval) != TASKHOST_OK) {
    return TASKHOST_ERROR;
  }
  const std::uint64_t now = taskhost_now(exec);
  std::uint64_t begin = 0;
  if (first_start.compare_exchange_strong(begin, now)) begin = now;
  new (state) Ticker{file, interval, begin + run_for, 0, now, 0};
  return TASKHOST_OK;
}

std::int32_t poll(void* state, const taskhost_exec* exec) {
  auto* self = static_cast<Ticker*>(state);
  const std::uint64_t now = taskhost_now(exec);
  self->longest = std::max(self->longest, now - std::min(now, self->last));
  self->last = now;
  if (now >= self->end || taskhost_stop_requested(exec)) return TASKHOST_OK;
  ++self->ticks;
  taskhost_wake_after(exec, self->interval);
  return TASKHOST_PENDING;
}

void drop(void* state, const taskhost_exec* /*exec*/) {
  const auto* self = static_cast<Ticker*>(state);
  const int file = ::open(self->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  const std::string line =
      std::to_string(self->ticks) + ' ' + std::to_string(self->longest / TASKHOST_MICROSECOND) + '\n';
  while (::write(file, line.data(), line.size()) < 0 && errno == EINTR) {
  }
  ::close(file);
}

const taskhost_factory* first_factory() {
  static taskhost_factory made;
  made.struct_size = sizeof(taskhost_factory);
  made.name = PLUGIN_NAME;
  made.state_size = sizeof(Ticker);
  made.start = start;
  made.poll = poll;
  made.drop = drop;
  return &made;
}

}  // namespace

extern "C" const taskhost_factory* taskhost_plugin_v1(void) { return first_factory(); }
