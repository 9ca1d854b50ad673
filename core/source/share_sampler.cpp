#include "share_sampler.hpp"

#include <boost/asio/post.hpp>
#include <new>
#include <utility>

#include "shard.hpp"

namespace taskhost {

namespace {

using namespace std::chrono_literals;

constexpr auto interest = 5s;
constexpr auto window = 2s;
constexpr int shortest_pause_ms = 5;
constexpr int longest_pause_ms = 15;
constexpr std::uint32_t enough_samples = 30;

}  // namespace

void ShareSampler::want() {
  const std::lock_guard lock(mutex_);
  if (is_closed_) return;
  wanted_until_ = Clock::now() + interest;
  if (is_looking_) return;
  former_ = current_ = {};
  window_end_ = Clock::now() + window;
  samples_.resize(shards_.size());
  boost::asio::post(control_, [this] { wait(); });
  is_looking_ = true;
}

void ShareSampler::wait() {
  std::uniform_int_distribution<int> pause(shortest_pause_ms, longest_pause_ms);
  timer_.expires_after(std::chrono::milliseconds(pause(random_)));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && look()) wait();
  });
}

// False if nobody wants to know any more.
bool ShareSampler::look() {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  is_looking_ = !is_closed_ && now < wanted_until_;
  if (!is_looking_) return false;
  if (now >= window_end_) {
    former_ = std::exchange(current_, {});
    window_end_ = now + window;
  }
  ++current_.samples;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    ++samples_[i].all;
    if (!shards_[i]->awake()) continue;
    ++samples_[i].busy;
    try {
      // Whoever takes a shard over does so on this thread.
      if (const TaskCell* const cell = shards_[i]->tenure().frame.task()) ++current_.found[cell->index];
    } catch (const std::bad_alloc&) {
      // One sample less.
    }
  }
  return true;
}

std::optional<double> ShareSampler::share(std::uint32_t task) const {
  const std::lock_guard lock(mutex_);
  const std::uint32_t samples = former_.samples + current_.samples;
  if (samples < enough_samples) return std::nullopt;
  const auto found_in = [task](const Window& looked_at) {
    const auto found = looked_at.found.find(task);
    return found == looked_at.found.end() ? 0 : found->second;
  };
  return static_cast<double>(found_in(former_) + found_in(current_)) / samples;
}

std::vector<ShardSamples> ShareSampler::shards() const {
  const std::lock_guard lock(mutex_);
  return samples_;
}

void ShareSampler::close() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  boost::system::error_code ignored;
  timer_.cancel(ignored);
}

}  // namespace taskhost
