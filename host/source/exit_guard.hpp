// Catches a plugin that calls exit(): says who it was, and ends the process with a status that tells failure.
#pragma once

namespace taskhost {

class Host;

// Any thread, any number of times. Installs an exit handler, once in a process; does nothing in its children.
void guard_against_exit();

// The end where a thread of the host's can't go on: "out of memory: …" on stderr, and TASKHOST_RESULT_SYSTEM as status.
[[noreturn]] void end_without_memory(Host& host) noexcept;

// The end where a plugin has closed descriptors of the host's: which one is not known.
[[noreturn]] void end_without_descriptors();

// The one running host of this process that owns the process's signals and its end; null: none. False: there is one
// already. Process-wide, as signals and exit are.
bool claim_process(Host& host) noexcept;
void release_process(Host& host) noexcept;

// The calling thread waits for its host, as long as this object is there: if it exits, a signal handler has done it.
class WaitForHost {
 public:
  WaitForHost() noexcept;
  ~WaitForHost();
  WaitForHost(const WaitForHost&) = delete;
  WaitForHost& operator=(const WaitForHost&) = delete;

 private:
  const bool already_;
};

// Whose log and events go out before the process ends by a plugin's exit() or a crash: up to 64 hosts at a time.
void add_to_last_flush(Host& host) noexcept;
void remove_from_last_flush(Host& host) noexcept;

// [async-signal-safe] Hands out what those hosts have logged, for a second each at most.
void flush_process_in_handler() noexcept;

}  // namespace taskhost
