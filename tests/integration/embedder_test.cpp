// libtaskhost in a program in pure C, as taskhost.h describes it.
#include <csignal>
#include <cstdio>
#include <sstream>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

// Runs a scenario of embedder.c.
ProcessEnd end_of(const std::string& scenario, const std::string& events) {
  Command command;
  command.program = TASKHOST_TEST_EMBEDDER;
  command.arguments = {scenario, events, plugin_directory().string()};
  return Process(command).wait();
}
ProcessEnd end_of(const std::string& scenario) {
  const TemporaryDirectory directory;
  return end_of(scenario, (directory / "events").string());
}

// The same, and checks the events of each of its hosts.
ProcessEnd play(const std::string& scenario, std::size_t hosts, RunFacts facts = {}) {
  const TemporaryDirectory directory;
  const std::string events = (directory / "events").string();
  ProcessEnd end = end_of(scenario, events);
  INFO(end.summary());
  CHECK(end.status == 0);
  std::istringstream lines(end.out);
  std::size_t judged = 0;
  for (std::string line; std::getline(lines, line);) {  // plugins may write there, too
    int number = 0;
    int result = 0;
    if (std::sscanf(line.c_str(), "host %d status %d", &number, &result) != 2) continue;
    EventStream stream;
    stream.append(read_file(events + "." + std::to_string(number)));
    facts.status = result;
    CHECK(broken_event_rules(stream, facts) == "");
    ++judged;
  }
  CHECK(judged == hosts);
  return end;
}

}  // namespace

TEST_CASE("a C program runs a task of its own, and stops its host from another thread") {
  play("stop from a thread", 1);
}
TEST_CASE("a C program makes and destroys host after host in one process") { play("many times", 20); }
TEST_CASE("a C program stops its host from a signal handler") { play("stop from a signal handler", 1); }
TEST_CASE("a C program stops its host from an event callback") { play("stop from an event callback", 1); }
TEST_CASE("a host that was asked to stop before its start stops as soon as it has started") {
  play("stop before the start", 1);
}
TEST_CASE("no descriptor of a host's takes the place of a standard stream that the program has closed") {
  CHECK(end_of("closed standard streams").status == 0);
}
TEST_CASE("a host without tasks is done at once") { play("no tasks", 1); }
TEST_CASE("a host whose mandatory task fails for good says so, and every execution was dropped") {
  play("a failing task", 1);
}
TEST_CASE("a host with a deaf blocking task says that the time ran out, and its thread may go on") {
  play("a deaf task", 1);
}
TEST_CASE("an event callback that returns after its host was destroyed may still call it") {
  const ProcessEnd end = end_of("a callback that outlives its host");
  INFO(end.summary());
  CHECK(end.status == 0);
}
TEST_CASE("a program has its signals back from a destroyed host that has left a thread behind") {
  play("signals after a deaf task", 1);
}
TEST_CASE("two hosts run at the same time in one process") { play("two hosts at once", 2); }
TEST_CASE("destroying a running host stops it first") { play("destroy a running host", 1); }
TEST_CASE("wakes from foreign threads, after the end and after the host is gone do no harm") {
  play("stale wakers", 1);
}
TEST_CASE("a manifest's text counts names of files from the directory given, and is done with them once it is loaded") {
  play("a manifest of several files", 1);
}
TEST_CASE("tasks of a manifest and of the program run side by side") { play("a manifest beside an own task", 1); }
TEST_CASE("a task of the program's own gets its name and its config") { play("config and name", 1); }
TEST_CASE("after a fork between two hosts parent and child each have one, and no wake gets lost") {
  play("fork between hosts", 3);
}
TEST_CASE(
    "a daemon's child is refused its parent's host with a text, and has one of its own; so has one that forks first") {
  play("daemonise after load", 2);
  play("daemonise before create", 1);
}
TEST_CASE("a child of a program whose host runs exits as any program, after a host of its own too") {
  if (address_sanitizer) {
    WARN("skipped: its leak checker takes what the parent's threads hold for lost in the child");
    return;
  }
  CHECK(play("exit of a child", 2).err.find("exit()") == std::string::npos);
}
TEST_CASE("the log goes to a callback instead of stderr") { CHECK(play("log callback", 1).err.empty()); }
TEST_CASE("calls at the wrong time are refused with a code and a text") { play("wrong states", 1); }
TEST_CASE("a host that was never started is destroyed without a trace") { play("never started", 0); }
TEST_CASE("a NULL host does no harm where that is allowed") { play("null hosts", 0); }
TEST_CASE("wrong options make no host") { play("wrong options", 0); }
TEST_CASE("fields of the options beyond struct_size count as zero") { play("short options", 1); }
TEST_CASE("after a wrong manifest the host is as before, and takes a right one") {
  play("wrong manifest, then a right one", 1);
}
TEST_CASE("wrong tasks of the program's own are refused with a code and a text") { play("wrong tasks", 1); }
TEST_CASE("a host has up to 16 subscribers") { play("too many subscribers", 1); }
TEST_CASE("a host takes a directory of plugins") { play("a directory", 1); }
TEST_CASE("a host describes a plugin without admitting it") { play("inspection", 0); }
TEST_CASE("a C program verifies a plugin, and its wrong options are refused with a text") { play("verification", 0); }

