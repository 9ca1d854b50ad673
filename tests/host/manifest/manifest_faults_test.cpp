// The lines an operator reads when a manifest is wrong.
#include <string>
#include <string_view>
#include <vector>

#include "manifest/faults.hpp"
#include "manifest/manifest.hpp"
#include "readings.hpp"
#include "support/catch.hpp"

using taskhost::read_manifest;
using namespace taskhost::test;

namespace {

// One task with these fields in addition to "plugin".
std::string one_task(const std::string& fields) { return R"({"tasks": [{"plugin": "p", )" + fields + "}]}"; }
std::string one_mandatory(const std::string& fields) { return one_task(R"("type": "mandatory", )" + fields); }
std::string top(const std::string& fields) { return R"({"autoload": {"type": "detachable"}, )" + fields + '}'; }

const std::string type_words = R"("shutdown_on_exit", "mandatory" or "detachable")";
const std::string duration_expected = R"((line 1): expected a duration such as "250ms", "10s" or "1.5h", found )";
const std::string restarts_expected =
    "m: /tasks/0/restarts (line 1): expected a whole number from 0 to 4294967294 or \"unlimited\", found ";
const std::string task_fields =
    R"(; a task may have "name", "plugin", "task", "type", "restarts", "stop_timeout", "config", "window", "backoff", "reset_after", "ready", "start_timeout", "watchdog", "on_give_up", "exit_rules", "repeat", "isolation", "limits", "user", "process", "after" and "group"; what is for the plugin belongs in "config")";
const std::string nothing_to_run = R"(nothing to run; give "tasks" at least one entry, or add "autoload")";

}  // namespace

TEST_CASE("a file without JSON is refused") {
  const std::string fault =
      R"(m: line 1, column 1: the file contains no JSON; a manifest is an object, such as {"tasks": [...]})";
  check({{"", {fault}}, {" \n\t", {fault}}, {"// only a comment\n/* or two */", {fault}}, {"\xef\xbb\xbf", {fault}}});
}

