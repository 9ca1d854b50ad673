// taskhost/sdk/config.hpp: a task's config, read by the host through its extension taskhost.config. Header-only, over
// taskhost/sdk/task.hpp; C++17 or later.
//
//   const taskhost::sdk::Config config(context);
//   config.keys("every greeting");
//   const auto every = config.duration("/every", std::chrono::seconds(1));
//
// `pointer` names a value by its JSON pointer (RFC 6901): "/every", "/pins/0". If there is no value, the second
// argument is returned. A wrong value throws a Failure. Its what() is empty, since the host already has the message,
// which names the value and says what it should be: `config: /every: must be a duration such as "250ms", "10s" or
// "1.5h"`. Use it only in the execution's own functions, like the services marked [execution].
#ifndef TASKHOST_SDK_CONFIG_HPP
#define TASKHOST_SDK_CONFIG_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "taskhost/ext/config.h"
#include "taskhost/sdk/task.hpp"

namespace taskhost::sdk {

// The whole numbers that a config may have at some place. Named, since their order is easily mistaken for another.
struct Range {
  std::int64_t least = std::numeric_limits<std::int64_t>::min();
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};
constexpr Range at_least(std::int64_t least) noexcept { return {least, std::numeric_limits<std::int64_t>::max()}; }
constexpr Range between(std::int64_t least, std::int64_t most) noexcept { return {least, most}; }

class Config {
 public:
  explicit Config(Context context)
      : exec_(context.exec()),
        table_(context.extension<taskhost_config_reader>(TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION)) {
    if (table_ == nullptr) throw Failure("this host reads no configs (extension taskhost.config)");
  }

  // Rejects top-level keys that are not in this list, which is separated by blanks.
  void keys(const char* known) const { check(table_->keys(exec_, known)); }
  // Rejects a config without this value.
  void require(const char* pointer) const { check(table_->require(exec_, pointer)); }

  // Valid as long as the execution; NUL-terminated.
  std::string_view text(const char* pointer, std::string_view otherwise = {}) const {
    const char* value = nullptr;
    std::size_t size = 0;
    check(table_->text(exec_, pointer, &value, &size));
    return value == nullptr ? otherwise : std::string_view(value, size);
  }
  // integer("/port", 8080, between(1, 65535))
  std::int64_t integer(const char* pointer, std::int64_t otherwise, Range range = {}) const {
    check(table_->integer(exec_, pointer, range.least, range.most, &otherwise));
    return otherwise;
  }
  double number(const char* pointer, double otherwise) const {
    check(table_->number(exec_, pointer, &otherwise));
    return otherwise;
  }
  bool boolean(const char* pointer, bool otherwise) const {
    std::int32_t value = otherwise ? 1 : 0;
    check(table_->boolean(exec_, pointer, &value));
    return value != 0;
  }
  template <class Rep, class Period>
  Duration duration(const char* pointer, std::chrono::duration<Rep, Period> otherwise) const {
    std::uint64_t value = detail::nanoseconds(detail::saturated(otherwise));
    check(table_->duration(exec_, pointer, &value));
    return value > static_cast<std::uint64_t>(Duration::max().count()) ? Duration::max()
                                                                       : Duration(static_cast<std::int64_t>(value));
  }
  // A duration that does not stand in the config; nothing if the text is none.
  std::optional<Duration> parse_duration(std::string_view text) const noexcept {
    std::uint64_t value = 0;
    if (table_->parse_duration(text.data(), text.size(), &value) != TASKHOST_OK) return std::nullopt;
    return Duration(static_cast<std::int64_t>(value));
  }
  // The number of elements of an array; 0 if there is no array.
  std::size_t count(const char* pointer) const {
    std::size_t value = 0;
    check(table_->count(exec_, pointer, &value));
    return value;
  }

 private:
  static void check(std::int32_t status) {
    if (status != TASKHOST_OK) throw Failure("");
  }

  const taskhost_exec* exec_;
  const taskhost_config_reader* table_;
};

}  // namespace taskhost::sdk

#endif
