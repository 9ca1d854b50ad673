// A manifest, and runs of the program with it. Every run writes its events, and support/event_rules.hpp checks every
// stream; every run must end by itself, with an exit status, and without a sanitizer's report.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/event_rules.hpp"
#include "support/event_stream.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace taskhost::test {

using Json = nlohmann::json;

// A stop_timeout longer than any test waits: a task that is stopped by it fails the test.
inline constexpr const char* no_timeout = "10h";

// Where the build puts things.
std::filesystem::path program_path();
std::filesystem::path plugin_directory();
std::filesystem::path test_plugin_directory();
std::filesystem::path demo_path();

// "probe" → the path of the bundled plugin's library.
std::filesystem::path plugin_path(std::string_view name);
std::filesystem::path test_plugin_path(std::string_view name);

// An entry of "tasks". Without a budget for shutdown_on_exit, which can't have one.
Json task(std::string_view name, std::string_view plugin, std::string_view type, Json config = nullptr,
          unsigned restarts = 0);

// Configs of probe and probe_blocking.
Json probe_that_ends(std::string_view end, std::string_view run_for = "0ms");
Json idle_probe();
Json deaf_probe();

// The results of a run.
struct Run {
  ProcessEnd end;
  EventStream events;

  int status() const { return end.status.value_or(-1); }
  const std::string& log() const { return end.err; }
  Event first(std::string_view name, std::string_view task = {}) const;  // an empty one if there is none
  std::string stopping_reason() const { return first("host_stopping").reason; }
  std::string stopping_task() const { return first("host_stopping").task; }
};

// Fails the test if there is no such event.
std::uint64_t seq_of(const Run& run, std::string_view event, std::string_view task);

std::string text_of(const std::filesystem::path& file);

// Whether a line of the text has all these words.
bool has_line(std::string_view text, std::initializer_list<std::string_view> words);
std::size_t count_lines(std::string_view text);

// The lines that have all these words.
std::vector<std::string> lines_with(std::string_view text, std::initializer_list<std::string_view> words);

// Runs it as a user who owns nothing and has no other process, which only root can do. False, with a message, if not.
bool run_as_stranger(Command& command);

// Two requests to stop within a second count as one.
void wait_out_one_request();

// A run in progress.
class Running {
 public:
  Running(const Command& command, std::filesystem::path events, RunFacts facts);

  Process& process() { return process_; }
  EventFile& events() { return events_; }
  void send(int signal) { process_.send(signal); }
  void expect_operators() { facts_.operated = true; }
  void expect_wild_clock() { facts_.wild_clock = true; }
  void expect_cut_short() { facts_.cut_short = true; }  // it will end abruptly: its last events may be missing

  // These fail the test if what they wait for does not come.
  void wait_for(std::string_view event, std::string_view task = {}, std::size_t count = 1);
  Run finish(std::chrono::nanoseconds limit = patience);

 private:
  Process process_;
  EventFile events_;
  RunFacts facts_;
};

class Scene {
 public:
  Scene();

  Json manifest;                    // has plugin_dirs and an empty list of tasks
  std::optional<std::string> text;  // the manifest's text, if it is not to be that of `manifest`

  const TemporaryDirectory& directory() const { return directory_; }
  void add(const Json& entry) { manifest["tasks"].push_back(entry); }

  // `taskhost run --events FILE OPTIONS MANIFEST`
  Running start(const std::vector<std::string>& options = {});
  Run run(const std::vector<std::string>& options = {}) { return start(options).finish(); }

  // With the test's own command; its events go to events_path().
  Running start(const Command& command);
  Command command(const std::vector<std::string>& options = {});
  std::filesystem::path events_path() const { return directory_ / "events.jsonl"; }
  std::filesystem::path manifest_path() const { return directory_ / "manifest.json"; }

 private:
  TemporaryDirectory directory_;
};

// Runs the program with just these arguments: for verbs without events.
ProcessEnd run_program(const std::vector<std::string>& arguments);

}  // namespace taskhost::test
