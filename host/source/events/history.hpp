// The last records of a stream, the events' or the log's, for those who ask for them later, and for those who follow
// it. Any thread. Its lock is held only while a few pointers are copied, so a shard never waits for a reader.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "taskhost/core/event.hpp"

namespace taskhost {

struct HistoryRecord {
  std::uint64_t sequence = 0;       // from 1
  std::int64_t time_us = 0;         // since 1970
  LogLevel level = LogLevel::info;  // of the log's lines
  std::string task{};               // empty: it is about the host
  std::string json{};               // an object, without a line end
};

class History {
 public:
  using Record = std::shared_ptr<const HistoryRecord>;

  explicit History(std::size_t capacity) : capacity_(capacity) {}
  void set_capacity(std::size_t records);

  // In the order of their numbers. A record for which there is no memory is missing, as its number shows.
  void put(HistoryRecord&& record) noexcept;

  struct Reading {
    std::vector<Record> records{};
    std::uint64_t last = 0;  // the number of the last record at this time, even if there was no memory for that one
  };
  // At most `most` of the records with greater numbers, the oldest first. Throws std::bad_alloc.
  Reading after(std::uint64_t sequence, std::size_t most) const;
  // The number of the last record; 0: there was none.
  std::uint64_t last() const noexcept;

  // The next record makes this descriptor, an eventfd, readable, once; absent: none does, and once this returns nobody
  // uses the former descriptor.
  void ring(std::optional<int> descriptor) noexcept;

 private:
  mutable std::mutex mutex_;
  std::size_t capacity_;
  std::deque<Record> records_;
  std::uint64_t last_ = 0;
  std::optional<int> bell_;
};

}  // namespace taskhost
