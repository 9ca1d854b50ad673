// Reads a task's policy from the objects of a manifest, completes it with "defaults", and checks it. Owned by one
// reading, on its thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "calendar/calendar.hpp"
#include "manifest/faults.hpp"
#include "manifest/fields.hpp"
#include "manifest/worker_limits.hpp"
#include "taskhost/core/task_type.hpp"

namespace taskhost {

// The optional fields, and those that they are checked against.
enum class PolicyField : std::uint8_t {
  type,
  restarts,
  window,
  backoff,
  reset_after,
  ready,
  start_timeout,
  watchdog,
  on_give_up,
  exit_rules,
  repeat,
  isolation,
};
template <>
inline constexpr auto words_of<PolicyField> =
    std::to_array<Word<PolicyField>>({{PolicyField::type, "type"},
                                      {PolicyField::restarts, "restarts"},
                                      {PolicyField::window, "window"},
                                      {PolicyField::backoff, "backoff"},
                                      {PolicyField::reset_after, "reset_after"},
                                      {PolicyField::ready, "ready"},
                                      {PolicyField::start_timeout, "start_timeout"},
                                      {PolicyField::watchdog, "watchdog"},
                                      {PolicyField::on_give_up, "on_give_up"},
                                      {PolicyField::exit_rules, "exit_rules"},
                                      {PolicyField::repeat, "repeat"},
                                      {PolicyField::isolation, "isolation"}});

class PolicyFields {
 public:
  void add(PolicyField field) noexcept { bits_ = static_cast<std::uint16_t>(bits_ | bit(field)); }
  bool has(PolicyField field) const noexcept { return (bits_ & bit(field)) != 0; }
  bool any() const noexcept { return bits_ != 0; }

 private:
  static constexpr unsigned bit(PolicyField field) noexcept { return 1u << static_cast<unsigned>(field); }
  std::uint16_t bits_ = 0;
};

// What one object sets itself.
struct GivenPolicy {
  TaskOptions options;  // without the values that are wrong
  bool has_stop_timeout = false;
  PolicyFields given;
  PolicyFields wrong;                                               // those given that have a fault of their own
  std::array<std::size_t, words_of<PolicyField>.size()> offsets{};  // of the given ones, in the text
  bool has_optional = false;                                        // has one of the optional fields, or "unlimited"
};

class PolicyReader {
 public:
  explicit PolicyReader(ManifestFaults& faults) : faults_(faults) {}

  // The policy of a task, or of autoload.
  GivenPolicy read(const FieldReader& fields);
  // Fields that it lacks stay as they are: a copy of a reader begins with the defaults of that one.
  void read_defaults(const FieldReader& fields);

  // Valid once `defaults` has been read, if there is one.
  std::chrono::nanoseconds default_stop_timeout() const noexcept { return default_stop_timeout_; }
  const WorkerLimits& default_limits() const noexcept { return default_limits_; }
  bool has_defaults() const noexcept { return defaults_.given.any(); }
  // What the object sets, completed with `defaults`. Reports fields that do not go together; `pointer` and `offset` are
  // the object's.
  std::shared_ptr<const SupervisionOptions> complete(const GivenPolicy& policy, const std::string& pointer,
                                                     std::size_t offset);

 private:
  void read_optional(const FieldReader& fields, GivenPolicy& policy);
  // Notes that the field is given, and whether it is wrong.
  static void note(const FieldReader& fields, PolicyField field, bool is_right, GivenPolicy& policy);
  std::optional<Backoff> read_backoff(const FieldReader& fields);
  void tell_unused(const FieldReader& fields, const Backoff& backoff);
  std::optional<Watchdog> read_watchdog(const FieldReader& fields);
  std::optional<std::pair<GiveUp, std::chrono::nanoseconds>> read_give_up(const FieldReader& fields);
  std::optional<std::vector<ExitRule>> read_exit_rules(const FieldReader& fields);
  std::optional<ExitRule> read_exit_rule(const ManifestNode& node, const std::string& pointer);
  bool read_outcomes(const ManifestNode& node, const std::string& pointer, std::vector<Outcome>& outcomes);
  std::optional<Repetition> read_repeat(const FieldReader& fields);
  std::shared_ptr<const Schedule> read_schedule(const FieldReader& fields);

  static void copy(PolicyField field, const SupervisionOptions& from, SupervisionOptions& to);
  SupervisionOptions with_defaults(const GivenPolicy& policy) const;
  std::shared_ptr<const SupervisionOptions> share(SupervisionOptions values);
  void check(const GivenPolicy& policy, const TaskOptions& whole, const std::string& pointer, std::size_t offset);

  ManifestFaults& faults_;
  std::chrono::nanoseconds default_stop_timeout_ = std::chrono::seconds(10);
  GivenPolicy defaults_;
  WorkerLimits default_limits_;
  std::shared_ptr<const SupervisionOptions> last_;  // shared by consecutive tasks that are alike
  std::optional<TaskOptions> last_sound_;           // the last options that had no problem
  // The last schedule that was read, for tasks that are alike.
  struct LastSchedule {
    std::string text;
    std::optional<std::string> zone;
    ScheduleReading reading;
  };
  LastSchedule last_schedule_;
};

}  // namespace taskhost
