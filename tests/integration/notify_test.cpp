// What a service manager such as systemd hears of the program.
#include <csignal>
#include <string>
#include <thread>

#include "notify_receiver.hpp"
#include "scene.hpp"
#include "support/catch.hpp"
#include "support/process_threads.hpp"
#include "support/sanitizers.hpp"

using namespace std::chrono_literals;
using namespace taskhost::test;

namespace {

struct NotifyScene : Scene {
  explicit NotifyScene(bool is_abstract = false)
      : receiver(is_abstract ? "@taskhost-test-" + std::to_string(::getpid()) : (directory() / "notify").string()) {}

  Running start_service(const std::vector<std::string>& environment = {}) {
    Command service = command({"--control", "off"});
    service.environment = environment;
    service.environment.insert(service.environment.begin(), receiver.variable());
    return start(service);
  }
  // What is said once the stop has begun, up to the end.
  Run stop(Running& running) {
    running.send(SIGTERM);
    return running.finish();
  }

  NotifyReceiver receiver;
};

Json with(Json entry, const Json& fields) {
  entry.update(fields);
  return entry;
}

constexpr std::size_t none = std::string::npos;

}  // namespace

TEST_CASE("a service manager hears that the host loads, is ready, and stops, in this order") {
  NotifyScene scene(GENERATE(false, true));
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start_service();
  CHECK(scene.receiver.wait_for("STATUS=") == "STATUS=loading the manifest and its plugins");
  REQUIRE(scene.receiver.wait_for("READY=1") == "READY=1");
  CHECK(NotifyReceiver::line_of(scene.receiver.last(), "STATUS=") == "STATUS=1 task runs");
  CHECK(scene.stop(running).status() == 0);
  const std::string text = scene.receiver.text();
  INFO(text);
  CHECK(text.find("READY=1\n") < text.find("STOPPING=1\n"));
  CHECK(text.find("STOPPING=1\n") != none);
  CHECK(text.find("STOPPING=1\n") == text.rfind("STOPPING=1\n"));
  CHECK(text.find("READY=1\n") == text.rfind("READY=1\n"));
  CHECK(text.ends_with("STATUS=stopped well (status 0)\n"));
  CHECK(text.find("WATCHDOG=1") == none);
  for (const std::string& datagram : scene.receiver.all()) CHECK(datagram.ends_with('\n'));
}

TEST_CASE("a service manager hears READY=1 once the last mandatory task is ready, and never if it fails") {
  NotifyScene scene;
  const bool fails = GENERATE(false, true);
  Json slow = {{"ready_after", "500ms"}};
  if (fails) slow = {{"run_for", "500ms"}, {"end", "error"}};
  scene.add(task("early", "probe", "mandatory", idle_probe()));
  scene.add(with(task("slow", "probe", "mandatory", slow), {{"ready", "notify"}}));
  scene.add(with(task("never ready", "probe", "detachable", idle_probe()), {{"ready", "notify"}}));
  Running running = scene.start_service();
  if (fails) {
    CHECK(running.finish().status() == 1);
    CHECK(scene.receiver.text().find("READY=1") == none);
    CHECK(scene.receiver.text().ends_with("STATUS=stopped with failure (status 1)\n"));
    return;
  }
  CHECK(scene.receiver.wait_for("READY=1") == "READY=1");
  CHECK(running.events().read().count("task_ready", "slow") == 1);
  CHECK(scene.stop(running).status() == 0);
}

TEST_CASE("a host whose tasks are done before it was seen to be ready has not failed by the protocol") {
  NotifyScene scene;
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  Running running = scene.start_service();
  CHECK(running.finish().status() == 0);
  CHECK(scene.receiver.text().find("READY=1\n") != none);
  CHECK(scene.receiver.text().find("READY=1\n") < scene.receiver.text().find("STOPPING=1\n"));
}

TEST_CASE("a host that can't start says so, and is never ready") {
  NotifyScene scene;
  scene.add(task("reader", "no such plugin", "mandatory"));
  Process process([&] {
    Command command = scene.command();
    command.environment = {scene.receiver.variable()};
    return command;
  }());
  CHECK(process.wait().status == 3);
  CHECK(scene.receiver.text().find("READY=1") == none);
  CHECK(scene.receiver.text().ends_with("STATUS=nothing was started; the log says why\n"));
}

