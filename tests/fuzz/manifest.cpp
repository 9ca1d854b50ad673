// A manifest's text: faults that an operator can read, and an explanation if there are none.
#include "manifest/manifest.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "fuzz.hpp"
#include "policy/explanation.hpp"

namespace taskhost::fuzz {

namespace {

constexpr std::string_view secret = "s3cret-value";
constexpr std::string_view main_name = "manifest.json";

// Three files and a few variables; "again" is the input itself.
class Surroundings final : public ManifestSurroundings {
 public:
  explicit Surroundings(std::string_view text) : text_(text) {}

  File read(const std::filesystem::path& path, std::size_t max_bytes) const override {
    File file;
    const std::string name = path.filename().string();
    if (name == "a.json") {
      file.text = R"({"groups": {"i": {"strategy": "one_for_all"}}, "defaults": {"window": "9s"}, "include": ["again"],
                      "tasks": [{"name": "a", "plugin": "p", "type": "mandatory", "restarts": 1, "group": "g"}]})";
    } else if (name == "again") {
      file.text = text_;
    } else if (name == "token") {
      file.text = std::string(secret) + '\n';
      file.is_open_to_all = true;
    } else {
      file.problem = "No such file or directory";
      file.is_gone = true;
    }
    if (file.text.size() > max_bytes) file.problem = "it is too large";
    if (!file.is_gone) file.identity = name;
    return file;
  }

  Listing list(const std::filesystem::path& directory) const override {
    Listing listing;
    listing.names = {".", "..", "a.json", "a.json~", ".hidden", "again", "\xff\n"};
    listing.is_absent = directory == "absent";
    return listing;
  }

  std::optional<std::string> variable(const std::string& name) const override {
    if (name == "E") return "";
    if (name == "B") return "\xff";
    return name == "A" ? std::optional<std::string>("a") : std::nullopt;
  }

 private:
  std::string_view text_;
};

void judge_faults(const ManifestReading& reading, std::string_view text) {
  const std::size_t lines = 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  require(reading.readable || !reading.faults.empty(), "what can't be read has a fault");
  require(reading.faults.size() <= 101, "no more than a hundred faults, and one that counts the rest");
  for (const Fault& fault : reading.faults) {
    const std::string words = fault.text();
    require(is_one_printable_line(words) && words.size() < 8192, "a fault is a printable line", words);
    require(!fault.message.empty(), "a fault says what is wrong", words);
    require(fault.file != main_name || fault.line <= lines, "a fault lies in the text", words);
    const bool is_shown = words.find(secret) != std::string::npos && text.find(secret) == std::string_view::npos;
    require(!is_shown, "a fault shows no secret", words);
  }
  require(reading.warnings.size() <= 100, "no more than a hundred warnings");
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
  ManifestFile main;
  main.name = fuzz::main_name;
  main.text = text;
  const ManifestReading reading = read_manifest(main, fuzz::Surroundings(text));
  fuzz::judge_faults(reading, text);
  fuzz::require(!reading.readable || nlohmann::json::accept(text, true), "what is read is JSON with comments", text);
  for (const ManifestTask& task : reading.manifest.tasks) {
    fuzz::require(task.config.empty() || nlohmann::json::accept(task.config), "a config is JSON", task.config);
    fuzz::require(task.has_secrets || task.config.find(fuzz::secret) == std::string::npos ||
                      text.find(fuzz::secret) != std::string_view::npos,
                  "a config with a secret is known as one", task.config);
  }
  if (reading.faults.empty()) fuzz::explain(reading.manifest);
  return 0;
}
