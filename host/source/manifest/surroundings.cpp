#include "manifest/surroundings.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <system_error>

#include "system/refusal.hpp"
#include "taskhost/core/system_failure.hpp"

namespace taskhost {

namespace fs = std::filesystem;

namespace {

std::string error_words(int error) { return std::generic_category().message(error); }

bool is_absence(int error) { return error == ENOENT || error == ENOTDIR; }

std::string too_large(std::size_t max_bytes) {
  return "it is larger than the limit of " + std::to_string(max_bytes) + " bytes";
}

void read_regular(int descriptor, std::size_t max_bytes, ManifestSurroundings::File& file) {
  std::array<char, 8192> part;
  while (true) {
    const ssize_t size = ::read(descriptor, part.data(), part.size());
    if (size == 0) return;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      file.problem = "it can't be read: " + error_words(errno);
      return;
    }
    file.text.append(part.data(), static_cast<std::size_t>(size));
    if (file.text.size() > max_bytes) {
      file.problem = too_large(max_bytes);
      return;
    }
  }
}

// Why it can't be read; empty for a regular file.
std::string kind_problem(const struct stat& status) {
  if (S_ISDIR(status.st_mode)) return "it is a directory";
  return S_ISREG(status.st_mode) ? "" : "it is not a regular file";
}

void read_opened(int descriptor, std::size_t max_bytes, ManifestSurroundings::File& file) {
  struct stat status {};
  file.problem = ::fstat(descriptor, &status) == 0 ? kind_problem(status) : error_words(errno);
  if (!file.problem.empty()) return;
  file.identity = file_identity(status);
  file.is_open_to_all = (status.st_mode & S_IROTH) != 0;
  read_regular(descriptor, max_bytes, file);
  if (!file.problem.empty()) file.text.clear();
}

}  // namespace

std::string file_identity(const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return {};
  return std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino);
}

ManifestSurroundings::File SystemSurroundings::read(const fs::path& path, std::size_t max_bytes) const {
  File file;
  struct stat status {};
  // Some devices do something when they are opened, and a FIFO without a writer would not return.
  if (::stat(path.c_str(), &status) == 0) file.problem = kind_problem(status);
  if (!file.problem.empty()) return file;
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) {
    const int error = errno;
    if (is_shortage(error)) throw system_failure(error, "open");
    file.is_gone = is_absence(error) && ::lstat(path.c_str(), &status) != 0;
    file.problem = refusal_words(path, error);
    return file;
  }
  try {
    read_opened(descriptor, max_bytes, file);
  } catch (...) {
    ::close(descriptor);
    throw;
  }
  ::close(descriptor);
  return file;
}

ManifestSurroundings::Listing SystemSurroundings::list(const fs::path& directory) const {
  Listing listing;
  const fs::path named = directory.empty() ? fs::path(".") : directory;
  const std::unique_ptr<DIR, int (*)(DIR*)> opened(::opendir(named.c_str()), &::closedir);
  if (opened == nullptr) {
    const int error = errno;
    if (is_shortage(error)) throw system_failure(error, "open");
    listing.is_absent = is_absence(error);
    if (!listing.is_absent) listing.problem = refusal_words(named, error);
    return listing;
  }
  while (true) {
    errno = 0;
    const dirent* const entry = ::readdir(opened.get());  // NOLINT(concurrency-mt-unsafe): the stream is ours alone
    if (entry == nullptr) break;
    listing.names.emplace_back(static_cast<const char*>(entry->d_name));
  }
  if (errno != 0) listing.problem = error_words(errno);
  return listing;
}

std::optional<std::string> SystemSurroundings::variable(const std::string& name) const {
  const char* const value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): as taskhost.h says
  return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

ManifestSurroundings::File NoSurroundings::read(const fs::path& /*path*/, std::size_t /*max_bytes*/) const {
  File file;
  file.problem = error_words(ENOENT);
  file.is_gone = true;
  return file;
}

ManifestSurroundings::Listing NoSurroundings::list(const fs::path& /*directory*/) const {
  Listing listing;
  listing.is_absent = true;
  return listing;
}

std::optional<std::string> NoSurroundings::variable(const std::string& /*name*/) const { return std::nullopt; }

}  // namespace taskhost
