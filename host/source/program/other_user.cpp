#include "program/other_user.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <system_error>

#include "text/printable.hpp"

namespace taskhost {

namespace {

std::optional<uid_t> number_in(const std::string& text) {
  uid_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end || number == static_cast<uid_t>(-1)) return std::nullopt;
  return number;
}

}  // namespace

std::string become_user(const std::string& user) {
  const std::optional<uid_t> number = number_in(user);
  const passwd* const entry = number ? ::getpwuid(*number) : ::getpwnam(user.c_str());  // NOLINT(concurrency-mt-unsafe)
  if (entry == nullptr && !number) {
    return "there is no user " + quoted_text(user) + ": give the name or number of one, such as nobody";
  }
  const uid_t user_id = entry != nullptr ? entry->pw_uid : *number;
  const gid_t group_id = entry != nullptr ? entry->pw_gid : *number;
  if (user_id == ::geteuid() && user_id == ::getuid()) return {};
  const bool has_groups = entry != nullptr ? ::initgroups(entry->pw_name, group_id) == 0 : ::setgroups(0, nullptr) == 0;
  if (has_groups && ::setresgid(group_id, group_id, group_id) == 0 && ::setresuid(user_id, user_id, user_id) == 0) {
    return {};
  }
  return "can't become the user " + quoted_text(user) + ": " + std::generic_category().message(errno) +
         (errno == EPERM ? "; only root can, as with sudo" : "");
}

}  // namespace taskhost
