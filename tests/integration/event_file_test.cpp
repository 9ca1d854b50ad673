// Where events go, whatever happens to that place in the meantime: nothing there is destroyed, nothing waits for a
// reader for ever, and losses are counted.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/pipe.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;
namespace fs = std::filesystem;

namespace {

EventStream stream_of(const std::string& text) {
  EventStream stream;
  stream.append(text);
  return stream;
}

// A task that ends at once.
void add_short_task(Scene& scene) {
  scene.add(task("pump", "probe", "shutdown_on_exit", probe_that_ends("ok", "5ms")));
}

// Makes about 100 events a second, and runs until it is stopped.
void add_busy_task(Scene& scene) {
  scene.add(task("pump", "probe", "mandatory", probe_that_ends("error", "5ms"), 1'000'000));
}

Command events_to(Scene& scene, const std::string& path) {
  Command command = scene.command();
  command.arguments[2] = path;
  return command;
}

}  // namespace

TEST_CASE("an events file is appended to") {
  Scene scene;
  add_short_task(scene);
  std::ofstream(scene.events_path()) << "kept\n";
  CHECK(Process(scene.command()).wait().status == 0);
  CHECK(Process(scene.command()).wait().status == 0);
  const std::string text = text_of(scene.events_path());
  REQUIRE(text.starts_with("kept\n"));
  const std::size_t second = text.rfind("\n", text.rfind("host_started")) + 1;
  CHECK(broken_event_rules(stream_of(text.substr(5, second - 5)), {}) == "");
  CHECK(broken_event_rules(stream_of(text.substr(second)), {}) == "");
}

TEST_CASE("the names of a standard stream mean the stream, and keep what is there") {
  std::string name = GENERATE("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/./stdout", "a link to it");
  CAPTURE(name);
  Scene scene;
  if (name == "a link to it") {  // as in container images, for their logs
    name = scene.directory() / "link";
    fs::create_symlink("second", name);
    fs::create_symlink("/dev/stdout", scene.directory() / "second");
  }
  add_short_task(scene);
  const fs::path file = scene.directory() / "out";
  std::ofstream(file) << "kept\n";
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);  // like a shell's >, without the truncation
  Command command = events_to(scene, name);
  command.out_descriptor = descriptor;
  CHECK(Process(command).wait().status == 0);
  ::close(descriptor);
  const std::string text = text_of(file);
  REQUIRE(text.starts_with("kept\n"));
  CHECK(broken_event_rules(stream_of(text.substr(5)), {}) == "");
}

TEST_CASE("what a task prints or does to the standard streams harms neither the events nor the log") {
  Scene scene;
  Json entry = task("rude", "takes_streams", "shutdown_on_exit");
  entry["plugin"] = test_plugin_path("takes_streams").string();
  scene.add(entry);
  const ProcessEnd end = Process(events_to(scene, "-")).wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(broken_event_rules(stream_of(end.out), {}) == "");
  CHECK(end.err.find("printed when loaded") != std::string::npos);
  CHECK(end.err.find("half a line that was printed") != std::string::npos);
  CHECK(has_line(end.err, {"rude", "logged afterwards"}));
  CHECK(has_line(end.err, {"stopped well"}));
}

TEST_CASE("a FIFO without a reader does not hold up the start, and what nobody read is told") {
  Scene scene;
  add_short_task(scene);
  const fs::path fifo = scene.directory() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const ProcessEnd end = Process(events_to(scene, fifo.string())).wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(has_line(end.err, {fifo.string(), "nobody reads the events", "events are lost"}));
}

TEST_CASE("a FIFO that one may only write to needs its reader first, and then gets all events") {
  const bool has_reader = GENERATE(false, true);
  Scene scene;
  add_short_task(scene);
  fs::permissions(scene.directory().path(), fs::perms::all);
  const fs::path fifo = scene.directory() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  fs::permissions(fifo, fs::perms::owner_all | fs::perms::group_write | fs::perms::others_write);
  Command command = events_to(scene, fifo.string());
  if (!run_as_stranger(command)) return;
  const int reader = has_reader ? ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  if (has_reader) {
    std::string text(64 * 1024, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(reader, text.data(), text.size()))));
    CHECK(end.status == 0);
    CHECK(broken_event_rules(stream_of(text), {}) == "");
    ::close(reader);
  } else {
    CHECK(end.status == 2);
    CHECK(has_line(end.err, {fifo.string(), "start its reader first"}));
  }
}

