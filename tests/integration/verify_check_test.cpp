// What `taskhost verify` finds in a plugin's check and at the end of the process, and that it never takes its own
// failures, or the system's, for the plugin's. What `taskhost check` says if a plugin ends it.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"
#include "verification.hpp"

using namespace taskhost::test;

namespace {

struct CheckerRow {
  const char* task;
  const char* rule;
  const char* words;
};

Job checker(const char* task, const char* test, const std::filesystem::path& directory = {}) {
  return {test_plugin_path("checkers"), {"--task", task, "--test", test, "--seed", "7"}, directory};
}

// Under these conditions, prepared by a shell.
ProcessEnd verify_under(const std::string& conditions, const std::string& options = {},
                        const char* plugin = "minimal") {
  Command command;
  command.program = "/bin/sh";
  command.arguments = {"-c", conditions + " exec '" + program_path().string() + "' verify " + options + " '" +
                                 test_plugin_path(plugin).string() + "'"};
  return Process(command).wait();
}

// From a directory that is not the manifest's.
Verification verify_manifest(Scene& scene, const std::vector<std::string>& options) {
  scene.command();  // writes it
  return verify(Job{scene.manifest_path(), options, "/"});
}

}  // namespace

TEST_CASE("what a check changes or leaves behind is found by comparing with before the first one") {
  std::vector<CheckerRow> rows = {
      {"changes_umask", "5.1", "the umask"},
      {"ignores_terminate", "5.1", "the handler of SIGTERM"},
      {"sets_variable", "5.1", "$TASKHOST_TEST_FOO"},
      {"sets_alarm", "5.1", "the interval timer"},
      {"blocks_signals", "5.1", "the signal mask"},
      {"changes_directory", "5.1", "the working directory"},
      {"changes_locale", "5.1", "the locale"},
      {"is_nice", "5.1", "the priority"},
      {"leaves_child", "3.16", "child process"},
      {"child_comes_back", "3.14", "came out of that function"},
      {"writes_file", "3.16", "\"check_was_here\""},
      {"writes_many_files", "3.16", "more files"},
      {"refuses_silently", "3.16", "with which it starts: no reason was given"},
      {"ends_silently", "3.8", "_exit"},
  };
  if (!sanitized) rows.push_back({"leaks_memory", "3.16", "bytes of memory"});
  std::vector<Job> jobs;
  for (const CheckerRow& row : rows) jobs.push_back(checker(row.task, "check of configs"));
  const std::vector<Verification> results = verify_all(jobs);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    INFO(rows[i].task << "\n" << results[i].end.summary());
    CHECK(results[i].status() == 1);
    CHECK(results[i].has("broken", rows[i].rule, rows[i].words));
    CHECK_FALSE(results[i].has("broken", "1.4"));
  }
}

TEST_CASE("a check that reads a file, or makes something once, passes") {
  const TemporaryDirectory directory;
  for (const char* task : {"reads_a_file", "makes_something_once"}) {
    const Verification result = verify(checker(task, "check of configs", directory.path()));
    INFO(result.end.summary());
    CHECK(result.status() == 0);
    CHECK(result.has("holds", "3.16"));
  }
}

TEST_CASE("a plugin that is named by a relative path may change the directory, and is accused of that only") {
  Job job = checker("changes_directory", "check of configs", test_plugin_path("checkers").parent_path());
  job.plugin = "checkers.so";
  const Verification result = verify(job);
  INFO(result.end.summary());
  CHECK(result.has("broken", "5.1", "the working directory"));
  CHECK_FALSE(result.has("broken", "1.4"));
}

TEST_CASE("the end of the process is tested: destructors and exit handlers") {
  const std::vector<std::string> options = {"--task", "reads_a_file", "--test", "end of the process", "--time-limit",
                                            "6s"};
  const std::vector<std::string> no_drop = {"--task", "has_no_drop", "--test", "end of the process"};
  const std::vector<Verification> results = verify_all({{test_plugin_path("hangs_at_end"), options},
                                                        {test_plugin_path("crashes_at_exit"), options},
                                                        {test_plugin_path("checkers"), options},
                                                        {test_plugin_path("crashes_at_exit"), no_drop}});
  for (const Verification& result : results) UNSCOPED_INFO(result.end.summary());
  CHECK(results[0].has("broken", "5.4", ", in its destructors and exit handlers"));
  CHECK(results[1].has("broken", "5.4", "SIGSEGV in its destructors"));
  CHECK(results[2].has("holds", "5.4"));
  CHECK(results[3].has("broken", "5.4", "SIGSEGV in its destructors"));
}

