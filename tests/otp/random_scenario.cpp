#include "random_scenario.hpp"

#include <algorithm>

namespace taskhost::test {

RandomScenario::RandomScenario(std::uint64_t seed) : engine_(seed) {
  const std::size_t count = 1 + below(6);
  for (std::size_t i = 0; i < count; ++i) {
    Child child;
    child.restart = static_cast<Restart>(below(3));
    const std::size_t ending = below(20);
    child.ending = ending == 0 ? Ending::stubborn : ending < 4 ? Ending::failing : Ending::orderly;
    setup_.children.push_back(child);
  }
  setup_.strategy = static_cast<Strategy>(below(3));
  setup_.grouped = setup_.strategy != Strategy::one_for_one || one_in(2);
  setup_.ordered = !one_in(3);
  setup_.shards = setup_.ordered && one_in(3) ? 2 : 1;
  setup_.windowed = one_in(2);
  setup_.by_the_table = !setup_.grouped && !setup_.ordered && !setup_.windowed;
  if (one_in(2)) {
    one_failing_ = below(count);
    setup_.intensity = static_cast<unsigned>(below(5));
    // According to the table, only a mandatory task that gives up ends the host.
    if (setup_.by_the_table) setup_.children[*one_failing_].restart = Restart::permanent;
  }
  steps_left_ = 3 + below(20);
}

Step RandomScenario::next(const Lockstep& state) {
  Step stop;
  stop.kind = Step::Kind::stop;
  if (steps_left_-- == 0) return stop;
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::optional<Step> step = candidate(state);
    if (step && is_compared(state, *step)) return *step;
  }
  return stop;
}

std::optional<Step> RandomScenario::candidate(const Lockstep& state) {
  Step step;
  step.child = one_failing_ && one_in(3) ? *one_failing_ : below(setup_.children.size());
  step.reason = static_cast<Reason>(below(6));
  const std::size_t kind = below(20);
  if (kind < 12) {
    step.kind = Step::Kind::exit;
    if (one_in(3)) {
      step.failures = static_cast<unsigned>(1 + below(3));
      step.failing = one_in(2) ? step.child : below(setup_.children.size());
    }
  } else if (kind < 15) {
    step.kind = Step::Kind::exits;
    step.second = below(setup_.children.size());
    step.second_reason = static_cast<Reason>(below(6));
    if (step.second == step.child) return std::nullopt;
  } else {
    step.kind = kind == 15 ? Step::Kind::stop_child : kind < 18 ? Step::Kind::start_child : Step::Kind::restart_child;
    if (kind == 16 && state.state(step.child) == ChildState::live) return std::nullopt;  // without effect: not too many
  }
  return step;
}

bool RandomScenario::is_compared(const Lockstep& state, const Step& step) const {
  switch (step.kind) {
    case Step::Kind::exit:
    case Step::Kind::exits:
      return exit_is_compared(state, step);
    case Step::Kind::stop_child:
    case Step::Kind::stop:
      return true;
    case Step::Kind::start_child:
    case Step::Kind::restart_child: {
      // An operator's start resets taskhost's budget; and OTP does not start temporary children again.
      const bool gives_back = state.state(step.child) != ChildState::live && one_failing_ == step.child;
      const bool temporary = setup_.children[step.child].restart == Restart::temporary;
      const bool forgets = temporary && (step.kind == Step::Kind::restart_child || state.is_forgotten(step.child));
      return !gives_back && !forgets && !start_is_blocked(state, step.child);
    }
  }
  return false;
}

bool RandomScenario::exit_is_compared(const Lockstep& state, const Step& step) const {
  if (state.state(step.child) != ChildState::live) return false;
  const bool restarts = state.restarts(step.child, step.reason);
  if (restarts && (!may_be_charged(step.child) || start_is_blocked(state, step.child))) return false;
  const std::vector<std::size_t> others = restarts ? state.concerned_by(step.child) : std::vector<std::size_t>();
  const auto is_concerned = [&](std::size_t child) {
    return std::find(others.begin(), others.end(), child) != others.end();
  };
  for (const std::size_t other : others) {
    if (state.state(other) == ChildState::live && start_is_blocked(state, other)) return false;
  }
  if (step.kind == Step::Kind::exit) {
    if (step.failures == 0) return true;
    // A failed start is that task's exit; without an order, its group has already been started.
    const bool starts =
        step.failing == step.child || (is_concerned(step.failing) && state.state(step.failing) == ChildState::live &&
                                       setup_.children[step.failing].restart != Restart::temporary);
    return restarts && starts && may_be_charged(step.failing) && (setup_.ordered || others.empty());
  }
  // Two exits, which on one shard come in this order. If the second is not stopped because of the first anyway, it is
  // judged by itself, and then its group's restart may or may not coincide with the first one's.
  if (setup_.shards != 1 || state.state(step.second) != ChildState::live) return false;
  if (is_concerned(step.second)) return true;
  if (setup_.strategy != Strategy::one_for_one) return false;
  if (!state.restarts(step.second, step.second_reason)) return true;
  const bool lost = setup_.ordered && !restarts && !is_good(step.reason) && step.child < step.second;
  return may_be_charged(step.second) && !start_is_blocked(state, step.second) && !lost;
}

// Whether it would wait for a task that is stopped, or be skipped because of one that has ended badly.
bool RandomScenario::start_is_blocked(const Lockstep& state, std::size_t child) const {
  if (!setup_.ordered) return false;
  for (std::size_t before = 0; before < child; ++before) {
    if (state.state(before) == ChildState::stopped || state.state(before) == ChildState::over_badly) return true;
  }
  return false;
}

}  // namespace taskhost::test