TEST_CASE("events go whole into a pipe that somebody has set to be non-blocking, however slow its reader") {
  Scene scene;
  scene.add(task("pump", "probe", "mandatory", probe_that_ends("error", "0ms"), 2000));
  Pipe out;
  REQUIRE(::fcntl(out.write_end(), F_SETFL, O_WRONLY | O_NONBLOCK) == 0);
  Command command = events_to(scene, "-");
  command.out_descriptor = out.write_end();
  Process process(command);
  REQUIRE(eventually([&] { return out.is_full(); }));
  out.close_write_end();
  RunFacts facts;
  facts.status = 1;
  CHECK(broken_event_rules(stream_of(out.read_all()), facts) == "");
  const ProcessEnd end = process.wait();
  CHECK(end.status == 1);
  CHECK(has_line(end.err, {"stopped with failure, caused by task 'pump' (status 1)"}));
}

TEST_CASE("the reader of a FIFO may come and go, and gets what comes while it is there") {
  Scene scene;
  add_busy_task(scene);
  const fs::path fifo = scene.directory() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  Process process(events_to(scene, fifo.string()));
  std::string text;
  for (int readers = 0; readers < 3; ++readers) {
    const int reader = ::open(fifo.c_str(), O_RDONLY | O_CLOEXEC);
    char byte = 0;
    for (int lines = 0; lines < 10 && ::read(reader, &byte, 1) == 1;) {
      text += byte;
      lines += byte == '\n' ? 1 : 0;
    }
    ::close(reader);
  }
  process.send(SIGTERM);
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  const EventStream stream = stream_of(text);
  CHECK(stream.events().size() == 30);
  CHECK(stream.faults().empty());
}

TEST_CASE("a file that is rotated is followed by its name") {
  Scene scene;
  add_busy_task(scene);
  Running running = scene.start();
  running.wait_for("task_restarting");
  const fs::path rotated = scene.directory() / "events.1";
  fs::rename(scene.events_path(), rotated);
  REQUIRE(eventually([&] { return fs::exists(scene.events_path()); }));
  running.send(SIGTERM);
  const ProcessEnd end = running.process().wait();
  CHECK(end.status == 0);
  CHECK(broken_event_rules(stream_of(text_of(rotated) + text_of(scene.events_path())), {}) == "");
  CHECK(text_of(rotated).ends_with("\n"));
}

TEST_CASE("a file whose name leads nowhere any more is still written to, and that is told once") {
  Scene scene;
  add_busy_task(scene);
  const fs::path folder = scene.directory() / "folder";
  const fs::path moved = scene.directory() / "moved";
  fs::create_directory(folder);
  Process process(events_to(scene, (folder / "events").string()));
  REQUIRE(eventually([&] { return fs::exists(folder / "events") && fs::file_size(folder / "events") > 500; }));
  fs::rename(folder, moved);
  CHECK(process.wait_for_err("No such file or directory"));
  const auto size = fs::file_size(moved / "events");
  CHECK(eventually([&] { return fs::file_size(moved / "events") > size + 1000; }));
  fs::create_directory(folder);
  CHECK(eventually([&] { return fs::exists(folder / "events"); }));
  CHECK(process.wait_for_err("events go to the file of this name again"));
  process.send(SIGTERM);
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(lines_with(end.err, {"No such file or directory", "still go to"}).size() == 1);
  CHECK(broken_event_rules(stream_of(text_of(moved / "events") + text_of(folder / "events")), {}) == "");
}

TEST_CASE("a file that was removed and can't be made anew is as a full disk: told once, and tried again") {
  Scene scene;
  add_busy_task(scene);
  const fs::path folder = scene.directory() / "folder";
  const fs::path moved = scene.directory() / "moved";
  fs::create_directory(folder);
  Process process(events_to(scene, (folder / "events").string()));
  REQUIRE(eventually([&] { return fs::exists(folder / "events") && fs::file_size(folder / "events") > 500; }));
  std::ifstream removed(folder / "events", std::ios::binary);
  fs::rename(folder, moved);  // together with its folder, so that no new file can be made in between
  fs::remove_all(moved);
  CHECK(process.wait_for_err("the host keeps trying"));
  SECTION("until it can be made") {
    fs::create_directory(folder);
    CHECK(process.wait_for_err("events are being written again"));
    process.send(SIGTERM);
    const ProcessEnd end = process.wait();
    INFO(end.summary());
    CHECK(end.status == 0);
    CHECK(lines_with(end.err, {"the host keeps trying"}).size() == 1);
    const std::string first{std::istreambuf_iterator<char>(removed), {}};
    CHECK(broken_event_rules(stream_of(first + text_of(folder / "events")), {}) == "");
  }
  SECTION("until the end, where what is lost is counted") {
    process.send(SIGTERM);
    const ProcessEnd end = process.wait();
    INFO(end.summary());
    CHECK(end.status == 0);
    CHECK(has_line(end.err, {"folder/events", "No such file or directory"}));
    CHECK(has_line(end.err, {"were not written"}));
  }
}

