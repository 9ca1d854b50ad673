// What a script in Lua has: its file, args, libraries and memory; and the greeter.
#include <sys/stat.h>

#include <string>

#include "lua_script.hpp"

using namespace lua_test;
using namespace std::string_literals;

TEST_CASE("a script has the services of its host") {
  FakeHost host;
  host.number = 3;
  CHECK(run(host,
            "task.ready() task.heartbeat() task.heartbeat() print(task.name, task.execution, task.now()) "
            "task.log('a', 1, nil) task.debug'b' task.trace'c' task.info'd' task.warning'e' task.error'f' "
            "warn('g', 'h') print('i\\nj\\n') print() print(task.duration('250ms'), require 'task' == task) "
            "task.status('old') task.status('3 of 7')") == TASKHOST_OK);
  CHECK(host.status == "3 of 7");
  CHECK(host.readies == 1);
  CHECK(host.beats == 2);
  CHECK(host.log == Lines{"fake 3 1000.0", "a 1 nil", "b", "c", "d", "e", "f", "gh", "i", "j", "", "0.25 true"});
}

TEST_CASE("warnings can be switched off, and a long one is cut") {
  FakeHost host;
  CHECK(run(host, "warn('@off') warn('never') warn('@on') warn(('x'):rep(1000), 'y') warn('z')") == TASKHOST_OK);
  CHECK(host.log == Lines{std::string(512, 'x'), "z"});
}

TEST_CASE("args are Lua values, from any JSON") {
  FakeHost host;
  CHECK(run(host,
            "local a = ... print(a == task.args, a.list[1], a.list[2], #a.list, a.deep.er.x, a.none, a.yes, a.no) "
            "print(math.type(a.whole), math.type(a.float), a.whole, a.big, a.text)",
            Json::parse(R"({"args": {"list": [1, "two", 3.5], "deep": {"er": {"x": "y"}}, "none": null, "yes": true,
              "no": false, "whole": -7, "float": 1.0, "big": 18446744073709551615, "text": "ä\u0000b"}})")) ==
        TASKHOST_OK);
  CHECK(host.log == Lines{"true 1 two 3 y nil true false", "integer float -7 1.844674407371e+19 ä\0b"s});
  struct Row {
    const char* args;
    const char* text;
  };
  for (const Row& row : {Row{"7", "7"}, Row{"null", "nil"}, Row{"\"x\"", "x"}, Row{"false", "false"}}) {
    FakeHost other;
    CHECK(run(other, "print(task.args)", {{"args", Json::parse(row.args)}}) == TASKHOST_OK);
    CHECK(other.log == Lines{row.text});
  }
  FakeHost none;
  CHECK(run(none, "print(type(task.args), next(task.args))") == TASKHOST_OK);
  CHECK(none.log == Lines{"table nil"});
}

TEST_CASE("options take their defaults, and refuse what they don't know") {
  const char* code = "local o = task.options {a = 1, b = 'x', c = true, d = 0.5} print(o.a, o.b, o.c, o.d)";
  struct Row {
    const char* args;
    const char* text;
  };
  for (const Row& row :
       {Row{"{}", "1 x true 0.5"}, Row{R"({"a": 2, "c": false, "d": 3})", "2 x false 3"},
        Row{R"({"e": 1})", "config: /args/e: unknown key"},
        Row{R"({"a": 1.5})", "config: /args/a: must be a whole number"},
        Row{R"({"b": 1})", "config: /args/b: must be a string"},
        Row{R"({"c": 1})", "config: /args/c: must be true or false"},
        Row{R"({"d": "x"})", "config: /args/d: must be a number"}, Row{"7", "config: /args: must be an object"}}) {
    CAPTURE(row.args);
    FakeHost host;
    const bool good = run(host, code, {{"args", Json::parse(row.args)}}) == TASKHOST_OK;
    CHECK((good ? host.log.at(0) : host.message) == row.text);
  }
}

TEST_CASE("a script may use as much memory as its limit, and an error says when it is reached") {
  const char* code = "local t = {} while true do t[#t + 1] = ('x'):rep(10000) .. #t end";
  for (const unsigned limit : {1U, 8U}) {
    FakeHost host;
    CHECK(run(host, code, {{"memory_limit_mib", limit}}) == TASKHOST_PANIC);
    CHECK(host.message ==
          "not enough memory: the script may use " + std::to_string(limit) + " MiB (config: \"memory_limit_mib\")");
  }
  FakeHost host;
  CHECK(run(host,
            "print(pcall(string.rep, 'x', 1 << 30)) local t = {} for i = 1, 1000 do t = {('x'):rep(100000)} end "
            "print(collectgarbage('count') < 2048)",
            {{"memory_limit_mib", 2}}) == TASKHOST_OK);
  CHECK(host.log == Lines{"false not enough memory", "true"});
}

TEST_CASE("a script that is too big for its memory does not start") {
  FakeHost host;
  CHECK(start(host, "return '" + std::string(2000000, 'x') + "'", {{"memory_limit_mib", 1}}) == TASKHOST_ERROR);
  CHECK_THAT(host.message, StartsWith("not enough memory"));
}

