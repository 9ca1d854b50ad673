// taskhost/sdk/coroutine/execution.hpp: what one execution of a coroutine waits for. All of this is an implementation
// detail of taskhost/sdk/coroutine.hpp.
//
// The host gives an execution one timer, one watch for each descriptor, and wakes without a reason. This file turns
// them into any number of waits. Each is a Node inside the awaited object itself, and so in a coroutine's frame, linked
// into a list of its Execution: nothing is allocated, and destroying the object ends the wait. All of it is used in the
// execution's poll (and, for unlinking, its drop): by one thread at a time, without locks.
//
// Strands determine what is resumed after a wake. A strand is a coroutine and the chain of coroutines that it awaits.
// An execution has one strand, and a combinator one for each branch. A wait that is over marks its strand and those
// above it, and the poll follows the marks down from the first strand: combinators check their branches in order.
#ifndef TASKHOST_SDK_COROUTINE_EXECUTION_HPP
#define TASKHOST_SDK_COROUTINE_EXECUTION_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "taskhost/sdk/coroutine/frame.hpp"
#include "taskhost/sdk/task.hpp"

namespace taskhost::sdk::detail {

class Execution;

class Strand {
 public:
  Strand() = default;
  Strand(Strand&&) noexcept {}  // before it has begun there is nothing to move
  Strand& operator=(Strand&&) = delete;

  void begin(Execution& execution, Strand* parent) noexcept {
    execution_ = &execution;
    parent_ = parent;
  }
  Execution& execution() const noexcept { return *execution_; }

  // The last coroutine of the strand waits until wait.poll() returns true.
  template <class Wait>
  void suspend(Coroutine coroutine, Wait& wait) noexcept {
    coroutine_ = coroutine;
    wait_ = &wait;
    poll_ = [](void* pointer) { return static_cast<Wait*>(pointer)->poll(); };
  }

  // Runs a coroutine, and then the one that it names with go_on_with, until one suspends. A loop instead of symmetric
  // transfer, which g++ turns into a plain call when it does not optimise: a long loop would overflow the stack.
  void run(Coroutine first) {
    next_ = first;
    while (next_) std::exchange(next_, Coroutine()).resume();
  }
  void go_on_with(Coroutine next) noexcept { next_ = next; }

  void mark() noexcept {
    for (Strand* strand = this; strand != nullptr && !strand->marked_; strand = strand->parent_) strand->marked_ = true;
  }
  bool take_mark() noexcept { return std::exchange(marked_, false); }

  // Called when the strand was marked.
  void go_on() {
    if (wait_ == nullptr || !poll_(wait_)) return;
    wait_ = nullptr;
    run(coroutine_);
  }

 private:
  Execution* execution_ = nullptr;
  Strand* parent_ = nullptr;
  Coroutine coroutine_;
  Coroutine next_;
  void* wait_ = nullptr;
  bool (*poll_)(void*) = nullptr;
  bool marked_ = false;
};

// An element of a circular list, or its head.
class Links {
 public:
  Links() = default;
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;
  ~Links() { unlink(); }

  bool alone() const noexcept { return next_ == this; }
  Links* next() const noexcept { return next_; }
  Links* previous() const noexcept { return previous_; }
  void insert_after(Links& other) noexcept {
    previous_ = &other;
    next_ = other.next_;
    next_->previous_ = this;
    other.next_ = this;
  }
  void unlink() noexcept {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = this;
  }

 private:
  Links* next_ = this;
  Links* previous_ = this;
};

// One wait. It is only moved while nobody waits for it, so the new object starts idle.
class Node : public Links {
 public:
  Node() = default;
  Node(Node&&) noexcept {}
  Node& operator=(Node&&) = delete;

  void link(Strand& strand, Links& after) noexcept {
    unlink();
    fired_ = false;
    strand_ = &strand;
    insert_after(after);
  }
  void fire() noexcept {
    unlink();
    fired_ = true;
    strand_->mark();
  }
  bool fired() const noexcept { return fired_; }
  Execution& execution() const noexcept { return strand_->execution(); }

 private:
  Strand* strand_ = nullptr;
  bool fired_ = false;
};

struct TimeNode : Node {
  std::uint64_t time = TASKHOST_NEVER;
};

struct DescriptorNode : Node {
  DescriptorNode(int wanted, std::uint32_t wanted_for) noexcept : descriptor(wanted), interests(wanted_for) {}
  int descriptor;
  std::uint32_t interests;
};

// Work that runs on a thread of the host's, and what becomes of it. Owned by the waiter and, until it tells or discards
// it, by the host.
struct OffloadedState {
  virtual ~OffloadedState() = default;
  virtual void run() noexcept = 0;
  void share() noexcept { owners_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  Node* node = nullptr;  // of the waiter, for the execution's calls; null: it is gone

 private:
  std::atomic<int> owners_{1};
};

class Execution {
 public:
  explicit Execution(const taskhost_exec* exec) noexcept : exec_(exec), waker_(services().waker(exec)) {
    first.begin(*this, nullptr);
  }
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  Strand first;

  Context context() noexcept { return Context(exec_, &stop_asked_); }
  std::uint64_t now() const noexcept { return services().now(); }
  void wake() const noexcept { services().wake(waker_); }
  bool stop_requested() const noexcept { return services().stop_requested(exec_) != 0; }

  // True if the task has asked about the stop, and so ends by itself.
  bool stop_asked() const noexcept { return stop_asked_.load(std::memory_order_relaxed); }
  void ask_about_stop() noexcept { stop_asked_.store(true, std::memory_order_relaxed); }

