// Tasks on their way into a supervisor: a million of them cost some 24 bytes each and their names. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <memory_resource>
#include <string_view>
#include <vector>

#include "taskhost/core/large_pages.hpp"
#include "taskhost/core/task.hpp"

namespace taskhost {

class TaskList {
 public:
  // Returns the task's place in the list. What is the same as in the task before is kept once. Throws std::bad_alloc.
  std::size_t add(std::string_view name, const TaskFn& function, const TaskOptions& options) {
    if (functions_.empty() || functions_.back().share() != function.share()) functions_.push_back(function);
    if (options_.empty() || options_.back() != options) options_.push_back(options);
    auto* const text = static_cast<char*>(names_->allocate(name.size(), 1));
    name.copy(text, name.size());
    entries_.push_back({text, static_cast<std::uint32_t>(name.size()), static_cast<std::uint32_t>(functions_.size() - 1),
                        static_cast<std::uint32_t>(options_.size() - 1)});
    return entries_.size() - 1;
  }

  std::size_t size() const noexcept { return entries_.size(); }
  // As long as the list, wherever it is moved.
  std::string_view name(std::size_t i) const noexcept { return {entries_[i].name, entries_[i].name_size}; }
  const TaskFn& function(std::size_t i) const noexcept { return functions_[entries_[i].function]; }
  const TaskOptions& options(std::size_t i) const noexcept { return options_[entries_[i].options]; }

  // Changes the options of all tasks: change(TaskOptions&), called once for each that differ.
  template <class Change>
  void for_each_options(Change&& change) {
    for (TaskOptions& options : options_) change(options);
  }

 private:
  struct Entry {
    const char* name;
    std::uint32_t name_size;
    std::uint32_t function;
    std::uint32_t options;
  };

  std::unique_ptr<std::pmr::monotonic_buffer_resource> names_ =
      std::make_unique<std::pmr::monotonic_buffer_resource>(4096, large_pages());
  std::vector<Entry, std::pmr::polymorphic_allocator<Entry>> entries_{large_pages()};
  std::deque<TaskFn> functions_;
  std::deque<TaskOptions> options_;
};

}  // namespace taskhost
