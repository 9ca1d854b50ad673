// A look at a file before it is loaded: the dynamic loader maps what the headers promise and follows what stands
// there, so that a file which is shorter, or ends in zeroes, kills the process. Pure but for reading the file; any
// thread.
#pragma once

#include <string>

namespace taskhost {

// What makes the file no shared library of this machine, in words; empty if it looks like one.
std::string library_file_problem(const std::string& path);

// Whether the file asks never to be unloaded once it is loaded: marked NODELETE, as its makers do to libraries with a
// runtime of their own, such as Go's. False if it can't be read.
bool is_marked_to_stay(const std::string& path);

}  // namespace taskhost
