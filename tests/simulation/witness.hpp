// Watches the real supervisor's orders and news, and checks them against rules that must always hold, without knowing
// exactly what is to happen: a third opinion, in case supervisor and model share an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "output.hpp"
#include "scenario.hpp"
#include "shards.hpp"

namespace taskhost::simulation {

class Witness {
 public:
  explicit Witness(const Scenario& scenario);

  // What the supervisor learned (`before`: the task's state then), and each thing that it did.
  void saw(const Input& input, TaskState before);
  void saw(const Output& output, Nanoseconds now);
  // The run is over.
  void saw_end();

  const std::string& fault() const noexcept { return fault_; }

 private:
  struct Task {
    CoordinatedTask recipe;
    bool live = false;  // from the order to start to the end
    bool begun = false;
    bool start_over = false;
    bool said_ready = false;
    bool asked = false;
    bool abandoned = false;
    std::uint64_t executions = 0;
    bool open = false;         // begun, but its end was not reported
    bool was_told_of = false;  // that this execution is to stop
    bool exited_well = false;  // by the last report about an end
    bool done = false;         // discarded, or the host does without it
    bool waits = false;        // a restart was announced
    std::optional<Nanoseconds> not_before{};
    bool is_repeated = false;  // it waits for its time
    std::vector<Nanoseconds> charges{};
  };

  const SupervisionOptions& optional_of(const Task& task) const;
  bool is_ready(const Task& task) const;
  void saw_news(const Output& news, Task& task, Nanoseconds now);
  void saw_start(const Output& order, Task& task, Nanoseconds now);
  void saw_ask(Place place, Task& task);
  void complain(Place task, const char* what);

  std::vector<Task> tasks_;
  bool host_stops_ = false;  // a task wants it to
  bool stop_began_ = false;
  bool stop_expired_ = false;
  const bool may_shards_be_stuck_;
  std::string fault_;
};

}  // namespace taskhost::simulation
