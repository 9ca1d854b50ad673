// What a good manifest means, and its limits. Bad ones are in manifest_faults_test.
#include "manifest/manifest.hpp"

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "readings.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using taskhost::Manifest;
using taskhost::ManifestReading;
using taskhost::read_manifest;
using taskhost::TaskType;
using taskhost::test::read_good;

namespace {

std::string config_of(const std::string& config) {
  const Manifest manifest =
      read_good(R"({"tasks": [{"plugin": "p", "type": "detachable", "config": )" + config + "}]}");
  return manifest.tasks.empty() ? "" : manifest.tasks[0].config;
}

std::string with_tasks(std::size_t count, const std::string& fields) {
  std::string text = R"({"tasks": [)";
  for (std::size_t index = 0; index < count; ++index) {
    text += (index == 0 ? "\n" : ",\n") + (R"({"name": "task )" + std::to_string(index)) + "\", " + fields + '}';
  }
  return text + "]}";
}

}  // namespace

TEST_CASE("every field of a manifest is read") {
  const Manifest manifest = read_good(R"({
    "$schema": "taskhost.schema.json",
    "name": "site", "plugin_dirs": ["plugins", "/usr/lib/taskhost"],
    "shards": 2,
    "shutdown_timeout": "30s",
    "defaults": {"stop_timeout": "5s"},
    "autoload": {"type": "detachable", "restarts": 3, "stop_timeout": "1m"},
    "tasks": [
      {"name": "ctrl_c", "plugin": "ctrl_c", "type": "shutdown_on_exit"},
      {"name": "reader", "plugin": "./feed.so", "task": "csv", "type": "mandatory", "restarts": 4294967294,
       "stop_timeout": "0s", "config": {"path": "feed.csv"}}
    ]
  })");
  CHECK(manifest.name == "site");
  CHECK(manifest.parts.front().plugin_dirs == std::vector<std::string>{"plugins", "/usr/lib/taskhost"});
  CHECK(manifest.shards == 2U);
  CHECK(manifest.shutdown_timeout == 30s);
  CHECK(manifest.default_stop_timeout == 5s);
  REQUIRE(manifest.autoload.has_value());
  CHECK(*manifest.autoload == taskhost::TaskOptions{TaskType::detachable, 3, 1min});
  REQUIRE(manifest.tasks.size() == 2);

  const taskhost::ManifestTask& first = manifest.tasks[0];
  CHECK(first.pointer == "/tasks/0");
  CHECK(first.name == "ctrl_c");
  CHECK(first.plugin == "ctrl_c");
  CHECK(first.factory.empty());
  CHECK(first.config.empty());
  CHECK(first.options == taskhost::TaskOptions{TaskType::shutdown_on_exit, 0, 5s});
  CHECK(first.line == 9);

  const taskhost::ManifestTask& second = manifest.tasks[1];
  CHECK(second.pointer == "/tasks/1");
  CHECK(second.plugin == "./feed.so");
  CHECK(second.factory == "csv");
  CHECK(second.config == R"({"path":"feed.csv"})");
  CHECK(second.options == taskhost::TaskOptions{TaskType::mandatory, 4294967294U, 0s});
  CHECK(second.line == 10);
}

TEST_CASE("fields that are absent have their defaults") {
  const Manifest manifest = read_good(R"({"tasks": [{"plugin": "p", "type": "mandatory"}]})");
  CHECK(manifest.name.empty());
  CHECK(manifest.parts.front().plugin_dirs.empty());
  CHECK_FALSE(manifest.shards.has_value());
  CHECK_FALSE(manifest.shutdown_timeout.has_value());
  CHECK_FALSE(manifest.autoload.has_value());
  CHECK(manifest.tasks[0].name.empty());
  CHECK(manifest.tasks[0].options == taskhost::TaskOptions{TaskType::mandatory, 0, 10s});
}

TEST_CASE("defaults apply to tasks and autoload that give no value, wherever they stand in the text") {
  const Manifest manifest = read_good(R"({
    "autoload": {"type": "detachable"},
    "tasks": [{"plugin": "a", "type": "detachable"}, {"plugin": "b", "type": "detachable", "stop_timeout": "1s"}],
    "defaults": {"stop_timeout": "3s"}})");
  CHECK(manifest.autoload->stop_timeout == 3s);
  CHECK(manifest.tasks[0].options.stop_timeout == 3s);
  CHECK(manifest.tasks[1].options.stop_timeout == 1s);
}

