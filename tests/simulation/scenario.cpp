// Makes a random manifest, and all that happens to it.
#include "scenario.hpp"

#include <algorithm>
#include <memory>
#include <numeric>

#include "random.hpp"

namespace taskhost::simulation {

namespace {

using std::chrono::nanoseconds;

class Maker {
 public:
  explicit Maker(std::uint64_t seed) : random_(seed) { scenario_.seed = seed; }

  Scenario make() {
    constexpr std::array<Nanoseconds, 4> units{1'000'000, 50'000'000, 1'000'000'000, 60'000'000'000};
    scenario_.unit = random_.one_of(units);
    scenario_.instant = random_.percent(30);
    scenario_.late = random_.percent(25);
    mild_ = random_.percent(50);
    constexpr std::array<unsigned, 4> lengths{20, 80, 250, 600};
    scenario_.stop_after = static_cast<unsigned>(random_.below(random_.one_of(lengths)));
    scenario_.patience = static_cast<unsigned>(1 + random_.below(random_.percent(50) ? 5 : 60));
    make_tasks();
    make_relations();
    make_operators();
    if (random_.percent(3)) scenario_.stuck = some_time(60);
    return std::move(scenario_);
  }

  Scenario make_for_shard() {
    constexpr std::array<Nanoseconds, 4> ticks{15, 763, 15'259, 915'527};  // from 1 ms to 1 min
    scenario_.unit = random_.one_of(ticks) * shard_tick;
    scenario_.late = random_.percent(25);
    mild_ = random_.percent(70);
    constexpr std::array<unsigned, 4> lengths{20, 60, 150, 400};
    scenario_.stop_after = static_cast<unsigned>(random_.below(random_.one_of(lengths)));
    scenario_.patience = static_cast<unsigned>(1 + random_.below(random_.percent(50) ? 5 : 60));
    make_tasks();
    make_operators();
    for (Operator& one : scenario_.operators) one.time = first_tick + (one.time - first_moment);
    constexpr std::array<unsigned, 4> often{0, 0, 2, 15};
    for (Character& character : scenario_.characters) {
      character.gets_stuck = character.isolated ? 0 : random_.one_of(often);
      character.slow = random_.one_of(often);
    }
    if (random_.percent(25)) {
      for (std::uint64_t i = 1 + random_.below(random_.percent(30) ? 8 : 3); i-- > 0;) {
        const Nanoseconds longest = random_.percent(50) ? 5 * scenario_.unit : 3'600'000'000'000;
        scenario_.pauses.push_back(
            {some_time(60) - first_moment + first_tick, (1 + random_.below(longest / shard_tick)) * shard_tick});
      }
    }
    if (random_.percent(20)) scenario_.no_threads = random_.percent(50) ? 10 : 60;
    scenario_.has_others = random_.percent(30);
    return std::move(scenario_);
  }

 private:
  nanoseconds units(std::uint64_t least, std::uint64_t most) {
    return nanoseconds(static_cast<std::int64_t>((least + random_.below(most - least + 1)) * scenario_.unit));
  }
  Nanoseconds some_time(std::uint64_t most) { return first_moment + to_nanoseconds(units(0, most)); }

  void make_tasks() {
    const std::uint64_t count = 1 + random_.below(random_.percent(50) ? 3 : 8);
    for (std::uint64_t i = 0; i < count; ++i) {
      CoordinatedTask task;
      task.options = some_options();
      if (!random_.percent(15)) task.options.optional = some_optional(task.options);
      const auto& optional = task.options.optional;
      if (mild_ && optional && optional->on_give_up != GiveUp::by_type && random_.percent(40)) {
        task.options.type = TaskType::mandatory;
      }
      Character character = some_character(i);
      if (random_.percent(25)) isolate(task, character);
      scenario_.tasks.push_back(std::move(task));
      scenario_.characters.push_back(std::move(character));
    }
  }

  void isolate(CoordinatedTask& task, Character& character) {
    constexpr std::array<unsigned, 4> often{0, 10, 40, 90};
    SupervisionOptions optional = task.options.supervision();
    optional.isolated = true;
    task.options.optional = std::make_shared<const SupervisionOptions>(std::move(optional));
    character.isolated = true;
    character.blocking = false;
    character.never_starts = random_.one_of(often) / 2;
    character.crashes = random_.one_of(often);
    character.dies_in_drop = random_.one_of(often) / 2;
  }

