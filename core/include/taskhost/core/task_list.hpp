// Tasks on their way into a supervisor: a million of them cost 16 bytes each and their names. Not thread-safe.
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
  // Returns the task's place in the list. What is the same as in the task before is kept once. Throws std::bad_alloc.
  std::size_t add(std::string_view name, const TaskFn& function, const TaskOptions& options) {
    if (kinds_.empty() || kinds_.back().function.share() != function.share() || kinds_.back().options != options) {
      kinds_.push_back({function, options});
    }
    return add(name);
  }
  // Another one that is as the last in all but its name.
  std::size_t add(std::string_view name) {
    auto* const text = static_cast<char*>(names_->allocate(name.size(), 1));
    name.copy(text, name.size());
    entries_.push_back({text, static_cast<std::uint32_t>(name.size()), static_cast<std::uint32_t>(kinds_.size() - 1)});
    return entries_.size() - 1;
  }
  void remove_last() { entries_.pop_back(); }
  void reserve(std::size_t tasks) { entries_.reserve(tasks); }

  // Another list behind this one, with its relations.
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
  // As long as the list, wherever it is moved.
  std::string_view name(std::size_t i) const noexcept { return {entries_[i].name, entries_[i].name_size}; }
  const TaskFn& function(std::size_t i) const noexcept { return kinds_[entries_[i].kind].function; }
  const TaskOptions& options(std::size_t i) const noexcept { return kinds_[entries_[i].kind].options; }

  // How tasks stand to each other. `after` and `task` are places in this list, `group` one in `groups`. A task that is
  // in no relation has none.
  struct Relation {
    std::uint32_t task = 0;
    std::vector<std::uint32_t> after;
    std::optional<std::uint32_t> group;
  };
  std::vector<Relation> relations;
  std::vector<Strategy> groups;

  // Changes the options of all tasks: change(TaskOptions&), called once for each that differ.
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
