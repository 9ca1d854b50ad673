// The results of `taskhost verify`: one verdict for each test, and one more for each rule that was broken during it.
// Copyable data.
#pragma once

#include <cstdint>
#include <string>

#include "taskhost/core/words.hpp"
#include "taskhost/taskhost.h"

namespace taskhost::verify {

enum class Judgement : std::int32_t {
  holds = TASKHOST_VERDICT_HOLDS,
  broken = TASKHOST_VERDICT_BROKEN,
  unproven = TASKHOST_VERDICT_UNPROVEN,
  inapplicable = TASKHOST_VERDICT_DOES_NOT_APPLY,
  note = TASKHOST_VERDICT_NOTE,
};

}  // namespace taskhost::verify

template <>
inline constexpr auto taskhost::words_of<taskhost::verify::Judgement> =
    std::to_array<taskhost::Word<taskhost::verify::Judgement>>({{taskhost::verify::Judgement::holds, "holds"},
                                                                {taskhost::verify::Judgement::broken, "broken"},
                                                                {taskhost::verify::Judgement::unproven, "unproven"},
                                                                {taskhost::verify::Judgement::inapplicable,
                                                                 "does_not_apply"},
                                                                {taskhost::verify::Judgement::note, "note"}});

namespace taskhost::verify {

struct Verdict {
  Judgement judgement = Judgement::holds;
  std::string factory;  // empty for the plugin as a whole
  std::string test;
  std::string rules;  // "3.5, 5.3"; if it is broken, only the broken ones
  std::string text;
  std::string done = {};     // what the test's executions did, as JSON; empty if it has none
  std::uint64_t tested = 1;  // how often the test did what it is about: a test that did it never proves nothing
};

inline Verdict holds(std::string text, std::uint64_t tested = 1) {
  return {Judgement::holds, {}, {}, {}, std::move(text), {}, tested};
}
inline Verdict broken(std::string rules, std::string text) {
  return {Judgement::broken, {}, {}, std::move(rules), std::move(text)};
}
inline Verdict unproven(std::string text) { return {Judgement::unproven, {}, {}, {}, std::move(text)}; }
inline Verdict inapplicable(std::string text) { return {Judgement::inapplicable, {}, {}, {}, std::move(text)}; }

}  // namespace taskhost::verify
