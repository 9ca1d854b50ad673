// Where plugins are searched for; autoload, and directories without a manifest (host/README.md).
#include <csignal>
#include <filesystem>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// Copies a bundled plugin into the scene's directory.
void put_plugin(const Scene& scene, std::string_view name, std::string_view as) {
  const std::filesystem::path target = scene.directory() / as;
  std::filesystem::create_directories(target.parent_path());
  std::filesystem::copy_file(plugin_path(name), target);
}

// `taskhost run --events FILE OPTIONS DIRECTORY`
Command command_for_directory(Scene& scene, const std::filesystem::path& directory) {
  Command command = scene.command();
  command.arguments.back() = directory.string();
  return command;
}

void stop_well(Running& running) {
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

}  // namespace

TEST_CASE("a bare plugin name is found with the platform's decorations") {
  const std::string file = GENERATE("feed.so", "libfeed.so");
  Scene scene;
  put_plugin(scene, "probe", "lib/" + file);
  scene.manifest["plugin_dirs"] = {"lib"};
  scene.add(task("job", "feed", "shutdown_on_exit", probe_that_ends("ok")));
  CHECK(scene.run().status() == 0);
}

TEST_CASE("a plugin given as a path is taken as it is, counted from the manifest") {
  const std::string path = GENERATE("./feed.so", "sub/feed.so", "absolute");
  Scene scene;
  put_plugin(scene, "probe", "feed.so");
  put_plugin(scene, "probe", "sub/feed.so");
  scene.manifest.erase("plugin_dirs");
  scene.add(task("job", path == "absolute" ? (scene.directory() / "feed.so").string() : path, "shutdown_on_exit",
                 probe_that_ends("ok")));
  CHECK(scene.run().status() == 0);
}

TEST_CASE("without plugin_dirs plugins are looked up beside the manifest") {
  Scene scene;
  put_plugin(scene, "probe", "feed.so");
  scene.manifest.erase("plugin_dirs");
  scene.add(task("job", "feed", "shutdown_on_exit", probe_that_ends("ok")));
  CHECK(scene.run().status() == 0);
}

TEST_CASE("directories given by --plugin-dir are searched before the manifest's") {
  Scene scene;
  put_plugin(scene, "probe", "first/feed.so");
  scene.directory().write("second/feed.so", "not a library");
  scene.directory().write("empty/README", "");
  scene.manifest["plugin_dirs"] = {"second"};
  scene.add(task("job", "feed", "shutdown_on_exit", probe_that_ends("ok")));
  CHECK(scene.run().status() == 3);
  CHECK(scene
            .run({"--plugin-dir", (scene.directory() / "empty").string(), "--plugin-dir",
                  (scene.directory() / "first").string()})
            .status() == 0);
}

TEST_CASE("a plugin that is nowhere is told with status 3, the places searched, and the nearest there is") {
  Scene scene;
  scene.add(task("job", "prob", "mandatory"));
  scene.add(task("other", "zzzzzzzz", "mandatory"));
  const Run run = scene.run();
  CHECK(run.status() == 3);
  CHECK(has_line(run.log(), {"/tasks/0/plugin", "prob", "\"probe\""}));
  CHECK(has_line(run.log(), {"/tasks/1/plugin", "zzzzzzzz"}));
  CHECK(run.log().find(plugin_directory().string()) != std::string::npos);
}

TEST_CASE("a plugin's relative path that leads nowhere is told with the directory that it counts from") {
  Scene scene;
  scene.add(task("job", "./feed.so", "mandatory"));
  scene.add(task("other", "/no/such/feed.so", "mandatory"));
  const Run run = scene.run();
  CHECK(run.status() == 3);
  const std::string base = "\"" + scene.directory().path().string() + "\"";
  CHECK(has_line(run.log(), {"/tasks/0/plugin", "\"./feed.so\" counts from " + base + ": put it there"}));
  CHECK_FALSE(has_line(run.log(), {"/tasks/1/plugin", "counts from"}));
}

TEST_CASE("a directory to be autoloaded that is not there is a wrong manifest") {
  Scene scene;
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  scene.manifest["plugin_dirs"].erase(1);  // the one with the tests' bad plugins
  scene.manifest["plugin_dirs"].push_back("no-such-folder");
  scene.manifest["autoload"] = {{"type", "detachable"}};
  const Run run = scene.run();
  CHECK(run.status() == 2);
  CHECK(has_line(run.log(), {"manifest.json", "no-such-folder"}));
}

