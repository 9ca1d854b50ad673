// The starters comply with the contract, whatever their language.
#include <string>

#include "languages.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

TEST_CASE("taskhost verify passes the starter of every language") {
  for (const GreeterLanguage& language : greeter_languages()) {
    INFO(language.id);
    const ProcessEnd end = run_program({"verify", language.plugin(), "--config", R"({"every": "2ms", "times": 20})"});
    INFO(end.summary());
    CHECK(end.status == 0);
    CHECK(has_line(end.out, {"verify: ", ", 0 broken, 0 unproven"}));
  }
}
