// The memory of one execution's state, between walls: inaccessible pages before its beginning and after its end, and
// after drop all of it. A plugin that crosses a wall crashes at once, and the report can say which wall.
#pragma once

#include <cstddef>

#include "verify/progress.hpp"

namespace taskhost::verify {

class StateBlock {
 public:
  // Zeroed, and aligned to `align` but not better, as far as a page allows. Throws std::bad_alloc.
  StateBlock(std::size_t size, std::size_t align);
  ~StateBlock();  // calls wall() if that has not happened; the addresses stay reserved for a while
  StateBlock(const StateBlock&) = delete;
  StateBlock& operator=(const StateBlock&) = delete;

  void* get() const noexcept { return state_; }

  // Whether the bytes before and after the state, up to the walls, are unchanged.
  bool is_whole() const noexcept;

  // From now on any access crashes.
  void wall() noexcept;

 private:
  std::size_t size_;
  unsigned char* mapping_ = nullptr;
  std::size_t mapping_size_;
  unsigned char* state_ = nullptr;
  bool walled_ = false;
};

// Makes crash signals record on whose thread they came and what they hit, and then take their usual course.
// Process-wide; call it once, before the plugin is loaded.
void tell_what_crashes_hit(Progress& progress);

}  // namespace taskhost::verify
