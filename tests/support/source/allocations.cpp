// The program's operator new. In a file of its own: if g++ can inline new and delete, it warns that they do not match.
#include "support/allocations.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

std::atomic<int> allocations = 0;
std::atomic<int> allocations_until_failure = -1;

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  if (allocations_until_failure == 0) return nullptr;
  if (allocations_until_failure > 0) --allocations_until_failure;
  return std::malloc(size == 0 ? 1 : size);
}
void* operator new(std::size_t size) {
  void* place = ::operator new(size, std::nothrow);
  if (place == nullptr) throw std::bad_alloc();
  return place;
}
void operator delete(void* place) noexcept { std::free(place); }
void operator delete(void* place, std::size_t) noexcept { std::free(place); }
void operator delete(void* place, const std::nothrow_t&) noexcept { std::free(place); }
