#include "operate/table.hpp"

#include <algorithm>
#include <array>

namespace taskhost {

namespace {

constexpr std::size_t gap = 2;
constexpr std::string_view ellipsis = "…";

struct Range {
  std::uint32_t first, last;
};

// Combining marks, coarsely.
constexpr std::array<Range, 7> without_width = {{{0x0300, 0x036F},
                                                 {0x0483, 0x0489},
                                                 {0x0591, 0x05BD},
                                                 {0x064B, 0x065F},
                                                 {0x1AB0, 0x1AFF},
                                                 {0x20D0, 0x20FF},
                                                 {0xFE00, 0xFE0F}}};
// East Asian wide ones and emoji, coarsely.
constexpr std::array<Range, 9> wide = {{{0x1100, 0x115E},
                                        {0x2E80, 0xA4CF},
                                        {0xA960, 0xA97F},
                                        {0xAC00, 0xD7A3},
                                        {0xF900, 0xFAFF},
                                        {0xFE30, 0xFE6F},
                                        {0xFF00, 0xFF60},
                                        {0x1F300, 0x1FAFF},
                                        {0x20000, 0x3FFFD}}};

template <std::size_t size>
bool is_in(std::uint32_t code, const std::array<Range, size>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [code](const Range& range) { return code >= range.first && code <= range.last; });
}

std::uint32_t code_of(std::string_view character) {
  const auto byte = [&](std::size_t at) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(character[at]));
  };
  if (character.size() == 1) return byte(0);
  std::uint32_t code = byte(0) & (0xFFU >> (character.size() + 1));
  for (std::size_t at = 1; at < character.size(); ++at) code = (code << 6U) | (byte(at) & 0x3FU);
  return code;
}

std::string_view first_character(std::string_view text) {
  return text.substr(0, std::max<std::size_t>(character_size(text, 0), 1));
}

std::size_t columns_of_code(std::uint32_t code) {
  if (is_in(code, without_width)) return 0;
  return is_in(code, wide) ? 2 : 1;
}

std::string_view colour_of(Tone tone) {
  switch (tone) {
    case Tone::good:
      return "\033[32m";
    case Tone::warning:
      return "\033[33m";
    case Tone::bad:
      return "\033[31m";
    default:
      return {};
  }
}

// Takes room away from the last columns first.
void shrink(std::vector<std::size_t>& widths, std::span<const Column> columns, std::size_t limit) {
  std::size_t total = gap * (widths.size() - 1);
  for (const std::size_t width : widths) total += width;
  for (std::size_t at = widths.size(); at-- > 0 && total > limit;) {
    if (columns[at].least == 0 || widths[at] <= columns[at].least) continue;
    const std::size_t less = std::min(total - limit, widths[at] - columns[at].least);
    widths[at] -= less;
    total -= less;
  }
}

void append_line(std::string& text, std::span<const Cell> cells, std::span<const std::size_t> widths,
                 const TableStyle& style) {
  std::size_t used = 0;
  std::size_t owed = 0;  // spaces, which are written only if something follows
  for (std::size_t at = 0; at < cells.size(); ++at) {
    const std::size_t begin = used + owed;
    if (style.width != 0 && begin >= style.width) break;
    const std::size_t room = style.width == 0 ? widths[at] : std::min(widths[at], style.width - begin);
    const std::string shown = fitted(cells[at].text, room);
    const std::size_t size = columns_of(shown);
    if (size != 0) {
      text.append(owed, ' ');
      used = begin + size;
      owed = 0;
      text += toned(shown, cells[at].tone, style);
    }
    owed += widths[at] - size + gap;
  }
  text += '\n';
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const std::string_view character = first_character(text);
    columns += columns_of_code(code_of(character));
    text.remove_prefix(character.size());
  }
  return columns;
}

std::string fitted(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  std::string result;
  std::size_t used = 0;
  while (!text.empty()) {
    const std::string_view character = first_character(text);
    const std::size_t its = columns_of_code(code_of(character));
    if (used + its > columns - 1) break;
    result += character;
    used += its;
    text.remove_prefix(character.size());
  }
  return result.append(ellipsis);
}

std::string toned(std::string_view text, Tone tone, const TableStyle& style) {
  const std::string_view colour = style.has_colours ? colour_of(tone) : std::string_view();
  return std::string(colour).append(text).append(colour.empty() ? "" : "\033[0m");
}

std::string table_text(std::span<const Column> columns, std::span<const std::vector<Cell>> rows,
                       const TableStyle& style) {
  std::vector<std::vector<Cell>> lines(1);
  for (const Column& column : columns) lines.front().push_back({.text = column.title});
  for (const std::vector<Cell>& row : rows) {
    std::vector<Cell>& line = lines.emplace_back();
    for (const Cell& cell : row) line.push_back({.text = terminal_text(cell.text), .tone = cell.tone});
  }
  std::vector<std::size_t> widths(columns.size());
  for (const std::vector<Cell>& line : lines) {
    for (std::size_t at = 0; at < line.size(); ++at) widths[at] = std::max(widths[at], columns_of(line[at].text));
  }
  if (style.width != 0) shrink(widths, columns, style.width);
  std::string text;
  for (const std::vector<Cell>& line : lines) append_line(text, line, widths, style);
  return text;
}

}  // namespace taskhost
