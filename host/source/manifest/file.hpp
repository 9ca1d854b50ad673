// A manifest's text from where it lies, and the directory that its relative paths count from. Any thread.
#pragma once

#include <filesystem>
#include <string>

namespace taskhost {

struct ManifestFile {
  std::string name;                 // for messages: as it was given, "stdin" for "-"
  std::filesystem::path directory;  // empty: the working directory
  std::string text;
  std::string problem;  // in words, without the name; empty if it could be read
};

// Throws system_failure where the process has no descriptor left.
ManifestFile read_manifest_file(const std::string& path);

}  // namespace taskhost