  TaskOptions some_options() {
    TaskOptions options;
    const std::uint64_t die = random_.below(20);
    options.type = TaskType::detachable;
    if (!mild_ && die < 5) options.type = die == 0 ? TaskType::shutdown_on_exit : TaskType::mandatory;
    if (options.type != TaskType::shutdown_on_exit) options.restarts = static_cast<std::uint32_t>(random_.below(5));
    options.stop_timeout = units(1, 10);
    return options;
  }

  std::shared_ptr<SupervisionOptions> some_optional(const TaskOptions& options) {
    auto optional = std::make_shared<SupervisionOptions>();
    const bool restarts = options.type != TaskType::shutdown_on_exit;
    if (restarts && random_.percent(35)) optional->window = units(1, 20);
    if (random_.percent(45)) {
      Backoff& backoff = optional->backoff.emplace();
      constexpr std::array<double, 4> factors{1, 1.5, 2, 10};
      constexpr std::array<double, 4> jitters{0, 0, 0.25, 1};
      backoff.initial = units(random_.percent(15) ? 0 : 1, 5);
      backoff.factor = random_.one_of(factors);
      if (random_.percent(70)) backoff.max = backoff.initial + units(0, 20);
      backoff.jitter = random_.one_of(jitters);
      optional->unlimited = restarts && backoff.initial.count() > 0 && random_.percent(25);
    }
    if (random_.percent(30)) optional->reset_after = units(1, 15);
    optional->notify = random_.percent(35);
    if (random_.percent(35)) optional->start_timeout = units(1, 8);
    if (random_.percent(35)) {
      optional->watchdog = {units(1, 6), random_.percent(50) ? WatchdogAction::log : WatchdogAction::restart};
    }
    if (random_.percent(50)) {
      constexpr std::array<GiveUp, 4> actions{GiveUp::stop_host, GiveUp::discard, GiveUp::cooldown, GiveUp::cooldown};
      do {
        optional->on_give_up = random_.one_of(actions);
      } while (mild_ && optional->on_give_up == GiveUp::stop_host);
      if (optional->on_give_up == GiveUp::cooldown) optional->cooldown = units(1, 10);
    }
    if (random_.percent(20)) optional->repeat = some_repetition();
    if (random_.percent(30)) {
      for (std::uint64_t i = 1 + random_.below(3); i-- > 0;) {
        optional->exit_rules.push_back(some_rule(has_delay(*optional) || optional->repeat));
      }
    }
    return optional;
  }

  Repetition some_repetition() {
    if (random_.percent(50)) return {.every = units(1, random_.percent(50) ? 4 : 40)};
    std::vector<unsigned> distances;
    for (std::uint64_t i = 1 + random_.below(3); i-- > 0;) {
      distances.push_back(static_cast<unsigned>(1 + random_.below(random_.percent(50) ? 6 : 300)));
    }
    std::vector<SimulatedSchedule::Jump> jumps;
    if (random_.percent(40)) {
      for (std::uint64_t i = 1 + random_.below(3); i-- > 0;) {
        const auto by = static_cast<std::int64_t>(random_.below(random_.percent(50) ? 10 : 400) * scenario_.unit);
        jumps.push_back({some_time(100), random_.percent(50) ? by : -by});
      }
    }
    return {.schedule = std::make_shared<SimulatedSchedule>(scenario_.unit, std::move(distances), std::move(jumps))};
  }

  // Repeating needs a delay.
  static bool has_delay(const SupervisionOptions& optional) {
    return optional.backoff && optional.backoff->initial.count() > 0;
  }

  ExitRule some_rule(bool may_repeat) {
    constexpr std::array<Outcome, 4> outcomes{Outcome::ok, Outcome::error, Outcome::panic, Outcome::crashed};
    constexpr std::array<const char*, 5> messages{"", "red", "blue", "not ready", "heartbeat"};
    constexpr std::array<ExitAction, 9> actions{ExitAction::restart,   ExitAction::restart,   ExitAction::repeat,
                                                ExitAction::repeat,    ExitAction::discard,   ExitAction::discard,
                                                ExitAction::stop_host, ExitAction::fail_host, ExitAction::give_up};
    ExitRule rule;
    for (const Outcome outcome : outcomes) {
      if (random_.percent(40)) rule.outcomes.push_back(outcome);
    }
    rule.message = random_.one_of(messages);
    do {
      rule.action = random_.one_of(actions);
    } while ((mild_ && (rule.action == ExitAction::stop_host || rule.action == ExitAction::fail_host)) ||
             (!may_repeat && rule.action == ExitAction::repeat));
    return rule;
  }

