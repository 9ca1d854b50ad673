// The table of task types, as people read it in the contract.
#include "taskhost/core/policy.hpp"

#include <limits>

#include "support/catch.hpp"

using taskhost::judge;
using taskhost::Outcome;
using taskhost::TaskOptions;
using taskhost::TaskType;
using taskhost::Verdict;

namespace {

constexpr Verdict restart = Verdict::restart;
constexpr Verdict discard = Verdict::discard;
constexpr Verdict discard_exhausted = Verdict::discard_exhausted;
constexpr Verdict stop_success = Verdict::stop_host_success;
constexpr Verdict stop_failure = Verdict::stop_host_failure;
constexpr Verdict stop_exhausted = Verdict::stop_host_exhausted;

struct Row {
  std::uint32_t restarts;
  std::uint32_t used;
  Verdict ok;
  Verdict error;
  Verdict panic;
  Verdict crashed;
};

template <std::size_t Size>
void check(TaskType type, const Row (&rows)[Size]) {
  for (const Row& row : rows) {
    TaskOptions options;
    options.type = type;
    options.restarts = row.restarts;
    INFO("restarts " << row.restarts << ", used " << row.used);
    CHECK(judge(options, row.used, Outcome::ok) == row.ok);
    CHECK(judge(options, row.used, Outcome::error) == row.error);
    CHECK(judge(options, row.used, Outcome::panic) == row.panic);
    CHECK(judge(options, row.used, Outcome::crashed) == row.crashed);
  }
}

constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max() - 1;

}  // namespace

TEST_CASE("the end of a shutdown_on_exit task stops the host, with success only if it ended well") {
  const Row rows[] = {
      // restarts, used, ok, error, panic, crashed
      {0, 0, stop_success, stop_failure, stop_failure, stop_failure},
      {1, 0, stop_success, stop_failure, stop_failure, stop_failure},  // a budget means nothing to it
      {3, 1, stop_success, stop_failure, stop_failure, stop_failure},
  };
  check(TaskType::shutdown_on_exit, rows);
}

TEST_CASE("a mandatory task is restarted whatever its outcome, and stops the host once its budget is used up") {
  const Row rows[] = {
      // restarts, used, ok, error, panic, crashed
      {0, 0, stop_exhausted, stop_exhausted, stop_exhausted, stop_exhausted},
      {1, 0, restart, restart, restart, restart},
      {1, 1, stop_exhausted, stop_exhausted, stop_exhausted, stop_exhausted},
      {3, 0, restart, restart, restart, restart},
      {3, 1, restart, restart, restart, restart},
      {3, 2, restart, restart, restart, restart},
      {3, 3, stop_exhausted, stop_exhausted, stop_exhausted, stop_exhausted},
      {most, most - 1, restart, restart, restart, restart},
      {most, most, stop_exhausted, stop_exhausted, stop_exhausted, stop_exhausted},
  };
  check(TaskType::mandatory, rows);
}

TEST_CASE("a detachable task is discarded when it ends well, restarted when not, and discarded without budget") {
  const Row rows[] = {
      // restarts, used, ok, error, panic, crashed
      {0, 0, discard, discard_exhausted, discard_exhausted, discard_exhausted},
      {1, 0, discard, restart, restart, restart},
      {1, 1, discard, discard_exhausted, discard_exhausted, discard_exhausted},
      {3, 0, discard, restart, restart, restart},
      {3, 1, discard, restart, restart, restart},
      {3, 2, discard, restart, restart, restart},
      {3, 3, discard, discard_exhausted, discard_exhausted, discard_exhausted},
      {most, most - 1, discard, restart, restart, restart},
      {most, most, discard, discard_exhausted, discard_exhausted, discard_exhausted},
  };
  check(TaskType::detachable, rows);
}

TEST_CASE("a type that does not exist stops the host with failure") {
  TaskOptions options;
  options.type = static_cast<TaskType>(99);
  options.restarts = 3;
  CHECK(judge(options, 0, Outcome::ok) == stop_failure);
}
