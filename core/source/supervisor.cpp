#include "taskhost/core/supervisor.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/uuid/random_generator.hpp>
#include <cstring>
#include <deque>
#include <future>
#include <memory_resource>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "blocking_threads.hpp"
#include "shard_thread.hpp"

namespace taskhost {

namespace {

// How long the very same call must be seen to run, beyond its task's stop_timeout, before its shard is taken over.
constexpr std::chrono::milliseconds stuck_after{200};
constexpr std::chrono::milliseconds look_interval{20};
// A shard that is stuck outside any call (a handler that a C++ task posted by itself) can't be taken over. When the
// stop has run out of time and it has made no step for so long, it is given up.
constexpr std::chrono::seconds give_up_after{5};

// splitmix64's finalizer: a bijection, so different inputs give different ids.
constexpr std::uint64_t mix(std::uint64_t value) noexcept {
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
  value = (value ^ value >> 27) * 0x94d049bb133111ebu;
  return value ^ value >> 31;
}

}  // namespace

class Supervisor::Implementation final : public ShardOwner {
 public:
  Implementation(const SupervisorOptions& options, EventSink& sink, const Clock& clock)
      : options_(options), sink_(sink) {
    if (options.shards == 0 || options.shards > shard_limit) {
      throw std::invalid_argument("shards must be between 1 and " + std::to_string(shard_limit));
    }
    const boost::uuids::uuid seed = boost::uuids::random_generator()();
    std::memcpy(&id_high_, seed.data, sizeof id_high_);
    std::memcpy(&id_low_, seed.data + sizeof id_high_, sizeof id_low_);
    for (unsigned number = 0; number < options.shards; ++number) {
      shards_.push_back({std::make_unique<ShardThread>(*this, sink, clock, options.complete_events, number)});
    }
  }

  std::size_t add(const Task& task) {
    if (options_of_tasks_.empty() || !(options_of_tasks_.back() == task.options)) {
      options_of_tasks_.push_back(task.options);
    }
    auto* name = static_cast<char*>(names_.allocate(task.name.size() + 1, 1));
    std::memcpy(name, task.name.c_str(), task.name.size() + 1);
    const auto index = static_cast<std::uint32_t>(task_count_);
    shards_[task_count_ % shards_.size()].thread->shard().add(task.function, options_of_tasks_.back(), name, index);
    return task_count_++;
  }

  std::size_t task_count() const noexcept { return task_count_; }

  void prepare() {
    if (prepared_) return;
    std::size_t made = 0;
    try {
      for (; made < shards_.size(); ++made) shards_[made].thread->prepare();
      control_thread_ = std::thread([this, go = go_.get_future()]() mutable {
        if (!go.get()) return;
        pthread_setname_np(pthread_self(), "th-control");
        control_.run();
      });
    } catch (...) {
      while (made-- != 0) {
        shards_[made].thread->cancel();
        shards_[made].thread->join();
      }
      throw;
    }
    prepared_ = true;
  }

  void start() {
    prepare();
    for (const Member& member : shards_) {
      if (member.thread->shard().size() != 0) live_shards_.fetch_add(1);
    }
    if (live_shards_ == 0) request_stop({StopReason::all_done, false, {}, {}});
    started_ = true;
    go_.set_value(true);
    for (const Member& member : shards_) member.thread->start();
  }

  // Prepared, but never to be started.
  void cancel() {
    if (!prepared_ || started_ || waited_) return;
    go_.set_value(false);
    control_thread_.join();
    for (const Member& member : shards_) {
      member.thread->cancel();
      member.thread->join();
    }
  }

  HostResult wait() {
    if (!started_) return HostResult::success;
    control_thread_.join();
    for (const Member& member : shards_) {
      if (member.given_up) {
        member.thread->leave_behind();
      } else {
        member.thread->join();
      }
    }
    started_ = false;
    waited_ = true;
    return result_;
  }

  bool started() const noexcept { return started_; }
  bool abandoned_threads() const noexcept { return abandoned_.load(); }
  boost::asio::io_context& control() noexcept { return control_; }

  void request_stop(StopCause cause) {
    const std::lock_guard lock(mutex_);
    if (stopping_.load(std::memory_order_relaxed)) {
      record_later_cause(cause);
      return;
    }
    cause_ = std::move(cause);
    stopping_.store(true, std::memory_order_seq_cst);
    boost::asio::post(control_, [this] { begin_stop(); });
  }

  void expire_stop() {
    timed_out_.store(true);  // even if all have ended by the time that the control thread gets to it
    boost::asio::post(control_, [this] { expire(); });
  }

