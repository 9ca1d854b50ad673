// Tells what a test's conditions do to a plugin from what happens to it anyway: an execution may fail by chance, after
// a while, or because a server refuses it. So a test that sees a failure treats further executions in the same way, and
// leaves others alone for as long, in pairs of random order, until one of the latter fails, too, or chance is ruled
// out.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "verify/test.hpp"

namespace taskhost::verify {

// How an execution went, under a test's conditions or left alone.
struct Went {
  bool has_failed = false;
  std::uint64_t polls = 0;
  std::uint64_t tested = 0;  // how often it was put to the test
  nanoseconds clock{};       // how long it lived, by its own clock
  std::string failure;
  Status outcome = Status::error;
  bool has_nothing_arranged = false;  // in the end only a stop would have woken it
  bool has_only_its_waker = false;    // or its waker, if something holds that
};

struct Comparison {
  const char* rules = "";
  std::string when;  // "when its timer came late"
  int executions = 5;
  int percent = 40;  // of the test's time, as long as nothing fails
  std::function<Went(int number)> treat;
  // Whether an execution that is left alone for as long fails, too.
  std::function<bool(const Went& treated)> fails_alone;
};

struct Compared {
  std::optional<Verdict> verdict;  // if they fail only under the test's conditions
  std::uint64_t tested = 0;
};

Compared compare(TestContext& context, const Comparison& comparison);

// Starts a polled execution, and polls it in its turn for as many polls and for as long by its clock.
Went left_alone(TestContext& context, std::uint64_t polls, nanoseconds clock);

// Of executions that ended well when they were woken although nothing had happened: whether those that are left alone
// take far longer. It is right to count wakes, and wrong to take any of them for the timer's: that can't be told.
class EarlyEnds {
 public:
  void add(const Went& went) { clocks_.push_back(went.clock); }
  // A note, if so. `done`: what was done to them: "polled".
  void judge(TestContext& context, const char* done, const std::function<Went()>& leave_alone) const;

 private:
  std::vector<nanoseconds> clocks_;  // how long they lived
};

}  // namespace taskhost::verify