  Character some_character(std::uint64_t key) {
    constexpr std::array<unsigned, 4> seldom{0, 0, 5, 40};
    constexpr std::array<unsigned, 4> lives{1, 4, 20, 100};
    Character character;
    character.key = key;
    character.blocking = random_.percent(30);
    character.fails_to_start = random_.one_of(seldom);
    character.never_ready = random_.one_of(seldom);
    character.never_ends = static_cast<unsigned>(random_.below(80));
    character.deaf = random_.one_of(seldom);
    character.ends_well = static_cast<unsigned>(random_.below(101));
    character.falls_silent = random_.one_of(seldom);
    character.longest_life = random_.one_of(lives);
    character.heartbeat = static_cast<unsigned>(1 + random_.below(4));
    return character;
  }

  // Dependencies have no cycles: they go from later to earlier in a shuffled order.
  void make_relations() {
    const std::size_t count = scenario_.tasks.size();
    std::vector<Place> order(count);
    for (std::size_t i = 0; i < count; ++i) order[i] = static_cast<Place>(i);
    for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[random_.below(i)]);
    if (random_.percent(65)) {
      const unsigned density = static_cast<unsigned>(10 + random_.below(40));
      for (std::size_t i = 1; i < count; ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          if (random_.percent(density)) scenario_.tasks[order[i]].after.push_back(order[j]);
        }
      }
    }
    if (!random_.percent(60)) return;
    constexpr std::array<Strategy, 5> strategies{Strategy::one_for_one, Strategy::one_for_all, Strategy::one_for_all,
                                                 Strategy::rest_for_one, Strategy::rest_for_one};
    const std::uint64_t groups = 1 + random_.below(2);
    for (std::uint64_t i = 0; i < groups; ++i) scenario_.groups.push_back(random_.one_of(strategies));
    for (CoordinatedTask& task : scenario_.tasks) {
      if (random_.percent(75)) task.group = static_cast<std::uint32_t>(random_.below(groups));
    }
  }

  void make_operators() {
    if (!random_.percent(50)) return;
    constexpr std::array<Operation, 3> operations{Operation::stop, Operation::start, Operation::restart};
    for (std::uint64_t i = 1 + random_.below(20); i-- > 0;) {
      const auto task = static_cast<Place>(random_.below(scenario_.tasks.size()));
      const Nanoseconds time = some_time(random_.percent(50) ? 10 : 100);
      scenario_.operators.push_back({time, task, random_.one_of(operations)});
      if (random_.percent(30)) scenario_.operators.push_back({time, task, random_.one_of(operations)});
    }
  }

  Random random_;
  bool mild_ = false;  // no task stops the host, so that more happens
  Scenario scenario_;
};

}  // namespace

Nanoseconds SimulatedSchedule::wall_time(Nanoseconds now) const noexcept {
  Nanoseconds wall = now + 1000 * first_moment;
  for (const Jump& jump : jumps_) {
    if (jump.time <= now) wall += static_cast<Nanoseconds>(jump.by);
  }
  return wall;
}

Nanoseconds SimulatedSchedule::next(Nanoseconds after) const noexcept {
  const unsigned round = std::accumulate(distances_.begin(), distances_.end(), 0u);
  Nanoseconds time = after / (round * unit_) * (round * unit_);
  for (std::size_t i = 0; time <= after; ++i) time += distances_[i % distances_.size()] * unit_;
  return time;
}

std::string SimulatedSchedule::text() const {
  std::string text = "distances";
  for (const unsigned distance : distances_) text += ' ' + std::to_string(distance);
  for (const Jump& jump : jumps_) {
    text += ", from " + std::to_string((jump.time - first_moment) / unit_) + " on " +
            std::to_string(jump.by / static_cast<std::int64_t>(unit_));
  }
  return text;
}

Scenario make_scenario(std::uint64_t seed) { return Maker(seed).make(); }
Scenario make_shard_scenario(std::uint64_t seed) { return Maker(seed).make_for_shard(); }

}  // namespace taskhost::simulation
