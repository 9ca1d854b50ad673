#include "program/cli.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "operate/operate_command.hpp"
#include "program/event_file.hpp"
#include "program/init_process.hpp"
#include "program/new_command.hpp"
#include "program/no_memory.hpp"
#include "program/other_user.hpp"
#include "program/printed.hpp"
#include "program/process_end.hpp"
#include "program/verify_command.hpp"
#include "program/watched_process.hpp"
#include "system/failed_writes.hpp"
#include "system/last_words.hpp"
#include "system/own_descriptor.hpp"
#include "taskhost/taskhost.h"
#include "text/counted.hpp"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

struct Arguments {
  std::string path;  // a manifest or a directory; a plugin, for inspect
  std::optional<std::string> events;
  std::string log_format = "text";
  std::string log_level = "info";
  std::vector<std::string> plugin_dirs;
  unsigned shards = 0;
  std::string name;
  std::string control;  // "off", a path, or empty for the usual place
  std::string listen;
  std::string listen_token_file;
  std::optional<std::string> user;
  bool json = false;
  bool explain = false;
};

using NumberWords = std::vector<std::pair<std::string, int32_t>>;
const NumberWords log_levels = {
    {"trace", TASKHOST_LOG_TRACE},  {"debug", TASKHOST_LOG_DEBUG},     {"info", TASKHOST_LOG_INFO},
    {"warn", TASKHOST_LOG_WARNING}, {"warning", TASKHOST_LOG_WARNING}, {"error", TASKHOST_LOG_ERROR},
    {"off", TASKHOST_LOG_OFF},
};
const NumberWords log_formats = {{"text", TASKHOST_LOG_FORMAT_TEXT}, {"json", TASKHOST_LOG_FORMAT_JSON}};

std::vector<std::string> words_in(const NumberWords& table) {
  std::vector<std::string> words;
  for (const auto& row : table) words.push_back(row.first);
  return words;
}

// The word has already been checked against the table.
int32_t number_of(const NumberWords& table, const std::string& word) {
  return std::find_if(table.begin(), table.end(), [&](const auto& row) { return row.first == word; })->second;
}

// Maps results that have no exit status of their own: no memory, or an internal fault of taskhost.
int status_of(int32_t result) { return result > TASKHOST_RESULT_SYSTEM ? TASKHOST_RESULT_SYSTEM : result; }

class HostHandle {
 public:
  HostHandle(const Arguments& arguments, std::uint32_t flags) {
    const bool is_run = (flags & TASKHOST_HANDLE_SIGNALS) != 0;
    std::vector<const char*> dirs;
    for (const std::string& dir : arguments.plugin_dirs) dirs.push_back(dir.c_str());
    taskhost_options options{};
    options.struct_size = sizeof options;
    options.flags = flags;
    options.shards = arguments.shards;
    options.plugin_dirs = dirs.data();
    options.plugin_dir_count = static_cast<uint32_t>(dirs.size());
    logs_ = arguments.log_level != "off";
    options.log_level_plus_one = number_of(log_levels, arguments.log_level) + 1;
    options.log_format = number_of(log_formats, arguments.log_format);
    if (is_run) {
      const auto text = [](const std::string& given) { return given.empty() ? nullptr : given.c_str(); };
      options.name = text(arguments.name);
      options.control = arguments.control == "off" ? nullptr : arguments.control.c_str();
      options.listen = text(arguments.listen);
      options.listen_token_file = text(arguments.listen_token_file);
    }
    result_ = taskhost_create(&options, &host_);
    if (host_ == nullptr) {
      std::fprintf(stderr, "taskhost: can't create the host: %s\n", taskhost_error(nullptr));
      result_ = status_of(result_);
    }
  }
  ~HostHandle() { taskhost_destroy(host_); }
  HostHandle(const HostHandle&) = delete;
  HostHandle& operator=(const HostHandle&) = delete;

  taskhost_host* get() const noexcept { return host_; }
  int32_t result() const noexcept { return result_; }

  // Logs the host's error text, one line of the log for each of its lines. Without a log it is printed if it is what
  // was asked for.
  int32_t report(int32_t result, bool is_asked_for = false) const {
    std::string text = taskhost_error(host_);
    if (text.empty()) text = "out of memory";
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      const std::string line = text.substr(begin, end - begin);
      taskhost_log_line(host_, TASKHOST_LOG_ERROR, line.c_str());
      if (is_asked_for && !logs_) last_words(line);
      begin = end + 1;
    }
    return result;
  }

 private:
  taskhost_host* host_ = nullptr;
  bool logs_ = true;
  int32_t result_ = 0;
};

