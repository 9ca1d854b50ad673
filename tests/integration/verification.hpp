// Runs of `taskhost verify --json`, and what they found.
#pragma once

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "scene.hpp"

namespace taskhost::test {

struct Verification {
  ProcessEnd end;
  std::vector<Json> verdicts;
  Json summary;

  int status() const { return end.status.value_or(-1); }

  // Whether there is such a verdict, which quotes the rule and has the words.
  bool has(std::string_view verdict, std::string_view rule, std::string_view words = {}) const {
    return std::any_of(verdicts.begin(), verdicts.end(), [&](const Json& found) {
      const std::string rules = ", " + found["rules"].get<std::string>() + ",";
      return found["verdict"] == verdict && rules.find(", " + std::string(rule) + ",") != std::string::npos &&
             found["text"].get<std::string>().find(words) != std::string::npos;
    });
  }
  // A number of what was done in a test: "polls". 0 if there is none.
  std::int64_t done(std::string_view test, const char* what) const {
    for (const Json& found : verdicts) {
      if (found["test"] == test && found.contains("done")) return found["done"].value(what, std::int64_t{0});
    }
    return 0;
  }
  std::size_t count(std::string_view verdict) const {
    return static_cast<std::size_t>(std::count_if(verdicts.begin(), verdicts.end(),
                                                  [&](const Json& found) { return found["verdict"] == verdict; }));
  }
};

struct Job {
  std::filesystem::path plugin;
  std::vector<std::string> options;
  std::filesystem::path working_directory = {};
  std::chrono::seconds limit = patience;
};

inline Verification verify(const Job& job) {
  Command command;
  command.program = program_path();
  command.arguments = {"verify", "--json", job.plugin.string()};
  command.working_directory = job.working_directory;
  command.arguments.insert(command.arguments.end(), job.options.begin(), job.options.end());
  Verification result{Process(command).wait(job.limit), {}, {}};
  std::istringstream lines(result.end.out);
  for (std::string line; std::getline(lines, line);) {
    Json object = Json::parse(line);
    if (object.contains("summary")) {
      result.summary = std::move(object);
    } else {
      result.verdicts.push_back(std::move(object));
    }
  }
  return result;
}

inline Verification verify(const std::filesystem::path& plugin, const std::vector<std::string>& options) {
  return verify(Job{plugin, options});
}

// Several at a time, since they mostly wait. Those without a working directory have one of their own: what a plugin
// leaves there would be laid to its neighbour's charge.
inline std::vector<Verification> verify_all(const std::vector<Job>& jobs, int at_once = 2) {
  std::vector<Verification> results(jobs.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) {
      const TemporaryDirectory own;
      Job job = jobs[i];
      if (job.working_directory.empty()) job.working_directory = own.path();
      results[i] = verify(job);
    }
  };
  std::vector<std::future<void>> others;
  for (int other = 1; other < at_once; ++other) others.push_back(std::async(std::launch::async, work));
  work();
  for (std::future<void>& other : others) other.get();
  return results;
}

}  // namespace taskhost::test
