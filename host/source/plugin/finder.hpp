// Finds plugins: turns names and directories into paths. Reads the file system, loads nothing. Owner's thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace taskhost {

struct PluginSearch {
  std::filesystem::path manifest_directory;               // the base of a manifest's relative paths
  std::vector<std::filesystem::path> plugin_directories;  // in order of search
  std::filesystem::path installed_directory;              // searched last, for names; never autoloaded. May be empty

  // The file of a manifest's "plugin"; empty if there is none, and then `problem` says where it was searched for and
  // suggests a similar name.
  std::filesystem::path find(const std::string& plugin, std::string& problem) const;

  // Every library in the plugin directories, by name; a file with several names comes once. Skips hidden files, which
  // editors and file systems leave behind. Sets `problem` if a directory can't be read.
  std::vector<std::filesystem::path> all(std::string& problem) const;
};

// Where an installation has the bundled plugins, beside libtaskhost, whether or not it exists; empty if the library's
// own file can't be found.
std::filesystem::path installed_plugin_directory();

// The same text for one file, whatever name led to it.
std::string canonical_path(const std::filesystem::path& path);

}  // namespace taskhost
