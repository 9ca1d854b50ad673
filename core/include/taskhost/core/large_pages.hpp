// Memory for large numbers of tasks. Any thread.
#pragma once

#include <memory_resource>

namespace taskhost {

// Maps blocks of a megabyte and more directly, and asks for large pages (transparent huge pages, where the system has
// them): a million tasks then cost some sixty page faults instead of thirty thousand. Such blocks go back to the system
// when they are freed. Smaller ones use new and delete.
std::pmr::memory_resource* large_pages() noexcept;

}  // namespace taskhost
