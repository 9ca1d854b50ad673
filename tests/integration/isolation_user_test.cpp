// Isolated tasks that run as another user: what they are, what they may not do, and users that are wrong. Only root can
// have such tasks.
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "isolation_scene.hpp"

using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

struct Stranger {
  std::string name;
  std::string home;
  uid_t user = 0;
  gid_t group = 0;
  std::set<gid_t> groups;

  std::string number() const { return std::to_string(user); }
};

Stranger stranger_of(const passwd& entry) {
  Stranger stranger{entry.pw_name, entry.pw_dir, entry.pw_uid, entry.pw_gid, {}};
  std::vector<gid_t> groups(1000);
  int count = static_cast<int>(groups.size());
  ::getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count);
  stranger.groups.insert(groups.begin(), groups.begin() + std::max(count, 0));
  return stranger;
}

// As the user, without other groups.
Command as_stranger(const Stranger& stranger, Command command) {
  command.arguments.insert(command.arguments.begin(),
                           {"--reuid", stranger.number(), "--clear-groups", command.program.string()});
  command.program = "/usr/bin/setpriv";
  return command;
}

// A user with other groups beside its own, if this machine has one; else nobody. None, with a message, if the tests
// can't have tasks of another user.
std::optional<Stranger> find_stranger() {
  if (::geteuid() != 0) {
    WARN("skipped: only root can run tasks as another user");
    return std::nullopt;
  }
  std::optional<Stranger> found;
  ::setpwent();
  while (const passwd* const entry = ::getpwent()) {
    const Stranger stranger = stranger_of(*entry);
    const bool has_more = stranger.user != 0 && stranger.groups.size() > 1;
    if (has_more || (!found && stranger.name == "nobody")) found = stranger;
    if (has_more) break;
  }
  ::endpwent();
  Command command;
  command.program = "test";
  command.arguments = {"-r", plugin_path("exec").string()};
  if (found && Process(as_stranger(*found, command)).wait().status == 0) return found;
  WARN("skipped: there is no user nobody, or it may not read " << plugin_path("exec"));
  return std::nullopt;
}

// Of the user, if it has a name.
Json entry_of(std::string_view user, std::string_view name, std::string_view plugin, Json config = nullptr) {
  Json entry = task(name, plugin, "detachable", std::move(config));
  entry["isolation"] = "process";
  if (!user.empty()) entry["user"] = user;
  return entry;
}

Json program_of(const Stranger& stranger, const std::vector<std::string>& words) {
  return entry_of(stranger.name, "job", "exec", {{"argv", words}, {"directory", "/"}});
}

ProcessEnd check_users(const Scene& scene) {
  scene.directory().write("manifest.json", scene.manifest.dump(2));
  Command command;
  command.program = program_path();
  command.arguments = {"check", scene.manifest_path().string()};
  return Process(command).wait();
}

// Of a line of /proc/self/status that the job has printed: "Uid" → {"65534", "65534", "65534", "65534"}.
std::multiset<std::string> words_of_status(const Run& run, const std::string& field) {
  const std::vector<std::string> lines = lines_with(run.log(), {"[job] " + field + ":"});
  if (lines.empty()) return {};
  std::istringstream stream(lines[0].substr(lines[0].find(':', lines[0].find("[job]")) + 1));
  std::multiset<std::string> words;
  for (std::string word; stream >> word;) words.insert(word);
  return words;
}