TEST_CASE("syntax errors are told by line, column and what was expected") {
  check({
      {"{",
       {R"(m: line 1, column 2: the file ends too early: the object that begins at line 1, column 1 is not closed with "}")"}},
      {"{\"tasks\":\n  [",
       {R"(m: line 2, column 4: the file ends too early: the array that begins at line 2, column 3 is not closed with "]")"}},
      {R"({"tasks")",
       {R"(m: line 1, column 9: the file ends too early: the object that begins at line 1, column 1 is not closed with "}")"}},
      {R"({"tasks":)",
       {R"(m: line 1, column 10: the file ends too early: the object that begins at line 1, column 1 is not closed with "}")"}},
      {"{\"tasks\": \"p\n\"}",
       {R"(m: line 1, column 11: close this string on its line; write a line break within a string as \n)"}},
      {R"({"tasks": "p)", {"m: line 1, column 11: close this string with a double quote"}},
      {R"({"shards": })", {R"(m: line 1, column 12: expected a value, found "}")"}},
      {R"({"shards" 1})", {R"(m: line 1, column 11: expected ":" after the field's name, found "1")"}},
      {"{\"shards\": 1\n \"tasks\": []}",
       {R"(m: line 2, column 2: expected "," or "}" after this value, found the string "tasks"; is a comma missing?)"}},
      {"{\"plugin_dirs\": [\"a\" \"b\"]}",
       {R"(m: line 1, column 22: expected "," or "]" after this value, found the string "b"; is a comma missing?)"}},
      {R"({"shards": 1,})", {R"(m: line 1, column 13: remove the comma before "}")"}},
      {R"({"plugin_dirs": ["a" , ]})", {R"(m: line 1, column 22: remove the comma before "]")"}},
      {R"({"shards": 1,, "tasks": []})",
       {R"(m: line 1, column 14: expected a field's name in double quotes, found ",")"}},
      {R"({,})", {R"(m: line 1, column 2: expected a field's name in double quotes, found ",")"}},
      {R"({shards: 1})", {R"(m: line 1, column 2: expected a field's name in double quotes, found "shards")"}},
      {R"({'shards': 1})", {"m: line 1, column 2: expected a field's name in double quotes, found a single quote"}},
      {R"({"$schema": 'x'})",
       {"m: line 1, column 13: expected a value, found a single quote; put strings in double quotes"}},
      {R"({"shards": True})", {R"(m: line 1, column 12: expected a value, found "True"; did you mean true?)"}},
      {R"({"shards": nil})", {R"(m: line 1, column 12: expected a value, found "nil"; put strings in double quotes)"}},
      {R"({"shards": nul})", {R"(m: line 1, column 12: expected a value, found "nul"; did you mean null?)"}},
      {R"({"shards": many})",
       {R"(m: line 1, column 12: expected a value, found "many"; put strings in double quotes)"}},
      {R"({"shards": +1})",
       {R"(m: line 1, column 12: "+1" is not a valid number in JSON; if it is a string, put it in double quotes)"}},
      {R"({"shards": .5})",
       {R"(m: line 1, column 12: ".5" is not a valid number in JSON; if it is a string, put it in double quotes)"}},
      {R"({"shards": 1.})",
       {R"(m: line 1, column 12: "1." is not a valid number in JSON; if it is a string, put it in double quotes)"}},
      {R"({"shards": 02})", {"m: line 1, column 12: write this number without its leading 0"}},
      {R"({"shards": 1e999})", {R"(m: line 1, column 12: the number "1e999" is too large)"}},
      {R"({"shutdown_timeout": 10s})",
       {R"(m: line 1, column 22: "10s" is not a valid number in JSON; if it is a string, put it in double quotes)"}},
      {R"({"shards": -007})", {"m: line 1, column 12: write this number without its leading 0"}},
      {R"({"plugin_dirs": ["a"}})", {R"(m: line 1, column 21: expected "," or "]" after this value, found "}")"}},
      {top(R"("shards": 1)") + " x",
       {R"(m: line 1, column 51: expected nothing after the manifest's closing "}", found "x")"}},
      {"}", {R"(m: line 1, column 1: expected a value, found "}")"}},
      {"\xef\xbb\xbf}", {R"(m: line 1, column 1: expected a value, found "}")"}},
      {"tasks:\n  - plugin: p\n",
       {R"(m: line 1, column 1: expected a value, found "tasks"; put strings in double quotes)"}},
      {R"({"shards": 1 / 2})", {R"(m: line 1, column 14: unexpected "/"; write comments as // ... or /* ... */)"}},
      {R"({"shards": 1 # one)", {R"(m: line 1, column 14: expected "," or "}" after this value, found "#")"}},
      {"{\n/* \"shards\": 1}", {"m: line 2, column 1: close this comment with */"}},
  });
}

TEST_CASE("what is wrong within a string is told where it stands") {
  check({
      {"{\"a\tb\": 1}", {R"(m: line 1, column 4: a control character in a string; write it as \u0009)"}},
      {R"({"plugin_dirs": ["C:\plugins"]})",
       {R"(m: line 1, column 22: "\p" is not a valid escape in JSON; write a backslash itself as \\)"}},
      {R"({"a": "\u12"})", {R"(m: line 1, column 12: \u must be followed by four hexadecimal digits)"}},
      {R"({"a": "\udc00"})",
       {R"(m: line 1, column 13: half of a surrogate pair; write the character as two \u escapes, or unescaped in UTF-8)"}},
      {"{\"a\": \"\xc3\xa9\xff\"}", {"m: line 1, column 9: invalid UTF-8 (byte 0xff); save the file as UTF-8"}},
      {"{\"a\": \"\xe9t\xe9\"}", {"m: line 1, column 9: invalid UTF-8 (byte 0x74); save the file as UTF-8"}},
      {"{\"a\": \xff}", {R"(m: line 1, column 7: expected a value, found "\xff")"}},
  });
}

TEST_CASE("other encodings are named") {
  check({{std::string("\xff\xfe{\0}\0", 6), {"m: line 1, column 1: the file is UTF-16; save it as UTF-8"}},
         {std::string("\xfe\xff\0{\0}", 6), {"m: line 1, column 1: the file is UTF-16; save it as UTF-8"}},
         {std::string("{}\0", 3), {"m: line 1, column 3: found a NUL byte; a manifest is JSON text in UTF-8"}}});
}

TEST_CASE("what is not an object at the top is refused") {
  const std::string expected = R"(m: line 1: expected an object at the top, such as {"tasks": [...]}, found )";
  check({{"[]", {expected + "an array"}},
         {"null", {expected + "null"}},
         {"true", {expected + "a boolean (true)"}},
         {"12", {expected + "a number (12)"}},
         {R"("text")", {expected + R"(a string ("text"))"}}});
}

