// A task may fork, but the child must not return into the host: it would go on as one more thread of a shard that is
// its parent's, and take the events of an epoll set that both share. Such a child ends as soon as its call returns.
#pragma once

namespace taskhost {

class Tenure;
struct TaskCell;

// For as long as it lives, a child that the calling thread forks has this tenure marked as its parent's.
class ForkMark {
 public:
  explicit ForkMark(Tenure& tenure) noexcept;
  ~ForkMark();
  ForkMark(const ForkMark&) = delete;
  ForkMark& operator=(const ForkMark&) = delete;
};

// Null: a handler forked it.
[[noreturn]] void end_forked_child(const TaskCell* cell) noexcept;

}  // namespace taskhost
