// The manifest as values, and what is wrong with it. No plugin is looked up or loaded here.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/file.hpp"
#include "manifest/surroundings.hpp"
#include "manifest/worker_limits.hpp"
#include "taskhost/core/task_type.hpp"

namespace taskhost {

// One fault, for the operator: "manifest.json: /tasks/0/type: unknown task type …".
struct Fault {
  std::string file;      // the path of the manifest or plugin, as given
  std::string where;     // "line 3, column 7", or a JSON pointer; may be empty
  std::string message;   // what is wrong and how to fix it, with the nearest valid word if there is one
  std::size_t line = 0;  // from 1; 0 if unknown, or if `where` says it

  std::string text() const;  // a single line
};

struct ManifestTask {
  std::string pointer;  // "/tasks/0", for faults found later
  std::string name;     // empty for the factory's name
  std::string plugin;   // bare name or path, as written; empty if it has no usable one, which is a fault
  std::string factory;  // the field "task"; empty for the plugin's only one
  std::string config;   // compact JSON text, numbers as written; empty if absent
  TaskOptions options;
  std::shared_ptr<const WorkerLimits> limits;  // of the process of an isolated task; null: none
  bool has_taken_name = false;                 // already reported as a fault
  bool has_wrong_config = false;               // the same
  bool has_secrets = false;                    // its config has values from files
  std::uint32_t part = 0;                      // index in the manifest's parts
  std::size_t line = 0;                        // where it begins in that file, from 1, for faults found later
};

// One of the files that a manifest consists of, as the main one and those that are included.
struct ManifestPart {
  std::string name;                      // for messages
  std::filesystem::path directory;       // from which its relative paths count; empty for the working directory
  std::vector<std::string> plugin_dirs;  // as written, relative to the directory
  std::size_t included_by = 0;           // index of another part; the main one's own
};

struct ManifestGroup {
  std::string name;
  Strategy strategy = Strategy::one_for_one;
  std::size_t part = 0;  // as of a task
};

// A task's relations to others. Tasks without any have no entry.
struct ManifestRelation {
  std::size_t task = 0;                // index in the list of tasks
  std::vector<std::string> after;      // names, resolved once the plugins have named their tasks
  std::optional<std::size_t> group{};  // index in the list of groups
};

struct Manifest {
  std::string name;                                                // of the host; empty: that of the file
  std::vector<ManifestPart> parts = std::vector<ManifestPart>(1);  // the main one first, in reading order
  std::vector<std::filesystem::path> value_files;                  // those of "$file", each once
  std::optional<unsigned> shards;                                  // 1 to 256
  std::optional<std::chrono::nanoseconds> shutdown_timeout;
  std::chrono::nanoseconds default_stop_timeout = std::chrono::seconds(10);
  std::chrono::nanoseconds stall_limit = std::chrono::milliseconds(100);  // 10 ms to 1 h
  unsigned stall_threads = 64;                                            // up to 1024
  unsigned blocking_threads = 4096;                                       // 1 to 65536
  std::size_t blocking_stack_kib = 8192;                                  // 64 to 1048576
  std::size_t poll_stack_kib = 8192;                                      // the same
  std::size_t metrics_tasks = 1000;                                       // how many tasks have metrics of their own
  std::size_t keep_events = 1000;                                         // for those who ask what there was
  std::size_t keep_log_lines = 1000;
  std::uint64_t seed = 0;               // random seed for jitter; 0: a different one each time
  std::optional<TaskOptions> autoload;  // the policy of libraries that no task names
  std::shared_ptr<const WorkerLimits> autoload_limits;
  std::vector<ManifestGroup> groups;
  std::vector<ManifestRelation> relations;  // in the order of the tasks
  std::vector<ManifestTask> tasks;
};

struct ManifestReading {
  Manifest manifest;            // only meaningful if faults is empty
  std::vector<Fault> faults;    // in the order of the files and their texts; at most 100, then one that counts the rest
  std::vector<Fault> warnings;  // what is not wrong, but should be known; at most 100
  bool readable = true;         // all of its files could be read, and are objects without a syntax error
};

inline constexpr std::size_t max_included_files = 10'000;
inline constexpr std::size_t max_include_depth = 16;

// With all files that it includes.
ManifestReading read_manifest(const ManifestFile& main, const ManifestSurroundings& surroundings);

// A text on its own. `file` is only used to name it in faults.
ManifestReading read_manifest(std::string_view text, const std::string& file);

}  // namespace taskhost
