// What a plugin's library has to do with the others in its process: the dynamic loader joins libraries by the names of
// their symbols and files, and says nothing when two meant different things by one name. Owner's thread.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "plugin/elf_file.hpp"

namespace taskhost {

// The runtime of a sanitizer that had to be in the process before the library, and is not, in words; else empty.
std::string missing_runtime(const LibraryContents& contents);

// Before anything of it is loaded: does it look like a plugin, of whatever version? True where that can't be seen.
bool may_be_plugin(const LibraryContents& contents);

// The symbols that it exports and needs not, less what everything in C++ has of the standard library.
std::vector<std::string> exported_beyond_entry(const LibraryContents& contents);

// "settings()::one, Counter<int>::n and 7 more"
std::string symbol_words(const std::vector<std::string>& symbols);

struct Dependency {
  std::string name;  // as the library has it
  std::string path;  // of the file that serves it; empty: nothing of that name is loaded
};
// Of a library that is loaded.
std::vector<Dependency> dependencies_of(const LibraryContents& contents);

class LibraryNeighbours {
 public:
  // For each library once it is loaded, or refused: what it shares with one before it and may have expected for itself.
  std::vector<std::string> add(const std::string& path);

 private:
  std::unordered_map<std::string, std::string> unique_;  // symbol → the library that defined it first
};

}  // namespace taskhost
