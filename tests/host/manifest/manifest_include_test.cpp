// A manifest of several files.
#include <string>
#include <vector>

#include "readings.hpp"
#include "support/catch.hpp"
#include "surroundings.hpp"

using namespace taskhost;
using namespace taskhost::test;

namespace {

using Lines = std::vector<std::string>;

std::string named(const std::string& name) {
  return R"({"name": ")" + name + R"(", "plugin": "p", "type": "mandatory"})";
}
std::string file_with(const std::string& name) { return tasks(named(name)); }
std::string including(const std::string& names) { return R"({"include": [)" + names + "]}"; }

Lines task_names(const Manifest& manifest) {
  Lines names;
  for (const ManifestTask& task : manifest.tasks) names.push_back(task.name);
  return names;
}

Lines part_names(const Manifest& manifest) {
  Lines names;
  for (const ManifestPart& part : manifest.parts) names.push_back(part.name);
  return names;
}

}  // namespace

TEST_CASE(
    "the tasks of included files come after the file's own, in the order of the list, and sorted for each pattern") {
  FakeSurroundings around;
  around.files = {{"m", R"({"include": ["z.json", "tasks.d/*.json"], "tasks": [)" + named("own") + "]}"},
                  {"z.json", file_with("z")},
                  {"tasks.d/b.json", file_with("b")},
                  {"tasks.d/a.json", R"({"include": ["more/*.json"], "tasks": [)" + named("a") + "]}"},
                  {"tasks.d/more/c.json", file_with("c")}};
  const ManifestReading reading = around.reading();
  CHECK(around.faults().empty());
  CHECK(task_names(reading.manifest) == Lines{"own", "z", "a", "c", "b"});
  CHECK(part_names(reading.manifest) ==
        Lines{"m", "z.json", "tasks.d/a.json", "tasks.d/more/c.json", "tasks.d/b.json"});
  CHECK(reading.manifest.parts[3].included_by == 2);
  CHECK(reading.manifest.parts[3].directory == "tasks.d/more");
  CHECK(reading.manifest.tasks[3].part == 3);
}

TEST_CASE("a pattern does not match hidden files and what editors leave behind") {
  FakeSurroundings around;
  around.files = {{"m", including(R"("d/*")")},
                  {"d/a.json", file_with("a")},
                  {"d/.a.json.swp", "no"},
                  {"d/a.json~", "no"},
                  {"d/#a.json#", "no"},
                  {"d/.hidden.json", "no"},
                  {"d/[odd].json", file_with("odd")},
                  {"d/new\nline\xff", file_with("b")}};
  CHECK(around.faults().empty());
  CHECK(task_names(around.reading().manifest) == Lines{"odd", "a", "b"});
}

TEST_CASE("a file whose own name has wildcards can be named, and matches itself") {
  FakeSurroundings around;
  around.files = {{"m", including(R"("x[1].json", "d*/[kept].json~")")},
                  {"x[1].json", file_with("itself")},
                  {"x1.json", file_with("matching")},
                  {"dir/[kept].json~", file_with("kept")}};
  CHECK(around.faults().empty());
  CHECK(task_names(around.reading().manifest) == Lines{"matching", "itself", "kept"});
}

TEST_CASE("faults name the file that they are in, and come in the order of the files") {
  FakeSurroundings around;
  around.files = {{"m", R"({"include": ["b.json", "a.json"],
    "tasks": [{"plugin": "p", "type": "mandatry"}]})"},
                  {"a.json", "{\n  \"tasks\": [{\"plugin\": \"p\",\n \"type\": 7}]}"},
                  {"b.json", "{\"tasks\": [\n{,}]}"}};
  CHECK(around.faults() ==
        Lines{R"(m: /tasks/0/type (line 2): unknown task type "mandatry"; did you mean "mandatory"?)",
              R"(b.json: line 2, column 2: expected a field's name in double quotes, found ",")",
              "a.json: /tasks/0/type (line 3): expected a string, found a number (7)"});
  CHECK_FALSE(around.reading().readable);
}

