// `taskhost top` as its reader sees it, in a real terminal. What it makes of all that a host may say is tested with
// host.
#include <csignal>
#include <string>
#include <vector>

#include "operated_host.hpp"
#include "tmux.hpp"

using namespace taskhost::test;

namespace {

Json idle(const char* name) { return task(name, "probe", "mandatory", idle_probe(), 3); }
Json failing(const char* name) { return task(name, "probe", "detachable", probe_that_ends("error")); }

std::string top_of(const std::filesystem::path& socket) {
  return program_path().string() + " top --host " + socket.string();
}

// What `stty -g` tells, as a number; the shell is at its prompt. Each answer has a mark of its own.
std::string settings_of(const Tmux& terminal) {
  static int count = 0;
  const std::string mark = "settings" + std::to_string(++count) + ' ';
  terminal.enter("clear; echo \"" + mark + "$(stty -g | cksum)\"");
  std::string settings;
  terminal.until([&] {
    for (const std::string& line : lines_with(terminal.screen(), {mark})) {
      if (line.starts_with(mark)) settings = line.substr(mark.size());
    }
    return !settings.empty();
  });
  return settings;
}

}  // namespace

TEST_CASE("top shows the tasks of a host, and its keys move, sort and filter") {
  OperatedHost host(Json::array({idle("feed"), idle("side"), failing("leaky")}));
  host.running().wait_for("task_discarded", "leaky");
  const Tmux terminal(top_of(host.socket()));
  terminal.see({"manifest: running for ", "2 of 3 tasks ready"});
  terminal.see({"2 running, 1 ended; ", "shard"});
  terminal.see({"TASK", "STATE▲", "UPTIME", "RESTARTS", "NEXT", "SHARE", "MESSAGE"});
  terminal.see({"> leaky", "ended", "gave up: error"});
  terminal.press({"Down"});
  terminal.see({"> feed", "running", "0 (3 left)"});
  terminal.press({"j"});
  terminal.see({"> side"});
  terminal.press({"Home", "<"});
  terminal.see({"TASK▲"});
  terminal.see({"> feed"});
  terminal.press({"i"});
  terminal.see({"TASK▼"});
  terminal.see({"> side"});
  terminal.press({"w"});
  terminal.see({"lists 1 of 3: not well;"});
  terminal.press({"w", "/", "f", "e", "e", "d"});
  terminal.see({"lists 1 of 3: with feed;"});
  terminal.see({"/feed_"});
  terminal.press({"Enter", "q"});
  CHECK(host.stop().status() == 0);
}

TEST_CASE("an order is done, a stop only after a second key, and what it changes is seen") {
  OperatedHost host(Json::array({idle("feed"), idle("side")}));
  host.running().wait_for("task_started", "side");
  const Tmux terminal(top_of(host.socket()));
  terminal.see({"> feed", "running"});
  terminal.press({"r"});
  terminal.see({"restart feed? y: yes, any other key: no"});
  terminal.press({"y"});
  host.running().wait_for("task_started", "feed", 2);
  terminal.see({"feed: asked to restart"});
  terminal.press({"t", "n"});
  terminal.see({"q quit"});
  terminal.press({"t", "y"});
  terminal.see({"> feed", "stopped"});
  host.running().wait_for("task_stopped", "feed", 2);
  terminal.press({"s"});
  host.running().wait_for("task_started", "feed", 3);
  terminal.see({"> feed", "running"});
  terminal.press({"Enter"});
  terminal.see({"execution", "3, up "});
  CHECK(host.stop().status() == 0);
}

TEST_CASE("details say why a task is in its state, and show its log as it goes on") {
  OperatedHost host(
      Json::array({task("tick", "ticker", "mandatory", {{"interval", "100ms"}, {"message", "TICK"}}, 3)}));
  const Tmux terminal(top_of(host.socket()), 100, 40);
  terminal.see({"> tick", "running"});
  terminal.press({"Enter"});
  terminal.see({"TASK tick"});
  terminal.see({"it has been ready for "});
  terminal.see({"plugin", "ticker"});
  terminal.see({"LOG"});
  terminal.see({" info ", "TICK"});
  terminal.until([&] {  // as logs prints it
    const std::vector<std::string> lines = lines_with(terminal.screen(), {" info ", "TICK"});
    return !lines.empty() && has_line(host.operate({"logs", "tick"}).out, {lines.front().substr(0, 24), "TICK"});
  });
  terminal.press({"Escape"});
  terminal.see({"> tick", "running"});
  CHECK(host.stop().status() == 0);
}

