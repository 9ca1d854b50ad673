// taskhost/sdk/coroutine/combine.hpp: several waits at once. Include taskhost/sdk/coroutine.hpp instead.
//
// A combinator owns its arguments, so it takes temporaries and moved objects. It can be awaited like any of them, also
// within another combinator. Each branch is a strand of its own, which is polled when something in it is ready;
// branches that are ready at the same time are polled in the order of the arguments. Only the Asyncs themselves are
// allocated, and the list of those that come in a vector.
#ifndef TASKHOST_SDK_COROUTINE_COMBINE_HPP
#define TASKHOST_SDK_COROUTINE_COMBINE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "taskhost/sdk/coroutine/async.hpp"

namespace taskhost::sdk {

namespace detail {

template <class Wait>
using TakenFrom = decltype(std::declval<Wait&>().take());
template <class Wait>
using ValueOf = std::conditional_t<std::is_void_v<TakenFrom<Wait>>, std::monostate, TakenFrom<Wait>>;

}  // namespace detail

// The first of a vector that is done: its place in the vector, and its result; std::monostate stands for void.
template <class T>
struct First {
  std::size_t index;
  detail::ValueOf<Async<T>> value;
};

namespace detail {

template <class Wait>
class Branch : public Strand {
 public:
  explicit Branch(Wait wait) : wait_(std::move(wait)) {}

  void start(Strand& parent) {
    if (!wait_ || done_) throw std::logic_error("a combinator is awaited once");
    begin(parent.execution(), &parent);
    done_ = wait_->begin(*this);
  }
  void look() {
    if (!done_ && take_mark()) done_ = wait_->poll();
  }
  void cancel() { wait_.reset(); }
  bool done() const noexcept { return done_; }
  bool failed() const noexcept { return done_ && wait_->failed(); }
  ValueOf<Wait> take() {
    if constexpr (std::is_void_v<TakenFrom<Wait>>) {
      wait_->take();
      return {};
    } else {
      return wait_->take();
    }
  }

 private:
  std::optional<Wait> wait_;
  bool done_ = false;
};

// Begins a combinator. If that throws, as for an Async that was awaited before, no branch stays behind.
template <class Combinator, class Step>
bool begin_or_cancel(Combinator& combinator, Step step) {
  try {
    return step();
  } catch (...) {
    combinator.cancel();
    throw;
  }
}

// Polls the branches until all are done, or one has failed; then its exception is the result, and the others are
// cancelled.
class Gathering {
 public:
  template <class Wait, class Step>
  bool go_on(Branch<Wait>& branch, Step step) {
    step(branch);
    if (branch.execution().ended()) return false;
    all_done_ = all_done_ && branch.done();
    if (branch.failed()) failed_ = &branch;
    return failed_ == nullptr;
  }
  bool all_done() const noexcept { return all_done_; }
  const Strand* failed() const noexcept { return failed_; }

 private:
  bool all_done_ = true;
  const Strand* failed_ = nullptr;
};

template <class... Waits>
class [[nodiscard]] AllOf : public Waiting {
 public:
  explicit AllOf(Waits&&... waits) : branches_(Branch<Waits>(std::move(waits))...) {}

  bool begin(Strand& strand) {
    return begin_or_cancel(*this, [&] { return step([&strand](auto& branch) { branch.start(strand); }); });
  }
  bool poll() {
    return step([](auto& branch) { branch.look(); });
  }
  std::tuple<ValueOf<Waits>...> take() {
    return std::apply(
        [this](auto&... branches) {
          if (failed_ != nullptr) ((failed_ == &branches ? static_cast<void>(branches.take()) : void()), ...);
          return std::tuple<ValueOf<Waits>...>{branches.take()...};
        },
        branches_);
  }
  bool failed() const noexcept { return failed_ != nullptr; }
  void cancel() {
    std::apply([](auto&... branches) { (branches.cancel(), ...); }, branches_);
  }

 private:
  template <class Step>
  bool step(Step step) {
    Gathering gathering;
    const auto each = [&](auto&... branches) { return (gathering.go_on(branches, step) && ...); };
    const bool whole = std::apply(each, branches_);
    failed_ = gathering.failed();
    if (failed_ == nullptr) return whole && gathering.all_done();
    std::apply([this](auto&... branches) { ((failed_ == &branches ? void() : branches.cancel()), ...); }, branches_);
    return true;
  }

  std::tuple<Branch<Waits>...> branches_;
  const Strand* failed_ = nullptr;
};

// Any number of branches of one type. After a wake it looks at those that are marked, in their order; the others cost
// nothing.
template <class T>
class Many {
 protected:
  using One = Branch<Async<T>>;

  explicit Many(std::vector<Async<T>>&& waits) {
    due_.reserve(waits.size());
    branches_.reserve(waits.size());
    for (Async<T>& wait : waits) branches_.emplace_back(std::move(wait));
  }

