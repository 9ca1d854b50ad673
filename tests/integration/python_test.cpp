// Scripts in Python, in the program: outcomes, the stop, their environment, and many of them at once. All of it is
// here, since a blocking task with threads of its own needs a host with a real clock.
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
  return task(name, "python", type, {{"code", code}}, restarts);
}

Run run_one(std::string_view code, const Json& more = Json::object(), const char* isolation = "none") {
  Scene scene;
  scene.manifest["defaults"] = {{"isolation", isolation}};
  Json entry = script("snake", "shutdown_on_exit", code);
  entry["config"].update(more);
  scene.add(entry);
  return scene.run({"--log-level", "debug"});
}

ProcessEnd check(Scene& scene) {
  scene.command();  // writes the manifest
  return run_program({"check", "--plugin-dir", plugin_directory().string(), scene.manifest_path().string()});
}

// Waits until it is ready, then asks it to stop.
Run stop_one(std::string_view code) {
  Scene scene;
  scene.manifest["defaults"] = {{"stop_timeout", "10h"}};
  scene.add(script("snake", "mandatory", code));
  Running running = scene.start({"--log-level", "debug"});
  running.wait_for("task_ready");
  running.send(SIGTERM);
  return running.finish();
}

}  // namespace

TEST_CASE("the end of a script in Python is the outcome of its execution") {
  struct Row {
    const char* code;
    const char* outcome;
    const char* message;
  };
  const Row row = GENERATE(
      Row{"", "ok", ""}, Row{"import sys; sys.exit()", "ok", ""}, Row{"import sys; sys.exit(0)", "ok", ""},
      Row{"raise task.Failure('dry')", "error", "dry"}, Row{"task.fail('dry')", "error", "dry"},
      Row{"import sys; sys.exit(3)", "error", "sys.exit(3)"}, Row{"import sys; sys.exit('dry')", "error", "dry"},
      Row{"\ndef f(): raise ValueError('dry')\nf()", "panic", "ValueError: dry (<code>:2)"},
      Row{"raise BaseException('dry')", "panic", "BaseException: dry (<code>:1)"},
      Row{"task.sleep('soon')", "panic",
          "ValueError: must be a number of seconds, or a duration such as \"250ms\", \"10s\" or \"1.5h\" (<code>:1)"},
      Row{"class E(Exception):\n def __str__(self): raise ValueError\nraise E", "panic",
          "E, and its text can't be had: ValueError"},
      Row{"def f(): f()\nf()", "panic", "RecursionError: maximum recursion depth exceeded (<code>:1)"});
  const char* const isolation = GENERATE("none", "process");
  CAPTURE(row.code, isolation);
  const Run run = run_one(row.code, Json::object(), isolation);
  CHECK(run.status() == (std::string(row.outcome) == "ok" ? 0 : 1));
  CHECK(run.first("task_exited").outcome == row.outcome);
  CHECK(run.first("task_exited").message == row.message);
}

TEST_CASE("a traceback is in the log") {
  const Run run = run_one("def inner(): raise ValueError('dry')\ninner()");
  CHECK(has_line(run.log(), {"error", "snake", "Traceback (most recent call last):"}));
  CHECK(has_line(run.log(), {"error", "snake", "line 1, in inner"}));
}

TEST_CASE("a script in Python is stopped in time, where it sleeps, computes or waits for the stop") {
  struct Row {
    const char* code;
    const char* told;
  };
  const Row row = GENERATE(
      Row{"try: task.ready(), task.sleep('10h')\nfinally: print('closed')", "closed"},
      Row{"import time\ntry: task.ready(), time.sleep(36000)\nexcept Exception: task.sleep(36000)\nfinally: "
          "print('closed')",
          "closed"},
      Row{"try:\n task.ready()\n while True:\n  try: sum(range(1000))\n  except Exception: pass\nfinally: "
          "print('closed')",
          "closed"},
      Row{"task.stop_requested(), task.ready()\ntask.stopped()\ntask.sleep('10ms')\nprint('saved')", "saved"},
      Row{"while not task.stop_requested():\n task.ready()\n sum(range(1000))\ntask.sleep('10ms')\nprint('saved')",
          "saved"},
      Row{"while not task.stopped('1ms'): task.ready()\nprint('saved')", "saved"},
      Row{"import threading\ndef f():\n task.ready()\n try: task.sleep('10h')\n finally: print('closed')\n"
          "t = threading.Thread(target=f)\ntry: t.start(), t.join()\nfinally: t.join()",
          "closed"},
      Row{"import asyncio\nasync def main():\n work = asyncio.create_task(asyncio.sleep(36000))\n "
          "task.stop_requested(), task.ready()\n"
          " await asyncio.to_thread(task.stopped)\n work.cancel()\n print('saved')\nasyncio.run(main())",
          "saved"});
  CAPTURE(row.code);
  const Run run = stop_one(row.code);
  CHECK(run.status() == 0);
  CHECK(run.events.story("snake").find("task_stopping task_stopped") != std::string::npos);
  CHECK(has_line(run.log(), {"snake", row.told}));
  CHECK(run.log().find("Traceback") == std::string::npos);
}

