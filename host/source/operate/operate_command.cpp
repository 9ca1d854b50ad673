#include "operate/operate_command.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "operate/commands.hpp"
#include "operate/task_words.hpp"
#include "text/duration.hpp"
#include "text/printable.hpp"
#include "text/shell_word.hpp"

namespace taskhost {

namespace {

constexpr const char* group = "Running hosts";
constexpr const char* footer =
    "Exit status: 0 done; 1 it failed, and the message says what to do; 2 wrong usage; 5 no such host or task.";
constexpr std::array<std::string_view, 3> changes = {"start", "stop", "restart"};

// A script's variable that is not set would otherwise stand for the default.
std::string not_empty(const std::string& text) { return text.empty() ? "must not be empty" : ""; }

void add_host_option(CLI::App& command, OperateArguments& arguments) {
  command
      .add_option("--host", arguments.host, "the host's name, or its socket's path (default: the only one that runs)")
      ->type_name("NAME|PATH")
      ->check(not_empty);
}

void add_host_options(CLI::App& command, OperateArguments& arguments) {
  add_host_option(command, arguments);
  command.add_flag("--json", arguments.json, "print it as JSON");
}

CLI::Option* add_tasks(CLI::App& command, OperateArguments& arguments) {
  return command.add_option("TASK", arguments.tasks, "names of tasks, or patterns such as 'feed-*'")->take_all();
}

void add_timeout(CLI::App& command, OperateArguments& arguments, const char* words) {
  command.add_option("--timeout", arguments.timeout, words)->type_name("DURATION")->check(not_empty);
}

std::string whole_number(const std::string& text) {
  const bool is_one = !text.empty() && text.size() < 19 && std::all_of(text.begin(), text.end(), is_digit);
  return is_one ? std::string() : "must be a whole number, not " + quoted_text(text);
}

void add_records_command(CLI::App& command, OperateArguments& arguments) {
  add_tasks(command, arguments);
  command.add_flag("-f,--follow", arguments.follow, "go on with what comes, until the host has stopped");
  command.add_option("-n,--last", arguments.last, "only so many, the last (default: all that are kept; with -f 10)")
      ->type_name("N")
      ->check(whole_number);
  CLI::Option* const since =
      command.add_option("--since", arguments.since, "not older than that, such as 10m, 14:05 or '2026-01-31 14:05'")
          ->type_name("TIME")
          ->check(not_empty);
  command.add_option("--after", arguments.after, "those after the one with this \"seq\" (which --json shows)")
      ->type_name("SEQ")
      ->check(whole_number)
      ->excludes(since);
  add_host_options(command, arguments);
}

Output output_to(bool (*print)(std::string_view)) {
  Output output{.print = print};
  if (::isatty(STDOUT_FILENO) == 0) return output;
  constexpr std::size_t usual_width = 80;
  winsize size{};
  const bool is_known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0;
  output.style.width = is_known ? size.ws_col : usual_width;
  const auto variable = [](const char* name) {
    const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
    return std::string_view(value == nullptr ? "" : value);
  };
  output.style.has_colours = variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  return output;
}

std::optional<int> call(const CLI::App& app, const std::string& verb, const OperateArguments& arguments,
                        const Output& output) {
  (void)time_limit(arguments, {});  // wrong usage is told before anything is looked for
  if (verb == "ps") return list_hosts(arguments, output);
  if (verb == "status") return show_tasks(arguments, output);
  if (verb == "top") return watch_host(arguments);
  if (verb == "explain") return explain_tasks(arguments, output);
  for (const std::string_view change : changes) {
    if (verb == change) return change_tasks(verb, arguments, output);
  }
  if (verb == "logs" || verb == "events") return show_records(verb, arguments, output);
  if (verb == "shutdown") return shut_down(arguments, output);
  if (verb == "completion") return print_completion(app, arguments, output);
  if (verb == "complete") return complete_words(arguments, output);
  return std::nullopt;
}

}  // namespace

void add_operate_commands(CLI::App& app, OperateArguments& arguments) {
  const auto add = [&app](const std::string& name, const std::string& description, std::string_view examples) {
    CLI::App* const command = app.add_subcommand(name, description)->group(group);
    command->footer(help_footer(examples, footer));
    return command;
  };
  CLI::App* const list = add("ps", "List your running hosts", "taskhost ps");
  list->add_flag("--all", arguments.all, "also those that are gone, and for root those of other users");
  list->add_flag("--json", arguments.json, "print it as JSON");
  const char* const status_examples = "taskhost status --host site\ntaskhost status 'feed-*'";
  CLI::App* const status = add("status", "Show a host and its tasks, those that are not well first", status_examples);
  status->footer(help_footer(status_examples,
                             std::string(footer) + "\nIt is 1 also if one of the tasks that are shown is not well."));
  add_tasks(*status, arguments);
  add_host_options(*status, arguments);
  add_host_option(*add("top", "Watch a host and its tasks, and operate them, on the whole terminal; ? lists the keys",
                       "taskhost top --host site"),
                  arguments);
  CLI::App* const explain =
      add("explain", "Say why a task is in its state, and what comes next", "taskhost explain feed");
  add_tasks(*explain, arguments)->required();
  add_host_options(*explain, arguments);
  for (const auto& [verb, description] :
       {std::pair("start", "Start tasks, also such as gave up"), std::pair("stop", "Stop tasks until they are started"),
        std::pair("restart", "Stop tasks, and start them anew")}) {
    CLI::App* const change = add(verb, description, "taskhost " + std::string(verb) + " feed --timeout 10s");
    add_tasks(*change, arguments)->required();
    change->add_flag("--no-wait", arguments.no_wait, "do not wait for what comes of it");
    add_timeout(*change, arguments, "how long to wait (default: 30s)");
    add_host_options(*change, arguments);
  }
  CLI::App* const logs = add("logs", "Print what a host has logged",
                             "taskhost logs --follow feed\ntaskhost logs --since 10m --level warning");
  add_records_command(*logs, arguments);
  logs->add_option("--level", arguments.level, "at least this level")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "warning", "error"}));
  add_records_command(
      *add("events", "Print what has happened to a host's tasks, as data", "taskhost events --json --last 20 feed"),
      arguments);
  CLI::App* const shutdown = add("shutdown", "Stop a host and all its tasks", "taskhost shutdown --host site --wait");
  shutdown->add_flag("--wait", arguments.wait, "return when its process has ended");
  add_timeout(*shutdown, arguments, "how long to wait (default: 60s)");
  add_host_options(*shutdown, arguments);

  CLI::App* const completion = add("completion", "Print a script that completes commands, hosts and tasks", {});
  completion->add_option("SHELL", arguments.word, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->footer(
      help_footer("source <(taskhost completion bash)      for this shell only; zsh: the same\n"
                  "taskhost completion fish | source       the same in fish",
                  footer));
  CLI::App* const complete = app.add_subcommand("complete", "Print names for the completion")->group("");
  complete->add_option("WHAT", arguments.word, "tasks or hosts")->required()->check(CLI::IsMember({"tasks", "hosts"}));
  complete->add_option("--host", arguments.host, "the host")->type_name("NAME|PATH");
}

