// The shipped JSON Schema and the parser accept and refuse the same manifests.
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>
#include <vector>

#include "manifest.hpp"
#include "support/catch.hpp"

namespace {

using Adapter = valijson::adapters::NlohmannJsonAdapter;

bool schema_accepts(const std::string& text) {
  static const nlohmann::json document = [] {
    std::ifstream file(TASKHOST_SCHEMA);
    return nlohmann::json::parse(file);
  }();
  valijson::Schema schema;
  valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
  parser.populateSchema(Adapter(document), schema);
  const nlohmann::json manifest = nlohmann::json::parse(text, nullptr, true, true);
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  return validator.validate(schema, Adapter(manifest), nullptr);
}

bool parser_accepts(const std::string& text) { return taskhost::read_manifest(text, "m").faults.empty(); }

std::string task(const std::string& fields) { return R"({"tasks": [{"plugin": "p", )" + fields + "}]}"; }
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
      top(R"("shards": 256)"),
      top(R"("shutdown_timeout": "250ms")"),
      top(R"("defaults": {})"),
      top(R"("defaults": {"stop_timeout": "1us"})"),
      "// comment\n" + top(R"("shards": 2 /* two */)"),
  };
}

std::vector<std::string> invalid_manifests() {
  std::vector<std::string> manifests = {
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
      task(R"("type": null)"),
      task(R"("type": "")"),
      task(R"("type": "shutdown_on_exit", "restarts": 0)"),
      task(R"("type": "shutdown_on_exit", "restarts": 3)"),
      task(R"("type": "mandatory", "restarts": -1)"),
      task(R"("type": "mandatory", "restarts": 4294967295)"),
      task(R"("type": "mandatory", "restarts": 1.5)"),
      task(R"("type": "mandatory", "restarts": "3")"),
      task(R"("type": "mandatory", "restarts": "unlimited")"),
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
      task(R"("type": "mandatory", "backoff": {"initial": "1s"})"),
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

// All that a JSON Schema can't say. Whatever is not in this list is a bug in one of the two.
TEST_CASE("the parser refuses what the schema can't express") {
  std::string accented;
  for (int count = 0; count < 65; ++count) {
    accented += "é";
  }
  const std::vector<std::string> manifests = {
      // uniqueness of one field among objects
      R"({"tasks": [{"name": "n", "plugin": "p", "type": "mandatory"}, {"name": "n", "plugin": "q", "type": "mandatory"}]})",
      // keys given twice, which a schema never sees
      task(R"("type": "mandatory", "type": "mandatory")"),
      // lengths in bytes: a schema counts characters
      task(R"("type": "mandatory", "name": ")" + accented + '"'),
      // control characters U+0080 to U+009F: pattern engines disagree on whether they match bytes or characters
      task(R"("type": "mandatory", "name": "a\u009bb")"),
      // sums
      top(R"("shutdown_timeout": "8761h")"),
      // depth
      task(R"("type": "mandatory", "config": )" + std::string(254, '[') + std::string(254, ']')),
  };
  for (const std::string& manifest : manifests) {
    INFO(manifest);
    CHECK(schema_accepts(manifest));
    CHECK_FALSE(parser_accepts(manifest));
  }
}

// JSON Schema says since draft 6 that 3.0 is an integer; the validator of this test doesn't know.
TEST_CASE("the parser takes 3.0 for a whole number, as JSON Schema says") {
  CHECK(parser_accepts(task(R"("type": "mandatory", "restarts": 3.0)")));
}
