// Catches a plugin that calls exit(): reports which one, and ends the process with a status that means failure.
#pragma once

namespace taskhost {

class Host;

// Any thread, any number of times. Installs an exit handler once per process; it has no effect in child processes.
void guard_against_exit();

// Ends the process if a thread of the host can't go on: "out of memory: …" on stderr, and status
// TASKHOST_RESULT_SYSTEM.
[[noreturn]] void end_without_memory(Host& host) noexcept;

// Ends the process after a plugin has closed descriptors of the host. Which plugin is not known.
[[noreturn]] void end_without_descriptors();

// Claims the process's signals and its end for one running host; null for none. False if another host has them.
// Process-wide, as signals and exit are.
bool claim_process(Host& host) noexcept;
void release_process(Host& host) noexcept;

// The calling thread waits for its host while this object exists: if it exits, a signal handler called exit.
class WaitForHost {
 public:
  WaitForHost() noexcept;
  ~WaitForHost();
  WaitForHost(const WaitForHost&) = delete;
  WaitForHost& operator=(const WaitForHost&) = delete;

 private:
  const bool already_;
};

// The host's log and events are written before a plugin's exit() or a crash ends the process: for up to 64 hosts at a
// time.
void add_to_last_flush(Host& host) noexcept;
void remove_from_last_flush(Host& host) noexcept;

// [async-signal-safe] Writes what those hosts have logged, for at most a second each.
void flush_process_in_handler() noexcept;

}  // namespace taskhost
