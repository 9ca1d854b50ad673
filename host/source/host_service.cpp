// The host as a service: what a service manager such as systemd hears of it.
#include <algorithm>
#include <stdexcept>

#include "host.hpp"
#include "policy/order_plan.hpp"
#include "taskhost/taskhost.h"
#include "text/printable.hpp"

namespace taskhost {

// A wrong value is no reason not to run: the tasks matter more.
void Host::open_notify_socket() {
  if (!options_.notify_service_manager) return;
  const NotifyEnvironment environment = take_notify_environment();
  for (const std::string& problem : environment.problems) warn(printable_text(problem, 300));
  if (environment.address.empty()) return;
  try {
    notify_socket_.emplace(environment.address);
    watchdog_ = environment.watchdog;
    (void)notify_socket_->send("STATUS=loading the manifest and its plugins\n");
  } catch (const std::runtime_error& error) {
    warn("can't send anything to NOTIFY_SOCKET " + quoted_path(environment.address) + ": " + error.what() +
         "; a unit with Type=notify won't see this host get ready");
  }
}

void Host::make_notifier() {
  using std::chrono::nanoseconds;
  nanoseconds limit = plan_order(tasks_.tasks(), manifest_.default_stop_timeout).longest_stop_time;
  if (manifest_.shutdown_timeout) limit = std::min(limit, *manifest_.shutdown_timeout);
  limit = std::min<nanoseconds>(limit, std::chrono::hours(24 * 365));
  limit += limit / 10 + longest_afterwards;  // each step takes a little longer than its stop_timeout
  notifier_ = std::make_unique<ServiceNotifier>(static_cast<ControlledHost&>(*this), *notify_socket_, watchdog_, limit);
}

void Host::end_notifier(int status) noexcept {
  if (!notifier_) {
    if (notify_socket_) (void)notify_socket_->send("STATUS=nothing was started; the log says why\n");
    return;
  }
  const char* const line = status == TASKHOST_RESULT_OK            ? "stopped well (status 0)"
                           : status == TASKHOST_RESULT_TASK_FAILED ? "stopped with failure (status 1)"
                                                                   : "a task did not stop in time (status 4)";
  notifier_->end(line, status == TASKHOST_RESULT_OK);
}

}  // namespace taskhost
