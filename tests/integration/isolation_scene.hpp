// Scenes with isolated tasks that die, beside one that must not notice.
#pragma once

#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

namespace taskhost::test {

// The plugin dies, isolated.
inline Json victim(const Json& config, unsigned restarts = 0, std::string_view plugin = "dies") {
  Json entry = task("victim", plugin == "dies_blocking" ? "dies" : plugin, "mandatory", config, restarts);
  if (plugin.starts_with("dies")) entry["task"] = plugin;
  entry["isolation"] = "process";
  entry["stop_timeout"] = no_timeout;
  return entry;
}
inline Json way(std::string_view how, std::string_view where = "poll") { return {{"how", how}, {"where", where}}; }

// It would be restarted if it could not go on.
inline Json bystander(std::string_view type = "detachable") {
  Json entry = task("bystander", "probe", type, {{"run_for", "1h"}, {"heartbeat", "5ms"}});
  entry["watchdog"] = {{"interval", "20s"}, {"action", "restart"}};
  return entry;
}
inline void check_bystander(const Run& run) {
  CHECK(run.events.story("bystander") == "task_started task_stopping task_stopped");
  if (!sanitized) CHECK(run.events.count("task_stalled", "bystander") == 0);
}

// What the victim has left in sessions of their own.
inline void end_its_children(const Run& run) {
  for (const std::string& line : lines_with(run.log(), {"[victim] the child is "})) {
    ::kill(std::stoi(line.substr(line.rfind(' ') + 1)), SIGKILL);
  }
}

inline Command without_core_dumps(Command command) {
  command.limits.emplace_back(RLIMIT_CORE, 0);
  return command;
}

inline ProcessEnd check_manifest(const Scene& scene, const std::vector<std::string>& environment = {}) {
  scene.directory().write("manifest.json", scene.manifest.dump(2));
  Command command;
  command.program = program_path();
  command.arguments = {"check", scene.manifest_path().string()};
  command.environment = environment;
  return Process(without_core_dumps(command)).wait();
}

struct ProcessFacts {
  pid_t id = 0;
  pid_t parent = 0;
  pid_t group = 0;
  char state = 0;
  std::string name;
};

// "" once the process is gone.
inline std::string stat_of(pid_t process) {
  std::string text(1024, '\0');
  std::FILE* const file = std::fopen(("/proc/" + std::to_string(process) + "/stat").c_str(), "re");
  if (file == nullptr) return {};
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

// All that there are.
inline std::vector<ProcessFacts> all_processes() {
  std::vector<ProcessFacts> all;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string text = stat_of(std::stoi(name));
    const std::size_t end = text.rfind(')');
    const std::size_t begin = text.find('(');
    if (end == std::string::npos) continue;
    ProcessFacts facts;
    facts.id = std::stoi(name);
    facts.name = text.substr(begin + 1, end - begin - 1);
    if (std::sscanf(text.c_str() + end + 1, " %c %d %d", &facts.state, &facts.parent, &facts.group) == 3) {
      all.push_back(facts);
    }
  }
  return all;
}

inline std::vector<ProcessFacts> children_of(pid_t parent) {
  std::vector<ProcessFacts> children;
  for (const ProcessFacts& one : all_processes()) {
    if (one.parent == parent) children.push_back(one);
  }
  return children;
}

// Of processes that are no longer anybody's, the end is told to nobody.
inline bool is_alive(pid_t process) {
  const std::string text = stat_of(process);
  return !text.empty() && text.find(") Z ") == std::string::npos;
}

inline std::size_t count_descriptors(pid_t process) {
  std::error_code error;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator i("/proc/" + std::to_string(process) + "/fd", error), end;
       !error && i != end; i.increment(error)) {
    ++count;
  }
  return count;
}

}  // namespace taskhost::test
