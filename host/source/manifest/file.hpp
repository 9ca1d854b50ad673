// Reads a manifest's text, and determines the directory from which its relative paths count. Any thread.
#pragma once

#include <filesystem>
#include <string>

namespace taskhost {

struct ManifestFile {
  std::string name;                 // for messages: as given, "stdin" for "-"
  std::filesystem::path directory;  // empty for the working directory
  std::string text;
  std::string problem;   // what went wrong, without the file's name; empty if it could be read
  std::string identity;  // the same for all names of one file; empty for what is no regular file
};

// Throws system_failure if the process has no descriptor left.
ManifestFile read_manifest_file(const std::string& path);

}  // namespace taskhost