int32_t load(const HostHandle& host, const std::string& path) {
  struct stat status {};
  const bool directory = ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  return directory ? taskhost_load_directory(host.get(), path.c_str()) : taskhost_load_file(host.get(), path.c_str());
}

// Events are appended to their file, which would ruin the manifest.
std::string events_problem(const Arguments& arguments) {
  std::error_code error;
  if (!arguments.events || !std::filesystem::equivalent(arguments.path, *arguments.events, error) || error) return {};
  return "--events " + *arguments.events + " is the manifest itself: name another file for the events";
}

int run(const Arguments& arguments) {
  if (const std::string problem = events_problem(arguments); !problem.empty()) {
    last_words(problem);
    return TASKHOST_RESULT_BAD_MANIFEST;
  }
  // Never destroyed: if its reader does not read, the host's event thread still uses it after the host is gone.
  static EventFile* const events = arguments.events ? new EventFile(*arguments.events) : nullptr;
  const HostHandle host(arguments, TASKHOST_HANDLE_SIGNALS | TASKHOST_NOTIFY);
  if (host.get() == nullptr) return host.result();
  if (events != nullptr && !events->is_open()) {
    taskhost_log_line(host.get(), TASKHOST_LOG_ERROR, events->problem().c_str());
    return events->is_refused() ? status_of(TASKHOST_RESULT_SYSTEM) : TASKHOST_RESULT_BAD_MANIFEST;
  }
  int32_t result = load(host, arguments.path);
  if (result != TASKHOST_RESULT_OK) {
    host.report(result);
    taskhost_log_line(host.get(), TASKHOST_LOG_ERROR, "nothing was started");
    return status_of(result);
  }
  if (events != nullptr) events->subscribe(host.get());
  handle_failed_writes();
  result = taskhost_run(host.get());
  const bool has_run =
      result == TASKHOST_RESULT_OK || result == TASKHOST_RESULT_TASK_FAILED || result == TASKHOST_RESULT_STOP_TIMEOUT;
  if (!has_run) {
    host.report(result);
    taskhost_log_line(host.get(), TASKHOST_LOG_ERROR, "nothing was started");
    return status_of(result);
  }
  if (events != nullptr) events->close();
  // While the host's handlers are in place: a late signal would change the status.
  exit_in_time(result, taskhost_left_behind(host.get()) != 0);
}

int check(const Arguments& arguments) {
  const HostHandle host(arguments, TASKHOST_NAME_CRASHES);
  if (host.get() == nullptr) return host.result();
  const int32_t result = load(host, arguments.path);
  if (result != TASKHOST_RESULT_OK) return status_of(host.report(result, true));
  if (arguments.explain) {
    const char* text = nullptr;
    const int32_t explained =
        taskhost_explain(host.get(), arguments.json ? TASKHOST_LOG_FORMAT_JSON : TASKHOST_LOG_FORMAT_TEXT, &text);
    if (explained != TASKHOST_RESULT_OK) return status_of(host.report(explained, true));
    print_out("%s", text);
    return 0;
  }
  print_out("%s: OK, %s\n", arguments.path == "-" ? "stdin" : printable_path(arguments.path).c_str(),
            counted(taskhost_task_count(host.get()), "task").c_str());
  print_out(
      "not checked: configs of plugins that have no check, and what only a start shows, such as an address in use\n");
  return 0;
}

int inspect(const Arguments& arguments) {
  const HostHandle host(arguments, TASKHOST_NAME_CRASHES);
  if (host.get() == nullptr) return host.result();
  const char* text = nullptr;
  const int32_t result = taskhost_inspect(host.get(), arguments.path.c_str(),
                                          arguments.json ? TASKHOST_LOG_FORMAT_JSON : TASKHOST_LOG_FORMAT_TEXT, &text);
  if (result != TASKHOST_RESULT_OK) return status_of(host.report(result, true));
  print_out("%s", text);
  return 0;
}

void add_log_options(CLI::App& command, Arguments& arguments) {
  command.add_option("--log-format", arguments.log_format, "text or json")
      ->check(CLI::IsMember(words_in(log_formats)))
      ->type_name("FORMAT");
  command.add_option("--log-level", arguments.log_level, "trace, debug, info, warning, error or off")
      ->check(CLI::IsMember(words_in(log_levels)))
      ->type_name("LEVEL");
}