TEST_CASE("a file that is shortened meanwhile gets no hole") {
  const bool as_stdout = GENERATE(false, true);
  Scene scene;
  add_busy_task(scene);
  const fs::path file = scene.events_path();
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  Command command = scene.command();
  if (as_stdout) {
    command.arguments[2] = "-";
    command.out_descriptor = descriptor;
  }
  Process process(command);
  ::close(descriptor);
  REQUIRE(eventually([&] { return fs::file_size(file) > 2000; }));
  fs::resize_file(file, 0);
  REQUIRE(eventually([&] { return fs::file_size(file) > 500; }));
  process.send(SIGTERM);
  CHECK(process.wait().status == 0);
  const std::string text = text_of(file);
  CHECK(text.find('\0') == std::string::npos);
  CHECK(stream_of(text).faults().empty());
  CHECK(stream_of(text).events().back().name == "host_stopped");
}

TEST_CASE("events are not appended to the manifest") {
  Scene scene;
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  Command command = scene.command();
  const std::string before = read_file(scene.manifest_path());
  command.arguments = {"--events", scene.manifest_path().string(), scene.manifest_path().string()};
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(has_line(end.err, {"is the manifest itself", "name another file"}));
  CHECK(read_file(scene.manifest_path()) == before);
}

TEST_CASE("a file size limit ends neither the host nor a line in its midst") {
  Scene scene;
  add_busy_task(scene);
  Command command = scene.command();
  command.limits.emplace_back(RLIMIT_FSIZE, 1000);
  command.out = Wiring::null_device;  // captured output would be a file, too
  Pipe err;
  command.err_descriptor = err.write_end();
  Process process(command);
  err.close_write_end();
  std::string log;
  while (log.find("can't write events") == std::string::npos) log += err.read_some();
  process.send(SIGTERM);
  log += err.read_all();
  CHECK(process.wait().status == 0);
  INFO(log);
  CHECK(has_line(log, {scene.events_path().string(), "File too large", "keeps trying"}));
  CHECK(has_line(log, {scene.events_path().string(), "were not written"}));
  const std::string text = text_of(scene.events_path());
  CHECK(text.ends_with("}\n"));
  CHECK(stream_of(text).faults().empty());
}

TEST_CASE("a full disk is told at once, and nothing is lost if there is room again") {
  Scene scene;
  add_busy_task(scene);
  const fs::path disk = scene.directory() / "disk";
  fs::create_directory(disk);
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=16k") != 0) {
    WARN("left out: no disk can be mounted here");
    return;
  }
  const fs::path filler = disk / "filler";
  std::ofstream(filler) << std::string(8192, 'x');  // leaves room for some lines and half of one
  const fs::path file = disk / "events";
  Process process(events_to(scene, file.string()));
  CHECK(process.wait_for_err("No space left on device"));
  CHECK(text_of(file).ends_with("}\n"));
  REQUIRE(::mount("none", disk.c_str(), nullptr, MS_REMOUNT, "size=16m") == 0);
  CHECK(process.wait_for_err("events are being written again"));
  process.send(SIGTERM);
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(broken_event_rules(stream_of(text_of(file)), {}) == "");
  ::umount(disk.c_str());
}

