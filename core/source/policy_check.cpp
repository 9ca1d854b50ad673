#include "taskhost/core/policy_check.hpp"

#include <algorithm>
#include <cmath>

#include "restart_policy.hpp"
#include "taskhost/core/duration.hpp"
#include "taskhost/core/limits.hpp"

namespace taskhost {

namespace {

using std::chrono::nanoseconds;

class Check {
 public:
  explicit Check(const TaskOptions& options) : options_(options), optional_(*options.optional) {}

  std::vector<PolicyProblem> run() {
    check_durations();
    check_backoff();
    if (optional_.window && options_.restarts > max_restarts_in_window) {
      add("restarts", "window",
          "with a \"window\", \"restarts\" is at most " + std::to_string(max_restarts_in_window) + ", found " +
              std::to_string(options_.restarts));
    }
    const bool restarted = options_.type != TaskType::shutdown_on_exit;
    if (restarted && optional_.unlimited && !has_delay()) {
      add("restarts", "backoff",
          "\"unlimited\" needs a \"backoff\" whose \"initial\" is 1ms or longer: otherwise a task that fails at once "
          "would keep a processor busy");
    }
    check_repeats(restarted);
    if (restarted && !optional_.unlimited && options_.restarts != 0 && problems_.empty()) {
      if (optional_.reset_after) check_reset_after();
      if (optional_.window) check_window();
    }
    return std::move(problems_);
  }

 private:
  void add(std::string_view field, std::string_view other, std::string message, std::string step = {}) {
    problems_.push_back({field, other, std::move(step), std::move(message)});
  }

  void check_durations() {
    const auto expect_some = [this](std::string_view field, nanoseconds duration, const char* step = "") {
      if (duration.count() > 0) return;
      add(field, {}, "expected a duration longer than 0s, found " + print_duration(duration), step);
    };
    if (optional_.window) expect_some("window", *optional_.window);
    if (optional_.reset_after) expect_some("reset_after", *optional_.reset_after);
    if (optional_.start_timeout) expect_some("start_timeout", *optional_.start_timeout);
    if (optional_.watchdog) expect_some("watchdog", optional_.watchdog->interval, "/interval");
    if (optional_.repeat && !optional_.repeat->schedule && optional_.repeat->every < min_time_per_endless_restart) {
      add("repeat", {},
          "expected a time of 1ms or longer, found " + print_duration(optional_.repeat->every) +
              ": a task that ends at once would keep a processor busy",
          "/every");
    }
    if (optional_.on_give_up != GiveUp::cooldown) return;
    expect_some("on_give_up", optional_.cooldown, "/cooldown");
    if (optional_.cooldown.count() > 0 && optional_.cooldown < min_time_per_endless_restart) {
      add("on_give_up", {},
          "expected a cooldown of 1ms or longer, found " + print_duration(optional_.cooldown) +
              ": a task that fails at once would keep a processor busy",
          "/cooldown");
    }
  }

  bool has_delay() const { return optional_.backoff && optional_.backoff->initial >= min_time_per_endless_restart; }

  void check_backoff() {
    if (!optional_.backoff) return;
    const Backoff& backoff = *optional_.backoff;
    if (!(backoff.factor >= 1) || std::isinf(backoff.factor)) {
      add("backoff", {}, "expected a factor of at least 1", "/factor");
    }
    if (!(backoff.jitter >= 0 && backoff.jitter <= 1)) {
      add("backoff", {}, "expected a jitter from 0 to 1", "/jitter");
    }
    if (backoff.max < backoff.initial) {
      add("backoff", {}, backoff_order_problem(backoff), "/max");
    }
  }

  void check_repeats(bool restarted) {
    if (optional_.repeat || (restarted && has_delay())) return;
    const std::string message =
        restarted ? "\"repeat\" needs a \"backoff\" whose \"initial\" is 1ms or longer, such as {\"initial\": "
                    "\"1s\"}: otherwise a task that ends at once would keep a processor busy"
                  : never_restarted_problem;
    for (std::size_t i = 0; i < optional_.exit_rules.size(); ++i) {
      if (optional_.exit_rules[i].action != ExitAction::repeat) continue;
      add("exit_rules", restarted ? "backoff" : "type", message, '/' + std::to_string(i) + "/action");
    }
  }

  // Whether a failure with this message, which the host itself causes, leads to a restart and so counts for the budget.
  bool is_restarted(const std::string& message) const {
    return action_on_exit(options_, Outcome::error, message) == ExitAction::restart;
  }
  bool restarts_silent_ones() const {
    return optional_.watchdog && optional_.watchdog->action == WatchdogAction::restart &&
           is_restarted(silence_message(optional_.watchdog->interval));
  }
  bool restarts_late_ones() const {
    return optional_.notify && optional_.start_timeout && is_restarted(lateness_message(*optional_.start_timeout));
  }

