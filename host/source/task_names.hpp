// The names of a host's tasks so far, to find two that are the same, and tasks by their names. Owner's thread.
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <functional>
#include <memory_resource>
#include <optional>
#include <string_view>

#include "taskhost/core/large_pages.hpp"
#include "taskhost/core/task_list.hpp"

namespace taskhost {

class TaskNames {
 public:
  // The names are those of the list's tasks, which stays where it is, and is only added to.
  explicit TaskNames(const TaskList& tasks) : names_(0, Hash{}, Same{&tasks}, large_pages()) {}

  // Of the task at this place of the list. False: another one has the name.
  bool insert(std::size_t place) {
    const std::string_view name = names_.key_eq().tasks->name(place);
    const std::size_t hash = std::hash<std::string_view>{}(name);
    return names_.insert({static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(place)}).second;
  }
  void reserve(std::size_t names) { names_.reserve(names); }
  // For a task that is taken from the list again: if the name is that one's.
  void remove(std::size_t place) {
    const auto found = locate(names_.key_eq().tasks->name(place));
    if (found != names_.end() && found->place == place) names_.erase(found);
  }
  // The place of the task with this name.
  std::optional<std::size_t> find(std::string_view name) const {
    const auto found = locate(name);
    return found != names_.end() ? std::optional<std::size_t>(found->place) : std::nullopt;
  }
  void clear() { names_ = decltype(names_)(0, Hash{}, names_.key_eq(), large_pages()); }

 private:
  struct Entry {  // eight bytes a task, and no look at the names when the set grows
    std::uint32_t hash;
    std::uint32_t place;
  };
  struct Wanted {
    std::uint32_t hash;
    std::string_view name;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const Entry& entry) const noexcept { return entry.hash; }
    std::size_t operator()(const Wanted& wanted) const noexcept { return wanted.hash; }
  };
  struct Same {
    using is_transparent = void;
    const TaskList* tasks;
    bool operator()(const Wanted& wanted, const Entry& entry) const noexcept {
      return wanted.hash == entry.hash && wanted.name == tasks->name(entry.place);
    }
    bool operator()(const Entry& entry, const Wanted& wanted) const noexcept { return (*this)(wanted, entry); }
    bool operator()(const Entry& a, const Entry& b) const noexcept {
      return a.hash == b.hash && tasks->name(a.place) == tasks->name(b.place);
    }
  };

  using Names = boost::unordered_flat_set<Entry, Hash, Same, std::pmr::polymorphic_allocator<Entry>>;
  Names::const_iterator locate(std::string_view name) const {
    return names_.find(Wanted{static_cast<std::uint32_t>(std::hash<std::string_view>{}(name)), name});
  }

  Names names_;
};

}  // namespace taskhost
