// The function table of the extension taskhost.config, for any source of an exec's config. No exception leaves it.
#pragma once

#include <cstdint>
#include <exception>

#include "plugin/config_values.hpp"
#include "taskhost/ext/config.h"
#include "text/duration.hpp"

namespace taskhost {

namespace detail {

inline std::int32_t config_answer(const taskhost_exec* exec, const ConfigValues::Problem& problem) {
  if (!problem) return TASKHOST_OK;
  exec->services->fail(exec, problem->data(), problem->size());
  return TASKHOST_ERROR;
}

template <class Read>
std::int32_t config_answer_of(const taskhost_exec* exec, const Read& read) noexcept {
  try {
    return config_answer(exec, read());
  } catch (const std::exception&) {
    constexpr std::string_view text = "config: no memory to read it";
    exec->services->fail(exec, text.data(), text.size());
    return TASKHOST_ERROR;
  }
}

}  // namespace detail

// `values_of` returns the values of the execution's task; they live until its drop returns.
template <const ConfigValues& (*values_of)(const taskhost_exec* exec)>
inline const taskhost_config_reader config_extension = {
    sizeof(taskhost_config_reader),
    TASKHOST_CONFIG_REVISION,
    // keys
    [](const taskhost_exec* exec, const char* keys) -> int32_t {
      return detail::config_answer_of(exec, [&] { return values_of(exec).keys(keys != nullptr ? keys : ""); });
    },
    // require
    [](const taskhost_exec* exec, const char* pointer) -> int32_t {
      return detail::config_answer_of(exec, [&] { return values_of(exec).require(pointer); });
    },
    // text
    [](const taskhost_exec* exec, const char* pointer, const char** value, size_t* size) -> int32_t {
      return detail::config_answer_of(exec, [&] { return values_of(exec).text(pointer, value, size); });
    },
    // integer
    [](const taskhost_exec* exec, const char* pointer, int64_t least, int64_t most, int64_t* value) -> int32_t {
      return detail::config_answer_of(exec, [&] { return values_of(exec).integer(pointer, least, most, *value); });
    },
    // number
    [](const taskhost_exec* exec, const char* pointer, double* value) -> int32_t {
      return detail::config_answer_of(exec, [&] { return values_of(exec).number(pointer, *value); });
    },
    // boolean
    [](const taskhost_exec* exec, const char* pointer, int32_t* value) -> int32_t {
      return detail::config_answer_of(exec, [&] {
        bool read = *value != 0;
        const ConfigValues::Problem problem = values_of(exec).boolean(pointer, read);
        *value = read ? 1 : 0;
        return problem;
      });
    },
    // duration
    [](const taskhost_exec* exec, const char* pointer, uint64_t* value) -> int32_t {
      return detail::config_answer_of(exec, [&] {
        std::chrono::nanoseconds read(-1);
        const ConfigValues::Problem problem = values_of(exec).duration(pointer, read);
        if (read.count() >= 0) *value = static_cast<std::uint64_t>(read.count());
        return problem;
      });
    },
    // count
    [](const taskhost_exec* exec, const char* pointer, size_t* value) -> int32_t {
      return detail::config_answer_of(exec, [&] { return values_of(exec).count(pointer, *value); });
    },
    // parse_duration
    [](const char* text, size_t size, uint64_t* value) -> int32_t {
      try {
        const DurationReading reading = parse_duration(std::string_view(text, size));
        if (!reading.value) return TASKHOST_ERROR;
        *value = static_cast<std::uint64_t>(reading.value->count());
        return TASKHOST_OK;
      } catch (const std::exception&) {
        return TASKHOST_ERROR;  // no memory to say what is wrong
      }
    },
};

}  // namespace taskhost
