// Memory for a shard's tasks: allocated piece by piece, freed all at once. Used only by the shard's owner.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "taskhost/core/large_pages.hpp"

namespace taskhost {

class CellArena {
 public:
  CellArena() = default;
  ~CellArena() {
    for (const Block& block : blocks_) large_pages()->deallocate(block.memory, block.size, block.align);
  }
  CellArena(const CellArena&) = delete;
  CellArena& operator=(const CellArena&) = delete;

  // Throws std::bad_alloc.
  void* allocate(std::size_t size, std::size_t align) {
    std::size_t padding = (align - reinterpret_cast<std::uintptr_t>(next_) % align) % align;
    if (next_ == nullptr || size > left_ || padding > left_ - size) {
      add_block(size, align);
      padding = 0;
    }
    std::byte* const result = next_ + padding;
    next_ = result + size;
    left_ -= padding + size;
    return result;
  }

 private:
  struct Block {
    std::byte* memory;
    std::size_t size;
    std::size_t align;
  };
  static constexpr std::size_t smallest = std::size_t{32} << 10;
  static constexpr std::size_t large_page = std::size_t{2} << 20;
  static constexpr std::size_t largest = 8 * large_page;

  // Small blocks at first; then whole large pages, of which at most the last is not fully used.
  void add_block(std::size_t size, std::size_t align) {
    std::size_t block = blocks_.empty() ? smallest : std::min(2 * blocks_.back().size, largest);
    if (block > large_page / 4) block = std::max(block, large_page);
    if (block < size) block = size;
    blocks_.reserve(blocks_.size() + 1);
    next_ = static_cast<std::byte*>(large_pages()->allocate(block, align));
    left_ = block;
    blocks_.push_back({next_, block, align});
  }

  std::vector<Block> blocks_;
  std::byte* next_ = nullptr;
  std::size_t left_ = 0;
};

}  // namespace taskhost
