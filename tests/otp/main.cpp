// taskhost-otp: random scenarios with an OTP supervisor and with taskhost. Ends with status 1 at the first one in which
// the two differ in a way that README.md does not list, and prints seed, scenario and both sequences.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>

#include "random_scenario.hpp"

namespace {

using namespace taskhost::test;

// Turns neighbouring numbers into unrelated seeds.
std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
  value = (value ^ value >> 27) * 0x94d049bb133111ebu;
  return value ^ value >> 31;
}

// All kinds of what is to be seen, so that a run that compares nothing can't pass.
constexpr const char* kinds[] = {
    "steps",
    "gave up",
    "stopped",
    "the host ends: all done",
    "restarts that failed",
    "exits at once",
    "an operator's",
    "OTP started some again that were over",
    "OTP dropped temporary ones of a group",
};

bool run(OtpSide& otp, std::uint64_t seed, std::uint64_t number, bool verbose, std::map<std::string, unsigned>& seen) {
  RandomScenario scenario(mix(seed) ^ mix(number));
  std::string text = text_of(scenario.setup());
  Lockstep lockstep(otp, scenario.setup());
  while (lockstep.fault().empty() && !lockstep.ended()) {
    const Step step = scenario.next(lockstep);
    text += "  - " + text_of(step) + '\n';
    if (step.kind == Step::Kind::exits) ++seen["exits at once"];
    if (step.kind >= Step::Kind::stop_child && step.kind <= Step::Kind::restart_child) ++seen["an operator's"];
    lockstep.take(step);
  }
  for (const auto& [what, count] : lockstep.seen) seen[what] += count;
  const bool agree = lockstep.fault().empty();
  if (verbose || !agree) {
    std::printf("scenario %llu of seed %llu: %s", static_cast<unsigned long long>(number),
                static_cast<unsigned long long>(seed), text.c_str());
  }
  if (!agree) std::printf("%s", lockstep.fault().c_str());
  return agree;
}

int usage() {
  std::fputs(
      "taskhost-otp [--seed N] [--scenarios N] [--only N]\n"
      "--only tells and runs the one scenario of that number\n",
      stderr);
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  std::uint64_t seed = 1;
  std::uint64_t scenarios = 300;
  std::uint64_t only = 0;
  for (int i = 1; i < count; ++i) {
    std::uint64_t* const value = std::strcmp(arguments[i], "--seed") == 0        ? &seed
                                 : std::strcmp(arguments[i], "--scenarios") == 0 ? &scenarios
                                 : std::strcmp(arguments[i], "--only") == 0      ? &only
                                                                                 : nullptr;
    if (value == nullptr || ++i == count) return usage();
    const std::string_view text = arguments[i];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
    if (error != std::errc() || end != text.data() + text.size()) return usage();
  }
  try {
    OtpSide otp;
    std::map<std::string, unsigned> seen;
    if (only != 0) return run(otp, seed, only, true, seen) ? 0 : 1;
    for (std::uint64_t number = 1; number <= scenarios; ++number) {
      if (!run(otp, seed, number, false, seen)) return 1;
    }
    bool complete = true;
    for (const char* const kind : kinds) {
      std::printf("%6u  %s\n", seen[kind], kind);
      complete = complete && seen[kind] != 0;
    }
    if (!complete) std::printf("some kind was never seen: run more scenarios\n");
    return complete ? 0 : 1;
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