TEST_CASE("a manifest with nothing to run is refused") {
  check({{"{}", {"m: line 1: " + nothing_to_run}},
         {"{\n\"tasks\": []}", {"m: /tasks (line 2): " + nothing_to_run}},
         {R"({"shards": 2, "plugin_dirs": ["a"]})", {"m: line 1: " + nothing_to_run}}});
}

TEST_CASE("unknown fields are told with the nearest that is known") {
  check({
      {top(R"("shard": 2)"), {R"(m: /shard (line 1): unknown field "shard"; did you mean "shards"?)"}},
      {top(R"("Plugin-Dirs": [])"),
       {R"(m: /Plugin-Dirs (line 1): unknown field "Plugin-Dirs"; did you mean "plugin_dirs"?)"}},
      {one_mandatory(R"("restart": 2)"),
       {R"(m: /tasks/0/restart (line 1): unknown field "restart"; did you mean "restarts"?)"}},
      {one_mandatory(R"("timeout": "1s")"), {R"(m: /tasks/0/timeout (line 1): unknown field "timeout")" + task_fields}},
      {one_mandatory(R"("zzz": {})"), {R"(m: /tasks/0/zzz (line 1): unknown field "zzz")" + task_fields}},
      {top(R"("defaults": {"zzz": 1})"),
       {R"(m: /defaults/zzz (line 1): unknown field "zzz"; "defaults" may have "stop_timeout", "window", "backoff", "reset_after", "ready", "start_timeout", "watchdog", "on_give_up", "exit_rules", "isolation", "limits" and "user")"}},
      {R"({"autoload": {"type": "detachable", "typo": 1}})",
       {R"(m: /autoload/typo (line 1): unknown field "typo"; did you mean "type"?)"}},
  });
}

TEST_CASE("a field in the wrong place is told its place") {
  check({
      {top(R"("stop_timeout": "1s")"),
       {R"(m: /stop_timeout (line 1): unknown field "stop_timeout" in the top object; it belongs in "defaults", "autoload" or a task)"}},
      {one_mandatory(R"("shards": 2)"),
       {R"(m: /tasks/0/shards (line 1): unknown field "shards" in a task; it belongs in the top object)"}},
      {top(R"("task": [])"),
       {R"(m: /task (line 1): unknown field "task"; did you mean "tasks"? (spelled like this, it belongs in a task))"}},
  });
}

