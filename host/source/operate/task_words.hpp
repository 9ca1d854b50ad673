// Tasks and hosts in words: rows of tables, and facts. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operate/answers.hpp"
#include "operate/table.hpp"

namespace taskhost {

enum class Health : std::uint8_t { bad, passing, well };

// Bad: it failed and is not running again, or is stuck. Passing: on its way to somewhere, or stopped by an operator.
Health health_of(const Json& task);

// How often it was started again since the host started, after an exit, with its group or by an operator.
std::optional<std::uint64_t> restarts_of(const Json& task);
// "12 (3 left)": these, and how many its budget still has; "12" if that has no limit, or there is none.
std::string restarts_cell(const Json& task);

// The most useful thing to know about it on one line.
std::string news_of(const Json& task);

// For commands that a message names; empty if no host was named.
std::string host_option(std::string_view host);
// What the host says about a task; its commands are for the host that was named.
std::string situation_of(const Json& task, std::string_view host);

std::vector<Column> task_columns();
std::vector<Cell> task_row(const Json& task);
// For explain: label and value. `dependants` come directly after it.
std::vector<std::pair<std::string, std::string>> facts_of(const Json& task, const std::vector<std::string>& dependants);

// The names of those among the tasks that come directly after the one of this name.
std::vector<std::string> dependants_of(const Json& tasks, std::string_view name);

// "demo: running for 2h03m, process 4711; 11 of 12 tasks are ready"
std::string host_line(const Json& host);
std::vector<Column> host_columns();
// `option`: what --host takes for it.
std::vector<Cell> host_row(const std::string& option, const Json& host);
// What is not well, in a few words; empty: all is.
std::string worries_of(const Json& host);

}  // namespace taskhost
