// The values of a config, and the messages about wrong ones.
#include "plugin/config_values.hpp"

#include <cmath>
#include <string>

#include "support/catch.hpp"

using taskhost::ConfigValues;

namespace {

const ConfigValues sample(R"({
  "text": "hello", "empty": "", "nul": "a\u0000b", "whole": 7, "negative": -3, "large": 18446744073709551615,
  "fraction": 2.5, "yes": true, "no": false, "every": "250ms", "null": null,
  "pins": [4, 17], "door": {"open": {"after": "1.5h"}}, "a/b": 1, "m~n": 2})");

std::string said(const ConfigValues::Problem& problem) { return problem.value_or("nothing"); }

std::string text_problem(const ConfigValues& values, const char* pointer) {
  const char* value = "unchanged";
  const auto problem = values.text(pointer, &value, nullptr);
  CHECK(std::string(value) == "unchanged");
  return said(problem);
}

std::string integer_problem(const char* pointer, std::int64_t least = INT64_MIN, std::int64_t most = INT64_MAX) {
  std::int64_t value = 42;
  const auto problem = sample.integer(pointer, least, most, value);
  CHECK(value == 42);
  return said(problem);
}

std::string duration_problem(const ConfigValues& values, const char* pointer) {
  std::chrono::nanoseconds value(42);
  const auto problem = values.duration(pointer, value);
  CHECK(value.count() == 42);
  return said(problem);
}

}  // namespace

TEST_CASE("each kind of value is read") {
  const char* text = nullptr;
  std::int64_t whole = 0;
  double number = 0;
  bool flag = false;
  std::chrono::nanoseconds duration(0);
  std::size_t count = 0;
  CHECK_FALSE(sample.text("/text", &text, nullptr));
  CHECK(std::string(text) == "hello");
  CHECK_FALSE(sample.integer("/negative", -3, -3, whole));
  CHECK(whole == -3);
  CHECK_FALSE(sample.number("/fraction", number));
  CHECK(number == 2.5);
  CHECK_FALSE(sample.number("/whole", number));
  CHECK(number == 7);
  CHECK_FALSE(sample.boolean("/yes", flag));
  CHECK(flag);
  CHECK_FALSE(sample.boolean("/no", flag));
  CHECK_FALSE(flag);
  CHECK_FALSE(sample.duration("/every", duration));
  CHECK(duration == std::chrono::milliseconds(250));
  CHECK_FALSE(sample.count("/pins", count));
  CHECK(count == 2);
}

TEST_CASE("a pointer leads into arrays and objects, and its escapes are undone") {
  std::int64_t whole = 0;
  std::chrono::nanoseconds duration(0);
  CHECK_FALSE(sample.integer("/pins/1", 0, 100, whole));
  CHECK(whole == 17);
  CHECK_FALSE(sample.duration("/door/open/after", duration));
  CHECK(duration == std::chrono::minutes(90));
  CHECK_FALSE(sample.integer("/a~1b", 0, 9, whole));
  CHECK(whole == 1);
  CHECK_FALSE(sample.integer("/m~0n", 0, 9, whole));
  CHECK(whole == 2);
}

TEST_CASE("a value that is absent leaves the default and is no problem") {
  for (const char* pointer : {"/nothing", "/pins/2", "/pins/x", "/door/shut", "/text/inside", "/pins/-"}) {
    CAPTURE(pointer);
    CHECK(text_problem(sample, pointer) == "nothing");
    CHECK(integer_problem(pointer) == "nothing");
    CHECK(duration_problem(sample, pointer) == "nothing");
  }
}

TEST_CASE("a value that is required and absent is a problem, one of any kind is none") {
  CHECK(said(sample.require("/nothing")) == "config: /nothing: is missing");
  CHECK(said(sample.require("/door/shut")) == "config: /door/shut: is missing");
  for (const char* pointer : {"/text", "/null", "/pins", "/door/open", ""}) CHECK_FALSE(sample.require(pointer));
}

