// Records of a host's log and events, as lines for people. Pure functions, but for the time zone; any thread.
#pragma once

#include <string>

#include "operate/answers.hpp"
#include "operate/table.hpp"

namespace taskhost {

// As the host's own log shows it, with its line ends: "2026-01-31 12:00:00.123 info    [feed] started".
std::string log_words(const Json& record, const TableStyle& style);
// "2026-01-31 12:00:00.123 task_exited feed: execution 3, outcome error, …", with its line end.
std::string event_words(const Json& record);

// Whether it says that records are missing in its place.
bool tells_missing(const Json& record);

}  // namespace taskhost
