// The two halves of a fence between a fast side, which runs millions of times a second, and a slow side, which can
// wait. Each side stores, fences, and loads what the other one stores; at least one of them sees the other's store. The
// light half is free where the system has membarrier(2) (Linux 4.14 and later).
#pragma once

#include <atomic>

namespace taskhost {

// Whether the light half is enough on the fast side; if not, that side needs a full fence. Constant while a host
// exists.
extern bool light_fence_is_enough;
// For tests, before the first host: behaves from now on as on a system without membarrier.
void use_full_fences() noexcept;

inline void light_fence() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

void heavy_fence() noexcept;

}  // namespace taskhost