TEST_CASE("a text with a NUL is given only together with its length") {
  CHECK(text_problem(sample, "/nul") == "config: /nul: must be a string without \\u0000");
  const char* value = nullptr;
  std::size_t size = 0;
  CHECK_FALSE(sample.text("/nul", &value, &size));
  CHECK(std::string(value, size) == std::string("a\0b", 3));
  CHECK_FALSE(sample.text("/empty", &value, &size));
  CHECK(size == 0);
}

TEST_CASE("a value of another kind is told by its pointer, with what it should be") {
  CHECK(text_problem(sample, "/whole") == "config: /whole: must be a string");
  CHECK(text_problem(sample, "/null") == "config: /null: must be a string");
  CHECK(integer_problem("/text") == "config: /text: must be a whole number");
  CHECK(integer_problem("/fraction") == "config: /fraction: must be a whole number");
  CHECK(integer_problem("/yes") == "config: /yes: must be a whole number");
  CHECK(duration_problem(sample, "/whole") ==
        "config: /whole: must be a duration such as \"250ms\", \"10s\" or \"1.5h\"");
  CHECK(duration_problem(sample, "/text")
            .find("config: /text: must be a duration such as \"250ms\", \"10s\" or "
                  "\"1.5h\"; ") == 0);
  double number = 0;
  bool flag = true;
  std::size_t count = 3;
  CHECK(said(sample.number("/text", number)) == "config: /text: must be a number");
  CHECK(said(sample.boolean("/whole", flag)) == "config: /whole: must be true or false");
  CHECK(said(sample.count("/door", count)) == "config: /door: must be an array");
  CHECK(flag);
  CHECK(count == 3);
}

TEST_CASE("a whole number out of range is told with the range") {
  CHECK(integer_problem("/whole", 8, 9) == "config: /whole: must be a whole number from 8 to 9");
  CHECK(integer_problem("/whole", 8) == "config: /whole: must be a whole number, at least 8");
  CHECK(integer_problem("/whole", INT64_MIN, 6) == "config: /whole: must be a whole number, at most 6");
  CHECK(integer_problem("/large") == "config: /large: must be a whole number of 64 bits");
}

TEST_CASE("keys that the plugin does not know are refused, with the one that was probably meant") {
  const ConfigValues values(R"({"evry": "1s", "greeting": "x"})");
  CHECK(said(values.keys("every  greeting ")) == "config: unknown key \"evry\"; did you mean \"every\"?");
  CHECK(said(values.keys("greeting pins times")) ==
        "config: unknown key \"evry\"; the known keys are \"greeting\", \"pins\" and \"times\"");
  CHECK(said(values.keys("")) == "config: unknown key \"evry\"; this config has no keys");
  CHECK_FALSE(values.keys("evry greeting"));
  CHECK_FALSE(ConfigValues("{}").keys(""));
  CHECK(said(ConfigValues("[]").keys("a")) == "config: it must be an object, {…}");
}

TEST_CASE("what is no JSON, and what is no pointer, is told instead of a value") {
  const ConfigValues broken("{\"every\": ");
  CHECK(text_problem(broken, "/every") == "config: it is not valid JSON");
  CHECK(said(broken.keys("every")) == "config: it is not valid JSON");
  CHECK(said(broken.require("/every")) == "config: it is not valid JSON");
  CHECK(text_problem(sample, "every").find("config: the plugin asks for \"every\", which is not a JSON pointer") == 0);
  CHECK(text_problem(sample, "/a~2").find("is not a JSON pointer") != std::string::npos);
  CHECK(text_problem(sample, nullptr) == "config: the plugin asks for a value without a JSON pointer");
}

TEST_CASE("a pointer and a key that are no text are told printably, at a bounded length") {
  CHECK(text_problem(sample, "every\n\xff").find("asks for \"every\\u000a\\xff\", which") != std::string::npos);
  const std::string problem = text_problem(sample, ("every" + std::string(5000, 'x')).c_str());
  CHECK(problem.size() < 300);
  const ConfigValues odd(R"({"a\u0007": {"b\u001b": 1}})");
  CHECK(said(odd.keys("door")).find("a\\u0007") != std::string::npos);
  CHECK(text_problem(odd, "/a\a/b\x1b").find("config: /a\\u0007/b\\u001b: ") == 0);
}
