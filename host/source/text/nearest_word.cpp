#include "text/nearest_word.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace taskhost {
namespace {

// Longer words are not typing slips; the limit keeps hostile input cheap and the table below on the stack.
constexpr std::size_t max_word_bytes = 64;

std::string normalised(std::string_view word) {
  std::string result(word);
  for (char& letter : result) {
    if (letter >= 'A' && letter <= 'Z') {
      letter = static_cast<char>(letter - 'A' + 'a');
    } else if (letter == '-' || letter == ' ') {
      letter = '_';
    }
  }
  return result;
}

// The number of edits that turn one into the other, where swapping neighbours is one (optimal string alignment).
std::size_t slips_between(std::string_view left, std::string_view right) {
  using Row = std::array<std::size_t, max_word_bytes + 1>;
  Row before_previous{};
  Row previous{};
  Row current{};
  for (std::size_t column = 0; column <= right.size(); ++column) {
    previous[column] = column;
  }
  for (std::size_t row = 1; row <= left.size(); ++row) {
    current[0] = row;
    for (std::size_t column = 1; column <= right.size(); ++column) {
      const std::size_t replace = previous[column - 1] + (left[row - 1] == right[column - 1] ? 0 : 1);
      current[column] = std::min({replace, previous[column] + 1, current[column - 1] + 1});
      const bool swapped =
          row > 1 && column > 1 && left[row - 1] == right[column - 2] && left[row - 2] == right[column - 1];
      if (swapped) {
        current[column] = std::min(current[column], before_previous[column - 2] + 1);
      }
    }
    before_previous = previous;
    previous = current;
  }
  return previous[right.size()];
}

// Such as "all_for_one" and "one_for_all".
bool has_same_parts(std::string_view left, std::string_view right) {
  if (left.size() != right.size()) return false;
  const auto parts = [](std::string_view word) {
    std::vector<std::string_view> found;
    for (std::size_t begin = 0; begin <= word.size();) {
      const std::size_t end = std::min(word.find('_', begin), word.size());
      found.push_back(word.substr(begin, end - begin));
      begin = end + 1;
    }
    std::sort(found.begin(), found.end());
    return found;
  };
  return parts(left) == parts(right);
}

// Such as "timeout" for "stop_timeout", if no other word has it.
std::string_view only_word_with(std::string_view part, std::span<const std::string_view> known_words) {
  constexpr std::size_t min_part_bytes = 4;
  std::string_view found;
  for (const std::string_view known : known_words) {
    if (part.size() >= min_part_bytes && normalised(known).find(part) != std::string::npos) {
      if (!found.empty()) {
        return {};
      }
      found = known;
    }
  }
  return found;
}

}  // namespace

std::string_view nearest_word(std::string_view word, std::span<const std::string_view> known_words) {
  if (word.empty() || word.size() > max_word_bytes) {
    return {};
  }
  const std::string wanted = normalised(word);
  std::string_view nearest;
  std::optional<std::size_t> fewest;
  for (const std::string_view known : known_words) {
    if (known.empty() || known.size() > max_word_bytes) {
      continue;
    }
    const std::string known_form = normalised(known);
    const std::size_t slips = has_same_parts(wanted, known_form) ? 0 : slips_between(wanted, known_form);
    const std::size_t forgiven = std::max<std::size_t>(1, std::min(wanted.size(), known.size()) / 3);
    const bool something_in_common = slips < std::min(wanted.size(), known.size());
    if (slips <= forgiven && something_in_common && (!fewest || slips < *fewest)) {
      nearest = known;
      fewest = slips;
    }
  }
  return fewest ? nearest : only_word_with(wanted, known_words);
}

}  // namespace taskhost
