// `taskhost verify` detects each plugin of the collection that breaks a rule, and passes each that breaks none.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"
#include "verification.hpp"

using namespace taskhost::test;

namespace {

struct Row {
  const char* plugin;
  const char* rule;
  const char* words = "";      // in the verdict's text
  const char* test = nullptr;  // null: all
  const char* time_limit = "2s";
};

Job job_of(const Row& row) {
  Job job{test_plugin_path(row.plugin), {"--time-limit", row.time_limit, "--seed", "7"}};
  if (row.test != nullptr) job.options.insert(job.options.end(), {"--test", row.test});
  return job;
}

void check_broken(const std::vector<Row>& rows) {
  std::vector<Job> jobs;
  for (const Row& row : rows) jobs.push_back(job_of(row));
  const std::vector<Verification> results = verify_all(jobs);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    const Verification& result = results[i];
    INFO(row.plugin << " " << (row.test != nullptr ? row.test : "") << "\n" << result.end.summary());
    CHECK(result.status() == 1);
    CHECK(result.has("broken", row.rule, row.words));
    CHECK(result.summary["broken"] == result.count("broken"));
    CHECK(result.end.err.empty());
  }
}

void check_good(std::vector<Job> jobs) {
  for (Job& job : jobs) {
    const bool has_limit = !job.options.empty() && job.options.front() == "--time-limit";
    if (!has_limit) job.options.insert(job.options.end(), {"--time-limit", "4s"});
    job.options.insert(job.options.end(), {"--seed", "7"});
  }
  const std::vector<Verification> results = verify_all(jobs);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    INFO(jobs[i].plugin << "\n" << results[i].end.summary());
    CHECK(results[i].status() == 0);
    CHECK(results[i].count("broken") + results[i].count("unproven") == 0);
    CHECK(results[i].count("holds") > 5);
    CHECK(results[i].end.err.empty());
  }
}

}  // namespace

TEST_CASE("a plugin that is refused when it is loaded is a broken rule, with its number") {
  check_broken({{"no_entry", "1.1"},
                {"entry_v0", "1.1", "taskhost_plugin_v0"},
                {"entry_v2", "1.1", "taskhost_plugin_v2"},
                {"unresolved", "1.1", "taskhost_test_function_that_nobody_has"},
                {"entry_null", "1.2"},
                {"entry_throws", "1.3", "the entry threw"},
                {"entry_throws_int", "1.3"},
                {"entry_exits", "1.3", "exit(0)"},
                {"size_zero", "2.1"},
                {"size_short", "2.1"},
                {"size_huge", "2.1"},
                {"size_above_limit", "2.1"},
                {"requires_newer_minor", "2.2"},
                {"name_null", "2.3"},
                {"name_empty", "2.3"},
                {"name_too_long", "2.3"},
                {"name_endless", "2.3"},
                {"name_not_utf8", "2.3"},
                {"name_overlong_utf8", "2.3"},
                {"name_control", "2.3"},
                {"version_too_long", "2.4"},
                {"version_not_utf8", "2.4"},
                {"description_too_long", "2.4"},
                {"description_not_utf8", "2.4"},
                {"state_huge", "2.5"},
                {"state_above_limit", "2.5"},
                {"align_three", "2.6"},
                {"align_8192", "2.6"},
                {"poll_and_run", "2.7"},
                {"run_and_finish", "2.7"},
                {"no_function", "2.7"},
                {"flags_unknown", "2.8"},
                {"reserved_used", "2.8"},
                {"duplicate_names", "2.9"},
                {"endless_chain", "2.10"},
                {"long_chain", "2.10"},
                {"second_factory", "2.6", "second"}});
}