TEST_CASE("a pointer to a strange key is escaped and stays on one line") {
  const std::string& fields = task_fields;
  check({
      {one_mandatory(R"("a/b~c": 1)"), {R"(m: /tasks/0/a~1b~0c (line 1): unknown field "a/b~c")" + fields}},
      {one_mandatory(R"("a\n\u001b[31m\u009b": 1)"),
       {R"(m: /tasks/0/a\u000a\u001b[31m\u009b (line 1): unknown field "a\u000a\u001b[31m\u009b")" + fields}},
      {one_mandatory(R"("": 1)"), {R"(m: /tasks/0/ (line 1): unknown field "")" + fields}},
      {one_mandatory('"' + std::string(1000, 'x') + "\": 1"),
       {"m: /tasks/0/" + std::string(128, 'x') + "… (line 1): unknown field \"" + std::string(60, 'x') + "…\"" +
        fields}},
  });
}

TEST_CASE("a key given twice in one object is refused, at any depth") {
  check({
      {"{\"shards\": 1,\n\"shards\": 1, \"autoload\": {\"type\": \"detachable\"}}",
       {"m: /shards (line 2): given twice in one object, first on line 1; keep one of the two"}},
      {one_mandatory("\n\"type\": \"nonsense\""),
       {"m: /tasks/0/type (line 2): given twice in one object, first on line 1; keep one of the two"}},
      {one_mandatory(R"("config": [0, {"a": {"b": 1, "c": 2, "b": 3}}])"),
       {"m: /tasks/0/config/1/a/b (line 1): given twice in one object, first on line 1; keep one of the two"}},
      {one_mandatory(R"("config": {"a": 1, "\u0061": 2})"),
       {"m: /tasks/0/config/a (line 1): given twice in one object, first on line 1; keep one of the two"}},
      {R"({"tasks": [{"name": "n", "plugin": "p", "type": "mandatory"}], "tasks": [{"name": "n", "x": 1}]})",
       {"m: /tasks (line 1): given twice in one object, first on line 1; keep one of the two"}},
  });
}

TEST_CASE("a key given twice is found among many") {
  std::string config = "{";
  for (int index = 0; index < 1000; ++index) {
    config += '"' + std::to_string(index) + "\": 0, ";
  }
  check({{one_mandatory("\"config\": " + config + "\n\"999\": 0}"),
          {"m: /tasks/0/config/999 (line 2): given twice in one object, first on line 1; keep one of the two"}}});
}

TEST_CASE("values of a wrong type are told with the one that was found") {
  check({
      {R"({"tasks": {}})", {"m: /tasks (line 1): expected an array, found an object"}},
      {R"({"tasks": null})", {"m: /tasks (line 1): expected an array, found null"}},
      {R"({"tasks": ["p"]})", {R"(m: /tasks/0 (line 1): expected an object, found a string ("p"))"}},
      {R"({"autoload": true})", {"m: /autoload (line 1): expected an object, found a boolean (true)"}},
      {top(R"("defaults": [])"), {"m: /defaults (line 1): expected an object, found an array"}},
      {top(R"("$schema": 7)"), {"m: /$schema (line 1): expected a string, found a number (7)"}},
      {top(R"("plugin_dirs": "plugins")"),
       {R"(m: /plugin_dirs (line 1): expected an array, found a string; write ["plugins"])"}},
      {top(R"("plugin_dirs": ["a", 1.50])"), {"m: /plugin_dirs/1 (line 1): expected a string, found a number (1.50)"}},
      {one_mandatory(R"("name": 7)"), {"m: /tasks/0/name (line 1): expected a string, found a number (7)"}},
      {one_mandatory(R"("task": {})"), {"m: /tasks/0/task (line 1): expected a string, found an object"}},
      {one_task(R"("type": 3)"), {"m: /tasks/0/type (line 1): expected a string, found a number (3)"}},
      {one_mandatory(R"("restarts": "3")"), {restarts_expected + R"(a string ("3"))"}},
  });
}

TEST_CASE("numbers out of range are told with the range") {
  check({
      {one_mandatory(R"("restarts": -1)"), {restarts_expected + "a number (-1)"}},
      {one_mandatory(R"("restarts": 4294967295)"), {restarts_expected + "a number (4294967295)"}},
      {one_mandatory(R"("restarts": 1.5)"), {restarts_expected + "a number (1.5)"}},
      {one_mandatory(R"("restarts": 99999999999999999999)"), {restarts_expected + "a number (99999999999999999999)"}},
      {top(R"("shards": 0)"), {"m: /shards (line 1): expected a whole number from 1 to 256, found a number (0)"}},
      {top(R"("shards": 257)"), {"m: /shards (line 1): expected a whole number from 1 to 256, found a number (257)"}},
  });
}

TEST_CASE("bad durations are told with what one looks like") {
  check({
      {top(R"("shutdown_timeout": 10)"),
       {"m: /shutdown_timeout " + duration_expected +
        R"(a number (10); write it as a string with a unit, such as "10s")"}},
      {top(R"("shutdown_timeout": null)"), {"m: /shutdown_timeout " + duration_expected + "null"}},
      {top(R"("shutdown_timeout": "10")"),
       {"m: /shutdown_timeout " + duration_expected + R"("10"; add a unit (ns, us, ms, s, m or h), as in "10s")"}},
      {top(R"("defaults": {"stop_timeout": "-1s"})"),
       {"m: /defaults/stop_timeout " + duration_expected + R"("-1s"; a duration can't be negative)"}},
      {one_mandatory(R"("stop_timeout": "10 s")"),
       {"m: /tasks/0/stop_timeout " + duration_expected + R"("10 s"; remove the space: "10s")"}},
      {one_mandatory(R"("stop_timeout": "2d")"),
       {"m: /tasks/0/stop_timeout " + duration_expected +
        R"("2d"; write a number and a unit (ns, us, ms, s, m or h), such as "10s")"}},
      {one_mandatory(R"("stop_timeout": "366000h")"),
       {"m: /tasks/0/stop_timeout " + duration_expected + R"("366000h"; write 365 days ("8760h") at most)"}},
  });
}

TEST_CASE("unknown task types are told with the nearest, or with all") {
  check({
      {one_task(R"("type": "mandatry")"),
       {R"(m: /tasks/0/type (line 1): unknown task type "mandatry"; did you mean "mandatory"?)"}},
      {one_task(R"("type": "Shutdown-On-Exit")"),
       {R"(m: /tasks/0/type (line 1): unknown task type "Shutdown-On-Exit"; did you mean "shutdown_on_exit"?)"}},
      {one_task(R"("type": "detach")"),
       {R"(m: /tasks/0/type (line 1): unknown task type "detach"; did you mean "detachable"?)"}},
      {one_task(R"("type": "permanent")"),
       {R"(m: /tasks/0/type (line 1): unknown task type "permanent"; use )" + type_words}},
      {one_task(R"("type": "")"), {R"(m: /tasks/0/type (line 1): unknown task type ""; use )" + type_words}},
  });
}

TEST_CASE("restarts of a task that is never restarted are refused") {
  const std::string fault =
      R"( (line 1): a "shutdown_on_exit" task is never restarted; remove "restarts" or choose another type)";
  check({
      {one_task(R"("type": "shutdown_on_exit", "restarts": 3)"), {"m: /tasks/0/restarts" + fault}},
      {one_task(R"("restarts": 0, "type": "shutdown_on_exit")"), {"m: /tasks/0/restarts" + fault}},
      {R"({"autoload": {"type": "shutdown_on_exit", "restarts": 1}})", {"m: /autoload/restarts" + fault}},
  });
}

TEST_CASE("required fields that are missing are told") {
  check({
      {R"({"tasks": [{"type": "mandatory"}]})",
       {R"(m: /tasks/0 (line 1): "plugin" is missing; it names the library, such as "plugin": "feed")"}},
      {R"({"tasks": [{"plugin": "p"}]})", {R"(m: /tasks/0 (line 1): "type" is missing; use )" + type_words}},
      {R"({"autoload": {}})", {R"(m: /autoload (line 1): "type" is missing; use )" + type_words}},
  });
}

TEST_CASE("empty, overlong and unprintable texts are refused") {
  const std::string empty = " (line 1): expected a string with at least one character, found an empty one";
  check({
      {one_mandatory(R"("name": "")"), {"m: /tasks/0/name" + empty}},
      {one_mandatory(R"("task": "")"), {"m: /tasks/0/task" + empty}},
      {R"({"tasks": [{"plugin": "", "type": "mandatory"}]})", {"m: /tasks/0/plugin" + empty}},
      {top(R"("name": "")"), {"m: /name" + empty}},
      {top(R"("name": "two words")"),
       {R"(m: /name (line 1): the name "two words" of a host may have letters, digits, '.', '_' and '-' only, and )"
        "begins with a letter, a digit or '_'"}},
      {top(R"("name": ")" + std::string(65, 'n') + '"'), {"m: /name (line 1): a host's name has 1 to 64 characters"}},
      {top(R"("plugin_dirs": [""])"), {"m: /plugin_dirs/0" + empty}},
      {top(R"("plugin_dirs": [])"),
       {"m: /plugin_dirs (line 1): expected at least one directory; remove this field to search the manifest's own"}},
      {one_mandatory(R"("name": ")" + std::string(129, 'n') + '"'),
       {"m: /tasks/0/name (line 1): expected at most 128 bytes, found 129 (\"" + std::string(60, 'n') + "…\")"}},
      {one_mandatory(R"("name": "a\u0000b")"),
       {R"(m: /tasks/0/name (line 1): control characters are not allowed here, found "a\u0000b")"}},
      {one_mandatory(R"("name": "\u001b[2J")"),
       {R"(m: /tasks/0/name (line 1): control characters are not allowed here, found "\u001b[2J")"}},
      {one_mandatory(R"("name": "\u009b2J")"),
       {R"(m: /tasks/0/name (line 1): control characters are not allowed here, found "\u009b2J")"}},
  });
}

TEST_CASE("a name given twice is told with both places") {
  check(
      {{R"({"tasks": [
{"name": "reader", "plugin": "a", "type": "mandatory"},
{"name": "writer", "plugin": "a", "type": "mandatory"},
{"name": "reader", "plugin": "b", "type": "mandatory"}]})",
        {R"(m: /tasks/2/name (line 4): the name "reader" is taken by /tasks/0 (line 2); give each task a name of its own)"}}});
}

TEST_CASE("deep nesting is refused, however deep it is") {
  const std::string fault = "arrays and objects are nested more than 256 levels deep; parsing stopped here";
  std::string objects = R"({"tasks": [{"config": )";
  const std::size_t start = objects.size();
  for (int level = 0; level < 1'000'000; ++level) {
    objects += R"({"":)";
  }
  const auto faults = faults_of(objects);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0] == "m: line 1, column " + std::to_string(start + 253 * 4 + 1) + ": " + fault);
  CHECK(faults_of(one_mandatory("\"config\": " + std::string(254, '[') + std::string(254, ']'))).size() == 1);
  CHECK(faults_of(std::string(1'000'000, '[')).size() == 1);
}

