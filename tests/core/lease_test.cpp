// Every order in which lending, taking back and taking over can meet.
#include "lease.hpp"

#include <array>
#include <sstream>
#include <string>

#include "support/catch.hpp"

using taskhost::Lease;

namespace {

// A script is a list of words: L1 lends for the first time; B1 takes that call back, T1 takes it over, each followed by
// whether it must succeed (+ or -); R1 says that call 1 is seen to run, R0 that none is.
void play(const std::string& script) {
  INFO(script);
  Lease lease;
  std::array<Lease::Call, 10> calls{};
  std::istringstream words(script);
  for (std::string word; words >> word;) {
    INFO("at " << word);
    Lease::Call& call = calls.at(static_cast<std::size_t>(word.at(1) - '0'));
    switch (word.at(0)) {
      case 'L':
        call = lease.lend();
        REQUIRE(call != 0);
        break;
      case 'B':
        REQUIRE(lease.take_back(call) == (word.at(2) == '+'));
        break;
      case 'T':
        REQUIRE(lease.take_over(call) == (word.at(2) == '+'));
        break;
      case 'R':
        REQUIRE(lease.running() == call);
        break;
      default:
        FAIL("not a word of the script");
    }
  }
}

}  // namespace

TEST_CASE("of a call that comes back and one who takes it over, the first wins and the other loses") {
  const char* const rows[] = {
      // nobody takes over
      "R0 L1 R1 B1+ R0",
      "L1 B1+ L2 R2 B2+ R0",
      // back first
      "L1 B1+ T1- R0",
      "L1 B1+ T1- L2 R2 B2+",
      // taken over first
      "L1 T1+ R0 B1-",
      "L1 T1+ B1- R0",
      // two who take over: one wins
      "L1 T1+ T1- B1-",
      "L1 B1+ T1- T1-",
      // twice back (never done, but no harm)
      "L1 B1+ B1-",
  };
  for (const char* row : rows) play(row);
}

TEST_CASE("who saw a call run can't take over a later one in its name") {
  const char* const rows[] = {
      "L1 R1 B1+ L2 T1- R2 B2+",
      "L1 R1 B1+ L2 B2+ L3 T1- T2- R3 T3+ B3-",
  };
  for (const char* row : rows) play(row);
}

TEST_CASE("a call that comes back late takes nothing from the new owner, whatever that does meanwhile") {
  const char* const rows[] = {
      "L1 T1+ L2 B1- R2 B2+",            // late, during a call of the new owner's
      "L1 T1+ L2 B2+ B1- R0",            // between two
      "L1 T1+ L2 T2+ B1- B2- R0",        // the new owner got stuck as well
      "L1 T1+ L2 T2+ L3 B2- B1- R3 B3+"  // and both come back during a third call
  };
  for (const char* row : rows) play(row);
}

TEST_CASE("nothing can be taken over before the first call") {
  Lease lease;
  CHECK(lease.running() == 0);
  CHECK_FALSE(lease.take_over(5));
}
