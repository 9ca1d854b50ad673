// What has to be said while the process ends, or in a signal handler: one line on stderr, past the log. Any thread,
// async-signal-safe.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace taskhost {

// Takes a duplicate of stderr for the lines to come, so that a plugin that closes or replaces descriptor 2 does not
// get them. Called before anything is loaded; a later call follows an embedder that has another stderr by now. Without
// it, and where there is no descriptor left, lines go to descriptor 2.
void keep_stderr() noexcept;

// The duplicate, or 2.
int own_stderr() noexcept;

// As write_in_background does, to the duplicate, and remembers whether a line is unfinished: last words begin a new
// one.
ssize_t write_to_stderr(std::string_view text) noexcept;

// Beside a log in JSON, last words are JSON, too: {"time": …, "level": "error", "message": TEXT}.
void write_last_words_as_json(bool is_json) noexcept;

// "taskhost: TEXT", a line. A reader that does not read is waited for a tenth of a second, and no longer.
void last_words(std::string_view text) noexcept;

}  // namespace taskhost