void add_load_options(CLI::App& command, Arguments& arguments) {
  add_log_options(command, arguments);
  command.add_option("--plugin-dir", arguments.plugin_dirs, "look for plugins here first (repeatable)")
      ->type_name("DIR")
      ->take_all()
      ->allow_extra_args(false);
}

void add_run_options(CLI::App& command, Arguments& arguments) {
  add_load_options(command, arguments);
  command.add_option("--events", arguments.events, "write events to FILE (- for stdout), one JSON object per line")
      ->type_name("FILE");
  command.add_option("--name", arguments.name, "the host's name (default: the manifest's, or that of its file)")
      ->type_name("NAME");
  command.add_option("--control", arguments.control, "path of the control socket, or off (default: where ps finds it)")
      ->type_name("PATH");
  command.add_option("--listen", arguments.listen, "serve the API on TCP, too, like 127.0.0.1:8080 (default: no)")
      ->type_name("ADDRESS:PORT");
  command
      .add_option("--listen-token-file", arguments.listen_token_file, "let those change something who send this token")
      ->type_name("FILE");
  command.add_option("--shards", arguments.shards, "number of event loops, 1 to 256 (default: one per processor)")
      ->check(CLI::Range(1, 256))
      ->type_name("N");
}

constexpr const char* footer =
    "Exit status: 0 stopped well; 1 a task's policy stopped the host with failure; 2 wrong usage or manifest;\n"
    "3 a plugin could not be loaded; 4 a task did not stop in time; 5 the system refused what the host needs.\n"
    "A second SIGINT or SIGTERM ends it at once with 4.";

void add_footers(CLI::App& app) {
  constexpr const char* short_footer =
      "Exit status: 0 done; 2 wrong usage or manifest; 3 a plugin could not be loaded;\n"
      "5 the system refused what is needed.";
  for (const auto& [verb, examples, statuses] : {
           std::tuple("run",
                      "taskhost run site.json\ntaskhost run --events events.jsonl --listen 127.0.0.1:8080 site.json",
                      footer),
           std::tuple("check",
                      "taskhost check site.json\ntaskhost check --explain site.json\n"
                      "taskhost check --user nobody /etc/taskhost/site.json",
                      short_footer),
           std::tuple("inspect", "taskhost inspect ./feed.so", short_footer),
           std::tuple("new", "taskhost new feed --lang c && cd feed && make run",
                      "Exit status: 0 done; 2 wrong usage, or the folder can't be written."),
           std::tuple(
               "verify",
               "taskhost verify ./feed.so --config '{\"every\": \"1s\"}'\n"
               "taskhost verify site.json --task feed\n"
               "taskhost verify ./feed.so --test stop-at-any-time --seed 42",
               "Exit status: 0 all rules hold; 1 some are broken or unproven; 2 wrong usage; 3 no plugin;\n5 the "
               "system refused what it needs."),
       }) {
    app.get_subcommand(verb)->footer(help_footer(examples, statuses));
  }
}

// Of the commands; `hidden` ones as well.
std::vector<std::string> verbs_of(const CLI::App& app, bool hidden) {
  std::vector<std::string> verbs;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* /*any*/) { return true; })) {
    if (hidden || !command->get_group().empty()) verbs.push_back(command->get_name());
  }
  return verbs;
}

// `taskhost MANIFEST` means `taskhost run MANIFEST`: a first word that is neither a verb nor an option is a manifest.
// Options may precede it, so look for the first word that does not belong to an option.
std::vector<std::string> with_verb(const CLI::App& app, int argument_count, char** arguments) {
  std::vector<std::string> words(arguments + 1, arguments + argument_count);
  const std::vector<std::string> verbs = verbs_of(app, true);
  static const std::vector<std::string> own_options = {"--help", "-h", "--version"};
  const bool has_verb = !words.empty() && std::find(verbs.begin(), verbs.end(), words.front()) != verbs.end();
  const bool asks =
      !words.empty() && std::find(own_options.begin(), own_options.end(), words.front()) != own_options.end();
  if (!words.empty() && words.front() == "help" && !std::filesystem::exists("help")) {  // as other programs have it
    words.erase(words.begin());
    words.emplace_back("--help");
    return words;
  }
  if (!words.empty() && !has_verb && !asks) words.insert(words.begin(), "run");
  return words;
}

