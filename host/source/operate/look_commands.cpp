// The commands that only look.
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "operate/commands.hpp"
#include "operate/selection.hpp"
#include "operate/task_words.hpp"
#include "text/counted.hpp"

namespace taskhost {

namespace {

constexpr std::size_t most_single_calls = 16;  // for more names, all tasks are asked for at once

Json silent_host(const HostPlace& place, const ControlClient& client, const char* state) {
  Json host{{"name", place.name}, {"pid", nullptr}, {"state", state}};
  if (client.peer_process() > 0) host["pid"] = static_cast<std::uint64_t>(client.peer_process());
  return host;
}

std::string user_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  const passwd* const user = ::getpwuid(status.st_uid);  // NOLINT(concurrency-mt-unsafe): this is the only thread
  return user != nullptr ? user->pw_name : std::to_string(status.st_uid);
}

// All of them are asked first, so that those that do not answer take their time together. Hosts that go meanwhile are
// left out, and those that have gone, unless all are wanted.
Json listed_hosts(bool all_hosts) {
  struct Asked {
    HostPlace place;
    ControlClient client;
  };
  std::vector<Asked> all;
  for (HostPlace& place : control_sockets(all_hosts ? all_control_directories() : own_control_directories())) {
    ControlClient client(place.path, std::chrono::milliseconds(100));
    client.send("GET", "/v1/host");
    all.push_back({std::move(place), std::move(client)});
  }
  Json hosts = Json::array();
  const auto end = std::chrono::steady_clock::now() + RunningHost::patience;
  for (Asked& asked : all) {
    using Trouble = ControlClient::Trouble;
    const auto left =
        std::max<std::chrono::nanoseconds>(end - std::chrono::steady_clock::now(), std::chrono::milliseconds(50));
    Json host;
    if (const auto answer = asked.client.receive(left)) host = parse_answer_json(answer->body);
    const Trouble trouble = asked.client.trouble();
    if (trouble == Trouble::absent || trouble == Trouble::gone) continue;
    if (trouble == Trouble::unanswered && !all_hosts) continue;
    if (trouble == Trouble::unanswered) {
      host = silent_host(asked.place, asked.client, "gone");
    } else if (trouble == Trouble::forbidden) {
      host = silent_host(asked.place, asked.client, "not yours");
    } else if (trouble == Trouble::slow) {
      host = silent_host(asked.place, asked.client, "does not answer");
    } else if (trouble != Trouble::none || !host.is_object() || text_field(host, "name").empty()) {
      host = silent_host(asked.place, asked.client, "not understood");
    }
    host["socket"] = asked.place.path;
    if (all_hosts) host["user"] = user_of(asked.place.path);
    hosts.push_back(std::move(host));
  }
  return hosts;
}

// Those that are not well first.
void print_tasks(const Json& host, std::vector<Json>& tasks, const Output& output) {
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](const Json& left, const Json& right) { return health_of(left) < health_of(right); });
  std::string text = terminal_text(host_line(host)) + "\n";
  if (!tasks.empty()) {
    std::vector<std::vector<Cell>> rows;
    for (const Json& task : tasks) rows.push_back(task_row(task));
    text += '\n' + table_text(task_columns(), rows, output.style);
  }
  output.print(text);
}

void print_facts(const Json& task, const std::vector<std::string>& dependants, const std::string& host,
                 const Output& output) {
  const auto facts = facts_of(task, dependants);
  std::size_t widest = 0;
  for (const auto& fact : facts) widest = std::max(widest, fact.first.size());
  std::string text =
      terminal_text(text_field(task, "name")) + ": " + terminal_text(situation_of(task, host), 4000) + "\n\n";
  for (const auto& [label, value] : facts) {
    text += "  " + label + std::string(widest - label.size() + 2, ' ') + terminal_text(value, 4000) + '\n';
  }
  output.print(text);
}

}  // namespace

