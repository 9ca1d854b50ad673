// The plugin exec in the program: ordinary programs, which end in all ways, print, are ready, and are stopped.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

// A script of the shell, in which $1 is the scene's directory.
Json script(const Scene& scene, const std::string& code, const Json& more = Json::object()) {
  Json config{{"argv", {"sh", "-c", code, "sh", scene.directory().path().string()}}};
  config.update(more);
  return config;
}

Run run_script(const std::string& code, const Json& more = Json::object()) {
  Scene scene;
  scene.add(task("job", "exec", "shutdown_on_exit", script(scene, code, more)));
  return scene.run({"--log-level", "debug"});
}

std::vector<std::string> lines_of_job(const Run& run) {
  std::vector<std::string> lines;
  for (const std::string& line : lines_with(run.log(), {" [job] "})) {
    if (has_line(line, {"[job] ready"})) continue;                                  // which may come at any time
    lines.push_back(line.substr(line.find_first_not_of(' ', line.find(' ', 11))));  // without date and time
  }
  return lines;
}

bool is_alive(pid_t process) { return ::kill(process, 0) == 0 || errno == EPERM; }
pid_t process_in(const std::filesystem::path& file) {
  const std::string text = text_of(file);
  return text.empty() || text.back() != '\n' ? 0 : std::stoi(text);
}
// Of processes that are no longer anybody's, the end is told to nobody.
bool is_gone(const std::filesystem::path& file) {
  const pid_t process = process_in(file);
  if (process <= 0) return false;
  return eventually([process] {
    return !is_alive(process) ||
           text_of("/proc/" + std::to_string(process) + "/stat").find(") Z ") != std::string::npos;
  });
}

}  // namespace

TEST_CASE("how a program ends is the outcome of its execution") {
  struct Row {
    const char* code;
    const char* outcome;
    const char* message;
    Json more = Json::object();
  };
  const std::vector<Row> rows = {
      {"exit 0", "ok", ""},
      {"exit 3", "error", "ended with status 3"},
      {"exit 3", "ok", "", {{"ok_statuses", {0, 3}}}},
      {"exit 0", "error", "ended with status 0", {{"ok_statuses", {3}}}},
      {"exit 255", "error", "ended with status 255"},
      {"ulimit -c 0; kill -SEGV $$", "error", "was killed by SIGSEGV"},
      {"ulimit -c 0; kill -ABRT $$", "error", "was killed by SIGABRT"},
      {"kill -KILL $$", "error", "was killed by SIGKILL from outside, perhaps for lack of memory"},
      {"kill -TERM $$", "error", "was killed by SIGTERM"},
      {"echo why >&2; exit 1", "error", "ended with status 1; the last line on stderr: why"},
  };
  for (const Row& row : rows) {
    INFO(row.code);
    const Run run = run_script(row.code, row.more);
    CHECK(run.first("task_exited").outcome == row.outcome);
    CHECK(run.first("task_exited").message == row.message);
    CHECK(run.status() == (std::string(row.outcome) == "ok" ? 0 : 1));
  }
}

TEST_CASE("what a program prints is in the log, line by line, with the levels that it gives") {
  const Run run = run_script(
      "echo one; echo '<3>three'; echo '<4>four'; echo '<6>six'; echo '<7>seven'; echo '<9>nine';"
      "printf 'carriage\\r\\n'; printf 'bell\\a and\\ttab\\n'; printf 'no end'");
  CHECK(lines_of_job(run) == std::vector<std::string>{"info    [job] started", "info    [job] one",
                                                      "error   [job] three", "warning [job] four", "info    [job] six",
                                                      "debug   [job] seven", "info    [job] <9>nine",
                                                      "info    [job] carriage", R"(info    [job] bell\u0007 and tab)",
                                                      "info    [job] no end", lines_of_job(run).back()});
}

