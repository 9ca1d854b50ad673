#include "lockstep.hpp"

#include <algorithm>
#include <set>

namespace taskhost::test {

// Children whose part in this step differs as expected.
struct Lockstep::Exemptions {
  std::vector<std::size_t> revived;  // OTP starts them with their group, although they were over or stopped
  std::vector<std::size_t> dropped;  // temporary: OTP forgets them when their group starts again
};

namespace {

std::string kind_of(const std::string& event) { return event.substr(0, event.find(':')); }
std::string task_of(const std::string& event) { return event.substr(event.find(':') + 1); }

bool holds(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Without the events of a task.
void erase_task(Events& events, const std::string& task) {
  std::erase_if(events, [&](const std::string& event) { return task_of(event) == task; });
}

// Without what comes after a task was asked and has ended.
void erase_after_end(Events& events, const std::string& task) {
  bool over = false;
  std::erase_if(events, [&](const std::string& event) {
    if (task_of(event) != task) return false;
    const bool erased = over;
    over = over || kind_of(event) == "end" || kind_of(event) == "exit";
    return erased;
  });
}

}  // namespace

Lockstep::Lockstep(OtpSide& otp, const Setup& setup)
    : otp_(otp),
      setup_(setup),
      otp_start_(otp.open(setup)),
      taskhost_(setup),
      states_(setup.children.size(), ChildState::live) {
  const Settled expected = otp_.settle();
  const Settled actual = taskhost_.settle_with(expected.events.size());
  if (otp_start_ != "up" || expected.events != actual.events || expected.live != actual.live) {
    differ("at the start", expected, actual);
  }
}

std::vector<std::size_t> Lockstep::concerned_by(std::size_t child) const {
  std::vector<std::size_t> others;
  if (setup_.strategy == Strategy::one_for_one) return others;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (i != child && (setup_.strategy == Strategy::one_for_all || i > child)) others.push_back(i);
  }
  return others;
}

bool Lockstep::restarts(std::size_t child, Reason reason) const {
  switch (setup_.children[child].restart) {
    case Restart::permanent:
      return true;
    case Restart::transient:
      return !is_good(reason);
    case Restart::temporary:
      return false;
  }
  return false;
}

bool Lockstep::take(const Step& step) {
  if (!fault_.empty() || ended_) return false;
  return compare(step, lead_otp(step)) && !ended_;
}

// --- a step ----------------------------------------------------------------------------------------------------------

Settled Lockstep::lead_otp(const Step& step) {
  std::string answer = "ok";
  std::string expected = "ok";
  switch (step.kind) {
    case Step::Kind::exit:
      if (step.failures != 0) otp_.fail(step.failing, step.failures);
      otp_.exit(step.child, step.reason);
      break;
    case Step::Kind::exits:
      otp_.exit_both(step.child, step.reason, step.second, step.second_reason);
      break;
    case Step::Kind::stop_child:
      if (is_forgotten(step.child)) expected = "not_found";
      answer = otp_.terminate_child(step.child);
      break;
    case Step::Kind::start_child:
      if (states_[step.child] == ChildState::live) expected = "running";
      answer = otp_.restart_child(step.child);
      break;
    case Step::Kind::restart_child:
      answer = otp_.terminate_child(step.child);
      if (answer == "ok") answer = otp_.restart_child(step.child);
      break;
    case Step::Kind::stop:
      otp_.stop();
      break;
  }
  Settled settled = otp_.settle();
  if (answer != expected) fault_ = "OTP answered " + answer + " instead of " + expected;
  return settled;
}

void Lockstep::lead_taskhost(const Step& step) {
  switch (step.kind) {
    case Step::Kind::exit:
      if (step.failures != 0) taskhost_.fail(step.failing, step.failures);
      taskhost_.exit(step.child, step.reason);
      break;
    case Step::Kind::exits:
      taskhost_.exit_both(step.child, step.reason, step.second, step.second_reason);
      break;
    case Step::Kind::stop_child:
      taskhost_.operate(step.child, Operation::stop);
      break;
    case Step::Kind::start_child:
      taskhost_.operate(step.child, Operation::start);
      break;
    case Step::Kind::restart_child:
      taskhost_.operate(step.child, Operation::restart);
      break;
    case Step::Kind::stop:
      taskhost_.stop();
      break;
  }
}

Lockstep::Exemptions Lockstep::exemptions(const Step& step) const {
  Exemptions exempt;
  const bool exits = step.kind == Step::Kind::exit || step.kind == Step::Kind::exits;
  if (!exits || !restarts(step.child, step.reason)) return exempt;
  for (const std::size_t other : concerned_by(step.child)) {
    const bool temporary = setup_.children[other].restart == Restart::temporary;
    if (states_[other] == ChildState::live) {
      if (temporary) exempt.dropped.push_back(other);
    } else if (!temporary) {
      exempt.revived.push_back(other);
    }
  }
  return exempt;
}

// After two exits at once, it is not compared who was still asked to end. Without `after` there is no order among tasks
// that are stopped together, or started together.
Events Lockstep::normalised(const Step& step, Events events) const {
  if (step.kind == Step::Kind::exits) {
    std::erase_if(events, [&](const std::string& event) {
      const bool of_these = task_of(event) == name_of(step.child) || task_of(event) == name_of(step.second);
      return of_these && kind_of(event) != "start" && kind_of(event) != "failed";
    });
  }
  if (setup_.ordered) return events;
  const auto phase = [](const std::string& event) {
    const std::string kind = kind_of(event);
    return kind == "ask" || kind == "end" ? 1 : kind == "start" ? 2 : 3;
  };
  for (auto begin = events.begin(); begin != events.end();) {
    const auto end =
        std::find_if(begin, events.end(), [&](const auto& event) { return phase(event) != phase(*begin); });
    if (phase(*begin) != 3) std::sort(begin, end);
    begin = end;
  }
  return events;
}

bool Lockstep::compare(const Step& step, const Settled& otp) {
  const Exemptions exempt = exemptions(step);
  Settled expected = otp;
  for (const std::size_t child : exempt.revived) {
    if (otp.up && !holds(otp.live, name_of(child))) return differ("in that OTP did not start again", otp, {});
    erase_task(expected.events, name_of(child));
    std::erase(expected.live, name_of(child));
  }
  for (const std::size_t child : exempt.dropped) {
    if (otp.up && holds(otp.live, name_of(child))) return differ("in that OTP did start again", otp, {});
    erase_after_end(expected.events, name_of(child));
  }
  expected.events = normalised(step, expected.events);

  // taskhost's host ends by itself when there is nothing left that could go on.
  const bool stopped_one = std::any_of(states_.begin(), states_.end(), [&](const ChildState& state) {
    const auto child = static_cast<std::size_t>(&state - states_.data());
    if (child != step.child) return state == ChildState::stopped;
    if (step.kind == Step::Kind::stop_child) return state == ChildState::live || state == ChildState::stopped;
    return state == ChildState::stopped && step.kind != Step::Kind::start_child;
  });
  const bool all_done = otp.up && expected.live.empty() && !stopped_one;
  expected.up = otp.up && !all_done;

  const auto as_expected = [&](Settled settled) {
    for (const std::size_t child : exempt.dropped) {
      erase_after_end(settled.events, name_of(child));
      std::erase(settled.live, name_of(child));
    }
    settled.events = normalised(step, settled.events);
    return settled;
  };
  const auto live_again = [&](const Settled& settled) {
    return std::all_of(exempt.dropped.begin(), exempt.dropped.end(),
                       [&](std::size_t child) { return holds(settled.live, name_of(child)); });
  };
  lead_taskhost(step);
  const Settled raw = taskhost_.settle([&](const Settled& settled) {
    return as_expected(settled).events.size() >= expected.events.size() && settled.up == expected.up &&
           (!settled.up || live_again(settled));
  });
  const Settled actual = as_expected(raw);

  if (!fault_.empty()) return differ(fault_, otp, raw);
  if (actual.events != expected.events) return differ("in what happened", otp, raw);
  if (actual.up != expected.up) return differ("in whether the supervisor goes on", otp, raw);
  if (expected.up && (actual.live != expected.live || !live_again(raw))) return differ("in what lives", otp, raw);

  std::string reason;  // why taskhost ended
  if (all_done) {
    // OTP does not report whether any of them ended well, which is what the status says.
    reason = actual.reason == "all_done 1" ? actual.reason : "all_done 0";
    ++seen["the host ends: all done"];
  } else if (!otp.up) {
    const bool gave_up = step.kind != Step::Kind::stop;
    reason = gave_up ? "budget_exhausted 1" : "request 0";
    ++seen[gave_up ? "gave up" : "stopped"];
    if (otp.reason != "shutdown") return differ("in OTP's reason to end", otp, raw);
  }
  if (actual.reason != reason) return differ("in taskhost's reason to end, expected: " + reason, otp, raw);

  ++seen["steps"];
  if (!exempt.revived.empty() && otp.up) ++seen["OTP started some again that were over"];
  if (!exempt.dropped.empty() && otp.up) ++seen["OTP dropped temporary ones of a group"];
  if (holds(otp.events, "failed:" + name_of(step.failing)) && otp.up) ++seen["restarts that failed"];
  ended_ = !expected.up;
  if (ended_) {
    if (otp.up) {
      otp_.stop();
      otp_.settle();
    }
    return true;
  }
  if (!resynchronise(exempt)) return false;
  update(step, expected.live);
  for (const std::size_t child : exempt.dropped) states_[child] = ChildState::over;
  return true;
}

// Those that differ now are over on both sides.
bool Lockstep::resynchronise(const Exemptions& exempt) {
  for (const std::size_t child : exempt.revived) otp_.terminate_child(child);
  for (const std::size_t child : exempt.dropped) {
    taskhost_.exit(child, Reason::normal);
    const Settled settled = taskhost_.settle_with(1);
    if (settled.events != Events{"exit:" + name_of(child)}) return differ("in making it even", {}, settled);
  }
  otp_.settle();
  return true;
}

void Lockstep::update(const Step& step, const std::vector<std::string>& live) {
  for (std::size_t child = 0; child < states_.size(); ++child) {
    ChildState& state = states_[child];
    if (holds(live, name_of(child))) {
      state = ChildState::live;
    } else if (state == ChildState::live) {
      const bool second = step.kind == Step::Kind::exits && step.second == child;
      const bool good = is_good(second ? step.second_reason : step.reason);
      state = step.kind == Step::Kind::stop_child ? ChildState::stopped
              : good                              ? ChildState::over
                                                  : ChildState::over_badly;
    }
  }
}

bool Lockstep::differ(const std::string& what, const Settled& otp, const Settled& taskhost) {
  const auto text = [](const Settled& settled) {
    return joined(settled.events) + "\n            then " + (settled.up ? "up" : "down") + ' ' + settled.reason +
           " with: " + joined(settled.live) + '\n';
  };
  fault_ = "they differ " + what + "\n  OTP:      " + text(otp) + "  taskhost: " + text(taskhost);
  const std::vector<std::string> told = taskhost_.told();
  fault_ += "  taskhost also told, since the beginning: " + joined(told) + '\n';
  if (otp.up) {
    otp_.stop();
    otp_.settle();
  }
  return false;
}

}  // namespace taskhost::test
