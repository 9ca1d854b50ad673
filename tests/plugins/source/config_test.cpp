// The reader of configs that the bundled plugins share.
#include <string>
#include <utility>

#include "plugin_support/config.h"
#include "support/catch.hpp"

namespace {

struct Reader : config_reader {
  explicit Reader(std::string json) : json_(std::move(json)) { config_open(this, json_.c_str()); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  std::string text(const char* key, std::size_t capacity = 64) {
    std::string value(capacity, '?');
    value.resize(config_string(this, key, "absent", value.data(), capacity));
    return value;
  }
  std::string problem_text() {
    config_close(this);
    return problem;
  }

 private:
  std::string json_;
};

std::string text_of(const std::string& json) { return Reader("{\"key\": " + json + "}").text("key"); }

bool is_object(const std::string& json) {
  Reader reader(json);
  return reader.config_reader::text != nullptr;
}

bool duration_is(const std::string& text, std::uint64_t expected) {
  Reader reader("{\"key\":\"" + text + "\"}");
  return config_duration(&reader, "key", 42) == expected && config_close(&reader);
}

bool duration_is_refused(const std::string& json) {
  Reader reader("{\"key\":" + json + "}");
  return config_duration(&reader, "key", 42) == 42 && !config_close(&reader);
}

}  // namespace

TEST_CASE("a config that is absent gives the values for absence") {
  Reader reader("{}");
  CHECK_FALSE(config_has(&reader, "key"));
  CHECK(config_boolean(&reader, "flag", true));
  CHECK(config_whole(&reader, "count", 7, 0, 10) == 7);
  CHECK(config_duration(&reader, "time", 5) == 5);
  CHECK(reader.text("word") == "absent");
  CHECK(config_close(&reader));
}

TEST_CASE("values are found by their key at the top level only") {
  Reader reader(R"( { "nested" : {"word": "inner", "list": [1, {"word": "deep"}]}, "word" :"outer","flag":false } )");
  CHECK(reader.text("word") == "outer");
  CHECK_FALSE(config_boolean(&reader, "flag", true));
  CHECK(config_has(&reader, "nested"));
  CHECK(config_close(&reader));
}

TEST_CASE("a text that looks like a key is none") {
  Reader reader(R"({"a": "\"word\": \"wrong\"", "b": ["word", "wrong"], "word": "right"})");
  CHECK(reader.text("word") == "right");
}

TEST_CASE("of equal keys the last counts") {
  Reader reader(R"({"word": "first", "word": "second"})");
  CHECK(reader.text("word") == "second");
}

