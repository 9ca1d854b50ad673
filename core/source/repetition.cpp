#include "taskhost/core/repetition.hpp"

namespace taskhost {

namespace {

bool was_corrected(Nanoseconds covered, Nanoseconds wall) noexcept {
  return later(wall, schedule_correction) < covered;
}

}  // namespace

Nanoseconds cover(const Repetition& repetition, Nanoseconds covered, Nanoseconds now) noexcept {
  if (repetition.schedule) {
    const Nanoseconds wall = repetition.schedule->wall_time(now);
    return covered == never || wall > covered || was_corrected(covered, wall) ? wall : covered;
  }
  const Nanoseconds every = to_nanoseconds(repetition.every);
  if (covered == never) return now;
  return now < covered || every == 0 ? covered : now - (now - covered) % every;
}

Nanoseconds time_until_due(const Repetition& repetition, Nanoseconds& covered, Nanoseconds now) noexcept {
  Nanoseconds clock = now;
  Nanoseconds due = later(covered, to_nanoseconds(repetition.every));
  if (repetition.schedule) {
    clock = repetition.schedule->wall_time(now);
    if (was_corrected(covered, clock)) covered = clock;
    due = repetition.schedule->next(covered);
  }
  return due <= clock ? 0 : due - clock;
}

}  // namespace taskhost
