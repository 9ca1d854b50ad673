// The commands that operate running hosts, as host/README.md describes them.
#include <sys/un.h>

#include <csignal>
#include <string>
#include <vector>

#include "operated_host.hpp"
#include "terminal.hpp"

using namespace taskhost::test;

namespace {

Json failing(const char* name, unsigned restarts = 0) {
  return task(name, "probe", "detachable", probe_that_ends("error"), restarts);
}
Json idle(const char* name, unsigned restarts = 3) { return task(name, "probe", "mandatory", idle_probe(), restarts); }

// A socket that a host which was killed leaves behind.
void leave_socket(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.string().copy(address.sun_path, sizeof address.sun_path - 1) == path.string().size());
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(descriptor);
}

std::vector<std::string> lines_of(const std::string& text) { return lines_with(text, {}); }

}  // namespace

TEST_CASE("ps lists hosts that run, and leaves out what others have left behind, which it does not touch") {
  Scene scene;
  scene.add(idle("feed"));
  const std::string name = "operate-test-" + std::to_string(::getpid());
  Command command = scene.command({"--name", name});
  command.environment.push_back("XDG_RUNTIME_DIR=" + scene.directory().path().string());
  Running running = scene.start(command);
  running.wait_for("task_started", "feed");
  const std::filesystem::path place =
      ::geteuid() == 0 ? std::filesystem::path("/run/taskhost") : scene.directory() / "taskhost";
  const std::filesystem::path dead = place / (name + "-dead.sock");
  leave_socket(dead);

  const auto ask = [&](const std::vector<std::string>& arguments) {
    return Process(operating(arguments, scene.directory().path())).wait();
  };
  const ProcessEnd table = ask({"ps"});
  CHECK(table.status == 0);
  CHECK(has_line(table.out, {"HOST", "PROCESS", "READY"}));
  CHECK(has_line(table.out, {name, std::to_string(running.process().id()), "running", "1 of 1"}));
  CHECK(lines_with(table.out, {name}).size() == 1);
  bool is_listed = false;
  const Json listed = Json::parse(ask({"ps", "--json"}).out);
  for (const Json& host : listed["hosts"]) {
    if (host["name"] != name) continue;
    is_listed = true;
    CHECK(host["pid"] == running.process().id());
    CHECK(host["socket"] == (place / (name + ".sock")).string());
  }
  CHECK(is_listed);
  CHECK(std::filesystem::exists(dead));
  const ProcessEnd all = ask({"ps", "--all"});
  CHECK(has_line(all.out, {"HOST", "USER", "PROCESS"}));
  CHECK(has_line(all.out, {name + "-dead", "gone"}));
  CHECK(lines_with(all.out, {name}).size() == 2);
  CHECK(has_line(ask({"complete", "hosts"}).out, {name}));
  CHECK_FALSE(has_line(ask({"complete", "hosts"}).out, {name + "-dead"}));

  CHECK(ask({"status", "--host", name}).status == 0);
  const ProcessEnd slip = ask({"status", "--host", name + "x"});
  CHECK(slip.status == 5);
  CHECK(slip.err.find("there is no host \"" + name + "x\"; did you mean \"" + name + "\"?") != std::string::npos);
  const ProcessEnd ended = ask({"shutdown", "--host", name, "--wait"});
  INFO(ended.summary());
  CHECK(ended.status == 0);
  CHECK(ended.out.starts_with(name + ": ended"));
  CHECK(running.finish().status() == 0);
  CHECK(ask({"status", "--host", name + "-dead"}).status == 5);
  std::filesystem::remove(dead);
}

