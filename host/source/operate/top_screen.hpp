// The terminal as `taskhost top` uses it, by way of ncurses, which only this knows. One thread, one screen at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "operate/top_keys.hpp"
#include "operate/top_view.hpp"

namespace taskhost {

// Before there are other threads. Throws Refusal if stdin and stdout are no terminal on which something can be drawn.
void require_screen();

// Handlers of signals are to be installed before: ncurses leaves alone what has one.
class TopScreen {
 public:
  TopScreen();
  ~TopScreen();  // the terminal is as it was before
  TopScreen(const TopScreen&) = delete;
  TopScreen& operator=(const TopScreen&) = delete;

  std::size_t width() const noexcept;
  std::size_t height() const noexcept;
  void draw(const std::vector<Piece>& pieces);
  // What was typed, one key at a time; never waits.
  std::optional<TopKey> key();

  void leave();            // to the shell, for a while
  void come_back();        // also after the process was continued without leaving; draws all anew
  void adapt();            // to the terminal's size
  void redraw() noexcept;  // everything, with the next draw

 private:
  bool has_colours_ = false;
};

}  // namespace taskhost
