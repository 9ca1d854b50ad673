// taskhost/sdk/coroutine/descriptors.hpp: a set of descriptors that changes. Include taskhost/sdk/coroutine.hpp
// instead.
//
//   sdk::Descriptors set(context);
//   set.watch(listener, TASKHOST_READABLE);
//   for (;;) {
//     const auto ready = co_await set.ready();
//     for (const sdk::ReadyDescriptor& one : ready) …  // set.watch(…), set.forget(…)
//   }
#ifndef TASKHOST_SDK_COROUTINE_DESCRIPTORS_HPP
#define TASKHOST_SDK_COROUTINE_DESCRIPTORS_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "taskhost/sdk/coroutine/waits.hpp"

namespace taskhost::sdk {

struct ReadyDescriptor {
  int descriptor;
  std::uint32_t what;  // TASKHOST_READABLE and TASKHOST_WRITABLE, if it is watched for them; TASKHOST_BROKEN
  std::uint64_t tag;   // given to watch
  bool readable() const noexcept { return (what & TASKHOST_READABLE) != 0; }
  bool writable() const noexcept { return (what & TASKHOST_WRITABLE) != 0; }
  bool broken() const noexcept { return (what & TASKHOST_BROKEN) != 0; }
};

class Descriptors;

namespace detail {

// A member's place in one of its set's lists.
struct Place : Links {};

struct Member : DescriptorNode, Place {
  Member(Descriptors& owner, int wanted) noexcept : DescriptorNode(wanted, 0), set(&owner) {}
  Place& place() noexcept { return *this; }
  static Member& at(Links* links) noexcept { return *static_cast<Member*>(static_cast<Place*>(links)); }

  Descriptors* set;
  std::uint64_t tag = 0;
  std::uint32_t wanted = 0;  // interests is 0 while it is not watched
  std::uint32_t what = 0;    // it is ready for
};

class [[nodiscard]] ReadyOf : public Waiting {
 public:
  explicit ReadyOf(Descriptors& set) noexcept : set_(&set) {}
  ReadyOf(ReadyOf&& other) noexcept : set_(other.set_) {}  // before it is awaited
  ReadyOf& operator=(ReadyOf&&) = delete;
  ~ReadyOf() { cancel(); }

  inline bool begin(Strand& strand);
  inline bool poll() const noexcept;
  inline std::vector<ReadyDescriptor> take();
  bool failed() const noexcept { return error_ != nullptr; }
  inline void cancel() noexcept;

 private:
  friend class sdk::Descriptors;

  // What is always ready lets the others have their turn, too.
  void wait_for_turn() noexcept {
    strand_->execution().wait_for_wake(turn_, *strand_);
    strand_->execution().wake();
  }

  Descriptors* set_;  // null: it is gone
  Strand* strand_ = nullptr;
  Node turn_;
  std::exception_ptr error_;
};

}  // namespace detail

// Descriptors that one coroutine waits for together, and that may change at any time, also while it waits. A change
// costs one call of the host, a wait for what stays watched costs none, however many there are. It belongs to the
// execution of the context, and is used by its coroutines only; a wait for it ends before it is destroyed.
class Descriptors {
 public:
  explicit Descriptors(Context context) : execution_(detail::Execution::of(context)) {
    if (execution_ == nullptr) throw std::logic_error("Descriptors need a coroutine's context");
  }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;
  ~Descriptors() {
    if (waiter_ != nullptr) waiter_->set_ = nullptr;
    for (detail::Place* const list : {&idle_, &ready_, &paused_, &always_}) {
      while (!list->alone()) remove(detail::Member::at(list->next()));
    }
  }

