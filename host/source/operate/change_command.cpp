// start, stop and restart. All tasks are asked before any is waited for, since one may wait for another.
#include <algorithm>
#include <chrono>
#include <map>
#include <thread>
#include <utility>

#include "operate/commands.hpp"
#include "operate/selection.hpp"
#include "operate/task_words.hpp"

namespace taskhost {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto usual_limit = 30s;
constexpr auto first_pause = 10ms;
constexpr auto longest_pause = 200ms;
constexpr std::size_t most_dependants = 8;     // that are named
constexpr std::size_t most_single_looks = 16;  // if more are waited for, all tasks are asked for at once

struct Change {
  std::string name;
  bool was_so = false;          // already before
  std::uint64_t execution = 0;  // the one that there was before
  bool is_done = false;
  bool is_well = false;
  Json task{};
};

class Changes {
 public:
  Changes(RunningHost& host, std::string verb, const OperateArguments& arguments, const Output& output)
      : host_(host), verb_(std::move(verb)), arguments_(arguments), output_(output) {}

  int make(std::vector<Json> tasks) {
    const std::chrono::nanoseconds limit = time_limit(arguments_, usual_limit);
    const Clock::time_point end = Clock::now() + limit;
    for (Json& task : tasks) changes_.push_back(begun(std::move(task)));
    for (Change& change : changes_) ask(change);
    if (!arguments_.no_wait) {
      wait_until(end);
      for (Change& change : changes_) {
        if (!change.is_done) tell(change, "not done after " + limit_text(limit), Tone::bad);
      }
    }
    if (arguments_.json) {
      print_json();
    } else if (verb_ == "stop" && !arguments_.no_wait) {
      tell_dependants();
    }
    return conclusion();
  }

 private:
  Change begun(Json task) const {
    Change change{.name = text_field(task, "name"), .execution = number_field(task, "execution").value_or(0)};
    const std::string state = text_field(task, "state");
    change.was_so = verb_ == "stop" ? state == "stopped" || state == "ended"
                                    : verb_ == "start" && flag_field(task, "ready") && field(task, "purpose").is_null();
    change.task = std::move(task);
    return change;
  }

  void ask(Change& change) {
    RunningHost::Call answer = host_.call("POST", "/v1/tasks/" + percent_encoded(change.name) + '/' + verb_);
    if (!answer.is_good()) throw host_.refusal_of(answer);
    change.task = field(answer.json, "task");
    if (look_at(change)) {
      conclude(change);
    } else if (arguments_.no_wait) {
      change.is_well = true;
      tell(change, "asked to " + verb_, Tone::plain);
    }
  }

  // Whether what the operator wants has come true, or can't any more. The host judges in the same way.
  bool look_at(Change& change) const {
    const bool is_over = text_field(change.task, "state") == "ended";
    const bool is_ready = flag_field(change.task, "ready") && field(change.task, "purpose").is_null();
    if (verb_ == "stop") {
      change.is_well = is_over || text_field(change.task, "state") == "stopped";
    } else {
      const bool is_new = number_field(change.task, "execution").value_or(0) > change.execution;
      const bool has_done_its_work = flag_field(change.task, "waits_for_time") && is_new;
      change.is_well = (is_ready && (is_new || verb_ == "start")) || has_done_its_work ||
                       (is_over && text_field(change.task, "last_outcome") == "ok");
    }
    change.is_done = change.is_well || is_over;
    return change.is_done;
  }

  void wait_until(Clock::time_point end) {
    std::chrono::nanoseconds pause = first_pause;
    while (true) {
      std::vector<Change*> waiting;
      for (Change& change : changes_) {
        if (!change.is_done) waiting.push_back(&change);
      }
      const auto left = end - Clock::now();
      if (waiting.empty() || left <= Clock::duration::zero()) return;
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(pause, left));
      pause = std::min<std::chrono::nanoseconds>(pause * 3 / 2, longest_pause);
      refresh(waiting);
      for (Change* change : waiting) {
        if (look_at(*change)) conclude(*change);
      }
    }
  }

