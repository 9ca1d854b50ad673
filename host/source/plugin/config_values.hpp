// The values of one task's config, for the extension taskhost.config (taskhost/ext/config.h). Immutable; any thread.
//
// Each function returns what is wrong, in words for the operator, or nothing. If the config has no such value, `value`
// is left unchanged.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace taskhost {

class ConfigValues {
 public:
  using Problem = std::optional<std::string>;

  // `text` should be JSON; if it is not, each function reports that. If it has secrets, no problem quotes a value.
  explicit ConfigValues(std::string_view text, bool has_secrets = false);
  ~ConfigValues();
  ConfigValues(const ConfigValues&) = delete;
  ConfigValues& operator=(const ConfigValues&) = delete;

  // `known` lists keys of the top level, separated by blanks.
  Problem keys(std::string_view known) const;
  Problem require(const char* pointer) const;
  // A text in `value` lives as long as this object. Texts with a NUL are rejected unless `size` receives the length.
  Problem text(const char* pointer, const char** value, std::size_t* size) const;
  Problem integer(const char* pointer, std::int64_t least, std::int64_t most, std::int64_t& value) const;
  Problem number(const char* pointer, double& value) const;
  Problem boolean(const char* pointer, bool& value) const;
  Problem duration(const char* pointer, std::chrono::nanoseconds& value) const;
  Problem count(const char* pointer, std::size_t& value) const;

 private:
  struct Found {
    const nlohmann::json* value = nullptr;  // null if absent
    Problem problem;
  };
  Found find(const char* pointer) const;

  nlohmann::json root_;
  bool is_json_ = false;
  bool has_secrets_ = false;
};

}  // namespace taskhost
