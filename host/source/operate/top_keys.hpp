// What the keys of `taskhost top` do. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "operate/top_view.hpp"

namespace taskhost {

struct TopKey {
  enum class Kind : std::uint8_t { text, up, down, page_up, page_down, home, end, enter, escape, erase, other };
  Kind kind = Kind::other;
  std::string text;  // one character; control characters, too
};

// What a key asks for that the state can't tell.
struct TopWish {
  bool is_quit = false;
  bool is_refresh = false;  // the host is to be asked now
  bool is_redraw = false;
  std::string verb;  // an order to `task`
  std::string task;
};

// Figures and order are those that are seen.
TopWish press(TopState& state, const TopKey& key, const TopFigures& figures, const std::vector<std::size_t>& order);

}  // namespace taskhost
