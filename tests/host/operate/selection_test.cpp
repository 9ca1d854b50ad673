#include "operate/selection.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "text/shell_word.hpp"

using namespace taskhost;

namespace {

using Names = std::vector<std::string>;
using Places = std::vector<std::size_t>;

Selection select(const Names& given, const Names& names) { return select_names(given, names); }

}  // namespace

TEST_CASE("in a pattern, * is any text and ? is one character, also one of several bytes") {
  CHECK(matches("*", ""));
  CHECK(matches("*", "feed"));
  CHECK(matches("feed-*", "feed-"));
  CHECK(matches("feed-*", "feed-eu"));
  CHECK_FALSE(matches("feed-*", "feed"));
  CHECK(matches("*-eu", "feed-eu"));
  CHECK(matches("f*d*u", "feed-eu"));
  CHECK(matches("*ab", "aab"));
  CHECK(matches("?", "ü"));
  CHECK(matches("*?", "ü"));
  CHECK_FALSE(matches("??", "ü"));
  CHECK_FALSE(matches("?", ""));
  CHECK_FALSE(matches("", "a"));
  CHECK(matches("", ""));
  CHECK(matches("a.c", "a.c"));
  CHECK_FALSE(matches("a.c", "abc"));
}

TEST_CASE("a pattern made to be slow is not") {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "a*";
  CHECK_FALSE(matches(pattern + "b", std::string(10'000, 'a')));
}

TEST_CASE("names and patterns choose tasks in the host's order, each one once") {
  const Names names{"feed", "feed-2", "side", "x*"};
  CHECK(select({}, names).chosen == Places{0, 1, 2, 3});
  CHECK(select({"side", "feed*", "feed"}, names).chosen == Places{0, 1, 2});
  CHECK(select({"x*"}, names).chosen == Places{3});
  CHECK(select({"*"}, {}).problem == "no task matches \"*\"; there are none");
}

TEST_CASE("a name that is not there is told with the nearest one, or with those that are there") {
  const Names names{"feed", "feed-2", "side"};
  CHECK(select({"fede"}, names).problem == "there is no task \"fede\"; did you mean \"feed\"?");
  CHECK(select({"other"}, names).problem == "there is no task \"other\"; there are \"feed\", \"feed-2\" and \"side\"");
  CHECK(select({"o*"}, names).problem == "no task matches \"o*\"; there are \"feed\", \"feed-2\" and \"side\"");
  CHECK(no_such("host", "x", {}) == "there is no host \"x\"");
  CHECK(some_of(Names{"a", "b", "c", "d"}, 2) == "\"a\", \"b\" and 2 more");
  CHECK(select({"\033[2J"}, {}).problem == "there is no task \"\\u001b[2J\"");
}

TEST_CASE("a name in a hint is what a shell takes for it") {
  CHECK(shell_word("feed-2") == "feed-2");
  CHECK(shell_word("-x") == "-- -x");
  CHECK(shell_word("it's one") == "'it'\\''s one'");
  CHECK(shell_word("$(reboot)") == "'$(reboot)'");
}
