// Examines a file before it is loaded: the dynamic loader maps what the headers promise and follows what it finds
// there, so a file that is shorter, or ends in zeroes, would crash the process. Pure except for reading the file; any
// thread.
#pragma once

#include <string>
#include <vector>

namespace taskhost {

// Why the file is not a shared library for this machine, in words; empty if it looks like one. Throws system_failure if
// the process has no descriptor left.
std::string library_file_problem(const std::string& path);

// Whether the file is marked never to be unloaded (NODELETE), as libraries with a runtime of their own are, such as
// Go's. False if it can't be read.
bool is_marked_to_stay(const std::string& path);

// What the library exports and what it needs.
struct LibraryContents {
  bool has_symbols = false;              // false if they could not be read; the lists of symbols are then empty
  std::vector<std::string> exported;     // in the order of the file, with mangled names
  std::vector<std::string> unique;       // of these, those that exist once per process: the first definition wins
  std::vector<std::string> undefined;    // must be defined by other libraries
  std::vector<std::string> needed;       // the libraries it needs
  std::vector<std::string> search_path;  // where to look for them, as written: with $ORIGIN
  bool search_path_comes_first = false;  // is searched before LD_LIBRARY_PATH (DT_RPATH)
};
LibraryContents library_contents(const std::string& path);

}  // namespace taskhost
