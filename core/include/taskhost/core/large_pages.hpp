// Memory for fleets. Any thread.
#pragma once

#include <memory_resource>

namespace taskhost {

// Takes blocks of a megabyte and more from the system directly, gives them back to it, and asks for large pages
// (transparent huge pages, where the system has them): a million tasks then cost some sixty page faults instead of
// thirty thousand. Smaller blocks come from new and delete.
std::pmr::memory_resource* large_pages() noexcept;

}  // namespace taskhost
