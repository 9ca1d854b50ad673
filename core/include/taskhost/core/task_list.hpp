// A list of tasks to be given to a supervisor. Many similar ones cost 16 bytes each and their names. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string_view>
#include <vector>

#include "taskhost/core/large_pages.hpp"
#include "taskhost/core/supervision_options.hpp"
#include "taskhost/core/task.hpp"

namespace taskhost {

class TaskList {
 public:
  // Returns the task's place in the list. What it has in common with the task before is stored once. Throws
  // std::bad_alloc.
  std::size_t add(std::string_view name, const TaskFn& function, const TaskOptions& options) {
    if (kinds_.empty() || kinds_.back().function.share() != function.share() || kinds_.back().options != options) {
      kinds_.push_back({function, options});
    }
    return add(name);
  }
  // Adds one that differs from the last only in its name.
  std::size_t add(std::string_view name) {
    auto* const text = static_cast<char*>(names_->allocate(name.size(), 1));
    name.copy(text, name.size());
    entries_.push_back({text, static_cast<std::uint32_t>(name.size()), static_cast<std::uint32_t>(kinds_.size() - 1)});
    return entries_.size() - 1;
  }
  void remove_last() { entries_.pop_back(); }
  void reserve(std::size_t tasks) { entries_.reserve(tasks); }

  // Appends another list, with its relations.
  void append(const TaskList& other) {
    const auto first = static_cast<std::uint32_t>(size());
    const auto first_group = static_cast<std::uint32_t>(groups.size());
    for (std::size_t i = 0; i < other.size(); ++i) add(other.name(i), other.function(i), other.options(i));
    for (Relation relation : other.relations) {
      relation.task += first;
      for (std::uint32_t& task : relation.after) task += first;
      if (relation.group) *relation.group += first_group;
      relations.push_back(std::move(relation));
    }
    groups.insert(groups.end(), other.groups.begin(), other.groups.end());
  }

  std::size_t size() const noexcept { return entries_.size(); }
  // Valid as long as the list, even if that is moved.
  std::string_view name(std::size_t i) const noexcept { return {entries_[i].name, entries_[i].name_size}; }
  const TaskFn& function(std::size_t i) const noexcept { return kinds_[entries_[i].kind].function; }
  const TaskOptions& options(std::size_t i) const noexcept { return kinds_[entries_[i].kind].options; }

  // How a task relates to others. `after` and `task` are places in this list, `group` is one in `groups`. A task that
  // does not relate to others has none.
  struct Relation {
    std::uint32_t task = 0;
    std::vector<std::uint32_t> after;
    std::optional<std::uint32_t> group;
  };
  std::vector<Relation> relations;
  std::vector<Strategy> groups;

  // Changes the options of all tasks: calls change(TaskOptions&) once for each stored set.
  template <class Change>
  void for_each_options(Change&& change) {
    for (Kind& kind : kinds_) change(kind.options);
  }

 private:
  struct Entry {
    const char* name;
    std::uint32_t name_size;
    std::uint32_t kind;
  };
  struct Kind {
    TaskFn function;
    TaskOptions options;
  };

  std::unique_ptr<std::pmr::monotonic_buffer_resource> names_ =
      std::make_unique<std::pmr::monotonic_buffer_resource>(4096, large_pages());
  std::vector<Entry, std::pmr::polymorphic_allocator<Entry>> entries_{large_pages()};
  std::deque<Kind> kinds_;
};

}  // namespace taskhost