  // From now on `ready` tells when the descriptor is ready for one of the interests, with this tag: TASKHOST_READABLE,
  // TASKHOST_WRITABLE or both. Replaces the interests and the tag of an earlier call; 0 interests forget it. Others,
  // such as readable(), may wait for the same descriptor. Throws a Failure if it is closed or cannot be watched; then
  // it is not in the set. What is always ready, such as a file, is told each time. Allocates memory for a new member.
  void watch(int descriptor, std::uint32_t interests, std::uint64_t tag = 0) {
    if (interests == 0) return forget(descriptor);
    detail::Member* member = find(descriptor);
    if (member == nullptr) {
      member = std::make_unique<detail::Member>(*this, descriptor).release();
      member->tell = tell;
      execution_->descriptors.insert(*member);
      ++size_;
    }
    member->wanted = interests;
    member->tag = tag;
    arm(*member);
  }
  // Before the descriptor is closed. If it is not in the set, nothing happens.
  void forget(int descriptor) noexcept {
    if (detail::Member* const member = find(descriptor)) remove(*member);
  }
  bool watches(int descriptor) const noexcept { return find(descriptor) != nullptr; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  // To be awaited, by one coroutine at a time: a std::vector<ReadyDescriptor> of all that are ready, at least one. What
  // is left unread is told again by the next wait. An empty set waits until something is added. A list may be out of
  // date for a descriptor that was forgotten or read since: use non-blocking mode.
  detail::ReadyOf ready() noexcept { return detail::ReadyOf(*this); }

 private:
  friend class detail::ReadyOf;
  using Member = detail::Member;

  Member* find(int descriptor) const noexcept {
    detail::DescriptorNode* const first = execution_->descriptors.first(descriptor);
    for (detail::DescriptorNode* node = first; node != nullptr;) {
      if (node->tell == tell && static_cast<Member*>(node)->set == this) return static_cast<Member*>(node);
      node = static_cast<detail::DescriptorNode*>(node->next());
      if (node == first) break;
    }
    return nullptr;
  }

  static void move(Member& member, detail::Place& list) noexcept {
    member.place().unlink();
    member.place().insert_after(*list.previous());
  }

  // Watches it for what is wanted; throws, without it, if the host refuses that.
  void arm(Member& member) {
    const int descriptor = member.descriptor;
    member.what = 0;
    member.interests = member.wanted;
    const std::int32_t refusal = execution_->watch(descriptor);
    if (refusal == TASKHOST_OK) return move(member, idle_);
    member.interests = 0;
    if (const char* const problem = detail::problem_of(refusal)) {
      remove(member);
      throw detail::cant_wait(descriptor, problem);
    }
    move(member, always_);
    if (waiter_ != nullptr) waiter_->wait_for_turn();
  }
  void remove(Member& member) noexcept {
    const std::unique_ptr<Member> mine(&member);
    execution_->forget(member);
    --size_;
  }

  // While nobody waits, it is not watched, since it would wake the execution for nothing as long as it is ready.
  static bool tell(detail::DescriptorNode& node, std::uint32_t what) noexcept {
    auto& member = static_cast<Member&>(node);
    Descriptors& set = *member.set;
    if (set.waiter_ == nullptr) {
      member.interests = 0;
      move(member, set.paused_);
      return true;
    }
    what &= member.wanted | TASKHOST_BROKEN;
    const bool is_new = (what & ~member.what) != 0;
    if (member.what == 0) move(member, set.ready_);
    member.what |= what;
    set.waiter_->strand_->mark();
    return is_new;
  }

  void begin_wait(detail::ReadyOf& waiter) {
    if (waiter_ != nullptr) throw std::logic_error("a set of descriptors is awaited by one coroutine at a time");
    waiter_ = &waiter;
    while (!paused_.alone()) arm(Member::at(paused_.next()));
    if (!always_.alone()) waiter.wait_for_turn();
  }
  void end_wait() noexcept {
    waiter_ = nullptr;
    while (!ready_.alone()) {
      Member& member = Member::at(ready_.next());
      member.what = 0;
      move(member, idle_);
    }
  }
  std::vector<ReadyDescriptor> list() const {
    std::vector<ReadyDescriptor> found;
    for (detail::Links* at = ready_.next(); at != &ready_; at = at->next()) {
      const Member& member = Member::at(at);
      found.push_back({member.descriptor, member.what, member.tag});
    }
    for (detail::Links* at = always_.next(); at != &always_; at = at->next()) {
      const Member& member = Member::at(at);
      found.push_back({member.descriptor, member.wanted, member.tag});
    }
    return found;
  }

  detail::Execution* execution_;
  detail::ReadyOf* waiter_ = nullptr;
  std::size_t size_ = 0;
  // Each member is in one of these lists.
  detail::Place idle_;    // watched
  detail::Place ready_;   // watched, and ready
  detail::Place paused_;  // not watched until the next wait
  detail::Place always_;  // ready, always
};

namespace detail {

bool ReadyOf::begin(Strand& strand) {
  strand_ = &strand;
  error_ = nullptr;
  try {
    set_->begin_wait(*this);
  } catch (...) {
    error_ = std::current_exception();
    cancel();
  }
  return failed();
}
bool ReadyOf::poll() const noexcept {
  if (set_ == nullptr) return false;
  return !set_->ready_.alone() || (turn_.fired() && !set_->always_.alone());
}
std::vector<ReadyDescriptor> ReadyOf::take() {
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  std::vector<ReadyDescriptor> found = set_->list();
  cancel();
  return found;
}
void ReadyOf::cancel() noexcept {
  turn_.unlink();
  if (set_ != nullptr && set_->waiter_ == this) set_->end_wait();
}

}  // namespace detail

}  // namespace taskhost::sdk

#endif