TEST_CASE("autoload gives each library that no entry names its policy") {
  Scene scene;
  put_plugin(scene, "heartbeat", "lib/heartbeat.so");
  put_plugin(scene, "ticker", "lib/libticker.so");
  put_plugin(scene, "probe", "lib/probe.so");
  scene.directory().write("lib/README.md", "not a library, and not called like one");
  scene.manifest["plugin_dirs"] = {"lib"};
  scene.manifest["autoload"] = {{"type", "mandatory"}, {"restarts", 7}};
  scene.add(task("job", "probe", "detachable", idle_probe(), 2));
  Running running = scene.start();
  running.wait_for("task_started", "heartbeat");
  running.wait_for("task_started", "ticker");
  running.wait_for("task_started", "job");
  CHECK(running.events().read().count("task_started") == 3);
  CHECK(running.events().read().first("task_started", "heartbeat")->type == "mandatory");
  CHECK(running.events().read().first("task_started", "ticker")->type == "mandatory");
  CHECK(running.events().read().first("task_started", "job")->type == "detachable");
  stop_well(running);
}

TEST_CASE("autoload leaves out what an entry names, though that is isolated") {
  Scene scene;
  put_plugin(scene, "heartbeat", "lib/heartbeat.so");
  scene.manifest["plugin_dirs"] = {"lib"};
  scene.manifest["autoload"] = {{"type", "mandatory"}};
  scene.add(task("other", "heartbeat", "detachable"));
  scene.manifest["tasks"][0]["isolation"] = "process";
  Running running = scene.start();
  running.wait_for("task_started", "other");
  CHECK(running.events().read().count("task_started") == 1);
  stop_well(running);
}

TEST_CASE("autoload is enough: a manifest needs no tasks, and --plugin-dir takes part") {
  Scene scene;
  put_plugin(scene, "heartbeat", "more/heartbeat.so");
  scene.directory().write("lib/README", "");
  scene.text = R"({"plugin_dirs": ["lib"], "autoload": {"type": "detachable", "restarts": 1}})";
  Running running = scene.start({"--plugin-dir", (scene.directory() / "more").string()});
  running.wait_for("task_started", "heartbeat");
  stop_well(running);
}

TEST_CASE("autoload skips a plugin that can't run without a config, and says so") {
  Scene scene;
  put_plugin(scene, "heartbeat", "lib/heartbeat.so");
  put_plugin(scene, "watcher", "lib/watcher.so");
  scene.manifest["plugin_dirs"] = {"lib"};
  scene.manifest["autoload"] = {{"type", "detachable"}};
  Running running = scene.start();
  running.wait_for("task_started", "heartbeat");
  CHECK(
      running.process().wait_for_err("watcher.so: skipped: \"watcher\" can't run without a config (/path: must name"));
  CHECK(has_line(running.process().err(), {"watcher.so", "list it in \"tasks\""}));
  stop_well(running);
}

TEST_CASE("autoload does not skip a plugin whose check breaks a rule") {
  Scene scene;
  put_plugin(scene, "heartbeat", "lib/heartbeat.so");
  std::filesystem::copy_file(test_plugin_path("check_nonsense"), scene.directory() / "lib/nonsense.so");
  scene.manifest["plugin_dirs"] = {"lib"};
  scene.manifest["autoload"] = {{"type", "detachable"}};
  const Run run = scene.run();
  CHECK(run.status() == 3);
  CHECK(has_line(run.log(), {"nonsense.so", "task \"check_nonsense\": the check returned 1", "rule 3.16"}));
}

TEST_CASE("an entry that names a library by its path keeps autoload from loading it again") {
  Scene scene;
  put_plugin(scene, "heartbeat", "lib/heartbeat.so");
  scene.manifest["plugin_dirs"] = {"lib"};
  scene.manifest["autoload"] = {{"type", "detachable"}};
  scene.add(task("pulse", "lib/../lib/heartbeat.so", "mandatory"));
  Running running = scene.start();
  running.wait_for("task_started", "pulse");
  CHECK(running.events().read().count("plugin_loaded") == 1);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_started") == 1);
}

TEST_CASE("a broken library in a directory that is autoloaded is refused, and nothing is started") {
  Scene scene;
  put_plugin(scene, "heartbeat", "lib/heartbeat.so");
  scene.directory().write("lib/poem.so", "Tyger Tyger, burning bright\n");
  SECTION("with a manifest") {
    scene.manifest["plugin_dirs"] = {"lib"};
    scene.manifest["autoload"] = {{"type", "detachable"}};
    const Run run = scene.run();
    CHECK(run.status() == 3);
    CHECK(has_line(run.log(), {"poem.so"}));
  }
  SECTION("without") {
    const Run run = scene.start(command_for_directory(scene, scene.directory() / "lib")).finish();
    CHECK(run.status() == 3);
    CHECK(has_line(run.log(), {"poem.so"}));
  }
}