TEST_CASE("autoload alone is enough") {
  CHECK(read_good(R"({"autoload": {"type": "detachable"}})").tasks.empty());
  CHECK(read_good(R"({"autoload": {"type": "detachable"}, "tasks": []})").tasks.empty());
}

TEST_CASE("comments and a byte order mark are no part of a manifest") {
  const Manifest manifest = read_good(
      "\xef\xbb\xbf// one\n{/* two\n */\"tasks\": [// three\n"
      "{\"plugin\": \"p\" /**/, \"type\": \"detachable\"}]} // end");
  REQUIRE(manifest.tasks.size() == 1);
  CHECK(manifest.tasks[0].line == 4);
}

TEST_CASE("two tasks without a name are no fault, as the plugin names them") {
  CHECK(read_good(R"({"tasks": [{"plugin": "a", "type": "detachable"}, {"plugin": "b", "type": "detachable"}]})")
            .tasks.size() == 2);
}

TEST_CASE("a name may be any printable text of up to 128 bytes") {
  for (const std::string& name : {std::string("\xc3\xbc \\\" / ~ \xf0\x9f\x98\x80"), std::string(128, 'n')}) {
    CHECK(read_good(R"({"tasks": [{"plugin": "p", "type": "detachable", "name": ")" + name + "\"}]}").tasks.size() ==
          1);
  }
}

TEST_CASE("a whole number may be written with an exponent or decimals that are zero") {
  CHECK(read_good(R"({"shards": 4.0, "autoload": {"type": "mandatory", "restarts": 1e3}})").autoload->restarts == 1000);
}

TEST_CASE("config is any JSON value, kept as compact text") {
  CHECK(config_of("null") == "null");
  CHECK(config_of("true") == "true");
  CHECK(config_of("7") == "7");
  CHECK(config_of(R"("text")") == R"("text")");
  CHECK(config_of("[]") == "[]");
  CHECK(config_of("{ }") == "{}");
  CHECK(config_of("[1, [ ], {\"b\": /* no */ false,\n \"a\": \"x y\"}]") == R"([1,[],{"b":false,"a":"x y"}])");
  CHECK(config_of(R"("\u0041\n\u0000\"\\\u00fc\ud83d\ude00")") == "\"A\\n\\u0000\\\"\\\\\xc3\xbc\xf0\x9f\x98\x80\"");
}

TEST_CASE("numbers in config keep every digit") {
  CHECK(config_of("[1.10, 1E+2, 123456789012345678901234567890, -9223372036854775808, 18446744073709551615]") ==
        "[1.10,1E+2,123456789012345678901234567890,-9223372036854775808,18446744073709551615]");
}

TEST_CASE("config means the same as what was written") {
  const std::string written = R"({"a": [1, 2.5, -3, {"b": [[], {}, null, true, "\u2028"]}], "": {"x/y~z": "\t"}})";
  CHECK(nlohmann::json::parse(config_of(written)) == nlohmann::json::parse(written));
}

TEST_CASE("config may be nested as deep as the manifest may be") {
  // The root, the list and the task are three levels.
  const std::string deep = std::string(253, '[') + std::string(253, ']');
  CHECK(config_of(deep) == deep);
}

TEST_CASE("objects of many keys are read in linear time") {
  std::string config = "{";
  for (int index = 0; index < 100'000; ++index) {
    config += (index == 0 ? "\"" : ",\"") + std::to_string(index) + "\":0";
  }
  config += '}';
  CHECK(config_of(config) == config);
}

TEST_CASE("ten thousand tasks are read, each with its place") {
  const Manifest manifest = read_good(with_tasks(10'000, R"("plugin": "p", "type": "detachable", "restarts": 3)"));
  REQUIRE(manifest.tasks.size() == 10'000);
  CHECK(manifest.tasks[9'999].name == "task 9999");
  CHECK(manifest.tasks[9'999].pointer == "/tasks/9999");
  CHECK(manifest.tasks[9'999].line == 10'001);
}

TEST_CASE("the file's name is in every fault") {
  CHECK(read_manifest("{}", "some/where.json").faults.at(0).file == "some/where.json");
}
