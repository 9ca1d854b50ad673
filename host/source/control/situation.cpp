#include "control/situation.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <vector>

#include "taskhost/core/duration.hpp"
#include "text/counted.hpp"
#include "text/duration.hpp"
#include "text/printable.hpp"
#include "text/shell_word.hpp"

namespace taskhost {

namespace {

constexpr std::size_t most_names = 5;
constexpr std::size_t most_message_bytes = 120;

// As the fields since_ms and next_start_ms have it: the past rounded down, the future up.
std::string past_words(Nanoseconds span) { return span_text(span / 1'000'000); }
std::string future_words(Nanoseconds span) { return span_text(span / 1'000'000 + (span % 1'000'000 != 0 ? 1 : 0)); }

// A duration of the policy, as the operator wrote it.
std::string exact_words(Nanoseconds duration) {
  return print_duration(std::chrono::nanoseconds(static_cast<std::int64_t>(duration)));
}

// What one sentence is made of. All functions return parts of it.
class Situation {
 public:
  explicit Situation(const TaskStatus& task) : task_(task), report_(task.report) {}

  std::string words() const {
    if (!report_.is_answered) {
      return "unknown: shard " + std::to_string(report_.shard) +
             " did not answer in time; a task may be holding it up: ask again, or see which one: taskhost "
             "logs --level warning";
    }
    switch (report_.state) {
      case TaskState::waiting:
        return waiting();
      case TaskState::delayed:
        return delayed();
      case TaskState::starting:
        return report_.purpose ? to_be_asked() : starting();
      case TaskState::running:
        return report_.purpose ? to_be_asked() : running();
      case TaskState::stopping:
        return stopping();
      case TaskState::stopped:
        return stopped();
      case TaskState::ended:
        return ended();
    }
    return "?";
  }

 private:
  // --- parts ---------------------------------------------------------------------------------------------------------

  bool knows_since() const noexcept { return report_.since != 0 && report_.since <= report_.at; }
  std::string age() const { return past_words(report_.at - report_.since); }
  std::string for_age() const { return knows_since() ? " for " + age() : std::string(); }
  std::string ago() const { return knows_since() ? ' ' + age() + " ago" : std::string(); }

  std::string command(std::string_view verb, std::string_view name) const {
    return "taskhost " + std::string(verb) + ' ' + shell_word(name);
  }
  std::string command(std::string_view verb) const { return command(verb, report_.name); }

  std::string group() const {
    return task_.group.empty() ? std::string("its group") : "its group " + quoted_text(task_.group);
  }

  std::string names() const {
    const auto& all = task_.waits_for;
    std::vector<std::string> words;
    for (std::size_t i = 0; i < std::min(all.size(), most_names); ++i) words.push_back(quoted_text(all[i]));
    if (all.size() > most_names) words.push_back(std::to_string(all.size() - most_names) + " more");
    return word_list(words, "and");
  }
  std::string verb(const char* one, const char* several) const { return task_.waits_for.size() == 1 ? one : several; }

  bool failed() const noexcept {
    return report_.last_outcome && *report_.last_outcome != Outcome::ok && *report_.last_outcome != Outcome::cancelled;
  }
  std::string with_message(std::string words) const {
    if (report_.last_message.empty()) return words;
    return words + " (" + printable_text(report_.last_message, most_message_bytes) + ')';
  }
  // How the last execution ended: "failed (no route to host)"; empty if none has.
  std::string last_end() const {
    if (!report_.last_outcome) return {};
    switch (*report_.last_outcome) {
      case Outcome::ok:
        return "ended well";
      case Outcome::error:
        return with_message("failed");
      case Outcome::panic:
        return with_message("panicked");
      case Outcome::crashed:
        return with_message("crashed");
      case Outcome::cancelled:
        return with_message("was stopped");
    }
    return {};
  }

  std::string restarts_left() const {
    if (report_.type == TaskType::shutdown_on_exit) return {};
    if (!report_.remaining) return "; its restarts are unlimited";
    if (report_.restarts == 0) return {};
    return "; " + (*report_.remaining == 0 ? std::string("none") : std::to_string(*report_.remaining)) + " of " +
           counted(report_.restarts, "restart") + (*report_.remaining <= 1 ? " is left" : " are left");
  }