TEST_CASE("a line that never ends is cut, and bytes that are no text are shown as such") {
  const Run run = run_script("head -c 1000000 /dev/zero | tr '\\0' x; echo; printf 'a\\377\\000b\\n'; exit 0");
  CHECK(run.status() == 0);
  const std::vector<std::string> cut = lines_with(run.log(), {"xxxxxxxxxx (cut)"});
  REQUIRE(cut.size() == 1);
  CHECK(cut[0].size() < 4200);
  const Run accents = run_script(R"(printf 'x'; yes '\303\251' | head -n 3000 | tr -d '\n' | xargs -0 printf; exit 1)");
  CHECK(has_line(accents.log(), {"éé (cut)"}));  // and no half of one
  const Run words = run_script(R"(printf 'x%.0s' $(seq 199) >&2; echo é >&2; exit 1)");
  CHECK(words.first("task_exited").message == "ended with status 1; the last line on stderr: " + std::string(199, 'x'));
  CHECK(has_line(run.log(), {R"(a\xff\u0000b)"}));
}

TEST_CASE("a flood of lines from one program leaves the others their turn, and is stopped like any other") {
  Scene scene;
  scene.manifest["shards"] = 1;
  scene.add(task("flood", "exec", "mandatory", {{"argv", {"yes"}}}));
  scene.add(task("pulse", "probe", "shutdown_on_exit", probe_that_ends("ok", "300ms")));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stopped", "flood") == 1);
  if (!sanitized) CHECK(run.events.count("task_stalled") == 0);
}

TEST_CASE("what a program has left running is killed at its end, and its open pipes delay nothing") {
  Scene scene;
  scene.add(task("job", "exec", "shutdown_on_exit",
                 script(scene,
                        "sleep 1000 & echo $! >$1/child; setsid sh -c 'echo $$ >$0/stranger; exec sleep 1000' $1 &"
                        "until [ -s $1/stranger ]; do sleep 0.01; done; exit 4",
                        {{"ok_statuses", {4}}})));
  const Run run = scene.run();
  CHECK(run.status() == 0);

  CHECK(is_gone(scene.directory() / "child"));
  const pid_t stranger = process_in(scene.directory() / "stranger");  // in a session of its own: nobody's business
  REQUIRE(stranger > 0);
  CHECK(is_alive(stranger));
  ::kill(stranger, SIGKILL);
}

TEST_CASE("what has escaped from a program and writes for ever delays nothing") {
  Scene scene;
  scene.add(task("job", "exec", "shutdown_on_exit",
                 script(scene,
                        "setsid python3 -c 'import fcntl, os, sys\n"
                        "fcntl.fcntl(1, 1031, 1048576)\n"  // F_SETPIPE_SZ: so that there is always more to read
                        "open(sys.argv[1] + \"/stranger\", \"w\").write(f\"{os.getpid()}\\n\")\n"
                        "os.execvp(\"yes\", [\"yes\"])' $1 &"
                        "until [ -s $1/stranger ]; do sleep 0.01; done; sleep 0.1; exit 4",
                        {{"ok_statuses", {4}}})));
  const Run run = scene.run();
  CHECK(run.status() == 0);
  CHECK(run.first("task_exited").outcome == "ok");
  CHECK(is_gone(scene.directory() / "stranger"));  // by SIGPIPE
}

TEST_CASE("a program that is given by its path is told the whole path, wherever it runs") {
  Scene scene;
  std::filesystem::create_directory(scene.directory() / "work");
  std::filesystem::create_symlink("/bin/sh", scene.directory() / "shell");
  scene.add(task("job", "exec", "shutdown_on_exit",
                 {{"argv", {"./shell", "-c", "tr '\\0' ' ' </proc/$$/cmdline"}}, {"directory", "work"}}));
  const Run run = scene.run();
  CHECK(has_line(run.log(), {"[job] " + (scene.directory() / "./shell").string() + " -c"}));
}

