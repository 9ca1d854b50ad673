// Prints to stdout. One thread.
#pragma once

namespace taskhost {

// What else prints to stdout, as plugins may while they are loaded, prints to stderr from now on: data is for programs.
void keep_stdout_for_data() noexcept;

// Like printf, but written at once. Waits for a stdout that the other end made non-blocking.
[[gnu::format(printf, 1, 2)]] void print_out(const char* format, ...);

// 0, or the errno of the first write that failed; after that, nothing is printed.
int print_out_error() noexcept;

// Output counts as printed only once it has been written: the status then, with a line on stderr if it is not.
// `status_of_failure`: for a command that has done its work otherwise.
int with_output_written(int status, int status_of_failure);

}  // namespace taskhost
