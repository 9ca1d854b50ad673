// Prints the log or the events of a host, and follows them.
#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "operate/commands.hpp"
#include "operate/record_words.hpp"
#include "operate/time_words.hpp"
#include "text/duration.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::uint64_t usual_last = 10;  // before those that come

std::int64_t now_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

// Where the records begin that are wanted.
class Beginning {
 public:
  explicit Beginning(const OperateArguments& arguments) {
    if (arguments.since.empty()) {
      since_ = std::to_string(arguments.after.value_or(0));
      return;
    }
    const DurationReading reading = parse_duration(arguments.since);
    if (reading.value) {
      since_ = percent_encoded(arguments.since);
      return;
    }
    const std::int64_t now = now_ms();
    moment_ms_ = local_moment(arguments.since, now);
    if (!moment_ms_) {
      throw Refusal(operate_wrong_usage,
                    "--since: must be a duration such as " + std::string(duration_examples) +
                        ", or a local time such as " + std::string(moment_examples) + "; " +
                        (looks_like_moment(arguments.since) ? "there is no time " + quoted_text(arguments.since)
                                                            : reading.problem));
    }
    if (*moment_ms_ > now) {
      throw Refusal(operate_wrong_usage, "--since: " + quoted_text(arguments.since) + " is still to come");
    }
  }

  // As hosts understand it. They take ages instead of moments, as of when they answer, so somewhat more is asked for.
  std::string asked() const {
    if (!moment_ms_) return since_;
    const std::chrono::milliseconds age(now_ms() - *moment_ms_);
    constexpr auto most = std::chrono::duration_cast<std::chrono::milliseconds>(max_duration);
    return std::to_string(std::clamp(age + RunningHost::patience, std::chrono::milliseconds(0), most).count()) + "ms";
  }
  bool is_before(const Json& record) const {
    if (!moment_ms_) return false;
    const std::optional<std::int64_t> time = time_of(text_field(record, "time"));
    return time && *time < *moment_ms_;
  }

 private:
  std::string since_;
  std::optional<std::int64_t> moment_ms_;
};

class Records {
 public:
  Records(RunningHost& host, const std::string& verb, const OperateArguments& arguments, Beginning beginning,
          const Output& output)
      : host_(host), is_log_(verb == "logs"), arguments_(arguments), beginning_(std::move(beginning)), output_(output) {
    for (const Json& task : selected_names()) names_.insert(text_field(task, "name"));
  }

  // False if nobody reads any more.
  bool print() {
    const auto last = arguments_.last || !arguments_.follow ? arguments_.last : std::optional(usual_last);
    std::string target = this->target(beginning_.asked());
    // A host picks the last ones of one task; those of several are picked here.
    if (last && names_.size() <= 1) target += "&last=" + std::to_string(*last);
    bool goes_on = host_.read(target, false, [&](const Json& record) {
      next_ = std::max(next_, number_field(record, "seq").value_or(0));
      if (!is_wanted(record)) return true;
      found_.push_back(record);
      if (!last || names_.size() <= 1) return print_found();
      if (found_.size() > *last) found_.pop_front();
      return true;
    });
    goes_on = goes_on && print_found();
    if (!goes_on || !arguments_.follow) return goes_on;
    std::string rest = this->target(next_ != 0 ? std::to_string(next_) : beginning_.asked()) + "&follow";
    if (last == std::uint64_t{0}) rest += "&last=0";
    return host_.read(rest, true, [this](const Json& record) { return !is_wanted(record) || print(record); });
  }

 private:
  std::vector<Json> selected_names() {
    return arguments_.tasks.empty() ? std::vector<Json>() : selected_tasks(host_, arguments_.tasks);
  }

  std::string target(const std::string& since) const {
    std::string target = is_log_ ? "/v1/log?" : "/v1/events?";
    target += "since=" + since;
    if (names_.size() == 1) target += "&task=" + percent_encoded(*names_.begin());
    if (!arguments_.level.empty()) target += "&level=" + (arguments_.level == "warn" ? "warning" : arguments_.level);
    return target;
  }

  bool is_wanted(const Json& record) const {
    if (beginning_.is_before(record)) return false;
    if (names_.empty()) return true;
    const std::string task = text_field(record, "task");
    return names_.contains(task) || (task.empty() && tells_missing(record));
  }

  bool print_found() {
    for (; !found_.empty(); found_.pop_front()) {
      if (!print(found_.front())) return false;
    }
    return true;
  }
  bool print(const Json& record) const {
    if (arguments_.json) return output_.print(json_text(record));
    return output_.print(is_log_ ? log_words(record, output_.style) : event_words(record));
  }

  RunningHost& host_;
  const bool is_log_;
  const OperateArguments& arguments_;
  const Beginning beginning_;
  const Output& output_;
  std::set<std::string> names_;  // empty: everything
  std::deque<Json> found_;
  std::uint64_t next_ = 0;  // the number after which those that come are asked for
};

}  // namespace

int show_records(const std::string& verb, const OperateArguments& arguments, const Output& output) {
  Beginning beginning(arguments);
  RunningHost host(find_host(arguments.host));
  (void)Records(host, verb, arguments, std::move(beginning), output).print();
  return 0;
}

}  // namespace taskhost
