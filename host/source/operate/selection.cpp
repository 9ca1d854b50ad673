#include "operate/selection.hpp"

#include <algorithm>

#include "operate/table.hpp"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::size_t most_names = 8;
constexpr std::size_t most_compared = 10'000;  // names, among which a similar one is looked for

std::string in_double_quotes(std::string_view name) { return '"' + terminal_text(name, 100) + '"'; }

}  // namespace

bool has_wildcard(std::string_view pattern) noexcept { return pattern.find_first_of("*?") != std::string_view::npos; }

// Goes back to the last * only, which is enough: an earlier one could not take more.
bool matches(std::string_view pattern, std::string_view name) {
  std::size_t at = 0;
  std::size_t place = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_place = 0;
  while (place < name.size()) {
    const std::size_t size = std::max<std::size_t>(character_size(name, place), 1);
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      star_place = place;
    } else if (at < pattern.size() && pattern[at] == '?') {
      ++at;
      place += size;
    } else if (at < pattern.size() && pattern[at] == name[place]) {
      ++at;
      ++place;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      star_place += std::max<std::size_t>(character_size(name, star_place), 1);
      place = star_place;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

Selection select_names(std::span<const std::string> given, std::span<const std::string> names) {
  std::vector<bool> is_chosen(names.size(), given.empty());
  Selection selection;
  for (const std::string& pattern : given) {
    const auto exact = std::find(names.begin(), names.end(), pattern);
    bool has_any = exact != names.end();
    if (has_any) {
      is_chosen[static_cast<std::size_t>(exact - names.begin())] = true;
    } else if (has_wildcard(pattern)) {
      for (std::size_t at = 0; at < names.size(); ++at) {
        if (!matches(pattern, names[at])) continue;
        is_chosen[at] = true;
        has_any = true;
      }
    }
    if (has_any || !selection.problem.empty()) continue;
    selection.problem = has_wildcard(pattern) ? "no task matches " + in_double_quotes(pattern) + "; there are " +
                                                    some_of(names, most_names)
                                              : no_such("task", pattern, names);
  }
  for (std::size_t at = 0; at < names.size(); ++at) {
    if (is_chosen[at]) selection.chosen.push_back(at);
  }
  return selection;
}

std::string no_such(std::string_view kind, std::string_view given, std::span<const std::string> names) {
  std::string words = "there is no " + std::string(kind) + ' ' + in_double_quotes(given);
  const std::span<const std::string> compared = names.first(std::min(names.size(), most_compared));
  const std::vector<std::string_view> known(compared.begin(), compared.end());
  const std::string_view nearest = nearest_word(given, known);
  if (!nearest.empty()) return words + "; did you mean " + in_double_quotes(nearest) + '?';
  if (names.empty()) return words;
  return words + "; there " + (names.size() == 1 ? "is " : "are ") + some_of(names, most_names);
}

std::string some_of(std::span<const std::string> names, std::size_t most) {
  if (names.empty()) return "none";
  std::vector<std::string> words;
  for (const std::string& name : names.first(std::min(names.size(), most))) words.push_back(in_double_quotes(name));
  if (names.size() > most) words.push_back(std::to_string(names.size() - most) + " more");
  return word_list(words, "and");
}

}  // namespace taskhost