TEST_CASE("top follows the size of the terminal, and asks for more if it is too small") {
  OperatedHost host(Json::array({idle("feed")}));
  const Tmux terminal(top_of(host.socket()));
  terminal.see({"> feed", "running"});
  terminal.resize(20, 5);
  terminal.see({"make it larger"});
  for (const unsigned size : {1U, 2U, 3U, 39U}) terminal.resize(size, size);
  terminal.resize(120, 30);
  terminal.see({"> feed", "running"});
  terminal.until([&] {
    const std::vector<std::string> lines = lines_with(terminal.screen(), {});
    return lines.size() == 30 && has_line(lines.back(), {"q quit"});
  });
  CHECK(host.stop().status() == 0);
}

TEST_CASE("keys work while the host does not answer, and what it said before stays") {
  OperatedHost host(Json::array({idle("feed")}));
  const Tmux terminal;
  terminal.enter(top_of(host.socket()));
  terminal.see({"> feed", "running"});
  host.running().send(SIGSTOP);
  terminal.see({"no answer for ", "before: manifest: running"});
  terminal.see({"> feed", "running"});
  terminal.press({"?"});
  terminal.see({"KEYS"});
  terminal.press({"q"});
  terminal.see({Tmux::prompt});
  CHECK(terminal.value("alternate_on") == "0");
  host.running().send(SIGCONT);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("a host that is gone is told, and another one in its place is noticed") {
  const TemporaryDirectory directory;
  const std::string socket = (directory / "demo.sock").string();
  const Tmux terminal;
  {
    Scene scene;
    scene.add(idle("feed"));
    Running first = scene.start({"--control", socket});
    first.expect_operators();
    first.wait_for("host_started");
    terminal.enter(top_of(socket));
    terminal.see({"> feed", "running"});
    first.expect_cut_short();
    first.send(SIGKILL);
    terminal.see({"trying again: nobody listens at "});
    terminal.see({"> feed"});
    CHECK(first.process().wait().signal == SIGKILL);
  }
  Scene scene;
  scene.add(idle("other"));
  Running second = scene.start({"--control", socket});
  second.wait_for("host_started");
  terminal.see({"> other", "running"});
  terminal.see({"another host answers here now: process " + std::to_string(second.process().id())});
  second.send(SIGTERM);
  CHECK(second.finish().status() == 0);
  terminal.see({"trying again: "});
  terminal.press({"q"});
  terminal.see({Tmux::prompt});
}

TEST_CASE("a host that stops is shown as such") {
  OperatedHost host(Json::array({task("deaf", "probe", "detachable", deaf_probe())}));
  const Tmux terminal(top_of(host.socket()));
  terminal.see({"> deaf", "running"});
  host.running().send(SIGTERM);
  terminal.see({"manifest: stopping"});
  terminal.see({"> deaf", "stopping"});
  host.running().expect_cut_short();
  host.running().send(SIGKILL);
  CHECK(host.running().process().wait().signal == SIGKILL);
}

TEST_CASE("Ctrl-Z leaves the terminal to the shell, and fg comes back") {
  OperatedHost host(Json::array({idle("feed")}));
  const Tmux terminal;
  const std::string before = settings_of(terminal);
  terminal.enter(top_of(host.socket()));
  terminal.see({"> feed"});
  terminal.press({"C-z"});
  terminal.see({Tmux::prompt});
  CHECK(settings_of(terminal) == before);
  CHECK(terminal.value("alternate_on") == "0");
  terminal.resize(90, 20);
  terminal.enter("fg");
  terminal.see({"> feed"});
  CHECK(terminal.value("alternate_on") == "1");
  terminal.until([&] { return lines_with(terminal.screen(), {}).size() == 20; });
  terminal.press({"q"});
  terminal.see({Tmux::prompt});
  CHECK(settings_of(terminal) == before);
  CHECK(host.stop().status() == 0);
}

TEST_CASE("however it ends, the terminal is as before") {
  OperatedHost host(Json::array({idle("feed")}));
  const Tmux terminal;
  const std::string before = settings_of(terminal);
  struct Case {
    std::string key;
    int signal;
    std::string status;
  };
  const std::string file = (host.directory() / "pid").string();
  for (const Case& its : std::vector<Case>{
           {"q", 0, "0"}, {"C-c", 0, "0"}, {"", SIGTERM, "143"}, {"", SIGHUP, "129"}, {"C-\\", 0, "131"}}) {
    INFO(its.key << its.signal);
    terminal.enter("clear; (ulimit -c 0; exec sh -c 'echo $$ >" + file + "; exec " + top_of(host.socket()) +
                   "'); echo \"status $?.\"");
    terminal.see({"> feed"});
    if (its.key.empty()) {
      REQUIRE(::kill(std::stoi(text_of(file)), its.signal) == 0);
    } else {
      terminal.press({its.key});
    }
    terminal.see({"status " + its.status + "."});
    CHECK(terminal.value("alternate_on") == "0");
    CHECK(settings_of(terminal) == before);
  }
  CHECK(host.stop().status() == 0);
}

TEST_CASE("it ends with its terminal") {
  OperatedHost host(Json::array({idle("feed")}));
  pid_t process = 0;
  {
    const Tmux terminal("exec " + top_of(host.socket()));
    terminal.see({"> feed"});
    process = std::stoi(terminal.value("pane_pid"));
    CHECK(::kill(process, 0) == 0);
  }
  CHECK(eventually([process] { return ::kill(process, 0) != 0; }, std::chrono::seconds(20)));
  CHECK(host.stop().status() == 0);
}

TEST_CASE("without a terminal that can be drawn on, top says what to use instead, with status 2") {
  OperatedHost host(Json::array({idle("feed")}));
  const ProcessEnd end = host.operate({"top"});
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(end.err.find("use taskhost status, or taskhost ps") != std::string::npos);

  const Tmux terminal;
  const std::string top = top_of(host.socket()) + "; echo \"status $?.\"";
  for (const auto& [type, words] : {std::pair("TERM=dumb", "TERM is \"dumb\", which can't move its cursor"),
                                    std::pair("TERM=none", "TERM is \"none\", which is not known here"),
                                    std::pair("-u TERM", "TERM is not set; set it to what the terminal is")}) {
    terminal.enter(std::string("clear; env ") + type + ' ' + top);
    terminal.see({words});
    terminal.see({"status 2."});
  }
  terminal.enter("clear; : | " + top);
  terminal.see({"top draws on a terminal, which stdin and stdout have to be"});
  terminal.see({"status 2."});
  terminal.enter("clear; " + program_path().string() + " top --host ./none; echo \"status $?.\"");
  terminal.see({"status 5."});
  CHECK(host.stop().status() == 0);
}

TEST_CASE("names of any kind are harmless and aligned, with colours and without") {
  OperatedHost host(
      Json::array({idle("タスク"), idle("e\u0301clair"), idle("שלום"), failing("a-name-of-22-characters")}));
  host.running().wait_for("task_discarded", "a-name-of-22-characters");
  const Tmux terminal;
  const auto see_all = [&terminal] {
    terminal.see({"> a-name-of-22-characters  ended "});
    terminal.see({"  タスク                   running "});
    terminal.see({"  e\u0301clair                   running "});
    terminal.see({"  שלום                     running "});
  };
  for (const bool has_colours : {true, false}) {
    terminal.enter((has_colours ? "clear; " : "clear; NO_COLOR=1 ") + top_of(host.socket()));
    see_all();
    CHECK((terminal.coloured_screen().find("\033[32m") != std::string::npos) == has_colours);
    terminal.press({"q"});
    terminal.see({Tmux::prompt});
  }
  terminal.enter("clear; LC_ALL=C " + top_of(host.socket()));
  see_all();
  CHECK(host.stop().status() == 0);
}
