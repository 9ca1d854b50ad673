// What a plugin's library shares with the others in its process: the dynamic loader merges libraries by the names of
// symbols and files, and does not report it if two mean different things by the same name. Owner's thread.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "plugin/elf_file.hpp"

namespace taskhost {

// The sanitizer runtime that should have been loaded before the library, but was not, in words; otherwise empty.
std::string missing_runtime(const LibraryContents& contents);

// Whether it looks like a plugin, of whatever version, before it is loaded. True if that can't be determined.
bool may_be_plugin(const LibraryContents& contents);

// Symbols that it exports without need, except for those of the standard library that all C++ code has.
std::vector<std::string> exported_beyond_entry(const LibraryContents& contents);

// "settings()::one, Counter<int>::n and 7 more"
std::string symbol_words(const std::vector<std::string>& symbols);

struct Dependency {
  std::string name;  // as written in the library
  std::string path;  // the file that is used for it; empty if nothing is loaded under that name
};
// For a library that is loaded.
std::vector<Dependency> dependencies_of(const LibraryContents& contents);

class LibraryNeighbours {
 public:
  // For each library once it is loaded or rejected: reports what it shares with an earlier one and may have expected to
  // have for itself.
  std::vector<std::string> add(const std::string& path);

 private:
  std::unordered_map<std::string, std::string> unique_;  // from a symbol to the library that defined it first
};

}  // namespace taskhost
