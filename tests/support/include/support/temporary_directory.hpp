// A test's own directory, removed with the object. Tests that run in parallel never share one.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace taskhost::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  // Writes a file, makes missing folders, and returns the file's path.
  std::filesystem::path write(std::string_view name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

// The whole content; "" if there is no such file.
std::string read_file(const std::filesystem::path& path);

}  // namespace taskhost::test
