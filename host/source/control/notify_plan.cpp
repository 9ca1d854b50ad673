#include "control/notify_plan.hpp"

#include <algorithm>
#include <utility>

namespace taskhost {

namespace {

using namespace std::chrono_literals;

constexpr NotifyPlan::Duration line_interval = 1s;  // at least, between two STATUS
// Between two looks at a host where something goes on all the time: the longer nothing has changed, the longer.
constexpr NotifyPlan::Duration shortest_calm = 100ms;
constexpr NotifyPlan::Duration longest_calm = 5s;
constexpr NotifyPlan::Duration longest_calm_unready = 1s;
constexpr NotifyPlan::Duration shortest_watchdog_interval = 5ms;
constexpr NotifyPlan::Duration longest_unlive_interval = 1s;  // between two looks at whether it is live again
// Long enough that a busy machine does not miss it, and short enough that a host which got stuck does not last.
constexpr std::chrono::seconds grant = 20s;
constexpr NotifyPlan::Duration grant_interval = 5s;
constexpr NotifyPlan::Duration first_retry = 100ms;
constexpr NotifyPlan::Duration last_retry_busy = 1s;
constexpr NotifyPlan::Duration last_retry_gone = 1h;  // less and less often, so that a host at rest is not woken

}  // namespace

NotifyPlan::NotifyPlan(std::chrono::microseconds watchdog, Duration stop_limit, Time now)
    : watchdog_interval_(watchdog == 0us ? Duration(0) : std::max<Duration>(watchdog / 2, shortest_watchdog_interval)),
      stop_limit_(stop_limit),
      looked_at_(now),
      calm_(shortest_calm),
      watchdog_told_at_(now) {}

void NotifyPlan::note(Facts facts, Time now) {
  if (facts.is_ready && ready_ == Owed::not_yet) ready_ = Owed::now;
  if (facts.is_stopping) begin_stop();
  // Not the time in which the process stood still: the host does not count it, either.
  if (facts_.is_stopping) stopping_for_ += std::min(now - looked_at_, 2 * grant_interval);
  const bool has_changed = facts.line != line_;
  const Duration longest = ready_ == Owed::not_yet ? longest_calm_unready : longest_calm;
  const Duration shortest = ready_ == Owed::not_yet ? shortest_calm : line_interval;
  calm_ = has_changed ? shortest : std::clamp(2 * calm_, shortest, longest);
  calm_until_ = now + calm_;
  looked_at_ = now;
  line_ = facts.line;
  facts_ = std::move(facts);
}

void NotifyPlan::begin_stop() {
  if (stopping_ == Owed::not_yet) {
    stopping_ = Owed::now;
    extended_at_ = {};  // that was for the start
  }
  facts_.is_stopping = true;
}

void NotifyPlan::end(std::string line, bool ended_well) {
  // Otherwise a host whose tasks were done before it was seen to be ready would have failed by the protocol.
  if (ended_well && ready_ == Owed::not_yet) ready_ = Owed::now;
  begin_stop();
  facts_.is_live = true;  // it has no loops any more
  line_ = std::move(line);
  has_ended_ = true;
  retry_at_ = {};
}

std::string NotifyPlan::message(Time now) {
  parts_ = {};
  if (now < retry_at_) return {};
  parts_.end = has_ended_ && !end_told_;
  parts_.ready = ready_ == Owed::now;
  parts_.stopping = owes_stopping();
  const bool is_late = now - line_told_at_ >= line_interval;
  parts_.line = line_ != told_line_ && (is_late || parts_.ready || parts_.stopping || has_ended_);
  parts_.watchdog = watchdog_interval_ != 0s && facts_.is_live &&
                    (parts_.end || (!has_ended_ && now - watchdog_told_at_ >= watchdog_interval_));
  const bool is_granted =
      is_starting_within_limit() || (!has_ended_ && facts_.is_stopping && facts_.has_control && is_within_limit());
  parts_.extension = parts_.end || parts_.stopping || (stopping_ == Owed::now && extended_at_ == Time()) ||
                     (is_granted && now - extended_at_ >= grant_interval);
  std::string message;
  // A grant comes before anything that begins the time it is for.
  if (parts_.ready) message += "READY=1\n";
  if (parts_.stopping) message += "STOPPING=1\n";
  if (parts_.extension) {
    message += "EXTEND_TIMEOUT_USEC=" + std::to_string(std::chrono::microseconds(grant).count()) + "\n";
  }
  if (parts_.watchdog) message += "WATCHDOG=1\n";
  if (parts_.line) message += "STATUS=" + line_ + "\n";
  return message;
}

void NotifyPlan::sent(Time now) {
  if (parts_.ready) ready_ = Owed::told;
  if (parts_.stopping) stopping_ = Owed::told;
  if (parts_.end) end_told_ = true;
  if (parts_.extension) extended_at_ = now;
  if (parts_.watchdog) watchdog_told_at_ = now;
  if (parts_.line) {
    told_line_ = line_;
    line_told_at_ = now;
  }
  retry_at_ = {};
  retry_delay_ = 0s;
}

void NotifyPlan::refused(bool gone, Time now) {
  const Duration last = gone ? last_retry_gone : last_retry_busy;
  retry_delay_ = std::clamp(2 * retry_delay_, first_retry, last);
  retry_at_ = now + retry_delay_;
}

NotifyPlan::Time NotifyPlan::next_look() const {
  Time next = Time::max();
  if (watchdog_interval_ != 0s) {
    next = facts_.is_live ? watchdog_told_at_ + watchdog_interval_
                          : looked_at_ + std::min(watchdog_interval_ / 2, longest_unlive_interval);
  }
  if (!facts_.is_live) next = std::min(next, looked_at_ + longest_unlive_interval);
  if (is_starting_within_limit()) next = std::min(next, extended_at_ + grant_interval);
  if (facts_.is_stopping && is_within_limit()) {
    next = std::min(next, facts_.has_control ? extended_at_ + grant_interval : looked_at_ + longest_unlive_interval);
  }
  if (is_owed()) {
    const bool is_urgent = ready_ == Owed::now || owes_stopping();
    next = std::min(next, is_urgent ? looked_at_ : line_told_at_ + line_interval);
  }
  return std::max(next, retry_at_);
}

}  // namespace taskhost