TEST_CASE("a plugin that misbehaves while it runs breaks the rule that the host would quote") {
  check_broken({{"start_nonsense", "3.1", "17"},
                {"start_pending", "3.1", "PENDING"},
                {"start_throws", "3.6", "start threw"},
                {"start_exits", "3.8", "exit(0) in start"},
                {"poll_nonsense", "3.2", "17"},
                {"poll_negative", "3.2", "-1"},
                {"poll_throws", "3.6", "poll threw"},
                {"poll_throws_int", "3.6"},
                {"poll_exits", "3.8", "exit(0) in poll"},
                {"poll_waits", "4.7"},
                {"always_wakes", "3.12"},
                {"stale_waker", "5.2", "wake"},
                {"deaf_polled", "3.10"},
                {"deaf_blocking", "3.10", "had not returned", "stop at any time", "10s"},
                {"run_pending", "3.3", "PENDING"},
                {"run_nonsense", "3.3", "17"},
                {"run_throws", "3.6", "run threw"},
                {"run_exits", "3.8", "exit(0) in run"},
                {"drop_throws", "3.7", "drop threw"},
                {"drop_throws_on_stop", "3.7", "drop threw"},
                {"drop_exits", "3.8", "exit(0) in drop"},
                {"fails_not_utf8", "4.6", "UTF-8"},
                {"logs_badly", "4.6", "UTF-8"},
                {"watches_closed_fd", "4.5"},
                {"asks_for_nothing", "4.10"},
                {"start_blocks", "3.4", "start", "start, then drop", "5s"},
                {"poll_blocks", "3.4", "poll", "run to its end", "5s"}});
}

TEST_CASE("what never lives long enough to show anything is unproven, with what it said and what to do") {
  for (const Row& row : {Row{"start_fails", "3.1", "start was told to fail"},
                         {"start_panics", "3.1", "start panicked"},
                         {"poll_fails", "3.10", "poll was told to fail"},
                         {"poll_fails_silently", "3.10", "no text"},
                         {"poll_panics", "3.10", "poll panicked"},
                         {"fails_long", "3.10", "xxx"},
                         {"run_fails", "3.10", "run was told to fail"}}) {
    const Verification result = verify(test_plugin_path(row.plugin), {"--time-limit", "1s"});
    INFO(row.plugin << "\n" << result.end.summary());
    CHECK(result.status() == 1);
    CHECK(result.count("broken") == 0);
    CHECK(result.has("unproven", row.rule, row.words));
    CHECK(result.has("unproven", row.rule, "--config"));
  }
  CHECK(verify(test_plugin_path("global_in_work"), {"--time-limit", "1s", "--test", "run to its end"})
            .has("unproven", "3.2", "since work that execution 1 had offloaded was still going on"));
  CHECK(verify(test_plugin_path("fails_long"), {"--time-limit", "1s"}).has("note", "4.6", "1048576"));
  CHECK(verify(test_plugin_path("poll_fails_silently"), {"--time-limit", "1s"}).has("note", "3.2", "fail"));
}

TEST_CASE("rules that no host sees broken are found broken, by the test that is made for it") {
  check_broken({
      {"prints_when_loaded", "1.5", "all rights reserved", "loading"},
      {"starts_thread_when_loaded", "1.5", "thread", "loading"},
      {"entry_differs", "1.4", "", "entry called again"},
      {"descriptor_changes", "1.4", "", "start, then drop"},
      {"thread_uses_services", "4.2", "wake_after", "start, then drop"},
      {"drop_uses_services", "4.2", "waker was called in drop", "start, then drop"},
      {"drop_blocks", "3.4", "drop", "start, then drop"},
      {"overruns_state", "2.5", "48 bytes", "run to its end"},
      {"closes_watched", "4.5", "closed", "run to its end"},
      {"makes_up_waker", "4.10", "64 bits", "run to its end"},
      {"spins_on_timer", "3.12", "", "run to its end"},
      {"crashes_later", "3.8", "SIGSEGV in poll", "drop at every pending poll"},
      {"touches_dropped_state", "5.2", "had already been dropped", "drop at every pending poll"},
      {"logs_after_drop", "4.1", "log", "drop at every pending poll"},
      {"stops_late", "3.10", "", "stop at any time"},
      {"fails_when_spurious", "4.3", "the timer came early", "spurious wakes"},
      {"panics_when_late", "4.4", "overflow", "late wakes"},
      {"needs_its_thread", "3.13", "thread-local", "calls on different threads"},
      {"shares_global", "5.3", "this is not my state", "two executions at once"},
      {"failed_start_leaks", "5.3", "descriptor", "starts that fail"},
      {"leaks_descriptors", "5.3", "descriptor", "left behind"},
      {"leaks_threads", "5.2", "thread", "left behind"},
      {"leaves_child", "5.3", "child process", "left behind"},
      {"installs_handler", "5.1", "SIGTERM", "left behind"},
      {"changes_locale", "5.1", "locale", "left behind"},
      {"changes_environment", "5.1", "$SLY_PLUGIN", "left behind"},
      {"finish_fails", "3.15", "fail was called in finish", "stop at any time"},
      {"finish_nonsense", "3.15", "finish returned 17", "stop at any time"},
      {"work_throws", "4.11", "let an exception out", "run to its end"},
      {"work_uses_exec", "4.11", "log was called in offloaded work", "run to its end"},
      {"check_nonsense", "3.16", "check returned 1", "check of configs"},
      {"check_throws", "3.6", "check threw", "check of configs"},
      {"check_exits", "3.8", "exit(0) in check", "check of configs"},
      {"check_crashes", "3.8", "in check", "check of configs"},
      {"check_starts_thread", "3.16", "thread", "check of configs"},
      {"check_leaks_descriptors", "3.16", "descriptor", "check of configs"},
      {"check_uses_waker", "3.16", "waker was called in check", "check of configs"},
      {"check_is_ready", "3.16", "ready was called in check", "check of configs"},
      {"check_refuses_what_starts", "3.16", "refuses a config with which it starts: config: /path: is missing",
       "check of configs"},
      {"leaks_descriptors", "5.3", "descriptors", "many executions"},
      {"leaks_threads", "5.2", "threads", "many executions"},
  });
}

