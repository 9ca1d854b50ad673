// "Did you mean …?": the known word that the operator probably meant. A pure function; any thread.
#pragma once

#include <span>
#include <string_view>

namespace taskhost {

// Returns an empty word if no known word is near. Case and the difference between "-", " " and "_" are ignored; a
// typing slip (a letter wrong, missing, too many, or two swapped) counts as one, and about one slip in three letters is
// forgiven. Reordered parts ("all_for_one") count as no slip, and a part of exactly one known word also matches it.
// Among equally near words the first wins.
std::string_view nearest_word(std::string_view word, std::span<const std::string_view> known_words);

}  // namespace taskhost
