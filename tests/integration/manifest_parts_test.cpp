// Manifests of several files, with variables and secrets: what the real program does with them, and never shows.
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "operated_host.hpp"
#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

// Odd enough to be found in any output, also if only its beginning is there.
constexpr const char* secret = "Xq7-unseen-2fK9";
constexpr const char* secret_start = "Xq7-un";

void check_hidden(const ProcessEnd& end) {
  INFO(end.summary());
  for (const std::string& text : {end.out, end.err}) CHECK(text.find(secret_start) == std::string::npos);
}

std::filesystem::path write_secret(const Scene& scene, const std::string& name, const std::string& content) {
  const std::filesystem::path path = scene.directory().write(name, content);
  ::chmod(path.c_str(), 0600);
  return path;
}

Json from_file(const std::string& name) { return {{"$file", name}}; }

Json exec_task(std::string_view name, const std::vector<std::string>& arguments, Json env = Json::object()) {
  return task(name, "exec", "shutdown_on_exit", {{"argv", arguments}, {"env", std::move(env)}});
}

ProcessEnd check(Scene& scene, const std::vector<std::string>& options = {},
                 const std::vector<std::string>& environment = {}) {
  Command command = scene.command();
  command.arguments = {"check", scene.manifest_path().string()};
  command.arguments.insert(command.arguments.end(), options.begin(), options.end());
  command.environment = environment;
  return Process(command).wait();
}

}  // namespace

TEST_CASE("an included file's plugins, programs and files count from its own directory") {
  Scene scene;
  scene.manifest["include"] = {"sites/*/tasks.json"};
  const auto directory = [&](const std::string& name) {
    std::filesystem::create_directories(scene.directory() / ("sites/" + name));
    const std::filesystem::path job = scene.directory().write(
        "sites/" + name + "/job", "#!/bin/sh\ntest \"$(cat word)\" = " + name + " && test \"$WORD\" = " + name + "\n");
    ::chmod(job.c_str(), 0755);
    write_secret(scene, "sites/" + name + "/word", name + "\n");
    std::filesystem::copy_file(plugin_path("exec"), scene.directory() / ("sites/" + name + "/own.so"));
    const Json entry = task(name, name == "a" ? "./own.so" : "own", "detachable",
                            {{"argv", {"./job"}}, {"env", {{"WORD", from_file("word")}}}});
    scene.directory().write("sites/" + name + "/tasks.json", Json{{"tasks", {entry}}}.dump());
  };
  directory("a");
  directory("b");
  const Run run = scene.run();
  INFO(run.log());
  CHECK(run.status() == 0);
  for (const char* name : {"a", "b"}) CHECK(run.first("task_exited", name).outcome == "ok");
  CHECK(run.events.count("plugin_loaded") == 2);
}

TEST_CASE("a bare name in an included file is found where the main manifest's plugins are") {
  Scene scene;
  scene.manifest["include"] = {"tasks.d/*.json"};
  scene.directory().write("tasks.d/b.json",
                          Json{{"tasks", {task("b", "probe", "shutdown_on_exit", probe_that_ends("ok"))}}}.dump());
  scene.directory().write("tasks.d/a.json", "\xef\xbb\xbf{\"tasks\": [] /* a byte order mark is no fault */}");
  const Run run = scene.run();
  INFO(run.log());
  CHECK(run.status() == 0);
  CHECK(run.stopping_task() == "b");
}

TEST_CASE("what a plugin finds wrong with a config, or a missing plugin, is told with the included file's name") {
  Scene scene;
  scene.manifest["include"] = {"d/*.json"};
  scene.directory().write("d/a.json",
                          "{\"tasks\": [\n" + task("a", "heartbeat", "mandatory", {{"interval", 7}}).dump() + ",\n" +
                              task("b", "probee", "mandatory").dump() + ",\n" +
                              R"({"name": "c", "plugin": "probe", "type": "mandatory", "after": ["x"]})" + "]}");
  const ProcessEnd end = check(scene);
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"d/a.json: /tasks/0/config/interval (line 2): must be a duration"}));
  CHECK(has_line(end.err, {"d/a.json: /tasks/1/plugin (line 3): there is no plugin \"probee\""}));
  CHECK(has_line(end.err, {"d/a.json: /tasks/2/after/0 (line 4): there is no task \"x\""}));
}