TEST_CASE("all faults are told in one run, in the order of the text") {
  check(
      {{R"({
  "shards": 0,
  "tasks": [
    {"stop_timeout": "1", "restarts": -1, "type": "other", "nmae": "a"},
    7,
    {"plugin": "p", "type": "mandatory", "config": {"a": 1, "a": 2}}
  ],
  "tsks": [],
  "autoload": {"restarts": 1}
})",
        {
            "m: /shards (line 2): expected a whole number from 1 to 256, found a number (0)",
            R"(m: /tasks/0 (line 4): "plugin" is missing; it names the library, such as "plugin": "feed")",
            R"(m: /tasks/0/stop_timeout (line 4): expected a duration such as "250ms", "10s" or "1.5h", found "1"; add a unit (ns, us, ms, s, m or h), as in "1s")",
            R"(m: /tasks/0/restarts (line 4): expected a whole number from 0 to 4294967294 or "unlimited", found a number (-1))",
            R"(m: /tasks/0/type (line 4): unknown task type "other"; use )" + type_words,
            R"(m: /tasks/0/nmae (line 4): unknown field "nmae"; did you mean "name"?)",
            "m: /tasks/1 (line 5): expected an object, found a number (7)",
            "m: /tasks/2/config/a (line 6): given twice in one object, first on line 6; keep one of the two",
            R"(m: /tsks (line 8): unknown field "tsks"; did you mean "tasks"?)",
            R"(m: /autoload (line 9): "type" is missing; use )" + type_words,
        }}});
}

