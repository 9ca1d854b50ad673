// taskhost-simulate-explained: random manifests whose explanations are compared with what the simulated supervisor does
// with them. With --wrong, each explanation is changed in one place, which has to be noticed. See README.md.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "explained.hpp"
#include "random.hpp"

namespace {

using namespace taskhost::simulation;
using Json = nlohmann::json;

constexpr const char* help_text =
    "usage: taskhost-simulate-explained [--seed S] [--runs N] [--wrong]\n"
    "N manifests with the seeds S, S + 1, …; 10000 and the clock's if not given.\n"
    "--wrong: changes one value of each explanation; each kind of value has to be noticed.\n";

void print(const Scenario& scenario, const Json& told, std::uint64_t seed, const std::string& what) {
  std::printf("%s\n%s\nDIFFERENCE %s\n\nOnce more: --runs 1 --seed %llu\n", to_text(scenario).c_str(),
              told.dump(2).c_str(), what.c_str(), static_cast<unsigned long long>(seed));
}

// Where something can be changed about this task, or the whole, and its kind: "/tasks/*/delays_ms/*/*".
std::vector<std::pair<Json::json_pointer, std::string>> places_of(const Json& told, std::size_t task) {
  std::vector<std::pair<Json::json_pointer, std::string>> places;
  const auto walk = [&](const auto& self, const Json& value, const Json::json_pointer& at,
                        const std::string& kind) -> void {
    if (value.is_object()) {
      for (const auto& [key, inner] : value.items()) self(self, inner, at / key, kind + "/" + key);
      return;
    }
    if (value.is_array()) {
      const bool are_tasks = kind == "/tasks";
      for (std::size_t i = are_tasks ? task : 0; i < (are_tasks ? task + 1 : value.size()); ++i)
        self(self, value[i], at / i, kind + "/*");
    }
    if (kind != "/tasks") places.emplace_back(at, kind);
  };
  walk(walk, told, Json::json_pointer(), "");
  return places;
}

std::vector<Json> changes_of(const Json& value) {
  if (value.is_number()) return {value.get<double>() * 2 + 1, value.get<double>() / 2 - 1};
  if (value.is_boolean()) return {!value.get<bool>()};
  if (value.is_string()) return {"x" + value.get<std::string>()};
  if (value.is_null()) return {Json{{"reason", "x"}, {"task", "x"}, {"result", "x"}}};
  Json longer = value;
  longer.push_back("x");
  return {longer};
}

struct Noticed {
  unsigned changed = 0;
  unsigned noticed = 0;
};

// In no trial is a task abandoned once others have ended well, and hardly ever one with two levels of dependants.
bool is_not_compared(const std::string& kind) {
  return kind == "/tasks/*/when_abandoned/skipped_in_turn" ||
         (kind.starts_with("/tasks/*/when_abandoned/") && kind.find("/unless_") != std::string::npos);
}

int check_wrong_ones(std::uint64_t seed, std::uint64_t runs) {
  std::map<std::string, Noticed> kinds;
  for (std::uint64_t run = 0; run < runs; ++run) {
    const Scenario scenario = make_explained(seed + run);
    const std::vector<Tried> tried = try_all(scenario);
    const Json told = explanation_of(scenario);
    for (const auto& [place, kind] : places_of(told, tried.front().task)) {
      Json wrong = told;
      Noticed& noticed = kinds[kind];
      for (Json& change : changes_of(told[place])) {
        wrong[place] = std::move(change);
        ++noticed.changed;
        if (!difference(scenario, tried, wrong).empty()) ++noticed.noticed;
      }
    }
    const std::string text = text_of(scenario);
    for (std::size_t at = text.find("'t"); at != std::string::npos; at = text.find("'t", at + 1)) {
      Noticed& noticed = kinds["a name in the text"];
      ++noticed.changed;
      if (!text_difference(std::string(text).insert(at + 2, "9"), told).empty()) ++noticed.noticed;
    }
  }
  unsigned missed = 0;
  for (const auto& [kind, noticed] : kinds) {
    const bool is_missed = noticed.noticed == 0 && !is_not_compared(kind);
    missed += is_missed ? 1 : 0;
    std::printf("%-55s %6u of %6u noticed%s\n", kind.c_str(), noticed.noticed, noticed.changed,
                is_missed ? ": NEVER" : "");
  }
  std::printf("%zu kinds of values from seed %llu, %u of them never noticed\n", kinds.size(),
              static_cast<unsigned long long>(seed), missed);
  return missed == 0 ? 0 : 1;
}

int check_right_ones(std::uint64_t seed, std::uint64_t runs) {
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t trials = 0;
  std::uint64_t executions = 0;
  for (std::uint64_t run = 0; run < runs; ++run) {
    const Scenario scenario = make_explained(seed + run);
    const std::vector<Tried> tried = try_all(scenario);
    const Json told = explanation_of(scenario);
    const std::string text = text_of(scenario);
    std::string what = difference(scenario, tried, told);
    if (what.empty()) what = text_difference(text, told);
    if (!what.empty()) {
      std::fputs(text.c_str(), stdout);
      print(scenario, told, seed + run, what);
      return 1;
    }
    trials += tried.size();
    for (const Tried& one : tried) executions += one.run.executions;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%llu manifests from seed %llu: %llu trials, %llu executions, %.1f s: no difference\n",
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(trials), static_cast<unsigned long long>(executions), took.count());
  return 0;
}

}  // namespace

int main(int count, char** words) {
  auto seed = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) / 1'000'000;
  std::uint64_t runs = 10'000;
  bool wrong = false;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--wrong") {
      wrong = true;
    } else if ((word == "--seed" || word == "--runs") && i + 1 < count) {
      (word == "--seed" ? seed : runs) = std::strtoull(words[++i], nullptr, 10);
    } else {
      std::fputs(help_text, word == "--help" ? stdout : stderr);
      return word == "--help" ? 0 : 2;
    }
  }
  return wrong ? check_wrong_ones(seed, runs) : check_right_ones(seed, runs);
}
