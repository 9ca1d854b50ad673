// The same task behaves in the same way in each language, in the host's process and in a process of its own: the table
// task type × outcome, configs, and the stop.
#include <csignal>
#include <string>

#include "languages.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

Json ends_at_once(std::string_view end) { return {{"times", 1}, {"every", "1h"}, {"end", end}}; }

std::string starts_and_exits(unsigned restarts) {
  std::string story = "task_started task_exited";
  for (unsigned restart = 0; restart < restarts; ++restart) story += " task_restarting task_started task_exited";
  return story;
}

void check_exits(const Run& run, const GreeterLanguage& language, const std::string& end) {
  for (const Event& event : run.events.events()) {
    if (event.name != "task_exited") continue;
    CHECK(event.outcome == end);
    if (end == "error") CHECK(event.message == "was told to fail");
    if (end == "panic") CHECK(event.message.find("was told to panic") != std::string::npos);
  }
  INFO(run.log());
  CHECK(has_line(run.log(), {"[" + language.id + "] hello from "}));
  CHECK(run.events.count("task_ready") == run.events.count("task_started"));
}

Run run_one(const GreeterLanguage& language, const char* isolation, std::string_view type, const Json& config,
            unsigned restarts = 0) {
  Scene scene;
  scene.manifest["defaults"] = {{"isolation", isolation}};
  scene.add(greeter(language, type, config, restarts));
  Command command = scene.command();
  command.environment = {"RUST_BACKTRACE=0"};  // or Rust writes a report of its own between the log's lines
  return scene.start(command).finish();
}

}  // namespace

TEST_CASE("in every language a shutdown_on_exit task stops the host, with success if it ended well") {
  const char* const isolation = GENERATE("none", "process");
  for (const GreeterLanguage& language : greeter_languages()) {
    for (const std::string& end : language.ends()) {
      INFO(language.id << " " << end << ", isolation: " << isolation);
      const Run run = run_one(language, isolation, "shutdown_on_exit", ends_at_once(end));
      CHECK(run.status() == (end == "ok" ? 0 : 1));
      CHECK(run.stopping_reason() == "task_exit");
      CHECK(run.events.story(language.id) == starts_and_exits(0));
      check_exits(run, language, end);
    }
  }
}

TEST_CASE("in every language a mandatory task is started 1 + budget times, however it ends") {
  const char* const isolation = GENERATE("none", "process");
  for (const GreeterLanguage& language : greeter_languages()) {
    for (const std::string& end : language.ends()) {
      INFO(language.id << " " << end << ", isolation: " << isolation);
      const Run run = run_one(language, isolation, "mandatory", ends_at_once(end), 2);
      CHECK(run.status() == 1);
      CHECK(run.stopping_reason() == "budget_exhausted");
      CHECK(run.events.story(language.id) == starts_and_exits(2) + " task_gave_up");
      check_exits(run, language, end);
    }
  }
}

TEST_CASE("in every language a detachable task is started 1 + budget times unless it ends well") {
  const char* const isolation = GENERATE("none", "process");
  for (const GreeterLanguage& language : greeter_languages()) {
    for (const std::string& end : language.ends()) {
      INFO(language.id << " " << end << ", isolation: " << isolation);
      const Run run = run_one(language, isolation, "detachable", ends_at_once(end), 2);
      CHECK(run.status() == (end == "ok" ? 0 : 1));
      CHECK(run.stopping_reason() == "all_done");
      const std::string story = end == "ok" ? starts_and_exits(0) : starts_and_exits(2) + " task_gave_up";
      CHECK(run.events.story(language.id) == story + " task_discarded");
      check_exits(run, language, end);
    }
  }
}

