// How a script in Lua ends, waits, stops, and lets other tasks have their turn.
#include <string>

#include "lua_script.hpp"

using namespace lua_test;

TEST_CASE("a script that returns ends well") {
  for (const char* code : {"", "return", "return 1, 2", "return nil", "return false", "return true, 'x'"}) {
    CAPTURE(code);
    FakeHost host;
    CHECK(run(host, code) == TASKHOST_OK);
    CHECK(host.message.empty());
  }
}

TEST_CASE("a script fails by task.fail, and by returning nil or false and a text") {
  for (const char* code : {"task.fail('dry')", "return nil, 'dry'", "return false, 'dry'",
                           "coroutine.wrap(function() task.fail('dry') end)()",
                           "local ok, problem = pcall(task.fail, 'dry') return nil, problem",
                           "local ok, problem = pcall(task.fail, 'dry') error(problem)"}) {
    CAPTURE(code);
    FakeHost host;
    CHECK(run(host, code) == TASKHOST_ERROR);
    CHECK(host.message == "dry");
    CHECK(host.log.empty());
  }
}

TEST_CASE("an error that nobody catches is a panic with its place, and a traceback in the log") {
  FakeHost host;
  CHECK(run(host, "local function inner() error('dry') end\nlocal function outer()\n inner() end\nouter()") ==
        TASKHOST_PANIC);
  CHECK(host.message == "code:1: dry");
  REQUIRE(host.log.size() == 5);
  CHECK(host.log[0] == "stack traceback:");
  CHECK_THAT(host.log[3], StartsWith("code:3: "));
}

TEST_CASE("the value of an error may be anything") {
  struct Row {
    const char* code;
    const char* message;
  };
  for (const Row& row : {Row{"error(7)", "7"}, Row{"error()", "the error is a value of type nil"},
                         Row{"error({})", "the error is a value of type table"}, Row{"error({message = 'dry'})", "dry"},
                         Row{"error(setmetatable({}, {__tostring = function() return 'dry' end}))", "dry"},
                         Row{"error(setmetatable({}, {__tostring = function() error('no') end}))",
                             "the error is a value whose text can't be had"},
                         Row{"error(setmetatable({}, {__tostring = function() while true do pcall(print, 1) end end}))",
                             "the error is a value whose text can't be had"},
                         Row{"error(print)", "the error is a value of type function"}, Row{"error('a\\0b', 0)", "a"}}) {
    CAPTURE(row.code);
    FakeHost host;
    CHECK(run(host, row.code) == TASKHOST_PANIC);
    CHECK(std::string(host.message.c_str()) == row.message);
  }
}

TEST_CASE("os.exit ends the execution and not the process") {
  struct Row {
    const char* code;
    std::int32_t status;
    const char* message;
  };
  for (const Row& row :
       {Row{"os.exit() error()", TASKHOST_OK, ""}, Row{"os.exit(0) error()", TASKHOST_OK, ""},
        Row{"os.exit(true, true) error()", TASKHOST_OK, ""}, Row{"os.exit(3) error()", TASKHOST_ERROR, "os.exit(3)"},
        Row{"os.exit(false)", TASKHOST_ERROR, "os.exit(1)"},
        Row{"pcall(pcall, os.exit, 3) error()", TASKHOST_ERROR, "os.exit(3)"},
        Row{"coroutine.wrap(function() os.exit(3) end)() error()", TASKHOST_ERROR, "os.exit(3)"},
        Row{"pcall(table.sort, {1, 2, 3}, function() os.exit(3) end) while true do end", TASKHOST_ERROR,
            "os.exit(3)"}}) {
    CAPTURE(row.code);
    FakeHost host;
    CHECK(run(host, row.code) == row.status);
    CHECK(host.message == row.message);
  }
}

