// What hosts answer, read leniently: a host of another version may leave fields out or have more of them. Pure
// functions; any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace taskhost {

using Json = nlohmann::ordered_json;  // printed as the host wrote it

// Discarded if it is none, or deeper than any host's answer.
Json parse_answer_json(std::string_view text);

// An exit status of these commands, and what its reader is to do.
struct Refusal : std::runtime_error {
  Refusal(int exit_status, const std::string& words) : std::runtime_error(words), status(exit_status) {}
  int status;
};
inline constexpr int operate_failed = 1;
inline constexpr int operate_wrong_usage = 2;
inline constexpr int operate_no_such = 5;

// Empty, nothing or false if the field is absent, null or of another type.
std::string text_field(const Json& object, std::string_view key);
std::optional<std::uint64_t> number_field(const Json& object, std::string_view key);
bool flag_field(const Json& object, std::string_view key);
// Null if it is absent.
const Json& field(const Json& object, std::string_view key);

// On one line; harmless to a terminal.
std::string json_text(const Json& json);

}  // namespace taskhost
