// Reads a script. For the plugins in plugins/ that run some.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>

#include "taskhost/sdk/task.hpp"

namespace plugin_support {

// A larger file is no script, and a compiler would need hundreds of times its size.
constexpr std::size_t largest_script = std::size_t{4} << 20U;

// The file's bytes. Reads files only, and never waits for the other end of a pipe. Throws a Failure that says why it
// can't.
inline std::string read_script(const std::string& path) {
  const auto fail = [&path](std::string problem) {
    if (path.front() != '/') {
      std::error_code ignored;
      problem += " (seen from " + std::filesystem::current_path(ignored).string() + ")";
    }
    return taskhost::sdk::Failure("config: \"script\": " + path + ": " + problem);
  };
  const auto system_problem = [] { return std::generic_category().message(errno); };
  struct Descriptor {
    ~Descriptor() {
      if (number >= 0) ::close(number);
    }
    const int number;
  };
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (file.number < 0 && errno == ENXIO) throw fail("is no file");  // a socket
  if (file.number < 0) throw fail(system_problem());
  struct stat status {};
  if (::fstat(file.number, &status) != 0) throw fail(system_problem());
  if (!S_ISREG(status.st_mode)) throw fail("is no file");
  std::string text;
  for (;;) {
    char bytes[65536];
    const ssize_t size = ::read(file.number, bytes, sizeof bytes);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw fail(system_problem());
    if (size == 0) return text;
    text.append(bytes, static_cast<std::size_t>(size));
    if (text.size() <= largest_script) continue;
    throw fail("has more than " + std::to_string(largest_script >> 20U) + " MiB, which is too much for a script");
  }
}

}  // namespace plugin_support