  // A failing execution must be able to fail before reset_after. One that is not ready in time has not lived at all.
  void check_reset_after() {
    const nanoseconds reset_after = *optional_.reset_after;
    if (reset_after < min_time_per_endless_restart) {
      add("reset_after", {},
          "a task that fails at once may live for " + print_duration(reset_after) +
              ", which gives the restarts back, so they might never be used up; raise \"reset_after\" to " +
              print_duration(min_time_per_endless_restart) + " or more");
    } else if (restarts_silent_ones() && optional_.watchdog->interval >= reset_after) {
      add("reset_after", "watchdog",
          "a task without heartbeats lives for the watchdog's interval of " +
              print_duration(optional_.watchdog->interval) + ", and after " + print_duration(reset_after) +
              " its restarts are given back, so they could never be used up; " +
              raise_above("reset_after", optional_.watchdog->interval) + "lower the interval below " +
              print_duration(reset_after));
    }
  }

  // From the first charge to the exit that finds the budget used up, each restart takes its delay, the time of the
  // execution after it, and a moment more. All of that must fit into the window. Delays never shrink, and jitter only
  // adds to them, so the first ones are the shortest.
  void check_window() {
    const nanoseconds window = *optional_.window;
    const nanoseconds delays = delays_of(options_.restarts);
    const bool one = options_.restarts == 1;
    const std::string count = std::to_string(options_.restarts);
    if (delays >= window) {
      tell_window("backoff",
                  (one ? "the first delay is " : "the first " + count + " delays add up to ") + duration_words(delays),
                  shorter_delays());
      return;
    }
    if (const nanoseconds time = min_time(delays, least_execution()); time >= window) {
      tell_window("restarts",
                  has_delay()
                      ? one ? "a restart takes longer" : count + " restarts take longer"
                      : (one ? "a restart without a delay may take " : count + " restarts without delays may take ") +
                            duration_words(time),
                  {});
      return;
    }
    const std::string with_delays = delays.count() == 0 ? "" : one ? " and the delay" : " and their delays";
    const std::string so_often = (one ? "an execution" : count + " executions") + with_delays +
                                 (one && with_delays.empty() ? " takes " : " take ");
    const nanoseconds room = (window - delays - nanoseconds(1)) / options_.restarts;
    const auto lower = [&room](const std::string& what) {
      const nanoseconds most = rounded_down(room);
      return "lower " + what + (most.count() > 0 ? " to " + print_duration(most) + " or less" : std::string());
    };
    if (restarts_silent_ones()) {
      const nanoseconds time = min_time(delays, optional_.watchdog->interval);
      if (time >= window) {
        tell_window("watchdog", "if the watchdog ends each execution, " + so_often + duration_words(time),
                    lower("the interval"));
      }
    }
    if (restarts_late_ones()) {
      const nanoseconds time = min_time(delays, *optional_.start_timeout);
      if (time >= window) {
        tell_window("start_timeout", "if the start_timeout ends each execution, " + so_often + duration_words(time),
                    lower("\"start_timeout\""));
      }
    }
  }

  // Without delays, a task whose executions are a little longer would keep a processor busy for ever.
  nanoseconds least_execution() const { return has_delay() ? min_execution_time : min_time_per_endless_restart; }

  nanoseconds delays_of(std::uint32_t restarts) const {
    return optional_.backoff ? shortest_delays(*optional_.backoff, restarts) : nanoseconds(0);
  }

  nanoseconds min_time(nanoseconds delays, nanoseconds execution) const {
    return min_time(delays, execution, options_.restarts);
  }
  static nanoseconds min_time(nanoseconds delays, nanoseconds execution, std::uint32_t restarts) {
    const nanoseconds most = (nanoseconds::max() - delays) / restarts;
    return execution > most ? nanoseconds::max() : delays + execution * restarts;
  }

  // The one that takes the longest of those that every check accepts.
  nanoseconds longest_execution() const {
    nanoseconds execution = least_execution();
    if (restarts_silent_ones()) execution = std::max(execution, optional_.watchdog->interval);
    if (restarts_late_ones()) execution = std::max(execution, *optional_.start_timeout);
    return execution;
  }

  // The time above which every check accepts the window.
  nanoseconds longest_min_time() const { return min_time(delays_of(options_.restarts), longest_execution()); }

