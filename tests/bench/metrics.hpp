// What the table shows for each workload, and the targets (issue 3: ratios to the floor of the same run).
#pragma once

#include <array>
#include <string_view>

namespace bench {

enum class Unit { rate, seconds, microseconds, nanoseconds, milliseconds, bytes, plain, ratio };
enum class Aim { none, times_floor, beyond_floor, absolute };  // what the bound refers to

struct Metric {
  std::string_view workload;
  std::string_view key;
  std::string_view title;
  Unit unit;
  bool more_is_better;
  Aim aim;
  double bound;        // the minimum if more is better, the maximum if less is
  double shards_gain;  // minimum ratio of two shards to one; 0: no target
};

inline constexpr std::array metrics = {
    Metric{"w1", "per_s", "W1 restart storm: restarts/s", Unit::rate, true, Aim::times_floor, .5, 1.8},
    Metric{"w2", "start_s", "W2 fleet: time to start all", Unit::seconds, false, Aim::times_floor, 3, 1.8},
    Metric{"w2", "add_s", "W2 fleet: of that, adding them", Unit::seconds, false, Aim::none, 0, 0},
    Metric{"w2", "rss_per_task", "W2 fleet: resident bytes a task", Unit::bytes, false, Aim::times_floor, 2, 0},
    Metric{"w2", "stop_s", "W2 fleet: time to stop all", Unit::seconds, false, Aim::times_floor, 3, 0},
    Metric{"w3", "per_s", "W3 ticking fleet: ticks/s", Unit::rate, true, Aim::times_floor, .95, 0},
    Metric{"w3", "cpu_s_per_mtick", "W3 ticking fleet: CPU s per million ticks", Unit::seconds, false, Aim::times_floor,
           1.5, 0},
    Metric{"w3", "late_p99_us", "W3 ticking fleet: p99 lateness", Unit::microseconds, false, Aim::beyond_floor, 100, 0},
    Metric{"w4", "per_s", "W4 yield: wakes/s", Unit::rate, true, Aim::times_floor, .4, 1.8},
    Metric{"w5", "secs", "W5 crash fan: time", Unit::seconds, false, Aim::times_floor, 1.5, 1.8},
    Metric{"wake", "per_s", "Wakes from another thread into a busy shard: wakes/s", Unit::rate, true, Aim::absolute,
           1e7, 0},
    Metric{"wake", "polls_per_s", "Wakes from another thread: polls/s (wakes of a task not polled yet merge)",
           Unit::rate, true, Aim::none, 0, 0},
    Metric{"wake", "extra_p50_ns", "Wake of a sleeping shard, beyond an eventfd's: p50", Unit::nanoseconds, false,
           Aim::absolute, 3000, 0},
    Metric{"wake", "extra_p99_ns", "Wake of a sleeping shard, beyond an eventfd's: p99", Unit::nanoseconds, false,
           Aim::none, 0, 0},
    Metric{"start", "extra_ms", "Program start, beyond an empty program's: last of 1,000 tasks", Unit::milliseconds,
           false, Aim::absolute, 20, 0},
    Metric{"idle", "cpu_us", "Idle fleet: CPU in 3 s (of none, a few us are seen)", Unit::microseconds, false,
           Aim::absolute, 10, 0},
    Metric{"idle", "switches", "Idle fleet: times a thread went to sleep in 3 s", Unit::plain, false, Aim::absolute, 0,
           0},
    Metric{"idle", "one_cpu_us", "Idle host of one task: CPU in 3 s (of none, a few us are seen)", Unit::microseconds,
           false, Aim::absolute, 10, 0},
    Metric{"idle", "one_switches", "Idle host of one task: times a thread went to sleep in 3 s", Unit::plain, false,
           Aim::absolute, 0, 0},
    Metric{"polled", "late_p99_us", "W3 while 100 clients GET /v1/tasks ten times a second: p99 lateness",
           Unit::microseconds, false, Aim::none, 0, 0},
    Metric{"polled", "late_ratio", "The same, as times that of a host that nobody polls", Unit::ratio, false,
           Aim::absolute, 1.5, 0},
    Metric{"polled", "late_host_ratio", "The same, as times that while the clients poll another host", Unit::ratio,
           false, Aim::absolute, 1.5, 0},
    Metric{"polled", "answers_per_s", "Answers that these clients get: answers/s", Unit::rate, true, Aim::none, 0, 0},
    Metric{"control", "ps_ms", "taskhost ps, with a host of 10,000 tasks", Unit::milliseconds, false, Aim::absolute, 50,
           0},
    Metric{"control", "status_ms", "taskhost status of 10,000 tasks", Unit::milliseconds, false, Aim::absolute, 50, 0},
    Metric{"control", "tasks_ms", "GET /v1/tasks of 10,000 tasks", Unit::milliseconds, false, Aim::none, 0, 0},
    Metric{"control", "metrics_ms", "GET /metrics of 10,000 tasks", Unit::milliseconds, false, Aim::absolute, 20, 0},
    Metric{"control", "metrics_bytes", "Its size", Unit::bytes, false, Aim::none, 0, 0},
    Metric{"control", "start_extra_ms", "Program start with a control socket, beyond one without", Unit::milliseconds,
           false, Aim::absolute, 1, 0},
    Metric{"supervision", "fields_told_ratio",
           "Restarts with backoff, window, reset_after and exit rules, with events: CPU, as times plain", Unit::plain,
           false, Aim::absolute, 1.5, 0},
    Metric{"supervision", "plain_cpu_s_per_m", "Plain restarts, without events: CPU s per million", Unit::seconds,
           false, Aim::none, 0, 0},
    Metric{"supervision", "fields_cpu_s_per_m", "The same with these fields", Unit::seconds, false, Aim::none, 0, 0},
    Metric{"supervision", "fields_two_shards", "The same, as many as there can be: two shards, as times one",
           Unit::plain, true, Aim::absolute, 1.7, 0},
    Metric{"supervision", "stop_100k_s", "Stop of 100,000 tasks that come after one", Unit::seconds, false, Aim::none,
           0, 0},
    Metric{"supervision", "stop_ratio", "The same, as times the stop of 10,000", Unit::plain, false, Aim::absolute, 12,
           0},
    Metric{"supervision", "group_10k_s", "Restart of a group of 10,000", Unit::seconds, false, Aim::none, 0, 0},
    Metric{"language", "wakes_per_s", "A language's own task that gives way and is woken again: wakes/s", Unit::rate,
           true, Aim::none, 0, 0},
    Metric{"language", "bytes", "A language's own task that waits: resident bytes an execution", Unit::bytes, false,
           Aim::none, 0, 0},
    Metric{"language", "stop_s", "A language's own tasks: time to stop 100,000 that wait", Unit::seconds, false,
           Aim::none, 0, 0},
    Metric{"events", "per_s", "W1 by the program with all events written to a file: restarts/s", Unit::rate, true,
           Aim::none, 0, 0},
    Metric{"events", "extra_ns_per_restart", "What the events cost: time a restart", Unit::nanoseconds, false,
           Aim::none, 0, 0},
};

}  // namespace bench