  std::string what_it_says() const {
    return report_.status.empty() ? std::string()
                                  : "; it says \"" + printable_text(report_.status, most_message_bytes) + '"';
  }
  std::string stalls() const {
    if (report_.stalled) {
      return "; a call into it has not returned for longer than stall_limit, and keeps a thread; its shard's other "
             "tasks go on";
    }
    if (report_.stalls == 0) return {};
    return "; " + counted(report_.stalls, "call") + " into it took longer than stall_limit";
  }
  // Of a task that nobody has asked to stop yet.
  std::string risk_of_stop() const {
    if (!report_.stalled || task_.stop_timeout == 0) return {};
    return "; a stop or restart waits stop_timeout " + exact_words(task_.stop_timeout) +
           " for that call, then the task is abandoned for good, with its thread";
  }

  // --- states --------------------------------------------------------------------------------------------------------

  std::string waiting() const {
    const std::string past = last_end();
    std::string words = "it " + (past.empty() ? std::string() : past + ", and ");
    const bool waits = !task_.waits_for.empty();
    if (!waits && !report_.waits_for_group) return words + "is about to start";
    words += knows_since() ? "has waited " + age() : std::string("waits");
    if (waits) words += " for " + names() + ", which it comes after";
    if (report_.waits_for_group) words += (waits ? ", and for " : " for ") + group() + " to be at rest";
    words += "; it starts when ";
    if (waits) words += verb("that is", "they are") + " ready or " + verb("has", "have") + " ended well";
    if (report_.waits_for_group) {
      words += std::string(waits ? " and " : "") + "the members that restart have ended and their delay is over";
    }
    return waits ? words + "; more: " + command("explain", task_.waits_for.front()) : words;
  }

  std::string delayed() const {
    const std::string past = last_end();
    const bool again = !past.empty();
    std::string words = "it " + (again ? past + ago() + " and " : std::string());
    const bool has_time = report_.next_start != 0 && report_.next_start != never;
    words += std::string(report_.waits_for_time ? "is due again"
                         : again                ? "starts again"
                                                : "starts") +
             (!has_time                          ? " after a delay"
              : report_.next_start <= report_.at ? " now"
                                                 : " in " + future_words(report_.next_start - report_.at));
    if (!task_.waits_for.empty()) {
      words += ", if " + names() + ", which it comes after, " + verb("is", "are") + " ready or " + verb("has", "have") +
               " ended well by then";
    }
    if (report_.waits_for_group) {
      words += (task_.waits_for.empty() ? ", if " : " and ") + group() + " is at rest" +
               (task_.waits_for.empty() ? " by then" : "");
    }
    if (report_.waits_for_time) return words + "; to run it now: " + command("start");
    const bool is_last = report_.remaining && *report_.remaining == 0 && report_.restarts > 0;
    return words + (is_last ? "; that is its last restart" : restarts_left()) +
           "; to end the delay: " + command("start");
  }

  std::string starting() const {
    if (!task_.notifies) {
      return (knows_since() ? "it has been starting" + for_age() : std::string("it is being started")) + which() +
             stalls() + risk_of_stop();
    }
    std::string words = "it has run" + for_age() + " without saying that it is ready" + which() + what_it_says();
    if (task_.start_timeout == 0) {
      words += "; no start_timeout limits that";
    } else if (report_.started_at != 0) {
      const Nanoseconds end = later(report_.started_at, task_.start_timeout);
      const std::string limit = "start_timeout " + exact_words(task_.start_timeout);
      words += end > report_.at ? "; if it does not within " + future_words(end - report_.at) + " (" + limit +
                                      "), it is stopped, which counts as a failure"
                                : "; " + limit + " is over, so it is stopped unless the host stood still meanwhile";
    }
    return words + stalls() + risk_of_stop() + restarts_left() + "; to begin anew: " + command("restart");
  }

  // "; execution 3, after one that failed"
  std::string which() const {
    if (report_.execution <= 1) return {};
    return "; execution " + std::to_string(report_.execution) +
           (failed() ? ", after one that " + last_end() : std::string());
  }

  std::string running() const {
    return (knows_since() ? "it has been ready" + for_age() : std::string("it is ready")) + which() + what_it_says() +
           stalls() + risk_of_stop() + (failed() ? restarts_left() : std::string());
  }

