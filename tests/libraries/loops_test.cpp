// Loops of other libraries, with the host's stop as one descriptor more, and a library with threads of its own.
#include <csignal>

#include "servers.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

TEST_CASE("loops and threads of other libraries end when the host asks, and not before") {
  Scene scene;
  prepare(scene);
  for (const char* name : {"glib", "libuv", "kafka", "http_server"}) {
    if (!has_plugin(name)) continue;
    Json config = nullptr;
    if (std::string_view(name) == "kafka") config = {{"every", "10ms"}};
    if (std::string_view(name) == "http_server") config = {{"port", free_port()}};
    Json entry = client_task(name, config);
    if (config.is_null()) entry.erase("config");
    scene.add(entry);
  }
  Running running = scene.start();
  running.wait_for("task_ready", {}, scene.manifest["tasks"].size());
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_exited") == 0);
  CHECK(run.events.count("task_stopped") == scene.manifest["tasks"].size());
  CHECK(run.events.count("task_stalled") == 0);  // the drop of a task with `poll` waited for no thread
}
