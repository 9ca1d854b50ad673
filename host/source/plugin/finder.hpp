// Where plugins are: names and directories to paths. Looks at the file system, loads nothing. Owner's thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace taskhost {

struct PluginSearch {
  std::filesystem::path manifest_directory;               // relative paths of a manifest count from here
  std::vector<std::filesystem::path> plugin_directories;  // in order of search
  std::filesystem::path installed_directory;              // after them, for names; never autoloaded. May be empty

  // The file of a manifest's "plugin"; empty if there is none, and then `problem` says where it was looked for, and
  // what is near.
  std::filesystem::path find(const std::string& plugin, std::string& problem) const;

  // Every library in the plugin directories, by name; a file that several names lead to comes once.
  // Hidden files are passed over: editors and file systems keep their leftovers so. `problem` is set if a directory
  // can't be read.
  std::vector<std::filesystem::path> all(std::string& problem) const;
};

// Where an installation has the bundled plugins, beside libtaskhost; empty if there is no such directory.
std::filesystem::path installed_plugin_directory();

// One text for one file, whatever name led to it.
std::string canonical_path(const std::filesystem::path& path);

}  // namespace taskhost