TEST_CASE("events that wait for a full disk go where the name leads meanwhile") {
  Scene scene;
  add_busy_task(scene);
  const fs::path disk = scene.directory() / "disk";
  const fs::path other = scene.directory() / "other";
  const fs::path link = scene.directory() / "link";
  fs::create_directory(disk);
  fs::create_directory(other);
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=16k") != 0) {
    WARN("left out: no disk can be mounted here");
    return;
  }
  std::ofstream(disk / "filler") << std::string(8192, 'x');
  fs::create_directory_symlink(disk, link);
  Process process(events_to(scene, (link / "events").string()));
  CHECK(process.wait_for_err("No space left on device"));
  SECTION("when it leads to another disk") {
    fs::create_directory_symlink(other, scene.directory() / "new_link");
    fs::rename(scene.directory() / "new_link", link);
  }
  SECTION("when it leads nowhere for a moment") {
    fs::remove(link);
    ::usleep(300'000);
    fs::create_directory_symlink(other, link);
  }
  CHECK(process.wait_for_err("events are being written again"));
  process.send(SIGTERM);
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  const std::string first = text_of(disk / "events");
  CHECK(first.ends_with("}\n"));
  CHECK(broken_event_rules(stream_of(first + text_of(other / "events")), {}) == "");
  ::umount(disk.c_str());
}