TEST_CASE("a port is not taken for open because an attempt has met itself") {
  Scene scene;
  Json entry =
      task("deaf", "exec", "mandatory", {{"argv", {"sleep", "1000"}}, {"ready", {{"tcp", "127.0.0.1:47115"}}}});
  entry["ready"] = "notify";
  scene.add(entry);
  scene.add(task("pulse", "probe", "shutdown_on_exit", probe_that_ends("ok", "500ms")));
  // In a network of its own, where this port is the only one that an attempt can have.
  Command command;
  command.program = "/bin/sh";
  const Command plain = scene.command();
  command.environment = plain.environment;
  command.arguments = {"-c",
                       "exec unshare --net sh -c 'ip link set lo up && echo 47115 47115 "
                       ">/proc/sys/net/ipv4/ip_local_port_range && exec \"$@\"' sh \"$@\"",
                       "sh"};
  Command tried = command;
  tried.arguments.emplace_back("true");
  if (Process(tried).wait().status != 0) {
    WARN("skipped: only root can make a network of its own");
    return;
  }
  command.arguments.push_back(plain.program.string());
  command.arguments.insert(command.arguments.end(), plain.arguments.begin(), plain.arguments.end());
  const Run run = scene.start(command).finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_ready", "deaf") == 0);
}

TEST_CASE("a program whose end a debugger holds back costs nothing, and has ended once it lets go") {
  const Run run = run_script(
      "exec python3 -c 'import ctypes, os, time\n"
      "libc = ctypes.CDLL(None)\n"
      "libc.prctl(0x59616d61, ctypes.c_ulong(-1), 0, 0, 0)\n"  // PR_SET_PTRACER: anybody
      "debugged = os.getpid()\n"
      "if os.fork() == 0:\n"
      "  os.setsid()\n"
      "  if libc.ptrace(16, debugged, 0, 0) != 0:\n"  // PTRACE_ATTACH, which containers may forbid
      "    os.kill(debugged, 9)\n"
      "    os._exit(0)\n"
      "  os.waitpid(debugged, 0)\n"
      "  libc.ptrace(7, debugged, 0, 0)\n"  // PTRACE_CONT
      "  os.kill(debugged, 11)\n"
      "  os.waitpid(debugged, 0)\n"  // it stops with the signal
      "  libc.ptrace(7, debugged, 0, 9)\n"
      "  time.sleep(1.5)\n"
      "  os._exit(0)\n"
      "time.sleep(1000)'");
  CHECK(run.first("task_exited").message == "was killed by SIGKILL from outside, perhaps for lack of memory");
  CHECK_FALSE(has_line(run.log(), {"keeps a processor busy"}));
}

TEST_CASE("a program is ready when the config says that it is") {
  Scene scene;
  const auto add = [&](const char* name, const std::string& code, const Json& ready) {
    Json entry = task(name, "exec", "mandatory", script(scene, code, {{"ready", ready}}));
    entry["ready"] = "notify";
    scene.add(entry);
  };
  add("started", "sleep 1000", "started");
  add("printed", "echo warming up; echo 'now listening on 80' >&2; sleep 1000", {{"line", "listening on"}});
  // As sd_notify does it, from a child whose own end may come first.
  add("notified",
      "python3 -c 'import os, socket\n"
      "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
      "s.sendto(b\"STATUS=warm\\nREADY=1\\nWATCHDOG=1\", chr(0) + os.environ[\"NOTIFY_SOCKET\"][1:])'; sleep 1000",
      "notify");
  add("silent", "python3 -c 'import os, sys; sys.exit(\"NOTIFY_SOCKET\" in os.environ)' && echo heard; sleep 1000",
      {{"line", "never"}});
  // Ports that the system gives to nobody who asks for any.
  add("connected",
      "python3 -c 'import socket, time\n"
      "time.sleep(0.3)\n"
      "s = socket.create_server((\"127.0.0.1\", 24713))\n"
      "time.sleep(1000)'",
      {{"tcp", "127.0.0.1:24713"}});
  Running running = scene.start();
  for (const char* name : {"started", "printed", "notified", "connected"}) running.wait_for("task_ready", name);
  CHECK(running.process().wait_for_err("[silent] heard"));
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_ready", "silent") == 0);
}

