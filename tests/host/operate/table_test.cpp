#include "operate/table.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace taskhost;

namespace {

const std::vector<Column> columns{{"TASK", 6}, {"STATE"}, {"NEWS", 4}};
const std::vector<std::vector<Cell>> rows{
    {{"feed"}, {"running", Tone::good}, {"connected to the exchange"}},
    {{"a-task-with-a-long-name"}, {"ended", Tone::bad}, {}},
};

std::string table(const TableStyle& style) { return table_text(columns, rows, style); }

}  // namespace

TEST_CASE("without a terminal, a table is as wide as it has to be, and no line ends with spaces") {
  CHECK(table({}) ==
        "TASK                     STATE    NEWS\n"
        "feed                     running  connected to the exchange\n"
        "a-task-with-a-long-name  ended\n");
}

TEST_CASE("a narrow terminal cuts the last column first, then the others that may be cut, then the line") {
  CHECK(table({.width = 46}) ==
        "TASK                     STATE    NEWS\n"
        "feed                     running  connected t…\n"
        "a-task-with-a-long-name  ended\n");
  CHECK(table({.width = 30}) ==
        "TASK             STATE    NEWS\n"
        "feed             running  con…\n"
        "a-task-with-a-…  ended\n");
  CHECK(table({.width = 12}) ==
        "TASK    STA…\n"
        "feed    run…\n"
        "a-tas…  end…\n");
  CHECK(table({.width = 1}) == "…\n…\n…\n");
}

TEST_CASE("colours surround what is shown, and nothing else") {
  const std::vector<Column> one{{"STATE"}};
  const std::vector<std::vector<Cell>> cells{{{"running", Tone::good}}, {{"odd"}}, {{"", Tone::bad}}};
  CHECK(table_text(one, cells, {.has_colours = true}) == "STATE\n\033[32mrunning\033[0m\nodd\n\n");
}

TEST_CASE("foreign text can't control the terminal, nor reorder or hide what is read") {
  CHECK(terminal_text("a\033[2Jb\n") == "a\\u001b[2Jb\\u000a");
  CHECK(terminal_text("\xc2\x9b") == "\\u009b");
  CHECK(terminal_text("user\u202etxt.exe") == "user\\u202etxt.exe");
  CHECK(terminal_text("a\u200bb\ufeff") == "a\\u200bb\\ufeff");
  CHECK(terminal_text("\xff") == "\\xff");
  CHECK(terminal_text("Grüße, 日本") == "Grüße, 日本");
  CHECK(table_text(std::vector<Column>{{"X"}}, std::vector<std::vector<Cell>>{{{"\033]0;x\a"}}}, {}) ==
        "X\n\\u001b]0;x\\u0007\n");
}

TEST_CASE("wide characters take two columns, and combining ones none") {
  CHECK(columns_of("日本") == 4);
  CHECK(columns_of("e\u0301") == 1);
  CHECK(columns_of("…") == 1);
  CHECK(fitted("日本語", 6) == "日本語");
  CHECK(fitted("日本語", 5) == "日本…");
  CHECK(fitted("日本語", 4) == "日…");
  CHECK(fitted("abc", 0).empty());
}
