// "Did you mean …?": the known word that the operator probably meant. A pure function; any thread.
#pragma once

#include <span>
#include <string_view>

namespace taskhost {

// Empty if no known word is near. Case and the difference between "-", " " and "_" count for nothing; a typing slip
// (a letter wrong, missing, too many, or two swapped) counts one, and about one slip in three letters is forgiven. The
// same parts in another order ("all_for_one") count for nothing, and a part of exactly one known word is near to it
// too. Of equally near words the first wins.
std::string_view nearest_word(std::string_view word, std::span<const std::string_view> known_words);

}  // namespace taskhost