TEST_CASE("a directory is run without a manifest: every task detachable with 3 restarts") {
  Scene scene;
  put_plugin(scene, "heartbeat", "lib/heartbeat.so");
  put_plugin(scene, "probe", "lib/libprobe.so");
  std::filesystem::copy_file(test_plugin_path("start_fails"), scene.directory() / "lib/start_fails.so");
  const std::string slash = GENERATE("", "/");
  Running running = scene.start(command_for_directory(scene, (scene.directory() / "lib").string() + slash));
  running.wait_for("task_started", "heartbeat");
  running.wait_for("task_started", "probe");
  running.wait_for("task_discarded");
  CHECK(running.events().read().count("task_exited") == 4);
  for (const Event& event : running.events().read().events()) {
    CHECK((event.type.empty() || event.type == "detachable"));
  }
  stop_well(running);
}

TEST_CASE("a directory without any plugin is a wrong manifest: nothing could be started") {
  Scene scene;
  scene.directory().write("lib/README", "");
  const Run run = scene.start(command_for_directory(scene, scene.directory() / "lib")).finish();
  CHECK(run.status() == 2);
  CHECK(has_line(run.log(), {"lib"}));
}

TEST_CASE("what editors and file systems leave in a plugin directory is passed over") {
  Scene scene;
  put_plugin(scene, "heartbeat", "lib/heartbeat.so");
  put_plugin(scene, "ticker", "lib/.ticker.so");
  for (const char* name :
       {".#heartbeat.so", ".nfs00000000.so", "heartbeat.so~", "#heartbeat.so#", ".heartbeat.so.swp"}) {
    scene.directory().write("lib/" + std::string(name), "Tyger Tyger, burning bright\n");
  }
  Running running = scene.start(command_for_directory(scene, scene.directory() / "lib"));
  running.wait_for("task_started", "heartbeat");
  CHECK(running.events().read().count("plugin_loaded") == 1);
  stop_well(running);
}

TEST_CASE(
    "a library without an entry in a plugin directory is passed over with a line, and refused where it is named") {
  Scene scene;
  put_plugin(scene, "heartbeat", "lib/heartbeat.so");
  std::filesystem::copy_file(test_plugin_path("no_entry"), scene.directory() / "lib/libhelper.so");
  SECTION("in a directory") {
    Running running = scene.start(command_for_directory(scene, scene.directory() / "lib"));
    running.wait_for("task_started", "heartbeat");
    running.send(SIGTERM);
    const Run run = running.finish();
    CHECK(run.status() == 0);
    CHECK(lines_with(run.log(), {"libhelper.so", "skipped"}).size() == 1);
  }
  SECTION("by its name") {
    scene.manifest["plugin_dirs"] = {"lib"};
    scene.add(task("job", "helper", "detachable"));
    const Run run = scene.run();
    CHECK(run.status() == 3);
    CHECK(has_line(run.log(), {"libhelper.so", "taskhost_plugin_v1"}));
  }
}

TEST_CASE("a plugin of another version in a plugin directory is refused") {
  Scene scene;
  put_plugin(scene, "heartbeat", "lib/heartbeat.so");
  std::filesystem::copy_file(test_plugin_path("entry_v0"), scene.directory() / "lib/old.so");
  const ProcessEnd end = run_program({"check", (scene.directory() / "lib").string()});
  CHECK(end.status == 3);
  CHECK(has_line(end.err, {"old.so", "taskhost_plugin_v0"}));
}

TEST_CASE("a plugin directory that is not there is named") {
  Scene scene;
  scene.manifest["plugin_dirs"] = {"plugin", plugin_directory().string()};
  SECTION("when a plugin is looked for in vain") {
    scene.add(task("job", "no_such_plugin", "detachable"));
    const Run run = scene.run();
    CHECK(run.status() == 3);
    CHECK(has_line(run.log(),
                   {"no_such_plugin", "; \"" + (scene.directory() / "plugin").string() + "\" does not exist"}));
  }
  SECTION("when it is elsewhere") {
    scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
    const Run run = scene.run();
    CHECK(run.status() == 0);
    CHECK(has_line(run.log(), {"warning", (scene.directory() / "plugin").string(), "does not exist"}));
  }
}

