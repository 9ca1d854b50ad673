// Is the product built with sanitizers? What counts or measures is smaller or left out there. CMake says so, as what
// drives the program is itself built without.
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
