// Makes the manifests, and tries what can become of their tasks.
#include <algorithm>
#include <memory>

#include "explained.hpp"
#include "policy/explanation.hpp"
#include "policy/rules.hpp"
#include "random.hpp"
#include "restart_policy.hpp"

namespace taskhost::simulation {

namespace {

constexpr unsigned most_steps = 400;

// Takes back what makes the policy wrong.
void mend(TaskOptions& options) {
  for (;;) {
    const std::vector<PolicyProblem> problems = policy_problems(options);
    if (problems.empty()) return;
    const PolicyProblem& problem = problems.front();
    SupervisionOptions optional = options.optional ? *options.optional : SupervisionOptions{};
    if (problem.field == "restarts") {
      options.restarts = 0;
      optional.unlimited = false;
    } else if (problem.field == "window") {
      optional.window.reset();
    } else if (problem.field == "backoff") {
      if (problem.step == "/jitter") {
        optional.backoff->jitter = 0;
      } else {
        optional.backoff.reset();
      }
    } else if (problem.field == "reset_after") {
      optional.reset_after.reset();
    } else if (problem.field == "start_timeout") {
      optional.start_timeout.reset();
    } else if (problem.field == "watchdog") {
      optional.watchdog.reset();
    } else if (problem.field == "repeat") {
      optional.repeat.reset();
    } else if (problem.field == "on_give_up") {
      optional.on_give_up = GiveUp::by_type;
    } else {
      optional.exit_rules.erase(optional.exit_rules.begin() + std::stoi(problem.step.substr(1)));
    }
    options.optional = std::make_shared<const SupervisionOptions>(std::move(optional));
  }
}

// More delays than an explanation lists; with a longest one that some reach, or without.
void grow_slowly(TaskOptions& options, Nanoseconds unit, bool saturates) {
  SupervisionOptions optional = options.optional ? *options.optional : SupervisionOptions{};
  const std::chrono::nanoseconds initial(static_cast<std::int64_t>(unit));
  optional.backoff = Backoff{.initial = initial, .factor = saturates ? 1.2 : 1.1};
  if (saturates) optional.backoff->max = 12 * initial;
  options.optional = std::make_shared<const SupervisionOptions>(std::move(optional));
}

// The least delays fit into the window, and the longest do not.
void fill_window(TaskOptions& options, Nanoseconds unit) {
  SupervisionOptions optional = options.optional ? *options.optional : SupervisionOptions{};
  const std::chrono::nanoseconds initial(static_cast<std::int64_t>(unit));
  optional.backoff = Backoff{.initial = initial, .factor = 1, .max = 2 * initial, .jitter = 1};
  optional.window = options.restarts * initial + initial / 4;
  options.optional = std::make_shared<const SupervisionOptions>(std::move(optional));
}

void leave_after(TaskOptions& options, Outcome outcome) {
  SupervisionOptions optional = options.optional ? *options.optional : SupervisionOptions{};
  optional.exit_rules.insert(optional.exit_rules.begin(),
                             {.outcomes = {outcome}, .message = {}, .action = ExitAction::discard});
  options.optional = std::make_shared<const SupervisionOptions>(std::move(optional));
}

Scenario with(const Scenario& manifest, const Exactly& others) {
  Scenario scenario = manifest;
  for (Character& character : scenario.characters) {
    character.exactly = others;
    character.heartbeat = 1;  // no watchdog's interval is shorter
  }
  return scenario;
}

// Whether the task was lost while the host goes on, and when.
std::optional<Nanoseconds> lost_at(const std::vector<Observed>& observed, Place task) {
  std::optional<Nanoseconds> time;
  for (const Observed& one : observed) {
    if (one.output.kind == Output::Kind::stop_host) return {};
    const bool is_lost = one.output.kind == Output::Kind::tell && one.output.task == task &&
                         one.output.event == EventKind::task_discarded;
    if (is_lost) time = one.time;
  }
  return time;
}

// An operator restarts what lives once the task is lost.
Later restart_others(Scenario scenario, const Tried& tried, Nanoseconds lost, bool backward) {
  std::vector<Place> live;
  for (const Observed& one : tried.observed) {
    if (one.output.kind == Output::Kind::start && std::find(live.begin(), live.end(), one.output.task) == live.end()) {
      live.push_back(one.output.task);
    }
    if (one.time == lost && one.output.kind == Output::Kind::tell && one.output.event == EventKind::task_discarded) {
      std::erase(live, one.output.task);
    }
  }
  if (backward) std::reverse(live.begin(), live.end());
  Later later;
  later.last_order = lost;
  for (const Place task : live) {
    later.last_order += scenario.unit;
    scenario.operators.push_back({later.last_order, task, Operation::restart});
  }
  scenario.stop_after *= 3;
  later.run = observe(scenario, later.observed);
  return later;
}

// Those that may end well for good do so, each before the task fails or much later.
void let_others_end(Scenario& scenario, Place task) {
  Random random(scenario.seed, 0x33);
  for (Place other = 0; other < scenario.tasks.size(); ++other) {
    const bool is_discarded = action_on_exit(scenario.tasks[other].options, Outcome::ok, {}) == ExitAction::discard;
    if (other == task || !is_discarded) continue;
    constexpr unsigned much_later = 1'000'000;
    if (!random.percent(20)) scenario.characters[other].exactly->life = random.percent(70) ? 1 : much_later;
  }
}

// They fail and end well, are asked to end, and start again, in their own time.
void make_lively(Scenario& scenario, Random& random) {
  for (Character& character : scenario.characters) {
    Exactly& it = *character.exactly;
    it.start = static_cast<unsigned>(random.below(3));
    if (random.percent(75)) it.life = 1 + static_cast<unsigned>(random.below(12));
    it.outcome = random.percent(70) ? Outcome::error : Outcome::ok;
    if (character.isolated && random.percent(40)) it.outcome = Outcome::crashed;
    it.end = static_cast<unsigned>(random.below(4));
  }
}

Tried try_one(const Scenario& manifest, Trial trial, Place task, bool deaf) {
  Tried tried{.trial = trial, .task = task, .deaf = deaf};
  Scenario scenario = with(manifest, {});
  Exactly& it = *scenario.characters[task].exactly;
  it.deaf = deaf;
  switch (trial) {
    case Trial::fails_when_ready:
      it.life = 1;
      it.outcome = Outcome::error;
      it.message = message_of_failure;
      break;
    case Trial::fails_to_start:
      it.fails_to_start = true;
      it.outcome = Outcome::error;
      break;
    case Trial::ends_well:
      it.life = 1;
      break;
    case Trial::fails_in_the_end:
      let_others_end(scenario, task);
      it.life = 2;
      it.outcome = Outcome::error;
      it.message = message_of_failure;
      break;
    case Trial::is_late:
      tried.never_starts = manifest.characters[task].isolated && Random(manifest.seed, 0x57).percent(50);
      it.ready = false;
      it.starts = !tried.never_starts;
      break;
    case Trial::crashes:
    case Trial::crashes_in_start:
      it.life = 1;
      it.fails_to_start = trial == Trial::crashes_in_start;
      it.outcome = Outcome::crashed;
      it.message = message_of_failure;
      break;
    case Trial::is_silent:
      it.silent = true;
      break;
    case Trial::fails_among_others: {
      Random random(manifest.seed, 0xa9);
      make_lively(scenario, random);
      tried.life = 1 + static_cast<unsigned>(random.below(4));
      it = {.life = tried.life, .outcome = Outcome::error, .message = message_of_failure};
      break;
    }
    case Trial::fails_later: {
      Random random(manifest.seed, 0xb7);
      tried.first = 1 + static_cast<unsigned>(random.below(9));
      tried.life =
          static_cast<unsigned>(to_nanoseconds(*manifest.tasks[task].options.optional->window) / manifest.unit) + 1;
      it = {.life = 0,
            .first = tried.first,
            .first_life = tried.life,
            .outcome = Outcome::error,
            .message = message_of_failure};
      break;
    }
    case Trial::stops:
      scenario = with(manifest, {.start = 1, .end = 1});
      break;
    case Trial::is_deaf:
      scenario = with(manifest, {.deaf = true});
      for (Character& character : scenario.characters) character.blocking = false;
      break;
  }
  tried.run = observe(scenario, tried.observed);
  const bool is_ready = trial == Trial::fails_when_ready || trial == Trial::crashes || trial == Trial::is_silent;
  if (const auto lost = is_ready ? lost_at(tried.observed, task) : std::nullopt) {
    tried.in_order = restart_others(scenario, tried, *lost, false);
    tried.backward = restart_others(scenario, tried, *lost, true);
    for (const Later* const later : {&tried.in_order, &tried.backward}) {
      if (tried.run.fault.empty()) tried.run.fault = later->run.fault;
    }
  }
  return tried;
}

template <class Print>
auto explained(const Scenario& scenario, Print print) {
  static const TaskFn polled{std::shared_ptr<const Recipe>()};
  static const TaskFn blocking = TaskFn::from_blocking([] {});
  TaskList tasks;
  for (Place task = 0; task < scenario.tasks.size(); ++task) {
    const CoordinatedTask& one = scenario.tasks[task];
    tasks.add("t" + std::to_string(task), scenario.characters[task].blocking ? blocking : polled, one.options);
    if (!one.after.empty() || one.group) tasks.relations.push_back({task, one.after, one.group});
  }
  tasks.groups = scenario.groups;
  std::vector<std::string> groups;
  for (std::size_t i = 0; i < scenario.groups.size(); ++i) groups.push_back("g" + std::to_string(i));
  return print(ExplainedTasks{.tasks = tasks, .group_names = std::move(groups), .now = first_moment});
}

// Neighbours that are alike, but for what they relate to.
void make_alike(Scenario& scenario, Random& random) {
  for (Place task = 1; task < scenario.tasks.size(); ++task) {
    if (!random.percent(50)) continue;
    scenario.tasks[task].options = scenario.tasks[task - 1].options;
    scenario.characters[task].blocking = scenario.characters[task - 1].blocking;
    scenario.characters[task].isolated = scenario.characters[task - 1].isolated;
  }
}

}  // namespace

Scenario make_explained(std::uint64_t seed) {
  Scenario scenario = make_scenario(seed);
  Random random(seed, 0xe8);
  scenario.operators.clear();
  scenario.stuck.reset();
  scenario.instant = true;
  scenario.late = false;
  scenario.stop_after = most_steps;
  scenario.patience = 1'000;
  for (CoordinatedTask& task : scenario.tasks) {
    if (task.options.type != TaskType::shutdown_on_exit && random.percent(20)) {
      task.options.restarts = static_cast<std::uint32_t>(random.below(20));
    }
    if (task.options.restarts > 12 && random.percent(50)) grow_slowly(task.options, scenario.unit, random.percent(50));
    const bool is_restarted = task.options.type != TaskType::shutdown_on_exit && task.options.restarts != 0;
    if (is_restarted && random.percent(10)) fill_window(task.options, scenario.unit);
    if (task.options.type != TaskType::detachable && random.percent(30)) leave_after(task.options, Outcome::ok);
    if (task.options.supervision().isolated && random.percent(30)) leave_after(task.options, Outcome::crashed);
    mend(task.options);
  }
  if (random.percent(20)) make_alike(scenario, random);
  return scenario;
}

nlohmann::json explanation_of(const Scenario& scenario) {
  return explained(scenario,
                   [](const ExplainedTasks& tasks) { return nlohmann::json::parse(explanation_json(tasks)); });
}

std::string text_of(const Scenario& scenario) {
  return explained(scenario, [](const ExplainedTasks& tasks) { return explanation_text(tasks); });
}

std::vector<Tried> try_all(const Scenario& scenario) {
  Random random(scenario.seed, 0x77);
  const auto task = static_cast<Place>(random.below(scenario.tasks.size()));
  const auto& optional = scenario.tasks[task].options.optional;
  const bool deaf = scenario.characters[task].blocking || random.percent(40);
  std::vector<Tried> all;
  for (const Trial trial : {Trial::fails_when_ready, Trial::fails_to_start, Trial::ends_well, Trial::fails_among_others,
                            Trial::fails_in_the_end, Trial::stops, Trial::is_deaf}) {
    all.push_back(try_one(scenario, trial, task, false));
  }
  if (scenario.characters[task].isolated) {
    for (const Trial trial : {Trial::crashes, Trial::crashes_in_start}) {
      all.push_back(try_one(scenario, trial, task, false));
    }
  }
  if (optional && optional->notify && optional->start_timeout) {
    all.push_back(try_one(scenario, Trial::is_late, task, deaf));
  }
  if (optional && optional->window) all.push_back(try_one(scenario, Trial::fails_later, task, false));
  if (optional && optional->watchdog) all.push_back(try_one(scenario, Trial::is_silent, task, deaf));
  return all;
}

}  // namespace taskhost::simulation
