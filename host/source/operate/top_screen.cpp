#include "operate/top_screen.hpp"

// Functions instead of macros, whose names are taken here; wide characters.
#define NCURSES_NOMACROS 1
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdlib>
#include <cwchar>
#include <string>
#include <string_view>

#include "operate/answers.hpp"
#include "text/printable.hpp"

// From <term.h>, whose macros have names such as `tone`.
extern "C" {
struct term;
int setupterm(const char* type, int descriptor, int* problem);
struct term* set_curterm(struct term* terminal);
int del_curterm(struct term* terminal);
}

namespace taskhost {

namespace {

constexpr int escape_delay_ms = 25;
constexpr wint_t escape = 27;
constexpr wint_t delete_code = 127;
constexpr const char* instead = "use taskhost status, or taskhost ps";

std::string variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return value == nullptr ? "" : value;
}

bool is_utf8() { return std::string_view(::nl_langinfo(CODESET)) == "UTF-8"; }  // NOLINT(concurrency-mt-unsafe)

// Other commands print UTF-8 whatever the locale, which containers often lack.
void choose_characters() {
  std::setlocale(LC_CTYPE, "");                         // NOLINT(concurrency-mt-unsafe): before there are other threads
  if (!is_utf8()) std::setlocale(LC_CTYPE, "C.UTF-8");  // NOLINT(concurrency-mt-unsafe)
}

// As many characters as have room, as ncurses counts them.
std::wstring wide_text(std::string_view text, std::size_t room) {
  std::wstring wide;
  const bool is_all_known = is_utf8();
  std::size_t used = 0;
  while (!text.empty()) {
    const std::size_t size = std::max<std::size_t>(character_size(text, 0), 1);
    wchar_t character = L'?';
    std::mbstate_t state{};
    // NOLINTNEXTLINE(concurrency-mt-unsafe): it is only with a null state
    if (size == 1 || is_all_known) std::mbrtowc(&character, text.data(), size, &state);
    text.remove_prefix(size);
    int columns = ::wcwidth(character);
    if (columns < 0) {
      character = L'?';
      columns = 1;
    }
    if (columns == 0 && wide.empty()) continue;  // it would change what is to the left
    used += static_cast<std::size_t>(columns);
    if (used > room) break;
    wide += character;
  }
  return wide;
}

std::string utf8_text(wint_t character) {
  std::string text(MB_CUR_MAX, '\0');
  std::mbstate_t state{};
  // NOLINTNEXTLINE(concurrency-mt-unsafe): it is only with a null state
  const std::size_t size = std::wcrtomb(text.data(), static_cast<wchar_t>(character), &state);
  text.resize(size > text.size() ? 0 : size);
  return character_size(text, 0) == text.size() ? text : std::string();
}

TopKey::Kind kind_of(wint_t code) {
  using Kind = TopKey::Kind;
  switch (code) {
    case KEY_UP:
      return Kind::up;
    case KEY_DOWN:
      return Kind::down;
    case KEY_PPAGE:
      return Kind::page_up;
    case KEY_NPAGE:
      return Kind::page_down;
    case KEY_HOME:
      return Kind::home;
    case KEY_END:
      return Kind::end;
    case KEY_ENTER:
      return Kind::enter;
    case KEY_BACKSPACE:
    case KEY_DC:
      return Kind::erase;
    default:
      return Kind::other;
  }
}

// After an Escape that something follows at once: a key that ncurses does not know, or one with Alt.
bool skip_sequence() {
  wint_t character = 0;
  if (::get_wch(&character) == ERR) return false;
  if (character != L'[' && character != L'O') return true;
  while (::get_wch(&character) != ERR && (character < 0x40 || character > 0x7e)) {
  }
  return true;
}

}  // namespace

