// Marks the host's own threads. Their names can't tell, since a thread that a plugin makes inherits its maker's name.
#pragma once

namespace taskhost {

// Set by each of the host's threads for itself. Initial-exec, since a signal handler reads it.
__attribute__((tls_model("initial-exec"))) inline thread_local constinit bool is_host_thread = false;

}  // namespace taskhost
