#include "program/verify_command.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <system_error>

#include "program/printed.hpp"
#include "taskhost/taskhost.h"
#include "text/counted.hpp"
#include "text/duration.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::size_t judgement_count = TASKHOST_VERDICT_NOTE + 1;

constexpr std::size_t max_config = std::size_t{64} << 20;

std::string failure_words(int error) { return "can't read this file: " + std::generic_category().message(error); }

// Reads JSON, or @ and a file's name. Returns what is wrong; "" if nothing is.
std::string read_config(const std::string& argument, std::string& config) {
  config = argument;
  if (!argument.starts_with('@')) return {};
  config.clear();
  const int file = ::open(argument.c_str() + 1, O_RDONLY | O_CLOEXEC);
  if (file < 0) return failure_words(errno);
  std::array<char, 65536> piece;
  ssize_t size = 0;
  while (config.size() <= max_config && (size = ::read(file, piece.data(), piece.size())) != 0) {
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;
    config.append(piece.data(), static_cast<std::size_t>(size));
  }
  const int error = errno;
  ::close(file);
  if (size < 0) return failure_words(error);
  return config.size() > max_config ? "is longer than 64 MiB" : "";
}

std::string seed_problem(const std::string& text) {
  std::uint64_t seed = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, seed);
  return error == std::errc() && rest == end && seed > 0
             ? ""
             : "must be a whole number from 1 to " + std::to_string(~std::uint64_t{0});
}

const char* word(std::int32_t judgement) {
  switch (judgement) {
    case TASKHOST_VERDICT_HOLDS:
      return "holds";
    case TASKHOST_VERDICT_BROKEN:
      return "BROKEN";
    case TASKHOST_VERDICT_UNPROVEN:
      return "unproven";
    case TASKHOST_VERDICT_DOES_NOT_APPLY:
      return "-";
    default:
      return "note";
  }
}

class Printer {
 public:
  explicit Printer(bool json) : json_(json) {}

  void print(const taskhost_verdict& verdict) {
    ++counts_.at(static_cast<std::size_t>(verdict.judgement));
    if (json_) {
      print_out("%s\n", verdict.json);
    } else {
      const std::string factory = verdict.factory != nullptr ? verdict.factory : "";
      if (factory != factory_) print_out("%s\n", factory.c_str());
      factory_ = factory;
      // Print each text once: a plugin that does not start has the same problem in every test.
      std::string text = verdict.text;
      const bool is_good = verdict.judgement == TASKHOST_VERDICT_HOLDS;
      constexpr std::size_t short_enough = 60;
      const auto [said, is_new] = is_good || text.size() < short_enough ? std::pair(said_.end(), true)
                                                                        : said_.emplace(factory + text, verdict.test);
      if (!is_new) text = "the same as for " + quoted_text(said->second);
      const bool is_one = std::string_view(verdict.rules).find_first_of(",-") == std::string_view::npos;
      print_out("  %-8s  %s (%s %s): %s\n", word(verdict.judgement), verdict.test, is_one ? "rule" : "rules",
                verdict.rules, text.c_str());
    }
  }

  void print_summary(const std::string& path, std::uint64_t seed) const {
    const auto count = [this](int judgement) { return counts_.at(static_cast<std::size_t>(judgement)); };
    const unsigned long long seed_to_print = seed;
    if (json_) {
      print_out(
          "{\"summary\":true,\"holds\":%zu,\"broken\":%zu,\"unproven\":%zu,\"does_not_apply\":%zu,\"notes\":%zu,"
          "\"seed\":%llu}\n",
          count(TASKHOST_VERDICT_HOLDS), count(TASKHOST_VERDICT_BROKEN), count(TASKHOST_VERDICT_UNPROVEN),
          count(TASKHOST_VERDICT_DOES_NOT_APPLY), count(TASKHOST_VERDICT_NOTE), seed_to_print);
      return;
    }
    const std::size_t notes = count(TASKHOST_VERDICT_NOTE);
    print_out("verify: %s: %zu %s, %zu broken, %zu unproven%s (seed %llu)\n", printable_path(path).c_str(),
              count(TASKHOST_VERDICT_HOLDS), count(TASKHOST_VERDICT_HOLDS) == 1 ? "holds" : "hold",
              count(TASKHOST_VERDICT_BROKEN), count(TASKHOST_VERDICT_UNPROVEN),
              notes == 0 ? "" : (", " + counted(notes, "note")).c_str(), seed_to_print);
  }