TEST_CASE("sleep takes seconds or a duration, and returns when the time has come, whatever wakes it") {
  struct Row {
    const char* delay;
    std::uint64_t nanoseconds;
  };
  for (const Row& row : {Row{"1.5", 1500000000}, Row{"'250ms'", 250000000}, Row{"'1.5h'", 5400000000000},
                         Row{"'8760h'", 31536000000000000}, Row{"2", 2000000000}, Row{"'7us'", 7000}, Row{"'3ns'", 3},
                         Row{"'2m'", 120000000000}}) {
    CAPTURE(row.delay);
    FakeHost host;
    const std::uint64_t begin = host.time;
    CHECK(run(host, "task.sleep(" + std::string(row.delay) + ") print 'awake'") == TASKHOST_PENDING);
    CHECK(host.wake_time == begin + row.nanoseconds);
    host.time = begin + row.nanoseconds - 1;
    CHECK(host.poll() == TASKHOST_PENDING);
    CHECK(host.log.empty());
    host.time = begin + row.nanoseconds;
    CHECK(host.poll() == TASKHOST_OK);
    CHECK(host.log == Lines{"awake"});
  }
}

TEST_CASE("sleep for ever sets no timer, and for no time it gives the others their turn") {
  FakeHost host;
  CHECK(run(host, "task.sleep(math.huge)") == TASKHOST_PENDING);
  CHECK(host.wake_time == TASKHOST_NEVER);
  for (const char* code :
       {"task.sleep(0)", "task.sleep(-5)", "task.sleep('0s')", "task.yield()", "coroutine.yield(1)"}) {
    CAPTURE(code);
    FakeHost other;
    REQUIRE(start(other, code) == TASKHOST_OK);
    CHECK(other.poll() == TASKHOST_AGAIN);
    CHECK(other.poll() == TASKHOST_OK);
  }
}

TEST_CASE("sleep refuses what is no duration") {
  for (const char* delay :
       {"'soon'", "'1'", "'-1s'", "'1 s'", "''", "'infs'", "'1e3s'", "'8761h'", "0/0", "{}", "nil", "'1s\\0'"}) {
    CAPTURE(delay);
    FakeHost host;
    CHECK(run(host, "task.sleep(" + std::string(delay) + ")") == TASKHOST_PANIC);
    CHECK_THAT(host.message, StartsWith("code:1: bad argument #1 to 'sleep'"));
  }
}

TEST_CASE("a script that never asked about the stop is dropped where it waits, and closes its variables") {
  const char* guard = "local guard <close> = setmetatable({}, {__close = function() print 'closed' end}) ";
  for (const char* code : {"task.sleep(5)", "task.readable(1000)", "while true do end", "coroutine.yield()",
                           "coroutine.wrap(function() task.sleep(5) end)()"}) {
    CAPTURE(code);
    Pipe pipe;
    FakeHost host;
    std::string text = code;
    if (const std::size_t at = text.find("1000"); at != std::string::npos) {
      text.replace(at, 4, std::to_string(pipe.ends[0]));
    }
    REQUIRE(start(host, guard + text + " print 'never'") == TASKHOST_OK);
    const std::int32_t status = host.poll();
    CHECK((status == TASKHOST_PENDING || status == TASKHOST_AGAIN));
    host.stop = true;
    CHECK(host.poll() == TASKHOST_OK);
    host.drop();
    CHECK(host.log == Lines{"closed"});
  }
}

TEST_CASE("nothing of a script runs that is stopped before its first poll") {
  FakeHost host;
  REQUIRE(start(host, "print 'never'") == TASKHOST_OK);
  host.stop = true;
  CHECK(host.poll() == TASKHOST_OK);
  CHECK(host.log.empty());
}

TEST_CASE("a script that has asked about the stop ends by itself") {
  FakeHost host;
  const char* code = GENERATE(
      "print(task.stopped())", "while not task.stop_requested() do task.sleep(1) end print(true)",
      "while not task.stopped('1s') do end print(true)", "coroutine.wrap(function() print(task.stopped()) end)()");
  CAPTURE(code);
  REQUIRE(start(host, code + std::string(" task.sleep(2) print 'saved' return nil, 'late'")) == TASKHOST_OK);
  CHECK(host.poll() == TASKHOST_PENDING);
  host.time += TASKHOST_SECOND;
  CHECK(host.poll() == TASKHOST_PENDING);
  host.stop = true;
  host.time += TASKHOST_SECOND;
  CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(host.log == Lines{"true"});
  host.time += 2 * TASKHOST_SECOND;
  CHECK(host.poll() == TASKHOST_ERROR);
  CHECK(host.log == Lines{"true", "saved"});
}

