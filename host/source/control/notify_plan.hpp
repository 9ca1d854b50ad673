// What a service manager is told of a host, and when. Decides only: no socket, no thread, no clock. One thread.
#pragma once

#include <chrono>
#include <string>

namespace taskhost {

class NotifyPlan {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  struct Facts {
    bool is_live = false;
    bool has_control = false;  // its control thread answers, which ends what does not stop in time
    bool is_ready = false;
    bool is_stopping = false;
    bool is_start_limited = false;  // by the limits of the tasks that are to get ready
    std::string line;               // its STATUS
  };

  // `watchdog`: within this time it wants to hear of a live host; 0: it does not. `stop_limit`: how long a stop may
  // take by the host's own limits.
  NotifyPlan(std::chrono::microseconds watchdog, Duration stop_limit, Time now);

  // The stop has begun: to be told before the facts are looked for, which takes time.
  void begin_stop();
  // These are the facts now.
  void note(Facts facts, Time now);
  // The host has stopped: its last line, and how long the process may go on. `ended_well`: its status is 0.
  void end(std::string line, bool ended_well);

  // The datagram to be sent now; empty: there is nothing to say. What comes of it: sent or refused.
  std::string message(Time now);
  void sent(Time now);
  // Its reader is busy, or (`gone`) there is none.
  void refused(bool gone, Time now);

  // Forgets when the next attempt would be due.
  void hurry() noexcept { retry_at_ = {}; }

  // When to look at the facts again, even if nothing seems to have happened; Time::max(): never.
  Time next_look() const;
  // Before that it need not be looked at what has happened, unless the stop begins.
  Time calm_until() const noexcept { return calm_until_; }

 private:
  bool is_starting_within_limit() const noexcept {
    return ready_ == Owed::not_yet && stopping_ == Owed::not_yet && facts_.is_live && facts_.is_start_limited;
  }
  bool is_within_limit() const noexcept { return stopping_for_ <= stop_limit_; }
  // A service that says that it stops before it was ready has failed by the protocol, and of both in one datagram only
  // one counts: so READY=1 goes first, or, if it does not come, STOPPING=1 at the very end.
  bool owes_stopping() const noexcept {
    return stopping_ == Owed::now && (ready_ == Owed::told || (has_ended_ && ready_ == Owed::not_yet));
  }
  bool is_owed() const noexcept { return ready_ == Owed::now || owes_stopping() || line_ != told_line_; }

  enum class Owed : unsigned char { not_yet, now, told };

  const Duration watchdog_interval_;  // 0: none
  const Duration stop_limit_;
  Facts facts_;
  Owed ready_ = Owed::not_yet;
  Owed stopping_ = Owed::not_yet;
  std::string line_;
  std::string told_line_;
  Time looked_at_;
  Time line_told_at_{};
  Time calm_until_{};
  Duration calm_;
  Time watchdog_told_at_;
  Time extended_at_{};
  Duration stopping_for_{0};
  Time retry_at_{};
  Duration retry_delay_{0};
  bool has_ended_ = false;
  bool end_told_ = false;

  // Of the last message.
  struct Parts {
    bool ready = false;
    bool stopping = false;
    bool line = false;
    bool watchdog = false;
    bool extension = false;
    bool end = false;
  };
  Parts parts_;
};

}  // namespace taskhost
