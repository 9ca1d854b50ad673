#include "operate/task_words.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "operate/selection.hpp"
#include "operate/time_words.hpp"
#include "text/counted.hpp"
#include "text/duration.hpp"
#include "text/shell_word.hpp"

namespace taskhost {

namespace {

constexpr std::size_t least_name = 12;
constexpr std::size_t least_news = 16;
constexpr std::size_t most_dependants = 8;  // that are named
constexpr std::array<std::string_view, 4> bad_counts = {"needed_unready", "lost", "stalled", "unanswered"};

bool ended_well(const Json& task) { return text_field(task, "last_outcome") == "ok"; }

bool failed(const Json& task) {
  const std::string outcome = text_field(task, "last_outcome");
  return !outcome.empty() && outcome != "ok" && outcome != "cancelled";
}

// How the last execution ended: "error: no route to host", "ok".
std::string last_end(const Json& task) {
  const std::string outcome = text_field(task, "last_outcome");
  const std::string message = text_field(task, "last_message");
  return message.empty() ? outcome : outcome + ": " + message;
}

std::string list_of(const Json& names) {
  std::string words;
  if (!names.is_array()) return words;
  for (const Json& name : names) {
    if (name.is_string()) words += (words.empty() ? "" : ", ") + name.get<std::string>();
  }
  return words;
}

std::string span_of(const Json& object, std::string_view key) {
  const std::optional<std::uint64_t> milliseconds = number_field(object, key);
  return milliseconds ? span_text(*milliseconds) : std::string();
}

std::string with(std::string words, const std::string& more, const char* between = ", ") {
  if (more.empty()) return words;
  return words.empty() ? more : words + between + more;
}

// "3 of 5"; empty if its type has none.
std::string restarts_left(const Json& task) {
  const std::string type = text_field(task, "type");
  if (type.empty() || type == "shutdown_on_exit") return {};
  const std::optional<std::uint64_t> all = number_field(task, "restarts");
  const std::optional<std::uint64_t> left = number_field(task, "remaining");
  return all && left ? std::to_string(*left) + " of " + std::to_string(*all) : "no limit";
}

bool has_name(const Json& names, std::string_view name) {
  return names.is_array() && std::find(names.begin(), names.end(), name) != names.end();
}

// What an operator's stop means to others.
std::string effect_of_stop(const Json& task, const std::vector<std::string>& dependants) {
  const std::string words = dependants.empty()
                                ? std::string("no task comes after it")
                                : some_of(dependants, most_dependants) + (dependants.size() == 1 ? " comes" : " come") +
                                      " after it: what runs goes on, and starts again only once it is ready";
  return words + (text_field(task, "group").empty() ? "" : "; the others of its group go on");
}

Tone tone_of(Health health) {
  return health == Health::bad ? Tone::bad : health == Health::passing ? Tone::warning : Tone::good;
}

std::string plain_number(const Json& object, std::string_view key) {
  const std::optional<std::uint64_t> number = number_field(object, key);
  return number ? std::to_string(*number) : "?";
}

}  // namespace

Health health_of(const Json& task) {
  const std::string state = text_field(task, "state");
  if (flag_field(task, "stalled") || flag_field(task, "abandoned")) return Health::bad;
  if (state == "running") return Health::well;
  if (flag_field(task, "waits_for_time")) return Health::well;
  if (state == "delayed") return failed(task) ? Health::bad : Health::passing;
  if (state == "ended") {
    const std::string reason = text_field(task, "over_for");
    if (reason.empty()) return failed(task) ? Health::bad : Health::well;  // the host stops
    return reason == "ended" && ended_well(task) ? Health::well : Health::bad;
  }
  return state == "unknown" ? Health::bad : Health::passing;
}

std::optional<std::uint64_t> restarts_of(const Json& task) {
  const std::optional<std::uint64_t> execution = number_field(task, "execution");
  if (!execution) return std::nullopt;
  return *execution - std::min<std::uint64_t>(*execution, 1);
}

std::string restarts_cell(const Json& task) {
  const std::optional<std::uint64_t> restarts = restarts_of(task);
  if (!restarts) return "-";
  const std::optional<std::uint64_t> left = number_field(task, "remaining");
  const bool has_budget = left && text_field(task, "type") != "shutdown_on_exit";
  return std::to_string(*restarts) + (has_budget ? " (" + std::to_string(*left) + " left)" : std::string());
}

std::string news_of(const Json& task) {
  const std::string state = text_field(task, "state");
  std::string news;
  if (state == "unknown") return "its shard does not answer";
  if (flag_field(task, "stalled")) news = "a call into it does not return";
  if (state == "delayed") {
    const std::string wait = span_of(task, "next_start_ms");
    news = with(news, failed(task) ? last_end(task) : std::string());
    const std::string what = flag_field(task, "waits_for_time") ? "due in " : "starts in ";
    return with(news, wait.empty() ? std::string() : what + wait, "; ");
  }
  if (state == "waiting" || state == "starting" || state == "running" || state == "stopping") {
    const std::string others = list_of(field(task, "waits_for"));
    if (!others.empty()) news = with(news, "waits for " + others);
    if (flag_field(task, "waits_for_group")) news = with(news, "waits for its group");
    news = with(news, text_field(task, "status"));
    if (news.empty() && failed(task)) news = "before: " + last_end(task);
    return news;
  }
  if (state == "ended") {
    const std::string reason = text_field(task, "over_for");
    if (flag_field(task, "abandoned") || reason == "not_stopped") return with(news, "did not stop in time");
    if (reason == "budget_exhausted") news = "gave up";
    if (reason == "skipped") {
      const std::string others = list_of(field(task, "waits_for"));
      return others.empty() ? "skipped" : "skipped, as " + others + " failed";
    }
    if (reason == "group") return "over with its group";
    return with(news, last_end(task), ": ");
  }
  return failed(task) ? with(news, "before: " + last_end(task)) : news;
}

std::string host_option(std::string_view host) {
  return host.empty() ? std::string() : "--host " + shell_word(host) + ' ';
}

std::string situation_of(const Json& task, std::string_view host) {
  std::string words = text_field(task, "situation");
  const std::string option = host_option(host);
  const std::size_t last_part = words.rfind("; ");  // has the commands
  if (option.empty() || last_part == std::string::npos) return words;
  for (const char* const verb : {"start", "restart", "explain", "logs"}) {
    const std::string command = "taskhost " + std::string(verb) + ' ';
    for (std::size_t at = last_part; (at = words.find(command, at)) != std::string::npos;) {
      at += command.size();
      words.insert(at, option);
    }
  }
  return words;
}

std::vector<Column> task_columns() {
  return {{"TASK", least_name}, {"STATE"}, {"FOR"}, {"RESTARTS"}, {"NEWS", least_news}};
}

std::vector<Cell> task_row(const Json& task) {
  const Health health = health_of(task);
  std::string since = span_of(task, "since_ms");
  return {{text_field(task, "name")},
          {text_field(task, "state"), tone_of(health)},
          {since.empty() ? "-" : std::move(since)},
          {restarts_cell(task)},
          {news_of(task), health == Health::bad ? Tone::bad : Tone::plain}};
}

std::vector<std::string> dependants_of(const Json& tasks, std::string_view name) {
  std::vector<std::string> names;
  for (const Json& task : tasks) {
    if (has_name(field(task, "after"), name)) names.push_back(text_field(task, "name"));
  }
  return names;
}

std::vector<std::pair<std::string, std::string>> facts_of(const Json& task,
                                                          const std::vector<std::string>& dependants) {
  std::vector<std::pair<std::string, std::string>> facts;
  const auto add = [&facts](const char* label, std::string value) {
    if (!value.empty()) facts.emplace_back(label, std::move(value));
  };
  const auto since = [&task](std::string_view span, std::string_view time) {
    std::string words = span_of(task, span);
    if (words.empty()) return words;
    const std::string at = text_field(task, time);
    return at.empty() ? words : words + " (since " + local_time(at) + ')';
  };
  add("state", with(text_field(task, "state"), since("since_ms", "since"), " for "));
  if (const std::string purpose = text_field(task, "purpose"); !purpose.empty()) add("is to stop for", purpose);
  add("type", text_field(task, "type"));
  if (const auto execution = number_field(task, "execution")) {
    add("execution",
        *execution == 0 ? "none yet" : with(std::to_string(*execution), since("uptime_ms", "started"), ", up "));
  }
  if (const auto restarts = restarts_of(task)) add("restarts", std::to_string(*restarts) + " since the host started");
  add("restarts left", restarts_left(task));
  if (const std::string wait = span_of(task, "next_start_ms"); !wait.empty()) {
    add("next start", with("in " + wait, local_time(text_field(task, "next_start")), ", at "));
  }
  add("last end", last_end(task));
  add("it says", text_field(task, "status"));
  add("waits for", list_of(field(task, "waits_for")));
  if (flag_field(task, "waits_for_group")) add("waits for", "its group to be at rest");
  add("over because", text_field(task, "over_for"));
  add("group", text_field(task, "group"));
  add("if stopped", effect_of_stop(task, dependants));
  if (const auto stalls = number_field(task, "stalls"); stalls.value_or(0) != 0 || flag_field(task, "stalled")) {
    add("stalls", std::to_string(stalls.value_or(0)) + (flag_field(task, "stalled") ? ", one goes on" : ""));
  }
  if (flag_field(task, "abandoned")) add("abandoned", "yes: an execution that could not be ended is left behind");
  if (const auto pid = number_field(task, "pid")) add("process", std::to_string(*pid));
  add("plugin", with(text_field(task, "plugin"), text_field(task, "factory"), ", factory "));
  add("runs on",
      "shard " + plain_number(task, "shard") + (flag_field(task, "blocking") ? ", with a thread of its own" : ""));
  if (const auto bytes = number_field(task, "state_bytes")) add("its state", counted(*bytes, "byte"));
  add("id", text_field(task, "id"));
  return facts;
}

std::string worries_of(const Json& host) {
  const Json& tasks = field(host, "tasks");
  std::string words;
  const auto count = [&words](std::optional<std::uint64_t> number, const char* one, const char* several) {
    if (number.value_or(0) != 0) words = with(words, counted(*number, one, several));
  };
  count(number_field(tasks, "needed_unready"), "needed task is not ready", "needed tasks are not ready");
  count(number_field(tasks, "lost"), "task is lost", "tasks are lost");
  count(number_field(tasks, "stalled"), "task is in a call that does not return",
        "tasks are in calls that do not return");
  count(number_field(tasks, "stopped"), "task was stopped by an operator", "tasks were stopped by operators");
  count(number_field(tasks, "starting"), "task is starting", "tasks are starting");
  count(number_field(tasks, "waiting"), "task waits", "tasks wait");
  const std::uint64_t delayed = number_field(tasks, "delayed").value_or(0);
  const std::uint64_t until_due = number_field(tasks, "waits_for_time").value_or(0);
  count(delayed - std::min(delayed, until_due), "task waits for its restart", "tasks wait for their restart");
  count(number_field(tasks, "unanswered"), "task's shard does not answer", "tasks' shards do not answer");
  count(number_field(host, "events_lost"), "event was lost", "events were lost");
  count(number_field(host, "log_lines_lost"), "line of the log was lost", "lines of the log were lost");
  return words;
}

std::string host_line(const Json& host) {
  const Json& tasks = field(host, "tasks");
  const std::string age = span_of(host, "since_ms");
  const std::string worries = worries_of(host);
  const std::uint64_t until_due = number_field(tasks, "waits_for_time").value_or(0);
  const std::string due = until_due == 0 ? std::string() : ", " + std::to_string(until_due) + " due later";
  return text_field(host, "name") + ": " + text_field(host, "state") + (age.empty() ? "" : " for " + age) +
         ", process " + plain_number(host, "pid") + "; " + plain_number(tasks, "ready") + " of " +
         counted(number_field(tasks, "total").value_or(0), "task") + " ready" + due +
         (worries.empty() ? "" : "; " + worries);
}

std::vector<Column> host_columns() {
  return {{"HOST", least_name}, {"PROCESS"}, {"STATE"}, {"FOR"}, {"READY"}, {"NOT WELL", least_news}};
}

std::vector<Cell> host_row(const std::string& option, const Json& host) {
  const Json& tasks = field(host, "tasks");
  const std::string state = text_field(host, "state");
  const std::string age = span_of(host, "since_ms");
  const std::string worries = worries_of(host);
  const bool is_bad = std::any_of(bad_counts.begin(), bad_counts.end(),
                                  [&tasks](std::string_view key) { return number_field(tasks, key).value_or(0) != 0; });
  return {{option},
          {plain_number(host, "pid")},
          {state, state == "running" ? is_bad ? Tone::bad : Tone::good : Tone::warning},
          {age.empty() ? "-" : age},
          {plain_number(tasks, "ready") + " of " + plain_number(tasks, "total")},
          {worries, is_bad ? Tone::bad : Tone::plain}};
}

}  // namespace taskhost
