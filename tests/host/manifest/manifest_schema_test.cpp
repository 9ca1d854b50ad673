// The shipped JSON Schema and the parser accept and reject the same manifests.
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>
#include <vector>

#include "manifest/fields.hpp"
#include "manifest/manifest.hpp"
#include "support/catch.hpp"

namespace {

using Adapter = valijson::adapters::NlohmannJsonAdapter;

const nlohmann::json& schema_document() {
  static const nlohmann::json document = [] {
    std::ifstream file(TASKHOST_SCHEMA);
    return nlohmann::json::parse(file);
  }();
  return document;
}

bool schema_accepts(const std::string& text) {
  valijson::Schema schema;
  valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
  parser.populateSchema(Adapter(schema_document()), schema);
  const nlohmann::json manifest = nlohmann::json::parse(text, nullptr, true, true);
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  return validator.validate(schema, Adapter(manifest), nullptr);
}

bool parser_accepts(const std::string& text) { return taskhost::read_manifest(text, "m").faults.empty(); }

std::string task(const std::string& fields) { return R"({"tasks": [{"plugin": "p", )" + fields + "}]}"; }
std::string restarted(const std::string& fields) { return task(R"("type": "mandatory", "restarts": 3, )" + fields); }
std::string grouped(const std::string& group) {
  return R"({"groups": {"g": )" + group + R"(}, "tasks": [{"plugin": "p", "type": "mandatory", "group": "g"}]})";
}
std::string top(const std::string& fields) { return R"({"autoload": {"type": "detachable"}, )" + fields + "}"; }
std::string autoload(const std::string& fields) { return R"({"autoload": {)" + fields + "}}"; }

std::vector<std::string> valid_manifests() {
  return {
      task(R"("type": "mandatory")"),
      task(R"("type": "shutdown_on_exit")"),
      task(R"("type": "detachable", "restarts": 0)"),
      task(R"("type": "detachable", "restarts": 4294967294)"),
      task(R"("type": "detachable", "name": "n", "task": "t", "stop_timeout": "0s")"),
      task(R"("type": "detachable", "name": ")" + std::string(128, 'n') + '"'),
      task(R"("type": "detachable", "name": "Übergröße")"),
      task(R"("type": "detachable", "name": "\u00a0à漢字😀\u00df")"),
      task(R"("type": "detachable", "exit_rules": [{"match": {"message": "Â ÿ ą"}, "action": "give_up"}])"),
      task(R"("type": "detachable", "config": null)"),
      task(R"("type": "detachable", "config": {"anything": [1, "x", {}]})"),
      task(R"("type": "detachable", "stop_timeout": "1.123456789h")"),
      task(R"("type": "detachable", "stop_timeout": "007ns")"),
      R"({"autoload": {"type": "detachable"}})",
      R"({"autoload": {"type": "detachable"}, "tasks": []})",
      autoload(R"("type": "shutdown_on_exit")"),
      autoload(R"("type": "mandatory", "restarts": 3, "stop_timeout": "5m")"),
      top(R"("$schema": "")"),
      top(R"("plugin_dirs": ["a", "b"])"),
      top(R"("shards": 1)"),
      top(R"("stall_limit": "10ms")"),
      top(R"("stall_limit": "0.01s")"),
      top(R"("stall_limit": "60m")"),
      top(R"("stall_limit": "1.0h")"),
      top(R"("stall_limit": "3600000000000ns")"),
      top(R"("stall_limit": "010.5ms")"),
      top(R"("shards": 256)"),
      top(R"("shutdown_timeout": "250ms")"),
      top(R"("defaults": {})"),
      top(R"("defaults": {"stop_timeout": "1us"})"),
      "// comment\n" + top(R"("shards": 2 /* two */)"),
      top(R"("seed": 1)"),
      top(R"("seed": 4294967295)"),
      restarted(R"("window": "1m")"),
      task(R"("type": "detachable", "restarts": 65536, "window": "66s")"),
      task(R"("type": "detachable", "restarts": "unlimited", "backoff": {"initial": "1ms"})"),
      task(R"("type": "mandatory", "restarts": "unlimited", "backoff": {"initial": "0.5s"}, "reset_after": "1m")"),
      restarted(R"("backoff": {"initial": "0s"})"),
      restarted(R"("backoff": {"initial": "100ms", "factor": 1, "max": "30s", "jitter": 0})"),
      restarted(R"("backoff": {"initial": "100ms", "factor": 2.5, "max": "200ms", "jitter": 1})"),
      restarted(R"("window": "7.1s", "backoff": {"initial": "1s", "factor": 2})"),
      restarted(R"("reset_after": "10s")"),
      task(R"("type": "shutdown_on_exit", "ready": "notify")"),
      task(R"("type": "shutdown_on_exit", "ready": "started")"),
      task(R"("type": "shutdown_on_exit", "ready": "notify", "start_timeout": "1s")"),
      task(R"("type": "shutdown_on_exit", "watchdog": {"interval": "1s"})"),
      task(R"("type": "mandatory", "watchdog": {"interval": "1s", "action": "restart"})"),
      task(R"("type": "mandatory", "watchdog": {"interval": "1s", "action": "log"})"),
      task(R"("type": "mandatory", "on_give_up": "discard")"),
      task(R"("type": "detachable", "on_give_up": "stop_host")"),
      task(R"("type": "detachable", "on_give_up": {"cooldown": "5m"})"),
      task(R"("type": "shutdown_on_exit", "on_give_up": "default")"),
      task(R"("type": "mandatory", "restarts": "unlimited", "on_give_up": "default", "backoff": {"initial": "1s"})"),
      task(R"("type": "mandatory", "exit_rules": [])"),
      task(R"("type": "mandatory", "backoff": {"initial": "1s"},
              "exit_rules": [{"match": {"outcome": "ok"}, "action": "repeat"}])"),
      restarted(R"("backoff": {"initial": "1s"},
              "exit_rules": [{"match": {"outcome": "ok"}, "action": "repeat"}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {}, "action": "give_up"}])"),
      restarted(R"("exit_rules": [{"match": {"outcome": "ok"}, "action": "restart"}])"),
      restarted(R"("exit_rules": [{"match": {"outcome": ["ok", "crashed"]}, "action": "stop_host"}])"),
      task(R"("type": "mandatory", "restarts": "unlimited", "on_give_up": "discard", "backoff": {"initial": "1s"},
              "exit_rules": [{"match": {"outcome": "panic"}, "action": "give_up"}])"),
      task(R"("type": "shutdown_on_exit", "exit_rules": [{"match": {"outcome": "panic"}, "action": "discard"}])"),
      task(R"("type": "mandatory", "repeat": {"every": "5m"})"),
      task(R"("type": "shutdown_on_exit", "repeat": {"schedule": "0 3 * * mon-fri"})"),
      task(R"("type": "detachable", "repeat": {"schedule": "@daily", "time_zone": "Europe/Berlin"})"),
      task(R"("type": "shutdown_on_exit", "repeat": {"every": "5m"},
              "exit_rules": [{"match": {"message": "x"}, "action": "repeat"}])"),
      task(R"("type": "mandatory", "repeat": {"every": "5m"},
              "exit_rules": [{"match": {"outcome": "error"}, "action": "repeat"}])"),
      autoload(R"("type": "detachable", "repeat": {"every": "5m"})"),
      task(R"("type": "mandatory", "isolation": "none")"),
      task(R"("type": "mandatory", "isolation": "process")"),
      task(R"("type": "mandatory", "isolation": "process", "user": "nobody",
           "limits": {"memory": "256MiB", "open_files": 256, "processes": 32, "core_dump": false})"),
      task(R"("type": "mandatory", "isolation": "process", "process": "readers")"),
      R"({"defaults": {"isolation": "process", "limits": {"memory": "64MiB"}, "user": "nobody"},
          "tasks": [{"plugin": "p", "type": "mandatory"}]})",
      task(R"("type": "mandatory", "after": [])"),
      task(R"("type": "mandatory", "after": ["a", "b"])"),
      grouped(R"({"strategy": "one_for_one"})"),
      grouped(R"({"strategy": "one_for_all"})"),
      grouped(R"({"strategy": "rest_for_one"})"),
      top(R"("groups": {})"),
      autoload(
          R"("type": "detachable", "restarts": 2, "backoff": {"initial": "1s"}, "on_give_up": {"cooldown": "1h"})"),
      top(R"("defaults": {"window": "1s", "backoff": {"initial": "1s"}, "reset_after": "1s", "ready": "notify",
          "start_timeout": "1s", "watchdog": {"interval": "1s"}, "on_give_up": "discard", "isolation": "none",
          "exit_rules": [{"match": {}, "action": "restart"}]})"),
      top(R"("name": "a")"),
      top(R"("name": "_Site-1.b")"),
      top(R"("name": ")" + std::string(64, 'n') + '"'),
      top(R"("include": [])"),
      top(R"("name": "${env:X:-x}", "stall_limit": "${env:X:-50ms}", "shutdown_timeout": "${env:X:-1s}")"),
      grouped(R"({"strategy": "${env:X:-one_for_all}"})"),
      task(R"("type": "${env:X:-mandatory}", "restarts": "${env:X:-unlimited}", "ready": "${env:X:-started}",
              "backoff": {"initial": "${env:X:-1s}", "max": "${env:X:-2s}"}, "isolation": "${env:X:-none}",
              "watchdog": {"interval": "${env:X:-1s}", "action": "${env:X:-restart}"},
              "on_give_up": "${env:X:-default}")"),
      restarted(R"("window": "${env:X:-1h}", "on_give_up": {"cooldown": "${env:X:-1s}"},
              "exit_rules": [{"match": {"outcome": "${env:X:-ok}"}, "action": "${env:X:-stop_host}"}])"),
  };
}