TEST_CASE("good plugins pass") {
  const TemporaryDirectory directory;
  const std::string count = R"({"file": ")" + (directory / "count").string() + R"("})";
  const std::string ticks = R"({"run_for": "10s", "file": ")" + (directory / "ticks").string() + R"("})";
  std::vector<Job> jobs = {{test_plugin_path("counting"), {"--config", count}},
                           {test_plugin_path("counting_blocking"), {"--config", count}},
                           {test_plugin_path("stall_ticker"), {"--config", ticks}}};
  for (const char* plugin : {"minimal", "three_factories", "newer_minor", "aligned", "zeroed", "big_state",
                             "waits_for_others", "time_limit"}) {
    jobs.push_back({test_plugin_path(plugin), {}});
  }
  // In the collection of bad ones, but no rule forbids what they do: only waiting for the stop, and being woken often.
  jobs.push_back({test_plugin_path("never_wakes"), {}});
  // Its executions are slow under a sanitizer: it needs time to show that nothing grows.
  jobs.push_back({test_plugin_path("wakes_from_threads"), {"--time-limit", "12s"}});
  check_good(jobs);
}

TEST_CASE("the bundled plugins pass") {
  const TemporaryDirectory directory;
  directory.write("config.json", R"({"path": ")" + (directory / "fifo").string() + R"(", "create": true})");
  std::vector<Job> jobs = {{plugin_path("flaky"), {"--config", R"({"run_for": "1h"})"}},
                           {plugin_path("watcher"), {"--config", "@" + (directory / "config.json").string()}}};
  for (const char* plugin : {"heartbeat", "ticker", "ctrl_c", "probe", "probe_blocking"}) {
    jobs.push_back({plugin_path(plugin), {}});
  }
  check_good(jobs);
}

TEST_CASE("a config may make a good plugin break a rule") {
  const Verification deaf =
      verify(plugin_path("probe"), {"--test", "stop before it begins", "--config", R"({"deaf": true})"});
  CHECK(deaf.status() == 1);
  CHECK(deaf.has("broken", "3.10"));
  // Of slow polls, one might be a busy machine's fault; three are the task's.
  const Verification staller = verify(
      test_plugin_path("staller"), {"--time-limit", "5s", "--config",
                                    R"({"poll": "250ms", "next": "timer", "stalls": 4})", "--test", "run-to-its-end"});
  CHECK(staller.status() == 1);
  CHECK(staller.has("broken", "3.4", "poll took"));
}

TEST_CASE("the text names the factory, the test, the rules and the seed, and says the same thing once") {
  const ProcessEnd end =
      run_program({"verify", test_plugin_path("start_fails").string(), "--time-limit", "1s", "--seed", "42"});
  CHECK(end.status == 1);
  CHECK(has_line(end.out, {"holds", "descriptor (rules 1.1-1.3, 2.1-2.10)"}));
  CHECK(has_line(end.out, {"unproven", "stop at any time (rule 3.10)", "the same as for \"start, then drop\""}));
  CHECK(has_line(end.out, {"verify: ", "start_fails.so: ", "0 broken", "(seed 42)"}));
}

