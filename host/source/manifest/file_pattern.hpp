// Names of files with wildcards, as in the shell: "tasks.d/*.json".
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/surroundings.hpp"

namespace taskhost {

// Whether it is a pattern rather than a plain name.
bool is_file_pattern(std::string_view text) noexcept;

struct FileMatches {
  std::vector<std::filesystem::path> paths;  // sorted by their bytes; some may not exist
  std::filesystem::path absent;              // the directory before the first wildcard, if there is none
  std::string problem;                       // a directory that can't be read, with its name; empty if there is none
};

// A wildcard matches no "/", no hidden file, and none of those that editors leave behind ("x.json~", "#x.json#"); but
// what has a wildcard in its own name matches itself.
FileMatches match_files(const std::filesystem::path& directory, const std::string& pattern,
                        const ManifestSurroundings& surroundings);

}  // namespace taskhost