std::string explain_command(const OperateArguments& arguments, const std::string& task) {
  return "taskhost explain " + host_option(arguments.host) + shell_word(task);
}

std::string help_footer(std::string_view examples, std::string_view statuses) {
  std::string text = "Examples:\n";
  for (std::size_t begin = 0; begin < examples.size();) {
    const std::size_t end = std::min(examples.find('\n', begin), examples.size());
    text.append("  ").append(examples.substr(begin, end - begin)).append("\n");
    begin = end + 1;
  }
  return text.append("\n").append(statuses);
}

std::chrono::nanoseconds time_limit(const OperateArguments& arguments, std::chrono::nanoseconds otherwise) {
  if (arguments.timeout.empty()) return otherwise;
  const DurationReading reading = parse_duration(arguments.timeout);
  if (!reading.value) {
    throw Refusal(operate_wrong_usage,
                  "--timeout: must be a duration such as " + std::string(duration_examples) + "; " + reading.problem);
  }
  return *reading.value;
}

std::string limit_text(std::chrono::nanoseconds limit) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  return span_text(static_cast<std::uint64_t>(milliseconds));
}

std::optional<int> operate(const CLI::App& app, const OperateArguments& arguments, bool (*print)(std::string_view)) {
  try {
    return call(app, app.get_subcommands().front()->get_name(), arguments, output_to(print));
  } catch (const Refusal& refusal) {
    std::fprintf(stderr, "taskhost: %s\n", refusal.what());
    return refusal.status;
  }
}

}  // namespace taskhost
