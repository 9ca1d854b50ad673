#include "taskhost/core/large_pages.hpp"

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace taskhost {

namespace {

constexpr std::size_t large = std::size_t{1} << 20;
constexpr std::size_t page = std::size_t{2} << 20;

constexpr std::size_t rounded_up(std::size_t size) noexcept { return (size + page - 1) & ~(page - 1); }

class LargePages final : public std::pmr::memory_resource {
  void* do_allocate(std::size_t size, std::size_t align) override {
    if (size < large || align > page) return std::pmr::new_delete_resource()->allocate(size, align);
    const std::size_t length = rounded_up(size);
    if (length < size || length + page < length) throw std::bad_alloc();
    void* const memory = ::mmap(nullptr, length + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    // The excess before and after the aligned part goes back.
    auto* const begin = static_cast<std::byte*>(memory);
    const std::size_t before = (page - reinterpret_cast<std::uintptr_t>(begin) % page) % page;
    if (before != 0) ::munmap(begin, before);
    ::munmap(begin + before + length, page - before);
    ::madvise(begin + before, length, MADV_HUGEPAGE);  // only advice: may fail
    return begin + before;
  }
  void do_deallocate(void* memory, std::size_t size, std::size_t align) override {
    if (size < large || align > page) {
      std::pmr::new_delete_resource()->deallocate(memory, size, align);
    } else {
      ::munmap(memory, rounded_up(size));
    }
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace

std::pmr::memory_resource* large_pages() noexcept {
  // Never destroyed, since an abandoned task's memory may outlive everything else. Built in place, so that it needs no
  // allocation.
  alignas(LargePages) static std::byte place[sizeof(LargePages)];
  static auto* const pages = new (place) LargePages;
  return pages;
}

}  // namespace taskhost