// With those that nobody has reaped.
bool has_processes(uid_t user) {
  for (const ProcessFacts& one : all_processes()) {
    struct stat status {};
    if (::stat(("/proc/" + std::to_string(one.id)).c_str(), &status) == 0 && status.st_uid == user) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a worker is the task's user in all respects, with its groups, its home and nothing of root's") {
  const std::optional<Stranger> stranger = find_stranger();
  if (!stranger) return;
  Scene scene;
  scene.add(program_of(*stranger, {"sh", "-c",
                                   "cat /proc/self/status; echo \"it is $USER, $LOGNAME, $HOME\"; "
                                   "echo \"the host said $TASKHOST_TEST_WORD\"; echo written >/dev/stdout; exit 3"}));
  scene.manifest["tasks"][0]["restarts"] = 1;
  Command command = scene.command();
  // The host has groups of its own, which are not for its tasks.
  command.arguments.insert(command.arguments.begin(), {"--groups", "0,54321", command.program.string()});
  command.program = "/usr/bin/setpriv";
  const std::vector<std::string> more = {"USER=root", "LOGNAME=root", "HOME=/root", "TASKHOST_TEST_WORD=hello"};
  command.environment.insert(command.environment.end(), more.begin(), more.end());
  const Run run = scene.start(command).finish();
  INFO(run.log());
  const std::string user = stranger->number();
  const std::string group = std::to_string(stranger->group);
  std::multiset<std::string> groups;
  for (const gid_t one : stranger->groups) groups.insert(std::to_string(one));
  CHECK(words_of_status(run, "Uid") == std::multiset{user, user, user, user});
  CHECK(words_of_status(run, "Gid") == std::multiset{group, group, group, group});
  CHECK(words_of_status(run, "Groups") == groups);
  for (const char* const none : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
    CHECK(words_of_status(run, none) == std::multiset<std::string>{"0000000000000000"});
  }
  CHECK(words_of_status(run, "NoNewPrivs") == std::multiset<std::string>{"1"});
  const std::string words = "it is " + stranger->name + ", " + stranger->name + ", " + stranger->home;
  CHECK(lines_with(run.log(), {words}).size() == 2);  // the restarted one, too
  CHECK(has_line(run.log(), {"[job] the host said hello"}));
  CHECK(has_line(run.log(), {"[job] written"}));
  CHECK(run.first("task_exited").message.find("status 3") != std::string::npos);
}

TEST_CASE("the worker itself is the user's, not only what it starts, and its neighbours are still root's") {
  const std::optional<Stranger> stranger = find_stranger();
  if (!stranger) return;
  Scene scene;
  scene.manifest["defaults"] = {{"user", stranger->name}, {"isolation", "process"}};
  scene.add(task("one", "probe", "mandatory", idle_probe()));
  scene.add(task("other", "probe", "mandatory", idle_probe()));
  scene.manifest["tasks"][1]["user"] = "root";
  scene.add(task("in process", "probe", "mandatory", idle_probe()));
  scene.manifest["tasks"][2]["isolation"] = "none";
  Running running = scene.start();
  running.wait_for("task_started", {}, 3);
  const auto owners = [](const std::vector<ProcessFacts>& processes) {
    std::multiset<std::string> found;
    for (const ProcessFacts& one : processes) {
      const std::string status = text_of("/proc/" + std::to_string(one.id) + "/status");
      for (const std::string& line : lines_with(status, {"Uid:"})) found.insert(line);
    }
    return found;
  };
  const std::string user = stranger->number();
  const std::multiset<std::string> wanted = {"Uid:\t0\t0\t0\t0",
                                             "Uid:\t" + user + "\t" + user + "\t" + user + "\t" + user};
  const pid_t host = running.process().id();
  CHECK(eventually([&] { return owners(children_of(host)) == wanted; }, 10s));
  CHECK(lines_with(text_of("/proc/" + std::to_string(host) + "/status"), {"Uid:\t0\t0\t0\t0"}).size() == 1);
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a setuid program gives a task of another user no rights") {
  const std::optional<Stranger> stranger = find_stranger();
  if (!stranger) return;
  Scene scene;
  std::filesystem::permissions(scene.directory().path(), std::filesystem::perms::all);
  const std::filesystem::path program = scene.directory() / "id";
  std::filesystem::copy_file("/usr/bin/id", program);
  std::filesystem::permissions(program, std::filesystem::perms{04755});
  Command command;
  command.program = program;
  command.arguments = {"-u"};
  if (Process(as_stranger(*stranger, command)).wait().out != "0\n") {
    WARN("skipped: no setuid program works in the tests' directory");
    return;
  }
  scene.add(program_of(*stranger, {program.string(), "-u"}));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"[job] " + stranger->number()}));
}

TEST_CASE("a library that the task's user may not read is a fault that names both, and is none for root") {
  const std::optional<Stranger> stranger = find_stranger();
  if (!stranger) return;
  const bool is_in_closed_directory = GENERATE(false, true);
  Scene scene;
  std::filesystem::permissions(scene.directory().path(), std::filesystem::perms::all);
  const std::filesystem::path directory = scene.directory() / "libraries";
  const std::filesystem::path library = directory / "own.so";
  std::filesystem::create_directory(directory);
  std::filesystem::copy_file(plugin_path("probe"), library);
  std::filesystem::permissions(directory, std::filesystem::perms{is_in_closed_directory ? 0700U : 0755U});
  std::filesystem::permissions(library, std::filesystem::perms{is_in_closed_directory ? 0755U : 0600U});
  scene.add(entry_of("", "roots", library.string(), idle_probe()));
  scene.manifest["tasks"][0]["task"] = "probe";
  ProcessEnd end = check_users(scene);
  INFO(end.summary());
  CHECK(end.status == 0);
  scene.add(entry_of(stranger->name, "strangers", library.string(), idle_probe()));
  scene.manifest["tasks"][1]["task"] = "probe";
  end = check_users(scene);
  INFO(end.summary());
  CHECK(end.status == 3);
  CHECK(has_line(end.err, {" error ", library.string(), stranger->name, "Permission denied"}));
  CHECK(lines_with(end.err, {library.string()}).size() == 1);
  const Run run = scene.run();
  CHECK(run.status() == 3);
  CHECK(run.events.count("task_started") == 0);
  std::filesystem::permissions(library, std::filesystem::perms{0755});
  std::filesystem::permissions(directory, std::filesystem::perms{0755});
  CHECK(check_users(scene).status == 0);
}

