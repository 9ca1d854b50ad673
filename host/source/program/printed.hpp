// Prints to stdout. One thread.
#pragma once

namespace taskhost {

// Like printf, but written at once. Waits for a stdout that the other end made non-blocking.
[[gnu::format(printf, 1, 2)]] void print_out(const char* format, ...);

// 0, or the errno of the first write that failed; after that, nothing is printed.
int print_out_error() noexcept;

// Output counts as printed only once it has been written: the status then, with a line on stderr if it is not.
int with_output_written(int status);

}  // namespace taskhost
