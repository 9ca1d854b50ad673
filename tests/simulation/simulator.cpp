#include "simulator.hpp"

#include <algorithm>
#include <stdexcept>

#include "model.hpp"
#include "output.hpp"
#include "random.hpp"
#include "shards.hpp"
#include "witness.hpp"

namespace taskhost::simulation {

namespace {

constexpr std::uint64_t max_steps = 20'000;
constexpr std::size_t max_outputs = 2'000;  // in one step

class Simulation final : CoordinatorPort, World {
 public:
  Simulation(const Scenario& scenario, std::string* trace, std::vector<Observed>* observed)
      : scenario_(scenario),
        trace_(trace),
        observed_(observed),
        random_(scenario.seed, 0x1a7e),
        shards_(scenario),
        witness_(scenario),
        model_(scenario.tasks, scenario.groups, *this, expected_),
        real_(scenario.tasks, scenario.groups, scenario.seed, *this) {}

  Run run() {
    try {
      step({.kind = Input::Kind::begin, .time = now_});
      while (run_.fault.empty() && !is_over()) {
        if (++run_.steps > max_steps) {
          run_.fault = "it does not come to rest";
          break;
        }
        step(next_input());
      }
    } catch (const std::exception& error) {
      run_.fault = error.what();
    }
    if (run_.fault.empty()) {
      witness_.saw_end();
      run_.fault = witness_.fault();
    }
    if (run_.symptom.empty()) run_.symptom = run_.fault;
    run_.time = now_ - first_moment;
    return run_;
  }

 private:
  // --- the port of the real one, and the world of the model ---
  void start(Place task, std::optional<std::uint32_t> remaining) override {
    did({.kind = Output::Kind::start, .task = task, .remaining = remaining});
  }
  void ask(Place task) override { did({.kind = Output::Kind::ask, .task = task}); }
  void tell(const TaskNews& news) override { did(to_output(news)); }
  void stop_host(Place task, StopReason reason, bool failure, std::string_view message) override {
    did({.kind = Output::Kind::stop_host,
         .task = task,
         .reason = reason,
         .failure = failure,
         .message = fixed_part(std::string(message))});
  }
  Nanoseconds last_heartbeat(Place task) override { return shards_.last_heartbeat(task, now_); }

  Nanoseconds drawn_delay(Place task, std::uint64_t, Nanoseconds least, Nanoseconds most) override {
    const auto drawn = std::find_if(outputs_.begin(), outputs_.end(), [task](const Output& output) {
      return output.task == task && output.kind == Output::Kind::tell && output.event == EventKind::task_restarting;
    });
    // A nanosecond for rounding.
    const bool fits = drawn != outputs_.end() && drawn->delay + 1 >= least && drawn->delay <= most + 1;
    return fits ? drawn->delay : least;
  }

  void did(Output output) {
    if (outputs_.size() == max_outputs) throw std::runtime_error("it does not come to an end");
    outputs_.push_back(std::move(output));
  }

  // --- what comes next ---
  bool is_over() const { return stop_began_ && real_.idle(); }

  Nanoseconds lateness() {
    if (!scenario_.late || random_.percent(75)) return 0;
    return random_.below(5) * scenario_.unit / 2;
  }

  Input next_input() {
    if (!stop_announced_ && real_.idle()) announce_stop();
    if (!stop_announced_ && run_.steps > scenario_.stop_after) {
      if (observed_ != nullptr) run_.cut_after = observed_->size();
      announce_stop();
    }
    Nanoseconds fact = shards_.next_time();
    const Nanoseconds due = std::min(real_.next_deadline(), model_.next_due());
    if (fact == never && due == never) {
      if (stop_announced_) throw std::runtime_error("nothing happens any more, but the host does not end");
      announce_stop();
      fact = shards_.next_time();
    }
    if (due < fact) {
      now_ = std::max(now_, due) + lateness();
      return {.kind = Input::Kind::advance, .time = now_};
    }
    Input input = shards_.next();
    now_ = std::max(now_, input.time) + lateness();
    input.time = now_;
    return input;
  }

  void announce_stop() {
    stop_announced_ = true;
    shards_.announce_stop(now_);
  }

  // --- one step ---
  void step(Input input) {
    outputs_.clear();
    expected_.clear();
    shards_.run_until(now_);
    witness_.saw(input, real_.state(input.task));
    give(real_, input);
    give(model_, input);
    if (trace_ != nullptr) trace(input);
    compare(input);
    if (observed_ != nullptr) {
      for (const Output& output : outputs_) observed_->push_back({now_, output});
    }
    for (const Output& output : outputs_) witness_.saw(output, now_);
    if (run_.fault.empty()) run_.fault = witness_.fault();
    if (run_.fault.empty()) run_.fault = shards_.fault();
    if (run_.fault.empty()) obey();
    if (input.kind == Input::Kind::expire_stop) shards_.expire_stop(now_);
  }

