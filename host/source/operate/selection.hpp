// Names and patterns that an operator gives, and what they stand for. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace taskhost {

// In a pattern, * stands for any text, also none, and ? for one character.
bool has_wildcard(std::string_view pattern) noexcept;
bool matches(std::string_view pattern, std::string_view name);

struct Selection {
  std::vector<std::size_t> chosen;  // places among the names, in their order, each one once
  std::string problem;              // if something given stands for none of them: the first such, and what may be meant
};

// Without anything given, all. A name that is given exactly is meant even if it has a * in it.
Selection select_names(std::span<const std::string> given, std::span<const std::string> names);

// "there is no host "x"; did you mean "y"?", or, if none is near, "; there are "a", "b" and 3 more". No names: nothing
// is added.
std::string no_such(std::string_view kind, std::string_view given, std::span<const std::string> names);

// "\"a\", \"b\" and 3 more"
std::string some_of(std::span<const std::string> names, std::size_t most);

}  // namespace taskhost