TEST_CASE("a plugin directory that may not be looked into is told with the reason") {
  Scene scene;
  put_plugin(scene, "probe", "lib/probe.so");
  std::filesystem::permissions(scene.directory() / "lib", std::filesystem::perms::none);
  scene.manifest["plugin_dirs"] = {"lib"};
  Command command = scene.command();
  SECTION("by a bare name") { scene.add(task("job", "probe", "detachable")); }
  SECTION("by a path") { scene.add(task("job", "lib/probe.so", "detachable")); }
  SECTION("by autoload") { scene.manifest["autoload"] = {{"type", "detachable"}}; }
  command = scene.command();
  command.obeys_file_modes = true;
  const Run run = scene.start(command).finish();
  std::filesystem::permissions(scene.directory() / "lib", std::filesystem::perms::owner_all);
  CHECK((run.status() == 2 || run.status() == 3));
  CHECK(has_line(run.log(), {"Permission denied: the user ", "may not "}));
  CHECK_FALSE(has_line(run.log(), {"there is no plugin", "Permission denied: the user", "lib/probe.so"}));
}

TEST_CASE("a library that changes the working directory leads no relative path astray") {
  Scene scene;
  put_plugin(scene, "probe", "lib/probe.so");
  put_plugin(scene, "heartbeat", "more/heartbeat.so");
  put_plugin(scene, "ticker", "sub/ticker.so");
  std::filesystem::copy_file(test_plugin_path("changes_directory"), scene.directory() / "lib/changes_directory.so");
  scene.manifest["plugin_dirs"] = {"lib"};
  scene.add(task("leaves", "changes_directory", "detachable"));
  scene.add(task("bare", "probe", "detachable", probe_that_ends("ok")));
  scene.add(task("extra", "heartbeat", "detachable"));
  scene.add(task("path", "./sub/ticker.so", "detachable"));
  Command command = scene.command();
  command.working_directory = scene.directory().path();
  command.arguments = {"run", "--events", "events.jsonl", "--plugin-dir", "more", "manifest.json"};
  Running running = scene.start(command);
  running.wait_for("task_started", "path");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("plugin_loaded") == 4);
}

TEST_CASE("the name of a file takes one line, whatever is in it") {
  Scene scene;
  scene.directory().write("lib/poem\n\x1b[31m.so", "Tyger Tyger, burning bright\n");
  const std::string directory = (scene.directory() / "lib").string();
  const std::string plugin = directory + "/poem\n\x1b[31m.so";
  scene.directory().write("odd\nname.json", "{");
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"check", directory}, {"inspect", plugin}, {"check", (scene.directory() / "odd\nname.json").string()}}) {
    const ProcessEnd end = run_program(words);
    INFO(end.summary());
    CHECK(end.status != 0);
    CHECK(count_lines(end.err) == 1);
    CHECK(end.err.find('\x1b') == std::string::npos);
  }
}

TEST_CASE("a script that is named as a plugin is told which plugin runs it") {
  Scene scene;
  scene.directory().write("greet.py", "print('hello')\n");
  scene.add(task("one", "greet.lua", "detachable"));
  scene.add(task("two", "./greet.py", "detachable"));
  const Run run = scene.run();
  CHECK(run.status() == 3);
  CHECK(has_line(run.log(), {"greet.lua", R"("plugin": "lua", "config": {"script": "greet.lua"})"}));
  CHECK(has_line(run.log(), {"greet.py", R"("plugin": "python", "config": {"script": )"}));
  scene.manifest["tasks"] =
      Json::array({task("shell", "greet.sh", "detachable"), task("lost", "/tmp/lost.so", "detachable")});
  const Run others = scene.run();
  CHECK(has_line(others.log(), {"greet.sh", R"("plugin": "exec", "config": {"argv": ["./greet.sh"]})"}));
  CHECK(has_line(others.log(), {"/tmp/lost.so", "a service with PrivateTmp= has a folder of its own there"}));
}

TEST_CASE("an installed host finds the plugins that are installed beside it, and autoloads none of them") {
  Scene scene;
  const std::filesystem::path built = program_path().parent_path().parent_path();
  std::filesystem::create_directories(scene.directory() / "bin");
  std::filesystem::create_directories(scene.directory() / "lib");
  std::filesystem::copy_file(program_path(), scene.directory() / "bin/taskhost");
  std::filesystem::copy_file(built / "lib/libtaskhost.so.0", scene.directory() / "lib/libtaskhost.so.0");
  put_plugin(scene, "probe", "lib/taskhost/plugins/probe.so");
  put_plugin(scene, "heartbeat", "own/heartbeat.so");
  scene.manifest["plugin_dirs"] = {"own"};
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  scene.manifest["autoload"] = {{"type", "detachable"}};
  Command command = scene.command();
  command.program = scene.directory() / "bin/taskhost";
  command.environment = {"LD_LIBRARY_PATH=" + (scene.directory() / "lib").string()};
  const Run run = scene.start(command).finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("plugin_loaded") == 2);
  scene.manifest["tasks"] = Json::array();
  scene.add(task("job", "heartbeat", "detachable"));
  scene.command();
  command.arguments = {"check", "--explain", scene.manifest_path().string()};
  CHECK(Process(command).wait().out.find("probe") == std::string::npos);
}