TEST_CASE("stopped with a limit tells whether the stop came or the time was over") {
  FakeHost host;
  CHECK(run(host, "print(task.stopped('1s')) print(task.stopped(1))") == TASKHOST_PENDING);
  host.time += TASKHOST_SECOND;
  CHECK(host.poll() == TASKHOST_PENDING);
  CHECK(host.log == Lines{"false"});
  host.stop = true;
  CHECK(host.poll() == TASKHOST_OK);
  CHECK(host.log == Lines{"false", "true"});
  CHECK(host.wake_time == TASKHOST_NEVER);
}

TEST_CASE("a script that loops gives the others their turn, and ends when it is stopped") {
  for (const char* code : {"while true do end", "while true do pcall(function() while true do end end) end",
                           "coroutine.wrap(function() while true do end end)()",
                           "local c = coroutine.create(function() while true do end end) coroutine.resume(c)",
                           "repeat until false", "local function f() return f() end f()"}) {
    CAPTURE(code);
    FakeHost host;
    REQUIRE(start(host, code) == TASKHOST_OK);
    for (int turn = 1; turn <= 5; ++turn) CHECK(host.poll() == TASKHOST_AGAIN);
    host.stop = true;
    CHECK(host.poll() == TASKHOST_OK);
  }
}

TEST_CASE("a long computation comes to the same result with the others' turns in between") {
  FakeHost host;
  CHECK(run(host,
            "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end "
            "local sum = 0 for i in coroutine.wrap(function() for i = 1, 22 do coroutine.yield(fib(i)) end end) do "
            "sum = sum + i end print(sum) print(select('#', coroutine.resume(coroutine.create(fib), 20)))") ==
        TASKHOST_OK);
  CHECK(host.agains > 3);
  CHECK(host.log == Lines{"46367", "2"});
}

TEST_CASE("a loop in a function that must return first ends when the stop comes") {
  FakeHost host;
  taskhost_services services = *host.exec()->services;
  services.stop_requested = [](const taskhost_exec*) -> std::int32_t {  // the stop comes while it loops
    static int calls = 0;
    return ++calls > 3 ? 1 : 0;
  };
  const_cast<taskhost_exec*>(host.exec())->services = &services;
  REQUIRE(start(host, "while true do pcall(table.sort, {1, 2, 3}, function() while true do end end) end") ==
          TASKHOST_OK);
  CHECK(host.poll() == TASKHOST_OK);
  host.drop();
}

