// Tasks and hosts in words: rows of tables, and facts. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "operate/answers.hpp"
#include "operate/table.hpp"

namespace taskhost {

enum class Health : std::uint8_t { bad, passing, well };

// Bad: it failed and is not running again, or is stuck. Passing: on its way to somewhere, or stopped by an operator.
Health health_of(const Json& task);

// "2 of 5", how many restarts are used up; "2 of 5 used" is what it means.
std::string restarts_of(const Json& task);

// The most useful thing to know about it on one line.
std::string news_of(const Json& task);

std::vector<Column> task_columns();
std::vector<Cell> task_row(const Json& task);
// For explain: label and value.
std::vector<std::pair<std::string, std::string>> facts_of(const Json& task);

// "demo: running for 2h03m, process 4711; 11 of 12 tasks are ready"
std::string host_line(const Json& host, std::int64_t now_ms);
std::vector<Column> host_columns();
std::vector<Cell> host_row(const Json& host, std::int64_t now_ms);
// What is not well, in a few words; empty: all is.
std::string worries_of(const Json& host);

// Milliseconds since 1970 of "2026-01-02T03:04:05.678Z"; nothing if it is not understood.
std::optional<std::int64_t> time_of(const std::string& text);

}  // namespace taskhost