  // ShardOwner, on the shards' threads.
  bool stopping() const noexcept override { return stopping_.load(std::memory_order_relaxed); }
  void stop_wanted(StopCause cause) noexcept override { request_stop(std::move(cause)); }
  void task_abandoned() noexcept override {
    abandoned_.store(true);
    timed_out_.store(true);
  }
  void shard_ended() noexcept override {
    if (live_shards_.fetch_sub(1) == 1) {
      boost::asio::post(control_, [this] { all_ended(); });
    }
  }
  boost::uuids::uuid task_id(std::uint32_t index) const noexcept override {
    const std::uint64_t high = mix(id_high_ + index);
    const std::uint64_t low = mix(id_low_ ^ high);
    boost::uuids::uuid id;
    std::memcpy(id.data, &high, sizeof high);
    std::memcpy(id.data + sizeof high, &low, sizeof low);
    id.data[6] = static_cast<std::uint8_t>((id.data[6] & 0x0f) | 0x40);  // version 4
    id.data[8] = static_cast<std::uint8_t>((id.data[8] & 0x3f) | 0x80);  // RFC 4122
    return id;
  }
  void launch(std::shared_ptr<BlockingCall> call) override { blocking_threads_.launch(std::move(call)); }

 private:
  struct Member {
    std::unique_ptr<ShardThread> thread;
    bool given_up = false;
    Lease::Call seen_call = 0;  // the control thread's: what it saw last, and since when
    std::uint64_t seen_steps = 0;
    std::chrono::steady_clock::time_point seen_since{};
  };

  HostResult result() const noexcept {
    if (timed_out_.load()) return HostResult::stop_timed_out;
    return cause_.failure ? HostResult::task_failed : HostResult::success;
  }

  void record_later_cause(const StopCause& cause) {
    if (cause.reason == StopReason::all_done) return;  // every stop ends like that
    std::string text = "also wanted the host to stop: " + std::string(to_string(cause.reason));
    if (!cause.detail.empty()) text += ", " + cause.detail;
    sink_.log(LogLevel::info, cause.task.empty() ? nullptr : cause.task.c_str(), text);
  }

  // The rest runs on the control thread.

  void begin_stop() {
    Event event;
    event.kind = EventKind::host_stopping;
    event.reason = cause_.reason;
    event.status = static_cast<std::int32_t>(result());
    event.task = cause_.task.empty() ? nullptr : cause_.task.c_str();
    event.message = cause_.detail;
    sink_.publish(std::move(event));
    announced_ = true;
    if (finish_if_ended()) return;
    for (const Member& member : shards_) member.thread->begin_stop();
    stop_began_ = std::chrono::steady_clock::now();
    if (expire_at_once_) {
      expire();
      return;
    }
    if (options_.shutdown_timeout) {
      deadline_.expires_after(*options_.shutdown_timeout);
      deadline_.async_wait([this](const boost::system::error_code& error) {
        if (!error) expire();
      });
    }
    look_for_stuck_shards();
  }

  void all_ended() {
    // A task's own cause may be on its way behind this message.
    {
      const std::lock_guard lock(mutex_);
      if (!stopping_.load()) {
        cause_ = {StopReason::all_done, false, {}, {}};
        stopping_.store(true);
        boost::asio::post(control_, [this] { begin_stop(); });
      }
    }
    finish_if_ended();
  }

  bool finish_if_ended() {
    if (!announced_ || live_shards_.load() != 0 || finished_) return finished_;
    finished_ = true;
    result_ = result();
    deadline_.cancel();
    look_.cancel();
    Event event;
    event.kind = EventKind::host_stopped;
    event.reason = cause_.reason;
    event.status = static_cast<std::int32_t>(result_);
    event.task = cause_.task.empty() ? nullptr : cause_.task.c_str();
    sink_.publish(std::move(event));
    for (const Member& member : shards_) member.thread->quit();
    control_.stop();
    return true;
  }

  void expire() {
    if (finished_ || expired_) return;
    if (!announced_) {
      expire_at_once_ = true;
      return;
    }
    expired_ = true;
    timed_out_.store(true);
    sink_.log(LogLevel::error, nullptr, "the stop ran out of time");
    for (Member& member : shards_) {
      if (has_live_tasks(member)) member.thread->expire_stop();
    }
    expired_at_ = std::chrono::steady_clock::now();
    if (look_.expiry() < expired_at_) look_for_stuck_shards();
  }

