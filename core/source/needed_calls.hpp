// Checks, before anything is started, the system calls without which an event loop or its monitor would wait for ever.
// Asio and the C library do not report that they fail.
#pragma once

namespace taskhost {

// Throws what system_failure returns, with the name of the first call that is refused.
void require_needed_calls();

}  // namespace taskhost
