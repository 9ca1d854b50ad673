// taskhost/sdk/coroutine/execution.hpp: what one execution of a coroutine waits for. All of this is an implementation
// detail of taskhost/sdk/coroutine.hpp.
//
// The host gives an execution one timer, one watch for each descriptor, and wakes without a reason. This file turns
// them into any number of waits. Each is a Node inside the awaited object itself, and so in a coroutine's frame, linked
// into a list of its Execution: nothing is allocated, and destroying the object ends the wait. All of it is used in the
// execution's poll (and, for unlinking, its drop): by one thread at a time, without locks. The nodes of Descriptors are
// the exception: they stay until they are forgotten, and are allocated.
//
// Strands determine what is resumed after a wake. A strand is a coroutine and the chain of coroutines that it awaits.
// An execution has one strand, and a combinator one for each branch. A wait that is over marks its strand and those
// above it, and the poll follows the marks down from the first strand: combinators check their branches in order. One
// with many branches does not look at all of them, but at the list of those that are marked.
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
  void run(Coroutine first);
  void go_on_with(Coroutine next) noexcept { next_ = next; }

  void mark() noexcept {
    for (Strand* strand = this; strand != nullptr && strand->next_marked_ == nullptr; strand = strand->parent_) {
      strand->next_marked_ = strand;  // the last in a list
      if (strand->parent_ == nullptr) continue;
      Strand*& first = strand->parent_->first_marked_;
      if (first != nullptr) strand->next_marked_ = first;
      first = strand;
    }
  }
  bool take_mark() noexcept { return std::exchange(next_marked_, nullptr) != nullptr; }

  // For a combinator that begins in this strand: its branches will be all that is in the list.
  void forget_marked() noexcept { first_marked_ = nullptr; }
  // Calls the function with each marked branch, in any order. They stay marked.
  template <class Function>
  void take_marked(Function function) {
    Strand* strand = std::exchange(first_marked_, nullptr);
    while (strand != nullptr) {
      function(*strand);
      strand = strand->next_marked_ != strand ? strand->next_marked_ : nullptr;
    }
  }

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
  Strand* first_marked_ = nullptr;  // of its branches; may be out of date where nobody takes them
  Strand* next_marked_ = nullptr;   // of its parent's branches; null: it is not marked
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
    wait_in(strand);
    insert_after(after);
  }
  void wait_in(Strand& strand) noexcept {
    fired_ = false;
    strand_ = &strand;
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
  bool listed = false;
  DescriptorNode* below[2] = {nullptr, nullptr};  // in the table, if it is the first with its descriptor
  // Of one that stays: is told that it is ready, and for what; returns whether it has not known that. Null: the wait is
  // over.
  bool (*tell)(DescriptorNode& node, std::uint32_t what) = nullptr;
};

// Nodes by descriptor. The first with each is in a binary tree, in which the bits of its number lead from the root down
// to it, so that there are as many steps as a number has bits, at most; further ones form a ring with it.
class DescriptorTable {
 public:
  DescriptorNode* first(int descriptor) noexcept { return place_of(descriptor); }

  void insert(DescriptorNode& node) noexcept {
    DescriptorNode*& place = place_of(node.descriptor);
    if (place == nullptr) {
      place = &node;
    } else {
      node.insert_after(*place->previous());
    }
    node.listed = true;
  }
  void remove(DescriptorNode& node) noexcept {
    DescriptorNode*& place = place_of(node.descriptor);
    if (place == &node) {
      DescriptorNode* const heir = node.alone() ? take_leaf(place) : static_cast<DescriptorNode*>(node.next());
      if (heir != &node) {
        for (const int side : {0, 1}) heir->below[side] = node.below[side];
        place = heir;
      }
    }
    node.below[0] = node.below[1] = nullptr;
    node.unlink();
    node.listed = false;
  }

 private:
  // Where the first node with the descriptor is, or would be.
  DescriptorNode*& place_of(int descriptor) noexcept {
    DescriptorNode** place = &root_;
    for (auto bits = static_cast<unsigned>(descriptor); *place != nullptr; bits >>= 1U) {
      if ((*place)->descriptor == descriptor) break;
      place = &(*place)->below[bits & 1U];
    }
    return *place;
  }
  // The bits that lead to a node lead to everything below it, too; so any leaf can take its place.
  static DescriptorNode* take_leaf(DescriptorNode*& top) noexcept {
    DescriptorNode** place = &top;
    while ((*place)->below[0] != nullptr || (*place)->below[1] != nullptr) {
      place = &(*place)->below[(*place)->below[0] == nullptr ? 1 : 0];
    }
    return std::exchange(*place, nullptr);
  }

  DescriptorNode* root_ = nullptr;
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

class Execution : private Asked {
 public:
  explicit Execution(const taskhost_exec* exec) noexcept : exec_(exec), waker_(services().waker(exec)) {
    first.begin(*this, nullptr);
  }
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  Strand first;
  DescriptorTable descriptors;

