#include "embed/manifest_verify.hpp"

#include <set>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "admission.hpp"
#include "manifest/file.hpp"
#include "manifest/manifest.hpp"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {

using verify::Result;

namespace {

Result no_task(const Manifest& manifest, const std::string& file, const std::string& name) {
  std::vector<std::string_view> names;
  for (const ManifestTask& task : manifest.tasks) {
    if (!task.name.empty()) names.emplace_back(task.name);
  }
  const std::string_view nearest = nearest_word(name, names);
  return {TASKHOST_RESULT_BAD_MANIFEST, printable_path(file) + ": no task has the \"name\" " + quoted_text(name) +
                                            (nearest.empty() ? "" : "; did you mean " + quoted_text(nearest) + "?")};
}

}  // namespace

Result verify_manifest(const std::string& path, const verify::Options& options,
                       const std::function<void(const verify::Verdict&)>& on_verdict) {
  const ManifestFile file = read_manifest_file(path);
  if (!file.problem.empty()) {
    return {TASKHOST_RESULT_BAD_MANIFEST, printable_path(file.name) + ": " + file.problem};
  }
  const ManifestReading reading = read_manifest(file, SystemSurroundings());
  if (!reading.faults.empty()) return {TASKHOST_RESULT_BAD_MANIFEST, lines_of(reading.faults)};

  const std::vector<PluginSearch> searches = plugin_searches(reading.manifest, {});
  const std::string wanted = options.task.value_or("");
  std::vector<verify::Options> jobs;
  std::vector<Fault> faults;
  std::set<std::tuple<std::string, std::string, std::string, std::string>> seen;
  for (const ManifestTask& task : reading.manifest.tasks) {
    if (options.task && task.name != wanted) continue;
    const PluginSearch& search = searches[task.part];
    const std::string directory = search.manifest_directory.string();
    std::string problem;
    const std::string plugin = search.find(task.plugin, problem).string();
    if (plugin.empty()) {
      faults.push_back({.file = reading.manifest.parts[task.part].name,
                        .where = task.pointer + "/plugin",
                        .message = problem,
                        .line = task.line});
    } else if (seen.emplace(plugin, task.factory, task.config, directory).second) {
      verify::Options& job = jobs.emplace_back(options);
      job.plugin = plugin;
      job.task.reset();
      if (!task.factory.empty()) job.task = task.factory;
      if (!task.config.empty()) job.config = task.config;
      job.name = task.name;
      job.directory = directory;
      job.has_secrets = task.has_secrets;
    }
  }
  if (!faults.empty()) return {TASKHOST_RESULT_BAD_PLUGIN, lines_of(faults)};
  if (jobs.empty() && options.task) return no_task(reading.manifest, file.name, wanted);
  if (jobs.empty()) {
    return {TASKHOST_RESULT_BAD_MANIFEST,
            printable_path(file.name) + ": it has no tasks that could be tested; name a plugin's file instead"};
  }

  Result whole;
  for (const verify::Options& job : jobs) {
    Result result = verify::run(job, [&](verify::Verdict verdict) {
      if (!job.name.empty()) verdict.factory = job.name;
      on_verdict(verdict);
    });
    if (result.code > TASKHOST_RESULT_TASK_FAILED) return result;
    if (result.code != TASKHOST_RESULT_OK) whole = std::move(result);
  }
  return whole;
}

}  // namespace taskhost
