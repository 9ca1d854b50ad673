#include "control/route.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <span>
#include <vector>

#include "text/duration.hpp"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::size_t longest_target = 4096;
constexpr std::size_t longest_name = 128;

// Which parameters a call takes.
enum class Takes : std::uint8_t { nothing, wait, events, lines };

struct Row {
  std::string_view path;  // NAME stands for a task
  ApiCall call;
  bool changes = false;  // and is therefore a POST
  Takes takes = Takes::nothing;
};

constexpr std::array<Row, 13> rows = {{{"/v1/host", ApiCall::host},
                                       {"/v1/tasks", ApiCall::tasks},
                                       {"/v1/tasks/NAME", ApiCall::task},
                                       {"/v1/tasks/NAME/start", ApiCall::start_task, true, Takes::wait},
                                       {"/v1/tasks/NAME/stop", ApiCall::stop_task, true, Takes::wait},
                                       {"/v1/tasks/NAME/restart", ApiCall::restart_task, true, Takes::wait},
                                       {"/v1/stop", ApiCall::stop_host, true},
                                       {"/v1/events", ApiCall::events, false, Takes::events},
                                       {"/v1/log", ApiCall::log, false, Takes::lines},
                                       {"/metrics", ApiCall::metrics},
                                       {"/livez", ApiCall::livez},
                                       {"/readyz", ApiCall::readyz},
                                       {"/", ApiCall::page}}};

constexpr std::array<std::string_view, 1> wait_parameters = {"wait"};
constexpr std::array<std::string_view, 5> line_parameters = {"since", "last", "task", "follow", "level"};
constexpr std::span<const std::string_view> event_parameters(line_parameters.data(), 4);

std::span<const std::string_view> parameters_of(Takes takes) noexcept {
  switch (takes) {
    case Takes::nothing:
      return {};
    case Takes::wait:
      return wait_parameters;
    case Takes::events:
      return event_parameters;
    case Takes::lines:
      return line_parameters;
  }
  return {};
}

// Ends the routing; caught by route.
struct Refused {
  RouteProblem problem;
};

[[noreturn]] void refuse(unsigned status, std::string message, std::string_view allow = {}) {
  throw Refused{{.status = status, .message = std::move(message), .allow = allow}};
}

int hex_value(char digit) noexcept {
  if (is_digit(digit)) return digit - '0';
  const char lower = static_cast<char>(digit | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string decoded(std::string_view text, bool plus_is_space) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      result += ' ';
    } else if (text[i] != '%') {
      result += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
      if (low < 0) {
        refuse(400,
               "write two hexadecimal digits after each \"%\", and %25 for the character itself: " + quoted_text(text));
      }
      result += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return result;
}

// What keeps it from being a task's name; empty if nothing does.
std::string name_problem(std::string_view name) {
  if (name.empty()) return "is missing";
  if (name.size() > longest_name) {
    return quoted_text(name) + " has " + std::to_string(name.size()) + " bytes; tasks' names have at most 128";
  }
  for (std::size_t i = 0; i < name.size();) {
    const std::size_t size = character_size(name, i);
    if (size == 0) return quoted_text(name) + " is not UTF-8";
    i += size;
  }
  return has_control_character(name) ? quoted_text(name) + " has control characters; tasks' names have none" : "";
}

// --- the path --------------------------------------------------------------------------------------------------------

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    parts.push_back(path.substr(0, path.find('/')));
    path.remove_prefix(parts.back().size());
  }
  return parts;
}

bool matches(const Row& row, const std::vector<std::string>& parts) {
  const std::vector<std::string_view> wanted = parts_of(row.path);
  return std::equal(wanted.begin(), wanted.end(), parts.begin(), parts.end(),
                    [](std::string_view want, const std::string& part) { return want == "NAME" || want == part; });
}

