// What was observed of a plugin's conduct during a test: broken rules, and notes. One of each kind, reported at once,
// since the next thing may be a crash. Any thread.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace taskhost::verify {

struct Finding {
  std::string rule;
  std::string kind;  // distinguishes findings, across tests: "log not utf8"
  std::string text;
  bool is_note = false;
};

class Findings {
 public:
  // `sink` gets each finding as it occurs, one at a time.
  explicit Findings(std::function<void(const Finding&)> sink) : sink_(std::move(sink)) {}

  void broken(std::string rule, std::string kind, std::string text) {
    add({std::move(rule), std::move(kind), std::move(text), false});
  }
  void note(std::string rule, std::string kind, std::string text) {
    add({std::move(rule), std::move(kind), std::move(text), true});
  }

  bool is_empty() const {
    const std::lock_guard lock(mutex_);
    return kinds_.empty();
  }

 private:
  void add(const Finding& finding) {
    const std::lock_guard lock(mutex_);
    if (kinds_.insert(finding.kind).second) sink_(finding);
  }

  mutable std::mutex mutex_;
  std::set<std::string> kinds_;
  const std::function<void(const Finding&)> sink_;
};

}  // namespace taskhost::verify