  void refresh(const std::vector<Change*>& waiting) {
    if (waiting.size() <= most_single_looks) {
      for (Change* change : waiting) change->task = host_.get("/v1/tasks/" + percent_encoded(change->name));
      return;
    }
    Json tasks = host_.tasks();
    std::map<std::string, Json*> by_name;
    for (Json& task : tasks) by_name.emplace(text_field(task, "name"), &task);
    for (Change* change : waiting) {
      const auto found = by_name.find(change->name);
      if (found != by_name.end()) change->task = std::move(*found->second);
    }
  }

  void conclude(const Change& change) {
    const std::string past = verb_ == "stop" ? "stopped" : verb_ + "ed";
    const bool is_same = change.was_so && number_field(change.task, "execution") == change.execution;
    if (!change.is_well) {
      tell(change, "did not " + verb_, Tone::bad);
    } else if (is_same) {
      tell(change, verb_ == "stop" ? "was not running" : "was running already", Tone::plain);
    } else {
      tell(change, past, Tone::good);
    }
  }

  void tell(const Change& change, const std::string& word, Tone tone) {
    if (arguments_.json) return;
    output_.print(terminal_text(change.name) + ": " + toned(word, tone, output_.style) + ": " +
                  terminal_text(situation_of(change.task, arguments_.host), 4000) + '\n');
  }

  // A stop leaves them alone, but those that do not run can't start any more.
  void tell_dependants() {
    struct Dependants {
      std::vector<std::string> waiting;
      std::vector<std::string> live;
    };
    std::map<std::string, Dependants> by_name;
    for (const Change& change : changes_) {
      if (text_field(change.task, "state") == "stopped") by_name[change.name];
    }
    for (const Json& task : by_name.empty() ? Json::array() : tasks_if_told()) {
      const std::string state = text_field(task, "state");
      const bool is_waiting = state == "waiting" || state == "delayed";
      if (!is_waiting && state != "starting" && state != "running") continue;
      for (const Json& other : field(task, "after")) {
        const auto found = other.is_string() ? by_name.find(other.get<std::string>()) : by_name.end();
        if (found == by_name.end()) continue;
        (is_waiting ? found->second.waiting : found->second.live).push_back(text_field(task, "name"));
      }
    }
    for (const auto& [name, dependants] : by_name) {
      tell_names(name, "now waiting for it: ", dependants.waiting);
      tell_names(name, "still running, but will not start again before it: ", dependants.live);
    }
  }

  // None if the host does not tell: what was wanted is done.
  Json tasks_if_told() {
    try {
      return host_.tasks();
    } catch (const Refusal&) {
      return Json::array();
    }
  }

  void tell_names(const std::string& name, const char* words, const std::vector<std::string>& names) {
    if (names.empty()) return;
    output_.print(terminal_text(name) + ": " + words + some_of(names, most_dependants) + '\n');
  }

  void print_json() {
    Json tasks = Json::array();
    for (Change& change : changes_) {
      tasks.push_back({{"done", change.is_done}, {"ok", change.is_well}, {"task", std::move(change.task)}});
    }
    output_.print(json_text(Json{{"host", host_.name()}, {"tasks", std::move(tasks)}}));
  }

  int conclusion() const {
    const auto is_bad = [](const Change& change) { return !change.is_well; };
    const auto failed = std::count_if(changes_.begin(), changes_.end(), is_bad);
    if (failed == 0) return 0;
    // Rather one that can't any more: others may wait for it.
    const Change& first =
        *std::min_element(changes_.begin(), changes_.end(), [&](const Change& one, const Change& other) {
          return std::pair(!is_bad(one), !one.is_done) < std::pair(!is_bad(other), !other.is_done);
        });
    throw Refusal(operate_failed, std::to_string(failed) + " of " + std::to_string(changes_.size()) + " did not " +
                                      verb_ + (first.is_done ? "" : " in time (--timeout)") +
                                      "; more: " + explain_command(arguments_, first.name));
  }

  RunningHost& host_;
  const std::string verb_;
  const OperateArguments& arguments_;
  const Output& output_;
  std::vector<Change> changes_;
};

}  // namespace

int change_tasks(const std::string& verb, const OperateArguments& arguments, const Output& output) {
  RunningHost host(find_host(arguments.host));
  return Changes(host, verb, arguments, output).make(selected_tasks(host, arguments.tasks));
}

}  // namespace taskhost
