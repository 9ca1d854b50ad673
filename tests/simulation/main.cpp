// taskhost-simulate: many runs of the two simulations, each from its seed. taskhost-simulate-mutants is the same
// program with wrong supervisors, and reports for each whether it was caught. See README.md.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "mutants.hpp"
#include "shard_simulator.hpp"
#include "simulator.hpp"

namespace {

using namespace taskhost::simulation;

constexpr const char* help_text =
    R"(usage: taskhost-simulate [--seed S] [--runs N]       N runs of the coordinator, and N of a shard, with the seeds
                                                     S, S + 1, ...
       taskhost-simulate-mutants [--seed S] [--runs N] [--mutant NAME|all]
                                                     at most N runs with each wrong supervisor
       ... --trace                                   prints all of a run that goes wrong, not what is left of it
                                                     when it is made as simple as possible

Without --seed the clock gives one, and it is printed. N is 100000, and 20000 with mutants.
)";

struct Options {
  std::uint64_t seed = 0;
  std::optional<std::uint64_t> runs;
  std::string mutant;
  bool trace = false;
};

// The simulations that are run from each seed: the coordinator, and a shard.
struct Simulation {
  Scenario (*make)(std::uint64_t seed);
  Simulate* simulate;
};
constexpr Simulation coordinator{make_scenario, simulate};
constexpr Simulation shard{make_shard_scenario, simulate_shard};

struct Sum {
  std::uint64_t runs = 0;
  std::uint64_t steps = 0;
  std::uint64_t executions = 0;
  double hours = 0;
  std::optional<std::uint64_t> wrong{};  // the seed of a failed run
  const Simulation* which = nullptr;     // and its simulation
};

Sum run_all(std::uint64_t seed, std::uint64_t runs) {
  Sum sum;
  while (sum.runs < runs && !sum.wrong) {
    for (const Simulation* const one : {&coordinator, &shard}) {
      const Run run = one->simulate(one->make(seed + sum.runs), nullptr);
      sum.steps += run.steps;
      sum.executions += run.executions;
      sum.hours += static_cast<double>(run.time) / 3.6e12;
      if (run.fault.empty()) continue;
      sum.wrong = seed + sum.runs;
      sum.which = one;
      break;
    }
    ++sum.runs;
  }
  return sum;
}

void print_fault(const Simulation& which, std::uint64_t seed, bool as_it_is) {
  Scenario scenario = which.make(seed);
  if (!as_it_is) scenario = shrink(std::move(scenario), which.simulate);
  std::string trace;
  const Run run = which.simulate(scenario, &trace);
  std::printf("%s\n%s\nWRONG %s\n", to_text(scenario).c_str(), trace.c_str(), run.fault.c_str());
  std::printf("\nOnce more: --runs 1 --seed %llu\n", static_cast<unsigned long long>(seed));
}

int check_supervisor(const Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  const Sum sum = run_all(options.seed, options.runs.value_or(100'000));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (sum.wrong) print_fault(*sum.which, *sum.wrong, options.trace);
  std::printf("%llu runs from seed %llu: %llu steps, %llu executions, %.0f simulated hours; %.0f runs a second: %s\n",
              static_cast<unsigned long long>(sum.runs), static_cast<unsigned long long>(options.seed),
              static_cast<unsigned long long>(sum.steps), static_cast<unsigned long long>(sum.executions), sum.hours,
              static_cast<double>(sum.runs) / took.count(), sum.wrong ? "a difference" : "no difference");
  return sum.wrong ? 1 : 0;
}

// In a process of its own, since a wrong supervisor may crash or hang.
bool catches(int number, const Options& options) {
  constexpr int caught = 10;
  constexpr unsigned patience = 60;
  const Mutant& mutant = mutants()[static_cast<std::size_t>(number - 1)];
  std::printf("%-26s", mutant.name);
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(patience);
    active_mutant = number;
    const Sum sum = run_all(options.seed, options.runs.value_or(20'000));
    if (sum.wrong && options.mutant != "all") print_fault(*sum.which, *sum.wrong, options.trace);
    if (sum.wrong) std::printf("caught by run %6llu", static_cast<unsigned long long>(sum.runs));
    std::fflush(stdout);
    _exit(sum.wrong ? caught : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const bool crashed = WIFSIGNALED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != caught);
  const bool survived = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  std::printf("%s: %s\n", crashed ? "crashed, or hung" : survived ? "NOT CAUGHT" : "", mutant.what);
  return !survived;
}

int check_mutants(const Options& options) {
  int tried = 0;
  int missed = 0;
  for (int number = 1; number <= static_cast<int>(mutants().size()); ++number) {
    const char* const name = mutants()[static_cast<std::size_t>(number - 1)].name;
    if (options.mutant != "all" && options.mutant != name) continue;
    ++tried;
    if (!catches(number, options)) ++missed;
  }
  if (tried == 0) {
    std::fprintf(stderr, "taskhost-simulate: no such mutant in this program: %s\n", options.mutant.c_str());
    return 2;
  }
  std::printf("%d mutants from seed %llu, %d of them not caught\n", tried,
              static_cast<unsigned long long>(options.seed), missed);
  return missed == 0 ? 0 : 1;
}

std::optional<std::uint64_t> number_of(const char* text) {
  char* end = nullptr;
  const unsigned long long number = std::strtoull(text, &end, 10);
  if (*text < '0' || *text > '9' || *end != '\0') return {};
  return number;
}

std::optional<Options> read_options(int count, char** words) {
  Options options;
  options.seed = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) / 1'000'000;
  if (!mutants().empty()) options.mutant = "all";
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--trace") {
      options.trace = true;
      continue;
    }
    if (++i == count) return {};
    const auto number = number_of(words[i]);
    if (word == "--mutant") {
      options.mutant = words[i];
    } else if (word == "--seed" && number) {
      options.seed = *number;
    } else if (word == "--runs" && number) {
      options.runs = number;
    } else {
      return {};
    }
  }
  return options;
}

}  // namespace

int main(int count, char** words) {
  const std::optional<Options> options = read_options(count, words);
  if (!options) {
    const bool asked = count == 2 && (std::strcmp(words[1], "--help") == 0 || std::strcmp(words[1], "-h") == 0);
    std::fputs(help_text, asked ? stdout : stderr);
    return asked ? 0 : 2;
  }
  return options->mutant.empty() ? check_supervisor(*options) : check_mutants(*options);
}
