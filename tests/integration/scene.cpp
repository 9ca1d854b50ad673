#include "scene.hpp"

#include <unistd.h>
#include <chrono>
#include <thread>

#include <algorithm>

#include "support/catch.hpp"

namespace taskhost::test {

namespace {

// Sanitizers report on stderr, and a test may look only at something else.
void check_end(const ProcessEnd& end) {
  INFO(end.summary());
  CHECK_FALSE(end.timed_out);
  CHECK(end.status.has_value());
  for (const std::string_view complaint : {"AddressSanitizer", "ThreadSanitizer", "LeakSanitizer", "runtime error:"}) {
    CHECK(end.err.find(complaint) == std::string::npos);
  }
}

// What the event rules need to know about an entry's optional fields; nothing if it has none.
std::optional<SpecialTask> special_task(const Json& manifest, const Json& entry) {
  const Json defaults = manifest.value("defaults", Json::object());
  const auto field = [&](const char* name) {
    return entry.contains(name) ? entry[name] : defaults.value(name, Json());
  };
  SpecialTask task;
  const Json restarts = entry.value("restarts", Json(0));
  task.restarts = restarts.is_number() ? std::optional(restarts.get<std::uint32_t>()) : std::nullopt;
  task.window = !field("window").is_null();
  if (const Json reset_after = field("reset_after"); !reset_after.is_null()) {
    task.reset_after_ms = 0;  // the rules need to know only that there is one
  }
  task.notify = field("ready") == "notify";
  const Json watchdog = field("watchdog");
  const bool watched = !watchdog.is_null() && watchdog.value("action", "log") == "restart";
  task.may_fail_to_stop = !field("start_timeout").is_null() || watched;
  task.exit_rules = !field("exit_rules").is_null();
  task.repeat = !field("repeat").is_null();
  if (const Json give_up = field("on_give_up"); !give_up.is_null()) {
    task.on_give_up = give_up.is_object() ? "cooldown" : give_up.get<std::string>();
  }
  task.after = entry.value("after", std::vector<std::string>());
  if (entry.contains("group")) {
    task.in_group = manifest["groups"][entry["group"].get<std::string>()]["strategy"] != "one_for_one";
  }
  const bool has_any = !task.restarts || task.window || task.reset_after_ms || task.notify || task.may_fail_to_stop ||
                       task.exit_rules || task.repeat || task.on_give_up != "default" || !task.after.empty() ||
                       entry.contains("group");
  return has_any ? std::optional(task) : std::nullopt;
}

}  // namespace

std::filesystem::path program_path() { return TASKHOST_TEST_PROGRAM; }
std::filesystem::path plugin_directory() { return TASKHOST_TEST_PLUGIN_DIRECTORY; }
std::filesystem::path test_plugin_directory() { return TASKHOST_TEST_BAD_PLUGIN_DIRECTORY; }
std::filesystem::path demo_path() { return TASKHOST_TEST_DEMO; }

std::filesystem::path plugin_path(std::string_view name) { return plugin_directory() / (std::string(name) + ".so"); }
std::filesystem::path test_plugin_path(std::string_view name) {
  return test_plugin_directory() / (std::string(name) + ".so");
}

Json task(std::string_view name, std::string_view plugin, std::string_view type, Json config, unsigned restarts) {
  Json entry{{"name", name}, {"plugin", plugin}, {"type", type}};
  if (type != "shutdown_on_exit") {
    entry["restarts"] = restarts;
  }
  if (!config.is_null()) {
    entry["config"] = std::move(config);
  }
  return entry;
}

Json probe_that_ends(std::string_view end, std::string_view run_for) { return {{"end", end}, {"run_for", run_for}}; }
Json idle_probe() { return probe_that_ends("ok", "1h"); }
Json deaf_probe() { return {{"end", "ok"}, {"run_for", "1h"}, {"deaf", true}}; }

Event Run::first(std::string_view name, std::string_view task) const {
  const Event* event = events.first(name, task);
  return event == nullptr ? Event{} : *event;
}

std::vector<std::string> lines_with(std::string_view text, std::initializer_list<std::string_view> words) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (std::all_of(words.begin(), words.end(),
                    [line](std::string_view word) { return line.find(word) != std::string_view::npos; })) {
      lines.emplace_back(line);
    }
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return lines;
}