void require_screen() {
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) {
    throw Refusal(operate_wrong_usage,
                  std::string("top draws on a terminal, which stdin and stdout have to be: elsewhere ") + instead);
  }
  choose_characters();
  int found = 0;  // -1: there are no descriptions of terminals
  const bool is_known = ::setupterm(nullptr, STDOUT_FILENO, &found) == OK;
  const auto has = [](const char* name) { return ::tigetstr(name) != nullptr; };
  const bool can_draw = is_known && has("cup") && has("clear");
  if (is_known) ::del_curterm(::set_curterm(nullptr));
  if (can_draw) return;
  const std::string type = variable("TERM");
  const char* const problem = type.empty() ? ""
                              : is_known   ? ", which can't move its cursor"
                              : found < 0  ? ", and no terminfo can be read, which Debian's ncurses-base has"
                                           : ", which is not known here";
  throw Refusal(operate_wrong_usage, "top can't draw on this terminal: TERM is " +
                                         (type.empty() ? "not set" : quoted_text(type)) + problem +
                                         "; set it to what the terminal is, such as TERM=xterm, or " + instead);
}

TopScreen::TopScreen() {
  ::use_env(FALSE);  // a COLUMNS that a shell exports does not change when the terminal does
  ::use_tioctl(TRUE);
  if (::newterm(nullptr, stdout, stdin) == nullptr) {
    throw Refusal(operate_failed,
                  "top can't start on this terminal, for lack of memory or of descriptors: see ulimit -n");
  }
  ::set_escdelay(escape_delay_ms);
  ::cbreak();
  ::noecho();
  ::nonl();
  ::keypad(stdscr, TRUE);
  ::nodelay(stdscr, TRUE);
  ::curs_set(0);
  has_colours_ = variable("NO_COLOR").empty() && ::has_colors();
  if (!has_colours_) return;
  ::start_color();
  const short background = ::use_default_colors() == OK ? -1 : COLOR_BLACK;
  ::init_pair(static_cast<short>(Tone::good), COLOR_GREEN, background);
  ::init_pair(static_cast<short>(Tone::warning), COLOR_YELLOW, background);
  ::init_pair(static_cast<short>(Tone::bad), COLOR_RED, background);
}

TopScreen::~TopScreen() { ::endwin(); }

std::size_t TopScreen::width() const noexcept { return static_cast<std::size_t>(COLS); }
std::size_t TopScreen::height() const noexcept { return static_cast<std::size_t>(LINES); }

void TopScreen::draw(const std::vector<Piece>& pieces) {
  ::erase();
  for (const Piece& piece : pieces) {
    if (piece.row >= height() || piece.column >= width()) continue;
    attr_t look = piece.look == Look::bar ? A_REVERSE : piece.look == Look::strong ? A_BOLD : A_NORMAL;
    const short pair = has_colours_ ? static_cast<short>(piece.tone) : static_cast<short>(0);
    ::attr_set(look, pair, nullptr);
    const auto row = static_cast<int>(piece.row);
    const auto column = static_cast<int>(piece.column);
    const std::size_t room = std::min(piece.width, width() - piece.column);
    if (piece.look == Look::bar) ::mvhline(row, column, ' ' | A_REVERSE, static_cast<int>(room));
    const std::wstring text = wide_text(piece.text, room);
    ::mvaddnwstr(row, column, text.c_str(), static_cast<int>(text.size()));
  }
  ::refresh();
}

std::optional<TopKey> TopScreen::key() {
  wint_t character = 0;
  const int result = ::get_wch(&character);
  if (result == ERR) return std::nullopt;
  if (result == KEY_CODE_YES) return TopKey{.kind = kind_of(character), .text = {}};
  if (character == escape) {
    return TopKey{.kind = skip_sequence() ? TopKey::Kind::other : TopKey::Kind::escape, .text = {}};
  }
  if (character == L'\r' || character == L'\n') return TopKey{.kind = TopKey::Kind::enter, .text = {}};
  if (character == L'\b' || character == delete_code) return TopKey{.kind = TopKey::Kind::erase, .text = {}};
  std::string text = utf8_text(character);
  return TopKey{.kind = text.empty() ? TopKey::Kind::other : TopKey::Kind::text, .text = std::move(text)};
}

void TopScreen::leave() { ::endwin(); }

void TopScreen::come_back() {
  ::endwin();
  adapt();
  redraw();
}

void TopScreen::adapt() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return;
  ::resizeterm(size.ws_row, size.ws_col);
}

void TopScreen::redraw() noexcept { ::clearok(curscr, TRUE); }

}  // namespace taskhost