TEST_CASE("a plugin that is not found is reported with every place where it was looked for") {
  Scene scene;
  scene.manifest["plugin_dirs"] = {"own"};
  scene.add(task("job", "no_such_plugin", "detachable"));
  Command command = scene.command();
  command.arguments = {"check", "--plugin-dir", (scene.directory() / "given").string(), scene.manifest_path().string()};
  const ProcessEnd check = Process(command).wait();
  CHECK(check.status == 3);
  const std::filesystem::path library = program_path().parent_path().parent_path() / "lib/libtaskhost.so";
  const std::string installed = std::filesystem::canonical(library).parent_path() / "taskhost/plugins";
  CHECK(has_line(check.err, {(scene.directory() / "given").string(), (scene.directory() / "own").string(), installed,
                             installed + "\" does not exist"}));
}

TEST_CASE("check takes a directory too") {
  Scene scene;
  put_plugin(scene, "heartbeat", "lib/heartbeat.so");
  CHECK(run_program({"check", (scene.directory() / "lib").string()}).status == 0);
  scene.directory().write("lib/poem.so", "Tyger Tyger, burning bright\n");
  CHECK(run_program({"check", (scene.directory() / "lib").string()}).status == 3);
}

TEST_CASE("comments and a schema's name may stand in a manifest") {
  Scene scene;
  scene.text =
      "// what runs here\n{\n  \"$schema\": \"taskhost.schema.json\",\n  \"plugin_dirs\": [\"" +
      plugin_directory().string() +
      "\"],  // the bundled ones\n  \"tasks\": [\n    // \"none\"\n    {\"name\": \"http://a//b\", \"plugin\": "
      "\"probe\", \"type\": \"shutdown_on_exit\", \"config\": {\"end\": \"ok\", \"run_for\": \"1ms\"}}\n  ]\n}";
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.stopping_task() == "http://a//b");
}

TEST_CASE("check as another user says what that user may not read, which root would not notice") {
  constexpr const char* stranger = "1987654321";
  Scene scene;
  put_plugin(scene, "probe", "lib/probe.so");
  scene.add(task("job", "lib/probe.so", "detachable"));
  Command command = scene.command();
  command.arguments = {"check", scene.manifest_path().string()};
  CHECK(Process(command).wait().status == 0);
  Command probing = command;
  if (!run_as_stranger(probing)) return;
  command.arguments.insert(command.arguments.end(), {"--user", stranger});
  const auto refused = [&](int status, const std::string& words) {
    const ProcessEnd end = Process(command).wait();
    INFO(end.summary());
    CHECK(end.status == status);
    CHECK(has_line(end.err, {std::string("the user ") + stranger + " may not " + words}));
  };
  using std::filesystem::perms;
  const auto set = [&](const std::string& name, perms mode) {
    std::filesystem::permissions(scene.directory() / name, mode);
  };
  constexpr perms closed = perms::owner_all;
  constexpr perms open =
      perms::owner_all | perms::group_read | perms::group_exec | perms::others_read | perms::others_exec;
  set("", closed);
  refused(2, "enter \"" + scene.directory().path().string() + '"');
  set("", open);
  set("manifest.json", closed);
  refused(2, "read it");
  set("manifest.json", open);
  set("lib", closed);
  refused(3, "enter \"" + (scene.directory() / "lib").string() + '"');
  set("lib", open);
  set("lib/probe.so", closed);
  refused(3, "read it");
  set("lib/probe.so", open);
  CHECK(Process(command).wait().status == 0);

  command.arguments.back() = "no-such-user";
  const ProcessEnd unknown = Process(command).wait();
  CHECK(unknown.status == 2);
  CHECK(has_line(unknown.err, {R"(--user: there is no user "no-such-user": give the name or number of one)"}));
  command.arguments.back() = "root";
  REQUIRE(run_as_stranger(command));
  const ProcessEnd powerless = Process(command).wait();
  CHECK(powerless.status == 2);
  CHECK(has_line(powerless.err, {R"(--user: can't become the user "root": Operation not permitted; only root can)"}));
}