std::vector<std::string> invalid_manifests() {
  std::vector<std::string> manifests = {
      top(R"("name": "")"),
      top(R"("name": ")" + std::string(65, 'n') + '"'),
      top(R"("name": ".a")"),
      top(R"("name": "-a")"),
      top(R"("name": "a b")"),
      top(R"("name": "a/b")"),
      top(R"("name": "\u00e9")"),
      top(R"("name": 7)"),
      top(R"("include": "a.json")"),
      top(R"("include": [7])"),
      top(R"("include": [""])"),
      top(R"("name": "${env:}")"),
      top(R"("name": {"$file": "name.txt"})"),
      task(R"("type": "${env:1}")"),
      task(R"("type": "mandatory", "stop_timeout": "${env:X")"),
      "[]",
      "null",
      "7",
      R"("text")",
      "{}",
      R"({"tasks": []})",
      R"({"tasks": {}})",
      R"({"tasks": null})",
      R"({"tasks": [7]})",
      R"({"tasks": [{}]})",
      R"({"tasks": [{"plugin": "p"}]})",
      R"({"tasks": [{"type": "mandatory"}]})",
      R"({"tasks": [{"plugin": "", "type": "mandatory"}]})",
      R"({"tasks": [{"plugin": 7, "type": "mandatory"}]})",
      R"({"tasks": [{"plugin": "a\tb", "type": "mandatory"}]})",
      R"({"tasks": [{"plugin": ")" + std::string(4097, 'p') + R"(", "type": "mandatory"}]})",
      task(R"("type": "Mandatory")"),
      top(R"("stall_limit": "9.9ms")"),
      top(R"("stall_limit": "0.009s")"),
      top(R"("stall_limit": "9999us")"),
      top(R"("stall_limit": "3600.5s")"),
      top(R"("stall_limit": "61m")"),
      top(R"("stall_limit": "1.5h")"),
      task(R"("name": "a\u0007b", "type": "mandatory")"),
      task(R"("name": "a\u007fb", "type": "mandatory")"),
      task(R"("name": "a\u0080b", "type": "mandatory")"),
      task(R"("name": "\u009f", "type": "mandatory")"),
      task(R"("name": "\u00e4\u009b1m", "type": "mandatory")"),
      task(R"("task": "a\u0085b", "type": "mandatory")"),
      R"({"tasks": [{"plugin": "a\u0085b", "type": "mandatory"}]})",
      task(R"("type": "mandatory", "after": ["a\u0085b"])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {"message": "a\u0085b"}, "action": "give_up"}])"),
      top(R"("plugin_dirs": ["a\u0085b"])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {"outcome": "crashed"}, "action": "give_up"}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {"outcome": ["crashed"]}, "action": "give_up"}])"),
      task(R"("type": null)"),
      task(R"("type": "")"),
      task(R"("type": "shutdown_on_exit", "restarts": 0)"),
      task(R"("type": "shutdown_on_exit", "restarts": 3)"),
      task(R"("type": "mandatory", "restarts": -1)"),
      task(R"("type": "mandatory", "restarts": 4294967295)"),
      task(R"("type": "mandatory", "restarts": 1.5)"),
      task(R"("type": "mandatory", "restarts": "3")"),
      task(R"("type": "mandatory", "restarts": "Unlimited")"),
      task(R"("type": "shutdown_on_exit", "restarts": "unlimited")"),
      task(R"("type": "mandatory", "restarts": null)"),
      task(R"("type": "mandatory", "restarts": true)"),
      task(R"("type": "mandatory", "name": "")"),
      task(R"("type": "mandatory", "name": null)"),
      task(R"("type": "mandatory", "name": "a\u0000b")"),
      task(R"("type": "mandatory", "name": "a\u001fb")"),
      task(R"("type": "mandatory", "name": "a\u007fb")"),
      task(R"("type": "mandatory", "name": "ends\n")"),
      task(R"("type": "mandatory", "name": ")" + std::string(129, 'n') + '"'),
      task(R"("type": "mandatory", "task": "")"),
      task(R"("type": "mandatory", "task": [])"),
      task(R"("type": "mandatory", "nmae": "n")"),
      task(R"("type": "mandatory", "backoff": {"initial": "1s"}, "exit_rules": [])"),
      task(R"("type": "mandatory", "backoff": {"initial": "0s"}, "exit_rules": [{"match": {}, "action": "repeat"}])"),
      task(R"("type": "shutdown_on_exit", "exit_rules": [{"match": {}, "action": "repeat"}])"),
      task(R"("type": "mandatory", "repeat": "5m")"),
      task(R"("type": "mandatory", "repeat": {})"),
      task(R"("type": "mandatory", "repeat": {"every": "0s"})"),
      task(R"("type": "mandatory", "repeat": {"every": 5})"),
      task(R"("type": "mandatory", "repeat": {"every": "5m", "schedule": "@daily"})"),
      task(R"("type": "mandatory", "repeat": {"every": "5m", "time_zone": "UTC"})"),
      task(R"("type": "mandatory", "repeat": {"every": "5m", "schedule": "@daily", "time_zone": "UTC"})"),
      task(R"("type": "mandatory", "repeat": {"time_zone": "UTC"})"),
      task(R"("type": "mandatory", "repeat": {"schedule": ""})"),
      task(R"("type": "mandatory", "repeat": {"schedule": "@daily", "time_zone": ""})"),
      task(R"("type": "mandatory", "repeat": {"schedule": "@daily", "zone": "UTC"})"),
      task(R"("type": "mandatory", "repeat": {"every": "5m"}, "backoff": {"initial": "1s"},
              "exit_rules": [{"match": {"outcome": "error"}, "action": "repeat"}])"),
      top(R"("defaults": {"repeat": {"every": "5m"}})"),
      task(R"("type": "mandatory", "window": "1s")"),
      autoload(""),
      autoload(R"("type": "other")"),
      autoload(R"("type": "shutdown_on_exit", "restarts": 1)"),
      autoload(R"("type": "detachable", "name": "n")"),
      R"({"autoload": null})",
      R"({"autoload": true})",
      top(R"("$schema": 7)"),
      top(R"("plugin_dirs": "a")"),
      top(R"("plugin_dirs": [])"),
      top(R"("plugin_dirs": [""])"),
      top(R"("plugin_dirs": [7])"),
      top(R"("shards": 0)"),
      top(R"("shards": 257)"),
      top(R"("shards": -1)"),
      top(R"("shards": "2")"),
      top(R"("defaults": [])"),
      top(R"("defaults": {"restarts": 3})"),
      top(R"("seed": 0)"),
      top(R"("seed": 4294967296)"),
      top(R"("seed": "1")"),
      task(R"("type": "mandatory", "restarts": 0, "window": "1s")"),
      task(R"("type": "shutdown_on_exit", "window": "1s")"),
      task(R"("type": "mandatory", "restarts": 65537, "window": "1s")"),
      task(R"("type": "mandatory", "restarts": "unlimited", "window": "1s", "backoff": {"initial": "1s"})"),
      task(R"("type": "mandatory", "restarts": "unlimited", "backoff": {"initial": "0s"})"),
      task(R"("type": "mandatory", "restarts": "unlimited", "on_give_up": "discard", "backoff": {"initial": "1s"})"),
      restarted(R"("window": "0s")"),
      restarted(R"("window": 5)"),
      task(R"("type": "mandatory", "restarts": 0, "backoff": {"initial": "1s"},
              "exit_rules": [{"match": {}, "action": "discard"}])"),
      task(R"("type": "shutdown_on_exit", "backoff": {"initial": "1s"})"),
      restarted(R"("backoff": {})"),
      restarted(R"("backoff": "1s")"),
      restarted(R"("backoff": {"initial": 1})"),
      restarted(R"("backoff": {"initial": "1s", "factor": 0.5})"),
      restarted(R"("backoff": {"initial": "1s", "factor": "2"})"),
      restarted(R"("backoff": {"initial": "1s", "jitter": 1.5})"),
      restarted(R"("backoff": {"initial": "1s", "jitter": -0.1})"),
      restarted(R"("backoff": {"initial": "1s", "maximum": "2s"})"),
      restarted(R"("backoff": {"initial": "1s", "max": null})"),
      restarted(R"("backoff": {"initial": "0s", "factor": 2})"),
      restarted(R"("backoff": {"initial": "0.0ms", "max": "1s"})"),
      restarted(R"("backoff": {"initial": "0s", "jitter": 0.1})"),
      task(R"("type": "mandatory", "reset_after": "1s")"),
      task(R"("type": "shutdown_on_exit", "reset_after": "1s")"),
      restarted(R"("reset_after": "0ms")"),
      task(R"("type": "mandatory", "ready": "maybe")"),
      task(R"("type": "mandatory", "ready": true)"),
      task(R"("type": "mandatory", "ready": "started", "start_timeout": "1s")"),
      task(R"("type": "mandatory", "ready": "notify", "start_timeout": "0s")"),
      task(R"("type": "mandatory", "watchdog": {})"),
      task(R"("type": "mandatory", "watchdog": "1s")"),
      task(R"("type": "mandatory", "watchdog": {"interval": "0s"})"),
      task(R"("type": "mandatory", "watchdog": {"interval": "1s", "action": "stop"})"),
      task(R"("type": "mandatory", "watchdog": {"interval": "1s", "every": "1s"})"),
      task(R"("type": "mandatory", "on_give_up": "cooldown")"),
      task(R"("type": "mandatory", "on_give_up": {})"),
      task(R"("type": "mandatory", "on_give_up": {"cooldown": "0s"})"),
      task(R"("type": "mandatory", "on_give_up": {"cooldown": "1s", "then": 1})"),
      task(R"("type": "mandatory", "on_give_up": 5)"),
      task(R"("type": "mandatory", "on_give_up": null)"),
      task(R"("type": "shutdown_on_exit", "on_give_up": "discard")"),
      task(R"("type": "mandatory", "exit_rules": {})"),
      task(R"("type": "mandatory", "exit_rules": [7])"),
      task(R"("type": "mandatory", "exit_rules": [{"action": "discard"}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {}}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {}, "action": "stop"}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {}, "action": "restart"}])"),
      task(R"("type": "shutdown_on_exit", "exit_rules": [{"match": {}, "action": "restart"}])"),
      task(R"("type": "shutdown_on_exit", "exit_rules": [{"match": {}, "action": "give_up"}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": [], "action": "discard"}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {"outcome": "cancelled"}, "action": "discard"}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {"outcome": []}, "action": "discard"}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {"outcome": ["ok", "ok"]}, "action": "discard"}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {"outcome": 1}, "action": "discard"}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {"message": ""}, "action": "discard"}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {"text": "x"}, "action": "discard"}])"),
      task(R"("type": "mandatory", "exit_rules": [{"match": {}, "action": "discard", "x": 1}])"),
      task(R"("type": "mandatory", "isolation": "thread")"),
      task(R"("type": "mandatory", "isolation": null)"),
      task(R"("type": "mandatory", "isolation": "process", "limits": {"memory": 1})"),
      task(R"("type": "mandatory", "isolation": "process", "limits": {"memory": "256MB"})"),
      task(R"("type": "mandatory", "isolation": "process", "limits": {"open_files": 1})"),
      task(R"("type": "mandatory", "isolation": "process", "limits": {"processes": "many"})"),
      task(R"("type": "mandatory", "isolation": "process", "limits": {"core_dump": "no"})"),
      task(R"("type": "mandatory", "isolation": "process", "limits": {"cpu": 1})"),
      task(R"("type": "mandatory", "isolation": "process", "user": "")"),
      task(R"("type": "mandatory", "isolation": "process", "process": "")"),
      task(R"("type": "mandatory", "after": "a")"),
      task(R"("type": "mandatory", "after": [7])"),
      task(R"("type": "mandatory", "after": [""])"),
      task(R"("type": "mandatory", "after": ["a", "a"])"),
      task(R"("type": "mandatory", "group": 7)"),
      autoload(R"("type": "mandatory", "after": ["a"])"),
      autoload(R"("type": "mandatory", "group": "g")"),
      grouped("{}"),
      grouped("7"),
      grouped(R"({"strategy": "all_for_one"})"),
      grouped(R"({"strategy": "one_for_all", "members": []})"),
      top(R"("groups": [])"),
      top(R"("groups": {"": {"strategy": "one_for_all"}})"),
      top(R"("defaults": {"type": "mandatory"})"),
      top(R"("defaults": {"backoff": {"initial": "x"}})"),
      top(R"("defaults": {"on_give_up": "never"})"),
      top(R"("defaults": {"after": ["a"]})"),
      top(R"("shards": 1, "unknown": 1)"),
      top(R"("shards": 1, "Shards": 1)"),
  };
  for (const char* duration :
       {R"("")",     R"("10")", R"("s")",   R"("-1s")", R"("+1s")",  R"("1 s")",   R"(" 1s")",  R"("1s ")",
        R"("1S")",   R"("1d")", R"("1.s")", R"(".5s")", R"("1,5s")", R"("1h30m")", R"("1s\n")", R"("1.0123456789s")",
        R"("1e3s")", "10",      "null",     "{}"}) {
    manifests.push_back(top(R"("shutdown_timeout": )" + std::string(duration)));
    manifests.push_back(top(R"("defaults": {"stop_timeout": )" + std::string(duration) + '}'));
    manifests.push_back(task(R"("type": "mandatory", "stop_timeout": )" + std::string(duration)));
  }
  return manifests;
}

}  // namespace

