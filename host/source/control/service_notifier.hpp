// Tells a service manager such as systemd how the host is, as NotifyPlan decides. Its thread is its own, and nobody
// ever waits for it: it asks the control thread and the shards, as GET /livez does, so that it can't speak for a host
// whose loops stand still. It sleeps while nothing happens.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "control/controlled_host.hpp"
#include "control/notify_plan.hpp"
#include "system/notify_socket.hpp"

namespace taskhost {

class ServiceNotifier {
 public:
  // Makes the thread; nothing is asked before begin. Throws std::system_error.
  ServiceNotifier(ControlledHost& host, NotifySocket& socket, std::chrono::microseconds watchdog,
                  NotifyPlan::Duration stop_limit);
  ~ServiceNotifier();
  ServiceNotifier(const ServiceNotifier&) = delete;
  ServiceNotifier& operator=(const ServiceNotifier&) = delete;

  // [owner] Once the host can be asked.
  void begin() noexcept;
  // [any thread] Something may have changed. Cheap, and never waits.
  void poke(bool host_stops) noexcept;
  // [owner] The host has stopped: says so, and ends the thread.
  void end(const std::string& line, bool ended_well) noexcept;

 private:
  void run() noexcept;
  void look();
  // False: its reader is busy.
  bool talk();
  void tell_liveness(const std::string& problem);

  ControlledHost& host_;
  NotifySocket& socket_;
  const bool has_watchdog_;
  NotifyPlan plan_;  // used by the thread, and by the owner once that has ended
  bool was_live_ = true;
  bool told_gone_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool has_begun_ = false;
  bool is_closing_ = false;
  std::atomic<bool> is_poked_{false};
  std::atomic<bool> is_calm_{false};  // the thread sleeps whatever happens, unless the stop begins
  std::atomic<bool> stop_seen_{false};
  bool stop_taken_ = false;
  std::thread thread_;
};

}  // namespace taskhost
