// Finds what a plugin's call changes in the whole process and restores before it returns: comparing states before and
// after does not show that, but other tasks' threads run meanwhile.
#pragma once

namespace taskhost::verify {

class SimulatedHost;

// Whether calls can be recorded on this platform.
#if defined(__ELF__) && defined(__LP64__)
constexpr bool process_changes_are_recorded = true;
#else
constexpr bool process_changes_are_recorded = false;
#endif

// Puts recorders into the import slots of all libraries but the one with this code, so call it once, after the plugin
// is loaded. From then on a call of setlocale, umask and the like that changes something is a finding; that
// SIGKILL was sent is noted, and how often something was sent or received. Not seen: calls
// of libraries that are loaded later, system calls that go past libc, and functions looked up by name (dlsym).
void record_process_changes(SimulatedHost& host);

}  // namespace taskhost::verify
