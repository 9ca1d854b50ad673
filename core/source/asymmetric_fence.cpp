#include "asymmetric_fence.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace taskhost {

namespace {
constinit bool full_fences_wanted = false;
}

bool light_fence_is_enough =
    !full_fences_wanted && ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;

void use_full_fences() noexcept {
  full_fences_wanted = true;
  light_fence_is_enough = false;
}

void heavy_fence() noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (light_fence_is_enough) ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

}  // namespace taskhost
