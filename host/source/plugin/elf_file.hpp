// A look at a file before it is loaded: the dynamic loader maps what the headers promise and follows what stands
// there, so that a file which is shorter, or ends in zeroes, kills the process. Pure but for reading the file; any
// thread.
#pragma once

#include <string>
#include <vector>

namespace taskhost {

// What makes the file no shared library of this machine, in words; empty if it looks like one. Throws system_failure
// where the process has no descriptor left.
std::string library_file_problem(const std::string& path);

// Whether the file asks never to be unloaded once it is loaded: marked NODELETE, as its makers do to libraries with a
// runtime of their own, such as Go's. False if it can't be read.
bool is_marked_to_stay(const std::string& path);

// What it offers to others, and wants from them.
struct LibraryContents {
  bool has_symbols = false;              // false: they could not be read, and the lists of symbols are empty
  std::vector<std::string> exported;     // in the order of the file, as linkers know them
  std::vector<std::string> unique;       // of these: one for the whole process, whoever defines it first
  std::vector<std::string> undefined;    // that others must define
  std::vector<std::string> needed;       // the libraries it needs
  std::vector<std::string> search_path;  // where to look for them, as it stands there: with $ORIGIN
  bool search_path_comes_first = false;  // before LD_LIBRARY_PATH (DT_RPATH)
};
LibraryContents library_contents(const std::string& path);

}  // namespace taskhost