TEST_CASE("names that come from plugins are compared in all files, and a fault names both") {
  Scene scene;
  scene.manifest["include"] = {"d/*.json"};
  const std::string nameless = R"({"tasks": [{"plugin": "probe", "type": "mandatory"}]})";
  scene.directory().write("d/a.json", nameless);
  scene.directory().write("d/b.json", nameless);
  const ProcessEnd end = check(scene);
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"d/b.json: /tasks/0 (line 1): two tasks are named \"probe\"", "/tasks/0 of ", "d/a.json"}));
}

TEST_CASE("odd names of files that a pattern matches are told on one line") {
  Scene scene;
  scene.manifest["include"] = {"d/*"};
  for (const char* name : {"d/a\nb", "d/\xff[x]", "d/.hidden", "d/a~"}) scene.directory().write(name, "{,}");
  const ProcessEnd end = check(scene);
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"d/a\\u000ab: line 1, column 2"}));
  CHECK(has_line(end.err, {"d/\\xff[x]: line 1, column 2"}));
  CHECK(lines_with(end.err, {"column 2"}).size() == 2);
}

TEST_CASE("links are followed, and what is no readable regular file is a fault that does not wait") {
  Scene scene;
  scene.directory().write("real.json", Json{{"tasks", {task("a", "probe", "mandatory")}}}.dump());
  std::filesystem::create_directories(scene.directory() / "d/folder");
  std::filesystem::create_symlink("../real.json", scene.directory() / "d/link");
  scene.manifest["include"] = {"d/l*"};
  CHECK(check(scene).status == 0);

  std::filesystem::create_symlink("gone", scene.directory() / "d/dangling");
  std::filesystem::create_symlink("loop", scene.directory() / "d/loop");
  REQUIRE(::mkfifo((scene.directory() / "d/pipe").c_str(), 0644) == 0);
  scene.directory().write("d/secret", "{}");
  ::chmod((scene.directory() / "d/secret").c_str(), 0);
  scene.directory().write("d/twice.json", "{}");
  std::filesystem::create_hard_link(scene.directory() / "d/twice.json", scene.directory() / "d/twin");
  scene.manifest["include"] = {"d/*", "d/folder", "/dev/null", "manifest.json"};
  Command command = scene.command();
  command.arguments = {"check", scene.manifest_path().string()};
  command.obeys_file_modes = true;
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"/include/0", "d/dangling\" can't be included: No such file or directory"}));
  CHECK(has_line(end.err, {"/include/0", "d/loop\" can't be included: Too many levels of symbolic links"}));
  CHECK(has_line(end.err, {"/include/0", "d/folder\" can't be included: it is a directory"}));
  CHECK(has_line(end.err, {"/include/0", "d/pipe\" can't be included: it is not a regular file"}));
  CHECK(has_line(end.err, {"/include/0", "d/secret\" can't be included: Permission denied"}));
  CHECK(has_line(end.err, {"/include/0", "d/twin\" is included twice, first by /include/0 (line "}));
  CHECK(has_line(end.err, {"/include/1", "for the files in it, write \"d/folder/*.json\""}));
  CHECK(has_line(end.err, {"/include/2", "\"/dev/null\" can't be included: it is not a regular file"}));
  CHECK(has_line(end.err, {"/include/3", "the file includes itself: ", "manifest.json"}));
}

TEST_CASE("a lack of descriptors is told as one, not as files that can't be read") {
  if (address_sanitizer) return;  // with that for undefined behaviour, which needs descriptors itself
  Scene scene;
  scene.manifest["include"] = {"d/*.json"};
  scene.directory().write("d/a.json", "{}");
  write_secret(scene, "value", secret);
  scene.add(task("a", "probe", "mandatory", {{"message", from_file("value")}}));
  Command command = scene.command();
  command.arguments = {"check", scene.manifest_path().string()};
  for (rlim_t limit = 3; limit < 24; ++limit) {
    command.limits = {{RLIMIT_NOFILE, limit}};
    const ProcessEnd end = Process(command).wait();
    INFO(limit << ": " << end.summary());
    const int status = end.status.value_or(-1);
    if (status == 127 || status == 0) continue;  // the limit stops the dynamic loader, or suffices
    CHECK(status == 5);
    CHECK(has_line(end.err, {"RLIMIT_NOFILE is " + std::to_string(limit)}));
  }
}

