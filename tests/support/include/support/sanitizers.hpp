// Whether the product is built with sanitizers: then tests that count or measure are smaller or left out. Defined by
// CMake, since the code that drives the program is itself built without sanitizers.
#pragma once

namespace taskhost::test {

#ifdef TASKHOST_TEST_THREAD_SANITIZER
inline constexpr bool thread_sanitizer = true;
#else
inline constexpr bool thread_sanitizer = false;
#endif

#ifdef TASKHOST_TEST_ADDRESS_SANITIZER
inline constexpr bool address_sanitizer = true;
#else
inline constexpr bool address_sanitizer = false;
#endif

inline constexpr bool sanitized = thread_sanitizer || address_sanitizer;

}  // namespace taskhost::test
