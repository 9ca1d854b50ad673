// Wrong manifests: status 2, one run reports all faults, and nothing is started. host/README.md describes them.
#include <string>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// Runs this text as a manifest, and checks what all wrong manifests have in common.
std::string complaint_about(const std::string& text, const std::vector<std::string>& options = {}) {
  Scene scene;
  scene.text = text;
  const Run run = scene.run(options);
  INFO(text.substr(0, 1000) << "\n" << run.log());
  CHECK(run.status() == 2);
  CHECK(run.events.count("task_started") == 0);
  CHECK(run.log().find("manifest.json") != std::string::npos);
  const ProcessEnd check = run_program({"check", scene.manifest_path().string()});
  CHECK(check.status == 2);
  return run.log();
}

const std::string plugins = R"("plugin_dirs": [")" + plugin_directory().string() + R"("])";

std::string manifest_with_task(const std::string& entry) { return "{" + plugins + R"(, "tasks": [)" + entry + "]}"; }

std::string manifest_with_field(const std::string& field) {
  return "{" + plugins + ", " + field + R"(, "tasks": [{"name": "a", "plugin": "probe", "type": "mandatory"}]})";
}

}  // namespace

TEST_CASE("a syntax error is told with its line and column") {
  struct Case {
    std::string text;
    std::string line;
    std::string column;
  };
  const std::vector<Case> cases{{"{\n  \"tasks\": [\n    {,}\n  ]\n}\n", "line 3", "column 6"},
                                {"{\"tasks\": tru}", "line 1", "column"},
                                {"{\n\"tasks\": []\n", "line", "column"},
                                {"{} {}", "line 1", "column 4"},
                                {"\n\n  nonsense", "line 3", "column"},
                                {"{\"tasks\": [\"\xff\xfe\"]}", "line 1", "column"},
                                {"{\"a\": \"\x01\"}", "line 1", "column"},
                                {std::string("{\"tasks\": [\0]}", 14), "line 1", "column"},
                                {"{\"tasks\": [],}", "line 1", "column"}};
  for (const Case& one : cases) {
    INFO(one.text);
    const std::string complaint = complaint_about(one.text);
    CHECK(has_line(complaint, {"manifest.json", one.line, one.column}));
  }
}

TEST_CASE("a file that is empty, or has no object in it, is a wrong manifest") {
  for (const char* text : {"", " \n", "// nothing\n", "[]", "null", "7", "\"tasks\"", "{}", "{\"tasks\": []}"}) {
    complaint_about(text);
  }
}

