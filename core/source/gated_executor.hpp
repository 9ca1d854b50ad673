// An executor with a gate: while it is open, work goes to the executor inside; once it is closed, work is destroyed
// instead of run. A coroutine that lives on one can thereby be dropped at any suspension point: when what it awaits
// completes, its frame is destroyed and none of its code runs.
#pragma once

#include <boost/asio/execution.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>
#include <memory>
#include <type_traits>
#include <utility>

#include "handler_call.hpp"
#include "shard.hpp"

namespace taskhost {

// Shared by the recipe's execution, its coroutine's executor and every piece of work on the way. The shard's thread's.
struct Gate {
  explicit Gate(TaskCell& its_cell) noexcept : cell(its_cell) {}
  TaskCell& cell;
  bool open = true;
  bool passing = false;  // what is submitted now runs even if the gate is closed by then
};

template <class Inner>
class GatedExecutor {
 public:
  GatedExecutor(Inner inner, std::shared_ptr<Gate> gate) noexcept : inner_(std::move(inner)), gate_(std::move(gate)) {}

  template <class Function>
  void execute(Function&& function) const {
    inner_.execute(Work<std::decay_t<Function>>{gate_, gate_->passing, std::forward<Function>(function)});
  }

  template <class Property>
  auto query(const Property& property) const noexcept(boost::asio::is_nothrow_query_v<const Inner&, Property>)
      -> std::enable_if_t<boost::asio::can_query_v<const Inner&, Property>,
                          decltype(boost::asio::query(std::declval<const Inner&>(), property))> {
    return boost::asio::query(inner_, property);
  }

  template <class Property>
  auto require(const Property& property) const -> std::enable_if_t<
      boost::asio::can_require_v<const Inner&, Property>,
      GatedExecutor<std::decay_t<decltype(boost::asio::require(std::declval<const Inner&>(), property))>>> {
    return {boost::asio::require(inner_, property), gate_};
  }

  template <class Property>
  auto prefer(const Property& property) const -> std::enable_if_t<
      boost::asio::can_prefer_v<const Inner&, Property>,
      GatedExecutor<std::decay_t<decltype(boost::asio::prefer(std::declval<const Inner&>(), property))>>> {
    return {boost::asio::prefer(inner_, property), gate_};
  }

  friend bool operator==(const GatedExecutor& a, const GatedExecutor& b) noexcept {
    return a.inner_ == b.inner_ && a.gate_ == b.gate_;
  }
  friend bool operator!=(const GatedExecutor& a, const GatedExecutor& b) noexcept { return !(a == b); }

 private:
  template <class Function>
  struct Work {
    std::shared_ptr<Gate> gate;
    bool passes;
    Function function;

    void operator()() {
      // A thread is stuck in another handler of the same coroutine: this one waits for it.
      if (gate->cell.stalled) {
        gate->cell.kind->shard.defer(gate->cell, std::make_unique<DeferredWork<Work>>(std::move(*this)));
        return;
      }
      if (!passes && !gate->open) return;
      // Task code runs now, as in a poll: whoever sees it stuck knows whose it is, and can take the shard over.
      HandlerCall call(gate->cell, gate->open);
      std::move(function)();
    }
  };

  Inner inner_;
  std::shared_ptr<Gate> gate_;
};

}  // namespace taskhost
