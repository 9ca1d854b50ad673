// A task may fork, but the child must not return into the host: it would run on like another thread of its parent's
// shard, and take events from an epoll set that both share. Such a child ends as soon as its call returns.
#pragma once

namespace taskhost {

class Tenure;
struct TaskCell;

// While this object lives, a child forked by the calling thread finds the tenure marked as its parent's.
class ForkMark {
 public:
  explicit ForkMark(Tenure& tenure) noexcept;
  ~ForkMark();
  ForkMark(const ForkMark&) = delete;
  ForkMark& operator=(const ForkMark&) = delete;
};

// `cell` is null if a handler forked the child.
[[noreturn]] void end_forked_child(const TaskCell* cell) noexcept;

}  // namespace taskhost
