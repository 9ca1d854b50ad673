// The host and its tasks as operators see them: what the supervisor reports, with the names that only the host knows.
// Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "taskhost/core/task_report.hpp"

namespace taskhost {

struct TaskStatus {
  TaskReport report;
  std::string id;            // UUID
  std::string_view plugin;   // path of its library, valid as long as the host; empty: a task of the program itself
  std::string_view factory;  // valid as long as the host
  std::int64_t process = 0;  // the id of an isolated task's process; 0: there is none
  std::string_view group;    // valid as long as the host; empty: none
  // Names; valid as long as the host.
  std::vector<std::string_view> after{};
  std::vector<std::string_view> waits_for{};
  // Of its policy, for explanations; 0: none.
  Nanoseconds stop_timeout = 0;
  Nanoseconds start_timeout = 0;
  bool notifies = false;  // it says itself when it is ready
};

struct HostStatus {
  std::string name;
  std::string instance;  // UUID, a new one for each run
  std::int64_t pid = 0;
  std::string_view state;     // "created", "running", "stopping", "stopped"
  std::int64_t since_us = 0;  // when it was started; microseconds since 1970
  Nanoseconds age = 0;        // since then, however the wall clock was set meanwhile
  std::string manifest;       // path; empty: none
  unsigned shards = 0;
  std::size_t tasks = 0;
  TaskCounts counts;
  std::vector<ShardSamples> shard_samples{};  // empty: none
  std::uint64_t events = 0;                   // published
  std::uint64_t events_lost = 0;
  std::uint64_t log_lines_lost = 0;
  std::string_view orders{};  // whether who asks may change something: "accepted", "token", "refused"
};

}  // namespace taskhost