TEST_CASE("a program that prints without a pause is ready as well") {
  Scene scene;
  scene.manifest["shards"] = 1;
  Json entry = task("loud", "exec", "mandatory",
                    script(scene,
                           "exec python3 -c 'import fcntl, os, socket\n"
                           "fcntl.fcntl(1, 1031, 1048576)\n"
                           "server = socket.create_server((\"127.0.0.1\", 24714))\n"
                           "server.set_inheritable(True)\n"
                           "os.execvp(\"yes\", [\"yes\", \"zz\"])'",
                           {{"ready", {{"tcp", "127.0.0.1:24714"}}}}));
  entry["ready"] = "notify";
  scene.add(entry);
  Running running = scene.start();
  running.wait_for("task_ready");
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("a stop is asked for with the signal of the config, and ends well however the program takes it") {
  struct Row {
    const char* code;
    const char* signal;
    const char* words;  // in the log
  };
  const std::vector<Row> rows = {
      {"exec sleep 1000", "SIGTERM", ""},
      {"trap 'echo bye; exit 0' INT; echo up; while :; do sleep 0.01; done", "SIGINT", "bye"},
      {"trap 'exit 143' TERM; while :; do sleep 0.01; done", "SIGTERM", ""},
      {"trap 'exit 5' HUP; while :; do sleep 0.01; done", "SIGHUP", "asked to stop, it ended with status 5"},
      {"kill -STOP $$; exit 0", "SIGTERM", ""},
      {"exec sleep 1000", "SIGKILL", ""},
  };
  for (const Row& row : rows) {
    INFO(row.code << " " << row.signal);
    Scene scene;
    Json entry = task(
        "job", "exec", "mandatory",
        script(scene, std::string("echo up; ") + row.code, {{"stop_signal", row.signal}, {"ready", {{"line", "up"}}}}));
    entry["ready"] = "notify";
    scene.add(entry);
    Running running = scene.start();
    running.wait_for("task_ready");
    running.send(SIGTERM);
    const Run run = running.finish();
    CHECK(run.status() == 0);
    CHECK_FALSE(has_line(run.log(), {"did not stop in time"}));
    CHECK(has_line(run.log(), {row.words}));
  }
}

TEST_CASE("a program that is deaf to the stop is killed at stop_timeout, with its group") {
  Scene scene;
  Json entry = task("deaf", "exec", "mandatory",
                    script(scene,
                           "trap '' TERM; (trap '' TERM; echo $$ >$1/parent; while :; do sleep 1000; done) &"
                           "echo $! >$1/child; wait",
                           {{"ready", "started"}}));
  entry["stop_timeout"] = "200ms";
  scene.add(entry);
  Running running = scene.start();
  CHECK(eventually([&] { return process_in(scene.directory() / "child") > 0; }));
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(has_line(run.log(), {"[deaf]", "did not stop in time and was dropped"}));
  CHECK(is_gone(scene.directory() / "parent"));
  CHECK(is_gone(scene.directory() / "child"));
}

TEST_CASE("a program gets the environment, directory, signals and descriptors that it should") {
  Scene scene;
  std::filesystem::create_directory(scene.directory() / "work");
  Json config =
      script(scene,
             "echo \"A=$A B=${B-unset} D=$(pwd) N=${NOTIFY_SOCKET-unset}\"; ls /proc/self/fd | tr '\\n' ' ';"
             "echo; grep -E 'Sig(Blk|Ign)' /proc/self/status; readlink /proc/self/fd/0; ps -o sid=,pgid= -p $$"
             " >/dev/null; [ \"$(cut -d' ' -f6 /proc/$$/stat)\" = $$ ] && echo leads a session",
             {{"env", {{"A", "one two"}, {"B", nullptr}}}, {"directory", "work"}});
  scene.add(task("job", "exec", "shutdown_on_exit", config));
  Command command;
  command.program = "/bin/sh";
  const Command plain = scene.command();
  std::string words =
      "trap '' CHLD HUP USR1; export A=0 B=2 NOTIFY_SOCKET=/nowhere/at/all; exec '" + plain.program.string() + "'";
  for (const std::string& argument : plain.arguments) words += " '" + argument + "'";
  command.arguments = {"-c", words + " 7</dev/null"};
  command.environment = plain.environment;
  const Run run = scene.start(command).finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"A=one two B=unset D=" + (scene.directory() / "work").string() + " N=unset"}));
  CHECK(has_line(run.log(), {"0 1 2 3"}));  // 3: the directory that ls reads
  CHECK_FALSE(has_line(run.log(), {"0 1 2 3 4"}));
  CHECK(has_line(run.log(), {"SigBlk:", "0000000000000000"}));
  // glibc's posix_spawn ignores two signals of its own in what it starts, 32 and 33.
  CHECK((has_line(run.log(), {"SigIgn:", "0000000000000000"}) || has_line(run.log(), {"SigIgn:", "0000000180000000"})));
  CHECK(has_line(run.log(), {"/dev/null"}));
  CHECK(has_line(run.log(), {"leads a session"}));
}