TEST_CASE("a manifest of great depth or with a very long word is refused, and crashes nothing") {
  complaint_about(std::string(200'000, '['));
  complaint_about("{\"tasks\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}");
  std::string deep;
  for (int level = 0; level < 50'000; ++level) {
    deep += "{\"a\":";
  }
  complaint_about(manifest_with_task(R"({"name": "a", "plugin": "probe", "type": "mandatory", "config": )" + deep +
                                     "1" + std::string(50'000, '}') + "}x"));
  complaint_about(manifest_with_field("\"" + std::string(1'000'000, 'x') + "\": 1"));
}

TEST_CASE("an unknown key is told with its pointer and the nearest known key") {
  struct Case {
    std::string entry;
    const char* pointer;
    const char* wrong;
    const char* nearest;
  };
  const std::vector<Case> tasks{
      {R"({"name": "a", "plugin": "probe", "type": "mandatory", "restart": 3})", "/tasks/0", "restart", "restarts"},
      {R"({"name": "a", "plugn": "probe", "plugin": "probe", "type": "mandatory"})", "/tasks/0", "plugn", "plugin"},
      {R"({"name": "a", "plugin": "probe", "type": "mandatory", "conifg": {}})", "/tasks/0", "conifg", "config"},
      {R"({"name": "a", "plugin": "probe", "type": "mandatory", "stop_timout": "1s"})", "/tasks/0", "stop_timout",
       "stop_timeout"}};
  for (const Case& one : tasks) {
    CHECK(has_line(complaint_about(manifest_with_task(one.entry)),
                   {"manifest.json", one.pointer, one.wrong, "\"" + std::string(one.nearest) + "\""}));
  }
  CHECK(has_line(complaint_about(manifest_with_field(R"("shard": 2)")), {"/shard", "\"shards\""}));
  CHECK(has_line(complaint_about(manifest_with_field(R"("shutdown_timeot": "1s")")),
                 {"/shutdown_timeot", "\"shutdown_timeout\""}));
  CHECK(has_line(complaint_about(manifest_with_field(R"("defaults": {"stoptimeout": "1s"})")),
                 {"/defaults", "stoptimeout", "\"stop_timeout\""}));
  CHECK(has_line(complaint_about(manifest_with_field(R"("autoload": {"type": "detachable", "restart": 1})")),
                 {"/autoload", "restart", "\"restarts\""}));
}

TEST_CASE("a key with odd characters is escaped in the pointer, not in the reader's terminal") {
  const std::string complaint = complaint_about(manifest_with_field(R"("a/b~c\u001b": 1)"));
  CHECK(complaint.find("/a~1b~0c") != std::string::npos);
  CHECK(complaint.find('\x1b') == std::string::npos);
}

TEST_CASE("optional fields that would be of no use where they stand are refused") {
  for (const char* field :
       {R"("window": "1m")", R"("backoff": {"initial": "1s"})", R"("reset_after": "1m")", R"("start_timeout": "1s")",
        R"("after": ["b"])", R"("group": "g")", R"("exit_rules": [{"match": {}, "action": "restart"}])",
        R"("limits": {"memory": "64MiB"})"}) {
    const std::string complaint = complaint_about(
        manifest_with_task(R"({"name": "a", "plugin": "probe", "type": "mandatory", )" + std::string(field) + "}"));
    const std::string key = std::string(field).substr(1, std::string(field).find('"', 1) - 1);
    CHECK(has_line(complaint, {"/tasks/0", key}));
  }
}

TEST_CASE("a wrong type name is told with the nearest right one") {
  const auto complaint_about_type = [](const std::string& type) {
    return complaint_about(manifest_with_task(R"({"name": "a", "plugin": "probe", "type": )" + type + "}"));
  };
  CHECK(has_line(complaint_about_type(R"("mandatry")"), {"/tasks/0/type", "mandatry", "\"mandatory\""}));
  CHECK(has_line(complaint_about_type(R"("Detachable")"), {"/tasks/0/type", "\"detachable\""}));
  CHECK(has_line(complaint_about_type(R"("shutdown-on-exit")"), {"/tasks/0/type", "\"shutdown_on_exit\""}));
  for (const char* type : {"7", "null", "true", "\"\"", "[]", "{\"a\": 1}", "\"xyz\""}) {
    CHECK(has_line(complaint_about_type(type), {"/tasks/0/type"}));
  }
}

TEST_CASE("a value of a wrong type or out of range is told with its pointer") {
  struct Case {
    std::string field;
    const char* pointer;
  };
  const std::vector<Case> fields{{R"("restarts": -1)", "/tasks/0/restarts"},
                                 {R"("restarts": 4294967295)", "/tasks/0/restarts"},
                                 {R"("restarts": 1.5)", "/tasks/0/restarts"},
                                 {R"("restarts": "3")", "/tasks/0/restarts"},
                                 {R"("restarts": null)", "/tasks/0/restarts"},
                                 {R"("restarts": 1e99)", "/tasks/0/restarts"},
                                 {R"("restarts": 18446744073709551616)", "/tasks/0/restarts"},
                                 {R"("restarts": "unlimited")", "/tasks/0/restarts"},
                                 {R"("task": 7)", "/tasks/0/task"},
                                 {R"("stop_timeout": 5)", "/tasks/0/stop_timeout"}};
  for (const Case& one : fields) {
    CHECK(has_line(complaint_about(manifest_with_task(R"({"name": "a", "plugin": "probe", "type": "mandatory", )" +
                                                      one.field + "}")),
                   {one.pointer}));
  }
  const std::vector<Case> top{{R"("shards": 0)", "/shards"},
                              {R"("shards": 257)", "/shards"},
                              {R"("shards": "2")", "/shards"},
                              {R"("shards": 2.5)", "/shards"},
                              {R"("shutdown_timeout": 30)", "/shutdown_timeout"},
                              {R"("defaults": [])", "/defaults"},
                              {R"("defaults": {"stop_timeout": "soon"})", "/defaults/stop_timeout"},
                              {R"("autoload": true)", "/autoload"},
                              {R"("autoload": {})", "/autoload"},
                              {R"("autoload": {"type": "shutdown_on_exit", "restarts": 1})", "/autoload/restarts"},
                              {R"("$schema": 7)", "/$schema"}};
  for (const Case& one : top) {
    CHECK(has_line(complaint_about(manifest_with_field(one.field)), {one.pointer}));
  }
  CHECK(has_line(complaint_about(R"({"plugin_dirs": "plugins", "tasks": []})"), {"/plugin_dirs"}));
  CHECK(has_line(complaint_about(R"({"plugin_dirs": [7], "tasks": []})"), {"/plugin_dirs/0"}));
  CHECK(has_line(complaint_about(R"({"tasks": {}})"), {"/tasks"}));
  CHECK(has_line(complaint_about(R"({"tasks": ["probe"]})"), {"/tasks/0"}));
}

TEST_CASE("how much a host may do about stalls and blocking tasks has bounds, and a value beyond is told") {
  struct Bound {
    const char* key;
    std::vector<const char*> wrong;
    std::vector<const char*> right;
  };
  for (const Bound& bound :
       {Bound{"stall_limit",
              {"100", "0", "true", "null", R"("100")", R"("9ms")", R"("9.999ms")", R"("0s")", R"("61m")",
               R"("3600.1s")", R"("-1s")", R"("")"},
              {R"("10ms")", R"("100ms")", R"("1h")"}},
        Bound{"stall_threads", {"-1", "1025", "1.5", R"("64")", "null", "true"}, {"0", "64", "1024"}},
        Bound{"blocking_threads", {"0", "-1", "65537", "0.5", R"("4096")", "null", "[]"}, {"1", "4096", "65536"}},
        Bound{"blocking_stack_kib", {"0", "63", "-64", "1048577", "64.5", R"("64")", "null"}, {"64", "1048576"}},
        Bound{"poll_stack_kib", {"0", "63", "-64", "1048577", "64.5", R"("64")", "null"}, {"64", "1048576"}}}) {
    const auto field = [&bound](const char* value) { return "\"" + std::string(bound.key) + "\": " + value; };
    for (const char* value : bound.wrong) {
      INFO(field(value));
      const std::string complaint = complaint_about(manifest_with_field(field(value)));
      CHECK(has_line(complaint, {"manifest.json", "/" + std::string(bound.key)}));
      CHECK(complaint.find("unknown field") == std::string::npos);
    }
    for (const char* value : bound.right) {
      Scene scene;
      scene.text = manifest_with_field(field(value));
      scene.command();
      const ProcessEnd check = run_program({"check", scene.manifest_path().string()});
      INFO(field(value) << "\n" << check.summary());
      CHECK(check.status == 0);
    }
  }
}

TEST_CASE("what belongs to the whole host is refused in a task") {
  for (const char* key : {"stall_limit", "stall_threads", "blocking_threads", "blocking_stack_kib", "poll_stack_kib"}) {
    const std::string entry =
        R"({"name": "a", "plugin": "probe", "type": "mandatory", ")" + std::string(key) + "\": 1}";
    CHECK(has_line(complaint_about(manifest_with_task(entry)), {"/tasks/0/" + std::string(key), "top object"}));
  }
  CHECK(has_line(complaint_about(manifest_with_field(R"("stall_limt": "1s")")), {"/stall_limt", "\"stall_limit\""}));
}

TEST_CASE("a duration is a number with a unit, from nought to a year") {
  for (const char* wrong : {"", "s", "5", "5 s", " 5s", "-1s", "+1s", "1sec", "1h30m", "366d", "9000h", "1e3s", "1..5s",
                            ".", "infinity", "99999999999999999999h", "0x10s", "1S"}) {
    const std::string complaint = complaint_about(manifest_with_task(
        R"({"name": "a", "plugin": "probe", "type": "mandatory", "stop_timeout": ")" + std::string(wrong) + "\"}"));
    INFO(wrong);
    CHECK(has_line(complaint, {"/tasks/0/stop_timeout"}));
  }
}

TEST_CASE("a name is unique, 1 to 128 bytes long, and without control characters") {
  for (const std::string& wrong : {std::string(), std::string(129, 'n'), std::string("a\\nb"), std::string("a\\u0000b"),
                                   std::string("a\\u007f")}) {
    CHECK(has_line(
        complaint_about(manifest_with_task(R"({"plugin": "probe", "type": "mandatory", "name": ")" + wrong + "\"}")),
        {"/tasks/0/name"}));
  }
  const std::string twin = R"({"name": "twin", "plugin": "probe", "type": "mandatory"})";
  const std::string complaint = complaint_about(manifest_with_task(twin + "," + twin));
  CHECK(has_line(complaint, {"/tasks/1/name", "twin"}));
  CHECK(lines_with(complaint, {"twin"}).size() == 1);
}

TEST_CASE("names that come from the factories are compared too") {
  const std::string nameless = R"({"plugin": "probe", "type": "mandatory"})";
  CHECK(has_line(complaint_about(manifest_with_task(nameless + "," + nameless)), {"/tasks/1", "probe"}));
}

TEST_CASE("what must be there and is not is told with the place where it belongs") {
  CHECK(has_line(complaint_about(manifest_with_task(R"({"name": "a", "type": "mandatory"})")), {"/tasks/0", "plugin"}));
  CHECK(has_line(complaint_about(manifest_with_task(R"({"name": "a", "plugin": "probe"})")), {"/tasks/0", "type"}));
}

TEST_CASE("restarts given for shutdown_on_exit is a manifest error, nought too") {
  for (const char* restarts : {"0", "3"}) {
    CHECK(has_line(complaint_about(manifest_with_task(
                       R"({"name": "a", "plugin": "probe", "type": "shutdown_on_exit", "restarts": )" +
                       std::string(restarts) + "}")),
                   {"/tasks/0/restarts", "shutdown_on_exit"}));
  }
}

TEST_CASE("all that is wrong is told in one run, each with its pointer, a missing plugin too") {
  const std::string complaint = complaint_about("{" + plugins + R"(,
    "shards": 0, "colour": "blue", "shutdown_timeout": "soon",
    "tasks": [
      {"name": "a", "plugin": "probe", "type": "mandatry"},
      {"name": "a", "plugin": "probe", "type": "detachable", "restarts": -1},
      {"name": "c", "plugin": "probee", "type": "shutdown_on_exit", "restarts": 1},
      {"plugin": "", "type": "detachable", "stop_timeout": "5"},
      7
    ]})");
  for (const char* pointer : {"/shards", "/colour", "/shutdown_timeout", "/tasks/0/type", "/tasks/1/name",
                              "/tasks/1/restarts", "/tasks/2/restarts", "/tasks/3/stop_timeout", "/tasks/4"}) {
    INFO(complaint);
    CHECK(has_line(complaint, {"manifest.json", pointer}));
  }
  CHECK(has_line(complaint, {"probee", "\"probe\""}));
}

TEST_CASE("a factory that the plugin does not have is told with the nearest it has") {
  const std::string complaint =
      complaint_about(manifest_with_task(R"({"name": "a", "plugin": "probe", "task": "prob", "type": "mandatory"})"));
  CHECK(has_line(complaint, {"/tasks/0/task", "prob", "\"probe\""}));
}

TEST_CASE("a manifest of thousands of faults is answered with a bounded text") {
  std::string entries = "1";
  for (int number = 0; number < 20'000; ++number) {
    entries += ",1";
  }
  CHECK(count_lines(complaint_about(manifest_with_task(entries))) < 1'000);
}
