// With TASKHOST_TEST_FULL_FENCES in its environment, this program runs as on a system without membarrier(2).
#include <cstdlib>

#include "asymmetric_fence.hpp"

namespace {
[[maybe_unused]] const bool chosen = [] {
  if (std::getenv("TASKHOST_TEST_FULL_FENCES") == nullptr) return false;
  taskhost::use_full_fences();
  return true;
}();
}  // namespace
