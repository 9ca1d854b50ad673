// The events of one run of a host, read from the JSON lines that host/README.md describes. event_rules.hpp checks them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/process.hpp"

namespace taskhost::test {

// If the event lacks a field, strings are empty and numbers nullopt.
struct Event {
  std::uint64_t seq = 0;
  std::string time;
  std::string name;
  std::string task;
  std::string id;
  std::string type;
  std::string outcome;
  std::string message;
  std::string reason;
  std::optional<std::uint64_t> execution;
  std::optional<std::uint64_t> remaining;
  bool unlimited = false;  // remaining is null
  std::optional<double> delay_ms;
  std::optional<double> uptime_ms;
  std::optional<double> stalled_ms;
  std::optional<int> status;
  std::optional<std::uint64_t> count;
};

class EventStream {
 public:
  // Takes the next piece of text; an unfinished line waits for the rest of it.
  void append(std::string_view text);

  const std::vector<Event>& events() const noexcept { return events_; }
  const std::vector<std::string>& faults() const noexcept { return faults_; }  // lines that are not events; at most 20
  const std::string& unfinished_line() const noexcept { return rest_; }

  // An empty task means any task.
  std::size_t count(std::string_view name, std::string_view task = {}) const;
  const Event* first(std::string_view name, std::string_view task = {}) const;  // NULL if there is none

  // The names of a task's events, in order: "task_started task_exited …". Without task_ready and task_stalled, which
  // are independent of supervision.
  std::string story(std::string_view task) const;

 private:
  void append_line(std::string_view line);
  void fault(std::string_view line, const std::string& what);

  std::vector<Event> events_;
  std::map<std::string, std::map<std::string, std::size_t>, std::less<>> counts_;  // by name and task
  std::vector<std::string> faults_;
  std::string rest_;
};

// The stream of a running program.
class EventFile {
 public:
  explicit EventFile(std::filesystem::path path) : path_(std::move(path)) {}

  const EventStream& read();      // reads what there is; only a limited piece, so that a storm does not hold up a test
  const EventStream& read_all();  // reads all, after the program has ended

  // False if the time runs out first.
  bool wait_for(std::string_view name, std::string_view task = {}, std::size_t count = 1,
                std::chrono::nanoseconds limit = patience);

 private:
  bool read_piece();

  std::filesystem::path path_;
  std::ifstream file_;
  EventStream stream_;
};

}  // namespace taskhost::test
