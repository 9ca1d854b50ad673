// A log that nobody reads, or for which there is no room: a pager, a stopped terminal, a driver that hangs, a full
// disk. Nothing waits for it.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/pipe.hpp"

using namespace taskhost::test;
namespace fs = std::filesystem;

namespace {

// Like a shell's 2>, which does not append.
std::unique_ptr<Process> process_with_log_in(Scene& scene, const fs::path& file, rlim_t max_file_size = 0) {
  Command command = scene.command({"--log-level", "debug"});
  command.out = Wiring::null_device;
  if (max_file_size != 0) command.limits.emplace_back(RLIMIT_FSIZE, max_file_size);
  command.arguments[2] = "/dev/null";
  command.err_descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  auto process = std::make_unique<Process>(command);
  ::close(command.err_descriptor);
  return process;
}

// The lines that do not begin with a time, or contain another one.
std::vector<std::string> broken_lines(const std::string& log) {
  std::vector<std::string> broken;
  for (const std::string& line : lines_with(log, {})) {
    const bool has_time = line.size() > 10 && std::isdigit(line[0]) != 0 && line[4] == '-' && line[7] == '-';
    if (!has_time || line.find(line.substr(0, 11), 1) != std::string::npos) broken.push_back(line);
  }
  return broken;
}

// Logs a line every 20 ms.
void add_talker(Scene& scene) {
  scene.add(task("pump", "probe", "mandatory", probe_that_ends("error", "20ms"), 1'000'000));
}

Command with_log_to(Scene& scene, const Pipe& pipe) {
  Command command = scene.command({"--log-level", "debug"});
  command.err_descriptor = pipe.write_end();
  return command;
}

Json bad_task(const std::string& name) {
  Json entry = task(name, name, "mandatory");
  entry["plugin"] = test_plugin_path(name).string();
  return entry;
}

}  // namespace

TEST_CASE("a signal ends a host whose log nobody reads") {
  Scene scene;
  scene.add(task("pump", "probe", "mandatory", idle_probe()));
  const Pipe err;
  err.fill();
  Running running = scene.start(with_log_to(scene, err));
  running.wait_for("task_started");
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a task ends a host whose log nobody reads, with its status") {
  Scene scene;
  scene.add(task("pump", "probe", "mandatory", probe_that_ends("error")));
  const Pipe err;
  err.fill();
  CHECK(scene.start(with_log_to(scene, err)).finish().status() == 1);
}

TEST_CASE("a task that calls exit ends a host whose log nobody reads") {
  Scene scene;
  scene.add(bad_task("poll_exits"));
  const Pipe err;
  err.fill();
  Running running = scene.start(with_log_to(scene, err));
  running.expect_cut_short();
  CHECK(running.finish().status() == 1);
}

TEST_CASE("a second signal ends a host whose log nobody reads") {
  Scene scene;
  Json deaf = bad_task("deaf_blocking");
  deaf["stop_timeout"] = "1h";
  scene.add(deaf);
  scene.manifest["shutdown_timeout"] = "1h";
  const Pipe err;
  err.fill();
  Running running = scene.start(with_log_to(scene, err));
  running.expect_cut_short();
  running.wait_for("task_started");
  running.send(SIGTERM);
  running.wait_for("host_stopping");
  ::usleep(1'100'000);  // two within a second may count as one
  running.send(SIGTERM);
  CHECK(running.finish().status() == 4);
}

TEST_CASE("a log that is read late comes whole") {
  Scene scene;
  scene.add(task("pump", "probe", "mandatory", idle_probe()));
  Pipe err;
  err.fill();
  Running running = scene.start(with_log_to(scene, err));
  err.close_write_end();
  running.wait_for("task_started");
  running.send(SIGTERM);
  const std::string log = err.read_all();
  CHECK(running.process().wait().status == 0);
  CHECK(has_line(log, {"started", "1 task"}));
  CHECK(has_line(log, {"stopped well"}));
}

TEST_CASE("a task that is stuck printing to a stdout that nobody reads is abandoned, and the program ends") {
  Scene scene;
  Json printer = bad_task("prints_for_ever");
  printer["stop_timeout"] = "100ms";
  scene.add(printer);
  const Pipe out;
  out.fill();
  Command command = scene.command();
  command.out_descriptor = out.write_end();
  Running running = scene.start(command);
  running.wait_for("task_stalled");
  running.send(SIGTERM);
  const Run run = running.finish(std::chrono::seconds(60));
  CHECK(run.status() == 4);
  CHECK(has_line(run.log(), {"stdout"}));
}

TEST_CASE("a log that is shortened meanwhile gets no hole") {
  Scene scene;
  add_talker(scene);
  const fs::path file = scene.directory() / "log";
  const auto process = process_with_log_in(scene, file);
  REQUIRE(eventually([&] { return fs::file_size(file) > 2000; }));
  fs::resize_file(file, 0);
  process->send(SIGTERM);
  CHECK(process->wait().status == 0);
  const std::string log = text_of(file);
  CHECK(log.find('\0') == std::string::npos);
  CHECK(has_line(log, {"stopped well"}));
}

TEST_CASE("a log on a full disk goes on where it was once there is room") {
  Scene scene;
  add_talker(scene);
  const fs::path disk = scene.directory() / "disk";
  fs::create_directory(disk);
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=16k") != 0) {
    WARN("left out: no disk can be mounted here");
    return;
  }
  SECTION("with room for some lines and half of one") { std::ofstream(disk / "filler") << std::string(8192, 'x'); }
  SECTION("with no room from the start") { std::ofstream(disk / "filler") << std::string(16384, 'x'); }
  const fs::path file = disk / "log";
  const auto process = process_with_log_in(scene, file);
  eventually([&] { return fs::file_size(file) >= 4096; }, std::chrono::seconds(1));
  ::usleep(300'000);  // in which more lines come, and wait
  REQUIRE(::mount("none", disk.c_str(), nullptr, MS_REMOUNT, "size=16m") == 0);
  ::usleep(300'000);
  process->send(SIGTERM);
  CHECK(process->wait().status == 0);
  const std::string log = text_of(file);
  INFO(log);
  CHECK(broken_lines(log).empty());
  CHECK(has_line(log, {"started", "1 task"}));
  CHECK(has_line(log, {"stopped well"}));
  ::umount(disk.c_str());
}

TEST_CASE("a log that stays on a full disk, or at a file size limit, holds up no stop") {
  Scene scene;
  add_talker(scene);
  const fs::path file = scene.directory() / "log";
  const auto process = process_with_log_in(scene, file, 1000);
  REQUIRE(eventually([&] { return fs::file_size(file) >= 1000; }));
  process->send(SIGTERM);
  SECTION("for ever") {}
  SECTION("until somebody makes room at the end, where what is missing is written or counted") {
    fs::resize_file(file, 0);
  }
  CHECK(process->wait().status == 0);
  CHECK(fs::file_size(file) > 0);
}
