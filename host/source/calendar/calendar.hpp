// Schedules in the calendar of a time zone, for tasks that repeat. Any thread.
#pragma once

#include <cctz/time_zone.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "calendar/cron.hpp"
#include "taskhost/core/repetition.hpp"

namespace taskhost {

class Calendar final : public Schedule {
 public:
  // `text` is for people.
  Calendar(std::string text, const Cron& cron, const cctz::time_zone& zone)
      : text_(std::move(text)), cron_(cron), zone_(zone) {}

  Nanoseconds wall_time(Nanoseconds now) const noexcept override;
  // A local time that does not exist is the moment at which the clock skips it; one that comes twice is the first of
  // the two. But if the hour begins with `*`, the times are those that clocks show: as often as they show them.
  Nanoseconds next(Nanoseconds after) const noexcept override;
  std::string text() const override { return text_; }
  std::string time_text(Nanoseconds wall) const override;

 private:
  using Moment = cctz::time_point<cctz::seconds>;
  std::optional<Moment> next_of_clock(Moment after) const;

  const std::string text_;
  const Cron cron_;
  const cctz::time_zone zone_;
};

struct ZoneReading {
  std::optional<cctz::time_zone> value;
  std::string problem;  // without a value
};
// Without a name: that of the system, or of TZ.
ZoneReading find_zone(const std::optional<std::string>& name);

// What is in a manifest, or in a program's own policy.
struct ScheduleReading {
  std::shared_ptr<const Schedule> value;
  std::string cron_problem;  // without a value
  std::string zone_problem;  // the same, of the time zone
};
ScheduleReading read_schedule(const std::string& text, const std::optional<std::string>& zone_name);

}  // namespace taskhost
