// The memory of one execution's state, between walls: a page that can't be touched behind its end and before its
// begin, and after drop all of it. A plugin that crosses a wall crashes at once, and the crash can say which wall.
#pragma once

#include <cstddef>

#include "verify/progress.hpp"

namespace taskhost::verify {

class StateBlock {
 public:
  // Zeroed, aligned to `align` and no better, as far as a page allows. Throws std::bad_alloc.
  StateBlock(std::size_t size, std::size_t align);
  ~StateBlock();  // wall() at the latest; the addresses stay reserved for a while
  StateBlock(const StateBlock&) = delete;
  StateBlock& operator=(const StateBlock&) = delete;

  void* get() const noexcept { return state_; }

  // Are the bytes before and behind the state, up to the walls, as they were?
  bool is_whole() const noexcept;

  // From now on nobody may touch it.
  void wall() noexcept;

 private:
  std::size_t size_;
  unsigned char* mapping_ = nullptr;
  std::size_t mapping_size_;
  unsigned char* state_ = nullptr;
  bool walled_ = false;
};

// Has the signals of a crash tell on whose thread they came and what they hit, and then do what they do. Process-wide;
// once, before the plugin is loaded.
void tell_what_crashes_hit(Progress& progress);

}  // namespace taskhost::verify