std::uint64_t seq_of(const Run& run, std::string_view event, std::string_view task) {
  const Event* found = run.events.first(event, task);
  INFO("no " << event << " of " << task << "\n" << run.log());
  REQUIRE(found != nullptr);
  return found->seq;
}

std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

bool has_line(std::string_view text, std::initializer_list<std::string_view> words) {
  return !lines_with(text, words).empty();
}

std::size_t count_lines(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

bool run_as_stranger(Command& command) {
  const std::vector<std::string> stranger = {"--reuid=1987654321", "--clear-groups", command.program.string()};
  Command tried = command;
  tried.program = "/usr/bin/setpriv";
  tried.arguments = stranger;
  tried.arguments.emplace_back("--version");
  if (::getuid() != 0 || Process(tried).wait().status != 0) {
    WARN("skipped: only root can be another user, who must reach the program");
    return false;
  }
  command.arguments.insert(command.arguments.begin(), stranger.begin(), stranger.end());
  command.program = tried.program;
  return true;
}

Running::Running(const Command& command, std::filesystem::path events, RunFacts facts)
    : process_(command), events_(std::move(events)), facts_(std::move(facts)) {}

void Running::wait_for(std::string_view event, std::string_view task, std::size_t count) {
  const bool there =
      eventually([&] { return events_.read().count(event, task) >= count || !process_.running(); }, patience);
  if (!there || events_.read().count(event, task) < count) {
    FAIL("waited in vain for " << count << " × " << event << " of \"" << task << "\"; the log is\n" << process_.err());
  }
}

void wait_out_one_request() { std::this_thread::sleep_for(std::chrono::milliseconds(1100)); }

Run Running::finish(std::chrono::nanoseconds limit) {
  Run run{.end = process_.wait(limit), .events = {}};
  run.events = events_.read_all();
  check_end(run.end);
  facts_.status = run.status();
  INFO(run.end.summary());
  CHECK(broken_event_rules(run.events, facts_) == "");
  return run;
}

Scene::Scene()
    : manifest{{"plugin_dirs", {plugin_directory().string(), test_plugin_directory().string()}},
               {"tasks", Json::array()}} {}

Command Scene::command(const std::vector<std::string>& options) {
  directory_.write("manifest.json", text.value_or(manifest.dump(2)));
  Command command;
  command.program = program_path();
  command.arguments = {"run", "--events", events_path().string()};
  command.arguments.insert(command.arguments.end(), options.begin(), options.end());
  command.arguments.push_back(manifest_path().string());
  // The leak check at the end traces all threads, which sometimes fails while a plugin's threads are ending.
  command.environment = {"LSAN_OPTIONS=detect_leaks=0"};
  command.limits = {
      {RLIMIT_FSIZE, rlim_t{1} << 30}};  // so that an endless storm of a broken program can't fill the disk
  return command;
}

Running Scene::start(const std::vector<std::string>& options) { return start(command(options)); }

Running Scene::start(const Command& command) {
  std::filesystem::remove(events_path());
  RunFacts facts;
  for (const Json& entry : manifest["tasks"]) {
    if (entry.contains("name") && entry.contains("restarts") && entry["restarts"].is_number()) {
      facts.budgets[entry["name"]] = entry["restarts"];
    }
    if (entry.contains("name")) {
      if (const auto special = special_task(manifest, entry)) {
        facts.special[entry["name"]] = *special;
      }
    }
  }
  return Running(command, events_path(), std::move(facts));
}

ProcessEnd run_program(const std::vector<std::string>& arguments) {
  Command command;
  command.program = program_path();
  command.arguments = arguments;
  ProcessEnd end = Process(command).wait();
  check_end(end);
  return end;
}

}  // namespace taskhost::test
