#include "plugin_finder.hpp"

#include <algorithm>
#include <set>

#include "manifest_text.hpp"
#include "nearest_word.hpp"
#include "plugin_library.hpp"

namespace taskhost {

namespace fs = std::filesystem;

namespace {

bool is_there(const fs::path& path) {
  std::error_code error;
  // A dangling link is a file that can't be loaded, not a name that is not there.
  return fs::exists(path, error) || fs::is_symlink(path, error);
}

std::vector<fs::path> libraries_in(const fs::path& directory, std::error_code& error) {
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".so") found.push_back(entry->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string directory_words(const std::vector<fs::path>& directories) {
  std::vector<std::string_view> names;
  names.reserve(directories.size());
  for (const fs::path& directory : directories) names.emplace_back(directory.native());
  return quoted_list(names, "or");
}

std::string nearest_plugin(const std::string& plugin, const std::vector<fs::path>& directories) {
  std::vector<std::string> names;
  for (const fs::path& directory : directories) {
    std::error_code error;
    for (const fs::path& file : libraries_in(directory, error)) {
      names.push_back(undecorated_library_name(file.filename().string()));
    }
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  return std::string(nearest_word(plugin, known));
}

}  // namespace

fs::path PluginSearch::find(const std::string& plugin, std::string& problem) const {
  if (plugin.find('/') != std::string::npos) {
    fs::path path = manifest_directory / plugin;
    if (is_there(path)) return path;
    problem = "there is no plugin " + quoted_text(path.native());
    return {};
  }
  for (const fs::path& directory : plugin_directories) {
    for (const std::string& name : {plugin + ".so", "lib" + plugin + ".so", plugin}) {
      // A bare name is a file only with its ending: a directory or a source file of that name is not meant.
      if (name == plugin && !plugin.ends_with(".so")) continue;
      if (is_there(directory / name)) return directory / name;
    }
  }
  problem = "there is no plugin " + quoted_text(plugin) + " (" + plugin + ".so or lib" + plugin + ".so) in " +
            directory_words(plugin_directories);
  const std::string nearest = nearest_plugin(plugin, plugin_directories);
  if (!nearest.empty()) problem += "; did you mean " + quoted_text(nearest) + "?";
  return {};
}

std::vector<fs::path> PluginSearch::all(std::string& problem) const {
  std::vector<fs::path> found;
  std::set<std::string> seen;
  for (const fs::path& directory : plugin_directories) {
    std::error_code error;
    for (fs::path& file : libraries_in(directory, error)) {
      if (seen.insert(canonical_path(file)).second) found.push_back(std::move(file));
    }
    if (error && problem.empty()) {
      problem = "the plugin directory " + quoted_text(directory.native()) + " can't be read: " + error.message();
    }
  }
  return found;
}

std::string canonical_path(const fs::path& path) {
  std::error_code error;
  const fs::path canonical = fs::canonical(path, error);
  return error ? fs::absolute(path, error).lexically_normal().string() : canonical.string();
}

}  // namespace taskhost