TEST_CASE("ten thousand files are read with few descriptors, and one more is a fault") {
  Scene scene;
  scene.add(task("end", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  scene.manifest["include"] = {"d/*.json"};
  for (int i = 0; i < 10'000; ++i) scene.directory().write("d/" + std::to_string(i) + ".json", "{}");
  Command command = scene.command();
  command.arguments = {"check", scene.manifest_path().string()};
  command.limits.emplace_back(RLIMIT_NOFILE, 24);
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  scene.directory().write("d/more.json", "{}");
  CHECK(has_line(check(scene).err, {"/include/0", "more than 10000 files are included"}));
}

TEST_CASE("variables are those of the program's environment") {
  Scene scene;
  scene.add(task("${env:TEST_NAME}", "probe", "shutdown_on_exit",
                 {{"end", "${env:TEST_END:-error}"}, {"message", "$${env:X} ${HOME}"}}));
  const ProcessEnd unset = check(scene);
  CHECK(unset.status == 2);
  CHECK(has_line(unset.err, {"/tasks/0/name (line ", "the environment variable \"TEST_NAME\" is not set"}));
  const ProcessEnd bad = check(scene, {}, {"TEST_NAME=\xff"});
  CHECK(bad.status == 2);
  CHECK(has_line(bad.err, {"the value of the environment variable \"TEST_NAME\" is not UTF-8"}));
  Command command = scene.command();
  command.environment.emplace_back("TEST_NAME=job");
  command.environment.emplace_back("TEST_END=");
  const Run run = scene.start(command).finish();
  INFO(run.log());
  CHECK(run.status() == 1);
  CHECK(run.first("task_exited", "job").message == "${env:X} ${HOME}");
}

TEST_CASE("a task gets the value of a file, and a running host shows it nowhere") {
  Scene scene;
  const std::filesystem::path token = write_secret(scene, "token.txt", std::string(secret) + "\n");
  scene.add(exec_task(
      "job", {"sh", "-c", "test \"$TOKEN\" = \"$(cat " + token.string() + ")\" && echo right; exec sleep 1000"},
      {{"TOKEN", from_file("token.txt")}}));
  const std::filesystem::path socket = scene.directory() / "s.sock";
  Running running = scene.start({"--control", socket.string(), "--log-level", "trace"});
  running.expect_operators();
  running.wait_for("task_started", "job");
  REQUIRE(running.process().wait_for_err("right"));
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{{"status"},
                                                                                       {"status", "--json"},
                                                                                       {"explain", "job"},
                                                                                       {"explain", "--json", "job"},
                                                                                       {"logs"},
                                                                                       {"logs", "--json"},
                                                                                       {"events", "--json"},
                                                                                       {"ps", "--json"},
                                                                                       {"top"}}) {
    std::vector<std::string> arguments = command;
    if (command.front() != "ps") arguments.insert(arguments.begin() + 1, {"--host", socket.string()});
    check_hidden(Process(operating(arguments, scene.directory().path())).wait());
  }
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  check_hidden(run.end);
  CHECK(text_of(scene.events_path()).find(secret_start) == std::string::npos);
}

TEST_CASE("no fault, explanation or warning shows a value from a file") {
  Scene scene;
  const auto run_all = [&scene] {
    for (const std::vector<std::string>& options :
         std::vector<std::vector<std::string>>{{}, {"--explain"}, {"--explain", "--json"}, {"--log-level", "trace"}}) {
      check_hidden(check(scene, options));
    }
    const Run run = scene.run({"--log-format", "json", "--log-level", "trace"});
    check_hidden(run.end);
    return run;
  };
  // As a value that a plugin refuses, and as a duration that is nearly one.
  write_secret(scene, "value", secret);
  write_secret(scene, "nearly", "47.11471 s");
  for (const Json& config : {Json{{"interval", from_file("value")}}, Json{{"message", {{"a", from_file("value")}}}},
                             from_file("value"), Json{{"intervall", from_file("value")}}}) {
    scene.manifest["tasks"] = Json::array({task("a", "heartbeat", "shutdown_on_exit", config)});
    CHECK(run_all().status() == 2);
  }
  scene.manifest["tasks"] =
      Json::array({task("a", "heartbeat", "shutdown_on_exit", {{"interval", from_file("nearly")}})});
  const ProcessEnd nearly = check(scene);
  CHECK(nearly.status == 2);
  CHECK(has_line(nearly.err, {"/config/interval", "must be a duration"}));
  CHECK(nearly.err.find("11471") == std::string::npos);
  // As text that can't be a value.
  for (const std::string& content : {secret + std::string("\xff"), secret + std::string(1, '\0'),
                                     secret + std::string(2'000'000, 'x'), "\xef\xbb\xbf" + std::string(secret)}) {
    write_secret(scene, "value", content);
    scene.manifest["tasks"] = Json::array({task("a", "heartbeat", "shutdown_on_exit", from_file("value"))});
    CHECK(run_all().status() == 2);
  }
  // In the wrong place.
  write_secret(scene, "value", secret);
  scene.manifest["name"] = from_file("value");
  scene.manifest["tasks"] =
      Json::array({{{"name", from_file("value")}, {"plugin", from_file("value")}, {"type", from_file("value")}}});
  CHECK(run_all().status() == 2);
}

TEST_CASE("a warning says that every user may read a secret, and the host goes on") {
  Scene scene;
  const std::filesystem::path token = write_secret(scene, "token.txt", secret);
  scene.add(exec_task("job", {"true"}, {{"TOKEN", from_file("token.txt")}}));
  const Run quiet = scene.run();
  CHECK(quiet.status() == 0);
  CHECK(quiet.log().find("every user") == std::string::npos);
  ::chmod(token.c_str(), 0604);
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(),
                 {"manifest.json: /tasks/0/config/env/TOKEN/$file (line ", "every user may read", "token.txt"}));
  check_hidden(run.end);
}