TEST_CASE("a wrong time limit is told with the right one") {
  const ProcessEnd end = run_program({"verify", test_plugin_path("start_fails").string(), "--time-limit", "10 s"});
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"--time-limit: must be a duration", "remove the space: \"10s\""}));
}

TEST_CASE("one test, and one factory, can be chosen") {
  const Verification result = verify(test_plugin_path("three_factories"),
                                     {"--task", "second", "--test", "start, then drop", "--test", "many-executions"});
  INFO(result.end.summary());
  CHECK(result.status() == 0);
  REQUIRE(result.verdicts.size() == 4);
  CHECK(result.verdicts[1]["factory"] == "second");
  CHECK(result.verdicts[1]["test"] == "start, then drop");
  CHECK(result.verdicts[3]["test"] == "many executions");
}

TEST_CASE("wrong usage is 2, and a file that is no library of this machine 3, without a verdict") {
  const std::string good = plugin_path("heartbeat").string();
  const std::vector<std::vector<std::string>> usages{{"verify"},
                                                     {"verify", good, "--test", "no such test"},
                                                     {"verify", good, "--task", "no such factory"},
                                                     {"verify", good, "--config", "{"},
                                                     {"verify", good, "--config", "@/no/such/file"},
                                                     {"verify", good, "--config", "@/"},
                                                     {"verify", good, "--config", "@/dev/zero"},
                                                     {"verify", good, "--seed", "99999999999999999999999"},
                                                     {"verify", good, "--time-limit", "soon"},
                                                     {"verify", good, "--time-limit", "1ms"},
                                                     {"verify", good, "--seed", "0"},
                                                     {"verify", good, good}};
  for (const auto& usage : usages) {
    const ProcessEnd end = run_program(usage);
    INFO(usage.back() << "\n" << end.summary());
    CHECK(end.status == 2);
    CHECK_FALSE(end.err.empty());
    if (usage.back() == "@/") CHECK(end.err == "taskhost: --config: /: can't read this file: Is a directory\n");
    if (usage.back() == "@/dev/zero") CHECK(end.err == "taskhost: --config: /dev/zero: is longer than 64 MiB\n");
    if (usage.size() > 2 && usage[2] == "--seed")
      CHECK(has_line(end.err, {"--seed: must be a whole number from 1 to"}));
  }
  const TemporaryDirectory directory;
  for (const std::string& path : {directory.write("text.so", "Tyger Tyger\n").string(), std::string("/no/such/file")}) {
    const ProcessEnd end = run_program({"verify", path});
    INFO(path << "\n" << end.summary());
    CHECK(end.status == 3);
    CHECK(end.out.empty());
    CHECK(has_line(end.err, {path}));
  }
}

TEST_CASE("a config that is nested too deeply is refused with the limit, and not taken for the plugin's fault") {
  const auto end_with = [](std::size_t levels) {
    return verify(test_plugin_path("minimal"), {"--test", "start, then drop", "--config",
                                                std::string(levels, '[') + R"("]]\"")" + std::string(levels, ']')});
  };
  CHECK(end_with(256).status() == 0);
  const Verification deep = end_with(50'000);
  CHECK(deep.status() == 2);
  CHECK(deep.end.err ==
        "taskhost: the config is nested 50000 levels deep; at most 256 are possible, as in a manifest\n");
}

TEST_CASE("of a config with many keys some changes are tried, and it is told how many") {
  Json config = Json::object();
  for (int key = 0; key < 1000; ++key) config["key " + std::to_string(key)] = key;
  const Verification result =
      verify(test_plugin_path("minimal"), {"--test", "starts that fail", "--config", config.dump()});
  CHECK(result.status() == 0);
  CHECK(result.has("holds", "5.3", " of 9013 configs were tried"));
}

TEST_CASE("verify stops testing when nobody reads its output any more") {
  Command command;
  command.program = "/bin/sh";
  command.arguments = {"-c", "('" + program_path().string() + "' verify '" + plugin_path("heartbeat").string() +
                                 "'; echo status $? >&2) | head -n 1"};
  const auto began = std::chrono::steady_clock::now();
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(has_line(end.err, {"taskhost: can't write to stdout: Broken pipe"}));
  CHECK(has_line(end.err, {"status 5"}));
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
}

