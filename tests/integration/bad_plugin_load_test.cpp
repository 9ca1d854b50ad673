// Libraries that load, but whose entry or descriptor breaks a rule: status 3, file and rule named, nothing started.
#include <string>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

struct BadPlugin {
  const char* name;
  const char* words;  // quoted in the message
};

const std::vector<BadPlugin> bad_plugins{{"no_entry", "rule 1.1"},
                                         {"entry_v0", "rule 1.1"},
                                         {"entry_v2", "rule 1.1"},
                                         {"entry_null", "rule 1.2"},
                                         {"entry_throws", "rule 1.3"},
                                         {"entry_throws_int", "rule 1.3"},
                                         {"entry_exits", "rule 1.3"},
                                         {"unresolved", "taskhost_test_function_that_nobody_has"},
                                         {"requires_newer_minor", "rule 2.2"},
                                         {"size_zero", "rule 2.1"},
                                         {"size_short", "rule 2.1"},
                                         {"size_huge", "rule 2.1"},
                                         {"size_above_limit", "rule 2.1"},
                                         {"name_null", "rule 2.3"},
                                         {"name_empty", "rule 2.3"},
                                         {"name_not_utf8", "rule 2.3"},
                                         {"name_overlong_utf8", "rule 2.3"},
                                         {"name_endless", "rule 2.3"},
                                         {"name_too_long", "rule 2.3"},
                                         {"name_control", "rule 2.3"},
                                         {"version_too_long", "rule 2.4"},
                                         {"version_not_utf8", "rule 2.4"},
                                         {"description_too_long", "rule 2.4"},
                                         {"description_not_utf8", "rule 2.4"},
                                         {"state_huge", "rule 2.5"},
                                         {"state_above_limit", "rule 2.5"},
                                         {"align_three", "rule 2.6"},
                                         {"align_8192", "rule 2.6"},
                                         {"poll_and_run", "rule 2.7"},
                                         {"run_and_finish", "rule 2.7"},
                                         {"no_function", "rule 2.7"},
                                         {"flags_unknown", "rule 2.8"},
                                         {"reserved_used", "rule 2.8"},
                                         {"duplicate_names", "rule 2.9"},
                                         {"endless_chain", "rule 2.10"},
                                         {"long_chain", "rule 2.10"},
                                         {"second_factory", "rule 2.6"}};

std::string file_of(const BadPlugin& plugin) { return std::string(plugin.name) + ".so"; }

}  // namespace