TEST_CASE("functions that block, or that concern the whole process, are not there") {
  for (const char* code : {"os.execute('true')", "os.setlocale('C')", "io.popen('true')", "io.read()", "io.write('x')",
                           "io.lines()", "io.close()", "io.input()", "io.output()", "dofile()", "loadfile()",
                           "package.loadlib('x', 'y')", "debug.debug()", "debug.sethook()", "debug.getregistry()"}) {
    CAPTURE(code);
    FakeHost host;
    CHECK(run(host, code) == TASKHOST_PANIC);
    CHECK_THAT(host.message, StartsWith("code:1: "));
    CHECK_THAT(host.message, contains_text("task"));
  }
  FakeHost host;
  CHECK(run(host,
            "print(io.stdin, io.stdout, io.stderr, #package.searchers, package.cpath == '', pcall(require, 'nowhere') "
            ")") == TASKHOST_OK);
  CHECK_THAT(host.log.at(0), StartsWith("nil nil nil 2 true false module 'nowhere' not found"));
}

TEST_CASE("a script is a file, with its modules beside it") {
  Directory directory;
  directory.write("helper.lua", "return {text = 'helper of ' .. task.name}");
  directory.write("folder/init.lua", "return 'folder'");
  directory.write("lines.txt", "one\ntwo\n");
  const std::string script = directory.write(
      "main.lua", "#!/usr/bin/env lua\nprint(require('helper').text, require 'lines' or '', ...)\nerror 'dry'");
  directory.write("lines.lua", "return dofile(task.args[1])");
  directory.write("chunk.lua", "task.sleep(0) return 'chunk'");
  FakeHost host;
  host.config = Json{{"script", script}, {"args", {directory.path + "/lines.txt"}}}.dump();
  REQUIRE(host.start(lua()) == TASKHOST_OK);
  CHECK(host.poll() == TASKHOST_PANIC);
  CHECK_THAT(host.message, contains_text("lines.txt:2: syntax error"));

  const std::string other = directory.write("other.lua",
                                            "print(dofile(task.args[1]), require 'folder', require 'helper'.text)\n"
                                            "for line in io.lines(task.args[2]) do print(line) end\nlocal x = nil + 1");
  FakeHost second;
  second.config =
      Json{{"script", other}, {"args", {directory.path + "/chunk.lua", directory.path + "/lines.txt"}}}.dump();
  REQUIRE(second.start(lua()) == TASKHOST_OK);
  CHECK(second.poll() == TASKHOST_AGAIN);
  CHECK(second.poll() == TASKHOST_PANIC);
  CHECK_THAT(second.message, contains_text("other.lua:3: attempt to perform arithmetic on a nil value"));
  REQUIRE(second.log.size() > 3);
  CHECK_THAT(second.log[0], StartsWith("chunk folder helper of fake"));
  CHECK(second.log[1] == "one");
}

TEST_CASE("a script may begin with a byte order mark or a shebang, and hold any bytes") {
  Directory directory;
  struct Row {
    std::string text;
    std::int32_t start;
  };
  for (const Row& row :
       {Row{"\xEF\xBB\xBFprint('good')"s, TASKHOST_OK}, Row{"#!/usr/bin/lua\nprint('good')"s, TASKHOST_OK},
        Row{"\xEF\xBB\xBF#!/usr/bin/lua\r\nprint('good')\r\n"s, TASKHOST_OK},
        Row{"print(#'a\0b' == 3 and 'good')"s, TASKHOST_OK}, Row{"print('good')\0"s, TASKHOST_ERROR},
        Row{"\x1bLua\x54\0\x19\x93"s, TASKHOST_ERROR}, Row{"\xff\xfe"s, TASKHOST_ERROR}}) {
    FakeHost host;
    host.config = Json{{"script", directory.write("main.lua", row.text)}}.dump();
    CHECK(host.start(lua()) == row.start);
    if (row.start != TASKHOST_OK) {
      CHECK_THAT(host.message, contains_text("main.lua"));
      continue;
    }
    CHECK(host.poll() == TASKHOST_OK);
    CHECK(host.log == Lines{"good"});
  }
}

