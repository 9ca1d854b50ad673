// Comparing what is told with what is observed; each check throws what differs.
#pragma once

#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "explained.hpp"

namespace taskhost::simulation {

using Json = nlohmann::json;
using Names = std::multiset<std::string>;

inline std::string name_of(Place task) { return "t" + std::to_string(task); }

inline void expect(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

template <class A, class B>
void expect_equal(const A& is, const B& told, const std::string& what) {
  expect(Json(is) == Json(told), what + ": " + Json(is).dump() + ", told: " + Json(told).dump());
}

inline Nanoseconds time_of(const Json& milliseconds) {
  return static_cast<Nanoseconds>(std::llround(milliseconds.get<double>() * 1e6));
}

inline bool is_told(const Observed& one, EventKind event, Place task) {
  return one.output.kind == Output::Kind::tell && one.output.event == event && one.output.task == task;
}

inline Names names_in(const Json& entry, const char* field) {
  return entry.contains(field) ? entry.at(field).get<Names>() : Names();
}

// Where a trial that took too long was cut short; else the end.
inline std::vector<Observed>::const_iterator end_of_trial(const Run& run, const std::vector<Observed>& observed) {
  return run.cut_after ? observed.begin() + static_cast<std::ptrdiff_t>(*run.cut_after) : observed.end();
}

void check_order(const Scenario& scenario, const Tried& tried, const Json& told);
void check_longest_stop(const Tried& tried, const Json& told);
void check_who_is_over(const Scenario& scenario, const Run& run, const std::vector<Observed>& observed,
                       const Json& told);

}  // namespace taskhost::simulation
