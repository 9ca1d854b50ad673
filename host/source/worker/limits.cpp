#include "worker/limits.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "text/printable.hpp"

namespace taskhost {

namespace {

using Json = nlohmann::json;

struct Row {
  const char* field;
  __rlimit_resource resource;
  const char* what;
};
constexpr Row rows[] = {{"memory", RLIMIT_DATA, "limits.memory"},
                        {"open_files", RLIMIT_NOFILE, "limits.open_files"},
                        {"processes", RLIMIT_NPROC, "limits.processes"},
                        {"core", RLIMIT_CORE, "limits.core_dump"}};

// A byte: a core_pattern that is a pipe does not heed 0, but this, and so it is with what the worker starts (core(5)).
constexpr std::uint64_t no_core_dump = 1;

std::string failure(const std::string& what) { return what + ": " + std::generic_category().message(errno); }

// Whether this process may have a hard limit that high, by trying: root in a container often may not, and nobody more
// descriptors than fs.nr_open.
bool is_allowed(__rlimit_resource resource, const rlimit& now, rlim_t wanted) {
  if (wanted <= now.rlim_max) return true;
  const rlimit raised{.rlim_cur = now.rlim_cur, .rlim_max = wanted};
  return ::setrlimit(resource, &raised) == 0 && ::setrlimit(resource, &now) == 0;
}

std::string set_user(const Json& user) {
  const uid_t id = user.at("user").get<std::uint32_t>();
  const gid_t group = user.at("group").get<std::uint32_t>();
  const auto groups = user.at("groups").get<std::vector<gid_t>>();
  // So that it may open /dev/stdout, which is the host's pipe.
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) (void)::fchown(stream, id, group);
  if (::setgroups(groups.size(), groups.data()) != 0) return failure("can't leave the host's groups");
  if (::setresgid(group, group, group) != 0) return failure("can't become a member of the user's group");
  if (::setresuid(id, id, id) != 0) return failure("can't become the user");
  if (id != 0 && ::setuid(0) == 0) return "can't give up root's rights";
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // which the change has cleared: it would leave no core dump
  for (const char* const name : {"HOME", "USER", "LOGNAME"}) {
    // There is no other thread's code yet that would read it.
    ::setenv(name, user.at(name).get_ref<const std::string&>().c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  }
  return {};
}

}  // namespace

std::optional<WorkerUser> find_user(const std::string& name) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> place(16384);
  if (::getpwnam_r(name.c_str(), &entry, place.data(), place.size(), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  WorkerUser user{.user = entry.pw_uid, .group = entry.pw_gid, .groups = {}, .home = entry.pw_dir};
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (::getgrouplist(name.c_str(), entry.pw_gid, groups.data(), &count) < 0) {
    groups.resize(static_cast<std::size_t>(count));
    if (::getgrouplist(name.c_str(), entry.pw_gid, groups.data(), &count) < 0) return std::nullopt;
  }
  user.groups.assign(groups.begin(), groups.begin() + count);
  return user;
}

std::optional<std::pair<std::string, std::string>> limits_problem(const WorkerLimits& limits) {
  using Problem = std::pair<std::string, std::string>;
  const bool is_root = ::geteuid() == 0;
  const std::optional<WorkerUser> user = limits.user.empty() ? std::nullopt : find_user(limits.user);
  if (!limits.user.empty() && !is_root) {
    return Problem("user", "only a host that runs as root can run tasks as another user; remove it");
  }
  if (!limits.user.empty() && !user) {
    const bool is_number = limits.user.find_first_not_of("0123456789") == std::string::npos;
    return Problem("user", "there is no user " + quoted_text(limits.user) + " on this machine" +
                               (is_number ? "; write the user's name, not its number" : ""));
  }
  if (limits.processes && is_root && (!user || user->user == 0)) {
    return Problem("limits/processes", "the system does not limit root's processes; give the task a \"user\", too");
  }
  const std::pair<const char*, const std::optional<std::uint64_t>*> values[] = {
      {"memory", &limits.memory}, {"open_files", &limits.open_files}, {"processes", &limits.processes}};
  for (const auto& [field, value] : values) {
    const std::string_view name = field;
    const auto row =
        std::find_if(std::begin(rows), std::end(rows), [&name](const Row& one) { return name == one.field; });
    if (!*value) continue;
    rlimit now{};
    ::getrlimit(row->resource, &now);
    if (is_allowed(row->resource, now, **value)) continue;
    return Problem(std::string("limits/") + field, "the host itself may have no more than " +
                                                       std::to_string(now.rlim_max) +
                                                       " (its hard limit); lower this, or raise that");
  }
  return std::nullopt;
}

std::string set_limits(const Json& limits) {
  bool is_core_limit_lower = false;  // 0, and may not be raised
  for (const Row& row : rows) {
    if (!limits.contains(row.field)) continue;
    const auto most = limits.at(row.field).get<rlim_t>();
    const rlimit wanted{.rlim_cur = most, .rlim_max = most};
    if (::setrlimit(row.resource, &wanted) == 0) continue;
    if (row.resource != RLIMIT_CORE) return failure(std::string("can't set ") + row.what);
    is_core_limit_lower = true;
  }
  if (limits.contains("user")) {
    if (limits.at("user").is_null()) return "the user is no longer on this machine";
    if (std::string problem = set_user(limits.at("user")); !problem.empty()) return problem;
  }
  if (is_core_limit_lower) ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  return {};
}

Json limits_as_json(const WorkerLimits& limits) {
  Json json = Json::object();
  if (limits.memory) json["memory"] = *limits.memory;
  if (limits.open_files) json["open_files"] = *limits.open_files;
  if (limits.processes) json["processes"] = *limits.processes;
  if (limits.core_dump == false) json["core"] = no_core_dump;
  if (limits.user.empty()) return json;
  if (const std::optional<WorkerUser> user = find_user(limits.user)) {
    json["user"] = {{"user", user->user}, {"group", user->group}, {"groups", user->groups},
                    {"HOME", user->home}, {"USER", limits.user},  {"LOGNAME", limits.user}};
  } else {
    json["user"] = nullptr;  // it was there when the manifest was read: the worker refuses
  }
  return json;
}

}  // namespace taskhost
