// A shard driven step by step: virtual time, and a supervisor that only records.
#pragma once

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "recording_sink.hpp"
#include "script.hpp"
#include "shard.hpp"
#include "support/catch.hpp"

namespace taskhost::test {

class VirtualClock final : public Clock {
 public:
  Nanoseconds now() const noexcept override { return now_; }
  void advance(std::chrono::nanoseconds by) noexcept { now_ += to_nanoseconds(by); }
  void set(Nanoseconds now) noexcept { now_ = now; }

 private:
  Nanoseconds now_ = 1'000'000'000'000;
};

class FakeOwner : public ShardOwner {
 public:
  virtual ~FakeOwner() = default;
  const std::atomic<bool>& stopping() const noexcept override { return is_stopping; }
  void shard_awake() noexcept override { ++awakenings; }
  void stop_wanted(StopCause cause) noexcept override { causes.push_back(std::move(cause)); }
  void task_abandoned() noexcept override { ++abandoned; }
  void count_lost(int change) noexcept override { lost += change; }
  void shard_ended() noexcept override { ++ended; }
  bool shard_revived() noexcept override {
    --ended;
    return true;
  }
  std::uint64_t seed() const noexcept override { return 7; }
  boost::uuids::uuid task_id(std::uint32_t index) const noexcept override {
    boost::uuids::uuid id{};
    id.data[15] = static_cast<std::uint8_t>(index);
    return id;
  }
  void launch(std::shared_ptr<Job> call) override {
    if (no_threads) throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    calls.push_back(std::move(call));
  }

  bool launch_sometime(std::shared_ptr<Job> call) override {
    if (!no_threads) calls.push_back(std::move(call));
    return !no_threads;
  }

  void coordinated_begun(std::uint32_t index) override { facts.push_back("begun " + std::to_string(index)); }
  void coordinated_started(std::uint32_t index) override { facts.push_back("started " + std::to_string(index)); }
  void coordinated_ready(std::uint32_t index) override { facts.push_back("ready " + std::to_string(index)); }
  void coordinated_step_ended(std::uint32_t index) override { facts.push_back("step ended " + std::to_string(index)); }
  void coordinated_ended(std::uint32_t index, End end) override {
    facts.push_back("ended " + std::to_string(index));
    ends.push_back(std::move(end));
  }
  void did_not_stop(Straggler straggler) override { stragglers.push_back(std::move(straggler)); }

  std::atomic<bool> is_stopping{false};
  std::vector<std::string> facts;  // about coordinated tasks
  std::vector<End> ends;
  std::vector<Straggler> stragglers;
  int awakenings = 0;
  bool no_threads = false;
  std::vector<StopCause> causes;
  int abandoned = 0;
  int lost = 0;
  int ended = 0;
  std::deque<std::shared_ptr<Job>> calls;  // for the test to run
};

class ShardScene {
 public:
  explicit ShardScene(bool complete_events = true) : shard(owner, sink, clock, complete_events) {
    owner.works()->set_sink(&sink);
  }

  void add(const std::string& name, std::shared_ptr<const Recipe> recipe, TaskOptions options = {}) {
    add(name, TaskFn(std::move(recipe)), options);
  }
  void add(const std::string& name, const TaskFn& function, TaskOptions options = {}) {
    shard.add(function, options, name, static_cast<std::uint32_t>(shard.size()));
  }

  void begin_stop() { shard.begin_stop(clock.now()); }
  void expire_stop() {
    shard.expire_stop();
    run();
  }

  // To be called by task code: as if the call had been stuck for that long, the shard gets a new owner, which is the
  // caller from now on. When the task code returns, its call counts as late. The turns above it end.
  void take_over(std::chrono::nanoseconds blocked_for = std::chrono::nanoseconds(0)) {
    Tenure& tenure = shard.tenure();
    REQUIRE(tenure.pin(tenure.look()));
    tenure.set_told();
    lost_.push_back(shard.replace_tenure(std::make_shared<Tenure>()));
    tenure.take();
    shard.adopt(lost_.back(), to_nanoseconds(blocked_for));
  }

  // Runs one turn, and what is ready in the loop.
  Shard::Turn turn() {
    last = shard.turn();
    if (last.lost) return last;
    handled = shard.context().poll() + shard.look(0);
    return last;
  }
  // Runs turns until there is nothing left to do at this moment.
  void run() {
    for (int turns = 0; turns < 100'000; ++turns) {
      turn();
      if (last.lost) return;
      if (!last.more && handled == 0 && shard.port().begin_sleep()) {
        shard.port().end_sleep();
        return;
      }
    }
    FAIL("the shard never comes to rest");
  }
  void advance(std::chrono::nanoseconds by) {
    clock.advance(by);
    run();
  }
  // Like a thread, sleeps until the shard wants to be called, repeatedly, up to that time.
  void sleep_until(Nanoseconds time) {
    while (!last.lost && last.deadline < time) {
      clock.set(std::max(clock.now(), last.deadline));
      run();
    }
    clock.set(std::max(clock.now(), time));
    run();
  }
  void sleep(std::chrono::nanoseconds duration) { sleep_until(clock.now() + to_nanoseconds(duration)); }
  // Runs the oldest launched blocking call to its end.
  void run_blocking() {
    REQUIRE_FALSE(owner.calls.empty());
    const std::shared_ptr<Job> call = owner.calls.front();
    owner.calls.pop_front();
    call->run();
    run();
  }

  VirtualClock clock;
  RecordingSink sink;
  FakeOwner owner;
  Shard shard;
  Shard::Turn last;
  std::size_t handled = 0;

 private:
  std::vector<std::shared_ptr<Tenure>> lost_;  // of threads that would still exist
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{shard.context().get_executor()};
};

inline TaskOptions options_of(TaskType type, std::uint32_t restarts = 0,
                              std::chrono::nanoseconds stop_timeout = std::chrono::seconds(10)) {
  TaskOptions options;
  options.type = type;
  options.restarts = restarts;
  options.stop_timeout = stop_timeout;
  return options;
}

}  // namespace taskhost::test
