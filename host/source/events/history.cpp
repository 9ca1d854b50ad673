#include "events/history.hpp"

#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

namespace taskhost {

void History::set_capacity(std::size_t records) {
  std::deque<Record> dropped;  // freed without the lock
  const std::lock_guard lock(mutex_);
  capacity_ = records;
  while (records_.size() > capacity_) {
    dropped.push_back(std::move(records_.front()));
    records_.pop_front();
  }
}

void History::put(HistoryRecord&& record) noexcept {
  const std::uint64_t sequence = record.sequence;
  Record kept;
  Record dropped;  // freed without the lock
  try {
    kept = std::make_shared<const HistoryRecord>(std::move(record));
  } catch (const std::bad_alloc&) {
  }
  const std::lock_guard lock(mutex_);
  last_ = sequence;
  try {
    if (kept != nullptr) {
      if (records_.size() >= capacity_) {
        dropped = std::move(records_.front());
        records_.pop_front();
      }
      records_.push_back(std::move(kept));
    }
  } catch (const std::bad_alloc&) {
  }
  if (!bell_) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(*bell_, &one, sizeof one);  // never blocks: an eventfd counts far
  bell_.reset();
}

History::Reading History::after(std::uint64_t sequence, std::size_t most) const {
  Reading reading;
  std::vector<Record>& found = reading.records;
  found.reserve(most);
  const std::lock_guard lock(mutex_);
  reading.last = last_;
  auto place = std::upper_bound(records_.begin(), records_.end(), sequence,
                                [](std::uint64_t number, const Record& record) { return number < record->sequence; });
  for (; place != records_.end() && found.size() < most; ++place) found.push_back(*place);
  return reading;
}

std::uint64_t History::last() const noexcept {
  const std::lock_guard lock(mutex_);
  return last_;
}

void History::ring(std::optional<int> descriptor) noexcept {
  const std::lock_guard lock(mutex_);
  bell_ = descriptor;
}

}  // namespace taskhost
