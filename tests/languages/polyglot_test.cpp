// All languages at once, in one process.
#include <csignal>
#include <string>

#include "languages.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

TEST_CASE("tasks in every language run in one process, on two shards, for a while under load, and stop with success") {
  constexpr int tasks_each = 20;
  Scene scene;
  scene.manifest["shards"] = 2;
  scene.add(task("end", "probe", "shutdown_on_exit", probe_that_ends("ok", "3s")));
  for (const GreeterLanguage& language : greeter_languages()) {
    for (int number = 0; number < tasks_each; ++number) {
      // half of them tick, half of them end repeatedly, in all possible ways
      Json config{{"every", std::to_string(1 + number % 10) + "ms"}};
      if (number % 2 == 1) {
        config["times"] = 5;
        config["end"] = language.ends()[static_cast<std::size_t>(number / 2) % language.ends().size()];
      }
      Json entry = greeter(language, "mandatory", config, 1'000'000);
      entry["name"] = language.id + std::to_string(number);
      scene.add(entry);
    }
  }
  const Run run = scene.run({"--log-level", "warning"});
  CHECK(run.status() == 0);
  CHECK(run.stopping_task() == "end");
  for (const GreeterLanguage& language : greeter_languages()) {
    for (int number = 0; number < tasks_each; ++number) {
      const std::string name = language.id + std::to_string(number);
      INFO(name);
      CHECK(run.events.count("task_ready", name) > 0);
      if (number % 2 == 0) {
        CHECK(run.events.story(name) == "task_started task_stopping task_stopped");
      } else {
        CHECK(run.events.count("task_restarting", name) > 0);
      }
    }
  }
}

TEST_CASE("polyglot.json has a task in each language, and Ctrl-C stops it with success") {
  std::ifstream file(TASKHOST_TEST_POLYGLOT);
  Json whole = Json::parse(file, nullptr, true, true);
  Scene scene;
  scene.manifest.erase("plugin_dirs");
  scene.add(whole["tasks"][0]);  // ctrl_c
  for (const GreeterLanguage& language : greeter_languages()) {
    INFO(language.id);
    const auto is_its = [&](const Json& entry) { return entry["plugin"] == "greeter_" + language.id; };
    const auto found = std::find_if(whole["tasks"].begin(), whole["tasks"].end(), is_its);
    REQUIRE(found != whole["tasks"].end());
    scene.add(*found);
  }
  const std::vector<std::string> options{"--plugin-dir", plugin_directory().string(), "--plugin-dir",
                                         TASKHOST_TEST_GREETERS};
  Running running = scene.start(options);
  for (const GreeterLanguage& language : greeter_languages()) running.wait_for("task_ready", language.id);
  running.wait_for("task_ready", "ctrl_c");
  running.send(SIGINT);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.stopping_task() == "ctrl_c");
}