  // Both call the function with each branch that has run, until it returns false.
  template <class Function>
  void start_all(Strand& strand, Function function) {
    strand_ = &strand;
    strand.forget_marked();
    for (One& branch : branches_) {
      branch.start(strand);
      if (!function(branch)) return;
    }
  }
  template <class Function>
  void look_at_marked(Function function) {
    due_.clear();
    strand_->take_marked([this](Strand& branch) { due_.push_back(static_cast<One*>(&branch)); });
    std::sort(due_.begin(), due_.end());
    for (One* const branch : due_) {
      branch->look();
      if (!function(*branch)) return;
    }
  }
  void cancel_others(const One* kept) {
    for (One& branch : branches_) {
      if (&branch != kept) branch.cancel();
    }
  }

  std::vector<One> branches_;

 private:
  Strand* strand_ = nullptr;
  std::vector<One*> due_;
};

template <class T>
class [[nodiscard]] AllOfMany : private Many<T>, public Waiting {
  using typename Many<T>::One;
  using Many<T>::branches_;

 public:
  explicit AllOfMany(std::vector<Async<T>>&& waits) : Many<T>(std::move(waits)), left_(branches_.size()) {}

  bool begin(Strand& strand) {
    return begin_or_cancel(*this, [&] {
      this->start_all(strand, [this](One& branch) { return settle(branch); });
      return is_over();
    });
  }
  bool poll() {
    this->look_at_marked([this](One& branch) { return settle(branch); });
    return is_over();
  }
  auto take() {
    if (failed_ != nullptr) failed_->take();  // throws
    if constexpr (!std::is_void_v<T>) {
      std::vector<T> values;
      values.reserve(branches_.size());
      for (One& branch : branches_) values.push_back(branch.take());
      return values;
    }
  }
  bool failed() const noexcept { return failed_ != nullptr; }
  void cancel() { this->cancel_others(nullptr); }

 private:
  bool settle(One& branch) {
    if (branch.execution().ended()) return false;
    if (!branch.done()) return true;
    --left_;
    if (!branch.failed()) return true;
    failed_ = &branch;
    this->cancel_others(failed_);
    return false;
  }
  bool is_over() const noexcept { return left_ == 0 || failed_ != nullptr; }

  std::size_t left_;  // that are not done
  One* failed_ = nullptr;
};

// Polls the branches until one is done; the others are cancelled at once.
template <class T>
class FirstOfMany : private Many<T> {
  using typename Many<T>::One;
  using Many<T>::branches_;

 public:
  explicit FirstOfMany(std::vector<Async<T>>&& waits) : Many<T>(std::move(waits)) {}

  bool begin(Strand& strand) {
    if (branches_.empty()) return true;
    return begin_or_cancel(*this, [&] {
      this->start_all(strand, [this](One& branch) { return settle(branch); });
      return first_ != nullptr;
    });
  }
  bool poll() {
    this->look_at_marked([this](One& branch) { return settle(branch); });
    return first_ != nullptr;
  }
  bool failed() const noexcept { return branches_.empty() || (first_ != nullptr && first_->failed()); }
  void cancel() { this->cancel_others(nullptr); }

 protected:
  ValueOf<Async<T>> take_first() {
    if (first_ == nullptr) throw std::invalid_argument("the first of an empty vector would never be done");
    return first_->take();
  }
  std::size_t index() const noexcept { return static_cast<std::size_t>(first_ - branches_.data()); }

 private:
  bool settle(One& branch) {
    if (branch.execution().ended()) return false;
    if (!branch.done()) return true;
    first_ = &branch;
    this->cancel_others(first_);
    return false;
  }

  One* first_ = nullptr;
};

// Polls the branches until one is done; the others are cancelled at once.
template <class... Waits>
class FirstOf {
 public:
  explicit FirstOf(Waits&&... waits) : branches_(Branch<Waits>(std::move(waits))...) {}

  bool begin(Strand& strand) {
    return begin_or_cancel(*this, [&] { return step([&strand](auto& branch) { branch.start(strand); }); });
  }
  bool poll() {
    return step([](auto& branch) { branch.look(); });
  }
  bool failed() const noexcept { return failed_; }
  void cancel() {
    std::apply([](auto&... branches) { (branches.cancel(), ...); }, branches_);
  }

 protected:
  static constexpr std::size_t count = sizeof...(Waits);

  // Calls the function with the index of the first branch, and with the branch.
  template <class Result, class Function, std::size_t Number = 0>
  Result with_first(Function function) {
    if constexpr (Number + 1 < count) {
      if (first_ != Number) return with_first<Result, Function, Number + 1>(function);
    }
    return function(std::integral_constant<std::size_t, Number>(), std::get<Number>(branches_));
  }

 private:
  template <class Step>
  bool step(Step step) {
    bool ended = false;
    std::size_t number = 0;
    const auto one = [&](auto& branch) {
      step(branch);
      ended = branch.execution().ended();
      if (ended || branch.done()) return false;
      ++number;
      return true;
    };
    std::apply([&](auto&... branches) { static_cast<void>((one(branches) && ...)); }, branches_);
    if (ended || number == count) return false;
    first_ = number;
    std::apply([this](auto&... branches) { (this->settle(branches), ...); }, branches_);
    return true;
  }
  template <class Wait>
  void settle(Branch<Wait>& branch) {
    if (branch.done()) {
      failed_ = branch.failed();
    } else {
      branch.cancel();
    }
  }

