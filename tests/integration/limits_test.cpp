// What the system refuses: a line that names the limit, and a status of its own.
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

void add_some_tasks(Scene& scene) {
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  scene.add(task("feed", "probe_blocking", "detachable", idle_probe()));
}

const std::vector<std::pair<int, std::string>> needed_calls = {
    {SYS_epoll_create1, "epoll_create1"},
    {SYS_epoll_ctl, "epoll_ctl"},
#ifdef SYS_epoll_wait  // does not exist on every architecture
    {SYS_epoll_wait, "epoll_wait"},
#endif
    {SYS_timerfd_create, "timerfd_create"},
    {SYS_timerfd_settime, "timerfd_settime"},
    {SYS_eventfd2, "eventfd2"},
    {SYS_fcntl, "fcntl"},
    {SYS_getrandom, "getrandom"},
    {SYS_clone3, "clone3"},
};

}  // namespace

TEST_CASE("too few descriptors end the program with 5, and a line that names the limit and its value") {
  if (address_sanitizer) return;  // with that for undefined behaviour, which needs descriptors itself
  std::size_t refused = 0;
  for (rlim_t limit = 4; limit < 40; ++limit) {
    Scene scene;
    add_some_tasks(scene);
    Command command = scene.command();
    command.arguments = {"run", scene.manifest_path().string()};
    command.limits.emplace_back(RLIMIT_NOFILE, limit);
    const ProcessEnd end = Process(command).wait();
    INFO(limit << ": " << end.summary());
    if (end.status == 127 || end.status == 0) continue;  // the limit stops the dynamic loader, or suffices
    ++refused;
    CHECK(end.status == 5);
    CHECK(has_line(end.err, {"RLIMIT_NOFILE is " + std::to_string(limit), "ulimit -n"}));
  }
  CHECK(refused > 3);
}

TEST_CASE("too little memory for the threads' stacks ends the program with 5, and names the limit") {
  if (sanitized) {
    WARN("skipped: sanitizers take more address space than any limit leaves");
    return;
  }
  Scene scene;
  add_some_tasks(scene);
  scene.manifest["poll_stack_kib"] = 1'048'576;
  scene.manifest["shards"] = 8;
  Command command = scene.command();
  command.arguments = {"run", scene.manifest_path().string()};
  command.limits.emplace_back(RLIMIT_AS, rlim_t{2} << 30);
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 5);
  CHECK((has_line(end.err, {"RLIMIT_AS is"}) || has_line(end.err, {"the memory that there is for stacks"})));
  CHECK(has_line(end.err, {"nothing was started"}));
}

TEST_CASE("behind a task that eats all memory the host stops in order or ends with 5, and counts what it can't log") {
  if (sanitized) {
    WARN("skipped: sanitizers take more address space than any limit leaves");
    return;
  }
  Scene scene;
  scene.add(task("beat", "heartbeat", "detachable", {{"interval", "5ms"}, {"message", "alive"}}));
  Json eater = task("eater", "probe", "detachable");
  eater["plugin"] = test_plugin_path("eats_memory").string();
  scene.add(eater);
  Command command = scene.command();
  command.limits.emplace_back(RLIMIT_AS, rlim_t{1} << 30);
  Running running = scene.start(command);
  const ProcessEnd end = running.process().wait();  // without a look at the events, of which any may be lost
  INFO(end.summary());
  if (end.status == 5) {
    CHECK(has_line(end.err, {"memory"}));
  } else {
    CHECK(end.status == 0);
    CHECK((has_line(end.err, {"dropped here", "memory short"}) || has_line(end.err, {"eater", "it ate all there is"})));
  }
}

TEST_CASE("no descriptor for the events' file ends the program with 5 and the limit's name") {
  if (address_sanitizer) return;  // it needs descriptors itself
  Scene scene;
  add_some_tasks(scene);
  Command command = scene.command();
  command.arguments = {"run", "--events", scene.directory().path() / "events", scene.manifest_path().string()};
  command.limits.emplace_back(RLIMIT_NOFILE, 4);  // the dynamic loader needs one, and closes it
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 5);
  CHECK(has_line(end.err, {"RLIMIT_NOFILE"}));
}

