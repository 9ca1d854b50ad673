// Which part of their shard's time tasks take, by looking now and then at what each shard's thread is doing. Nobody is
// slowed down by it, and nothing is looked at unless somebody has asked within the last seconds.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <random>
#include <unordered_map>
#include <vector>

#include "taskhost/core/task_report.hpp"

namespace taskhost {

class Shard;

class ShareSampler {
 public:
  explicit ShareSampler(boost::asio::io_context& control) : control_(control), timer_(control) {}

  // [supervisor] Before anybody wants samples.
  void watch(const Shard& shard) { shards_.push_back(&shard); }

  // [any thread] Somebody wants to know; so does whoever asks again within five seconds.
  void want();
  // [any thread] From 0 to 1, over the last two to four seconds; absent: there are too few samples yet.
  std::optional<double> share(std::uint32_t task) const;

  // [any thread] In the order of the shards.
  std::vector<ShardSamples> shards() const;

  // [control thread] At the very end.
  void close();

 private:
  using Clock = std::chrono::steady_clock;

  struct Window {
    std::uint32_t samples = 0;
    std::unordered_map<std::uint32_t, std::uint32_t> found;  // by task
  };

  void wait();
  bool look();

  boost::asio::io_context& control_;
  boost::asio::steady_timer timer_;
  std::vector<const Shard*> shards_;
  std::minstd_rand random_;  // so that no task's rhythm is in step with ours

  mutable std::mutex mutex_;  // never taken by a shard
  bool is_closed_ = false;
  bool is_looking_ = false;
  Clock::time_point wanted_until_{};
  Clock::time_point window_end_{};
  Window former_;
  Window current_;
  std::vector<ShardSamples> samples_;
};

}  // namespace taskhost