  // From the beginning of a stop to its end: whose call outlives its stop_timeout blocks its shard, and with it the
  // stop of all its neighbours.
  void look_for_stuck_shards() {
    if (finish_if_ended()) return;
    const auto now = std::chrono::steady_clock::now();
    for (Member& member : shards_) {
      if (member.given_up || !has_live_tasks(member)) continue;
      const Shard& shard = member.thread->shard();
      const Lease::Call call = shard.running_call();
      const std::uint64_t steps = shard.steps();
      if (call != member.seen_call || steps != member.seen_steps) {
        member.seen_call = call;
        member.seen_steps = steps;
        member.seen_since = now;
      } else if (call != 0) {
        if (is_over(now, member)) take_over(member, call);
      } else if (expired_ && now - std::max(member.seen_since, expired_at_) >= give_up_after) {
        give_up(member);
      }
    }
    if (finished_) return;
    look_.expires_after(look_interval);
    look_.async_wait([this](const boost::system::error_code& error) {
      if (!error) look_for_stuck_shards();
    });
  }

  static bool has_live_tasks(const Member& member) {
    return member.thread->shard().size() != 0 && !member.thread->shard().ended();
  }

  // Whether the call that the shard is in has used up the time that its task has for stopping.
  bool is_over(std::chrono::steady_clock::time_point now, const Member& member) const {
    if (now - member.seen_since < stuck_after) return false;
    const TaskCell* cell = member.thread->shard().called();
    return expired_ || cell == nullptr || now - stop_began_ >= cell->options.stop_timeout;
  }

  void take_over(Member& member, Lease::Call call) {
    try {
      if (!member.thread->take_over(call)) return;  // it came back this very moment
      abandoned_.store(true);
      if (expired_) member.thread->expire_stop();
    } catch (const std::system_error& error) {
      sink_.log(LogLevel::error, nullptr, std::string("no thread to take over a stuck shard: ") + error.what());
    }
  }

  void give_up(Member& member) {
    member.given_up = true;
    abandoned_.store(true);
    sink_.log(LogLevel::error, nullptr, "a shard is stuck outside a task's call, and is given up with its tasks");
    if (live_shards_.fetch_sub(1) == 1) finish_if_ended();
  }

  const SupervisorOptions options_;
  EventSink& sink_;
  std::uint64_t id_high_ = 0;
  std::uint64_t id_low_ = 0;

  std::pmr::monotonic_buffer_resource names_;
  std::deque<TaskOptions> options_of_tasks_;  // one for each run of tasks with equal options
  std::size_t task_count_ = 0;
  BlockingThreads blocking_threads_;
  std::vector<Member> shards_;

  boost::asio::io_context control_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> control_work_{control_.get_executor()};
  boost::asio::steady_timer deadline_{control_};
  boost::asio::steady_timer look_{control_};
  std::promise<bool> go_;
  std::thread control_thread_;
  bool prepared_ = false;
  bool waited_ = false;
  bool started_ = false;

  std::mutex mutex_;  // the first cause
  StopCause cause_;   // constant once stopping_
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> live_shards_{0};
  std::atomic<bool> timed_out_{false};
  std::atomic<bool> abandoned_{false};

  bool announced_ = false;  // the control thread's, from here on
  bool finished_ = false;
  HostResult result_ = HostResult::success;  // once finished
  bool expired_ = false;
  bool expire_at_once_ = false;  // it was asked for before the stop was announced
  std::chrono::steady_clock::time_point stop_began_{};
  std::chrono::steady_clock::time_point expired_at_{};
};

Supervisor::Supervisor(const SupervisorOptions& options, EventSink& sink, const Clock& clock)
    : implementation_(std::make_unique<Implementation>(options, sink, clock)) {}

Supervisor::~Supervisor() {
  if (implementation_->started()) {
    request_stop({});
    implementation_->wait();
  }
  implementation_->cancel();
  if (implementation_->abandoned_threads()) leak(std::shared_ptr<void>(std::move(implementation_)));
}

std::size_t Supervisor::add(const Task& task) { return implementation_->add(task); }
std::size_t Supervisor::task_count() const noexcept { return implementation_->task_count(); }
void Supervisor::prepare() { implementation_->prepare(); }
void Supervisor::start() { implementation_->start(); }
HostResult Supervisor::wait() { return implementation_->wait(); }
void Supervisor::request_stop(StopCause cause) { implementation_->request_stop(std::move(cause)); }
void Supervisor::expire_stop() { implementation_->expire_stop(); }
boost::asio::io_context& Supervisor::control() noexcept { return implementation_->control(); }
bool Supervisor::abandoned_threads() const noexcept { return implementation_->abandoned_threads(); }

void Supervisor::leak(std::shared_ptr<void> object) {
  // Never destroyed, so that leak checkers find what it holds.
  static std::mutex* const mutex = new std::mutex;
  static auto* const leaked = new std::vector<std::shared_ptr<void>>;
  const std::lock_guard lock(*mutex);
  leaked->push_back(std::move(object));
}

}  // namespace taskhost