TEST_CASE("schema and parser accept the same manifests") {
  for (const std::string& manifest : valid_manifests()) {
    INFO(manifest);
    CHECK(schema_accepts(manifest));
    CHECK(parser_accepts(manifest));
  }
}

TEST_CASE("schema and parser refuse the same manifests") {
  for (const std::string& manifest : invalid_manifests()) {
    INFO(manifest);
    CHECK_FALSE(schema_accepts(manifest));
    CHECK_FALSE(parser_accepts(manifest));
  }
}

TEST_CASE("the schema has the fields of each object, and no others") {
  struct Row {
    taskhost::ManifestObject object;
    const char* pointer;
  };
  using enum taskhost::ManifestObject;
  for (const Row& row :
       {Row{root, ""}, Row{defaults, "/properties/defaults"}, Row{autoload, "/properties/autoload"},
        Row{taskhost::ManifestObject::task, "/definitions/task"}, Row{group, "/properties/groups/additionalProperties"},
        Row{backoff, "/definitions/backoff"}, Row{watchdog, "/definitions/watchdog"},
        Row{on_give_up, "/definitions/on_give_up/anyOf/1"}, Row{exit_rule, "/definitions/exit_rules/items"},
        Row{match, "/definitions/exit_rules/items/properties/match"}, Row{repeat, "/definitions/repeat"}}) {
    CAPTURE(row.pointer);
    std::set<std::string> in_schema;
    for (const auto& field :
         schema_document().at(nlohmann::json::json_pointer(row.pointer + std::string("/properties"))).items()) {
      in_schema.insert(field.key());
    }
    std::set<std::string> in_parser;
    for (const taskhost::ManifestField& field : taskhost::manifest_fields) {
      if (field.is_in(row.object)) in_parser.emplace(field.key);
    }
    CHECK(in_schema == in_parser);
  }
}

