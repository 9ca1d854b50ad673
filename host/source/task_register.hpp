// A host's tasks before it starts, the program's own and the manifest's: their names, relations and groups. Owner's
// thread. If something throws std::bad_alloc, the enclosing transaction cleans up.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "taskhost/core/large_pages.hpp"
#include "taskhost/core/task_list.hpp"

namespace taskhost {

// Finds tasks by name, and two tasks of the same name.
class TaskNames {
 public:
  // The names are those of the list's tasks. The list must not move, and tasks are only added to it.
  explicit TaskNames(const TaskList& tasks) : names_(0, Hash{}, Same{&tasks}, large_pages()) {}

  // Adds the task at this place of the list. False if another one has the name.
  bool insert(std::size_t place) {
    const std::string_view name = names_.key_eq().tasks->name(place);
    const std::size_t hash = std::hash<std::string_view>{}(name);
    return names_.insert({static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(place)}).second;
  }
  void reserve(std::size_t names) { names_.reserve(names); }
  // For a task that is removed from the list: frees the name if it is that task's.
  void remove(std::size_t place) {
    const auto found = locate(names_.key_eq().tasks->name(place));
    if (found != names_.end() && found->place == place) names_.erase(found);
  }
  // The place of the task with this name.
  std::optional<std::size_t> find(std::string_view name) const {
    const auto found = locate(name);
    return found != names_.end() ? std::optional<std::size_t>(found->place) : std::nullopt;
  }
  void clear() { names_ = Names(0, Hash{}, names_.key_eq(), large_pages()); }

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

// Where tasks come from. Texts are valid as long as the library, or the program's factory.
struct TaskOrigin {
  std::string_view plugin;  // path of the library; empty: the program itself
  std::string_view factory;
  const std::atomic<std::int64_t>* process = nullptr;  // the id of the isolated task's; 0: there is none now
  bool operator==(const TaskOrigin&) const = default;
};

// By task; those in a row with the same one share an entry.
class TaskOrigins {
 public:
  void add(std::size_t task, const TaskOrigin& origin) {
    if (entries_.empty() || entries_.back().origin != origin) entries_.push_back({task, origin});
  }
  // Forgets those of the tasks from this one on.
  void cut(std::size_t task) {
    while (!entries_.empty() && entries_.back().first >= task) entries_.pop_back();
  }
  TaskOrigin of(std::size_t task) const {
    const auto after = std::upper_bound(entries_.begin(), entries_.end(), task,
                                        [](std::size_t wanted, const Entry& entry) { return wanted < entry.first; });
    return after != entries_.begin() ? std::prev(after)->origin : TaskOrigin{};
  }

 private:
  struct Entry {
    std::size_t first;
    TaskOrigin origin;
  };
  std::vector<Entry> entries_;
};

class TaskRegister {
 public:
  TaskRegister() = default;
  TaskRegister(const TaskRegister&) = delete;
  TaskRegister& operator=(const TaskRegister&) = delete;

  const TaskList& tasks() const noexcept { return tasks_; }
  std::size_t size() const noexcept { return tasks_.size(); }
  // The place of the task with this name.
  std::optional<std::size_t> find(std::string_view name) const { return names_.find(name); }

  // For this many tasks in all.
  void reserve(std::size_t tasks) {
    tasks_.reserve(tasks);
    names_.reserve(tasks);
  }
  // Returns its place, or nothing if another task has the name.
  std::optional<std::size_t> add(std::string_view name, const TaskFn& function, const TaskOptions& options) {
    return name_last(tasks_.add(name, function, options));
  }
  // Adds another one that only differs from the last in its name.
  std::optional<std::size_t> add(std::string_view name) { return name_last(tasks_.add(name)); }
  // To be called for tasks in order, at least for the first of those in a row with the same origin.
  void came_from(std::size_t place, const TaskOrigin& origin) { origins_.add(place, origin); }
  void relate(const TaskList::Relation& relation) { tasks_.relations.push_back(relation); }

  std::optional<std::uint32_t> find_group(std::string_view name) const {
    const auto found = groups_.find(name);
    return found != groups_.end() ? std::optional(found->second) : std::nullopt;
  }
  // Adds a group, whose name must be new.
  std::uint32_t add_group(const std::string& name, Strategy strategy) {
    const auto group = static_cast<std::uint32_t>(tasks_.groups.size());
    groups_.emplace(name, group);
    tasks_.groups.push_back(strategy);
    return group;
  }
  Strategy strategy(std::uint32_t group) const { return tasks_.groups[group]; }
  std::vector<std::string> group_names() const {
    std::vector<std::string> names(tasks_.groups.size());
    for (const auto& [name, group] : groups_) names[group] = name;
    return names;
  }

  template <class Change>
  void for_each_options(Change&& change) {
    tasks_.for_each_options(std::forward<Change>(change));
  }
  TaskOrigins take_origins() { return std::move(origins_); }
  // For the supervisor, which finds its tasks itself.
  TaskList take() {
    names_.clear();
    return std::move(tasks_);
  }

  // Removes what is added during its lifetime at the end, unless it is kept.
  class Transaction {
   public:
    explicit Transaction(TaskRegister& tasks)
        : register_(tasks),
          tasks_(tasks.size()),
          relations_(tasks.tasks_.relations.size()),
          groups_(tasks.tasks_.groups.size()) {}
    ~Transaction() {
      if (!kept_) register_.take_back(tasks_, relations_, groups_);
    }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void keep() noexcept { kept_ = true; }

   private:
    TaskRegister& register_;
    const std::size_t tasks_;
    const std::size_t relations_;
    const std::size_t groups_;
    bool kept_ = false;
  };

 private:
  std::optional<std::size_t> name_last(std::size_t place) {
    if (names_.insert(place)) return place;
    tasks_.remove_last();
    return std::nullopt;
  }
  void take_back(std::size_t tasks, std::size_t relations, std::size_t groups) {
    std::erase_if(groups_, [groups](const auto& group) { return group.second >= groups; });
    tasks_.groups.resize(groups);
    tasks_.relations.resize(relations);
    for (; tasks_.size() > tasks; tasks_.remove_last()) names_.remove(tasks_.size() - 1);
    origins_.cut(tasks);
  }

  TaskList tasks_;
  TaskNames names_{tasks_};
  TaskOrigins origins_;
  std::map<std::string, std::uint32_t, std::less<>> groups_;  // from a name to its index in the list's groups
};

}  // namespace taskhost
