#include "text/host_name.hpp"

#include <algorithm>
#include <filesystem>

#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::size_t max_name = 64;

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

}  // namespace

std::string host_name_problem(std::string_view name) {
  if (name.empty() || name.size() > max_name) return "a host's name has 1 to 64 characters";
  if (!std::all_of(name.begin(), name.end(), is_plain) || name.front() == '.' || name.front() == '-') {
    return "the name " + quoted_text(name) + " of a host may have letters, digits, '.', '_' and '-' only, and begins " +
           "with a letter, a digit or '_'";
  }
  return {};
}

std::string host_name_from(std::string_view path) {
  std::filesystem::path whole(path);
  if (!whole.has_filename()) whole = whole.parent_path();
  std::string name = whole.has_extension() ? whole.stem().string() : whole.filename().string();
  name.resize(std::min(name.size(), max_name));
  for (char& c : name) {
    if (!is_plain(c)) c = '-';
  }
  const std::size_t begin = name.find_first_not_of(".-");
  return begin != std::string::npos ? name.substr(begin) : "taskhost";
}

}  // namespace taskhost
