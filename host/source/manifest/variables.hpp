// Environment variables in a string: "${env:NAME}", "${env:NAME:-default}". Pure functions; any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace taskhost {

bool may_have_variables(std::string_view text) noexcept;

struct Substitution {
  std::string text;
  std::string problem;  // what is wrong, and what to write; empty if nothing is
};

// Before "{env:", two "$" stand for one, so "$${env:NAME}" is the text "${env:NAME}". Every other "$" is left alone.
// A text that grows beyond `max_bytes` is a problem.
Substitution with_variables(std::string_view text,
                            const std::function<std::optional<std::string>(const std::string& name)>& variable,
                            std::size_t max_bytes);

}  // namespace taskhost