// Whether the first word can't be what was meant.
bool is_no_manifest(const CLI::App& app, const char* word) {
  struct stat status {};
  const bool is_plain = std::string_view(word).find_first_of("-./") == std::string_view::npos;
  const std::vector<std::string> all = verbs_of(app, true);
  const bool is_verb = std::find(all.begin(), all.end(), word) != all.end();
  return is_plain && !is_verb && std::string_view(word) != "help" && ::stat(word, &status) != 0;
}
std::string verb_that_was_meant(const CLI::App& app, const char* word) {
  if (!is_no_manifest(app, word)) return {};
  const std::vector<std::string> shown = verbs_of(app, false);
  const std::vector<std::string_view> verbs(shown.begin(), shown.end());
  return std::string(nearest_word(word, verbs));
}

// What is wrong with the arguments, and how to fix it.
std::string usage_fault(const CLI::App* app, const CLI::Error& error) {
  const auto called = app->get_subcommands();
  const CLI::App& command = called.empty() ? *app : *called.front();
  const std::string name = called.empty() ? "taskhost" : "taskhost " + command.get_name();
  std::string words = error.what();
  if (const auto unexpected = app->remaining(true); !unexpected.empty()) {
    const auto is_option = [](const std::string& word) { return word.starts_with('-'); };
    const auto option = std::find_if(unexpected.begin(), unexpected.end(), is_option);
    if (option == unexpected.end()) {
      words = "unexpected argument " + quoted_text(unexpected.front());
    } else {
      words = "unknown option " + quoted_text(*option);
      std::vector<std::string> names;
      for (const CLI::Option* known : command.get_options()) {
        for (const std::string& its : known->get_lnames()) names.push_back("--" + its);
      }
      const std::vector<std::string_view> known_names(names.begin(), names.end());
      const std::string_view meant = nearest_word(*option, known_names);
      if (!meant.empty()) words += "; did you mean \"" + std::string(meant) + "\"?";
    }
  }
  return name + ": " + words + "\nTry: " + name + " --help\n";
}

