// Where plugins are looked up; autoload, and directories without a manifest. PRODUCT 4 and 5.
#include <csignal>
#include <filesystem>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// Puts a copy of a bundled plugin into the scene's directory.
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

TEST_CASE("a directory to be autoloaded that is not there is a wrong manifest") {
  Scene scene;
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  scene.manifest["plugin_dirs"].erase(1);  // the bad plugins of the tests
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

TEST_CASE("autoload is enough: a manifest needs no tasks, and --plugin-dir takes part") {
  Scene scene;
  put_plugin(scene, "heartbeat", "more/heartbeat.so");
  scene.directory().write("lib/README", "");
  scene.text = R"({"plugin_dirs": ["lib"], "autoload": {"type": "detachable", "restarts": 1}})";
  Running running = scene.start({"--plugin-dir", (scene.directory() / "more").string()});
  running.wait_for("task_started", "heartbeat");
  stop_well(running);
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