TEST_CASE("a plugin that breaks a rule of loading is refused with its file and the rule, and nothing is started") {
  for (const BadPlugin& plugin : bad_plugins) {
    Scene scene;
    scene.add(task("good", "probe", "mandatory", probe_that_ends("error")));
    scene.add(task("bad", plugin.name, "detachable"));
    const Run run = scene.run();
    INFO(plugin.name << "\n" << run.log());
    CHECK(run.status() == 3);
    CHECK(run.events.count("task_started") == 0);
    CHECK(has_line(run.log(), {file_of(plugin), plugin.words}));
    CHECK(run.log().find('\x1b') == std::string::npos);
    CHECK(run.log().size() < 20'000);
  }
}

TEST_CASE("check refuses a plugin that breaks a rule, too") {
  for (const BadPlugin& plugin : bad_plugins) {
    Scene scene;
    scene.add(task("bad", plugin.name, "detachable"));
    scene.command();
    const ProcessEnd end = run_program({"check", scene.manifest_path().string()});
    INFO(plugin.name << "\n" << end.summary());
    CHECK(end.status == 3);
    CHECK(has_line(end.err, {file_of(plugin), plugin.words}));
  }
}

TEST_CASE("inspect says which rule a plugin breaks") {
  for (const BadPlugin& plugin : bad_plugins) {
    const ProcessEnd end = run_program({"inspect", test_plugin_path(plugin.name).string()});
    INFO(plugin.name << "\n" << end.summary());
    CHECK(end.status == 3);
    CHECK(end.out.empty());
    CHECK(has_line(end.err, {file_of(plugin), plugin.words}));
  }
}

TEST_CASE("of several plugins that break rules each is told in one run") {
  Scene scene;
  std::string all;
  for (const BadPlugin& plugin : bad_plugins) {
    if (std::string(plugin.name) != "entry_exits") {  // which ends the process
      scene.add(task(plugin.name, plugin.name, "detachable"));
    }
  }
  const Run run = scene.run();
  CHECK(run.status() == 3);
  for (const BadPlugin& plugin : bad_plugins) {
    if (std::string(plugin.name) != "entry_exits") {
      CHECK(has_line(run.log(), {file_of(plugin), plugin.words}));
    }
  }
}

TEST_CASE("a wrong manifest that names a plugin that breaks a rule is a wrong manifest, and both are told") {
  Scene scene;
  scene.manifest["shards"] = 0;
  scene.add(task("bad", "entry_null", "detachable"));
  const Run run = scene.run();
  CHECK(run.status() == 2);
  CHECK(has_line(run.log(), {"/shards"}));
  CHECK(has_line(run.log(), {"entry_null.so", "rule 1.2"}));
}

TEST_CASE("plugins that do what is rare, but allowed, are loaded and run") {
  struct GoodPlugin {
    const char* name;
    const char* story;
  };
  for (const GoodPlugin& plugin :
       {GoodPlugin{"minimal", "task_started task_exited task_discarded"},
        {"aligned", "task_started task_exited task_discarded"},
        {"big_state", "task_started task_exited task_discarded"},
        {"zeroed",
         "task_started task_exited task_restarting task_started task_exited task_restarting "
         "task_started task_exited task_restarting task_started task_exited task_discarded"}}) {
    Scene scene;
    scene.add(task("rare", plugin.name, "detachable", nullptr, 5));
    const Run run = scene.run();
    INFO(plugin.name << "\n" << run.log());
    CHECK(run.status() == 0);
    CHECK(run.events.story("rare") == plugin.story);
  }
}

TEST_CASE("a plugin of a later minor version that asks for no later host is loaded") {
  Scene scene;
  scene.add(task("newer", "newer_minor", "mandatory"));
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok", "5ms")));
  CHECK(scene.run().status() == 0);
}

TEST_CASE("task picks one of a plugin's factories, whose name is the default") {
  Scene scene;
  Json third = task("", "three_factories", "shutdown_on_exit");
  third.erase("name");
  third["task"] = "third";
  scene.add(third);
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.stopping_task() == "third");
}

TEST_CASE("a plugin with several factories needs to be told which, and they are listed") {
  Scene scene;
  scene.add(task("which", "three_factories", "detachable"));
  const Run run = scene.run();
  CHECK(run.status() == 2);
  CHECK(has_line(run.log(), {"/tasks/0", "first", "second", "third"}));
}

TEST_CASE("inspect lists all factories of a plugin") {
  const ProcessEnd end = run_program({"inspect", test_plugin_path("three_factories").string()});
  CHECK(end.status == 0);
  for (const char* name : {"first", "second", "third"}) {
    CHECK(has_line(end.out, {name}));
  }
}

TEST_CASE("a config that the plugin's check refuses is a fault of the manifest, told for each task") {
  struct Row {
    const char* plugin;
    const char* where;
    const char* words;
  };
  for (const auto& [plugin, where, words] :
       {Row{"check_fails", "/config/number (line ", "must be even; write 2 instead of 1"},
        Row{"check_fails_silently", "/config (line ", "the plugin refuses it, and gives no reason"},
        Row{"check_panics", "/config (line ", "check panicked"}}) {
    Scene scene;
    scene.add(task("first", plugin, "mandatory"));
    scene.add(task("second", plugin, "mandatory"));
    const Run run = scene.run();
    INFO(plugin << "\n" << run.log());
    CHECK(run.status() == 2);
    CHECK(run.events.count("task_started") == 0);
    CHECK(has_line(run.log(), {"/tasks/0", where, words}));
    CHECK(has_line(run.log(), {"/tasks/1", where, words}));
  }
}

TEST_CASE("a check that breaks a rule is the plugin's fault, not the config's") {
  for (const auto& [plugin, words] :
       {std::pair("check_nonsense", "task \"bad\": the check returned 1, which"),
        std::pair("check_throws", "the check threw an exception (rule 3.6): check threw")}) {
    Scene scene;
    scene.add(task("bad", plugin, "mandatory"));
    const Run run = scene.run();
    INFO(plugin << "\n" << run.log());
    CHECK(run.status() == 3);
    CHECK(run.events.count("task_started") == 0);
    CHECK(has_line(run.log(), {std::string(plugin) + ".so", words}));
  }
}
