// What a worker's process may have, and whose rights. Given with its first order, and set before it loads anything.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "manifest/worker_limits.hpp"

namespace taskhost {

// A user as numbers.
struct WorkerUser {
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  std::vector<std::uint32_t> groups;
  std::string home;
};

// What the system does not let a worker of this process have: the field, and why. Nothing: it may have all.
std::optional<std::pair<std::string, std::string>> limits_problem(const WorkerLimits& limits);

// Looks a name up. Nothing: there is no such user.
std::optional<WorkerUser> find_user(const std::string& name);

// For the worker: sets them. What could not be set, in words.
std::string set_limits(const nlohmann::json& limits);
// For the host: what set_limits takes.
nlohmann::json limits_as_json(const WorkerLimits& limits);

}  // namespace taskhost
