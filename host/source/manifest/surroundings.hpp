// What a manifest may read besides its own text: other files, names of files, and environment variables. The only way
// to them, so that tests and fuzzing can provide their own. Any thread.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace taskhost {

class ManifestSurroundings {
 public:
  virtual ~ManifestSurroundings() = default;

  struct File {
    std::string text;
    std::string problem;          // why it can't be read, without its name; empty if it could be
    std::string identity;         // as in ManifestFile
    bool is_gone = false;         // nothing has this name, not even a dangling link
    bool is_open_to_all = false;  // every user may read it
  };
  // Regular files only, of at most this size.
  virtual File read(const std::filesystem::path& path, std::size_t max_bytes) const = 0;

  struct Listing {
    std::vector<std::string> names;  // all of them, in any order
    bool is_absent = false;          // there is no such directory
    std::string problem;             // why it can't be read otherwise
  };
  virtual Listing list(const std::filesystem::path& directory) const = 0;

  // Without a value, it is not set.
  virtual std::optional<std::string> variable(const std::string& name) const = 0;
};

// The same for all names of a regular file; empty for anything else.
std::string file_identity(const struct stat& status);

// The file system and the process's environment. `read` and `list` throw system_failure if the process has no
// descriptor left. Variables are read while a manifest is, never later.
class SystemSurroundings final : public ManifestSurroundings {
 public:
  File read(const std::filesystem::path& path, std::size_t max_bytes) const override;
  Listing list(const std::filesystem::path& directory) const override;
  std::optional<std::string> variable(const std::string& name) const override;
};

// There is nothing.
class NoSurroundings final : public ManifestSurroundings {
 public:
  File read(const std::filesystem::path& path, std::size_t max_bytes) const override;
  Listing list(const std::filesystem::path& directory) const override;
  std::optional<std::string> variable(const std::string& name) const override;
};

}  // namespace taskhost
