#include "manifest/includes.hpp"

#include <utility>

#include "manifest/file_pattern.hpp"
#include "manifest/manifest.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace fs = std::filesystem;

ManifestIncludes::ManifestIncludes(const ManifestFile& main, const ManifestSurroundings& surroundings,
                                   ManifestExpansion& limit, ManifestFaults& faults)
    : surroundings_(surroundings), limit_(limit), faults_(faults), open_{{main.name, main.identity}} {}

bool ManifestIncludes::follow(const std::vector<ManifestInclude>& includes, const fs::path& directory,
                              const Reader& reader) {
  bool all = true;
  for (const ManifestInclude& include : includes) {
    if (count_ > max_included_files) return false;  // already reported
    all = follow_one(include, directory, reader) && all;
  }
  return all;
}

bool ManifestIncludes::follow_one(const ManifestInclude& include, const fs::path& directory, const Reader& reader) {
  if (!is_file_pattern(include.text)) return read(include, directory / include.text, false, reader);
  if (include.text.find("**") != std::string::npos) {
    return refuse(include, "\"**\" does not search directories below; name them, such as \"tasks.d/*/*.json\"");
  }
  const FileMatches found = match_files(directory, include.text, surroundings_);
  if (!found.problem.empty()) return refuse(include, found.problem);
  if (!found.absent.empty()) {
    faults_.warn(include.offset, include.pointer,
                 "the directory " + quoted_path(found.absent.native()) + " does not exist, so nothing is included");
  }
  bool all = true;
  for (const fs::path& path : found.paths) {
    all = read(include, path, true, reader) && all;
    if (count_ > max_included_files) return false;
  }
  return all;
}

bool ManifestIncludes::read(const ManifestInclude& include, const fs::path& path, bool is_matched,
                            const Reader& reader) {
  const std::string name = path.string();
  if (open_.size() > max_include_depth) {
    return refuse(include, "files include each other more than " + std::to_string(max_include_depth) +
                               " levels deep; include " + quoted_path(name) + " from the main manifest");
  }
  if (++count_ > max_included_files) {
    return refuse(include,
                  "more than " + std::to_string(max_included_files) + " files are included; put more tasks into each");
  }
  ManifestSurroundings::File file = surroundings_.read(path, max_manifest_bytes);
  if (file.is_gone && is_matched) return true;  // it was removed meanwhile
  if (!file.problem.empty()) {
    const std::string hint = file.problem == "it is a directory"
                                 ? "; for the files in it, write \"" + printable_path(include.text) + "/*.json\""
                             : file.is_gone && !include.text.starts_with('/')
                                 ? "; a relative path is from the directory of the file that includes it"
                                 : std::string();
    return refuse(include, quoted_path(name) + " can't be included: " + file.problem + (is_matched ? "" : hint));
  }
  if (!limit_.spend(file.text.size())) {
    return refuse(include,
                  quoted_path(name) + " can't be included: with it, the manifest is larger than the limit of 1 GiB");
  }
  for (const Open& open : open_) {
    if (file.identity.empty() || open.identity != file.identity) continue;
    const std::string way = way_to(file.identity, name);
    return refuse(include, "the file includes itself: " + way +
                               "; remove this, or put the files to include into a "
                               "directory of their own");
  }
  if (!file.identity.empty()) {
    const auto [known, is_new] =
        known_.try_emplace(file.identity, Known{include.pointer, faults_.file(), include.offset});
    if (!is_new) {
      const Known& first = known->second;
      faults_.add_if_told(include.offset, [&] {
        return ManifestFaults::Texts{include.pointer,
                                     quoted_path(name) + " is included twice, first by " + first.pointer +
                                         faults_.place_words(first.file, faults_.line_of(first.file, first.offset)) +
                                         "; remove one of the two"};
      });
      return false;
    }
  }
  open_.push_back({name, file.identity});
  reader({.name = name,
          .directory = path.parent_path(),
          .text = std::move(file.text),
          .problem = {},
          .identity = std::move(file.identity)});
  open_.pop_back();
  return true;
}

bool ManifestIncludes::refuse(const ManifestInclude& include, std::string message) {
  faults_.add(include.offset, include.pointer, std::move(message));
  return false;
}

// "a.json → b.json → a.json"
std::string ManifestIncludes::way_to(const std::string& identity, const std::string& name) const {
  std::string way;
  for (const Open& open : open_) {
    if (way.empty() && open.identity != identity) continue;
    way += printable_path(open.name) + " → ";
  }
  return way + printable_path(name);
}

}  // namespace taskhost
