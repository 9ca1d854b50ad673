// Which threads are the host's own: names say nothing, as a thread that a plugin makes inherits that of its maker.
#pragma once

namespace taskhost {

// Set by each thread of the host's for itself. Initial-exec: a signal handler reads it.
__attribute__((tls_model("initial-exec"))) inline thread_local constinit bool is_host_thread = false;

}  // namespace taskhost
