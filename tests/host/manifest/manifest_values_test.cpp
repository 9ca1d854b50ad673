// Values from outside of a manifest: environment variables and files.
#include <string>
#include <vector>

#include "manifest/variables.hpp"
#include "readings.hpp"
#include "support/catch.hpp"
#include "surroundings.hpp"

using namespace taskhost;
using namespace taskhost::test;

namespace {

using Lines = std::vector<std::string>;

std::string put(const std::string& text) {
  const Substitution done = with_variables(
      text,
      [](const std::string& name) -> std::optional<std::string> {
        if (name == "EMPTY") return "";
        if (name == "BAD") return "\xff";
        if (name == "ODD") return "a\n\"${env:SET}";
        return name == "SET" ? std::optional<std::string>("value") : std::nullopt;
      },
      1000);
  return done.problem.empty() ? done.text : "! " + done.problem;
}

std::string with_config(const std::string& config) { return mandatory(R"("name": "a", "config": )" + config); }

constexpr const char* secret = "hunter2-and-more";

}  // namespace

TEST_CASE("a variable is put in where its name is, any number of times") {
  CHECK(put("${env:SET}") == "value");
  CHECK(put("a${env:SET}b${env:SET}${env:EMPTY}c") == "avaluebvaluec");
  CHECK(put("${env:ODD}") == "a\n\"${env:SET}");  // what it says is not looked at again
}

TEST_CASE("a default is for variables that are not set or empty, as in the shell") {
  CHECK(put("${env:SET:-x}") == "value");
  CHECK(put("${env:EMPTY:-x}") == "x");
  CHECK(put("${env:EMPTY}").empty());
  CHECK(put("${env:UNSET:-}").empty());
  CHECK(put("${env:UNSET:-a b:-c$d{e}") == "a b:-c$d{e");
}

TEST_CASE("two dollars before {env: stand for one, and all others are left alone") {
  CHECK(put("$${env:SET}") == "${env:SET}");
  CHECK(put("$$${env:SET}") == "$value");
  CHECK(put("$$$${env:SET}") == "$${env:SET}");
  CHECK(put("$${env:") == "${env:");
  CHECK(put("$$ ${HOME} $x ${env} ${ENV:SET} {env:SET} $$") == "$$ ${HOME} $x ${env} ${ENV:SET} {env:SET} $$");
}