TEST_CASE("STATUS names tasks that wait, with what they say on one line, and changes at most once a second") {
  NotifyScene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  scene.add(with(task("flaky", "probe", "detachable", {{"end", "error"}, {"message", "no route\nREADY=1\x1b[31m"}}, 9),
                 {{"backoff", {{"initial", "1h"}}}}));
  scene.add(with(task("restless", "probe", "detachable", {{"end", "error"}, {"run_for", "300ms"}}),
                 {{"restarts", "unlimited"}, {"backoff", {{"initial", "300ms"}, {"factor", 1}}}}));
  Running running = scene.start_service();
  REQUIRE(scene.receiver.wait_for("READY=1") == "READY=1");
  const auto begin = std::chrono::steady_clock::now();
  const std::size_t count = scene.receiver.count("STATUS=", 3500ms);
  CHECK(count <= std::size_t((std::chrono::steady_clock::now() - begin) / 1s) + 1);
  const char* const harmless = "flaky (no route\\u000aREADY=1\\u001b[31m)";
  CHECK(eventually([&] { return scene.receiver.text().find(harmless) != none; }));
  for (const std::string& datagram : scene.receiver.all()) {
    CHECK(datagram.find('\x1b') == none);
    CHECK(datagram.size() < 1000);
  }
  CHECK(scene.stop(running).status() == 0);
  const std::string text = scene.receiver.text();
  CHECK(text.find("READY=1\n") == text.rfind("READY=1\n"));
}

TEST_CASE("a service manager costs a host at rest no wake-up") {
  if (thread_sanitizer) return;
  NotifyScene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start_service();
  REQUIRE(scene.receiver.wait_for("READY=1") == "READY=1");
  const pid_t process = running.process().id();
  CHECK(eventually([&] { return sleeps_during(process, 5s) == 0; }, 60s));
  CHECK(scene.stop(running).status() == 0);
}

TEST_CASE("WATCHDOG=1 comes twice in its time, also while the process is paused in between") {
  NotifyScene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start_service({"WATCHDOG_USEC=1000000"});
  REQUIRE(scene.receiver.wait_for("READY=1") == "READY=1");
  const auto begin = std::chrono::steady_clock::now();
  const std::size_t count = scene.receiver.count("WATCHDOG=1", 5s);
  CHECK(count >= 5);
  CHECK(count <= std::size_t((std::chrono::steady_clock::now() - begin) / 500ms) + 1);
  running.send(SIGSTOP);
  (void)scene.receiver.count("WATCHDOG=1", 200ms);  // what was sent before
  CHECK(scene.receiver.count("WATCHDOG=1", 2s) == 0);
  running.send(SIGCONT);
  CHECK(scene.receiver.wait_for("WATCHDOG=1", 10s) == "WATCHDOG=1");
  CHECK(scene.stop(running).status() == 0);
}

TEST_CASE("WATCHDOG=1 stays away while a shard stands still, and comes again afterwards") {
  NotifyScene scene;
  scene.manifest["shards"] = 2;
  scene.manifest["stall_threads"] = 0;
  // Without a task that relates to others, and with one.
  if (GENERATE(false, true))
    scene.add(with(task("later", "probe", "mandatory", idle_probe()), {{"after", {"reader"}}}));
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  scene.add(task("other", "probe", "mandatory", idle_probe()));
  scene.add(with(task("mule", "probe", "detachable", {{"end", "busy"}, {"run_for", "6s"}}), {{"after", {"other"}}}));
  Running running = scene.start_service({"WATCHDOG_USEC=500000"});
  running.wait_for("task_started", "mule");
  REQUIRE(running.process().wait_for_err("no WATCHDOG=1 is sent for the time being: 1 of 2 shards has not answered"));
  (void)scene.receiver.all();
  CHECK(scene.receiver.count("WATCHDOG=1", 1s) == 0);
  CHECK(scene.receiver.wait_for("WATCHDOG=1") == "WATCHDOG=1");
  CHECK(running.process().wait_for_err("WATCHDOG=1 is sent again"));
  CHECK(scene.stop(running).status() == 0);
}

