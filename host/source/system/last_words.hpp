// Messages while the process ends, or from a signal handler: one line on stderr, without the log. Any thread,
// async-signal-safe.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace taskhost {

// Duplicates stderr for later lines, so that a plugin that closes or replaces descriptor 2 does not get them. Called
// before anything is loaded; a later call adapts to an embedder that has changed its stderr. Without a call, or without
// a free descriptor, lines go to descriptor 2.
void keep_stderr() noexcept;

// The duplicate, or 2.
int own_stderr() noexcept;

// Like write_in_background, to the duplicate; remembers whether a line is unfinished, since last words begin a new one.
ssize_t write_to_stderr(std::string_view text) noexcept;

// If the log is JSON, last words are JSON, too: {"time": …, "level": "error", "message": TEXT}.
void write_last_words_as_json(bool is_json) noexcept;

// Whether stderr is the journal's, as JOURNAL_STREAM says: then each line begins with its priority, "<3>".
bool stderr_is_journal() noexcept;

// A journal's priorities.
inline constexpr char error_priority = '3';
inline constexpr char warning_priority = '4';
inline constexpr char info_priority = '6';
inline constexpr char debug_priority = '7';

// Writes the line "taskhost: TEXT". Waits at most a tenth of a second for a reader that does not read.
void last_words(std::string_view text, char priority = error_priority) noexcept;

}  // namespace taskhost
