#include "manifest/file_pattern.hpp"

#include <fnmatch.h>

#include <algorithm>

#include "text/printable.hpp"

namespace taskhost {

namespace fs = std::filesystem;

namespace {

bool is_leftover(std::string_view name) {
  return name.ends_with('~') || (name.size() > 1 && name.starts_with('#') && name.ends_with('#'));
}

bool matches(const fs::path& part, const std::string& name) {
  if (part.native() == name) return true;  // so that each file can be named
  return !is_leftover(name) && ::fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0;
}

}  // namespace

bool is_file_pattern(std::string_view text) noexcept { return text.find_first_of("*?[") != std::string_view::npos; }

FileMatches match_files(const fs::path& directory, const std::string& pattern,
                        const ManifestSurroundings& surroundings) {
  FileMatches found;
  found.paths = {directory};
  bool is_first = true;
  for (const fs::path& part : fs::path(pattern)) {
    if (!is_file_pattern(part.native())) {
      for (fs::path& path : found.paths) path /= part;
      continue;
    }
    std::vector<fs::path> next;
    for (const fs::path& path : found.paths) {
      ManifestSurroundings::Listing listing = surroundings.list(path);
      if (!listing.problem.empty()) {
        found.problem =
            "the directory " + quoted_path(path.empty() ? "." : path.native()) + " can't be read: " + listing.problem;
        return found;
      }
      if (listing.is_absent && is_first) found.absent = path;
      for (const std::string& name : listing.names) {
        if (name != "." && name != ".." && matches(part, name)) next.push_back(path / name);
      }
    }
    is_first = false;
    found.paths = std::move(next);
  }
  std::sort(found.paths.begin(), found.paths.end(),
            [](const fs::path& left, const fs::path& right) { return left.native() < right.native(); });
  return found;
}

}  // namespace taskhost