// SIGHUP of a process is for a host that is already running. One that is about to read its manifest has nothing to
// reload, and must not die of it. Not SIG_IGN, which programs that plugins execute would inherit.
void on_early_hangup(int number, siginfo_t* info, void* /*context*/) {
  if (info->si_code != SI_KERNEL) return;
  std::signal(number, SIG_DFL);  // the terminal was closed
  ::raise(number);
}
bool hears_early_hangups = false;
void hear_early_hangups() {
  struct sigaction action {};
  if (::sigaction(SIGHUP, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) return;
  action.sa_sigaction = on_early_hangup;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  hears_early_hangups = ::sigaction(SIGHUP, &action, nullptr) == 0;
}

// `status_of_failure`: that of output which can't be written.
int run_words(int argument_count, char** arguments, int& status_of_failure) {
  Arguments parsed;
  CLI::App app(
      "taskhost: loads task plugins and supervises them.\n\n  taskhost MANIFEST    the same as: taskhost run "
      "MANIFEST\n",
      "taskhost");
  app.set_version_flag("--version", std::string("taskhost ") + taskhost_version());
  app.require_subcommand(1);
  app.footer(std::string(footer) +
             "\n\nAs a service, with systemd or in a container: AS A SERVICE in `man taskhost`, and the guides in\n"
             "share/doc/taskhost (host/guides/first_service.md).");
  app.failure_message(usage_fault);

  CLI::App* run_command = app.add_subcommand("run", "Run a manifest or a directory of plugins until it stops");
  run_command->add_option("MANIFEST", parsed.path, "a manifest, a directory of plugins, or - for a manifest on stdin")
      ->required();
  add_run_options(*run_command, parsed);
  CLI::App* check_command = app.add_subcommand("check", "Check a manifest and its plugins; starts nothing");
  check_command->add_option("MANIFEST", parsed.path, "a manifest, a directory of plugins, or - for a manifest on stdin")
      ->required();
  CLI::Option* explain = check_command->add_flag(
      "--explain", parsed.explain, "explain the supervision: delays, when tasks give up, start and stop order");
  check_command->add_flag("--json", parsed.json, "print it as JSON")->needs(explain);
  check_command
      ->add_option("--user", parsed.user,
                   "check it as this user, whom a service may run as: may all be read? (as root)")
      ->type_name("NAME|ID");
  add_load_options(*check_command, parsed);
  CLI::App* inspect_command = app.add_subcommand("inspect", "Show what a plugin exports");
  inspect_command->add_option("PLUGIN", parsed.path, "a plugin's file")->required();
  inspect_command->add_flag("--json", parsed.json, "as JSON");
  add_log_options(*inspect_command, parsed);
  NewTask new_task;
  CLI::App* new_command = app.add_subcommand("new", "Write a folder with a complete task, ready to build and run");
  new_command->add_option("NAME", new_task.name, "the task's name")->required();
  new_command->add_option("--lang", new_task.language, "the language: " + starter_language_list())
      ->required()
      ->type_name("LANGUAGE");
  new_command->add_option("--directory", new_task.directory, "the folder to write (default: NAME)")->type_name("DIR");
  VerifyArguments to_verify;
  CLI::App* verify_command = app.add_subcommand("verify", "Test whether a plugin keeps the contract");
  add_verify_options(*verify_command, to_verify);
  add_footers(app);
  OperateArguments to_operate;
  add_operate_commands(app, to_operate);

  try {
    std::vector<std::string> words = with_verb(app, argument_count, arguments);
    if (words.empty()) {
      std::fputs("taskhost: no manifest given. Try: taskhost MANIFEST, or taskhost --help\n", stderr);
      return TASKHOST_RESULT_BAD_MANIFEST;
    }
    if (const std::string verb = verb_that_was_meant(app, arguments[1]); !verb.empty()) {
      std::fprintf(stderr, "taskhost: there is no manifest \"%s\"; did you mean \"taskhost %s\"?\n",
                   printable_text(arguments[1]).c_str(), verb.c_str());
      return TASKHOST_RESULT_BAD_MANIFEST;
    }
    if (is_no_manifest(app, arguments[1])) {
      std::fprintf(stderr,
                   "taskhost: there is no manifest \"%s\", and no such command; taskhost --help lists the commands\n",
                   printable_text(arguments[1]).c_str());
      return TASKHOST_RESULT_BAD_MANIFEST;
    }
    std::reverse(words.begin(), words.end());  // the order that CLI11 expects in a vector
    app.parse(words);
    if (!run_command->parsed() && hears_early_hangups) std::signal(SIGHUP, SIG_DFL);
    if (const std::optional<int> status = operate(app, to_operate, [](std::string_view text) {
          print_out("%.*s", static_cast<int>(text.size()), text.data());
          return print_out_error() == 0;
        })) {
      status_of_failure = TASKHOST_RESULT_TASK_FAILED;
      return *status;
    }
    write_last_words_as_json(parsed.log_format == "json");
    if (!run_command->parsed()) {
      // Programs that plugins execute must not speak for a service. A run takes these itself.
      for (const char* const name : {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}) {
        ::unsetenv(name);  // NOLINT(concurrency-mt-unsafe): this is the only thread
      }
    }
    if (new_command->parsed()) return write_starter(new_task);
    if (verify_command->parsed()) return verify(to_verify);  // loads plugins only in child processes
    if (parsed.user) {
      if (const std::string problem = become_user(*parsed.user); !problem.empty()) {
        last_words("--user: " + problem);
        return TASKHOST_RESULT_BAD_MANIFEST;
      }
    }
    if (!run_command->parsed()) continue_in_watched_process(check_command->parsed() ? "check" : "inspection");
    prepare_exit();
    if (run_command->parsed()) return run(parsed);
    keep_stdout_for_data();
    if (check_command->parsed()) return check(parsed);
    return inspect(parsed);
  } catch (const CLI::ParseError& error) {
    std::ostringstream asked_for;  // receives help, or the version
    const int code = app.exit(error, asked_for);
    print_out("%s", asked_for.str().c_str());
    return code == 0 ? 0 : TASKHOST_RESULT_BAD_MANIFEST;
  } catch (const std::bad_alloc&) {
    return say_no_memory();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "taskhost: %s\n", error.what());
    return TASKHOST_RESULT_SYSTEM;
  }
}

// Unblocks the signals, whatever mask was inherited: until a host has its handlers, they end the program as by default.
void hear_signals() {
  sigset_t ours;
  ::sigemptyset(&ours);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&ours, number);
  ::pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
}

}  // namespace

int run_command_line(int argument_count, char** arguments) {
  hear_early_hangups();
  open_standard_streams();
  leave_first_process();
  hear_signals();
  std::signal(SIGCHLD, SIG_DFL);  // if it is ignored, as some shells leave it, the statuses of children are lost
  keep_stderr();
  ignore_failed_writes();  // a reader of the log or the events may go away
  // Plugins may have destructors and exit handlers that take long.
  int status_of_failure = TASKHOST_RESULT_SYSTEM;
  const int result = run_words(argument_count, arguments, status_of_failure);
  const int status = with_output_written(result, status_of_failure);
  tell_watcher(status);
  exit_in_time(status);
}

}  // namespace taskhost