TEST_CASE("a main stack of 64 KiB is enough for a check") {
  if (sanitized) {
    WARN("skipped: sanitizers need more stack");
    return;
  }
  Scene scene;
  add_some_tasks(scene);
  Command command = scene.command();
  command.arguments = {"check", scene.manifest_path().string()};
  command.limits.emplace_back(RLIMIT_STACK, rlim_t{64} << 10);
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 0);
}

#ifdef TASKHOST_TEST_LARGE_TLS
TEST_CASE("libraries whose thread-local data is larger than a small stack do not keep the host from starting") {
  Scene scene;
  add_some_tasks(scene);
  Command command = scene.command();
  command.environment = {"LD_PRELOAD=" TASKHOST_TEST_LARGE_TLS};
  const Run run = scene.start(command).finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_started") >= 1);
}
#endif

TEST_CASE("a user without a further thread is told the limit's name, status 5") {
  Scene scene;
  add_some_tasks(scene);
  Command command = scene.command();
  command.arguments = {"check", scene.manifest_path().string()};
  if (!run_as_stranger(command)) return;
  command.limits = {{RLIMIT_NPROC, 1}};  // does not apply to root
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 5);
  CHECK(has_line(end.err, {"RLIMIT_NPROC is 1", "ulimit -u"}));
}

TEST_CASE("where blocking tasks get no thread, the limit's name stands in the last lines, with a count") {
  Scene scene;
  Json entry = task("", "probe_blocking", "detachable", idle_probe());
  for (int i = 0; i < 200; ++i) {
    entry["name"] = "task " + std::to_string(i);
    scene.add(entry);
  }
  Command command = scene.command();
  if (!run_as_stranger(command)) return;
  std::filesystem::permissions(scene.directory().path(), std::filesystem::perms::all);  // for the events
  command.limits.emplace_back(RLIMIT_NPROC, 60);
  Running running = scene.start(command);
  running.wait_for("task_gave_up", "", 140);
  running.wait_for("task_started", "", 200);
  running.send(SIGTERM);
  const Run run = running.finish();
  INFO(run.end.summary());
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(),
                 {"tasks lost during this run", "times \"no thread for a blocking task", "RLIMIT_NPROC is 60"}));
}

TEST_CASE("a call that a filter refuses ends the program with 5 and its name, and nothing is started") {
  if (sanitized) {
    WARN("skipped: sanitizers' own calls may be refused");
    return;
  }
  const auto [number, name] = GENERATE(from_range(needed_calls));
  Scene scene;
  add_some_tasks(scene);
  Command command = scene.command();
  command.arguments = {std::to_string(number), command.program.string(), "run", scene.manifest_path().string()};
  command.program = TASKHOST_TEST_REFUSED_CALL;
  const ProcessEnd end = Process(command).wait(std::chrono::seconds(60));
  INFO(name << ": " << end.summary());
  if (end.status == 126) {
    WARN("skipped: no seccomp filter can be installed here");
    return;
  }
  if (number == SYS_clone3 && end.status == 0) return;  // this C library does not need it
  CHECK(end.status == 5);
  CHECK(has_line(end.err, {"a seccomp filter or a container's profile", name, "Operation not permitted"}));
  CHECK_FALSE(has_line(end.err, {"] started"}));
}

TEST_CASE("a working directory that is gone is not put down to the plugins") {
  Scene scene;
  add_some_tasks(scene);
  scene.command();
  Command command;
  command.program = "/bin/sh";
  command.arguments = {"-c", "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" check \"$1\"",
                       program_path().string(), scene.manifest_path().string()};
  command.working_directory = scene.directory().path();
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 0);
}
