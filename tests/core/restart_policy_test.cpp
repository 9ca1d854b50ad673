// What an exit of a task with optional fields means: rules, type, budget with and without a window, backoff.
#include "restart_policy.hpp"

#include <limits>
#include <memory>
#include <string>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace taskhost;

namespace {

using Kind = Consequence::Kind;

constexpr Nanoseconds second = 1'000'000'000;
constexpr Nanoseconds begin = 1'000 * second;

TaskOptions options_of(TaskType type, std::uint32_t restarts, SupervisionOptions optional = {}) {
  TaskOptions options;
  options.type = type;
  options.restarts = restarts;
  options.optional = std::make_shared<SupervisionOptions>(std::move(optional));
  return options;
}

Kind judged(const TaskOptions& options, RestartLedger& ledger, Nanoseconds now, Outcome outcome = Outcome::error,
            const char* message = "") {
  return judge_exit(options, ledger, outcome, message, now, 0).kind;
}

}  // namespace

// --- budget ----------------------------------------------------------------------------------------------------------

TEST_CASE("without a window all restarts count until the budget is given back") {
  const TaskOptions options = options_of(TaskType::detachable, 2);
  RestartLedger ledger;
  CHECK(remaining_restarts(options, ledger, begin) == 2u);
  CHECK(judged(options, ledger, begin) == Kind::restart);
  CHECK(judged(options, ledger, begin + 100'000 * second) == Kind::restart);
  CHECK(remaining_restarts(options, ledger, begin + 100'000 * second) == 0u);
  CHECK(judged(options, ledger, begin + 200'000 * second) == Kind::give_up);
  ledger.give_back();
  CHECK(remaining_restarts(options, ledger, begin) == 2u);
  CHECK(judged(options, ledger, begin) == Kind::restart);
  CHECK(ledger.lifetime == 3);
}

TEST_CASE("a restart counts until its window has passed, the last moment included") {
  SupervisionOptions optional;
  optional.window = 10s;
  const TaskOptions options = options_of(TaskType::mandatory, 1, optional);
  RestartLedger ledger;
  CHECK(judged(options, ledger, begin) == Kind::restart);
  for (const Nanoseconds still : {begin, begin + 9 * second, begin + 10 * second}) {
    CHECK(remaining_restarts(options, ledger, still) == 0u);
    CHECK(judged(options, ledger, still) == Kind::give_up);
  }
  CHECK(remaining_restarts(options, ledger, begin + 10 * second + 1) == 1u);
  CHECK(judged(options, ledger, begin + 10 * second + 1) == Kind::restart);
}

TEST_CASE("a window slides: each restart leaves it at its own time") {
  SupervisionOptions optional;
  optional.window = 10s;
  const TaskOptions options = options_of(TaskType::detachable, 3, optional);
  RestartLedger ledger;
  for (const Nanoseconds at : {0, 4, 8}) CHECK(judged(options, ledger, begin + at * second) == Kind::restart);
  CHECK(judged(options, ledger, begin + 10 * second) == Kind::give_up);
  CHECK(judged(options, ledger, begin + 11 * second) == Kind::restart);
  CHECK(judged(options, ledger, begin + 14 * second) == Kind::give_up);
  CHECK(judged(options, ledger, begin + 15 * second) == Kind::restart);
  CHECK(remaining_restarts(options, ledger, begin + 18 * second) == 0u);
  CHECK(remaining_restarts(options, ledger, begin + 19 * second) == 1u);
  CHECK(remaining_restarts(options, ledger, begin + 1'000 * second) == 3u);
}

TEST_CASE("a window longer than time itself never lets go") {
  SupervisionOptions optional;
  optional.window = std::chrono::nanoseconds::max();
  const TaskOptions options = options_of(TaskType::detachable, 1, optional);
  RestartLedger ledger;
  CHECK(judged(options, ledger, never - 5) == Kind::restart);
  CHECK(judged(options, ledger, never - 1) == Kind::give_up);
}

TEST_CASE("a ledger keeps no more restarts than twice those that the window allows") {
  SupervisionOptions optional;
  optional.window = 10s;
  const TaskOptions options = options_of(TaskType::detachable, 4, optional);
  RestartLedger ledger;
  for (Nanoseconds at = 0; at < 10'000; ++at) {
    CHECK(judged(options, ledger, begin + at * 3 * second) == Kind::restart);
    REQUIRE(ledger.times.size() <= 9);
  }
}

TEST_CASE("unlimited restarts have no budget, and nothing is kept of them") {
  SupervisionOptions optional;
  optional.unlimited = true;
  optional.window = 10s;
  optional.backoff.emplace().initial = 1s;
  const TaskOptions options = options_of(TaskType::mandatory, 0, optional);
  RestartLedger ledger;
  for (int i = 0; i < 1'000; ++i) CHECK(judged(options, ledger, begin) == Kind::restart);
  CHECK_FALSE(remaining_restarts(options, ledger, begin).has_value());
  CHECK(ledger.times.empty());
  CHECK(ledger.in_a_row == 1'000);
}

TEST_CASE("reset_after gives budget and backoff back from that uptime on") {
  SupervisionOptions optional;
  optional.reset_after = 10s;
  const TaskOptions options = options_of(TaskType::detachable, 5, optional);
  for (const auto& [uptime, charged] :
       {std::pair<Nanoseconds, std::uint32_t>{0, 2}, {10 * second - 1, 2}, {10 * second, 0}, {never, 0}}) {
    RestartLedger ledger;
    judged(options, ledger, begin);
    judged(options, ledger, begin);
    give_back_after(options, ledger, uptime);
    CHECK(ledger.charged == charged);
    CHECK(ledger.in_a_row == charged);
    CHECK(ledger.lifetime == 2);
  }
  RestartLedger ledger;
  const TaskOptions without = options_of(TaskType::detachable, 5);
  judged(without, ledger, begin);
  give_back_after(without, ledger, never);
  CHECK(ledger.charged == 1);
}

// --- rules and types -------------------------------------------------------------------------------------------------

TEST_CASE("without rules the type says what an exit means, whatever fields there are") {
  struct Row {
    TaskType type;
    Kind ok;
    Kind other;
  };
  const Row rows[] = {
      {TaskType::shutdown_on_exit, Kind::stop_host_success, Kind::stop_host_failure},
      {TaskType::mandatory, Kind::restart, Kind::restart},
      {TaskType::detachable, Kind::discard, Kind::restart},
      {static_cast<TaskType>(99), Kind::stop_host_failure, Kind::stop_host_failure},
  };
  for (const Row& row : rows) {
    for (const Outcome outcome : {Outcome::ok, Outcome::error, Outcome::panic, Outcome::crashed}) {
      RestartLedger ledger;
      CHECK(judged(options_of(row.type, 1), ledger, begin, outcome) == (outcome == Outcome::ok ? row.ok : row.other));
    }
  }
}

TEST_CASE("the first rule that matches wins, by outcome and by a part of the message") {
  SupervisionOptions optional;
  optional.exit_rules = {{{Outcome::ok}, {}, ExitAction::stop_host},
                         {{Outcome::error, Outcome::panic}, "disk", ExitAction::fail_host},
                         {{}, "net", ExitAction::give_up},
                         {{Outcome::crashed}, {}, ExitAction::discard},
                         {{}, "net", ExitAction::restart}};
  struct Row {
    Outcome outcome;
    const char* message;
    Kind kind;
  };
  const Row rows[] = {
      {Outcome::ok, "the disk and the net", Kind::stop_host_success},
      {Outcome::error, "the disk and the net", Kind::stop_host_failure},
      {Outcome::panic, "disk", Kind::stop_host_failure},
      {Outcome::crashed, "the disk", Kind::discard},
      {Outcome::crashed, "the net", Kind::give_up},
      {Outcome::error, "the net", Kind::give_up},
      {Outcome::error, "Disk", Kind::restart},  // by the type
      {Outcome::error, "", Kind::restart},
  };
  const TaskOptions options = options_of(TaskType::detachable, 1, optional);
  for (const Row& row : rows) {
    INFO(to_string(row.outcome) << " " << row.message);
    RestartLedger ledger;
    CHECK(judged(options, ledger, begin, row.outcome, row.message) == row.kind);
    CHECK(ledger.charged == (row.kind == Kind::restart ? 1 : 0));
  }
}

TEST_CASE("a rule can restart what its type would not, as far as the budget goes") {
  SupervisionOptions optional;
  optional.exit_rules = {{{Outcome::ok}, {}, ExitAction::restart}};
  const TaskOptions options = options_of(TaskType::detachable, 1, optional);
  RestartLedger ledger;
  CHECK(judged(options, ledger, begin, Outcome::ok) == Kind::restart);
  CHECK(judged(options, ledger, begin, Outcome::ok) == Kind::give_up);
}

TEST_CASE("a repeat takes the backoff's first delay, and charges neither budget nor backoff") {
  SupervisionOptions optional;
  optional.backoff = Backoff{1s, 2, 1h, 0.5};
  optional.exit_rules = {{{Outcome::ok}, {}, ExitAction::repeat}};
  SECTION("with a window") { optional.window = 1h; }
  SECTION("without") {}
  const TaskOptions options = options_of(TaskType::mandatory, 2, optional);
  RestartLedger ledger;
  const auto judge = [&](Outcome outcome, double random) {
    return judge_exit(options, ledger, outcome, {}, begin, random);
  };
  CHECK(judge(Outcome::error, 0).delay == second);
  for (std::uint64_t repeats = 1; repeats <= 5; ++repeats) {
    const Consequence consequence = judge(Outcome::ok, 0.5);
    CHECK(consequence.kind == Kind::repeat);
    CHECK(consequence.delay == 1'250'000'000);
    CHECK(remaining_restarts(options, ledger, begin) == 1u);
    CHECK(ledger.lifetime == 1 + repeats);  // so that each has its own jitter
  }
  CHECK(judge(Outcome::error, 0).delay == 2 * second);
  CHECK(judge(Outcome::error, 0).kind == Kind::give_up);
  CHECK(judge(Outcome::ok, 0).kind == Kind::repeat);
}

TEST_CASE("giving up means what on_give_up says, or else what the type does") {
  const auto after = [](TaskType type, GiveUp action) {
    SupervisionOptions optional;
    optional.on_give_up = action;
    return after_giving_up(options_of(type, 0, optional));
  };
  for (const TaskType type : {TaskType::shutdown_on_exit, TaskType::mandatory, TaskType::detachable}) {
    for (const GiveUp action : {GiveUp::stop_host, GiveUp::discard, GiveUp::cooldown}) {
      CHECK(after(type, action) == action);
    }
  }
  CHECK(after(TaskType::shutdown_on_exit, GiveUp::by_type) == GiveUp::stop_host);
  CHECK(after(TaskType::mandatory, GiveUp::by_type) == GiveUp::stop_host);
  CHECK(after(TaskType::detachable, GiveUp::by_type) == GiveUp::discard);
}

// --- backoff ---------------------------------------------------------------------------------------------------------

TEST_CASE("a delay grows by its factor up to its maximum, and saturates there") {
  const Backoff backoff{100ms, 2, 1s, 0};
  const Nanoseconds expected[] = {100, 200, 400, 800, 1000, 1000};
  for (std::uint64_t k = 1; k <= 6; ++k) CHECK(backoff.delay(k, 0) == expected[k - 1] * 1'000'000);
  for (const std::uint64_t k : {64ull, 1'025ull, 1'000'000'000ull, ~0ull}) CHECK(backoff.delay(k, 0) == second);
  CHECK(Backoff{100ms}.delay(1'000, 0.5) == 3'600 * second);  // an hour by default
  CHECK(Backoff{2h}.delay(1, 0) == 3'600 * second);
  CHECK(Backoff{1s, 1, 1h, 0}.delay(~0ull, 0) == second);
}

TEST_CASE("a delay that begins with nothing stays nothing, however often") {
  for (const std::uint64_t k : {1ull, 2ull, 1'025ull, 100'000ull, ~0ull}) {
    CHECK(Backoff{0s, 2, 1h, 0.5}.delay(k, 0.5) == 0);
    CHECK(Backoff{0s, 1e300, 1h, 1}.delay(k, 0.999) == 0);
  }
}

TEST_CASE("jitter lies between nothing and its part of the delay, and never above the maximum") {
  const Backoff backoff{100ms, 2, 1s, 0.25};
  CHECK(backoff.delay(1, 0) == 100'000'000);
  CHECK(backoff.delay(1, 0.5) == 112'500'000);
  CHECK(backoff.delay(1, 0.9999999) < 125'000'000);
  CHECK(backoff.delay(4, 0.9999999) < second);
  CHECK(backoff.delay(4, 0.9999999) > 999'000'000);
  CHECK(backoff.delay(5, 0.9999999) == second);
  const Backoff most{1s, 1, std::chrono::nanoseconds::max(), 1};
  CHECK(most.delay(1, 0.75) == 1'750'000'000);
}

TEST_CASE("the longest backoff there can be does not overflow") {
  const auto longest = std::chrono::nanoseconds::max();
  const Backoff backoff{longest, std::numeric_limits<double>::max(), longest, 1};
  CHECK(backoff.delay(~0ull, 0.999) == Nanoseconds{1} << 63);
  CHECK(later(never - 1, backoff.delay(1, 0)) == never);
}

TEST_CASE("the delay counts restarts since backoff was given back, and no others") {
  SupervisionOptions optional;
  optional.backoff = Backoff{1s, 2, 1h, 0};
  optional.window = 1s;
  const TaskOptions options = options_of(TaskType::mandatory, 1, optional);
  RestartLedger ledger;
  const auto delay = [&](Nanoseconds at) { return judge_exit(options, ledger, Outcome::error, {}, at, 0).delay; };
  CHECK(delay(begin) == second);
  CHECK(delay(begin + 10 * second) == 2 * second);  // the budget is reset, the backoff is not
  CHECK(delay(begin + 20 * second) == 4 * second);
  ledger.give_back();
  CHECK(delay(begin + 21 * second) == second);
}

TEST_CASE("a task without optional fields is judged by type and budget, at once") {
  TaskOptions options;
  options.type = TaskType::mandatory;
  options.restarts = 1;
  RestartLedger ledger;
  const Consequence first = judge_exit(options, ledger, Outcome::ok, {}, begin, 0.5);
  CHECK(first.kind == Kind::restart);
  CHECK(first.delay == 0);
  CHECK(judged(options, ledger, begin) == Kind::give_up);
  CHECK(after_giving_up(options) == GiveUp::stop_host);
}