std::vector<Json> selected_tasks(RunningHost& host, const std::vector<std::string>& given) {
  std::vector<Json> selected;
  const bool has_pattern = std::any_of(given.begin(), given.end(), has_wildcard);
  bool is_complete = !given.empty() && !has_pattern && given.size() <= most_single_calls;
  for (std::size_t at = 0; at < given.size() && is_complete; ++at) {
    const auto place = given.begin() + static_cast<std::ptrdiff_t>(at);
    if (std::find(given.begin(), place, *place) != place) continue;
    RunningHost::Call task = host.call("GET", "/v1/tasks/" + percent_encoded(*place));
    if (task.status != 200 && task.status != 404) throw host.refusal_of(task);
    is_complete = task.status == 200;
    selected.push_back(std::move(task.json));
  }
  if (is_complete) return selected;

  selected.clear();
  Json tasks = host.tasks();
  std::vector<std::string> names;
  for (const Json& task : tasks) names.push_back(text_field(task, "name"));
  const Selection selection = select_names(given, names);
  if (!selection.problem.empty()) {
    throw Refusal(operate_no_such, "host \"" + terminal_text(host.name(), 100) + "\": " + selection.problem);
  }
  for (const std::size_t at : selection.chosen) selected.push_back(std::move(tasks[at]));
  return selected;
}

int list_hosts(const OperateArguments& arguments, const Output& output) {
  Json hosts = listed_hosts(arguments.all);
  if (arguments.json) {
    output.print(json_text(Json{{"hosts", std::move(hosts)}}));
    return 0;
  }
  if (hosts.empty()) {
    std::fprintf(stderr, "taskhost: no host of yours is running%s; start one: taskhost MANIFEST\n",
                 ::geteuid() == 0 && !arguments.all ? " (ps --all lists those of others)" : "");
    return 0;
  }
  std::vector<std::vector<Cell>> rows;
  std::vector<HostPlace> places;
  for (const Json& host : hosts) places.push_back(place_at(text_field(host, "socket")));
  const std::vector<std::string> options = options_for(places);
  for (std::size_t i = 0; i < options.size(); ++i) rows.push_back(host_row(options[i], hosts[i]));
  std::vector<Column> columns = host_columns();
  if (arguments.all) {
    columns.insert(columns.begin() + 1, {"USER"});
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].insert(rows[i].begin() + 1, {text_field(hosts[i], "user")});
  }
  output.print(table_text(columns, rows, output.style));
  return 0;
}

int show_tasks(const OperateArguments& arguments, const Output& output) {
  RunningHost host(find_host(arguments.host));
  const Json own = host.get("/v1/host");
  std::vector<Json> tasks = selected_tasks(host, arguments.tasks);
  if (arguments.json) {
    output.print(json_text(Json{{"host", own}, {"tasks", tasks}}));
  } else {
    print_tasks(own, tasks, output);
  }
  const auto is_bad = [](const Json& task) { return health_of(task) == Health::bad; };
  const auto bad = std::count_if(tasks.begin(), tasks.end(), is_bad);
  if (bad == 0) return 0;
  const std::string first = text_field(*std::find_if(tasks.begin(), tasks.end(), is_bad), "name");
  throw Refusal(operate_failed, std::to_string(bad) + " of " + counted(tasks.size(), "task") +
                                    (bad == 1 ? " is" : " are") +
                                    " not well; more: " + explain_command(arguments, first));
}

int explain_tasks(const OperateArguments& arguments, const Output& output) {
  RunningHost host(find_host(arguments.host));
  std::vector<Json> tasks = selected_tasks(host, arguments.tasks);
  if (arguments.json) {
    output.print(json_text(Json{{"host", host.name()}, {"tasks", std::move(tasks)}}));
    return 0;
  }
  const Json all = host.tasks();
  for (std::size_t at = 0; at < tasks.size(); ++at) {
    if (at != 0) output.print("\n");
    print_facts(tasks[at], dependants_of(all, text_field(tasks[at], "name")), arguments.host, output);
  }
  return 0;
}

}  // namespace taskhost
