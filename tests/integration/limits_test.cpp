// What the system refuses: a line that names the limit, and a status of its own.
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

void add_some_tasks(Scene& scene) {
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  scene.add(task("feed", "probe_blocking", "detachable", idle_probe()));
}

}  // namespace

TEST_CASE("too few descriptors end the program with 5, and a line that names the limit and its value") {
  if (address_sanitizer) return;  // with the one for undefined behaviour, which needs descriptors of its own
  std::size_t refused = 0;
  for (rlim_t limit = 4; limit < 40; ++limit) {
    Scene scene;
    add_some_tasks(scene);
    Command command = scene.command();
    command.arguments = {"run", scene.manifest_path().string()};
    command.limits.emplace_back(RLIMIT_NOFILE, limit);
    const ProcessEnd end = Process(command).wait();
    INFO(limit << ": " << end.summary());
    if (end.status == 127 || end.status == 0) continue;  // the dynamic loader's own start; enough
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