TEST_CASE("a verification that is ended by a signal leaves none of the plugin's processes behind") {
  const int signal = GENERATE(SIGINT, SIGTERM, SIGHUP);
  const TemporaryDirectory directory;
  const std::string plugin = (directory / "leaves_child.so").string();  // its processes are recognised by this name
  std::filesystem::copy_file(test_plugin_path("leaves_child"), plugin);
  const auto count = [&] {
    std::size_t found = 0;
    for (const auto& process : std::filesystem::directory_iterator("/proc")) {
      std::ifstream file(process.path() / "cmdline");
      const std::string words((std::istreambuf_iterator<char>(file)), {});
      if (words.find(plugin) != std::string::npos) ++found;
    }
    return found;
  };
  Command command;
  command.program = program_path();
  command.arguments = {"verify", "--test", "stop-at-any-time", plugin};
  Process process(command);
  CHECK(eventually([&] { return count() > 2; }));  // itself, its test, and what that has left behind
  process.send(signal);
  CHECK(process.wait().signal == signal);
  CHECK(eventually([&] { return count() == 0; }, std::chrono::seconds(10)));
}

TEST_CASE("a pause of verify, while a plugin waits for it to read what it writes, is not the plugin's fault") {
  const auto has_children = [](pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/task/" + std::to_string(process) + "/children");
    return file.get() != std::ifstream::traits_type::eof();
  };
  Command command;
  command.program = program_path();
  command.arguments = {"verify",
                       "--test",
                       "run-to-its-end",
                       "--task",
                       "writes_much_in_each_poll",
                       test_plugin_path("subtle_rights").string()};
  Process process(command);
  CHECK(eventually([&] { return has_children(process.id()); }));
  for (int pause = 0; pause < 2; ++pause) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    process.send(SIGSTOP);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    process.send(SIGCONT);
  }
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(end.out.find("BROKEN") == std::string::npos);
}

TEST_CASE("a process that somebody else starts meanwhile is neither ended nor put down to the plugin") {
  const TemporaryDirectory directory;
  // The shell's child becomes the program's, and leaves it an orphan during the tests.
  Command command;
  command.program = "/bin/sh";
  command.arguments = {"-c",
                       "(sleep 0.1; sleep 60 >/dev/null 2>&1 & echo $! >orphan) & "
                       "exec \"$0\" verify --json --test 'run to its end' --test 'left behind' \"$1\"",
                       program_path().string(), plugin_path("heartbeat").string()};
  command.working_directory = directory.path();
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  pid_t orphan = 0;
  REQUIRE(eventually([&] { return bool(std::ifstream(directory / "orphan") >> orphan); }));
  CHECK(::kill(orphan, SIGKILL) == 0);
}

TEST_CASE("each verdict says what was done, and the same seed does the same") {
  const std::vector<std::string> options = {"--seed", "11", "--time-limit", "8s"};
  const Verification one = verify(plugin_path("probe"), options);
  const Verification other = verify(plugin_path("probe"), options);
  INFO(one.end.summary() << other.end.summary());
  REQUIRE(one.verdicts.size() == other.verdicts.size());
  std::size_t with_done = 0;
  for (std::size_t i = 0; i < one.verdicts.size(); ++i) {
    INFO(one.verdicts[i]["test"]);
    // How many executions there is time for depends on the machine.
    if (one.verdicts[i]["test"] == "many executions" || !one.verdicts[i].contains("done")) continue;
    ++with_done;
    CHECK(one.verdicts[i]["done"] == other.verdicts[i]["done"]);
    if (one.verdicts[i]["verdict"] == "does_not_apply") continue;
    CHECK(one.verdicts[i]["text"].get<std::string>().find("In all: ") != std::string::npos);
  }
  CHECK(with_done > 10);
}

TEST_CASE("the failures of executions are counted with their texts, and prove nothing alone") {
  const Verification result =
      verify(test_plugin_path("poll_fails"), {"--time-limit", "1s", "--test", "run to its end", "--seed", "3"});
  INFO(result.end.summary());
  CHECK(result.status() == 1);
  REQUIRE(result.verdicts.size() == 2);
  const Json& verdict = result.verdicts.back();
  CHECK(verdict["verdict"] == "unproven");
  CHECK(verdict["done"]["lived"] == 0);
  CHECK(verdict["done"]["failed"] == verdict["done"]["executions"]);
  CHECK(verdict["done"]["failures"]["poll was told to fail"] == verdict["done"]["failed"]);
}