// The nearest path that there is, or one that helps.
// Whoever only looks is not led to what changes something.
std::string advice(std::string_view method, std::string_view path) {
  std::vector<std::string_view> known;
  for (const Row& row : rows) {
    if (!row.changes || method == "POST") known.push_back(row.path);
  }
  std::string asked(path);
  std::string_view task;
  // A task's name must not count as a slip.
  constexpr std::string_view tasks = "/v1/tasks/";
  if (path.starts_with(tasks) && path.size() > tasks.size()) {
    task = path.substr(tasks.size());
    task = task.substr(0, task.find('/'));
    asked = std::string(tasks) + "NAME" + std::string(path.substr(tasks.size() + task.size()));
  }
  std::string nearest(nearest_word(asked, known));
  if (nearest.empty()) {
    return "; begin with GET /v1/host or GET /v1/tasks";
  }
  if (const std::size_t at = nearest.find("NAME"); at != std::string::npos && !task.empty()) {
    nearest.replace(at, 4, task);
  }
  return "; did you mean " + quoted_text(nearest) + "?";
}

const Row& row_of(std::string_view method, std::string_view path, std::string& task) {
  const std::vector<std::string_view> raw = parts_of(path);
  std::vector<std::string> parts;
  for (const std::string_view part : raw) {
    if (part == "." || part == "..") {
      refuse(404, "no path has \"" + std::string(part) +
                      "\" as a part: write it out; as a task's name it is written with %2E for each point");
    }
    parts.push_back(decoded(part, false));
  }
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& known) { return matches(known, parts); });
  if (row == rows.end()) {
    if (path.ends_with('/') && path.size() > 1) {
      refuse(404, "no such path: " + quoted_text(path) + "; remove the slash at its end");
    }
    refuse(404, "no such path: " + quoted_text(path) + advice(method, path));
  }
  if (row->path.find("NAME") != std::string_view::npos) {
    task = parts[2];
    const std::string problem = name_problem(task);
    if (!problem.empty()) {
      refuse(404, "the task's name in " + quoted_text(path) + ' ' + problem + "; GET /v1/tasks lists the names");
    }
  }
  return *row;
}

// --- the query -------------------------------------------------------------------------------------------------------

[[noreturn]] void refuse_value(std::string_view parameter, std::string_view value, const std::string& what_to_do,
                               std::string_view example) {
  refuse(400, "the parameter " + quoted_text(parameter) + " can't be " + quoted_text(value) + "; " + what_to_do +
                  "; an example: " + std::string(parameter) + std::string(example));
}

std::chrono::nanoseconds duration_of(std::string_view name, std::string_view value, std::string_view example) {
  const DurationReading reading = parse_duration(value);
  if (!reading.value) refuse_value(name, value, reading.problem, example);
  return *reading.value;
}

std::optional<std::uint64_t> number_of(std::string_view value) {
  std::uint64_t number = 0;
  const char* const end = value.data() + value.size();
  const auto read = std::from_chars(value.data(), end, number);
  return read.ec == std::errc() && read.ptr == end ? std::optional(number) : std::nullopt;
}

void read_parameter(Route& route, std::string_view name, std::string_view value) {
  RecordsWanted& records = route.records;
  if (name == "wait") {
    route.wait = duration_of(name, value, "=10s");
  } else if (name == "since") {
    if (const auto number = number_of(value)) {
      records.since = *number;
    } else {
      records.newer_than = duration_of(name, value, "=10m, or since=120 for those after a record");
    }
  } else if (name == "last") {
    records.last = number_of(value);
    if (!records.last) refuse_value(name, value, "it is a whole number", "=100");
  } else if (name == "task") {
    const std::string problem = name_problem(value);
    if (!problem.empty()) refuse(400, "the task's name " + problem + "; GET /v1/tasks lists the names");
    records.task = value;
  } else if (name == "level") {
    const std::optional<LogLevel> level = from_word<LogLevel>(value);
    if (!level || *level == LogLevel::off) {
      refuse_value(name, value, "it is trace, debug, info, warning or error", "=warning");
    }
    records.level = *level;
  } else {
    if (!value.empty()) refuse_value(name, value, "it has no value", "");
    route.follow = true;
  }
}