TEST_CASE("escapes in texts and keys are decoded") {
  CHECK(text_of(R"("a\"b\\c\/d\b\f\n\r\t")") == "a\"b\\c/d\b\f\n\r\t");
  CHECK(text_of(R"("\u0041\u00e9\u20ac\uD83D\ude00")") == "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  Reader reader(R"({"w\u006frd": "found"})");
  CHECK(reader.text("word") == "found");
}

TEST_CASE("half a surrogate pair is no text") {
  CHECK_FALSE(is_object(R"({"key": "\ud83d"})"));
  CHECK_FALSE(is_object(R"({"key": "\ud83dx"})"));
  CHECK_FALSE(is_object(R"({"key": "\ud83d\u0041"})"));
  CHECK_FALSE(is_object(R"({"key": "\ude00"})"));
}

TEST_CASE("a text with a NUL or without room is refused") {
  Reader with_nul(R"({"key": "a\u0000b"})");
  CHECK(with_nul.text("key") == "absent");
  CHECK_FALSE(config_close(&with_nul));
  Reader fits(R"({"key": "1234567"})");
  CHECK(fits.text("key", 8) == "1234567");
  CHECK(config_close(&fits));
  Reader too_long(R"({"key": "12345678"})");
  CHECK(too_long.text("key", 8) == "absent");
  CHECK(too_long.problem_text() == "config: \"key\" must be a text of less than 8 bytes, without \\u0000");
}

TEST_CASE("text that is no JSON object is refused as a whole") {
  for (const char* json : {"",
                           " ",
                           "null",
                           "[]",
                           "\"a\"",
                           "1",
                           "{",
                           "}",
                           "{]",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{,}",
                           "{a:1}",
                           "{\"a\":1} x",
                           "{\"a\":tru}",
                           "{\"a\":01}",
                           "{\"a\":1.}",
                           "{\"a\":.5}",
                           "{\"a\":-}",
                           "{\"a\":1e}",
                           "{\"a\":+1}",
                           "{\"a\":\"b}",
                           "{\"a\":\"\n\"}",
                           "{\"a\":\"\\x\"}",
                           "{\"a\":\"\\u12g4\"}",
                           "{\"a\":\"\\",
                           "{\"a\":[1,]}",
                           "{\"a\":[1 2]}",
                           "{\"a\" 1}",
                           "{\"a\":1 \"b\":2}"}) {
    CAPTURE(json);
    Reader reader(json);
    CHECK(config_whole(&reader, "a", 9, 0, 10) == 9);
    CHECK_THAT(reader.problem_text(), Catch::Matchers::StartsWith("config must be a JSON object"));
  }
}

TEST_CASE("good JSON of every kind is read") {
  CHECK(is_object(R"({"a": -0.5e+10, "b": 1E5, "c": null, "d": [], "e": {}, "f": [[{"g": true}], false], "": ""})"));
}

TEST_CASE("nesting has a bound") {
  const auto nested = [](int depth) { return "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}"; };
  CHECK(is_object(nested(CONFIG_DEPTH_MAX - 1)));
  CHECK_FALSE(is_object(nested(CONFIG_DEPTH_MAX)));
  CHECK_FALSE(is_object("{\"a\":" + std::string(1000000, '[')));
}

TEST_CASE("a wrong type is told with the key") {
  Reader flag(R"({"key": "true"})");
  config_boolean(&flag, "key", false);
  CHECK(flag.problem_text() == "config: \"key\" must be true or false");
  Reader word(R"({"key": 5})");
  CHECK(word.text("key") == "absent");
  CHECK_FALSE(config_close(&word));
}

TEST_CASE("the first problem is kept") {
  Reader reader(R"({"a": 1, "b": 2})");
  config_boolean(&reader, "a", false);
  config_boolean(&reader, "b", false);
  CHECK(reader.problem_text() == "config: \"a\" must be true or false");
}

TEST_CASE("a key that nobody asked for is refused, with those that are known") {
  Reader reader(R"({"intervall": "1s"})");
  config_duration(&reader, "interval", 1);
  config_boolean(&reader, "loud", false);
  CHECK(reader.problem_text() == "config: unknown key \"intervall\"; it knows interval, loud");
  Reader none(R"({"key": 1})");
  CHECK(none.problem_text() == "config: unknown key \"key\"; it takes none");
  Reader endless("{\"" + std::string(100000, 'k') + "\": 1}");
  CHECK_THAT(endless.problem_text(), Catch::Matchers::StartsWith("config: unknown key \"kkk"));
}

TEST_CASE("whole numbers have bounds, and nothing else is one") {
  Reader reader(R"({"key": 18446744073709551615})");
  CHECK(config_whole(&reader, "key", 0, 0, UINT64_MAX) == UINT64_MAX);
  CHECK(config_close(&reader));
  for (const char* json : {"18446744073709551616", "-1", "1.0", "1e3", "\"5\"", "true", "11"}) {
    CAPTURE(json);
    Reader wrong("{\"key\":" + std::string(json) + "}");
    CHECK(config_whole(&wrong, "key", 5, 1, 10) == 5);
    CHECK(wrong.problem_text() == "config: \"key\" must be a whole number from 1 to 10");
  }
}

TEST_CASE("durations have a unit and may have a fraction") {
  CHECK(duration_is("250ms", 250000000));
  CHECK(duration_is("0s", 0));
  CHECK(duration_is("1.5s", 1500000000));
  CHECK(duration_is("7ns", 7));
  CHECK(duration_is("3us", 3000));
  CHECK(duration_is("5m", 300000000000));
  CHECK(duration_is("0.25h", 900000000000));
  CHECK(duration_is("1.123456789s", 1123456789));
  CHECK(duration_is("0.9ns", 0));
  CHECK(duration_is("8760h", 31536000000000000));
}

TEST_CASE("other durations are refused") {
  for (const char* json : {"5",
                           "\"5\"",
                           "\"\"",
                           "\"s\"",
                           "\"-1s\"",
                           "\"+1s\"",
                           "\"1 s\"",
                           "\" 1s\"",
                           "\"1s \"",
                           "\"1.s\"",
                           "\".5s\"",
                           "\"1e3s\"",
                           "\"1d\"",
                           "\"1S\"",
                           "\"8760.1h\"",
                           "\"8761h\"",
                           "\"99999999999999999999999999s\"",
                           "\"00000000000000000000000000000000001s\"",
                           "\"1s\\u0000\"",
                           "null",
                           "[]"}) {
    CAPTURE(json);
    CHECK(duration_is_refused(json));
  }
}
