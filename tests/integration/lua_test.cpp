// Scripts in Lua, in the program: outcomes and restarts, the stop in any state, endless loops, the memory limit.
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <string>
#include <string_view>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

Json script(std::string_view name, std::string_view type, std::string_view code, unsigned restarts = 0) {
  return task(name, "lua", type, {{"code", code}}, restarts);
}

}  // namespace

TEST_CASE("the end of a script is the outcome of its execution, and a restart runs it again") {
  struct Row {
    const char* code;
    const char* outcome;
    const char* message;
  };
  const Row row =
      GENERATE(Row{"task.sleep(0.001)", "ok", ""}, Row{"task.sleep(0.001) task.fail('dry')", "error", "dry"},
               Row{"return nil, 'dry'", "error", "dry"}, Row{"error('dry')", "panic", "code:1: dry"},
               Row{"os.exit(3)", "error", "os.exit(3)"});
  const char* const isolation = GENERATE("none", "process");
  CAPTURE(row.code, isolation);
  Scene scene;
  scene.manifest["defaults"] = {{"isolation", isolation}};
  scene.add(script("reader", "mandatory", row.code, 2));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.events.count("task_started", "reader") == 3);
  CHECK(run.events.count("task_exited", "reader") == 3);
  CHECK(run.first("task_exited").outcome == row.outcome);
  CHECK(run.first("task_exited").message == row.message);
  CHECK(run.stopping_reason() == "budget_exhausted");
}

TEST_CASE("scripts are restarted thousands of times") {
  Scene scene;
  scene.add(script("storm", "detachable", "local t = {} for i = 1, 100 do t[i] = {i} end error(t)", 3000));
  const Run run = scene.run({"--log-level", "warning"});
  CHECK(run.status() == 1);
  CHECK(run.events.count("task_started", "storm") == 3001);
}

TEST_CASE("scripts that loop for ever leave their shard to the others, and are stopped") {
  Scene scene;
  scene.manifest["shards"] = 1;
  scene.manifest["stall_threads"] = 0;  // only the scripts themselves let other tasks go on
  scene.manifest["defaults"] = {{"stop_timeout", "10h"}};
  scene.add(script("runaway", "mandatory", "while true do end"));
  scene.add(script("deaf", "mandatory", "while true do pcall(function() while true do local t = {} end end) end"));
  scene.add(script("nested", "mandatory", "coroutine.wrap(function() while true do end end)()"));
  scene.add(script("ticking", "mandatory", "while true do print 'tick' task.sleep('1ms') end"));
  scene.add(task("pulse", "heartbeat", "mandatory", {{"interval", "1ms"}, {"message", "beat"}}));
  Running running = scene.start();
  CHECK(eventually([&] {
    return lines_with(running.process().err(), {"pulse", "beat"}).size() > 50 &&
           lines_with(running.process().err(), {"ticking", "tick"}).size() > 50;
  }));
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stopped") == 5);
}

TEST_CASE("a script is stopped in time wherever it is") {
  struct Row {
    const char* code;
    const char* told;
  };
  const Row row = GENERATE(
      Row{"local c <close> = setmetatable({}, {__close = function() print 'closed' end}) task.ready() "
          "task.sleep('10h')",
          "closed"},
      Row{"task.stop_requested() task.ready() task.stopped() print 'saved'", "saved"},
      Row{"while not task.stop_requested() do task.ready() task.sleep('1ms') end task.sleep('10ms') print 'saved'",
          "saved"},
      Row{"local c <close> = setmetatable({}, {__close = function() print 'closed' end}) task.ready() task.yield() "
          "while true do end",
          "closed"},
      Row{"task.ready() task.yield() pcall(table.sort, {1, 2, 3}, function() while true do end end)", "asked to stop"});
  CAPTURE(row.code);
  Scene scene;
  scene.manifest["defaults"] = {{"stop_timeout", "10h"}};
  scene.add(script("reader", "mandatory", row.code));
  Running running = scene.start({"--log-level", "debug"});
  running.wait_for("task_ready");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.story("reader").find("task_stopping task_stopped") != std::string::npos);
  CHECK(has_line(run.log(), {"reader", row.told}));
}

TEST_CASE("a script that takes all memory panics, and its neighbour goes on") {
  Scene scene;
  Json greedy = script("greedy", "detachable", "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", 2);
  greedy["config"]["memory_limit_mib"] = 4;
  scene.add(greedy);
  scene.add(script("modest", "mandatory", "print 'hello' task.sleep('10h')"));
  Running running = scene.start();
  running.wait_for("task_discarded", "greedy");
  CHECK(running.process().wait_for_err("hello"));
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_started", "greedy") == 3);
  CHECK(run.first("task_exited").outcome == "panic");
  CHECK(run.first("task_exited").message.find("4 MiB") != std::string::npos);
}

TEST_CASE("a script waits for what comes through a pipe") {
  Scene scene;
  const std::string pipe = (scene.directory() / "orders.fifo").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  Json reader = script("orders", "shutdown_on_exit",
                       "local pipe = io.open(task.args, 'r+') task.ready() "  // for writing too, so open does not wait
                       "repeat task.readable(pipe) local line = pipe:read('l') print(line) until line == 'end'");
  reader["config"]["args"] = pipe;
  scene.add(reader);
  Running running = scene.start();
  running.wait_for("task_ready");
  std::ofstream(pipe) << "three apples" << std::endl;
  CHECK(running.process().wait_for_err("three apples"));
  std::ofstream(pipe) << "end" << std::endl;
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a missing script, and a script that is no Lua, are told before anything starts") {
  Scene scene;
  scene.add(task("bare", "lua", "shutdown_on_exit"));
  scene.add(script("wrong", "mandatory", "x x"));
  const Run run = scene.run();
  CHECK(run.status() == 2);
  CHECK(run.events.count("task_started") == 0);
  CHECK(has_line(run.log(), {"/tasks/0/config", "\"script\" or \"code\" is missing"}));
  CHECK(has_line(run.log(), {"/tasks/1/config", "code:1: syntax error near 'x'"}));
}

TEST_CASE("a script in Lua is looked for beside the manifest, wherever the host was started") {
  Scene scene;
  scene.directory().write("scripts/task.lua", "task.log(require('helper'))\n");
  scene.directory().write("scripts/helper.lua", "return 'from beside the manifest'\n");
  scene.add(task("moon", "lua", "shutdown_on_exit", {{"script", "scripts/task.lua"}}));
  Command command = scene.command();
  command.working_directory = "/";
  const Run run = scene.start(command).finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"from beside the manifest"}));
}