TEST_CASE("a wrong config is told before anything is started, with what would be right") {
  struct Row {
    Json config;
    const char* place;
    const char* words;
  };
  const std::vector<Row> rows = {
      {Json::object(), "/argv", R"(must be a program with its arguments, such as ["backup", "--all"])"},
      {{{"argv", Json::array()}}, "/argv", "must be a program"},
      {{{"argv", "ls -l"}}, "/argv", "must be an array"},
      {{{"argv", {"ls", 7}}}, "/argv/1", "must be a string"},
      {{{"argv", {"ls", std::string("a\0b", 3)}}}, "/argv/1", "must not contain"},
      {{{"argv", {"no-such-program"}}}, "/argv/0", R"(there is no program "no-such-program" in )"},
      {{{"argv", {"./text"}}}, "/argv/0", "text: it may not be executed; chmod +x makes it a program"},
      {{{"argv", {"/etc"}}}, "/argv/0", "/etc: it is a directory"},
      {{{"argv", {"./none"}}}, "/argv/0", "none: No such file or directory"},
      {{{"argv", {"ls"}}, {"env", {"A=1"}}}, "/env", R"(must be an object such as {"LANG": "C.UTF-8", "DEBUG": null})"},
      {{{"argv", {"ls"}}, {"env", {{"A", 1}}}}, "/env/A", "must be a string, or null"},
      {{{"argv", {"ls"}}, {"env", {{"A=B", "1"}}}}, "/env", "a name must not be empty or have a ="},
      {{{"argv", {"ls"}}, {"directory", "none"}}, "/directory", ""},
      {{{"argv", {"ls"}}, {"directory", "text"}}, "/directory", "text: it is not a directory"},
      {{{"argv", {"ls"}}, {"stop_signal", "TERM"}}, "/stop_signal", "must be one of SIGTERM, SIGINT"},
      {{{"argv", {"ls"}}, {"ok_statuses", {256}}}, "/ok_statuses/0", ""},
      {{{"argv", {"ls"}}, {"ok_statuses", 0}}, "/ok_statuses", "must be an array"},
      {{{"argv", {"ls"}}, {"ready", "later"}}, "/ready", R"(must be "started", "notify", {"line": "part of a line"})"},
      {{{"argv", {"ls"}}, {"ready", {{"line", ""}}}}, "/ready", "must be"},
      {{{"argv", {"ls"}}, {"ready", {{"line", "a\nb"}}}}, "/ready/line", "must be part of one line"},
      {{{"argv", {"ls"}}, {"ready", "notify"}, {"env", {{"NOTIFY_SOCKET", "/x"}}}},
       "/env/NOTIFY_SOCKET",
       "must be absent"},
      {{{"argv", {"ls"}}, {"ready", {{"tcp", "localhost:80"}}}}, "/ready/tcp", "must be a numeric address and a port"},
      {{{"argv", {"ls"}}, {"ready", {{"tcp", "127.0.0.1:0"}}}}, "/ready/tcp", "must be"},
      {{{"argv", {"ls"}}, {"shell", true}}, "", R"(unknown key "shell")"},
  };
  for (const Row& row : rows) {
    INFO(row.config);
    Scene scene;
    scene.directory().write("text", "hello");
    scene.add(task("job", "exec", "detachable", row.config));
    const Run run = scene.run();
    CHECK(run.status() == 2);
    CHECK(has_line(run.log(), {std::string("/tasks/0/config") + row.place, row.words}));
  }
}