TEST_CASE("of two hosts with one name none is asked before its socket is named") {
  const std::string name = "operate-twin-" + std::to_string(::getpid());
  Scene scene;
  scene.add(idle("feed"));
  const std::filesystem::path& runtime = scene.directory().path();
  const bool is_root = ::geteuid() == 0;
  const std::filesystem::path usual = is_root ? std::filesystem::path("/run/taskhost") : runtime / "taskhost";
  const std::filesystem::path other =
      is_root ? "/run/taskhost-" + name : "/tmp/taskhost-" + std::to_string(::geteuid());  // of a service
  std::filesystem::create_directory(other);
  std::filesystem::permissions(other, std::filesystem::perms::owner_all);
  const std::string first = (usual / (name + ".sock")).string();
  const std::string second = (other / (name + ".sock")).string();
  Command usual_command = scene.command({"--name", name});
  usual_command.environment.push_back("XDG_RUNTIME_DIR=" + runtime.string());
  Process by_hand(usual_command);
  REQUIRE(by_hand.wait_for_err("[feed] started"));
  Process service(scene.command({"--name", "another", "--control", second}));
  REQUIRE(service.wait_for_err("[feed] started"));

  const auto ask = [&](const std::vector<std::string>& arguments) {
    return Process(operating(arguments, runtime)).wait();
  };
  const ProcessEnd unclear = ask({"shutdown", "--host", name});
  INFO(unclear.summary());
  CHECK(unclear.status == 2);
  CHECK(has_line(unclear.err, {"2 hosts of this name are running", '"' + first + '"', '"' + second + '"'}));
  // What ps and completion show is what --host takes, whatever the hosts call themselves.
  const ProcessEnd listed = ask({"ps"});
  INFO(listed.summary());
  CHECK(has_line(listed.out, {first, std::to_string(by_hand.id())}));
  CHECK(has_line(listed.out, {second, std::to_string(service.id())}));
  CHECK_FALSE(has_line(listed.out, {"another"}));
  CHECK(lines_with(ask({"complete", "hosts"}).out, {name + ".sock"}).size() == 2);
  CHECK(ask({"shutdown", "--host", second, "--wait"}).status == 0);
  CHECK(service.wait().status == 0);
  CHECK(ask({"shutdown", "--host", name, "--wait"}).status == 0);
  CHECK(by_hand.wait().status == 0);
  if (is_root) std::filesystem::remove(other);
}

TEST_CASE("status shows the host and its tasks, those that are not well first") {
  OperatedHost host(Json::array({idle("feed"), idle("side"), failing("leaky")}));
  host.running().wait_for("task_discarded", "leaky");
  const ProcessEnd end = host.operate({"status"});
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(end.err ==
        "taskhost: 1 of 3 tasks is not well; more: taskhost explain --host " + host.socket().string() + " leaky\n");
  const std::vector<std::string> lines = lines_of(end.out);
  REQUIRE(lines.size() == 6);
  CHECK(has_line(lines[0], {"manifest: running for ", ", process ", "; 2 of 3 tasks ready"}));
  CHECK(lines[1].empty());
  CHECK(has_line(lines[2], {"TASK", "STATE", "FOR", "RESTARTS", "NEWS"}));
  CHECK(has_line(lines[3], {"leaky", "ended", "0 (0 left)", "gave up: error: "}));
  CHECK(has_line(lines[4], {"feed", "running", "0 (3 left)"}));
  CHECK(end.out.find('\033') == std::string::npos);

  CHECK(lines_with(host.operate({"status", "fe*", "side"}).out, {"running"}).size() == 3);
  const Json json = host.json_of({"status", "feed"});
  CHECK(json["host"]["name"] == "manifest");
  REQUIRE(json["tasks"].size() == 1);
  CHECK(json["tasks"][0]["state"] == "running");
  CHECK(host.stop().status() == 0);
}

