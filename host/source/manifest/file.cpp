#include "manifest/file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "manifest/surroundings.hpp"
#include "system/own_descriptor.hpp"
#include "system/refusal.hpp"
#include "taskhost/core/system_failure.hpp"

namespace taskhost {

namespace {

constexpr std::size_t max_file_size = std::size_t{1} << 30;

// Reads to the end; a pipe has no size to go by.
void read_to_end(int descriptor, ManifestFile& file) {
  std::array<char, 8192> part;
  while (true) {
    const ssize_t size = ::read(descriptor, part.data(), part.size());
    if (size == 0) return;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) {  // another process that shares it may have made it non-blocking
      is_ready(descriptor, POLLIN, -1);
      continue;
    }
    if (size < 0) {
      file.problem = errno == EISDIR ? "it is a directory, not a manifest"
                                     : "it can't be read: " + std::generic_category().message(errno);
      return;
    }
    file.text.append(part.data(), static_cast<std::size_t>(size));
    if (std::memchr(part.data(), 0, static_cast<std::size_t>(size)) != nullptr) {
      return;  // not text, which is all the caller needs to know
    }
    if (file.text.size() > max_file_size) {
      file.problem = "it is larger than the limit of " + std::to_string(max_file_size) + " bytes";
      return;
    }
  }
}

}  // namespace

ManifestFile read_manifest_file(const std::string& path) {
  ManifestFile file{.name = path, .directory = {}, .text = {}, .problem = {}, .identity = {}};
  if (path == "-") {  // by its descriptor: a socket can't be opened by name
    file.name = "stdin";
    read_to_end(STDIN_FILENO, file);
    return file;
  }
  // A shell's pipe or the like: there are no plugins beside it.
  const bool is_nowhere = path.starts_with("/dev/") || path.starts_with("/proc/");
  if (!is_nowhere) file.directory = std::filesystem::path(path).parent_path();
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    if (is_shortage(errno)) throw system_failure(errno, "open");
    file.problem = "it can't be opened: " + refusal_words(path, errno);
    return file;
  }
  struct stat status {};
  if (::fstat(descriptor, &status) == 0) file.identity = file_identity(status);
  read_to_end(descriptor, file);
  ::close(descriptor);
  return file;
}

}  // namespace taskhost
