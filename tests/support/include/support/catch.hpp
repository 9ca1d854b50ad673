// The only place that depends on the version of Catch2: 2.13 or 3.
#pragma once

#include <string>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#define TASKHOST_TEST_CATCH2_3
#else
#include <catch2/catch.hpp>
#endif

namespace taskhost::test {

// A matcher for strings; in Catch2 3, `Contains` is one for ranges.
inline auto contains_text(const std::string& part) {
#ifdef TASKHOST_TEST_CATCH2_3
  return Catch::Matchers::ContainsSubstring(part);
#else
  return Catch::Matchers::Contains(part);
#endif
}

}  // namespace taskhost::test