 private:
  const bool json_;
  std::array<std::size_t, judgement_count> counts_{};
  std::string factory_;
  std::map<std::string, std::string> said_;  // from text to test
};

int wrong(const std::string& words) {
  std::fprintf(stderr, "taskhost: %s\n", words.c_str());
  return TASKHOST_RESULT_BAD_MANIFEST;
}

}  // namespace

void add_verify_options(CLI::App& command, VerifyArguments& arguments) {
  command
      .add_option("PLUGIN|MANIFEST", arguments.path,
                  "a plugin's file; or a manifest (*.json), whose tasks' plugins are tested with their configs")
      ->required();
  command.add_option("--task", arguments.task, "test only this factory of the plugin, or task of the manifest")
      ->type_name("NAME");
  command
      .add_option("--config", arguments.config,
                  "the JSON config of the plugin's executions, or @ and the name of a file (a manifest has its own)")
      ->type_name("JSON|@FILE");
  command.add_option("--seed", arguments.seed, "repeat the random choices of an earlier run")
      ->check(seed_problem)
      ->type_name("N");
  command
      .add_option("--time-limit", arguments.time_limit,
                  "the time limit of each test, such as 10s (the default) or 1500ms")
      ->type_name("DURATION");
  command.add_option("--test", arguments.tests, "run only this test (repeatable)")
      ->type_name("NAME")
      ->take_all()
      ->allow_extra_args(false);
  command.add_flag("--json", arguments.json, "print one JSON object per line");
}

int verify(const VerifyArguments& arguments) {
  const DurationReading time_limit = parse_duration(arguments.time_limit);
  if (!time_limit.value) {
    return wrong("--time-limit: must be a duration such as " + std::string(duration_examples) + "; " +
                 time_limit.problem);
  }
  if (time_limit.value->count() == 0) return wrong("--time-limit: must be longer than 0s");
  std::string config;
  const bool is_manifest = arguments.path.ends_with(".json");
  if (is_manifest && arguments.config) return wrong("--config: the manifest has the configs of its tasks");
  if (const std::string problem = read_config(arguments.config.value_or("{}"), config); !problem.empty()) {
    return wrong("--config: " + printable_path(arguments.config->substr(1)) + ": " + problem);
  }
  const std::uint64_t seed = arguments.seed ? *arguments.seed : std::random_device()() % 1'000'000 + 1;
  std::vector<const char*> tests;
  for (const std::string& test : arguments.tests) tests.push_back(test.c_str());

  taskhost_verify_options options{};
  options.struct_size = sizeof options;
  (is_manifest ? options.manifest : options.plugin) = arguments.path.c_str();
  options.task = arguments.task ? arguments.task->c_str() : nullptr;
  options.config = is_manifest ? nullptr : config.c_str();
  options.tests = tests.data();
  options.test_count = static_cast<uint32_t>(tests.size());
  options.seed = seed;
  options.time_limit = static_cast<std::uint64_t>(time_limit.value->count());
  Printer printer(arguments.json);
  std::array<char, 1000> error{};
  const int32_t result = taskhost_verify(
      &options,
      [](void* user, const taskhost_verdict* verdict) {
        static_cast<Printer*>(user)->print(*verdict);
        // Nobody reads on. Between the tests there is nothing to clean up.
        if (print_out_error() != 0) {
          // NOLINTNEXTLINE(concurrency-mt-unsafe)
          std::exit(with_output_written(TASKHOST_RESULT_OK, TASKHOST_RESULT_SYSTEM));
        }
      },
      &printer, error.data(), error.size());
  if (result > TASKHOST_RESULT_TASK_FAILED) {
    std::fprintf(stderr, "taskhost: %s\n", error.data());
    return std::min(result, TASKHOST_RESULT_SYSTEM);
  }
  printer.print_summary(arguments.path, seed);
  return result;
}

}  // namespace taskhost
