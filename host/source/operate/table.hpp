// Text for terminals: what foreign text looks like there, and tables that fit. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/printable.hpp"

namespace taskhost {

// One line without anything that controls a terminal or reorders what is read.
inline std::string terminal_text(std::string_view text, std::size_t max_bytes = 1000) {
  return printable_text(text, max_bytes);
}

// How many columns of a terminal the text takes. It is valid UTF-8 without control characters.
std::size_t columns_of(std::string_view text);

// The text, or its beginning and "…", in at most so many columns.
std::string fitted(std::string_view text, std::size_t columns);

enum class Tone : std::uint8_t { plain, good, warning, bad };

struct Cell {
  std::string text;
  Tone tone = Tone::plain;
};

struct Column {
  std::string title;
  std::size_t least = 0;  // it may be cut to so many columns if the terminal is narrow; 0: it is not cut
};

struct TableStyle {
  std::size_t width = 0;  // of the terminal; 0: no limit
  bool has_colours = false;
};

// In that tone's colour, if there are colours.
std::string toned(std::string_view text, Tone tone, const TableStyle& style);

// Lines with their ends: the titles, then the rows, each with one cell for each column. Cells are made fit for
// terminals. If there is too little room, the last columns that may be cut are cut first.
std::string table_text(std::span<const Column> columns, std::span<const std::vector<Cell>> rows,
                       const TableStyle& style);

}  // namespace taskhost
