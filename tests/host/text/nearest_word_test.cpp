#include "text/nearest_word.hpp"

#include <array>
#include <string>
#include <string_view>

#include "support/catch.hpp"

namespace {

std::string nearest(std::string_view word) {
  static constexpr std::array<std::string_view, 6> known = {"name", "plugin",   "task",
                                                            "type", "restarts", "stop_timeout"};
  return std::string(taskhost::nearest_word(word, known));
}

}  // namespace

TEST_CASE("a known word is nearest to itself") { CHECK(nearest("task") == "task"); }

TEST_CASE("one slip is forgiven") {
  CHECK(nearest("restart") == "restarts");
  CHECK(nearest("restartss") == "restarts");
  CHECK(nearest("nane") == "name");
  CHECK(nearest("nmae") == "name");
  CHECK(nearest("plugn") == "plugin");
}

TEST_CASE("longer words may have more slips") {
  CHECK(nearest("stop_tiemuot") == "stop_timeout");
  CHECK(nearest("stoptimeout") == "stop_timeout");
}

TEST_CASE("case, dashes and spaces count for nothing") {
  CHECK(nearest("Stop-Timeout") == "stop_timeout");
  CHECK(nearest("STOP TIMEOUT") == "stop_timeout");
}

TEST_CASE("a part of one known word is near to it") { CHECK(nearest("timeout") == "stop_timeout"); }

TEST_CASE("a part of several known words is near to none") {
  static constexpr std::array<std::string_view, 2> known = {"stop_timeout", "shutdown_timeout"};
  CHECK(taskhost::nearest_word("timeout", known).empty());
}

TEST_CASE("a word far from all is near to none") {
  CHECK(nearest("backoff").empty());
  CHECK(nearest("x").empty());
  CHECK(nearest("").empty());
  CHECK(nearest("\xc3\xa9\xc3\xa9").empty());
}

TEST_CASE("of equally near words the first wins") {
  static constexpr std::array<std::string_view, 2> known = {"cat", "car"};
  CHECK(taskhost::nearest_word("cap", known) == "cat");
}

TEST_CASE("very long words are near to none") {
  CHECK(nearest(std::string(65, 'n')).empty());
  CHECK(nearest(std::string(1'000'000, 'n')).empty());
}

TEST_CASE("nothing is near where nothing is known") { CHECK(taskhost::nearest_word("task", {}).empty()); }

TEST_CASE("the same parts in another order are nearer than any slips") {
  constexpr std::array<std::string_view, 3> strategies = {"one_for_one", "one_for_all", "rest_for_one"};
  CHECK(taskhost::nearest_word("all_for_one", strategies) == "one_for_all");
  CHECK(taskhost::nearest_word("One-For-Rest", strategies) == "rest_for_one");
  CHECK(nearest("timeout_stop") == "stop_timeout");
}
