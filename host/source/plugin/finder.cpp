#include "plugin/finder.hpp"

#include <dlfcn.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <system_error>

#include "plugin/library.hpp"
#include "plugin/script_hint.hpp"
#include "system/refusal.hpp"
#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace fs = std::filesystem;

namespace {

// 0, or the reason why nothing is there. A dangling link counts as a file that can't be loaded, not as a missing name.
int absence_of(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? 0 : errno;
}

std::vector<fs::path> libraries_in(const fs::path& directory, std::error_code& error) {
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const fs::path& path = entry->path();
    const bool hidden = path.filename().native().starts_with('.');
    if (path.extension() == ".so" && !hidden) found.push_back(path);
  }
  std::sort(found.begin(), found.end());
  return found;
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

// "; "plugins" does not exist", and so on for each directory that could not be searched.
std::string absence_words(const std::vector<fs::path>& directories, const std::string& file) {
  std::string words;
  for (const fs::path& directory : directories) {
    const int directory_error = absence_of(directory);
    const int error = directory_error != 0 ? directory_error : absence_of(directory / file);
    if (directory_error == ENOENT) {
      words += "; " + quoted_path(directory.native()) + " does not exist";
    } else if (error != ENOENT) {
      words += "; " + quoted_path(directory.native()) + " can't be searched: " + refusal_words(directory / file, error);
    }
  }
  return words;
}

}  // namespace

fs::path PluginSearch::find(const std::string& plugin, std::string& problem) const {
  if (plugin.find('/') != std::string::npos) {
    fs::path path = manifest_directory / plugin;
    const int absence = absence_of(path);
    if (absence == 0) return path;
    problem = absence == ENOENT
                  ? "there is no plugin " + quoted_path(path.native())
                  : "the plugin " + quoted_path(path.native()) + " can't be reached: " + refusal_words(path, absence);
    const std::string script = script_hint(plugin);
    if (!script.empty()) {
      problem += script;
    } else if (absence == ENOENT && fs::path(plugin).is_relative()) {
      problem += "; " + quoted_text(plugin) + " counts from " + quoted_path(manifest_directory.native()) +
                 ": put it there, or give its full path";
    } else if (absence == ENOENT && (plugin.starts_with("/tmp/") || plugin.starts_with("/var/tmp/"))) {
      problem += "; a service with PrivateTmp= has a folder of its own there: put it elsewhere";
    }
    return {};
  }
  std::vector<fs::path> directories = plugin_directories;
  if (!installed_directory.empty()) directories.push_back(installed_directory);
  for (const fs::path& directory : directories) {
    for (const std::string& name : {plugin + ".so", "lib" + plugin + ".so", plugin}) {
      // A bare name means a file only with its ending, not a directory or source file of that name.
      if (name == plugin && !plugin.ends_with(".so")) continue;
      if (absence_of(directory / name) == 0) return directory / name;
    }
  }
  std::vector<std::string> places;
  for (const fs::path& directory : directories) places.push_back(quoted_path(directory.native()));
  const bool is_file = plugin.ends_with(".so");
  problem = "there is no plugin " + quoted_text(plugin) +
            (is_file ? "" : " (" + plugin + ".so or lib" + plugin + ".so)") + " in " + word_list(places, "or") +
            absence_words(directories, is_file ? plugin : plugin + ".so");
  const std::string script = script_hint(plugin);
  const std::string nearest =
      script.empty() ? nearest_plugin(undecorated_library_name(plugin), directories) : std::string();
  if (!nearest.empty()) {
    problem += "; did you mean " + quoted_text(nearest) + "?";
  } else if (!script.empty()) {
    problem += script;
  } else {
    problem += "; install it in one of these, or name its directory (\"plugin_dirs\" or --plugin-dir)";
    std::error_code error;
    if (!installed_directory.empty() && !fs::exists(installed_directory, error)) {
      problem += "; the bundled plugins are not installed (Debian: the package taskhost-plugins)";
    }
  }
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
      problem = "the plugin directory " + quoted_path(directory.native()) +
                " can't be read: " + refusal_words(directory, error.value());
    }
  }
  return found;
}

fs::path installed_plugin_directory() {
  Dl_info library{};
  if (::dladdr(reinterpret_cast<void*>(&installed_plugin_directory), &library) == 0) return {};
  std::error_code error;
  const fs::path file = fs::canonical(library.dli_fname, error);
  return error ? fs::path() : file.parent_path() / "taskhost/plugins";
}

std::string canonical_path(const fs::path& path) {
  std::error_code error;
  const fs::path canonical = fs::canonical(path, error);
  return error ? fs::absolute(path, error).lexically_normal().string() : canonical.string();
}

}  // namespace taskhost