TEST_CASE("coroutines of the script's own work as they do elsewhere, with waits in them") {
  FakeHost host;
  REQUIRE(start(host, R"(
    local numbers = coroutine.create(function(a, b)
      task.sleep(1)
      local c = coroutine.yield(a + b)
      task.sleep(1)
      return c * 2, "end"
    end)
    print(coroutine.resume(numbers, 1, 2))
    print(coroutine.status(numbers))
    print(coroutine.resume(numbers, 21))
    print(coroutine.resume(numbers))
    print(coroutine.resume(coroutine.create(function() task.yield() error("dry") end)))
    print(pcall(coroutine.wrap(function() task.yield() error("wet") end)))
    print(pcall(coroutine.resume, 1))
    local nested = coroutine.wrap(function()
      local inner = coroutine.wrap(function() task.sleep(1) coroutine.yield("inner") end)
      coroutine.yield(inner())
    end)
    print(nested())
    print(select("#", pcall(coroutine.close, nested)), coroutine.isyieldable())
  )") == TASKHOST_OK);
  std::int32_t status = TASKHOST_PENDING;
  for (int poll = 0; poll < 20 && status != TASKHOST_OK; ++poll) {
    status = host.poll();
    host.time += TASKHOST_SECOND;
  }
  CHECK(status == TASKHOST_OK);
  CHECK(host.log == Lines{"true 3", "suspended", "true 42 end", "false cannot resume dead coroutine",
                          "false code:12: dry", "false code:13: wet",
                          "false bad argument #1 to 'coroutine.resume' (coroutine expected, got number)", "inner",
                          "2 true"});
}

TEST_CASE("an error crosses a wait inside pcall") {
  FakeHost host;
  CHECK(run(host, "print(pcall(function() task.sleep(1) error('dry', 0) end))") == TASKHOST_PENDING);
  host.time += TASKHOST_SECOND;
  CHECK(host.poll() == TASKHOST_OK);
  CHECK(host.log == Lines{"false dry"});
}

TEST_CASE("waiting where it can't be done is an error with a text") {
  for (const char* code :
       {"table.sort({1, 2, 3}, function() task.sleep(1) end)", "string.gsub('x', 'x', function() task.stopped() end)",
        "string.gsub('x', 'x', function() coroutine.wrap(function() task.yield() end)() end)",
        "setmetatable({}, {__gc = function() task.sleep(1) end}) collectgarbage() error('wait here')"}) {
    CAPTURE(code);
    FakeHost host;
    CHECK(run(host, code) == TASKHOST_PANIC);
    CHECK_THAT(host.message + (host.log.empty() ? "" : host.log[0]), contains_text("wait here"));
  }
}

TEST_CASE("readable and writable wait for a descriptor") {
  Pipe pipe;
  FakeHost host;
  const Json args = {{"args", {{"in", pipe.ends[0]}, {"out", pipe.ends[1]}}}};
  CHECK(
      run(host,
          "print(task.writable(task.args.out)) print(task.readable(task.args.out, 0)) "
          "print(task.readable(task.args['in'])) print(task.readable({getfd = function() return task.args['in'] end}))",
          args) == TASKHOST_PENDING);
  CHECK(host.log == Lines{"true", "false"});
  CHECK(host.descriptors[pipe.ends[0]] == TASKHOST_READABLE);
  CHECK(host.poll() == TASKHOST_PENDING);  // after a spurious wake
  CHECK(host.descriptors[pipe.ends[0]] == TASKHOST_READABLE);
  REQUIRE(::write(pipe.ends[1], "x", 1) == 1);
  CHECK(host.poll() == TASKHOST_OK);
  CHECK(host.descriptors[pipe.ends[0]] == 0);  // no longer waited for
  CHECK(host.log == Lines{"true", "false", "true", "true"});
}

TEST_CASE("readable with a limit returns false when the time is over") {
  Pipe pipe;
  FakeHost host;
  CHECK(run(host, "print(task.readable(task.args, '1s'))", {{"args", pipe.ends[0]}}) == TASKHOST_PENDING);
  host.time += TASKHOST_SECOND;
  CHECK(host.poll() == TASKHOST_OK);
  CHECK(host.log == Lines{"false"});
  CHECK(host.descriptors[pipe.ends[0]] == 0);
}

TEST_CASE("readable raises an error for what it can't wait for") {
  Pipe pipe;
  FakeHost host;
  host.descriptor_status = TASKHOST_ERROR;
  CHECK(run(host, "task.readable(task.args)", {{"args", pipe.ends[0]}}) == TASKHOST_PANIC);
  CHECK_THAT(host.message, contains_text("can't wait for descriptor"));
  for (const char* code :
       {"task.readable(100000)", "task.readable(-1)", "task.readable('x')", "task.readable({})", "task.readable()",
        "task.readable({getfd = function() end})", "local f = io.open('/dev/null') f:close() task.readable(f)"}) {
    CAPTURE(code);
    FakeHost other;
    CHECK(run(other, code) == TASKHOST_PANIC);
    CHECK_FALSE(other.message.empty());
  }
}