  std::tuple<Branch<Waits>...> branches_;
  std::size_t first_ = 0;
  bool failed_ = false;
};

template <class... Waits>
class [[nodiscard]] AnyOf : public FirstOf<Waits...>, public Waiting {
 public:
  using FirstOf<Waits...>::FirstOf;
  using FirstOf<Waits...>::failed;
  using Result = std::variant<ValueOf<Waits>...>;

  Result take() {
    return this->template with_first<Result>(
        [](auto number, auto& branch) { return Result(std::in_place_index<decltype(number)::value>, branch.take()); });
  }
};

template <class... Waits>
class [[nodiscard]] RaceOf : public FirstOf<Waits...>, public Waiting {
 public:
  using FirstOf<Waits...>::FirstOf;
  using FirstOf<Waits...>::failed;
  using Result = std::common_type_t<TakenFrom<Waits>...>;

  Result take() {
    return this->template with_first<Result>([](auto, auto& branch) { return static_cast<Result>(branch.take()); });
  }
};

template <class Wait>
class [[nodiscard]] TimeoutOf : public FirstOf<Wait, Sleep>, public Waiting {
 public:
  using FirstOf<Wait, Sleep>::FirstOf;
  using FirstOf<Wait, Sleep>::failed;
  using Result = std::optional<ValueOf<Wait>>;

  Result take() {
    return this->template with_first<Result>([](auto number, auto& branch) {
      if constexpr (decltype(number)::value == 0) {
        return Result(branch.take());
      } else {
        return Result();
      }
    });
  }
};

template <class T>
class [[nodiscard]] AnyOfMany : public FirstOfMany<T>, public Waiting {
 public:
  using FirstOfMany<T>::FirstOfMany;
  using FirstOfMany<T>::failed;

  First<T> take() {
    ValueOf<Async<T>> value = this->take_first();
    return {this->index(), std::move(value)};
  }
};

template <class T>
class [[nodiscard]] RaceOfMany : public FirstOfMany<T>, public Waiting {
 public:
  using FirstOfMany<T>::FirstOfMany;
  using FirstOfMany<T>::failed;

  T take() { return static_cast<T>(this->take_first()); }
};

template <class Wait>
concept Combinable = std::is_base_of_v<Waiting, Wait> && !std::is_lvalue_reference_v<Wait>;

}  // namespace detail

// Waits for all, and returns their results as a std::tuple, in which std::monostate stands for void. When one throws,
// the others are cancelled, and the co_await throws the exception.
template <detail::Combinable... Waits>
detail::AllOf<Waits...> when_all(Waits&&... waits) {
  return detail::AllOf<Waits...>(std::forward<Waits>(waits)...);
}

// The same for any number of Asyncs of one type; returns a vector, or nothing for void. Allocates memory for the list.
// A wake costs as much as the branches that it concerns, not all of them.
template <class T>
detail::AllOfMany<T> when_all(std::vector<Async<T>> waits) {
  return detail::AllOfMany<T>(std::move(waits));
}

// Waits for the first that is done, and returns its result as a std::variant whose index() says which it was;
// std::monostate stands for void. The others are cancelled at once: destructors run, nothing after their co_await does.
// If several are ready, the first in the list wins, and those after it are not resumed. An exception counts as done.
template <detail::Combinable... Waits>
detail::AnyOf<Waits...> when_any(Waits&&... waits) {
  return detail::AnyOf<Waits...>(std::forward<Waits>(waits)...);
}

// The same for any number of Asyncs of one type; returns a First<T>: the index and the value. An empty vector throws
// std::invalid_argument.
template <class T>
detail::AnyOfMany<T> when_any(std::vector<Async<T>> waits) {
  return detail::AnyOfMany<T>(std::move(waits));
}

// The same for waits whose results have the same type; returns the result itself.
template <detail::Combinable... Waits>
detail::RaceOf<Waits...> race(Waits&&... waits) {
  return detail::RaceOf<Waits...>(std::forward<Waits>(waits)...);
}
template <class T>
detail::RaceOfMany<T> race(std::vector<Async<T>> waits) {
  return detail::RaceOfMany<T>(std::move(waits));
}

// Waits for one thing, but no longer than `delay`. Returns a std::optional of its result, or of std::monostate for
// void; it is empty if the time was over and the wait was cancelled. If both are ready at once, it was in time.
template <class Rep, class Period, detail::Combinable Wait>
detail::TimeoutOf<Wait> with_timeout(std::chrono::duration<Rep, Period> delay, Wait&& wait) {
  return detail::TimeoutOf<Wait>(std::forward<Wait>(wait), sleep(delay));
}

}  // namespace taskhost::sdk

#endif