  template <class Supervisor>
  void give(Supervisor& supervisor, const Input& input) {
    switch (input.kind) {
      case Input::Kind::begin:
        return supervisor.begin(now_);
      case Input::Kind::begun:
        return supervisor.begun(input.task, now_);
      case Input::Kind::started:
        return supervisor.started(input.task, now_);
      case Input::Kind::said_ready:
        return supervisor.said_ready(input.task, now_);
      case Input::Kind::ended:
        return supervisor.ended(input.task, input.end, now_);
      case Input::Kind::advance:
        return supervisor.advance(now_);
      case Input::Kind::begin_stop:
        stop_began_ = true;
        run_.stop_began = std::min(run_.stop_began, now_);
        return supervisor.begin_stop(now_);
      case Input::Kind::expire_stop:
        return supervisor.expire_stop(now_);
      case Input::Kind::operate:
        return supervisor.operate(input.task, input.operation, now_);
      default:
        return;
    }
  }

  void obey() {
    for (const Output& output : outputs_) {
      if (output.kind == Output::Kind::start) {
        ++run_.executions;
        shards_.start(output.task, now_);
      } else if (output.kind == Output::Kind::ask) {
        shards_.ask(output.task, now_);
      } else if (output.kind == Output::Kind::stop_host) {
        announce_stop();
      }
    }
  }

  // --- comparing ---
  void compare(const Input& input) {
    if (outputs_ != expected_) return differ(input, {});
    for (Place task = 0; task < scenario_.tasks.size(); ++task) {
      if (real_.state(task) != model_.state(task)) {
        return differ(input, "task " + std::to_string(task) + " is " + std::string(to_string(real_.state(task))) +
                                 ", and has to be " + std::string(to_string(model_.state(task))));
      }
      if (real_.is_live(task) != model_.is_live(task)) return differ(input, "who is live");
    }
    if (real_.idle() != model_.idle() || real_.at_rest() != model_.at_rest()) {
      return differ(input, "whether it is idle");
    }
    if (model_.next_due() < real_.next_deadline()) return differ(input, "it would miss the next timer");
    if (!stop_began_) return;
    const Place one = static_cast<Place>(run_.steps % scenario_.tasks.size());
    if (!real_.is_live(one)) return;
    std::vector<Place> held_up = real_.held_up_by(one);
    std::sort(held_up.begin(), held_up.end());
    if (held_up != model_.held_up_by(one)) {
      differ(input, "who is held up by task " + std::to_string(one));
    }
  }

  void differ(const Input& input, const std::string& what) {
    std::string& fault = run_.fault;
    fault = "at step " + std::to_string(run_.steps) + ", " + to_text(input, scenario_.unit);
    if (!what.empty()) fault += "\n  " + what;
    run_.symptom = what.substr(what.find(' ') + 1);
    const std::size_t count = std::max(outputs_.size(), expected_.size());
    for (std::size_t i = 0; i < count; ++i) {
      const Output* const is = i < outputs_.size() ? &outputs_[i] : nullptr;
      const Output* const must_be = i < expected_.size() ? &expected_[i] : nullptr;
      if (is != nullptr && must_be != nullptr && *is == *must_be) {
        fault += "\n  both: " + to_text(*is, scenario_.unit);
        continue;
      }
      if (run_.symptom.empty()) run_.symptom = kind_of(is) + " instead of " + kind_of(must_be);
      fault += "\n  supervisor: " + (is != nullptr ? to_text(*is, scenario_.unit) : "nothing");
      fault += "\n  model:      " + (must_be != nullptr ? to_text(*must_be, scenario_.unit) : "nothing");
    }
  }

  static std::string kind_of(const Output* output) {
    if (output == nullptr) return "nothing";
    const std::string text = to_text(*output, 1);
    return text.substr(0, text.find(' '));
  }

  void trace(const Input& input) {
    *trace_ += to_text(input, scenario_.unit) + "\n";
    for (const Output& output : outputs_) *trace_ += "            " + to_text(output, scenario_.unit) + "\n";
  }

  const Scenario& scenario_;
  std::string* const trace_;
  std::vector<Observed>* const observed_;
  Random random_;
  Nanoseconds now_ = first_moment;
  std::vector<Output> outputs_;   // the real one's in this step
  std::vector<Output> expected_;  // the model's
  Shards shards_;
  Witness witness_;
  Model model_;
  Coordinator real_;
  bool stop_announced_ = false;
  bool stop_began_ = false;
  Run run_;
};

}  // namespace

Run simulate(const Scenario& scenario, std::string* trace) { return Simulation(scenario, trace, nullptr).run(); }

Run observe(const Scenario& scenario, std::vector<Observed>& observed) {
  return Simulation(scenario, nullptr, &observed).run();
}

Scenario shrink(Scenario scenario, Simulate* simulate) {
  const std::string symptom = simulate(scenario, nullptr).symptom;
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (Scenario& candidate : simpler(scenario)) {
      if (simulate(candidate, nullptr).symptom != symptom) continue;
      scenario = std::move(candidate);
      smaller = true;
      break;
    }
  }
  return scenario;
}

}  // namespace taskhost::simulation
