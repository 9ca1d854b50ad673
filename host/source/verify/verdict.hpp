// What `taskhost verify` says: one verdict for each test, and one more for each rule that was seen broken on the way.
// Copyable data.
#pragma once

#include <cstdint>
#include <string>

#include "taskhost/taskhost.h"

namespace taskhost::verify {

enum class Judgement : std::int32_t {
  holds = TASKHOST_VERDICT_HOLDS,
  broken = TASKHOST_VERDICT_BROKEN,
  unproven = TASKHOST_VERDICT_UNPROVEN,
  inapplicable = TASKHOST_VERDICT_DOES_NOT_APPLY,
  note = TASKHOST_VERDICT_NOTE,
};

struct Verdict {
  Judgement judgement = Judgement::holds;
  std::string factory;  // empty: the plugin as a whole
  std::string test;
  std::string rules;  // "3.5, 5.3"; of a broken one only those that are broken
  std::string text;
};

inline Verdict holds(std::string text) { return {Judgement::holds, {}, {}, {}, std::move(text)}; }
inline Verdict broken(std::string rules, std::string text) {
  return {Judgement::broken, {}, {}, std::move(rules), std::move(text)};
}
inline Verdict unproven(std::string text) { return {Judgement::unproven, {}, {}, {}, std::move(text)}; }
inline Verdict inapplicable(std::string text) { return {Judgement::inapplicable, {}, {}, {}, std::move(text)}; }

}  // namespace taskhost::verify