TEST_CASE("a script in Python that does not come back is abandoned and named") {
  Scene scene;
  scene.manifest["defaults"] = {{"stop_timeout", "100ms"}};
  scene.add(script("snake", "mandatory",
                   "import threading\nlock = threading.Lock()\nlock.acquire()\ntask.status('waits for the lock')\n"
                   "task.stop_requested(), task.ready()\nlock.acquire()"));
  Running running = scene.start();
  running.wait_for("task_ready");
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 4);
  CHECK(run.events.count("task_abandoned", "snake") == 1);
  CHECK(has_line(run.log(), {"snake", "its last status was \"waits for the lock\""}));
}

TEST_CASE("what a script in Python prints is in the log, line by line, and not on stdout") {
  const Run run = run_one(
      "import sys, logging, threading\nprint('one\\ntwo', 3)\nprint('a', end='')\nprint('b')\nprint('loose', end='')\n"
      "print('wrong', file=sys.stderr)\nlogging.warning('logged')\ntask.debug('d', 1)\ntask.error('e')\n"
      "t = threading.Thread(target=print, args=('from a thread',))\nt.start()\nt.join()\nprint('\\udc80')");
  CHECK(run.status() == 0);
  for (const char* text : {"info    [snake] one", "info    [snake] two 3", "info    [snake] ab",
                           "info    [snake] loose", "warning [snake] wrong", "warning [snake] WARNING:root:logged",
                           "debug   [snake] d 1", "error   [snake] e", "info    [snake] from a thread"}) {
    CAPTURE(text);
    CHECK(has_line(run.log(), {text}));
  }
  CHECK(run.end.out.empty());
}

TEST_CASE("modules in C can be imported") {
  const Run run = run_one(
      "import _json, ctypes, sqlite3, decimal, asyncio, zoneinfo, subprocess, math\n"
      "print(sqlite3.connect(':memory:').execute('select 6 * 7').fetchone()[0])\n"
      "print(ctypes.CDLL(None).getpid() > 0, subprocess.run(['echo', 'hello'], capture_output=True).stdout)");
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"snake", "42"}));
  CHECK(has_line(run.log(), {"snake", "True b'hello\\n'"}));
}

TEST_CASE("the process stays as it is: signals, locale, environment") {
  const Run run = run_one(
      "import signal, locale, sys, threading\n"
      "print(locale.setlocale(locale.LC_ALL), signal.getsignal(signal.SIGPIPE), sys.flags.isolated, sys.stdin)\n"
      "try: signal.signal(signal.SIGINT, signal.SIG_IGN)\nexcept ValueError as error: print(error)");
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"C ", " 1 None"}));
  CHECK(has_line(run.log(), {"rule 5.1"}));
}

TEST_CASE("args, options, the task's name and number reach a script in Python") {
  const Run run = run_one(
      "print(task.args['list'][1], task.name, task.execution, __name__, task.now() > 0)\n"
      "print(task.options(list=[], whole=7, part=0.5))\ntask.options(whole=1)",
      {{"args", {{"list", {1, "two"}}, {"part", 2}}}});
  CHECK(has_line(run.log(), {"two snake 1 __taskhost__ True"}));
  CHECK(has_line(run.log(), {"namespace(list=[1, 'two'], whole=7, part=2)"}));
  CHECK(run.first("task_exited").message == "config: /args/list: unknown key");
}

TEST_CASE("a script in Python is a file with modules beside it, read anew at each restart") {
  Scene scene;
  const std::string file = (scene.directory() / "main.py").string();
  std::filesystem::create_directories(scene.directory() / "more");
  std::ofstream(scene.directory() / "helper.py") << "text = 'helper'\n";
  std::ofstream(scene.directory() / "more" / "further.py") << "text = 'further'\n";
  std::ofstream(file)
      << "\xEF\xBB\xBF# with a byte order mark\nimport helper, further\nfrom dataclasses import dataclass\n"
         "@dataclass\nclass Point:\n  x: 'int'\nprint(helper.text, further.text, Point(1), __file__)\n"
         "assert 'seen' not in globals()\nseen = True\n"
         "if task.execution == 1: open(__file__, 'a').write('task.fail(\"edited\")\\n')\n"
         "else: raise ValueError\nraise KeyError(7)\n";
  scene.add(
      task("snake", "python", "mandatory", {{"script", file}, {"path", {(scene.directory() / "more").string()}}}, 1));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(has_line(run.log(), {"helper further Point(x=1)", "main.py"}));
  CHECK(run.first("task_exited").message == "KeyError: 7 (" + file + ":12)");
  CHECK(run.events.count("task_started", "snake") == 2);
}