TEST_CASE("a missing file is a fault where it is named, and a pattern that matches nothing is none") {
  FakeSurroundings around;
  around.files = {{"m", R"({"tasks": [)" + named("a") + R"(], "include": ["d/*.json",
    "gone.json"]})"},
                  {"d/x.txt", ""}};
  CHECK(
      around.faults() ==
      Lines{
          R"(m: /include/1 (line 2): "gone.json" can't be included: No such file or directory; a relative path is from the directory of the file that includes it)"});
  CHECK(around.warnings().empty());
  around.files = {{"m", R"({"tasks": [)" + named("a") + R"(], "include": ["typo.d/*.json"]})"}};
  CHECK(around.faults().empty());
  CHECK(around.warnings() ==
        Lines{R"(m: /include/0 (line 1): the directory "typo.d" does not exist, so nothing is included)"});
}

TEST_CASE("a file that is removed between the look at the directory and the reading is not included") {
  FakeSurroundings around;
  around.files = {{"m", including(R"("d/*.json")")}, {"d/a.json", file_with("a")}};
  around.links = {{"d/b.json", "removed"}};
  CHECK(around.faults().empty());
  CHECK(task_names(around.reading().manifest) == Lines{"a"});
}

TEST_CASE("what can't be read is a fault, and then no guesses are made about tasks and groups") {
  FakeSurroundings around;
  around.files = {{"m", R"({"include": ["d/*.json", "e", "f/*"], "groups": {"g": {"strategy": "one_for_all"}}})"},
                  {"d/a.json", ""},
                  {"e", ""},
                  {"f/a", ""}};
  around.problems = {{"d/a.json", "Permission denied"}, {"e", "it is a directory"}, {"f", "Permission denied"}};
  CHECK(
      around.faults() ==
      Lines{
          R"(m: /include/0 (line 1): "d/a.json" can't be included: Permission denied)",
          R"(m: /include/1 (line 1): "e" can't be included: it is a directory; for the files in it, write "e/*.json")",
          R"(m: /include/2 (line 1): the directory "f" can't be read: Permission denied)"});
}

TEST_CASE("files that include themselves, or come twice, are faults that show the way") {
  FakeSurroundings around;
  around.files = {{"m", including(R"("a.json", "b.json")")},
                  {"a.json", including("\"b.json\", \n\"m\"")},
                  {"b.json", R"({"include": ["a.json"], "tasks": []})"}};
  CHECK(around.faults() ==
        Lines{"m: /include/1 (line 1): \"b.json\" is included twice, first by /include/0 of a.json (line 1); "
              "remove one of the two",
              "a.json: /include/1 (line 2): the file includes itself: m → a.json → m; remove this, or put the files "
              "to include into a directory of their own",
              "b.json: /include/0 (line 1): the file includes itself: a.json → b.json → a.json; remove this, or put "
              "the files to include into a directory of their own"});
  around.files = {{"m", including(R"("a.json", "other.json")")}, {"a.json", file_with("a")}};
  around.links = {{"other.json", "a.json"}};
  CHECK(around.faults() == Lines{"m: /include/1 (line 1): \"other.json\" is included twice, first by /include/0 "
                                 "(line 1); remove one of the two"});
}

TEST_CASE("files may include each other only so deep") {
  FakeSurroundings around;
  around.files["m"] = including(R"("1")");
  for (int i = 1; i < 16; ++i) around.files[std::to_string(i)] = including('"' + std::to_string(i + 1) + '"');
  around.files["16"] = file_with("a");
  CHECK(around.faults().empty());
  around.files["16"] = including(R"("17")");
  around.files["17"] = file_with("a");
  CHECK(around.faults() == Lines{"16: /include/0 (line 1): files include each other more than 16 levels deep; "
                                 "include \"17\" from the main manifest"});
}

TEST_CASE("ten thousand files can be included, and one more is a fault") {
  FakeSurroundings around;
  around.files["m"] = including(R"("d/*")");
  for (int i = 0; i < 10'000; ++i) around.files["d/" + std::to_string(i)] = file_with("t" + std::to_string(i));
  CHECK(around.faults().empty());
  CHECK(around.reading().manifest.tasks.size() == 10'000);
  around.files["d/more"] = "{}";
  CHECK(around.faults() ==
        Lines{"m: /include/0 (line 1): more than 10000 files are included; put more tasks into each"});
}

TEST_CASE("of all files together, no more than a hundred faults are told") {
  FakeSurroundings around;
  around.files["m"] = including(R"("d/*")");
  for (int i = 100; i < 350; ++i) around.files["d/" + std::to_string(i)] = R"({"tasks": [7]})";
  const Lines faults = around.faults();
  REQUIRE(faults.size() == 101);
  CHECK(faults[0].starts_with("d/100: "));
  CHECK(faults[99].starts_with("d/199: "));
  CHECK(faults[100] == "m: and 150 more faults");
}

TEST_CASE("what is for the whole host belongs in the main manifest") {
  FakeSurroundings around;
  around.files = {{"site.json", including(R"("a.json")")}, {"a.json", R"({"shards": 2, "$schema": "s", "colour": 1,
    "autoload": {"type": "detachable"}, "tasks": [)" + named("a") + "]}"}};
  CHECK(around.faults("site.json") ==
        Lines{R"(a.json: /shards (line 1): "shards" is for the whole host; move it to "site.json")",
              R"(a.json: /colour (line 1): unknown field "colour"; an included file may have "$schema", "include", )"
              R"("plugin_dirs", "defaults", "groups" and "tasks")",
              R"(a.json: /autoload (line 2): "autoload" is for the whole host; move it to "site.json")"});
}

TEST_CASE("names of tasks and groups are unique in all files together, and a fault names both files") {
  FakeSurroundings around;
  const std::string groups = R"("groups": {"g": {"strategy": "one_for_all"}})";
  const std::string member = R"({"name": "a", "plugin": "p", "type": "mandatory", "group": "g"})";
  around.files = {{"m", "{" + groups + R"(, "include": ["a.json", "b.json"]})"},
                  {"a.json", "{\"tasks\": [\n" + member + "]}"},
                  {"b.json", "{\n" + groups + R"(, "tasks": [)" + member + "]}"}};
  CHECK(around.faults() == Lines{"b.json: /groups/g (line 2): the group \"g\" is already defined by /groups/g of m "
                                 "(line 1); remove one of the two",
                                 "b.json: /tasks/0/name (line 2): the name \"a\" is taken by /tasks/0 of a.json (line "
                                 "2); give each task a name of its own"});
}

TEST_CASE("a task may be in a group of any file, and each file's own faults about groups are told there") {
  FakeSurroundings around;
  const auto member = [](const std::string& name, const std::string& group) {
    return R"({"name": ")" + name + R"(", "plugin": "p", "type": "mandatory", "group": ")" + group + R"("})";
  };
  around.files = {
      {"m", R"({"groups": {"main": {"strategy": "one_for_all"}}, "include": ["a.json"], "tasks": [)" +
                member("x", "sub") + "]}"},
      {"a.json", R"({"groups": {"sub": {"strategy": "rest_for_one"}}, "tasks": [)" + member("y", "main") + "]}"}};
  CHECK(around.faults().empty());
  const Manifest manifest = around.reading().manifest;
  REQUIRE(manifest.relations.size() == 2);
  CHECK(manifest.groups[*manifest.relations[0].group].name == "sub");
  CHECK(manifest.groups[*manifest.relations[1].group].name == "main");
  around.files["a.json"] =
      "{\"groups\": {\n\"sub\": {\"strategy\": \"rest_for_one\"}, \"idle\": {\"strategy\": \"one_for_all\"}},\n"
      "\"tasks\": [" +
      member("y", "mian") + "," + member("z", "main") + "]}";
  CHECK(around.faults() ==
        Lines{"a.json: /groups/idle (line 2): no task is in this group; remove the group, or give a task \"group\": "
              "\"idle\"",
              "a.json: /tasks/0/group (line 3): there is no group \"mian\"; did you mean \"main\"?"});
}

TEST_CASE("defaults hold for what a file includes, field by field unless that file has its own") {
  FakeSurroundings around;
  const auto restarted = [](const std::string& name) {
    return R"({"name": ")" + name + R"(", "plugin": "p", "type": "mandatory", "restarts": 3})";
  };
  around.files = {
      {"m", R"({"include": ["a.json", "b.json"], "tasks": [)" + restarted("own") +
                R"(], "defaults": {"stop_timeout": "1s", "window": "1m", "backoff": {"initial": "10ms"}}})"},
      {"a.json", R"({"tasks": [)" + restarted("a") + R"(], "defaults": {"stop_timeout": "2s", "window": "2m"}})"},
      {"b.json", tasks(restarted("b"))}};
  CHECK(around.faults().empty());
  const Manifest manifest = around.reading().manifest;
  using std::chrono::minutes;
  using std::chrono::seconds;
  CHECK(manifest.default_stop_timeout == seconds(1));
  const auto policy = [&](std::size_t task) { return manifest.tasks.at(task).options.supervision(); };
  for (const std::size_t task : {0U, 2U}) {
    CHECK(manifest.tasks[task].options.stop_timeout == seconds(1));
    CHECK(policy(task).window == minutes(1));
  }
  CHECK(manifest.tasks[1].options.stop_timeout == seconds(2));
  CHECK(policy(1).window == minutes(2));
  for (const std::size_t task : {0U, 1U, 2U}) CHECK(policy(task).backoff->initial == std::chrono::milliseconds(10));
}

TEST_CASE("a host whose included files have no tasks has nothing to run") {
  FakeSurroundings around;
  around.files = {{"m", including(R"("d/*")")}, {"d/a", "{}"}};
  CHECK(around.faults() == Lines{R"(m: line 1: nothing to run; no file that "include" names has tasks)"});
}

TEST_CASE("include is a list of names and patterns") {
  FakeSurroundings around;
  const std::string more = R"(, "tasks": [)" + named("a") + "]}";
  around.files["m"] = R"({"include": "d/*")" + more;
  CHECK(around.faults() == Lines{R"(m: /include (line 1): expected an array, found a string; write ["d/*"])"});
  around.files["m"] = R"({"include": ["", 7, "d/**/x"])" + more;
  CHECK(
      around.faults() ==
      Lines{
          "m: /include/0 (line 1): expected a string with at least one character, found an empty one",
          "m: /include/1 (line 1): expected a string, found a number (7)",
          R"(m: /include/2 (line 1): "**" does not search directories below; name them, such as "tasks.d/*/*.json")"});
}

TEST_CASE("without a file that is to be included, no guesses are made about what it has") {
  FakeSurroundings around;
  const std::string rest = R"(, "groups": {"g": {"strategy": "one_for_all"}}})";
  around.files["m"] = R"({"include": ["${env:X}"])" + rest;
  CHECK(around.faults().size() == 1);
  around.files["m"] = R"({"include": "gone")" + rest;
  CHECK(around.faults().size() == 1);
  around.files["m"] = R"({"include": ["gone"])" + rest;
  CHECK(around.faults().size() == 1);
}
