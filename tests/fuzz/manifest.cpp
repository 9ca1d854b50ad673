// A manifest's text: faults that an operator can read, and an explanation if there are none.
#include "manifest/manifest.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "fuzz.hpp"
#include "policy/explanation.hpp"

namespace taskhost::fuzz {

namespace {

void judge_faults(const ManifestReading& reading, std::string_view text) {
  const std::size_t lines = 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  require(reading.readable || !reading.faults.empty(), "what can't be read has a fault");
  require(reading.faults.size() <= 101, "no more than a hundred faults, and one that counts the rest");
  for (const Fault& fault : reading.faults) {
    const std::string words = fault.text();
    require(is_one_printable_line(words) && words.size() < 8192, "a fault is a printable line", words);
    require(!fault.message.empty(), "a fault says what is wrong", words);
    require(fault.line <= lines, "a fault lies in the text", words);
  }
}

// The tasks as admission would provide them, but without plugins: a task without a name gets a made-up one.
void explain(const Manifest& manifest) {
  TaskList tasks;
  ExplainedTasks explained{.tasks = tasks, .group_names = {}, .shutdown_timeout = manifest.shutdown_timeout};
  explained.default_stop_timeout = manifest.default_stop_timeout;
  std::map<std::string, std::uint32_t> places;
  for (const ManifestTask& task : manifest.tasks) {
    const std::string name = task.name.empty() ? "unnamed " + std::to_string(tasks.size()) : task.name;
    places.emplace(name, static_cast<std::uint32_t>(tasks.size()));
    tasks.add(name, TaskFn(std::shared_ptr<const Recipe>()), task.options);
  }
  for (const ManifestGroup& group : manifest.groups) {
    tasks.groups.push_back(group.strategy);
    explained.group_names.push_back(group.name);
  }
  for (const ManifestRelation& own : manifest.relations) {
    TaskList::Relation relation;
    relation.task = static_cast<std::uint32_t>(own.task);
    for (const std::string& name : own.after) {
      const auto place = places.find(name);
      // Admission refuses cycles; here what comes later in the text is passed over.
      if (place != places.end() && place->second < own.task) relation.after.push_back(place->second);
    }
    if (own.group) relation.group = static_cast<std::uint32_t>(*own.group);
    tasks.relations.push_back(std::move(relation));
  }
  require(is_utf8(explanation_text(explained)), "an explanation is UTF-8");
  const std::string json = explanation_json(explained);
  require(nlohmann::json::accept(json), "an explanation in JSON is JSON", json);
}

}  // namespace

}  // namespace taskhost::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace taskhost;
  const std::string_view text = fuzz::Input(data, size).rest();
  const ManifestReading reading = read_manifest(text, "manifest.json");
  fuzz::judge_faults(reading, text);
  fuzz::require(!reading.readable || nlohmann::json::accept(text, true), "what is read is JSON with comments", text);
  for (const ManifestTask& task : reading.manifest.tasks) {
    fuzz::require(task.config.empty() || nlohmann::json::accept(task.config), "a config is JSON", task.config);
  }
  if (reading.faults.empty()) fuzz::explain(reading.manifest);
  return 0;
}
