#include "system/refusal.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "text/printable.hpp"

namespace taskhost {

namespace fs = std::filesystem;

namespace {

std::string user_name() {
  const uid_t user = ::geteuid();
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  const bool is_known = ::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr;
  return is_known ? printable_text(found->pw_name) : std::to_string(user);
}

// The first directory on the way to the file that may not be entered; empty if all may be.
fs::path closed_directory(const fs::path& path) {
  std::error_code no_working_directory;
  fs::path way;
  for (const fs::path& part : fs::absolute(path, no_working_directory).parent_path()) {
    way /= part;
    if (::faccessat(AT_FDCWD, way.c_str(), X_OK, AT_EACCESS) != 0 && errno == EACCES) return way;
  }
  return {};
}

}  // namespace

std::string refusal_words(const fs::path& path, int error) {
  std::string words = std::generic_category().message(error);
  if (error != EACCES) return words;
  const fs::path closed = closed_directory(path);
  words += ": the user " + user_name();
  if (closed.empty()) return words + " may not read it";
  words += " may not enter " + quoted_path(closed.native());
  // systemd hides these, whatever their modes say.
  const bool is_home = closed == "/home" || closed == "/root" || closed == "/run/user";
  return is_home ? words + ", nor may a service with ProtectHome=: put it elsewhere, such as in /usr/local/lib/taskhost"
                 : words;
}

}  // namespace taskhost