TEST_CASE("WATCHDOG=1 is for the process that WATCHDOG_PID names") {
  NotifyScene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  const bool is_own = GENERATE(false, true);
  Command command = scene.command({"--control", "off"});
  command.environment = {scene.receiver.variable(), "WATCHDOG_USEC=200000"};
  command.arguments.insert(
      command.arguments.begin(),
      {"-c", std::string("WATCHDOG_PID=") + (is_own ? "$$" : "1") + " exec \"$0\" \"$@\"", command.program.string()});
  command.program = "/bin/sh";
  Running running = scene.start(command);
  REQUIRE(scene.receiver.wait_for("READY=1") == "READY=1");
  CHECK((scene.receiver.count("WATCHDOG=1", 1s) != 0) == is_own);
  CHECK(scene.stop(running).status() == 0);
}

TEST_CASE("a long stop asks for more time, again and again, within its own limits") {
  NotifyScene scene;
  scene.add(with(task("slow", "probe", "mandatory", {{"end", "ok"}, {"run_for", "13s"}, {"deaf", true}}),
                 {{"stop_timeout", "1h"}}));
  Running running = scene.start_service();
  REQUIRE(scene.receiver.wait_for("READY=1") == "READY=1");
  running.send(SIGTERM);
  REQUIRE(scene.receiver.wait_for("STOPPING=1", 10s) == "STOPPING=1");
  CHECK(NotifyReceiver::line_of(scene.receiver.last(), "EXTEND_TIMEOUT_USEC=") == "EXTEND_TIMEOUT_USEC=20000000");
  CHECK(scene.receiver.wait_for("STATUS=", 10s) == "STATUS=stopping: 1 task is stopping: slow");
  CHECK(scene.receiver.wait_for("EXTEND_TIMEOUT_USEC=", 10s) != "");
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a slow start asks for time if the manifest limits it, and only then") {
  NotifyScene scene;
  const bool is_limited = GENERATE(false, true);
  const Json limits = is_limited ? Json{{"ready", "notify"}, {"start_timeout", "1h"}} : Json{{"ready", "notify"}};
  scene.add(with(task("slow", "probe", "mandatory", {{"ready_after", "2s"}}), limits));
  Running running = scene.start_service();
  REQUIRE(scene.receiver.wait_for("READY=1") == "READY=1");
  CHECK((scene.receiver.text().find("EXTEND_TIMEOUT_USEC=20000000\n") != none) == is_limited);
  CHECK(scene.stop(running).status() == 0);
}

TEST_CASE("READY=1 and STOPPING=1 reach a service manager that has not read for a while") {
  NotifyScene scene;
  scene.receiver.fill();
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  scene.add(with(task("slow", "probe", "mandatory", {{"end", "ok"}, {"run_for", "5s"}, {"deaf", true}}),
                 {{"stop_timeout", "1h"}}));
  Running running = scene.start_service({"WATCHDOG_USEC=400000"});
  running.wait_for("task_started", "reader");
  std::this_thread::sleep_for(1s);
  const bool stops_before = GENERATE(false, true);
  if (stops_before) running.send(SIGTERM);
  std::this_thread::sleep_for(500ms);
  CHECK(scene.receiver.wait_for("READY=1") == "READY=1");
  if (!stops_before) running.send(SIGTERM);
  CHECK(eventually([&] { return scene.receiver.text().find("STOPPING=1\n") != none; }));
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a service manager that never reads does not hold up the host, not even its end") {
  NotifyScene scene;
  scene.receiver.fill();
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok", "500ms")));
  Running running = scene.start_service({"WATCHDOG_USEC=20000"});
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.end.lifetime < 20s);
}

