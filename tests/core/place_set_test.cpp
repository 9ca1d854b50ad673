// A set of places compared with std::set.
#include "place_set.hpp"

#include <cstdint>
#include <set>

#include "support/catch.hpp"

using taskhost::PlaceSet;

namespace {

void check_same(const PlaceSet& set, const std::set<std::uint32_t>& expected) {
  REQUIRE(set.empty() == expected.empty());
  if (expected.empty()) return;
  REQUIRE(set.first() == *expected.begin());
  REQUIRE(set.last() == *expected.rbegin());
}

}  // namespace

TEST_CASE("a set of places has a first and a last, whatever went in and out") {
  for (const std::uint32_t size : {1u, 3u, 64u, 65u, 4096u, 4097u, 300'000u}) {
    PlaceSet set;
    std::set<std::uint32_t> expected;
    std::uint64_t chance = size;
    check_same(set, expected);
    for (int i = 0; i < 2000; ++i) {
      chance = chance * 6364136223846793005u + 1442695040888963407u;
      const auto place = static_cast<std::uint32_t>((chance >> 33) % size);
      if (chance >> 62 == 0 || (chance >> 62 == 1 && i > 1000)) {
        set.erase(place);
        expected.erase(place);
      } else {
        set.insert(place);
        expected.insert(place);
      }
      check_same(set, expected);
    }
    while (!expected.empty()) {
      set.erase(set.first());
      expected.erase(expected.begin());
      check_same(set, expected);
    }
  }
}

TEST_CASE("what was never in a set can be taken out of it") {
  PlaceSet set;
  set.erase(5);
  CHECK(set.empty());
  set.insert(7);
  set.erase(1'000'000);
  set.erase(6);
  CHECK(set.first() == 7);
  CHECK(set.last() == 7);
}