TEST_CASE("a wrong config, a missing file or a wrong script refuse the start and say why") {
  Directory directory;
  struct Row {
    Json config;
    std::string message;
  };
  std::string hungry;
  for (int number = 0; number < 50000; ++number) hungry += "x" + std::to_string(number) + "=1\n";
  REQUIRE(::mkfifo((directory.path + "/pipe.lua").c_str(), 0600) == 0);
  for (const Row& row :
       {Row{Json::object(), "config: \"script\" or \"code\" is missing"},
        Row{{{"script", "a"}, {"code", "b"}}, "config: either \"script\" or \"code\", not both"},
        Row{{{"script", ""}}, "config: /script: must name a file"},
        Row{{{"script", 7}}, "config: /script: must be a string"},
        Row{{{"code", ""}, {"memory_limit_mib", 0}}, "memory_limit_mib"},
        Row{{{"code", ""}, {"memory_limit", 5}}, "unknown key \"memory_limit\""},
        Row{{{"script", "no/such.lua"}}, "no/such.lua: No such file or directory (seen from /"},
        Row{{{"script", directory.path}}, "is no file"},
        Row{{{"code", "local x =\n= 1"}}, "code:2: unexpected symbol near '='"},
        Row{{{"script", directory.write("wrong.lua", "\n\nx x")}}, "wrong.lua:3: syntax error near 'x'"},
        Row{{{"script", directory.write("shebang.lua", "#!/bin/lua\nx x")}}, "shebang.lua:2: syntax error near 'x'"},
        Row{{{"script", directory.write("null.lua", std::string("x = 1\n\0", 7))}}, "null.lua:2: unexpected symbol"},
        Row{{{"script", directory.write("compiled.lua", "\x1BLua")}}, "compiled.lua: attempt to load a binary chunk"},
        Row{{{"script", directory.write("deep.lua", "x = " + std::string(1000, '('))}}, "deep.lua: C stack overflow"},
        Row{{{"script", directory.write("large.lua", std::string(5000000, ' '))}}, "large.lua: has more than 4 MiB"},
        Row{{{"script", directory.write("hungry.lua", hungry)}, {"memory_limit_mib", 1}}, "not enough memory"},
        Row{{{"script", directory.path + "/pipe.lua"}}, "pipe.lua: is no file"},
        Row{{{"script", "/dev/null"}}, "/dev/null: is no file"}}) {
    FakeHost host;
    host.config = row.config.dump();
    CAPTURE(host.config);
    CHECK(host.start(lua()) == TASKHOST_ERROR);
    CHECK_THAT(host.message, contains_text(row.message));
    host.message.clear();
    CHECK(lua().check(host.exec()) == TASKHOST_ERROR);
    CHECK_THAT(host.message, contains_text(row.message));
  }
}

TEST_CASE("a check reads a script in Lua and executes nothing of it") {
  Directory directory;
  for (const char* text : {"", "error('executed')", "\xEF\xBB\xBF#!/bin/lua\nerror('\xE4')", "#", "# x"}) {
    FakeHost host;
    host.config = Json{{"script", directory.write("right.lua", text)}}.dump();
    CAPTURE(text);
    CHECK(lua().check(host.exec()) == TASKHOST_OK);
    CHECK(host.log.empty());
    CHECK(host.start(lua()) == TASKHOST_OK);
  }
}

TEST_CASE("what a script leaves behind is given back, and can't hold up the drop") {
  FakeHost host;
  REQUIRE(start(host,
                "local c <close> = setmetatable({}, {__close = function() while true do pcall(print, 1) end end}) "
                "local d <close> = setmetatable({}, {__close = function() task.sleep(1) end}) task.sleep(1)") ==
          TASKHOST_OK);
  CHECK(host.poll() == TASKHOST_PENDING);
  host.drop();
  REQUIRE(host.log.size() > 1);
  CHECK_THAT(host.log.back(), StartsWith("closing its variables: "));
}

TEST_CASE("a restart is a fresh state") {
  FakeHost host;
  for (host.number = 1; host.number <= 100; ++host.number) {
    CHECK(run(host, "seen = (seen or 0) + 1 print(seen, task.execution) string.new = 1") == TASKHOST_OK);
    CHECK(host.log == Lines{"1 " + std::to_string(host.number)});
    host.log.clear();
    host.drop();
  }
}

TEST_CASE("the greeter in Lua greets as all greeters do") {
  FakeHost host;
  const auto with = [&](const Json& args) {
    host.drop();
    host.log.clear();
    host.readies = 0;
    host.config = Json{{"script", LUA_GREETER}, {"args", args}}.dump();
    REQUIRE(host.start(lua()) == TASKHOST_OK);
    return host.poll();
  };
  CHECK(with(Json::object()) == TASKHOST_PENDING);
  CHECK(host.log == Lines{"hello from Lua"});
  CHECK(host.readies == 1);
  CHECK(host.wake_time == host.time + TASKHOST_SECOND);
  CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(host.log.size() == 1);
  host.stop = true;
  CHECK(host.poll() == TASKHOST_OK);
  host.stop = false;
  CHECK(with({{"times", 1}}) == TASKHOST_OK);
  CHECK(with({{"times", 1}, {"end", "error"}}) == TASKHOST_ERROR);
  CHECK(host.message == "was told to fail");
  CHECK(with({{"times", 1}, {"end", "panic"}}) == TASKHOST_PANIC);
  CHECK_THAT(host.message, contains_text("was told to panic"));
  for (const Json& args : {Json{{"end", "explode"}}, Json{{"every", 5}}, Json{{"every", "soon"}}, Json{{"times", -1}},
                           Json{{"times", "two"}}, Json{{"greting", "hi"}}}) {
    CAPTURE(args);
    CHECK(with(args) == TASKHOST_ERROR);
    CHECK_THAT(host.message, StartsWith("config: /args/"));
  }
}