  // Makes the execution end with this poll, wherever its coroutines are suspended.
  void end(std::int32_t status) noexcept { status_ = status; }
  bool ended() const noexcept { return status_ != TASKHOST_PENDING; }
  std::int32_t status() const noexcept { return status_; }

  // Most services may be called in polls only (rule 4.2), not in destructors during the drop.
  void set_polled(bool polled) noexcept { polled_ = polled; }
  bool polled() const noexcept { return polled_; }

  // The list is sorted by time, equal times in order of insertion. Searches from the end, since a new time is usually
  // the latest.
  void wait_for_time(TimeNode& node, Strand& strand) noexcept {
    Links* before = times_.previous();
    while (before != &times_ && static_cast<TimeNode*>(before)->time > node.time) before = before->previous();
    node.link(strand, *before);
  }
  void wait_for_stop(Node& node, Strand& strand) noexcept { node.link(strand, *stops_.previous()); }
  void wait_for_wake(Node& node, Strand& strand) noexcept { node.link(strand, *wakes_.previous()); }
  // TASKHOST_OK, or why the host cannot watch the descriptor.
  std::int32_t wait_for_descriptor(DescriptorNode& node, Strand& strand) noexcept {
    node.link(strand, *descriptors_.previous());
    const std::int32_t refusal = watch(node.descriptor);
    if (refusal != TASKHOST_OK) node.unlink();
    return refusal;
  }
  // Watches the descriptor for what its nodes wait for; without any, forgets it.
  std::int32_t watch(int descriptor) noexcept {
    std::uint32_t wanted = 0;
    for (Links* at = descriptors_.next(); at != &descriptors_; at = at->next()) {
      const auto& node = *static_cast<DescriptorNode*>(at);
      if (node.descriptor == descriptor) wanted |= node.interests;
    }
    return services().watch(exec_, descriptor, wanted, static_cast<std::uint64_t>(descriptor));
  }

  // TASKHOST_OK, or why the host has no thread for the work; then the state is still the caller's.
  std::int32_t offload(OffloadedState& state, Node& node, Strand& strand) noexcept {
    taskhost_work work{};
    work.struct_size = sizeof work;
    work.tag = reinterpret_cast<std::uintptr_t>(&state);
    work.argument = &state;
    work.run = [](void* argument) { static_cast<OffloadedState*>(argument)->run(); };
    work.discard = [](void* argument) { static_cast<OffloadedState*>(argument)->release(); };
    state.share();
    const std::int32_t refusal = services().offload(exec_, &work);
    if (refusal != TASKHOST_OK) {
      state.release();
      return refusal;
    }
    state.node = &node;
    node.link(strand, *offloaded_.previous());
    return TASKHOST_OK;
  }

  // At the beginning of a poll: marks the strands whose waits are over. Runs no code of the task.
  void fire() noexcept {
    if (!times_.alone()) {
      const std::uint64_t now = this->now();
      if (armed_ <= now) armed_ = TASKHOST_NEVER;  // the host's timer has fired: even the same time must be set again
      while (earliest() <= now) static_cast<Node*>(times_.next())->fire();
    }
    if (!stops_.alone() && stop_requested()) fire_all(stops_);
    fire_all(wakes_);
    fire_ready();
  }

  // At the end of a pending poll: sets the host's one timer to the earliest time.
  void arm() noexcept {
    if (std::exchange(armed_, earliest()) != earliest()) services().wake_at(exec_, earliest());
  }

 private:
  const taskhost_services& services() const noexcept { return *exec_->services; }
  std::uint64_t earliest() const noexcept {
    return times_.alone() ? TASKHOST_NEVER : static_cast<TimeNode*>(times_.next())->time;
  }
  static void fire_all(Links& list) noexcept {
    while (!list.alone()) static_cast<Node*>(list.next())->fire();
  }

  // Each descriptor comes once in a list, so that a longer one comes in pieces, of which the last is not full.
  void fire_ready() noexcept {
    taskhost_ready list[64];
    constexpr std::size_t capacity = sizeof list / sizeof list[0];
    std::size_t count = capacity;
    for (int pieces = 0; count == capacity && pieces < 64; ++pieces) {
      count = services().take_ready(exec_, list, capacity);
      for (std::size_t i = 0; i < count; ++i) {
        if (list[i].what == TASKHOST_DONE) {
          auto* const state = reinterpret_cast<OffloadedState*>(static_cast<std::uintptr_t>(list[i].tag));
          if (state->node != nullptr) state->node->fire();
          state->release();
        } else {
          fire_descriptor(static_cast<int>(list[i].tag), list[i].what);
        }
      }
    }
  }
  void fire_descriptor(int descriptor, std::uint32_t what) noexcept {
    for (Links* at = descriptors_.next(); at != &descriptors_;) {
      auto& node = *static_cast<DescriptorNode*>(at);
      at = at->next();
      if (node.descriptor == descriptor && (node.interests & what) != 0) node.fire();
    }
    watch(descriptor);  // for those that still wait, or nobody: else it would wake again at once
  }

  const taskhost_exec* exec_;
  taskhost_waker waker_;
  std::uint64_t armed_ = TASKHOST_NEVER;
  Links times_;
  Links stops_;
  Links wakes_;
  Links descriptors_;
  Links offloaded_;
  std::int32_t status_ = TASKHOST_PENDING;
  std::atomic<bool> stop_asked_ = false;
  bool polled_ = false;
};

}  // namespace taskhost::sdk::detail

#endif