TEST_CASE("a program that is gone when it is to be started fails the start, and is there again at the next") {
  Scene scene;
  const auto program = scene.directory().write("job.sh", "#!/bin/sh\nexit 0\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  scene.add(task("job", "exec", "mandatory", {{"argv", {"./job.sh"}}}, 3));
  scene.manifest["tasks"][0]["backoff"] = {{"initial", "1ms"}};
  scene.manifest["tasks"][0]["after"] = {"remover"};
  scene.add(task("remover", "exec", "detachable",
                 script(scene, "mv $1/job.sh $1/away.sh; echo gone; sleep 1000", {{"ready", {{"line", "gone"}}}})));
  scene.manifest["tasks"][1]["ready"] = "notify";
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(run.events.count("task_start_failed", "job") + run.events.count("task_exited", "job") == 4);
  CHECK(has_line(run.log(), {"[job]", "job.sh: No such file or directory"}));
}

TEST_CASE("a program that can't be executed is told with what is wrong about it") {
  struct Row {
    const char* text;
    const char* words;
    bool is_open_for_writing = false;
  };
  const std::vector<Row> rows = {
      {"echo hello\n", "nor a script that begins with #!"},
      {"#!/bin/sh\r\nexit 0\r\n", "not the program, but the interpreter in its first line"},
      {"#!/bin/sh\nexit 0\n", "somebody has it open for writing", true},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    Scene scene;
    const auto program = scene.directory().write("job", row.text);
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    scene.add(task("job", "exec", "detachable", {{"argv", {"./job"}}}));
    std::ofstream writer;
    if (row.is_open_for_writing) writer.open(program, std::ios::app);
    const Run run = scene.run();
    CHECK(has_line(run.log(), {"[job]", "can't start ", row.words}));
  }
}

TEST_CASE("a program that has become another user's is told when it can't be stopped") {
  Scene scene;
  const auto program = scene.directory() / "setpriv";
  std::filesystem::copy_file("/usr/bin/setpriv", program);
  std::filesystem::permissions(program, std::filesystem::perms(04755));
  std::filesystem::permissions(scene.directory().path(), std::filesystem::perms(0777));
  Json entry = task("job", "exec", "mandatory",
                    {{"argv", {"./setpriv", "--reuid=0", "sh", "-c", "echo $$ >process; echo up; exec sleep 1000"}},
                     {"ready", {{"line", "up"}}}});
  entry["ready"] = "notify";
  entry["stop_timeout"] = "100ms";
  scene.add(entry);
  Command command = scene.command();
  if (!run_as_stranger(command)) return;
  Running running = scene.start(command);
  running.wait_for("task_ready");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(has_line(run.log(), {"[job]", "it can't be asked to stop, nor be killed: Operation not permitted"}));
  ::kill(process_in(scene.directory() / "process"), SIGKILL);
}

TEST_CASE("five hundred programs need no threads of their own, and all are stopped") {
  constexpr int crowd = 500;
  Scene scene;
  scene.manifest["shards"] = 2;
  for (int number = 0; number < crowd; ++number) {
    scene.add(task("sleeper" + std::to_string(number), "exec", "mandatory", {{"argv", {"sleep", "1000"}}}));
  }
  Running running = scene.start({"--log-level", "warning"});
  running.wait_for("task_ready", {}, crowd);
  const std::string status = text_of("/proc/" + std::to_string(running.process().id()) + "/status");
  const std::size_t threads = status.find("Threads:");
  REQUIRE(threads != std::string::npos);
  CHECK(std::stoi(status.substr(threads + 8)) < 20);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_stopped") == crowd);
  CHECK(run.events.count("task_restarting") == 0);
}

TEST_CASE("a host without descriptors fails the start with the reason, and goes on") {
  if (address_sanitizer) return;  // UBSan's check of an object's type opens a descriptor, and fails without one
  Scene scene;
  scene.manifest["shards"] = 1;
  for (int number = 0; number < 100; ++number) {
    scene.add(task("job" + std::to_string(number), "exec", "detachable", {{"argv", {"sleep", "1000"}}}));
  }
  scene.add(task("pulse", "probe", "shutdown_on_exit", probe_that_ends("ok", "300ms")));
  Command command = scene.command();
  command.limits.push_back({RLIMIT_NOFILE, 150});
  const Run run = scene.start(command).finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"Too many open files"}));
}