TEST_CASE("a FIFO, a directory or a file that may not be read gives no value, and the program does not wait") {
  Scene scene;
  REQUIRE(::mkfifo((scene.directory() / "pipe").c_str(), 0644) == 0);
  write_secret(scene, "closed", secret);
  ::chmod((scene.directory() / "closed").c_str(), 0);
  for (const char* name : {"pipe", ".", "closed", "/dev/zero", "gone"}) {
    scene.add(task(name, "probe", "mandatory", {{"message", from_file(name)}}));
  }
  Command command = scene.command();
  command.arguments = {"check", scene.manifest_path().string()};
  command.obeys_file_modes = true;
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"/tasks/0/config/message/$file", "it is not a regular file"}));
  CHECK(has_line(end.err, {"/tasks/1/config/message/$file", "it is a directory"}));
  CHECK(has_line(end.err, {"/tasks/2/config/message/$file", "Permission denied: the user ", " may not read it"}));
  CHECK(has_line(end.err, {"/tasks/3/config/message/$file", "it is not a regular file"}));
  CHECK(has_line(end.err, {"/tasks/4/config/message/$file", "No such file or directory"}));
  CHECK(lines_with(end.err, {"/tasks/"}).size() == 5);  // no guesses of the plugin about what is missing
}

TEST_CASE("check as another user finds secrets and included files that this user may not read") {
  constexpr const char* stranger = "1987654321";
  Scene scene;
  Command probing = scene.command();
  if (!run_as_stranger(probing)) return;
  std::filesystem::permissions(scene.directory().path(), std::filesystem::perms(0755));
  write_secret(scene, "token", secret);
  write_secret(scene, "more.json", "{}");
  std::filesystem::copy_file(plugin_path("probe"), scene.directory() / "probe.so");
  scene.manifest["include"] = {"more.json"};
  scene.manifest["plugin_dirs"] = {"."};
  scene.add(task("a", "probe", "mandatory", {{"message", from_file("token")}}));
  const ProcessEnd end = check(scene, {"--user", stranger});
  INFO(end.summary());
  CHECK(end.status == 2);
  const std::string refused = std::string("the user ") + stranger + " may not read it";
  CHECK(has_line(end.err, {"/include/0", "more.json\" can't be included: Permission denied: " + refused}));
  CHECK(has_line(end.err, {"/tasks/0/config/message/$file", "token\": Permission denied: " + refused}));
  CHECK(check(scene).status == 0);
}

TEST_CASE("a crash's last words, and what verify reports, have no value from a file") {
  Scene scene;
  write_secret(scene, "value", secret);
  scene.manifest["plugin_dirs"].push_back(test_plugin_directory().string());
  scene.add(task("a", "poll_crashes", "mandatory", {{"a", from_file("value")}}));
  const ProcessEnd crashed = Process(scene.command()).wait();
  check_hidden(crashed);
  if (!address_sanitizer) {  // which reports it itself
    CHECK(crashed.signal == SIGSEGV);
    CHECK(has_line(crashed.err, {"SIGSEGV in the poll of task 'a'"}));
  }

  scene.manifest["tasks"] = Json::array({task("a", "check_fails_silently", "mandatory", {{"a", from_file("value")}}),
                                         task("b", "heartbeat", "mandatory", {{"message", from_file("value")}})});
  scene.command();
  for (const char* format : {"--json", "--seed=7"}) {
    const ProcessEnd end = run_program({"verify", scene.manifest_path().string(), "--time-limit", "500ms", format});
    CHECK(end.status == 1);
    CHECK(end.out.find("(not shown: it may have a value from a file)") != std::string::npos);
    check_hidden(end);
  }
}
