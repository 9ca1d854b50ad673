// taskhost/sdk/coroutine/execution.hpp: what one execution of a coroutine waits for. All of this is an implementation
// detail of taskhost/sdk/coroutine.hpp.
//
// The host gives an execution one timer, 64 descriptors, and wakes without a reason. This file turns them into any
// number of waits. Each is a Node inside the awaited object itself, and so in a coroutine's frame, linked into a list
// of its Execution: nothing is allocated, and destroying the object ends the wait. All of it is used in the execution's
// poll (and, for unlinking, its drop): by one thread at a time, without locks.
//
// Strands determine what is resumed after a wake. A strand is a coroutine and the chain of coroutines that it awaits.
// An execution has one strand, and a combinator one for each branch. A wait that is over marks its strand and those
// above it, and the poll follows the marks down from the first strand: combinators check their branches in order.
#ifndef TASKHOST_SDK_COROUTINE_EXECUTION_HPP
#define TASKHOST_SDK_COROUTINE_EXECUTION_HPP

#include <poll.h>

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

// The result of poll(2) for one descriptor.
struct Look : pollfd {
  Look() noexcept : pollfd{-1, 0, 0} {}
  Look(int descriptor, std::uint32_t interests) noexcept : pollfd{descriptor, events_of(interests), 0} {}

  static short events_of(std::uint32_t interests) noexcept {
    const int read = (interests & TASKHOST_READABLE) != 0 ? POLLIN : 0;
    return static_cast<short>(read | ((interests & TASKHOST_WRITABLE) != 0 ? POLLOUT : 0));
  }
  std::uint32_t interests() const noexcept {
    return ((events & POLLIN) != 0 ? TASKHOST_READABLE : 0) | ((events & POLLOUT) != 0 ? TASKHOST_WRITABLE : 0);
  }
  bool closed() const noexcept { return (revents & POLLNVAL) != 0; }
  // Ready for one of these, or in a state that is reported without being requested, such as an error or a hangup.
  bool meets(std::uint32_t wanted) const noexcept { return (revents & (events_of(wanted) | ~(POLLIN | POLLOUT))) != 0; }
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
  // False if the host cannot wait for the descriptor.
  bool wait_for_descriptor(DescriptorNode& node, Strand& strand) noexcept {
    node.link(strand, *descriptors_.previous());
    if (ask(node.descriptor, node.interests)) return true;
    node.unlink();
    return false;
  }

  // Cancels the wait for a descriptor, and requests the interests that other nodes still wait for.
  void ask_anew(int descriptor) noexcept {
    ask(descriptor, 0);
    std::uint32_t wanted = 0;
    for (Links* at = descriptors_.next(); at != &descriptors_; at = at->next()) {
      const auto& node = *static_cast<DescriptorNode*>(at);
      if (node.descriptor == descriptor) wanted |= node.interests;
    }
    if (wanted != 0) ask(descriptor, wanted);
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
    if (!descriptors_.alone()) fire_descriptors();
  }

  // At the end of a pending poll: sets the host's one timer to the earliest time.
  void arm() noexcept {
    if (std::exchange(armed_, earliest()) != earliest()) services().wake_at(exec_, earliest());
  }

 private:
  static constexpr std::size_t descriptor_limit = 64;  // the host's

  const taskhost_services& services() const noexcept { return *exec_->services; }
  bool ask(int descriptor, std::uint32_t interests) const noexcept {
    return services().wake_on_fd(exec_, descriptor, interests) == TASKHOST_OK;
  }
  std::uint64_t earliest() const noexcept {
    return times_.alone() ? TASKHOST_NEVER : static_cast<TimeNode*>(times_.next())->time;
  }
  static void fire_all(Links& list) noexcept {
    while (!list.alone()) static_cast<Node*>(list.next())->fire();
  }

  // The host does not report which descriptor is ready, so this checks all of them. A wait of the host is good for one
  // wake, which may have been used up for another node: so the waits of the remaining nodes are requested again.
  void fire_descriptors() noexcept {
    Look looks[descriptor_limit];
    std::size_t count = 0;
    for (Links* at = descriptors_.next(); at != &descriptors_; at = at->next()) {
      const auto& node = *static_cast<DescriptorNode*>(at);
      std::size_t place = 0;
      while (place < count && looks[place].fd != node.descriptor) ++place;
      if (place >= descriptor_limit) continue;
      looks[place] = Look(node.descriptor, looks[place].interests() | node.interests);
      if (place == count) ++count;
    }
    if (::poll(looks, static_cast<nfds_t>(count), 0) < 0) return;
    for (std::size_t place = 0; place < count; ++place) {
      const Look& look = looks[place];
      bool any = false;
      for (Links* at = descriptors_.next(); at != &descriptors_;) {
        auto& node = *static_cast<DescriptorNode*>(at);
        at = at->next();
        if (node.descriptor != look.fd || !look.meets(node.interests)) continue;
        node.fire();
        any = true;
      }
      if (any) {
        ask_anew(look.fd);
      } else {
        ask(look.fd, look.interests());
      }
    }
  }

  const taskhost_exec* exec_;
  taskhost_waker waker_;
  std::uint64_t armed_ = TASKHOST_NEVER;
  Links times_;
  Links stops_;
  Links wakes_;
  Links descriptors_;
  std::int32_t status_ = TASKHOST_PENDING;
  std::atomic<bool> stop_asked_ = false;
  bool polled_ = false;
};

}  // namespace taskhost::sdk::detail

#endif
