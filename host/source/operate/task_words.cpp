#include "operate/task_words.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <utility>

#include "text/counted.hpp"

namespace taskhost {

namespace {

constexpr std::size_t least_name = 12;
constexpr std::size_t least_news = 16;

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

Tone tone_of(Health health) {
  return health == Health::bad ? Tone::bad : health == Health::passing ? Tone::warning : Tone::good;
}

std::string plain_number(const Json& object, std::string_view key) {
  const std::optional<std::uint64_t> number = number_field(object, key);
  return number ? std::to_string(*number) : "?";
}

std::string age_of_host(const Json& host, std::int64_t now_ms) {
  const std::optional<std::int64_t> since = time_of(text_field(host, "since"));
  if (!since) return {};
  return span_text(static_cast<std::uint64_t>(std::max<std::int64_t>(now_ms - *since, 0)));
}

}  // namespace

Health health_of(const Json& task) {
  const std::string state = text_field(task, "state");
  if (flag_field(task, "stalled") || flag_field(task, "abandoned")) return Health::bad;
  if (state == "running") return Health::well;
  if (state == "delayed") return failed(task) ? Health::bad : Health::passing;
  if (state == "ended") {
    const std::string reason = text_field(task, "over_for");
    if (reason.empty()) return failed(task) ? Health::bad : Health::well;  // the host stops
    return reason == "ended" && ended_well(task) ? Health::well : Health::bad;
  }
  return state == "unknown" ? Health::bad : Health::passing;
}

std::string restarts_of(const Json& task) {
  const std::string type = text_field(task, "type");
  if (type.empty() || type == "shutdown_on_exit") return "-";
  const std::optional<std::uint64_t> all = number_field(task, "restarts");
  const std::optional<std::uint64_t> left = number_field(task, "remaining");
  if (!all || !left) return "no limit";
  return std::to_string(*all - std::min(*all, *left)) + " of " + std::to_string(*all);
}

std::string news_of(const Json& task) {
  const std::string state = text_field(task, "state");
  std::string news;
  if (state == "unknown") return "its shard does not answer";
  if (flag_field(task, "stalled")) news = "a call into it does not return";
  if (state == "delayed") {
    const std::string wait = span_of(task, "next_start_ms");
    news = with(news, failed(task) ? last_end(task) : std::string());
    return with(news, wait.empty() ? std::string() : "starts in " + wait, "; ");
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

std::vector<Column> task_columns() {
  return {{"TASK", least_name}, {"STATE"}, {"FOR"}, {"RESTARTS"}, {"NEWS", least_news}};
}

std::vector<Cell> task_row(const Json& task) {
  const Health health = health_of(task);
  std::string since = span_of(task, "since_ms");
  return {{text_field(task, "name")},
          {text_field(task, "state"), tone_of(health)},
          {since.empty() ? "-" : std::move(since)},
          {restarts_of(task)},
          {news_of(task), health == Health::bad ? Tone::bad : Tone::plain}};
}

std::vector<std::pair<std::string, std::string>> facts_of(const Json& task) {
  std::vector<std::pair<std::string, std::string>> facts;
  const auto add = [&facts](const char* label, std::string value) {
    if (!value.empty()) facts.emplace_back(label, std::move(value));
  };
  const auto since = [&task](std::string_view span, std::string_view time) {
    std::string words = span_of(task, span);
    if (words.empty()) return words;
    const std::string at = text_field(task, time);
    return at.empty() ? words : words + " (since " + at + ')';
  };
  add("state", with(text_field(task, "state"), since("since_ms", "since"), " for "));
  if (const std::string purpose = text_field(task, "purpose"); !purpose.empty()) add("is to stop for", purpose);
  add("type", text_field(task, "type"));
  if (const auto execution = number_field(task, "execution")) {
    add("execution",
        *execution == 0 ? "none yet" : with(std::to_string(*execution), since("uptime_ms", "started"), ", up "));
  }
  if (const std::string restarts = restarts_of(task); restarts != "-") {
    add("restarts", restarts == "no limit" ? restarts : restarts + " used");
  }
  if (const std::string wait = span_of(task, "next_start_ms"); !wait.empty()) {
    add("next start", with("in " + wait, text_field(task, "next_start"), ", at "));
  }
  add("last end", last_end(task));
  add("it says", text_field(task, "status"));
  add("waits for", list_of(field(task, "waits_for")));
  if (flag_field(task, "waits_for_group")) add("waits for", "its group to be at rest");
  add("over because", text_field(task, "over_for"));
  add("group", text_field(task, "group"));
  if (const auto stalls = number_field(task, "stalls"); stalls.value_or(0) != 0 || flag_field(task, "stalled")) {
    add("stalls", std::to_string(stalls.value_or(0)) + (flag_field(task, "stalled") ? ", one goes on" : ""));
  }
  if (flag_field(task, "abandoned")) add("abandoned", "yes: an execution that could not be ended is left behind");
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
  count(number_field(tasks, "delayed"), "task waits for its restart", "tasks wait for their restart");
  count(number_field(tasks, "unanswered"), "task's shard does not answer", "tasks' shards do not answer");
  count(number_field(host, "events_lost"), "event was lost", "events were lost");
  count(number_field(host, "log_lines_lost"), "line of the log was lost", "lines of the log were lost");
  return words;
}

std::string host_line(const Json& host, std::int64_t now_ms) {
  const Json& tasks = field(host, "tasks");
  const std::string age = age_of_host(host, now_ms);
  const std::string worries = worries_of(host);
  return text_field(host, "name") + ": " + text_field(host, "state") + (age.empty() ? "" : " for " + age) +
         ", process " + plain_number(host, "pid") + "; " + plain_number(tasks, "ready") + " of " +
         counted(number_field(tasks, "total").value_or(0), "task") + " ready" + (worries.empty() ? "" : "; " + worries);
}

std::vector<Column> host_columns() {
  return {{"HOST", least_name}, {"PROCESS"}, {"STATE"}, {"FOR"}, {"READY"}, {"NOT WELL", least_news}};
}

std::vector<Cell> host_row(const Json& host, std::int64_t now_ms) {
  const Json& tasks = field(host, "tasks");
  const std::string state = text_field(host, "state");
  const std::string age = age_of_host(host, now_ms);
  const std::string worries = worries_of(host);
  const bool is_bad =
      number_field(tasks, "needed_unready").value_or(0) + number_field(tasks, "unanswered").value_or(0) != 0;
  return {{text_field(host, "name")},
          {plain_number(host, "pid")},
          {state, state == "running" ? is_bad ? Tone::bad : Tone::good : Tone::warning},
          {age.empty() ? "-" : age},
          {plain_number(tasks, "ready") + " of " + plain_number(tasks, "total")},
          {worries, is_bad ? Tone::bad : Tone::plain}};
}

std::optional<std::int64_t> time_of(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  unsigned milliseconds = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2uT%2u:%2u:%2u.%3u", &year, &month, &day, &hour, &minute, &second,
                  &milliseconds) != 7) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const auto at = std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
                  std::chrono::seconds(second) + std::chrono::milliseconds(milliseconds);
  return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}

}  // namespace taskhost