TEST_CASE("what is not a variable's name, or has no value, is told with what to write") {
  const std::string escape = ", or $${env: for these characters";
  CHECK(put("${env:UNSET}") ==
        R"(! the environment variable "UNSET" is not set; set it, or give a default: ${env:UNSET:-default})");
  CHECK(put("${env:BAD}") == R"(! the value of the environment variable "BAD" is not UTF-8)");
  CHECK(put("${env:SET") == R"(! "${env:" has no "}"; write ${env:NAME} or ${env:NAME:-default})" + escape);
  for (const std::string name : {"", "1A", "-x", ":-x", " SET"}) {
    CHECK(put("${env:" + name + "}") == "! expected the name of an environment variable in \"${env:" + name +
                                            "}\", of letters, digits and \"_\"; write ${env:NAME}" + escape);
  }
  for (const std::string after : {"-x", "=x", ":=x", ":?x", ":", " ", ".b"}) {
    CHECK(put("${env:SET" + after + "}") == "! expected \"}\" or \":-\" after the name in \"${env:SET" + after +
                                                "}\"; write ${env:SET} or ${env:SET:-default}");
  }
  CHECK(put("${env:UNSET:-${env:SET}}") ==
        R"(! a default can't have a "${" in it, as in "${env:UNSET:-${env:SET}"; write its text as it is)");
}

TEST_CASE("variables can't make a string grow without bound") {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "${env:SET}";
  CHECK(put(text).size() == 1000);
  CHECK(put(text + "${env:SET}") == "! with its variables, the string is longer than the limit of 1000 bytes");
}

TEST_CASE("variables are put into every string of a manifest, but not into keys") {
  FakeSurroundings around;
  around.variables = {{"X", "two"}, {"TYPE", "mandatory"}, {"TIME", "3s"}};
  around.files = {{"m", R"({"name": "host-${env:X}", "plugin_dirs": ["/${env:X}"], "include": ["${env:X}.json"],
    "groups": {"two": {"strategy": "${env:S:-one_for_all}"}},
    "defaults": {"stop_timeout": "${env:TIME}"},
    "tasks": [{"name": "${env:X}", "plugin": "p\u0024{env:X}", "type": "${env:TYPE}", "group": "${env:X}",
      "config": {"${env:X}": ["${env:X}", {"a": "${env:X}"}, "$${env:X}", 1]}}]})"},
                  {"two.json", "{}"}};
  CHECK(around.faults().empty());
  const Manifest manifest = around.reading().manifest;
  CHECK(manifest.name == "host-two");
  CHECK(manifest.parts[0].plugin_dirs == Lines{"/two"});
  CHECK(manifest.parts.at(1).name == "two.json");
  CHECK(manifest.default_stop_timeout == std::chrono::seconds(3));
  const ManifestTask& task = manifest.tasks.at(0);
  CHECK(task.name == "two");
  CHECK(task.plugin == "ptwo");
  CHECK(task.options.type == TaskType::mandatory);
  CHECK(task.config == R"({"${env:X}":["two",{"a":"two"},"${env:X}",1]})");
  CHECK_FALSE(task.has_secrets);
}

TEST_CASE("a variable that is missing is one fault, at its place, and no guesses follow") {
  FakeSurroundings around;
  around.files = {{"m", R"({"name": "${env:A}",
  "tasks": [{"name": "${env:B}", "plugin": "${env:C}",
    "type": "${env:D}", "restarts": "${env:D}", "after": ["${env:D}"],
    "config": {"a": [1,
      "${env:E}"]}}]})"}};
  const auto unset = [](const std::string& place, const std::string& name) {
    return "m: " + place + ": the environment variable \"" + name +
           "\" is not set; set it, or give a default: ${env:" + name + ":-default}";
  };
  CHECK(around.faults() == Lines{unset("/name (line 1)", "A"), unset("/tasks/0/name (line 2)", "B"),
                                 unset("/tasks/0/plugin (line 2)", "C"), unset("/tasks/0/type (line 3)", "D"),
                                 unset("/tasks/0/restarts (line 3)", "D"), unset("/tasks/0/after/0 (line 3)", "D"),
                                 unset("/tasks/0/config/a/1 (line 5)", "E")});
  CHECK(around.reading().manifest.tasks.at(0).has_wrong_config);
}

TEST_CASE("what a variable makes of a string is checked like any string") {
  FakeSurroundings around;
  around.variables = {{"X", "a\nb"}, {"TYPE", "mandatry"}};
  around.files = {{"m", tasks(R"({"name": "${env:X}", "plugin": "p", "type": "${env:TYPE}"})")}};
  CHECK(around.faults() ==
        Lines{R"(m: /tasks/0/name (line 1): control characters are not allowed here, found "a\u000ab")",
              R"(m: /tasks/0/type (line 1): unknown task type "mandatry"; did you mean "mandatory"?)"});
}

TEST_CASE("a value comes from a file beside the one that names it, without the end of its last line") {
  FakeSurroundings around;
  around.variables = {{"DIR", "creds"}};
  around.files = {{"etc/m", R"({"include": ["d/*.json"], "tasks": [{"plugin": "p", "type": "mandatory", "config":
    {"a": {"$file": "token"}, "b": [{"$file": "${env:DIR}/crlf"}], "c": {"$file": "/two"}}}]})"},
                  {"etc/d/a.json", tasks(R"({"plugin": "p", "type": "mandatory", "config": {"$file": "token"}})")},
                  {"etc/token", "t\n"},
                  {"etc/creds/crlf", "c\r\n"},
                  {"/two", "${env:DIR}\n\n"},
                  {"etc/d/token", ""}};
  CHECK(around.faults("etc/m").empty());
  const Manifest manifest = around.reading("etc/m").manifest;
  CHECK(manifest.tasks.at(0).config == R"({"a":"t","b":["c"],"c":"${env:DIR}\n"})");
  CHECK(manifest.tasks.at(0).has_secrets);
  CHECK(manifest.tasks.at(1).config == R"("")");
  CHECK(manifest.tasks.at(1).has_secrets);
  CHECK(manifest.value_files ==
        std::vector<std::filesystem::path>{"etc/token", "etc/creds/crlf", "/two", "etc/d/token"});
}

TEST_CASE("each file is read once, however many tasks take their values from it") {
  FakeSurroundings around;
  around.open_to_all = {"token"};
  around.files = {{"token", secret}};
  std::string entries;
  for (int i = 0; i < 100; ++i) {
    entries += (i == 0 ? "" : ",\n") + std::string(R"({"name": "t)") + std::to_string(i) +
               R"(", "plugin": "p", "type": "mandatory", "config": {"$file": "token"}})";
  }
  around.files["m"] = tasks(entries);
  CHECK(around.faults().empty());
  CHECK(around.read_names == Lines{"token"});
  around.read_names.clear();
  CHECK(around.warnings() == Lines{"m: /tasks/0/config/$file (line 1): every user may read \"token\"; take that right "
                                   "away (chmod o-r)"});
}

TEST_CASE("a file that no value can be taken from is a fault at its place") {
  FakeSurroundings around;
  const auto fault_for = [&around](const std::string& content) {
    around.files = {{"m", with_config("{\"a\":\n {\"$file\": \"f\"}}")}, {"f", content}};
    return around.faults();
  };
  const auto because = [](const std::string& reason) {
    return Lines{"m: /tasks/0/config/a/$file (line 2): no value can be taken from \"f\": " + reason};
  };
  const std::string text = secret;
  CHECK(fault_for(text + '\xff') == because("it is not UTF-8; binary values can be written in Base64"));
  CHECK(fault_for(text + std::string(1, '\0')) == because("it has a NUL byte; a value is text in UTF-8"));
  CHECK(fault_for("\xef\xbb\xbf" + text) == because("it begins with a byte order mark; save it as UTF-8 without one"));
  CHECK(fault_for("\xff\xfe" + text) == because("it is UTF-16; save it as UTF-8"));
  CHECK(fault_for(std::string((1U << 20U) + 1, 'x')) == because("it is larger than the limit of 1048576 bytes"));
  CHECK(fault_for(std::string(1U << 20U, 'x')).empty());
  around.problems = {{"f", "it is not a regular file"}};
  CHECK(fault_for(text) == because("it is not a regular file"));
  around.problems.clear();
  around.files.erase("f");
  CHECK(around.faults() == because("No such file or directory"));
  CHECK(around.reading().manifest.tasks.at(0).has_wrong_config);
}

TEST_CASE("an object with $file has nothing else, and its value is a file's name") {
  FakeSurroundings around;
  const auto fault_for = [&around](const std::string& config) {
    around.files = {{"m", with_config(config)}, {"f", secret}};
    return around.faults();
  };
  const std::string only =
      "an object with \"$file\" stands for the contents of that file, and can't have other keys, found ";
  CHECK(fault_for(R"({"$file": "f", "x": 1})") == Lines{at("/config", only + "\"x\"")});
  CHECK(fault_for(R"([{"x": 1, "$file": "f"}])") == Lines{at("/config/0", only + "\"x\"")});
  CHECK(fault_for(R"({"$file": 7})") == Lines{at("/config/$file", "expected a string, found a number (7)")});
  CHECK(fault_for(R"({"$file": {"$file": "f"}})") == Lines{at("/config/$file", "expected a string, found an object")});
  CHECK(fault_for(R"({"$file": ""})") ==
        Lines{at("/config/$file", "expected a string with at least one character, found an empty one")});
  CHECK(fault_for(R"({"$file": "${env:X}"})") ==
        Lines{at("/config/$file",
                 "the environment variable \"X\" is not set; set it, or give a default: "
                 "${env:X:-default}")});
}

TEST_CASE("outside of configs no value comes from a file, since it would be shown") {
  FakeSurroundings around;
  const std::string refusal =
      R"(only values in a task's "config" can come from a file: they are secrets, and this one would be shown)";
  around.files = {{"f", secret},
                  {"m", R"({"name": {"$file": "f"}, "defaults": {"stop_timeout": {"$file": "f"}}, "tasks": [
    {"name": {"$file": "f"}, "plugin": {"$file": "f"}, "type": {"$file": "f"}, "after": [{"$file": "f"}]},
    {"$file": "f"}]})"}};
  CHECK(around.faults() == Lines{"m: /name (line 1): " + refusal, "m: /defaults/stop_timeout (line 1): " + refusal,
                                 "m: /tasks/0/name (line 2): " + refusal, "m: /tasks/0/plugin (line 2): " + refusal,
                                 "m: /tasks/0/type (line 2): " + refusal, "m: /tasks/0/after/0 (line 2): " + refusal,
                                 "m: /tasks/1 (line 3): " + refusal});
  CHECK(around.read_names.empty());
}

TEST_CASE("a text on its own has no environment and no files") {
  CHECK(faults_of(with_config(R"("${env:PATH}")")).size() == 1);
  CHECK(faults_of(with_config(R"({"$file": "/etc/hostname"})")).size() == 1);
  CHECK(read_good(with_config(R"("${env:PATH:-x}")")).tasks.at(0).config == R"("x")");
}
