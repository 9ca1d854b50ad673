// Puts values from outside into the pieces of a manifest, before they are read: environment variables into strings, and
// the contents of files in the place of {"$file": "…"}. Owned by one reading, on its thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "manifest/faults.hpp"
#include "manifest/node.hpp"
#include "manifest/surroundings.hpp"

namespace taskhost {

// The limit of all that a manifest consists of: its texts and what is put into them.
inline constexpr std::size_t max_manifest_bytes = std::size_t{1} << 30;
inline constexpr std::size_t max_value_bytes = std::size_t{1}
                                               << 20;  // of a value from a file, and of a string with variables

class ManifestExpansion {
 public:
  ManifestExpansion(const ManifestSurroundings& surroundings, ManifestFaults& faults)
      : surroundings_(surroundings), faults_(faults) {}

  // What follows belongs to this text, whose relative paths count from `directory`.
  void turn_to(std::string_view text, const std::filesystem::path& directory);

  struct Done {
    bool has_secrets = false;  // values from files
    bool is_wrong = false;     // has faults of its own; the values concerned are null
  };
  // A field of the top object.
  Done expand_field(ManifestNode& field, const std::string& pointer);
  // An entry of "tasks". What is said in return concerns its config alone, the only place for values from files.
  Done expand_task(ManifestNode& task, const std::string& pointer);

  // Whether this many bytes more are within the limit; they count from then on.
  bool spend(std::size_t bytes) noexcept;

  // The files that values come from, each once.
  std::vector<std::filesystem::path> take_files() { return std::move(files_); }

 private:
  // The way to a node, for faults.
  struct Step {
    const Step* from;
    const ManifestNode& node;
    std::size_t index;  // in an array
    bool is_element;
  };
  struct Value {
    std::string text;
    std::string problem;
  };

  bool is_plain() const noexcept { return !may_expand_; }
  void expand(ManifestNode& node, const Step& step, bool is_in_config, Done& done);
  void put_variables(ManifestNode& node, const Step& step, Done& done);
  void put_file(ManifestNode& node, const Step& step, bool is_in_config, Done& done);
  const Value& value_of(const std::filesystem::path& path, std::size_t offset, const std::string& pointer);
  void refuse(ManifestNode& node, const Step& step, std::string message, Done& done);
  std::string pointer_of(const Step& step) const;

  const ManifestSurroundings& surroundings_;
  ManifestFaults& faults_;
  std::filesystem::path directory_;
  const std::string* base_ = nullptr;  // pointer of the piece
  bool may_expand_ = false;
  std::size_t spent_ = 0;
  std::unordered_map<std::string, Value> values_;  // by path: each file is read once
  std::vector<std::filesystem::path> files_;
};

}  // namespace taskhost