TEST_CASE("a crash that a forgotten thread may have caused says that one was running") {
  if (sanitized) return;  // it finds the use of freed memory itself
  const TemporaryDirectory directory;
  const Verification result = verify(checker("forgets_a_thread", "many executions", directory.path()));
  INFO(result.end.summary());
  CHECK(result.status() == 1);
  CHECK(result.has("broken", "3.8", "of the plugin's own"));
  CHECK(result.has("broken", "3.8", "(rule 5.2)"));
}

TEST_CASE("a right plugin is not blamed for what the system refuses the kit") {
  struct Condition {
    const char* shell;
    const char* words;
    bool is_beyond_sanitizers = true;  // they need descriptors and address space themselves
    bool may_suffice = false;          // on some machines
  };
  const std::vector<Condition> conditions = {
      {"ulimit -n 12;", "ulimit -n"},
      {"ulimit -n 24;", "ulimit -n"},
      {"ulimit -n 48;", "ulimit -n"},
      {"ulimit -v 20000;", "memory", true, true},
      {"ulimit -v 30000;", "memory", true, true},
      {"cd \"$(mktemp -d)\"; rmdir \"$PWD\";", "change to a directory that exists", false},
  };
  for (const Condition& condition : conditions) {
    if (sanitized && condition.is_beyond_sanitizers) continue;
    const ProcessEnd end = verify_under(condition.shell);
    INFO(condition.shell << "\n" << end.summary());
    CHECK(end.out.find("BROKEN") == std::string::npos);
    CHECK(end.out.find("unproven ") == end.out.find("unproven (seed"));
    if (end.status == 0 && condition.may_suffice) continue;
    CHECK(end.status == 5);
    CHECK(has_line(end.err, {condition.words}));
  }
}

TEST_CASE("a test that is killed from outside proves nothing against the plugin") {
  const ProcessEnd end =
      verify_under("ulimit -t 1;", "--task spins --test run-to-its-end --time-limit 20s", "breakers");
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(end.out.find("BROKEN") == std::string::npos);
  CHECK(has_line(end.out, {"unproven", "run to its end", "from outside: by the limit of processor time"}));
}

TEST_CASE("a path with a word that the loader replaces is refused in every command, with what to do") {
  const TemporaryDirectory directory;
  const char* const name = GENERATE("$ORIGIN", "${LIB}", "a$PLATFORM");
  std::filesystem::create_directory(directory / name);
  const std::string plugin = (directory / name / "minimal.so").string();
  std::filesystem::copy_file(test_plugin_path("minimal"), plugin);
  for (const char* command : {"verify", "inspect", "run", "check"}) {
    const bool takes_directory = command == std::string_view("run") || command == std::string_view("check");
    const ProcessEnd end = run_program({command, takes_directory ? (directory / name).string() : plugin});
    INFO(command << "\n" << end.summary());
    CHECK(end.status == 3);
    CHECK(has_line(end.err, {"the dynamic loader would replace", "rename that folder or file"}));
  }
  const std::filesystem::path harmless = directory / "$ORIGINAL";
  std::filesystem::create_directory(harmless);
  std::filesystem::copy_file(test_plugin_path("minimal"), harmless / "minimal.so");
  CHECK(run_program({"inspect", (harmless / "minimal.so").string()}).status == 0);
}

TEST_CASE("a plugin that ends check or inspect without a word does not look like success") {
  Scene scene;
  Json entry = task("quiet", "checkers", "mandatory");
  entry["plugin"] = test_plugin_path("checkers").string();
  entry["task"] = "ends_silently";
  scene.add(entry);
  scene.directory().write("manifest.json", scene.manifest.dump());
  const std::string loading = test_plugin_path("ends_when_loaded").string();
  for (const ProcessEnd& end :
       {run_program({"check", scene.manifest_path().string()}), run_program({"inspect", loading})}) {
    INFO(end.summary());
    CHECK(end.status == 3);
    CHECK(has_line(end.err, {"a plugin ended the process with status 0, by _exit"}));
  }
}