  Context context() noexcept { return Context(exec_, this); }
  // Null for the context of a class.
  static Execution* of(Context context) noexcept { return static_cast<Execution*>(context.asked_); }
  std::uint64_t now() const noexcept { return services().now(); }
  void wake() const noexcept { services().wake(waker_); }
  bool stop_requested() const noexcept { return services().stop_requested(exec_) != 0; }

  // True if the task has asked about the stop, and so ends by itself.
  bool stop_asked() const noexcept { return about_stop.load(std::memory_order_relaxed); }
  void ask_about_stop() noexcept { about_stop.store(true, std::memory_order_relaxed); }

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
  // For a condition that has just been looked at.
  void wait_for_condition(Node& node, Strand& strand) noexcept {
    if (conditions_.alone()) has_run_ = false;  // no other was looked at before what has run
    node.link(strand, *conditions_.previous());
  }
  // TASKHOST_OK, or why the host cannot watch the descriptor.
  std::int32_t wait_for_descriptor(DescriptorNode& node, Strand& strand) noexcept {
    node.wait_in(strand);
    descriptors.insert(node);
    const std::int32_t refusal = watch(node.descriptor);
    if (refusal != TASKHOST_OK) descriptors.remove(node);
    return refusal;
  }
  // Watches the descriptor for what its nodes wait for; without any, forgets it.
  std::int32_t watch(int descriptor) noexcept {
    return services().watch(exec_, descriptor, interests(descriptor), static_cast<std::uint64_t>(descriptor));
  }
  // Ends a wait. The descriptor must be forgotten before it is closed; during a drop the host has already done that.
  void forget(DescriptorNode& node) noexcept {
    descriptors.remove(node);
    if (polled_) watch(node.descriptor);
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
    fire_all(conditions_);
    fire_ready();
  }
  // At the end of a poll. What a coroutine has done since then may have made conditions true that others wait for:
  // marks these strands. False if there is nothing to look at.
  bool fire_conditions() noexcept {
    if (conditions_.alone() || !std::exchange(has_run_, false)) return false;
    fire_all(conditions_);
    return true;
  }
  void set_run() noexcept { has_run_ = true; }

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

  // A list that is longer comes in pieces, of which the last is not full, or has nothing new: what stays ready is told
  // again and again.
  void fire_ready() noexcept {
    taskhost_ready list[64];
    constexpr std::size_t capacity = sizeof list / sizeof list[0];
    bool more = true;
    for (int pieces = 0; more && pieces < 64; ++pieces) {
      const std::size_t count = services().take_ready(exec_, list, capacity);
      bool is_new = false;
      for (std::size_t i = 0; i < count; ++i) {
        if (list[i].what == TASKHOST_DONE) {
          auto* const state = reinterpret_cast<OffloadedState*>(static_cast<std::uintptr_t>(list[i].tag));
          if (state->node != nullptr) state->node->fire();
          state->release();
          is_new = true;
        } else if (fire_descriptor(static_cast<int>(list[i].tag), list[i].what)) {
          is_new = true;
        }
      }
      more = count == capacity && is_new;
    }
    if (more) wake();  // work that is done is told once, and wakes once
  }
  bool fire_descriptor(int descriptor, std::uint32_t what) noexcept {
    const std::uint32_t before = interests(descriptor);
    bool is_new = false;
    DescriptorNode* next = descriptors.first(descriptor);
    const Links* const last = next != nullptr ? next->previous() : nullptr;
    while (next != nullptr) {
      DescriptorNode& node = *next;
      next = &node != last ? static_cast<DescriptorNode*>(node.next()) : nullptr;
      if ((node.interests & what) == 0) continue;
      if (node.tell != nullptr) {
        is_new = node.tell(node, what) || is_new;
      } else {
        descriptors.remove(node);
        node.fire();
        is_new = true;
      }
    }
    // For those that still wait, or nobody: else it would wake again at once.
    if (interests(descriptor) != before || before == 0) watch(descriptor);
    return is_new;
  }
  // What the nodes with this descriptor wait for.
  std::uint32_t interests(int descriptor) noexcept {
    const DescriptorNode* const first_node = descriptors.first(descriptor);
    if (first_node == nullptr) return 0;
    std::uint32_t wanted = first_node->interests;
    for (const Links* at = first_node->next(); at != first_node; at = at->next()) {
      wanted |= static_cast<const DescriptorNode*>(at)->interests;
    }
    return wanted;
  }

  const taskhost_exec* exec_;
  taskhost_waker waker_;
  std::uint64_t armed_ = TASKHOST_NEVER;
  Links times_;
  Links stops_;
  Links wakes_;
  Links conditions_;
  Links offloaded_;
  std::int32_t status_ = TASKHOST_PENDING;
  bool polled_ = false;
  bool has_run_ = false;  // a coroutine, since the conditions were looked at
};

inline void Strand::run(Coroutine first) {
  execution_->set_run();
  next_ = first;
  while (next_) std::exchange(next_, Coroutine()).resume();
}

}  // namespace taskhost::sdk::detail

#endif