[[noreturn]] void refuse_parameter(const Row& row, std::string_view name) {
  const std::span<const std::string_view> known = parameters_of(row.takes);
  const std::string_view nearest = nearest_word(name, known);
  refuse(400, "no such parameter: " + quoted_text(name) +
                  (!nearest.empty() ? "; did you mean " + quoted_text(nearest) + "?"
                   : known.empty()  ? "; " + std::string(row.path) + " has none"
                                    : "; " + std::string(row.path) + " has " + quoted_list(known, "and")));
}

void read_query(Route& route, const Row& row, std::string_view query) {
  const std::span<const std::string_view> known = parameters_of(row.takes);
  std::vector<std::string> seen;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string name = decoded(pair.substr(0, equals), true);
    const std::string value = decoded(pair.substr(std::min(equals + 1, pair.size())), true);
    if (std::find(known.begin(), known.end(), name) == known.end()) refuse_parameter(row, name);
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      refuse(400, "the parameter " + quoted_text(name) + " is given twice; remove one of the two");
    }
    read_parameter(route, name, value);
    seen.push_back(name);
  }
}

// --- the request -----------------------------------------------------------------------------------------------------

// Path and query of a target.
std::string_view own_part(std::string_view target) {
  if (target.size() > longest_target) {
    refuse(414, "the target has " + std::to_string(target.size()) + " bytes; at most " +
                    std::to_string(longest_target) + " are accepted");
  }
  const bool is_visible = std::all_of(target.begin(), target.end(),
                                      [](char c) { return static_cast<unsigned char>(c) > ' ' && c != '\x7f'; });
  if (!is_visible) refuse(400, "write spaces and control characters in a target as %20 and the like");
  if (target.find('#') != std::string_view::npos) {
    refuse(400, "a target has no fragment; write %23 if the character \"#\" is meant");
  }
  if (target.starts_with('/')) return target;
  const std::size_t colon = target.find("://");
  std::string scheme(target.substr(0, colon == std::string_view::npos ? 0 : colon));
  std::transform(scheme.begin(), scheme.end(), scheme.begin(), [](char c) { return static_cast<char>(c | 0x20); });
  if (scheme != "http" && scheme != "https") {
    refuse(400, "the target " + quoted_text(target) + " has to begin with a slash, as in /v1/host");
  }
  target.remove_prefix(colon + 3);
  const std::size_t host_size = std::min(target.find_first_of("/?"), target.size());
  if (host_size == 0) refuse(400, "there is no host in the target; write a path such as /v1/host");
  target.remove_prefix(host_size);
  return target;
}

Route routed(std::string_view method, std::string_view target) {
  const std::string_view own = own_part(target);
  const std::size_t question_mark = std::min(own.find('?'), own.size());
  const std::string_view path = question_mark == 0 ? std::string_view("/") : own.substr(0, question_mark);
  Route route;
  const Row& row = row_of(method, path, route.task);
  const bool is_right = row.changes ? method == "POST" : method == "GET" || method == "HEAD";
  if (!is_right) {
    refuse(405,
           std::string(row.path) +
               (row.changes ? " needs POST, since it changes something: not " : " needs GET: not ") +
               quoted_text(method),
           row.changes ? "POST" : "GET, HEAD");
  }
  route.call = row.call;
  route.changes = row.changes;
  read_query(route, row, own.substr(std::min(question_mark + 1, own.size())));
  return route;
}

}  // namespace

Routing route(std::string_view method, std::string_view target) {
  try {
    return {.route = routed(method, target)};
  } catch (Refused& refused) {
    return {.problem = std::move(refused.problem)};
  }
}

}  // namespace taskhost