TEST_CASE("the faults of a manifest are what check is asked for, whatever the log level") {
  const TemporaryDirectory directory;
  const std::string manifest = directory.write("bad.json", R"({"tasks": 1})").string();
  const std::string library = test_plugin_path("minimal").string();
  const ProcessEnd faults = run_program({"check", "--log-level", "off", manifest});
  CHECK(faults.status == 2);
  CHECK(has_line(faults.err, {"tasks"}));
  const ProcessEnd no_file = run_program({"verify", "flaky"});
  CHECK(no_file.status == 3);
  CHECK(has_line(no_file.err, {"name the plugin's file"}));
  const ProcessEnd not_json = run_program({"check", library});
  CHECK(not_json.status == 2);
  CHECK(has_line(not_json.err, {"taskhost verify"}));
}

TEST_CASE(
    "a manifest's tasks are verified with the configs that they have there, those that differ in name alone once") {
  Scene scene;
  scene.add(task("pulse", "heartbeat", "mandatory", {{"interval", "10ms"}}));
  scene.add(task("twin", "heartbeat", "detachable", {{"interval", "10ms"}}));
  scene.add(task("wrong", "heartbeat", "mandatory", {{"interval", "soon"}}));
  const Verification all = verify_manifest(scene, {"--test", "stop-at-any-time"});
  INFO(all.end.summary());
  CHECK(all.status() == 1);
  REQUIRE(all.verdicts.size() == 4);
  CHECK(all.verdicts[0]["factory"] == "pulse");  // the descriptor, which is the plugin's, and yet the task's
  CHECK(all.verdicts[1]["factory"] == "pulse");
  CHECK(all.verdicts[1]["verdict"] == "holds");
  CHECK(all.verdicts[3]["factory"] == "wrong");
  CHECK(all.has("unproven", "3.10", "config: /interval: must be a duration"));

  const Verification one = verify_manifest(scene, {"--test", "stop-at-any-time", "--task", "twin"});
  CHECK(one.status() == 0);
  REQUIRE(one.verdicts.size() == 2);
  CHECK(one.verdicts[1]["factory"] == "twin");
}

TEST_CASE("a task of a manifest is verified with the factory, name and directory that it has there") {
  Scene scene;
  Json entry = task("known", "checkers", "detachable");
  entry["task"] = "knows_its_manifest";
  entry["config"] = {{"name", "known"}, {"directory", scene.directory().path().string()}};
  scene.add(entry);
  const Verification result = verify_manifest(scene, {"--test", "run-to-its-end"});
  INFO(result.end.summary());
  CHECK(result.status() == 0);
  CHECK(result.done("run to its end", "lived") > 0);
}

TEST_CASE("a manifest that can't be verified is refused with what to do about it") {
  Scene scene;
  scene.add(task("pulse", "heartbeat", "mandatory"));
  const auto refused = [&](const std::vector<std::string>& options) { return verify_manifest(scene, options).end; };
  ProcessEnd end = refused({"--task", "pulze"});
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {R"(no task has the "name" "pulze"; did you mean "pulse"?)"}));
  end = refused({"--config", "{}"});
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"--config: the manifest has the configs of its tasks"}));
  scene.manifest["tasks"][0]["plugin"] = "hartbeat";
  end = refused({});
  CHECK(end.status == 3);
  CHECK(has_line(end.err, {"manifest.json: /tasks/0/plugin (line ", R"(did you mean "heartbeat"?)"}));
  scene.manifest["tasks"][0]["type"] = "mandatroy";
  end = refused({});
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"/tasks/0/type", R"(did you mean "mandatory"?)"}));
  scene.manifest["tasks"] = Json::array();
  scene.manifest["autoload"] = {{"type", "detachable"}};
  end = refused({});
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"it has no tasks that could be tested"}));
  end = verify(Job{scene.directory() / "none.json", {}}).end;
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"none.json: it can't be opened"}));
}