TEST_CASE("faults before a syntax error are told, and nothing behind it") {
  check({{"{\"tasks\": [{\"plugin\": \"p\", \"type\": \"x\"},\n{\"plugin\": }, {\"type\": 1}]}",
          {R"(m: /tasks/0/type (line 1): unknown task type "x"; use )" + type_words,
           R"(m: line 2, column 12: expected a value, found "}")"}}});
}

TEST_CASE("of more than a hundred faults the first hundred are told and the rest counted") {
  const auto many = [](int count) {
    std::string text = R"({"autoload": {"type": "detachable"}, "tasks": [)";
    for (int index = 0; index < count; ++index) {
      text += index == 0 ? "\n0" : ",\n0";
    }
    return faults_of(text + "]}");
  };
  CHECK(many(100).size() == 100);
  CHECK(many(100).back() == "m: /tasks/99 (line 101): expected an object, found a number (0)");
  REQUIRE(many(101).size() == 101);
  CHECK(many(101).back() == "m: and 1 more fault");
  REQUIRE(many(10'000).size() == 101);
  CHECK(many(10'000)[99] == "m: /tasks/99 (line 101): expected an object, found a number (0)");
  CHECK(many(10'000).back() == "m: and 9900 more faults");
}

TEST_CASE("of a hundred thousand keys given twice the first hundred are told and the rest counted") {
  constexpr int count = 100'000;
  std::string config = "{\"a\": 0";
  for (int index = 0; index < count; ++index) {
    config += ",\n\"a\": 0";
  }
  const auto faults = faults_of(one_mandatory("\"config\": " + config + '}'));
  REQUIRE(faults.size() == 101);
  CHECK(faults[99] ==
        "m: /tasks/0/config/a (line 101): given twice in one object, first on line 1; keep one of the two");
  CHECK(faults.back() == "m: and 99900 more faults");
}

TEST_CASE("texts are made for few more faults than are told, however many there are") {
  taskhost::ManifestFaults faults;
  faults.begin_file("", "m");
  std::size_t made = 0;
  for (std::size_t offset = 0; offset < 100'000; ++offset) {
    faults.add_if_told(offset, [&made] {
      ++made;
      return taskhost::ManifestFaults::Texts{"/a", "message"};
    });
  }
  CHECK(made <= 2 * taskhost::ManifestFaults::max_faults);
  const auto told = faults.take();
  REQUIRE(told.size() == taskhost::ManifestFaults::max_faults + 1);
  CHECK(told.back().message == "and 99900 more faults");
}

TEST_CASE("what was only counted behind a syntax error is not counted any more") {
  taskhost::ManifestFaults faults;
  faults.begin_file("", "m");
  for (std::size_t offset = 0; offset < 1'000; ++offset) {
    faults.add(offset, "/a", "message");
  }
  faults.add_syntax(50, "syntax");
  const auto told = faults.take();
  REQUIRE(told.size() == 51);
  CHECK(told.back().message == "syntax");
}

TEST_CASE("a text that can't be read to its end is told apart from one with faults in it") {
  const auto readable = [](std::string_view text) { return read_manifest(text, "m").readable; };
  CHECK(readable(R"({"tasks": [{"plugin": "p", "type": "mandatory"}]})"));
  CHECK(readable(R"({"tasks": [{"plugin": 7}, 1], "tasks": [], "x": 1})"));
  for (const std::string_view text :
       {"", "{", "{} x", "[]", "7", R"({"tasks": [{"plugin": "p",}]})", "{\"a\": \"\xff\"}", "\xff\xfe{\0}\0",
        "{\"tasks\": [{\"plugin\": \"p\", \"type\": \"mandatory\"}"}) {
    INFO(text);
    CHECK_FALSE(readable(text));
  }
  CHECK_FALSE(readable("{\"config\": " + std::string(300, '[')));
}

TEST_CASE("a task without a plugin that could be used has an empty one") {
  const auto reading =
      read_manifest(R"({"tasks": [7, {}, {"plugin": 7}, {"plugin": ""}, {"plugin": "a\u0000b"}, {"plugin": ")" +
                        std::string(100'000, 'p') + R"("}, {"plugin": "good", "type": 1}]})",
                    "m");
  REQUIRE(reading.manifest.tasks.size() == 7);
  for (std::size_t index = 0; index < 6; ++index) {
    CHECK(reading.manifest.tasks[index].plugin.empty());
  }
  CHECK(reading.manifest.tasks[6].plugin == "good");
}

TEST_CASE("a fault leaves out what it does not know") {
  CHECK(taskhost::Fault{"file", "where", "message"}.text() == "file: where: message");
  CHECK(taskhost::Fault{"file", "/where", "message", 3}.text() == "file: /where (line 3): message");
  CHECK(taskhost::Fault{"file", "", "message", 3}.text() == "file: line 3: message");
  CHECK(taskhost::Fault{"file", "", "message"}.text() == "file: message");
  CHECK(taskhost::Fault{"", "", "message"}.text() == "message");
}

TEST_CASE("no manifest cut short is accepted, and none throws") {
  const std::string whole = R"({"$schema": "s", "plugin_dirs": ["a\u00e9"], "shards": 1, // c
    "tasks": [{"name": "n", "plugin": "p", "type": "mandatory", "restarts": 10, "config": [-1.5e3, true, null]}]})";
  REQUIRE(faults_of(whole).empty());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(whole.substr(0, size));
    CHECK_FALSE(faults_of(std::string_view(whole).substr(0, size)).empty());
  }
}

TEST_CASE("a manifest with any one byte changed reads without a crash, and its faults stay on one line") {
  const std::string whole =
      R"({"shards": 1, "tasks": [{"name": "\u00e9", "plugin": "p", "type": "mandatory", "config": [-0.5e3, /**/ true]}]})";
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = whole;
      changed[at] = static_cast<char>(byte);
      for (const std::string& fault : faults_of(changed)) {
        if (fault.find_first_of(std::string_view("\0\n\r\x1b", 4)) != std::string::npos || fault.size() > 400) {
          FAIL_CHECK(fault);
        }
      }
    }
  }
}
