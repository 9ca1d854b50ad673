// Files and variables for tests of the manifest's reader, in memory.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "manifest/manifest.hpp"

namespace taskhost::test {

class FakeSurroundings final : public ManifestSurroundings {
 public:
  std::map<std::string, std::string> files;
  std::map<std::string, std::string> problems;  // by name, of files and directories
  std::map<std::string, std::string> links;     // other names of files
  std::map<std::string, std::string> variables;
  std::set<std::string> open_to_all;
  mutable std::vector<std::string> read_names;

  File read(const std::filesystem::path& path, std::size_t max_bytes) const override {
    read_names.push_back(path.string());
    const auto link = links.find(path.string());
    const std::string name = link != links.end() ? link->second : path.string();
    const auto found = files.find(name);
    File file;
    if (const auto problem = problems.find(name); problem != problems.end()) {
      file.problem = problem->second;
    } else if (found == files.end()) {
      file.problem = "No such file or directory";
      file.is_gone = true;
    } else if (found->second.size() > max_bytes) {
      file.problem = "it is larger than the limit of " + std::to_string(max_bytes) + " bytes";
    } else {
      file.text = found->second;
      file.identity = name;
      file.is_open_to_all = open_to_all.contains(name);
    }
    return file;
  }

  Listing list(const std::filesystem::path& directory) const override {
    Listing listing;
    if (const auto problem = problems.find(directory.string()); problem != problems.end()) {
      listing.problem = problem->second;
      return listing;
    }
    std::set<std::string> names;
    const std::string prefix = directory.empty() ? "" : directory.string() + '/';
    for (const auto& known : {files, links}) {
      for (const auto& [name, content] : known) {
        if (!name.starts_with(prefix)) continue;
        const std::string rest = name.substr(prefix.size());
        names.insert(rest.substr(0, rest.find('/')));
      }
    }
    listing.names.assign(names.begin(), names.end());
    listing.is_absent = names.empty();
    return listing;
  }

  std::optional<std::string> variable(const std::string& name) const override {
    const auto found = variables.find(name);
    return found != variables.end() ? std::optional(found->second) : std::nullopt;
  }

  // Reads one of the files as the main one.
  ManifestReading reading(const std::string& name = "m") const {
    ManifestFile main;
    main.name = name;
    main.directory = std::filesystem::path(name).parent_path();
    main.text = files.at(name);
    main.identity = name;
    return read_manifest(main, *this);
  }

  std::vector<std::string> faults(const std::string& name = "m") const {
    std::vector<std::string> lines;
    for (const Fault& fault : reading(name).faults) lines.push_back(fault.text());
    return lines;
  }

  std::vector<std::string> warnings(const std::string& name = "m") const {
    std::vector<std::string> lines;
    for (const Fault& fault : reading(name).warnings) lines.push_back(fault.text());
    return lines;
  }
};

}  // namespace taskhost::test
