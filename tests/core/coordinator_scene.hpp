// A coordinator driven step by step: its orders and news as text; time in seconds.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator.hpp"

namespace taskhost::test {

// A task's options, set as a manifest would set them.
struct PlannedTask : CoordinatedTask {
  explicit PlannedTask(TaskType type = TaskType::detachable, std::uint32_t restarts = 0) {
    options.type = type;
    options.restarts = restarts;
  }
  PlannedTask& with(SupervisionOptions optional) {
    options.optional = std::make_shared<SupervisionOptions>(std::move(optional));
    return *this;
  }
  PlannedTask& comes_after(std::vector<Place> others) {
    after = std::move(others);
    return *this;
  }
  PlannedTask& in_group(std::uint32_t number = 0) {
    group = number;
    return *this;
  }
};

class CoordinatorScene final : public CoordinatorPort {
 public:
  explicit CoordinatorScene(const std::vector<PlannedTask>& recipes, std::vector<Strategy> groups = {})
      : coordinator({recipes.begin(), recipes.end()}, std::move(groups), 7, *this), heartbeats(recipes.size()) {}

  // What it has done since the last call, in order: "start 0, ask 1".
  std::string takes() {
    std::string all;
    for (const std::string& word : words_) all += (all.empty() ? "" : ", ") + word;
    words_.clear();
    return all;
  }

  std::string begin() { return coordinator.begin(now), takes(); }
  std::string begun(Place task) { return coordinator.begun(task, now), takes(); }
  std::string started(Place task) { return coordinator.started(task, now), takes(); }
  std::string said_ready(Place task) { return coordinator.said_ready(task, now), takes(); }
  // Execution begun, and its start function has returned.
  std::string runs(Place task) {
    coordinator.begun(task, now);
    coordinator.started(task, now);
    return takes();
  }
  std::string ends(Place task, Outcome outcome, const std::string& message = {}, Nanoseconds uptime = 0) {
    return ends(task, {Ending::returned, outcome, message, uptime * second, uptime * second});
  }
  std::string ends(Place task, const End& end) { return coordinator.ended(task, end, now), takes(); }
  // Lets time pass; each timer fires when it is due.
  std::string seconds_pass(Nanoseconds seconds) {
    const Nanoseconds end = now + seconds * second;
    for (; coordinator.next_deadline() < end; coordinator.advance(now)) now = coordinator.next_deadline();
    return stands_still_until(end);
  }
  // Jumps to that time; nothing happens before it.
  std::string stands_still_until(Nanoseconds time) {
    now = time;
    coordinator.advance(now);
    return takes();
  }
  std::string operate(Place task, Operation operation) { return coordinator.operate(task, operation, now), takes(); }
  std::string host_stops() { return coordinator.begin_stop(now), takes(); }
  std::string stop_expires() { return coordinator.expire_stop(now), takes(); }
  std::string state(Place task) const { return std::string(to_string(coordinator.state(task))); }

  static constexpr Nanoseconds second = 1'000'000'000;
  Nanoseconds now = 1000 * second;
  Coordinator coordinator;
  std::vector<Nanoseconds> heartbeats;
  std::size_t calls = 0;       // calls of the port
  bool takes_notes = true;     // false: it only counts
  TaskNews last_news{};        // with all fields
  std::string stop_message{};  // why a task stopped the host

 private:
  void note(const std::string& what, Place task, const std::string& more = {}) {
    words_.push_back(what + " " + std::to_string(task) + (more.empty() ? "" : " " + more));
  }
  void start(Place task, std::optional<std::uint32_t>) override {
    ++calls;
    if (takes_notes) note("start", task);
  }
  void ask(Place task) override {
    ++calls;
    if (takes_notes) note("ask", task);
  }
  void stop_host(Place task, StopReason reason, bool failure, std::string_view message) override {
    ++calls;
    stop_message = message;
    note("stop host for", task, std::string(to_string(reason)) + (failure ? " failure" : " success"));
  }
  Nanoseconds last_heartbeat(Place task) override { return heartbeats[task]; }

  void tell(const TaskNews& news) override {
    ++calls;
    last_news = news;
    if (!takes_notes) return;
    switch (news.kind) {
      case EventKind::task_stopping:
        return;  // implied by ask
      case EventKind::task_ready:
        return note("ready", news.task);
      case EventKind::task_exited:
        return note("exited", news.task, std::string(to_string(news.outcome)));
      case EventKind::task_restarting:
        return note(
            news.restart_kind == RestartKind::charged ? "restarting" : std::string(to_string(news.restart_kind)),
            news.task, "in " + std::to_string(news.delay / second));
      case EventKind::task_gave_up:
        return note("gave up", news.task);
      case EventKind::task_discarded:
        return note("discarded", news.task,
                    std::string(to_string(news.reason)) + (news.because ? " " + std::to_string(*news.because) : ""));
      case EventKind::task_stopped:
        return note("stopped", news.task);
      case EventKind::task_abandoned:
        return note("abandoned", news.task);
      case EventKind::task_stalled:
        return note("stalled", news.task, std::to_string(news.silence / second));
      default:
        return note("something else", news.task);
    }
  }

  std::vector<std::string> words_;
};

}  // namespace taskhost::test
