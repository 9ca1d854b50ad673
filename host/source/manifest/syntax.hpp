// Explains a JSON syntax error in terms of the mistake that was made. A pure function; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "manifest/node.hpp"

namespace taskhost {

enum class LastToken : std::uint8_t { none, opening, key, value };

// How far the text was understood.
struct SyntaxState {
  LastToken last_token = LastToken::none;
  std::size_t read_to = 0;            // the end of that token
  std::optional<NodeKind> container;  // the array or object that is open
  std::size_t container_offset = 0;
};

struct SyntaxFault {
  std::size_t offset;
  std::string message;
};

// `position` (bytes read when the error was found) and `reason` come from nlohmann_json. `reason` only serves to tell
// errors within a string apart: what is expected at each place follows from `state`.
SyntaxFault explain_syntax_error(std::string_view text, const SyntaxState& state, std::size_t position,
                                 std::string_view reason);

}  // namespace taskhost
