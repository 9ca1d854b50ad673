// Every test plugin there is, each of its tasks in a process of its own: none harms anybody else.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "isolation_scene.hpp"

using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

struct Isolated {
  std::string library;  // without ".so"
  std::string factory;  // empty: its only one

  std::string name() const { return factory.empty() ? library : library + "/" + factory; }
};

// The host is theirs to kill as long as it has the same user: no isolation can change that.
bool kills_its_host(const Isolated& one) {
  return one.library == "intruders" &&
         (one.factory == "kills_its_parent" || one.factory == "stops_its_parent_and_hangs");
}

std::vector<std::string> all_libraries() {
  std::vector<std::string> libraries;
  for (const auto& entry : std::filesystem::directory_iterator(test_plugin_directory())) {
    const bool takes_a_minute = entry.path().stem() == "check_hangs";  // isolation_fault_test has that
    if (entry.path().extension() == ".so" && !takes_a_minute) libraries.push_back(entry.path().stem());
  }
  std::sort(libraries.begin(), libraries.end());
  return libraries;
}

void add_isolated(Scene& scene, const Isolated& one) {
  Json entry = task(one.name(), one.library, "detachable", nullptr, 1);
  if (!one.factory.empty()) entry["task"] = one.factory;
  if (kills_its_host(one)) entry["user"] = "nobody";
  entry["isolation"] = "process";
  entry["stop_timeout"] = "1s";
  // Some take all that there is.
  entry["limits"] = {{"memory", "512MiB"}, {"core_dump", false}};
  scene.add(entry);
}

ProcessEnd check_isolated(const std::vector<Isolated>& all) {
  Scene scene;
  for (const Isolated& one : all) add_isolated(scene, one);
  Command command = without_core_dumps(scene.command());
  command.arguments = {"check", scene.manifest_path().string()};
  command.working_directory = scene.directory().path();
  return Process(command).wait();
}

// Whether a host takes it, and its config. If not, the check says so and survives.
bool is_taken(const Isolated& one, const ProcessEnd& end) {
  INFO(end.summary());
  CHECK((end.status == 0 || end.status == 2 || end.status == 3));
  if (end.status == 2) CHECK(has_line(end.err, {"/tasks/0"}));
  if (end.status == 3) CHECK(has_line(end.err, {"/" + one.library + ".so"}));
  CHECK_FALSE(has_line(end.err, {"internal"}));
  return end.status == 0;
}

// The factories of a library that has several, as the words say that ask for one of them.
std::vector<Isolated> factories_of(const std::string& library, const ProcessEnd& check) {
  std::vector<Isolated> all;
  const std::vector<std::string> lines = lines_with(check.err, {" factories; say which with \"task\": "});
  if (lines.empty()) return all;
  const std::string words = lines[0].substr(lines[0].find("\"task\": ") + 8);
  const std::regex quoted("\"([^\"]*)\"");
  for (std::sregex_iterator found(words.begin(), words.end(), quoted), end; found != end; ++found) {
    all.push_back({library, (*found)[1]});
  }
  CHECK(has_line(lines[0], {" has " + std::to_string(all.size()) + " factories"}));
  if (::geteuid() != 0) all.erase(std::remove_if(all.begin(), all.end(), kills_its_host), all.end());
  return all;
}

std::vector<Isolated> all_that_run() {
  std::vector<Isolated> all;
  for (const std::string& library : all_libraries()) {
    INFO(library);
    const Isolated only{library, ""};
    const ProcessEnd check = check_isolated({only});
    const std::vector<Isolated> its = factories_of(library, check);
    if (its.empty() && is_taken(only, check)) all.push_back(only);
    const bool are_all_taken = !its.empty() && check_isolated(its).status == 0;
    for (const Isolated& one : its) {
      if (are_all_taken || is_taken(one, check_isolated({one}))) all.push_back(one);
    }
  }
  return all;
}

void run_together(const std::vector<Isolated>& some) {
  Scene scene;
  for (const Isolated& one : some) add_isolated(scene, one);
  scene.add(bystander("mandatory"));
  Command command = without_core_dumps(scene.command({"--log-level", "error"}));
  command.working_directory = scene.directory().path();
  Running running = scene.start(command);
  for (const Isolated& one : some) running.wait_for("task_started", one.name());
  std::this_thread::sleep_for(2s);  // what most of them do takes less
  const std::vector<ProcessFacts> workers = children_of(running.process().id());
  running.send(SIGTERM);
  const Run run = running.finish();
  INFO(run.log());
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_abandoned") == 0);
  check_bystander(run);
  for (const ProcessFacts& worker : workers) CHECK(eventually([&] { return !is_alive(worker.id); }, 5s));
}

}  // namespace

TEST_CASE("no plugin of the collection of bad ones harms anybody if it is isolated") {
  constexpr std::size_t at_once = 60;
  const std::vector<Isolated> all = all_that_run();
  CHECK(all.size() > 300);
  for (std::size_t first = 0; first < all.size(); first += at_once) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(first);
    const std::vector<Isolated> some(begin, begin + static_cast<std::ptrdiff_t>(std::min(at_once, all.size() - first)));
    INFO("from " << some.front().name() << " to " << some.back().name());
    run_together(some);
  }
}
