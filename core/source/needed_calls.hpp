// Calls without which an event loop or its monitor would wait for ever, told before anything is started. Asio and the
// system's library do not say that they fail.
#pragma once

namespace taskhost {

// Throws what system_failure makes, with the name of the first that is refused.
void require_needed_calls();

}  // namespace taskhost