TEST_CASE("the schema has the words of each enum") {
  const auto words_at = [](const char* pointer) {
    return schema_document().at(nlohmann::json::json_pointer(pointer)).get<std::vector<std::string>>();
  };
  const auto texts = [](const auto& words) { return std::vector<std::string>(words.begin(), words.end()); };
  using namespace taskhost;
  CHECK(words_at("/definitions/type/anyOf/0/enum") == texts(plain_words<TaskType>()));
  CHECK(words_at("/definitions/outcome/anyOf/0/enum") == texts(plain_words<Outcome, Outcome::cancelled>()));
  CHECK(words_at("/definitions/on_give_up/anyOf/0/enum") == texts(plain_words<GiveUp, GiveUp::cooldown>()));
  CHECK(words_at("/definitions/watchdog/properties/action/anyOf/0/enum") == texts(plain_words<WatchdogAction>()));
  CHECK(words_at("/definitions/exit_rules/items/properties/action/anyOf/0/enum") == texts(plain_words<ExitAction>()));
  CHECK(words_at("/properties/groups/additionalProperties/properties/strategy/anyOf/0/enum") ==
        texts(plain_words<Strategy>()));
}

// Everything that a JSON Schema can't express. Any other difference is a bug in one of the two.
TEST_CASE("the parser refuses what the schema can't express") {
  std::string accented;
  for (int count = 0; count < 65; ++count) {
    accented += "é";
  }
  const std::vector<std::string> manifests = {
      // a field that is unique among objects
      R"({"tasks": [{"name": "n", "plugin": "p", "type": "mandatory"}, {"name": "n", "plugin": "q", "type": "mandatory"}]})",
      // keys given twice, which a schema never sees
      task(R"("type": "mandatory", "type": "mandatory")"),
      // lengths in bytes: a schema counts characters
      task(R"("type": "mandatory", "name": ")" + accented + '"'),
      // sums
      top(R"("shutdown_timeout": "8761h")"),
      // durations that depend on each other
      restarted(R"("backoff": {"initial": "2s", "max": "1s"})"),
      restarted(R"("backoff": {"initial": "2h"})"),
      restarted(R"("window": "6.9s", "backoff": {"initial": "1s"})"),
      restarted(R"("backoff": {"initial": "1s", "max": "1s", "factor": 3})"),
      restarted(R"("window": "1m", "reset_after": "2m")"),
      // what exit rules leave over
      restarted(R"("exit_rules": [{"match": {}, "action": "discard"}])"),
      task(R"("type": "mandatory", "on_give_up": "discard", "exit_rules": [{"match": {}, "action": "fail_host"}])"),
      restarted(R"("exit_rules": [{"match": {"outcome": ["ok", "error"], "message": "x"}, "action": "discard"}])"),
      task(R"("type": "mandatory", "repeat": {"every": "5m"},
              "exit_rules": [{"match": {"outcome": "ok"}, "action": "discard"}])"),
      // times
      task(R"("type": "mandatory", "repeat": {"every": "999us"})"),
      task(R"("type": "mandatory", "repeat": {"schedule": "0 0 30 2 *"})"),
      task(R"("type": "mandatory", "repeat": {"schedule": "@daily", "time_zone": "Europe/Nowhere"})"),
      // a number so small that it becomes 0
      restarted(R"("window": "0.5ns")"),
      // what a default could have provided
      task(R"("type": "mandatory", "restarts": "unlimited")"),
      task(R"("type": "mandatory", "start_timeout": "1s")"),
      // groups by name
      task(R"("type": "mandatory", "group": "g")"),
      top(R"("groups": {"g": {"strategy": "one_for_all"}})"),
      // depth
      task(R"("type": "mandatory", "config": )" + std::string(254, '[') + std::string(254, ']')),
  };
  for (const std::string& manifest : manifests) {
    INFO(manifest);
    CHECK(schema_accepts(manifest));
    CHECK_FALSE(parser_accepts(manifest));
  }
}

// Since draft 6, JSON Schema says that 3.0 is an integer; this test's validator doesn't know that.
TEST_CASE("the parser takes 3.0 for a whole number, as JSON Schema says") {
  CHECK(parser_accepts(task(R"("type": "mandatory", "restarts": 3.0)")));
}
