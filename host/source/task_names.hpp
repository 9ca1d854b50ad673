// The names of a host's tasks so far, to find two that are the same. Owner's thread.
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <functional>
#include <memory_resource>
#include <string_view>

#include "taskhost/core/large_pages.hpp"

namespace taskhost {

class TaskNames {
 public:
  bool contains(std::string_view name) const { return names_.contains(name); }
  // The text must live as long as this object.
  void insert(std::string_view name) { names_.insert(name); }

 private:
  boost::unordered_flat_set<std::string_view, std::hash<std::string_view>, std::equal_to<>,
                            std::pmr::polymorphic_allocator<std::string_view>>
      names_{0, std::hash<std::string_view>{}, std::equal_to<>{}, large_pages()};
};

}  // namespace taskhost
