// Where plugins are: names and directories to paths. Looks at the file system, loads nothing. Owner's thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace taskhost {

struct PluginSearch {
  std::filesystem::path manifest_directory;               // relative paths of a manifest count from here
  std::vector<std::filesystem::path> plugin_directories;  // in order of search

  // The file of a manifest's "plugin"; empty if there is none, and then `problem` says where it was looked for, and
  // what is near.
  std::filesystem::path find(const std::string& plugin, std::string& problem) const;

  // Every library in the plugin directories, by name; a file that several names lead to comes once.
  // `problem` is set if a directory can't be read.
  std::vector<std::filesystem::path> all(std::string& problem) const;
};

// One text for one file, whatever name led to it.
std::string canonical_path(const std::filesystem::path& path);

}  // namespace taskhost