TEST_CASE("status is 1 if one of the tasks that are asked for is not well, and it need not run to be well") {
  OperatedHost host(Json::array({idle("feed"), task("job", "probe", "detachable", probe_that_ends("ok"), 0),
                                 failing("leaky"), failing("again", 5)}));
  host.running().wait_for("task_discarded", "leaky");
  host.running().wait_for("task_discarded", "job");
  host.running().wait_for("task_discarded", "again");
  CHECK(host.operate({"stop", "feed"}).status == 0);
  const ProcessEnd well = host.operate({"status", "feed", "job"});
  INFO(well.summary());
  CHECK(well.status == 0);
  CHECK(well.err.empty());
  CHECK(host.operate({"status", "feed", "leaky"}).status == 1);
  const ProcessEnd all = host.operate({"status", "--json"});
  CHECK(all.status == 1);
  CHECK(Json::parse(all.out)["tasks"].size() == 4);
  CHECK(all.err.find("2 of 4 tasks are not well; more: taskhost explain ") != std::string::npos);
  CHECK(has_line(host.operate({"status", "again"}).out, {"again", "ended", "5 (0 left)", "gave up"}));
  const std::string facts = host.operate({"explain", "again"}).out;
  CHECK(has_line(facts, {"  restarts ", "5 since the host started"}));
  CHECK(has_line(facts, {"  restarts left ", "0 of 5"}));
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a stop names the tasks that come after it: those that wait for it now, and those that go on") {
  Json web = idle("web");
  web["after"] = {"db"};
  Json mail = idle("mail");
  mail["after"] = {"db"};
  OperatedHost host(Json::array({idle("db"), web, mail}));
  host.running().wait_for("task_started", "mail");
  CHECK(has_line(host.operate({"explain", "db"}).out, {"  if stopped ", "\"web\" and \"mail\" come after it"}));
  ProcessEnd end = host.operate({"stop", "db"});
  CHECK(end.out.ends_with("\ndb: still running, but will not start again before it: \"web\" and \"mail\"\n"));
  CHECK(host.operate({"restart", "--no-wait", "web"}).status == 0);
  host.running().wait_for("task_stopped", "web");
  end = host.operate({"stop", "db"});
  INFO(end.summary());
  CHECK(has_line(end.out, {"db: now waiting for it: \"web\""}));
  CHECK(has_line(end.out, {"db: still running, but will not start again before it: \"mail\""}));
  CHECK(lines_of(host.operate({"stop", "mail"}).out).size() == 1);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("stop, start and restart say what came of it") {
  OperatedHost host(Json::array({idle("feed"), idle("feed-2"), idle("side")}));
  host.running().wait_for("task_started", "side");
  ProcessEnd end = host.operate({"stop", "feed*"});
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(end.err.empty());
  REQUIRE(lines_of(end.out).size() == 2);
  CHECK(has_line(end.out, {"feed: stopped: an operator stopped it "}));
  CHECK(has_line(end.out, {"feed-2: stopped: "}));
  CHECK(host.operate({"stop", "feed"}).out.starts_with("feed: was not running: "));
  CHECK(host.operate({"start", "feed"}).out.starts_with("feed: started: it has been ready for "));
  CHECK(host.operate({"start", "feed"}).out.starts_with("feed: was running already: "));
  end = host.operate({"restart", "feed", "side"});
  CHECK(end.status == 0);
  CHECK(has_line(end.out, {"feed: restarted: it has been ready for ", "; execution 3"}));
  CHECK(has_line(end.out, {"side: restarted: it has been ready for ", "; execution 2"}));
  const Json json = host.json_of({"start", "feed-2"});
  REQUIRE(json["tasks"].size() == 1);
  CHECK(json["tasks"][0]["done"] == true);
  CHECK(json["tasks"][0]["ok"] == true);
  CHECK(json["tasks"][0]["task"]["name"] == "feed-2");
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a task that does not do what is wanted is status 1, with what to do") {
  OperatedHost host(
      Json::array({idle("feed"), failing("leaky"), task("deaf", "probe", "detachable", deaf_probe(), 0)}));
  host.running().wait_for("task_discarded", "leaky");
  host.running().wait_for("task_started", "deaf");
  ProcessEnd end = host.operate({"start", "leaky", "feed"});
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(has_line(end.out, {"feed: was running already"}));
  CHECK(has_line(end.out, {"leaky: did not start: it failed (", ") ", "gave up"}));
  CHECK(has_line(end.err, {"taskhost: 1 of 2 did not start; more: taskhost explain --host ", " leaky"}));
  end = host.operate({"stop", "--timeout", "100ms", "deaf"});
  CHECK(end.status == 1);
  CHECK(has_line(end.out, {"deaf: not done after 100ms: it was asked to stop ", "stop_timeout"}));
  CHECK(has_line(end.err, {"taskhost: 1 of 1 did not stop in time (--timeout)"}));
  end = host.operate({"restart", "--timeout", "2s", "deaf", "leaky"});
  CHECK(has_line(end.err, {"taskhost: 2 of 2 did not restart; more: taskhost explain --host ", " leaky"}));
  end = host.operate({"stop", "--no-wait", "deaf"});
  CHECK(end.status == 0);
  CHECK(end.out.starts_with("deaf: asked to stop: "));
  host.running().send(SIGTERM);
  wait_out_one_request();
  host.running().send(SIGTERM);
  host.running().expect_cut_short();
  CHECK(host.running().finish().status() == 4);
}

TEST_CASE("tasks that wait for each other are started together") {
  Json last = idle("last");
  last["after"] = {"first"};
  OperatedHost host(Json::array({idle("first"), last}));
  host.running().wait_for("task_started", "last");
  CHECK(host.operate({"stop", "*"}).status == 0);
  const ProcessEnd end = host.operate({"start", "last", "first"});
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(lines_with(end.out, {": started: "}).size() == 2);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("explain tells the situation, then the facts") {
  OperatedHost host(Json::array({idle("feed"), failing("leaky", 0)}));
  host.running().wait_for("task_discarded", "leaky");
  const ProcessEnd end = host.operate({"explain", "leaky"});
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(end.out.starts_with("leaky: it failed ("));
  CHECK(has_line(end.out, {"  state ", "ended for "}));
  CHECK(has_line(end.out, {"  last end ", "error: "}));
  CHECK(has_line(end.out, {"  plugin ", "probe.so, factory probe"}));
  CHECK(host.json_of({"explain", "leaky"})["tasks"][0]["over_for"] == "budget_exhausted");
  CHECK(host.stop().status() == 0);
}

TEST_CASE("names that are not there are status 5, and nothing is changed; wrong usage is status 2") {
  OperatedHost host(Json::array({idle("feed"), idle("-x")}));
  host.running().wait_for("task_started", "-x");
  for (const char* verb : {"stop", "explain", "status"}) {
    const ProcessEnd end = host.operate({verb, "feed", "fede"});
    CHECK(end.status == 5);
    CHECK(end.out.empty());
    CHECK(end.err == "taskhost: host \"demo\": there is no task \"fede\"; did you mean \"feed\"?\n");
  }
  CHECK(host.operate({"stop", "x*"}).err.find("no task matches \"x*\"; there are \"feed\" and \"-x\"") !=
        std::string::npos);
  CHECK(host.json_of({"status"})["tasks"][0]["state"] == "running");
  CHECK(host.operate({"stop", "--", "-x"}).status == 0);
  for (const std::vector<std::string>& usage : std::vector<std::vector<std::string>>{
           {"stop"}, {"explain"}, {"stop", "feed", "--timeout", "3"}, {"status", "--colour"}, {"completion", "csh"}}) {
    const ProcessEnd end = host.operate(usage);
    INFO(end.summary());
    CHECK(end.status == 2);
    CHECK(end.out.empty());
  }
  const std::string socket = host.socket().string();
  for (const std::vector<std::string>& usage :
       std::vector<std::vector<std::string>>{{"status", "--host", ""},
                                             {"stop", "--host", socket, "--timeout", "", "feed"},
                                             {"logs", "--host", socket, "--since", ""}}) {
    const ProcessEnd end = run_program(usage);
    INFO(end.summary());
    CHECK(end.status == 2);
    CHECK(end.err.find("must not be empty") != std::string::npos);
  }
  CHECK(host.stop().status() == 0);
}

TEST_CASE("shutdown stops the host, and can wait for its process") {
  OperatedHost host(Json::array({idle("feed")}));
  SECTION("without waiting") {
    const ProcessEnd end = host.operate({"shutdown"});
    CHECK(end.status == 0);
    CHECK(end.out == "demo: stopping: process " + std::to_string(host.running().process().id()) + "\n");
  }
  SECTION("with waiting") {
    const ProcessEnd end = host.operate({"shutdown", "--wait"});
    INFO(end.summary());
    CHECK(end.status == 0);
    CHECK(end.out.starts_with("demo: ended"));
    CHECK_FALSE(host.running().process().running());
  }
  CHECK(host.running().finish().status() == 0);
  const ProcessEnd late = host.operate({"shutdown"});
  CHECK(late.status == 5);
  CHECK(late.err.find("no host listens there; taskhost ps lists those that run") != std::string::npos);
}

TEST_CASE("on a terminal a table fits into it and has colours, unless NO_COLOR is set") {
  const Terminal terminal;
  if (terminal.is_missing()) return;
  OperatedHost host(Json::array({failing("a-task-with-quite-a-long-name"), idle("feed")}));
  host.running().wait_for("task_discarded", "a-task-with-quite-a-long-name");
  Command command = host.command({"status"});
  command.arguments.insert(command.arguments.begin(),
                           {"-c", "stty -opost cols 50; exec \"$0\" \"$@\" >$(tty)", command.program.string()});
  command.program = "/bin/sh";
  const bool has_colours = GENERATE(true, false);
  command.environment.emplace_back("TERM=xterm");
  command.environment.emplace_back(has_colours ? "NO_COLOR=" : "NO_COLOR=1");
  CHECK(Process(terminal.around(command)).wait().status == 1);  // it is not well
  const std::string text = terminal.read();
  INFO(text);
  CHECK(has_line(text, {"…"}));
  CHECK((text.find("\033[31m") != std::string::npos) == has_colours);
  for (std::string line : lines_of(text)) {
    if (line.find("gave up") == std::string::npos) continue;
    for (const char* code : {"\033[31m", "\033[0m"}) {
      for (std::size_t at = 0; (at = line.find(code)) != std::string::npos;) line.erase(at, std::string(code).size());
    }
    CHECK(line.size() <= 54);  // "…" has three bytes
  }
  CHECK(host.stop().status() == 0);
}

TEST_CASE("completion knows the commands, their options, and the names of tasks") {
  OperatedHost host(Json::array({idle("feed"), idle("feed two"), idle("side")}));
  host.running().wait_for("task_started", "side");
  CHECK(host.operate({"complete", "tasks"}).out == "feed\nfeed two\nside\n");
  const std::string help = run_program({"--help"}).out;
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const ProcessEnd end = run_program({"completion", shell});
    CHECK(end.status == 0);
    for (const char* word : {"status", "shutdown", "verify", "restart"}) {
      CHECK(help.find(word) != std::string::npos);
      CHECK(end.out.find(word) != std::string::npos);
    }
    CHECK(end.out.find("S@") == std::string::npos);  // all places have been filled in
  }
  Command bash;
  bash.program = "bash";
  bash.environment = {"T=" + program_path().string(), "S=" + host.socket().string()};
  bash.working_directory = host.directory();
  bash.arguments = {"-c", R"sh(
    set -u
    source <("$T" completion bash)
    complete_line() {
      COMP_LINE=$*; COMP_POINT=${#COMP_LINE}; COMP_WORDS=("$T" "${@:2}"); COMP_CWORD=$(($# - 1))
      _taskhost
      printf '%s\n' "${COMPREPLY[@]}"
    }
    complete_line taskhost shu
    complete_line taskhost stop --host "$S" fe
    complete_line taskhost stop --no
    complete_line taskhost completion z
    complete_line taskhost check mani
    complete_line taskhost stop --timeout ''
  )sh"};
  const ProcessEnd end = Process(bash).wait();
  INFO(end.summary());
  CHECK(end.out == "shutdown\nfeed\nfeed\\ two\n--no-wait\nzsh\nmanifest.json\n\n");
  CHECK(end.err.empty());
  CHECK(host.stop().status() == 0);
}