TEST_CASE("events and log may share a file that neither was opened to append to") {
  Scene scene;
  add_busy_task(scene);
  const fs::path file = scene.directory() / "both";
  const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int err = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  Command command = events_to(scene, "-");
  command.out_descriptor = out;
  command.err_descriptor = err;
  Process process(command);
  ::close(out);
  ::close(err);
  REQUIRE(eventually([&] { return fs::file_size(file) > 10'000; }));
  process.send(SIGTERM);
  CHECK(process.wait().status == 0);
  std::string events;
  for (const std::string& line : lines_with(text_of(file), {})) {
    if (line.starts_with('{')) events += line + '\n';
  }
  CHECK(broken_event_rules(stream_of(events), {}) == "");
  CHECK(has_line(text_of(file), {"stopped well"}));
}

TEST_CASE("the name of the FIFO that is stdout means the stream") {
  Scene scene;
  const fs::path fifo = scene.directory() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const int reader = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const int writer = ::open(fifo.c_str(), O_WRONLY | O_CLOEXEC);
  add_busy_task(scene);
  Command command = events_to(scene, fifo.string());
  command.out_descriptor = writer;
  Process process(command);
  ::close(writer);
  REQUIRE(process.wait_for_err("[pump] failed"));
  ::close(reader);  // nobody else has it open for reading, which the host would if it took it for a FIFO of its own
  CHECK(process.wait_for_err("can't write events any more"));
  process.send(SIGTERM);
  CHECK(process.wait().status == 0);
}

TEST_CASE("a reader that goes away while an event longer than a page waits for room is told") {
  Scene scene;
  Json entry = task("wordy", "fails_long", "detachable", nullptr, 1'000'000);
  entry["plugin"] = test_plugin_path("fails_long").string();
  entry["backoff"] = {{"initial", "10ms"}, {"factor", 1}};
  scene.add(entry);
  Pipe out;
  Command command = events_to(scene, "-");
  command.out_descriptor = out.write_end();
  Process process(command);
  out.close_write_end();
  REQUIRE(process.wait_for_err("not logged one by one"));  // a second, in which the pipe gets full
  out.close_read_end();
  CHECK(process.wait_for_err("can't write events any more"));
  process.send(SIGTERM);
  CHECK(process.wait().status == 0);
}

TEST_CASE("exit() of a plugin's thread while the last events wait for their reader does not replace the status") {
  Scene scene;
  scene.add(task("late", test_plugin_path("exits_late").string(), "shutdown_on_exit"));
  const Pipe out;
  out.fill();
  Command command = events_to(scene, "-");
  command.out_descriptor = out.write_end();
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(has_line(end.err, {"events are lost"}));
}

TEST_CASE("a FIFO's name with control characters stays one line in what is told at the end") {
  Scene scene;
  scene.add(task("storm", "probe", "detachable", probe_that_ends("error"), 1000));  // more than the FIFO holds
  const fs::path fifo = scene.directory() / "fifo\n2026-01-01 error forged";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const ProcessEnd end = Process(events_to(scene, fifo.string())).wait();
  INFO(end.summary());
  CHECK(has_line(end.err, {"nobody reads the events", "more events are lost"}));
  for (const std::string& line : lines_with(end.err, {"forged"})) CHECK_FALSE(line.starts_with("2026-01-01"));
}

TEST_CASE("events and last words go out though a task has left the process no descriptors") {
  if (address_sanitizer) return;  // with that for undefined behaviour, which needs descriptors itself
  Scene scene;
  Json entry = task("greedy", "limits_descriptors", "mandatory");
  entry["plugin"] = test_plugin_path("limits_descriptors").string();
  scene.add(entry);
  Pipe out;
  Command command = events_to(scene, "-");
  command.out_descriptor = out.write_end();
  Process process(command);
  out.close_write_end();
  REQUIRE(process.wait_for_err("no more descriptors"));
  process.send(SIGTERM);
  const std::string events = out.read_all();
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(broken_event_rules(stream_of(events), {}) == "");
  CHECK_FALSE(has_line(end.err, {"lost"}));
}

TEST_CASE("a reader of the events that stops reading holds up no stop, and its loss is counted") {
  Scene scene;
  add_busy_task(scene);
  const Pipe out;
  out.fill();
  Command command = events_to(scene, "-");
  command.out_descriptor = out.write_end();
  Process process(command);
  CHECK(process.wait_for_err("[pump] failed"));
  process.send(SIGTERM);
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(has_line(end.err, {"does not read", "events are lost"}));
}

TEST_CASE("a descriptor that only the host itself has open is no place for the events") {
  for (const char* path : {"/dev/fd/3", "/dev/fd/100", "/dev/fd/101"}) {
    Scene scene;
    scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
    const ProcessEnd end = Process(events_to(scene, path)).wait();
    INFO(path << ": " << end.summary());
    CHECK(end.status == 2);
    CHECK(has_line(end.err, {path, "can't write events there"}));
  }
}

TEST_CASE("a slow reader of the events gets whole lines, the count of what it missed, and the end") {
  Scene scene;
  scene.add(task("storm", "probe", "mandatory", probe_that_ends("error"), 1'000'000'000));
  Pipe out;
  Command command = events_to(scene, "-");
  command.out_descriptor = out.write_end();
  Process process(command);
  CHECK(process.wait_for_err("not logged one by one"));  // two seconds later, and many more events wait than go out
  out.close_write_end();
  std::string text;
  process.send(SIGTERM);
  for (std::string more = out.read_some(1000); !more.empty(); more = out.read_some(1000)) {
    text += more;
    ::usleep(50'000);
  }
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  const EventStream stream = stream_of(text);
  CHECK(stream.faults().empty());
  CHECK(stream.unfinished_line().empty());
  CHECK(stream.count("events_lost") >= 1);
  CHECK(stream.events().back().name == "host_stopped");
}

TEST_CASE("a pause of the process at its end loses no event") {
  Scene scene;
  scene.add(task("pump", "probe", "mandatory", idle_probe()));
  Pipe out;
  out.fill();
  Command command = events_to(scene, "-");
  command.out_descriptor = out.write_end();
  Process process(command);
  REQUIRE(process.wait_for_err("[pump] started"));
  process.send(SIGTERM);
  REQUIRE(process.wait_for_err("stopped well"));
  process.send(SIGSTOP);
  ::usleep(1'500'000);  // longer than the time for a reader
  process.send(SIGCONT);
  out.close_write_end();
  const std::string text = out.read_all();
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(broken_event_rules(stream_of(text.substr(text.find('{'))), {}) == "");
}

TEST_CASE("what lies unread in a FIFO, and what did not get into it, are counted as events") {
  Scene scene;
  scene.add(task("storm", "probe", "detachable", probe_that_ends("error"), 1000));
  const fs::path fifo = scene.directory() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const ProcessEnd end = Process(events_to(scene, fifo.string())).wait();
  INFO(end.summary());
  std::size_t lost = 0;
  for (const std::string& line : lines_with(end.err, {"events are lost"})) {
    const std::string head =
        line.substr(0, line.rfind(line.find(" more events") != std::string::npos ? " more" : " events"));
    lost += std::stoul(head.substr(head.rfind(' ') + 1));
  }
  CHECK(lost == 3008);  // host_started, plugin_loaded, 1001 × (started, exited), 1000 × restarting, and four at the end
}

TEST_CASE("a task that calls exit behind a reader that does not read has the lost events counted") {
  Scene scene;
  Json bad = task("bad", "poll_exits", "mandatory");
  bad["plugin"] = test_plugin_path("poll_exits").string();
  scene.add(bad);
  const Pipe out;
  out.fill();
  Command command = events_to(scene, "-");
  command.out_descriptor = out.write_end();
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 1);
  CHECK(has_line(end.err, {"does not read", "the last 3 events are lost"}));
}
