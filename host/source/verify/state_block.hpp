// The memory of one execution's state, between walls: inaccessible pages before its beginning and after its end, and
// after drop all of it. A plugin that crosses a wall crashes at once, and the report can say which wall.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "verify/progress.hpp"

namespace taskhost::verify {

class StateBlock {
 public:
  enum class Kind : std::uint8_t { state, texts };

  // Zeroed, and aligned to `align` but not better, as far as a page allows. Throws std::bad_alloc.
  StateBlock(std::size_t size, std::size_t align, Kind kind = Kind::state);
  ~StateBlock();  // calls wall() if that has not happened; the addresses stay reserved for a while
  StateBlock(const StateBlock&) = delete;
  StateBlock& operator=(const StateBlock&) = delete;

  void* get() const noexcept { return state_; }
  std::size_t size() const noexcept { return size_; }

  // Whether the bytes before and after the state, up to the walls, are unchanged.
  bool is_whole() const noexcept;

  // From now on any access crashes.
  void wall() noexcept;
  void make_read_only() noexcept;
  void make_writable() noexcept;

 private:
  std::size_t size_;
  unsigned char* mapping_ = nullptr;
  std::size_t mapping_size_;
  unsigned char* state_ = nullptr;
  bool walled_ = false;
};

// The address space of all blocks, also of dropped ones, which keep theirs for a while.
std::size_t mapped_for_blocks();

// The texts that the host gives to one execution: copies of its own, which can't be written, nor be read after its end.
class OwnTexts {
 public:
  OwnTexts(const std::string& config, const std::string& task_name, const std::string& directory);
  const char* config() const noexcept { return begin() + config_size_; }
  const char* task_name() const noexcept { return config() + config_size_ + 1; }
  const char* directory() const noexcept { return directory_; }
  // A copy of a text of the config; the same one for the same address. In calls of the execution only.
  const char* own(std::string_view text);
  void wall() noexcept { block_.wall(); }

 private:
  char* begin() const noexcept { return static_cast<char*>(block_.get()); }

  std::size_t config_size_;
  std::size_t used_ = 0;
  std::map<const char*, const char*> copies_;
  StateBlock block_;  // copies of the config's texts, together shorter than that; the config; the name; the directory
  const char* directory_;
};

// Makes crash signals record on whose thread they came and what they hit, and then take their usual course.
// Process-wide; call it once, before the plugin is loaded.
void tell_what_crashes_hit(Progress& progress);

}  // namespace taskhost::verify