TEST_CASE("in every language a wrong config is told before anything starts, with the host's words") {
  const char* const isolation = GENERATE("none", "process");
  struct Fault {
    Json config;
    std::string pointer;
    std::string message;
  };
  const std::vector<Fault> faults{
      {{{"evry", "1s"}}, "", "unknown key \"evry\"; did you mean \"every\"?"},
      {{{"every", 5}}, "/every", "must be a duration such as \"250ms\", \"10s\" or \"1.5h\""},
      {{{"times", -1}}, "/times", "must be a whole number, at least 0"},
      {{{"greeting", true}}, "/greeting", "must be a string"},
      {Json::array(), "", "it must be an object, {…}"}};
  for (const GreeterLanguage& language : greeter_languages()) {
    std::vector<Fault> all = faults;
    all.push_back({{{"end", "badly"}},
                   "/end",
                   language.panics ? "must be \"ok\", \"error\" or \"panic\"" : "must be \"ok\" or \"error\""});
    Scene scene;
    scene.manifest["defaults"] = {{"isolation", isolation}};
    for (std::size_t index = 0; index < all.size(); ++index) {
      Json entry = greeter(language, "detachable", all[index].config);
      entry["name"] = std::to_string(index);
      scene.add(entry);
    }
    const Run run = scene.run();
    for (std::size_t index = 0; index < all.size(); ++index) {
      INFO(language.id << " " << all[index].config.dump() << ", isolation: " << isolation);
      const std::string pointer = "/tasks/" + std::to_string(index) + "/config" + all[index].pointer + " (line";
      CHECK(has_line(run.log(), {pointer, all[index].message}));
    }
    CHECK(run.status() == 2);
    CHECK(run.events.count("task_started") == 0);
  }
}

TEST_CASE("in every language the config is read: greetings come as often, and say what they should") {
  const char* const isolation = GENERATE("none", "process");
  Scene scene;
  scene.manifest["defaults"] = {{"isolation", isolation}};
  for (const GreeterLanguage& language : greeter_languages()) {
    const Json config{{"greeting", "grüß Gott, " + language.id}, {"every", "20ms"}, {"times", 3}};
    scene.add(greeter(language, "detachable", config));
  }
  const Run run = scene.run();
  CHECK(run.status() == 0);
  for (const GreeterLanguage& language : greeter_languages()) {
    INFO(language.id << ", isolation: " << isolation);
    CHECK(lines_with(run.log(), {"[" + language.id + "] grüß Gott, " + language.id}).size() == 3);
    const Event exited = run.first("task_exited", language.id);
    CHECK(exited.outcome == "ok");
    CHECK(exited.uptime_ms >= 40);
  }
}

TEST_CASE("in every language a task that sleeps for an hour stops when it is asked to") {
  const char* const isolation = GENERATE("none", "process");
  Scene scene;
  scene.manifest["defaults"] = {{"isolation", isolation}};
  for (const GreeterLanguage& language : greeter_languages()) {
    scene.add(greeter(language, "mandatory", {{"every", "1h"}}));
  }
  scene.manifest["shutdown_timeout"] = "60s";
  Running running = scene.start();
  for (const GreeterLanguage& language : greeter_languages()) running.wait_for("task_ready", language.id);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  for (const GreeterLanguage& language : greeter_languages()) {
    INFO(language.id << ", isolation: " << isolation);
    CHECK(run.events.story(language.id) == "task_started task_stopping task_stopped");
    CHECK_FALSE(has_line(run.log(), {"warning", "[" + language.id + "]"}));  // dropped at its stop_timeout
  }
}

TEST_CASE("in every language two shards restart a task again and again, and leave no descriptor behind") {
  struct Row {
    const char* isolation;
    unsigned restarts;
    rlim_t descriptors;
  };
  // A process for each execution takes its time.
  const auto [isolation, restarts, descriptors] = GENERATE(Row{"none", 5'000, 128}, Row{"process", 20, 64});
  for (const GreeterLanguage& language : greeter_languages()) {
    INFO(language.id << ", isolation: " << isolation);
    Scene scene;
    scene.manifest["shards"] = 2;
    scene.manifest["defaults"] = {{"isolation", isolation}};
    for (const char* name : {"one", "two"}) {
      Json entry = greeter(language, "detachable", ends_at_once(language.ends().back()), restarts);
      entry["name"] = name;
      scene.add(entry);
    }
    Command command = scene.command();
    command.limits = {{RLIMIT_NOFILE, descriptors}};
    const Run run = scene.start(command).finish();
    CHECK(run.status() == 1);
    for (const char* name : {"one", "two"}) {
      CHECK(run.events.count("task_started", name) == 1 + restarts);
      CHECK(run.events.count("task_gave_up", name) == 1);
    }
  }
}
