#include "plugin_exit.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "host.hpp"
#include "system/exit_handler.hpp"
#include "system/last_words.hpp"
#include "system/plugin_code.hpp"
#include "taskhost/core/execution.hpp"
#include "taskhost/core/offloaded_work.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

namespace {

std::atomic<Host*> process_owner{nullptr};
std::atomic<pid_t> owner_thread{0};  // the thread that loaded or started it
thread_local bool is_waiting = false;
std::array<std::atomic<Host*>, 64> flushed_last{};  // in a child, also those of its parent
std::atomic<pid_t> guarded_process{0};

std::atomic<pid_t> leaver{0};  // the thread that ends the process

// First writes what was logged and published, as far as its readers read. If another thread exits meanwhile, it waits
// here for that end.
void say_at_the_end(const std::string& words) {
  for (pid_t nobody = 0; !leaver.compare_exchange_strong(nobody, ::gettid()); nobody = 0) ::pause();
  for (const std::atomic<Host*>& place : flushed_last) {
    if (Host* host = place.load(); host != nullptr && !host->is_elsewhere()) host->flush();
  }
  last_words(words);
}

[[noreturn]] void leave(const std::string& words, int status) {
  renew_exit_handler();
  say_at_the_end(words);
  ::_exit(status);
}

// Runs on the thread that called exit; without a status if it called quick_exit. If that thread is inside a plugin's
// function, the plugin called it.
void on_exit(std::optional<int> status) {
  if (guarded_process.load() != ::getpid() || leaver.load() == ::gettid()) return;
  constexpr const char* what = " called exit(), which ends the host with all its tasks (rule 3.8)";
  if (const PluginCodeMark* mark = PluginCodeMark::current(); mark != nullptr) {
    const std::string name = mark->name();
    leave(mark->code() == PluginCode::loading ? name + ": it ended the process while it was being loaded (rule 1.3)"
                                              : "the check of task '" + name + "' called exit() (rule 3.8)",
          TASKHOST_RESULT_BAD_PLUGIN);
  }
  if (const Execution* execution = Execution::current()) {
    leave("task '" + std::string(execution->task_name()) + "'" + what, TASKHOST_RESULT_TASK_FAILED);
  }
  if (const char* task = task_of_offloaded_work()) {
    leave("the offloaded work of task '" + std::string(task) + "'" + what, TASKHOST_RESULT_TASK_FAILED);
  }
  // A host that owns the process ends it itself, or is destroyed before.
  const Host* host = process_owner.load();
  if (host == nullptr || host->is_elsewhere()) return;  // elsewhere: the host of this process's parent
  if (is_waiting) {
    leave(std::string("a signal handler of a plugin or of the program") + what, TASKHOST_RESULT_TASK_FAILED);
  }
  if (::gettid() != ::getpid() && ::gettid() != owner_thread.load()) {
    leave(std::string("a thread of a plugin or of the program") + what, TASKHOST_RESULT_TASK_FAILED);
  }
  if (host->state() == TASKHOST_STATE_CREATED) return;
  const std::string words =
      "the program called exit() while its host was running, without stopping the tasks: call taskhost_destroy first";
  if (status) leave(words, *status);
  say_at_the_end(words);  // the rest of quick_exit harms no task, and only quick_exit knows the status
}

}  // namespace

void end_without_memory(Host& host) noexcept {
  host.flush();
  last_words(
      "out of memory: the host can't go on; raise the limit (ulimit -v, the cgroup's memory.max), or provide more "
      "memory");
  ::_exit(TASKHOST_RESULT_SYSTEM);
}

void end_without_descriptors() {
  flush_process_in_handler();
  last_words(
      "the host can't go on: a plugin has closed descriptors that are not its own (rule 5.1); look for code that "
      "closes all of them, as daemons do when they start");
  ::_exit(TASKHOST_RESULT_TASK_FAILED);
}

void guard_against_exit() {
  guarded_process = ::getpid();  // from here on also for a host of a child's own
  set_exit_handler(on_exit);
}

bool claim_process(Host& host) noexcept {
  Host* none = nullptr;
  if (Host* of_parent = process_owner.load(); of_parent != nullptr && of_parent->is_elsewhere()) {
    process_owner = nullptr;
  }
  if (!process_owner.compare_exchange_strong(none, &host)) return false;
  owner_thread = ::gettid();
  return true;
}

void release_process(Host& host) noexcept {
  Host* owner = &host;
  process_owner.compare_exchange_strong(owner, nullptr);
}

WaitForHost::WaitForHost() noexcept : already_(std::exchange(is_waiting, true)) {}
WaitForHost::~WaitForHost() { is_waiting = already_; }

void add_to_last_flush(Host& host) noexcept {
  for (std::atomic<Host*>& place : flushed_last) {
    Host* none = nullptr;
    if (place.compare_exchange_strong(none, &host)) return;
  }
}

void remove_from_last_flush(Host& host) noexcept {
  for (std::atomic<Host*>& place : flushed_last) {
    Host* it = &host;
    place.compare_exchange_strong(it, nullptr);
  }
}

void flush_process_in_handler() noexcept {
  for (const std::atomic<Host*>& place : flushed_last) {
    if (Host* host = place.load(); host != nullptr && !host->is_elsewhere()) host->flush_in_handler();
  }
}

}  // namespace taskhost