TEST_CASE("a C program stops, starts and restarts tasks by their names") {
  play("operators", 1, {.operated = true});
  play("operators in a callback", 1, {.operated = true});
  play("a revived task", 1, {.operated = true});
}
TEST_CASE("a C program gives its tasks the optional fields of a policy") {
  play("restarts without end", 1, {.special = {{"pump", {.restarts = {}}}}});
  play("a group that gives up", 1,
       {.special = {{"first", {.in_group = true}},
                    {"second", {.restarts = 1, .window = true, .after = {"first"}, .in_group = true}}}});
  play("exit rules", 1, {.special = {{"pump", {.restarts = 3, .exit_rules = true}}}});
  play("a task that repeats", 1, {.special = {{"pump", {.exit_rules = true}}}});
  play("a task with times", 1,
       {.special = {{"job", {.exit_rules = true, .repeat = true}}, {"nightly", {.repeat = true}}}});
  play("timeouts and cooldown", 1,
       {.special = {{"slow", {.restarts = 1, .notify = true, .may_fail_to_stop = true}},
                    {"silent", {.may_fail_to_stop = true, .on_give_up = "cooldown"}}}});
}
TEST_CASE("a C program learns what its host and tasks are doing, from before the start to after the end") {
  const RunFacts facts{.special = {{"failed", {.restarts = 2, .notify = true}},
                                   {"delayed", {.restarts = {}}},
                                   {"member", {.after = {"talker"}, .in_group = true}},
                                   {"skipped", {.after = {"failed"}}},
                                   {"waits", {.notify = true}}},
                       .operated = true};
  play("descriptions of tasks", 1, facts);
  play("descriptions of a plugin", 1, {.operated = true});
  play("descriptions in a child", 1);
}
TEST_CASE("clients of a host that its program destroys see its end, and nothing of it is left") {
  play("destroyed with clients", 20, {.operated = true});
}
TEST_CASE("a host whose start has failed does not start without its tasks at a second try") {
  if (sanitized) return;  // they need the address space that is limited here
  play("a failed start", 0);
}
TEST_CASE("tasks that differ in their names only are admitted at once, all or none") {
  play("many tasks at once", 1, {.operated = true});
}
TEST_CASE("wrong optional fields of the program's own tasks are refused with a text") { play("wrong supervision", 0); }
TEST_CASE("a struct from before the optional fields means a task without them") { play("an older struct", 1); }
TEST_CASE("tasks of a manifest may come after the program's own, and a C program explains it") {
  play("a manifest after an own task", 1, {.special = {{"last", {.after = {"own"}}}}});
}

TEST_CASE("a program that calls exit while its host runs is told so, and keeps its status") {
  const ProcessEnd end = end_of(GENERATE("exit while it runs", "quick_exit while it runs"));
  INFO(end.summary());
  CHECK(end.status == 7);
  CHECK(lines_with(end.err, {"the program called exit() while its host was running"}).size() == 1);
}
TEST_CASE("whoever calls exit on a thread that is not known may be a plugin or the program") {
  const ProcessEnd end = end_of("exit on another thread");
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(has_line(end.err, {"a thread of a plugin or of the program called exit()"}));
}
TEST_CASE(
    "an exit of a signal handler on the thread that waits for the host may be a plugin's: the status is a failure's") {
  const ProcessEnd end = end_of("exit of a handler while it waits");
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(has_line(end.err, {"a signal handler of a plugin or of the program called exit()"}));
}
TEST_CASE("a program that has loaded a host may exit before it starts it") {
  const ProcessEnd end = end_of("exit before the start");
  INFO(end.summary());
  CHECK(end.status == 7);
  CHECK_FALSE(has_line(end.err, {"exit()"}));
}
TEST_CASE("crashes from which a program recovers by a handler of its own are not told, and the one in a task is") {
  if (sanitized) return;
  const ProcessEnd end = end_of("a recovery, then a crash in a task");
  INFO(end.summary());
  CHECK(end.signal == SIGSEGV);
  CHECK(lines_with(end.err, {"SIGSEGV in"}).size() == 1);
  CHECK(has_line(end.err, {"SIGSEGV in the poll of task 'crashing'"}));
}
TEST_CASE("a crash is told though the program has recovered from that of another task") {
  if (sanitized) return;
  const ProcessEnd end = end_of("a recovery in a task, then a crash in another");
  INFO(end.summary());
  CHECK(end.signal == SIGSEGV);
  CHECK(has_line(end.err, {"SIGSEGV in the run of task 'crashing'"}));
}
TEST_CASE("a thread keeps a stack for handlers when a host that it made is destroyed on another thread") {
  const ProcessEnd end = end_of("a handler after its host is destroyed elsewhere");
  INFO(end.summary());
  CHECK(end.status == 0);
}
TEST_CASE("SIGPIPE ends no second host, whatever the program has made of it after the first") {
  play("SIGPIPE set anew between hosts", 2);
}
TEST_CASE("a child's own host hears SIGTERM at once, though the child has set it anew") {
  if (address_sanitizer) {
    WARN("skipped: a lock of its allocator stays held in a child if another thread of the parent holds it");
    return;
  }
  play("SIGTERM set anew in a child", 1);
}