TEST_CASE("a service manager that goes away is missed once, and heard of when it is back") {
  NotifyScene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start_service({"WATCHDOG_USEC=200000"});
  REQUIRE(scene.receiver.wait_for("READY=1") == "READY=1");
  scene.receiver.close();
  REQUIRE(running.process().wait_for_err("nobody reads from NOTIFY_SOCKET"));
  scene.receiver.open_again();
  CHECK(scene.receiver.wait_for("WATCHDOG=1") == "WATCHDOG=1");
  CHECK(running.process().wait_for_err("somebody reads from NOTIFY_SOCKET again"));
  const Run run = scene.stop(running);
  CHECK(run.status() == 0);
  CHECK(lines_with(run.log(), {"nobody reads from NOTIFY_SOCKET"}).size() == 1);
}

TEST_CASE("programs that plugins execute can't speak for the host") {
  NotifyScene scene;
  scene.add(task("child_executes", test_plugin_path("child_executes").string(), "mandatory"));
  const bool with_socket = GENERATE(true, false);
  Command command = scene.command({"--control", "off"});
  command.environment = {"WATCHDOG_USEC=1000000", "WATCHDOG_PID=1"};
  if (with_socket) command.environment.push_back(scene.receiver.variable());
  Running running = scene.start(command);
  REQUIRE(running.process().wait_for_err("child: "));
  const Run run = scene.stop(running);
  CHECK(run.log().find("\nNOTIFY_SOCKET") == none);
  CHECK(run.log().find("\nWATCHDOG_") == none);
}

TEST_CASE("a service manager whose socket can't be found any more, as after a chroot, still hears of the host") {
  NotifyScene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start_service({"WATCHDOG_USEC=200000"});
  REQUIRE(scene.receiver.wait_for("READY=1") == "READY=1");
  std::filesystem::rename(scene.directory() / "notify", scene.directory() / "elsewhere");
  (void)scene.receiver.all();
  for (int i = 0; i < 3; ++i) CHECK(scene.receiver.wait_for("WATCHDOG=1") == "WATCHDOG=1");
  CHECK(scene.stop(running).status() == 0);
  CHECK(scene.receiver.text().find("STOPPING=1\n") != none);
}

TEST_CASE("a wrong value of a service manager's variable is one warning, and the host runs") {
  const auto [variables, words] = GENERATE(table<std::vector<std::string>, std::string>(
      {{{"NOTIFY_SOCKET=relative"}, "neither a path nor an abstract name"},
       {{"NOTIFY_SOCKET=@"}, "2 to 107 bytes"},
       {{"NOTIFY_SOCKET=/" + std::string(200, 'x')}, "2 to 107 bytes"},
       {{"NOTIFY_SOCKET=vsock:2:9999"}, "neither a path nor an abstract name"},
       {{"NOTIFY_SOCKET=/nowhere/at all"}, "nobody reads from NOTIFY_SOCKET"},
       {{"WATCHDOG_USEC=soon"}, "WATCHDOG_USEC is not a number above 0, so systemd hears no WATCHDOG=1: soon"},
       {{"WATCHDOG_USEC=0"}, "WATCHDOG_USEC is not a number above 0"},
       {{"WATCHDOG_USEC=-1"}, "WATCHDOG_USEC is not a number above 0"},
       {{"WATCHDOG_USEC=1000", "WATCHDOG_PID=me"}, "WATCHDOG_PID is not a number above 0"}}));
  NotifyScene scene;
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok", "300ms")));
  Command command = scene.command({"--control", "off", "--log-level", "warning"});
  command.environment = variables;
  if (!variables.front().starts_with("NOTIFY")) command.environment.push_back(scene.receiver.variable());
  const Run run = scene.start(command).finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"warning", words}));
  CHECK(count_lines(run.log()) == 1);
}

TEST_CASE("SIGHUP of a process leaves the host running, and its log says what to do") {
  NotifyScene scene;
  scene.add(task("reader", "probe", "mandatory", idle_probe()));
  Running running = scene.start_service();
  REQUIRE(scene.receiver.wait_for("READY=1") == "READY=1");
  running.send(SIGHUP);
  CHECK(running.process().wait_for_err("is kept for reloading"));
  CHECK(scene.receiver.count("STOPPING=1", 500ms) == 0);
  CHECK(scene.stop(running).status() == 0);
}
