// The manifest as values, and what is wrong with it. Reads text only: no plugin is looked up or loaded here.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taskhost/core/task_type.hpp"

namespace taskhost {

// One thing that is wrong, for the operator: "manifest.json: /tasks/0/type: unknown task type …".
struct Fault {
  std::string file;      // the manifest's or plugin's path as it was given
  std::string where;     // "line 3, column 7", or a JSON pointer; may be empty
  std::string message;   // what is wrong and what would be right, with the nearest valid word where there is one
  std::size_t line = 0;  // from 1; 0 if unknown, or if `where` says it

  std::string text() const;  // the one line
};

struct ManifestTask {
  std::string pointer;  // "/tasks/0", for faults found later
  std::string name;     // empty: the factory's
  std::string plugin;   // bare name or path, as written; empty: there is none that could be used, which is a fault
  std::string factory;  // the field "task"; empty: the plugin's only one
  std::string config;   // compact JSON text, numbers as written; empty if absent
  TaskOptions options;
  bool has_taken_name = false;  // which is a fault, told already
  std::size_t line = 0;         // where it begins in the text, from 1, for faults found later
};

struct ManifestGroup {
  std::string name;
  Strategy strategy = Strategy::one_for_one;
};

// How a task stands to others. One that stands alone has none.
struct ManifestRelation {
  std::size_t task = 0;                // in the list of tasks
  std::vector<std::string> after;      // names, looked up once the plugins have named their tasks
  std::optional<std::size_t> group{};  // in the list of groups
};

struct Manifest {
  std::vector<std::string> plugin_dirs;  // as written, relative to the manifest
  std::optional<unsigned> shards;        // 1 to 256
  std::optional<std::chrono::nanoseconds> shutdown_timeout;
  std::chrono::nanoseconds default_stop_timeout = std::chrono::seconds(10);
  std::chrono::nanoseconds stall_limit = std::chrono::milliseconds(100);  // 10 ms to 1 h
  unsigned stall_threads = 64;                                            // up to 1024
  unsigned blocking_threads = 4096;                                       // 1 to 65536
  std::size_t blocking_stack_kib = 8192;                                  // 64 to 1048576
  std::size_t poll_stack_kib = 8192;                                      // the same
  std::uint64_t seed = 0;                                                 // of the jitter; 0: another one each time
  std::optional<TaskOptions> autoload;                                    // policy of libraries that no task names
  std::vector<ManifestGroup> groups;
  std::vector<ManifestRelation> relations;  // in the order of the tasks
  std::vector<ManifestTask> tasks;
};

struct ManifestReading {
  Manifest manifest;          // worth something only if faults is empty
  std::vector<Fault> faults;  // in the order of the text; 100 at most, then one that counts the rest
  bool readable = true;       // read to its end: an object without a syntax error
};

// `file` only names the text in faults.
ManifestReading read_manifest(std::string_view text, const std::string& file);

}  // namespace taskhost