TEST_CASE("a wrong config of a script in Python is told before anything starts") {
  struct Row {
    Json config;
    const char* message;
  };
  for (const Row& row :
       {Row{Json::object(), "\"script\" or \"code\" is missing"},
        Row{{{"code", ""}, {"script", "a"}}, "either \"script\" or \"code\", not both"},
        Row{{{"script", "no/such.py"}}, "/no/such.py: No such file or directory"},
        Row{{{"script", "/tmp"}}, "\"script\": /tmp: is no file"},
        Row{{{"code", ""}, {"path", "x"}}, "must be an array"}, Row{{{"code", ""}, {"arg", 1}}, "unknown key \"arg\""},
        Row{{{"code", "x x"}}, "<code>:1: SyntaxError: invalid syntax: x x"},
        Row{{{"code", "print('x')\nif x:\n"}},
            "<code>:2: IndentationError: expected an indented block after 'if' statement on line 2"},
        Row{{{"code", std::string("a\0b", 3)}}, "<code>: ValueError: source code string cannot contain"},
        Row{{{"code", "return"}}, "<code>:1: SyntaxError: 'return' outside function"}}) {
    CAPTURE(row.config);
    Scene scene;
    scene.add(task("snake", "python", "shutdown_on_exit", row.config));
    const Run run = scene.run();
    CHECK(run.status() == 2);
    CHECK(run.events.count("task_started") == 0);
    CHECK(has_line(run.log(), {"/tasks/0/config", row.message}));
  }
}

TEST_CASE("a check reads and compiles a script in Python, and executes nothing") {
  struct Row {
    std::string text;
    std::string message;  // none: it is right
  };
  const Row row = GENERATE(
      Row{"import no_such_module\nprint('executed')\nraise ValueError\n", ""},
      Row{"\xEF\xBB\xBF#!/usr/bin/env python3\nx = 'a\xC3\xA4'\n", ""},
      Row{"# -*- coding: latin-1 -*-\nx = '\xE4'\n", ""}, Row{"", ""},
      Row{"x = 1\nprint('x'\n", "main.py:2: SyntaxError: '(' was never closed: print('x'"},
      Row{"x = '\xE4'\n", "main.py:1: SyntaxError: (unicode error) 'utf-8' codec can't decode byte 0xe4"},
      Row{"# -*- coding: klingon -*-\n", "SyntaxError: unknown encoding: klingon"},
      Row{std::string("x = 1\n\0\n", 8), "ValueError: source code string cannot contain null bytes"},
      Row{std::string(1000, '(') + std::string(1000, ')'), "main.py:1: SyntaxError: too many nested parentheses"},
      Row{"x = " + std::string(100000, '-') + "1", "main.py: nested too deeply"},
      Row{"x = " + std::string(3000, '~') + "1", "main.py: RecursionError: maximum recursion depth exceeded"},
      Row{"x = 1\n" + std::string(5000000, '#'), "main.py: has more than 4 MiB"});
  CAPTURE(row.message);
  Scene scene;
  std::ofstream(scene.directory() / "main.py", std::ios::binary) << row.text;
  scene.add(task("snake", "python", "mandatory", {{"script", "main.py"}}));
  const ProcessEnd end = check(scene);
  CHECK(end.status == (row.message.empty() ? 0 : 2));
  CHECK((end.out + end.err).find("executed") == std::string::npos);
  if (!row.message.empty()) CHECK(has_line(end.err, {"/tasks/0/config", row.message}));
}

TEST_CASE("a check of a script in Python does not wait for a pipe, and tells what is no file") {
  Scene scene;
  REQUIRE(::mkfifo((scene.directory() / "pipe.py").c_str(), 0600) == 0);
  std::filesystem::create_directory(scene.directory() / "folder.py");
  for (const char* script : {"pipe.py", "folder.py", "/dev/null", "/dev/tty"}) {
    CAPTURE(script);
    Scene one;
    one.add(task("snake", "python", "mandatory", {{"script", (scene.directory() / script).string()}}));
    const ProcessEnd end = check(one);
    CHECK(end.status == 2);
    CHECK(has_line(end.err, {"\"script\": ", script}));
  }
}

