// What the program prints to stdout. One thread.
#pragma once

namespace taskhost {

// As printf, and at once. A stdout that the other end made non-blocking is waited for.
[[gnu::format(printf, 1, 2)]] void print_out(const char* format, ...);

// 0, or the errno of the first write that failed; from then on nothing is printed.
int print_out_error() noexcept;

}  // namespace taskhost
