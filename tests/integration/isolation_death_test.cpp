// Tasks in processes of their own that die, in all ways: how that is told, and that nobody else notices.
#include <sys/resource.h>

#include <csignal>
#include <string>
#include <vector>

#include "isolation_scene.hpp"

using namespace taskhost::test;

namespace {

Run run_victim(const Json& entry, const std::string& level = "info") {
  Scene scene;
  scene.add(entry);
  scene.add(bystander());
  return scene.start(without_core_dumps(scene.command({"--log-level", level}))).finish();
}

bool starts_with(const std::string& text, const std::string& beginning) { return text.rfind(beginning, 0) == 0; }

}  // namespace

TEST_CASE("however an isolated task dies, it is an exit by crash that says how, within its budget") {
  struct Row {
    const char* how;
    const char* message;
  };
  const std::vector<Row> rows = {
      {"segv", "killed by SIGSEGV; the last line on stderr: "},
      {"bus", "killed by SIGBUS; the last line on stderr: "},
      {"ill", "killed by SIGILL; the last line on stderr: "},
      {"trap", "killed by SIGILL; the last line on stderr: "},
      {"abort", "killed by SIGABRT; the last line on stderr: "},
      {"terminate", "killed by SIGABRT; the last line on stderr: "},
      {"throw in a thread", "killed by SIGABRT; the last line on stderr: "},
      {"stack", "killed by SIGSEGV; the last line on stderr: "},
      {"exit 0", "ended the process with status 0"},
      {"exit 3", "ended the process with status 3"},
      {"_exit 0", "ended the process with status 0"},
      {"_exit 3", "ended the process with status 3"},
      {"quick_exit 0", "ended the process with status 0"},
      {"quick_exit 3", "ended the process with status 3"},
      {"sigterm", "killed by SIGTERM"},
      {"terminate group", "killed by SIGTERM"},
      {"sigkill", "killed by SIGKILL from outside, perhaps for lack of memory"},
      {"kill group", "killed by SIGKILL from outside, perhaps for lack of memory"},
      {"child", "ended the process with status 3; the last line on stderr: the child is "},
      {"child in a session", "ended the process with status 3; the last line on stderr: the child is "},
      {"child in a session that writes", "ended the process with status 3; the last line on stderr: the child is "},
  };
  for (const Row& row : rows) {
    INFO(row.how);
    const Run run = run_victim(victim(way(row.how), 1));
    CHECK(run.events.story("victim") ==
          "task_started task_exited task_restarting task_started task_exited task_gave_up");
    const Event exit = run.first("task_exited", "victim");
    CHECK(exit.outcome == "crashed");
    INFO(exit.message);
    CHECK(starts_with(exit.message, row.message));
    CHECK(run.status() == 1);
    check_bystander(run);
    end_its_children(run);
  }
}

TEST_CASE("an isolated task may die in any of its functions, polled or blocking, and in threads of its own") {
  const char* const plugin = GENERATE("dies", "dies_blocking");
  for (const char* const where : {"start", "poll", "thread"}) {
    for (const auto& [how, message] :
         {std::pair{"segv", "killed by SIGSEGV; "}, std::pair{"abort", "killed by SIGABRT; "},
          std::pair{"exit 0", "ended the process with status 0"},
          std::pair{"_exit 3", "ended the process with status 3"}}) {
      INFO(plugin << " " << where << " " << how);
      const Run run = run_victim(victim(way(how, where), 0, plugin));
      const Event exit = run.first("task_exited", "victim");
      CHECK(exit.outcome == "crashed");
      INFO(exit.message);
      CHECK(starts_with(exit.message, message));
      check_bystander(run);
    }
  }
}

TEST_CASE("an isolated task that dies in its drop has crashed, whatever it has returned before") {
  for (const auto& [how, message] : {std::pair{"segv", "killed by SIGSEGV"}, std::pair{"exit 0", "ended the process"},
                                     std::pair{"_exit 0", "ended the process with status 0"}}) {
    INFO(how);
    Json config = way(how, "drop");
    config["end"] = "ok";
    const Run run = run_victim(victim(config));
    const Event exit = run.first("task_exited", "victim");
    CHECK(exit.outcome == "crashed");
    INFO(exit.message);
    CHECK(starts_with(exit.message, message));
    check_bystander(run);
  }
}

TEST_CASE("the message of a crash has the last line that stderr had, and the log has all of them") {
  const Run run = run_victim(victim(way("last words")));
  CHECK(has_line(run.log(), {"[victim] good"}));
  CHECK(has_line(run.log(), {"[victim] the disk is gone"}));
  CHECK(has_line(run.log(), {"[victim] ", "SIGABRT", "in the poll of task 'victim', execution 1"}));
  CHECK(run.first("task_exited").message.find("; the last line on stderr: ") != std::string::npos);
}

TEST_CASE("an exception out of an isolated task's function is a panic, as in process") {
  for (const char* const where : {"start", "poll"}) {
    INFO(where);
    const Run run = run_victim(victim(way("throw", where)));
    CHECK(run.first("task_exited").outcome == "panic");
    CHECK(run.first("task_exited").message == "thrown");
    check_bystander(run);
  }
}

TEST_CASE("an isolated task that takes all memory or all descriptors takes only those of its process") {
  for (const char* const plugin : {"dies", "dies_blocking"}) {
    for (const char* const how : {"memory", "small memory"}) {
      INFO(plugin << " " << how);
      const Run run = run_victim(victim(way(how), 0, plugin));
      const Event exit = run.first("task_exited", "victim");
      INFO(exit.message);
      // There may be no memory for the words of a panic either.
      const bool is_told = exit.outcome == "panic" ? exit.message.empty() || exit.message == "std::bad_alloc"
                                                   : exit.message.find("memory") != std::string::npos;
      CHECK(is_told);
      check_bystander(run);
    }
    Json config = way("descriptors");
    config["end"] = "error";
    const Run run = run_victim(victim(config, 0, plugin));
    CHECK(run.first("task_exited", "victim").message == "it survived");
    check_bystander(run);
  }
}

TEST_CASE("an isolated task that closes or fills descriptors that are not its own has crashed, and harms nobody") {
  for (const char* const plugin : {"dies", "dies_blocking"}) {
    for (const auto& [how, message] :
         {std::pair{"close others", "rule 5.1"}, std::pair{"close all", "ended the process with status 1"},
          std::pair{"garbage", "rule 5.1"}}) {
      INFO(plugin << " " << how);
      Json config = way(how);
      config["end"] = "error";
      const Run run = run_victim(victim(config, 1, plugin));
      const Event exit = run.first("task_exited", "victim");
      INFO(exit.message.substr(0, 300));
      CHECK(exit.outcome == "crashed");
      CHECK(exit.message.find(message) != std::string::npos);
      CHECK(run.events.count("task_exited", "victim") == 2);
      check_bystander(run);
    }
  }
}

TEST_CASE("exit rules match a crash, and its message") {
  Json entry = victim(way("exit 3"), 5);
  entry["exit_rules"] = {{{"match", {{"outcome", "error"}}}, {"action", "discard"}},
                         {{"match", {{"outcome", "crashed"}, {"message", "with status 4"}}}, {"action", "discard"}},
                         {{"match", {{"outcome", "crashed"}, {"message", "with status 3"}}}, {"action", "fail_host"}}};
  const Run run = run_victim(entry);
  CHECK(run.status() == 1);
  CHECK(run.events.story("victim") == "task_started task_exited");
  CHECK(run.stopping_task() == "victim");
  check_bystander(run);
}
