// The check of a library's file, whatever the file contains.
#include "plugin/elf_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace taskhost;
  static const int descriptor = ::memfd_create("fuzz", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  const bool written =
      ::ftruncate(descriptor, 0) == 0 && ::pwrite(descriptor, data, size, 0) == static_cast<ssize_t>(size);
  fuzz::require(written, "the input can be written to a file");
  const std::string problem = library_file_problem(path);
  fuzz::require(fuzz::is_one_printable_line(problem), "a problem is a line", problem);
  (void)is_marked_to_stay(path);
  return 0;
}