  // Why it is to stop, and what follows.
  std::string because() const {
    if (!report_.purpose) return {};
    switch (*report_.purpose) {
      case StopPurpose::host:
        return ", because the host stops";
      case StopPurpose::operator_stop:
        return ", because an operator stopped it";
      case StopPurpose::discard:
        return ", because a member of " + group() + " gave up";
      case StopPurpose::again:
        return ", because an operator " + (task_.group.empty() ? std::string() : "or " + group() + ' ') + "restarts it";
      case StopPurpose::failure:
        return ", because it was not ready in time or gave no heartbeat";
    }
    return {};
  }
  std::string what_follows() const {
    if (!report_.purpose) return {};
    switch (*report_.purpose) {
      case StopPurpose::host:
      case StopPurpose::discard:
        return "; once it has ended, it is over";
      case StopPurpose::operator_stop:
        return "; once it has ended, it stays stopped; to start it: " + command("start");
      case StopPurpose::again:
        return "; once it has ended, it starts again";
      case StopPurpose::failure:
        return "; once it has ended, that counts as a failure" + restarts_left();
    }
    return {};
  }

  std::string to_be_asked() const {
    std::string words = "it is to stop" + because();
    words += task_.waits_for.empty() ? std::string(", and is about to be asked")
                                     : ", and is asked when " + names() + ", which " + verb("comes", "come") +
                                           " after it, " + verb("has", "have") + " ended";
    return words + stalls() + what_follows();
  }

  std::string stopping() const {
    std::string words = "it was asked to stop" + ago() + because() + what_it_says() + stalls();
    if (task_.stop_timeout != 0 && knows_since()) {
      const bool is_left = report_.blocking || report_.stalled;
      const std::string fate = is_left ? "abandoned for good, with its thread" : "dropped";
      const Nanoseconds end = later(report_.since, task_.stop_timeout);
      const std::string limit = "stop_timeout " + exact_words(task_.stop_timeout);
      words += end > report_.at
                   ? "; if it has not ended in " + future_words(end - report_.at) + " (" + limit + "), it is " + fate
                   : "; " + limit + " is over, so it is about to be " + fate;
    }
    return words + what_follows();
  }

  std::string stopped() const {
    const std::string past = failed() ? "; before that it " + last_end() : std::string();
    return "an operator stopped it" + ago() + past + "; to start it: " + command("start");
  }

  std::string anew() const {
    return "; to start it" + std::string(report_.execution != 0 ? " anew" : "") + ": " + command("start");
  }

  std::string ended() const {
    if (report_.abandoned || report_.over_for == StopReason::not_stopped) return abandoned();
    const std::string past = last_end();
    const std::string did = past.empty() ? "it was never started" : "it " + past;
    if (!report_.over_for) return over() + ", because the host stops; " + did;
    switch (*report_.over_for) {
      case StopReason::task_exit:
        return did + ago() + (report_.is_lost ? ", and is over, because an exit rule discards it" : ", and is over") +
               anew();
      case StopReason::budget_exhausted:
        return did + ago() + " and gave up: " + why_it_gave_up() + anew();
      case StopReason::skipped:
        return skipped();
      case StopReason::group:
        return "it was discarded" + ago() + ", because a member of " + group() + " gave up" + anew();
      default:
        return over() + "; " + did + anew();
    }
  }
  std::string over() const { return knows_since() ? "it has been over" + for_age() : std::string("it is over"); }

  std::string why_it_gave_up() const {
    if (!report_.remaining) return "an exit rule says so";
    // With a window, some may be left again by now.
    if (*report_.remaining != 0) return "its restarts were used up, or an exit rule says so";
    return report_.restarts == 0   ? "it has no restarts"
           : report_.restarts == 1 ? "its restart is used up"
                                   : "its " + std::to_string(report_.restarts) + " restarts are used up";
  }

  std::string skipped() const {
    std::string words = "it was skipped" + ago() + ", because ";
    if (task_.waits_for.empty()) return words + "a task that it comes after was over without success" + anew();
    words += names() + ", which it comes after, " + verb("is", "are") + " over without success; start " +
             verb("that", "those") + " first, such as with " + command("start", task_.waits_for.front());
    return words + ", then " + command("start");
  }

  std::string abandoned() const {
    const std::string limit =
        task_.stop_timeout == 0 ? std::string("in time") : "within stop_timeout " + exact_words(task_.stop_timeout);
    return "it did not stop " + limit + " and was abandoned" + ago() +
           ": its thread is left behind, and it can't be started again as long as this host runs";
  }

  const TaskStatus& task_;
  const TaskReport& report_;
};

}  // namespace

std::string situation(const TaskStatus& task) { return Situation(task).words(); }

}  // namespace taskhost