TEST_CASE("a user that this machine does not have is a fault of the manifest, wherever it is named") {
  if (::geteuid() != 0) {
    WARN("skipped: only root can run tasks as another user");
    return;
  }
  const char* const fault = "there is no user \"no_such_user\" on this machine";
  Scene scene;
  scene.add(entry_of("no_such_user", "one", "probe", idle_probe()));
  ProcessEnd end = check_users(scene);
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"/tasks/0/user", fault}));
  const Run run = scene.run();
  CHECK(run.status() == 2);
  CHECK(run.events.count("task_started") == 0);
  scene.manifest["tasks"][0].erase("user");
  scene.manifest["defaults"] = {{"user", "no_such_user"}};
  end = check_users(scene);
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"user", fault}));
  scene.manifest["tasks"][0]["isolation"] = "none";  // such a task has no user
  CHECK(check_users(scene).status == 0);
}

TEST_CASE("only a host of root's may have tasks of another user; for another it is a fault of the manifest") {
  Scene scene;
  std::filesystem::permissions(scene.directory().path(), std::filesystem::perms::all);
  scene.add(entry_of("root", "one", "probe", idle_probe()));
  scene.add(entry_of("nobody", "other", "probe", idle_probe()));
  Command command = scene.command();
  if (::geteuid() == 0 && !run_as_stranger(command)) return;
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 2);
  for (const char* const pointer : {"/tasks/0/user", "/tasks/1/user"}) {
    CHECK(has_line(end.err, {pointer, "only a host that runs as root can run tasks as another user; remove it"}));
  }
}

TEST_CASE("a limit of processes needs a user that is not root") {
  if (::geteuid() != 0) {
    WARN("skipped: for root alone there is no such limit");
    return;
  }
  Scene scene;
  const char* const user = GENERATE("", "root");
  scene.add(entry_of(user, "one", "probe", idle_probe()));
  scene.manifest["tasks"][0]["limits"] = {{"processes", 40}};
  const ProcessEnd end = check_users(scene);
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"/tasks/0/limits/processes", "root"}));
}

TEST_CASE("a fork bomb starts again once what was killed of it is gone, and a stop does not wait for that") {
  const std::optional<Stranger> stranger = find_stranger();
  if (!stranger) return;
  eventually([&] { return !has_processes(stranger->user); }, 10s);  // of tests before
  Scene scene;
  Json entry = entry_of(stranger->name, "victim", "dies", way("fork bomb"));
  entry["task"] = "dies";
  entry["restarts"] = 2;
  entry["limits"] = {{"processes", 40}};
  entry["watchdog"] = {{"interval", "300ms"}, {"action", "restart"}};
  entry["stop_timeout"] = "100ms";
  scene.add(entry);
  scene.add(bystander("mandatory"));
  Running running = scene.start();
  running.wait_for("task_exited", "victim", 2);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  for (const Event& event : run.events.events()) {
    if (event.name != "task_exited") continue;
    INFO(event.message);
    CHECK(event.message.find("no heartbeat for ") == 0);
  }
  check_bystander(run);
}

TEST_CASE("what no process may have of descriptors is a fault, for root, too") {
  std::uint64_t most = 0;
  std::ifstream("/proc/sys/fs/nr_open") >> most;
  REQUIRE(most > 0);
  Scene scene;
  Json entry = task("one", "probe", "mandatory", idle_probe());
  entry["isolation"] = "process";
  entry["limits"] = {{"open_files", most + 1}};
  scene.add(entry);
  const ProcessEnd end = check_manifest(scene);
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"/tasks/0/limits/open_files", "lower this, or raise that"}));
}

TEST_CASE("a task of another user can't kill its host, which can kill it") {
  const std::optional<Stranger> stranger = find_stranger();
  if (!stranger) return;
  const char* const how = GENERATE("spin", "sleep without signals", "sigstop", "only a child");
  INFO(how);
  Scene scene;
  Json entry = entry_of(stranger->name, "victim", "dies", way(how));
  entry["task"] = "dies";
  entry["stop_timeout"] = "200ms";
  scene.add(entry);
  scene.add(entry_of(stranger->name, "murderer", "dies", {{"how", "kill the host's group"}, {"end", "error"}}));
  scene.manifest["tasks"][1]["task"] = "dies";
  scene.add(bystander("mandatory"));
  Command command = scene.command();
  command.arguments.insert(command.arguments.begin(), command.program.string());
  command.program = "setsid";
  const bool is_killed = GENERATE(false, true);
  Running running = scene.start(command);
  running.wait_for("task_exited", "murderer");
  running.wait_for("task_started", "victim");
  const pid_t host = running.process().id();
  pid_t worker = 0;
  const auto is_alone = [&] {
    const std::vector<ProcessFacts> workers = children_of(host);
    worker = workers.size() == 1 ? workers[0].id : 0;
    return worker != 0;
  };
  REQUIRE(eventually(is_alone));
  const auto are_all_gone = [worker] {
    for (const ProcessFacts& one : all_processes()) {
      if (one.group == worker && is_alive(one.id)) return false;
    }
    return true;
  };
  if (is_killed) {
    running.send(SIGKILL);
    CHECK(eventually(are_all_gone, 5s));
    return;
  }
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("victim") == "task_started task_stopping task_stopped");
  CHECK(run.first("task_exited", "murderer").message == "it survived");
  CHECK(eventually(are_all_gone, 5s));
  check_bystander(run);
}