  // What nobody types, without the digits that say little.
  static nanoseconds rounded_down(nanoseconds time) {
    const nanoseconds unit = time >= std::chrono::seconds(1)        ? nanoseconds(std::chrono::milliseconds(1))
                             : time >= std::chrono::milliseconds(1) ? nanoseconds(std::chrono::microseconds(1))
                                                                    : nanoseconds(1);
    return time - time % unit;
  }

  // If all delays are so short, the restarts fit into the window.
  std::string shorter_delays() const {
    const nanoseconds room = (*optional_.window - nanoseconds(1)) / options_.restarts;
    const nanoseconds most = rounded_down(std::max(room - longest_execution(), nanoseconds(0)));
    if (most < min_time_per_endless_restart) return "shorten the delays";
    if (most > optional_.backoff->initial) return "lower \"max\" to " + print_duration(most) + " or less";
    return "let no delay be longer than " + print_duration(most);
  }

  // With how many restarts every check accepts the window; 0: with none.
  std::uint32_t most_restarts() const {
    std::uint32_t least = 0;
    std::uint32_t most = options_.restarts;  // too many
    while (least + 1 < most) {
      const std::uint32_t middle = least + (most - least) / 2;
      const bool fits = min_time(delays_of(middle), longest_execution(), middle) < *optional_.window;
      (fits ? least : most) = middle;
    }
    return least;
  }

  void tell_window(std::string_view other, const std::string& what, const std::string& remedy) {
    std::vector<std::string> remedies;
    if (longest_min_time() < max_duration) {
      remedies.push_back("raise \"window\" above " + print_duration(longest_min_time()));
    }
    if (!remedy.empty()) remedies.push_back(remedy);
    if (const std::uint32_t most = most_restarts(); most != 0) {
      remedies.push_back("give at most " + std::to_string(most) + (most == 1 ? " restart" : " restarts"));
    }
    std::string all;
    for (std::size_t i = 0; i < remedies.size(); ++i) {
      all += (i == 0 ? "; " : i + 1 < remedies.size() ? ", " : ", or ") + remedies[i];
    }
    add("window", other,
        what + ", so the budget could never be used up within the window of " + print_duration(*optional_.window) +
            all);
  }

  // Nothing, if no time that long is accepted.
  static std::string raise_above(const char* field, nanoseconds time) {
    if (time >= max_duration) return {};
    return "raise \"" + std::string(field) + "\" above " + print_duration(time) + ", or ";
  }

  const TaskOptions& options_;
  const SupervisionOptions& optional_;
  std::vector<PolicyProblem> problems_;
};

}  // namespace

std::vector<PolicyProblem> check_policy(const TaskOptions& options) {
  return options.optional ? Check(options).run() : std::vector<PolicyProblem>();
}

std::string backoff_order_problem(const Backoff& backoff) {
  return "\"max\" (1h by default) is " + print_duration(backoff.max) + ", shorter than \"initial\", " +
         print_duration(backoff.initial) + "; raise \"max\" or lower \"initial\"";
}

nanoseconds shortest_delays(const Backoff& backoff, std::uint64_t restarts) {
  constexpr auto longest = static_cast<Nanoseconds>(nanoseconds::max().count());
  if (backoff.initial.count() <= 0) return nanoseconds(0);
  Nanoseconds sum = 0;
  for (std::uint64_t restart = 1; restart <= std::min(restarts, max_added_delays); ++restart) {
    const Nanoseconds delay = backoff.delay(restart, 0);
    if (delay >= to_nanoseconds(backoff.max) || backoff.factor == 1) {  // all further delays are the same
      const std::uint64_t left = restarts - restart + 1;
      if (delay > (longest - sum) / left) return nanoseconds::max();
      return nanoseconds(static_cast<std::int64_t>(sum + delay * left));
    }
    if (delay > longest - sum) return nanoseconds::max();
    sum += delay;
  }
  if (restarts <= max_added_delays) return nanoseconds(static_cast<std::int64_t>(sum));
  // The rest by the formula for a geometric series, and from the longest delay on by a product.
  const auto max = static_cast<double>(backoff.max.count());
  const auto next = static_cast<double>(backoff.delay(max_added_delays + 1, 0));
  const auto left = static_cast<double>(restarts - max_added_delays);
  const double growing = std::min(left, std::floor(std::log(max / next) / std::log(backoff.factor)));
  const double rest = next * (std::pow(backoff.factor, growing) - 1) / (backoff.factor - 1) + (left - growing) * max;
  const double all = static_cast<double>(sum) + rest;
  return all >= static_cast<double>(longest) ? nanoseconds::max() : nanoseconds(static_cast<std::int64_t>(all));
}

}  // namespace taskhost
