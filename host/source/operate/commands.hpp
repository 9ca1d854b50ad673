// Each command, as operate_command calls it. They throw Refusal.
#pragma once

#include <string>
#include <string_view>

#include "operate/operate_command.hpp"
#include "operate/running_host.hpp"
#include "operate/table.hpp"

namespace taskhost {

// Where a command prints to.
struct Output {
  bool (*print)(std::string_view) = nullptr;  // false: nothing can be written any more
  TableStyle style{};
};

// Each returns an exit status.
int list_hosts(const OperateArguments& arguments, const Output& output);
int show_tasks(const OperateArguments& arguments, const Output& output);
int watch_host(const OperateArguments& arguments);
int explain_tasks(const OperateArguments& arguments, const Output& output);
// `verb` is "start", "stop" or "restart".
int change_tasks(const std::string& verb, const OperateArguments& arguments, const Output& output);
// `verb` is "logs" or "events".
int show_records(const std::string& verb, const OperateArguments& arguments, const Output& output);
int shut_down(const OperateArguments& arguments, const Output& output);
// What the shells' completion asks for; prints nothing if there is a trouble.
int complete_words(const OperateArguments& arguments, const Output& output);
int print_completion(const CLI::App& app, const OperateArguments& arguments, const Output& output);

// The tasks that the names and patterns stand for, in the host's order.
std::vector<Json> selected_tasks(RunningHost& host, const std::vector<std::string>& given);

// The command that tells more about a task, for messages.
std::string explain_command(const OperateArguments& arguments, const std::string& task);

// `--timeout`, or the default.
std::chrono::nanoseconds time_limit(const OperateArguments& arguments, std::chrono::nanoseconds otherwise);
std::string limit_text(std::chrono::nanoseconds limit);

}  // namespace taskhost
