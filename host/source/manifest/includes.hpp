// Finds and reads the files that a manifest's "include" names. Owned by one reading, on its thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "manifest/expansion.hpp"
#include "manifest/faults.hpp"
#include "manifest/file.hpp"
#include "manifest/surroundings.hpp"

namespace taskhost {

// One element of "include".
struct ManifestInclude {
  std::string text;  // a name or a pattern
  std::string pointer;
  std::size_t offset;
};

class ManifestIncludes {
 public:
  // `limit` counts what is read.
  ManifestIncludes(const ManifestFile& main, const ManifestSurroundings& surroundings, ManifestExpansion& limit,
                   ManifestFaults& faults);

  using Reader = std::function<void(ManifestFile&& file)>;
  // Passes on the files that `includes` name, in this order. The reader may call follow for what they include in turn.
  // Returns whether all could be read.
  bool follow(const std::vector<ManifestInclude>& includes, const std::filesystem::path& directory,
              const Reader& reader);

 private:
  struct Known {
    std::string pointer;  // of the "include" that named it first
    std::size_t file;
    std::size_t offset;
  };
  struct Open {
    std::string name;
    std::string identity;
  };

  bool follow_one(const ManifestInclude& include, const std::filesystem::path& directory, const Reader& reader);
  bool read(const ManifestInclude& include, const std::filesystem::path& path, bool is_matched, const Reader& reader);
  bool refuse(const ManifestInclude& include, std::string message);
  std::string way_to(const std::string& identity, const std::string& name) const;

  const ManifestSurroundings& surroundings_;
  ManifestExpansion& limit_;
  ManifestFaults& faults_;
  std::vector<Open> open_;                        // from the main one to the one that is being read
  std::unordered_map<std::string, Known> known_;  // by identity
  std::size_t count_ = 0;
};

}  // namespace taskhost