TEST_CASE("a check of scripts in Python passes the compiler's warnings on") {
  Scene scene;
  scene.add(script("one", "mandatory", "x = 5\nprint(x is 5)"));
  scene.add(script("two", "mandatory", "x x"));
  scene.add(script("three", "mandatory", "y y"));
  const ProcessEnd end = check(scene);
  CHECK(end.status == 2);
  CHECK(has_line(end.out + end.err, {"one", "SyntaxWarning: \"is\" with a literal"}));
  CHECK(has_line(end.err, {"/tasks/1/config", "x x"}));
  CHECK(has_line(end.err, {"/tasks/2/config", "y y"}));
}

TEST_CASE("a script in Python that is wrong only after the check fails") {
  Scene scene;
  const std::string file = (scene.directory() / "main.py").string();
  std::ofstream(file) << "open(__file__, 'w').write('x = 1\\nx x')\ntask.fail('once')\n";
  scene.add(task("snake", "python", "mandatory", {{"script", file}}, 1));
  const Run run = scene.run();
  CHECK(run.status() == 1);
  CHECK(has_line(run.log(), {"snake", file + ":2: SyntaxError: invalid syntax: x x"}));
}

TEST_CASE("many scripts in Python run side by side, fail, restart, and stop") {
  Scene scene;
  for (int number = 0; number < 10; ++number) {
    const std::string name = std::to_string(number);
    scene.add(script("sleeper " + name, "mandatory", "print('up')\ntask.ready()\ntask.sleep('10h')"));
    scene.add(script("worker " + name, "mandatory", "task.ready()\nwhile True: sum(range(1000))"));
    scene.add(script("flake " + name, "detachable", "x = [x for x in range(100)]\nraise ValueError(x)", 20));
  }
  Running running = scene.start({"--log-level", "warning"});
  running.wait_for("task_discarded", {}, 10);
  running.wait_for("task_ready", {}, 20);
  running.send(SIGTERM);
  const Run run = running.finish();
  CHECK(run.status() == 0);
  CHECK(run.events.count("task_started") == 230);
  CHECK(run.events.count("task_stopped") == 20);
}

TEST_CASE("threads that a script leaves behind are told, and can't disturb the host") {
  const Run run = run_one(
      "import threading, time\ndef f():\n for i in range(10):\n  try: task.log('late')\n  except RuntimeError: pass\n"
      "  time.monotonic()\nstopper = threading.Event()\ndef g():\n stopper.wait(0.05)\n "
      "f()\nthreading.Thread(target=g).start()");
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"warning", "1 of the script's threads still run"}));
}

TEST_CASE("the greeter in Python greets as all greeters do") {
  const char* const isolation = GENERATE("none", "process");
  CAPTURE(isolation);
  const auto with = [isolation](const Json& args) {
    Scene scene;
    scene.manifest["defaults"] = {{"isolation", isolation}};
    scene.add(
        task("greeter", "python", "shutdown_on_exit", {{"script", TASKHOST_TEST_PYTHON_GREETER}, {"args", args}}));
    return scene.run();
  };
  const Run run = with({{"times", 2}, {"every", "1ms"}});
  CHECK(run.status() == 0);
  CHECK(lines_with(run.log(), {"greeter", "hello from Python"}).size() == 2);
  CHECK(run.events.count("task_ready") == 1);
  CHECK(with({{"times", 1}, {"end", "error"}}).first("task_exited").message == "was told to fail");
  CHECK(with({{"times", 1}, {"end", "panic"}}).first("task_exited").outcome == "panic");
  for (const Json& args : {Json{{"end", "explode"}}, Json{{"every", 5}}, Json{{"every", "soon"}}, Json{{"times", -1}},
                           Json{{"greting", "hi"}}}) {
    CAPTURE(args);
    const Run wrong = with(args);
    CHECK(wrong.first("task_exited").outcome == "error");
    CHECK(wrong.first("task_exited").message.find("config: /args/") == 0);
  }
}

TEST_CASE("a script in Python is looked for beside the manifest, wherever the host was started") {
  Scene scene;
  scene.directory().write("scripts/task.py", "import helper\ntask.log(helper.words)\n");
  scene.directory().write("scripts/helper.py", "words = 'from beside the manifest'\n");
  scene.add(task("snake", "python", "shutdown_on_exit", {{"script", "scripts/task.py"}}));
  Command command = scene.command();
  command.working_directory = "/";
  const Run run = scene.start(command).finish();
  CHECK(run.status() == 0);
  CHECK(has_line(run.log(), {"from beside the manifest"}));
}
