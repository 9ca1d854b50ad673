#include "taskhost/core/supervisor.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/uuid/entropy_error.hpp>
#include <boost/uuid/random_generator.hpp>
#include <cstring>
#include <exception>
#include <future>
#include <mutex>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include "coordinated_tasks.hpp"
#include "needed_calls.hpp"
#include "shard_thread.hpp"
#include "share_sampler.hpp"
#include "stall_monitor.hpp"
#include "task_inquiries.hpp"
#include "taskhost/core/policy_check.hpp"
#include "taskhost/core/system_failure.hpp"

namespace taskhost {

namespace {

// For offloaded work that is about to end when the host has stopped.
constexpr std::chrono::milliseconds patience_at_the_end{100};

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
      : options_(checked(options)),
        sink_(sink),
        clock_(clock),
        blocking_threads_({.name = "th-block",
                           .limit = options.blocking_threads,
                           .exhausted = all_in_use(options.blocking_threads, "blocking_threads"),
                           .stack_size = options.blocking_stack_size}),
        shard_threads_({.name = "th-spare",
                        .limit = std::size_t{options.shards} + options.stall_threads,
                        .exhausted = all_in_use(options.stall_threads, "stall_threads"),
                        .stack_size = options.poll_stack_size}),
        monitor_(control_, *this, sink, options.stall_limit, shard_threads_, options.complete_events),
        coordinated_(control_, sink, clock, options.complete_events,
                     {.stop_host = [this](StopCause cause) { request_stop(std::move(cause)); },
                      .id_of = [this](std::uint32_t index) { return task_id(index); },
                      .changed = [this] { all_ended(); },
                      .active = options.active}) {
    require_needed_calls();
    works()->set_sink(&sink);
    const boost::uuids::uuid seed = boost::uuids::random_generator()();
    std::memcpy(&id_high_, seed.data, sizeof id_high_);
    std::memcpy(&id_low_, seed.data + sizeof id_high_, sizeof id_low_);
    for (unsigned number = 0; number < options.shards; ++number) {
      shards_.push_back({std::make_unique<ShardThread>(*this, sink, clock, options.complete_events, number,
                                                       [this] { end_without_memory(); })});
      monitor_.watch(*shards_.back().thread);
      shares_.watch(shards_.back().thread->shard());
    }
  }

  [[noreturn]] void end_without_memory() const noexcept {
    if (options_.no_memory) options_.no_memory();
    std::terminate();
  }
  template <class Call>
  void or_end(Call call) const noexcept {
    try {
      call();
    } catch (const std::bad_alloc&) {
      end_without_memory();
    }
  }

  void set_complete_events(bool complete) noexcept {
    for (const Member& member : shards_) member.thread->shard().set_complete_events(complete);
    monitor_.set_complete_events(complete);
    coordinated_.set_complete_events(complete);
  }

  std::size_t add(const Task& task) { return tasks_.add(task.name, task.function, task.options); }
  void add(TaskList tasks) {
    if (tasks_.size() == 0) {
      tasks_ = std::move(tasks);
    } else {
      tasks_.append(tasks);
    }
  }

  std::size_t task_count() const noexcept { return task_count_ + tasks_.size(); }

  void prepare() {
    if (prepared_) return;
    if (cancelled_) throw std::logic_error("this supervisor can't be prepared any more");
    if (tasks_.size() > max_tasks) throw std::length_error("more than 4294967295 tasks");
    check_policies();
    coordinated_.plan(tasks_, seed());
    std::size_t made = 0;
    std::exception_ptr failure;
    try {
      for (; made < shards_.size(); ++made) {
        // Each shard makes its tasks on its own thread, in parallel with the others.
        shards_[made].thread->prepare(shard_threads_, [this, first = made](Shard& shard) { make_tasks(shard, first); });
      }
    } catch (...) {
      failure = std::current_exception();
    }
    for (std::size_t i = 0; i < made; ++i) {
      try {
        shards_[i].thread->await_tasks();
      } catch (...) {
        failure = std::current_exception();
      }
    }
    try {
      if (!failure) {
        fill_control();
        task_count_ = tasks_.size();
        tasks_ = {};  // here, since it may need memory
        control_thread_ = new_thread([this, go = go_.get_future()]() mutable {
          if (!go.get()) return;
          pthread_setname_np(pthread_self(), "th-control");
          or_end([this] { control_.run(); });
          inquiries_.close();
        });
      }
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      cancelled_ = true;
      for (std::size_t i = 0; i < made; ++i) {
        shards_[i].thread->cancel();
        shards_[i].thread->join();
      }
      std::rethrow_exception(failure);
    }
    prepared_ = true;
  }

  // Prepares what the control thread finds when it starts.
  void fill_control() {
    for (const Member& member : shards_) {
      if (!member.thread->shard().ended()) live_shards_.fetch_add(1);
    }
    if (coordinated_.empty()) {
      if (live_shards_ == 0) request_stop({StopReason::all_done, false, {}, {}});
    } else {
      boost::asio::post(control_, [this] { coordinated_.begin(); });
    }
    monitor_.listen(options_.active);
  }

  void start() {
    prepare();
    started_ = true;  // from here on nothing can fail
    go_.set_value(true);
    for (const Member& member : shards_) member.thread->start();
  }

  // For a supervisor that is prepared, but will not be started.
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
      if (!member.given_up) member.thread->join();
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

  void operate(std::size_t task, Operation operation) {
    if (!prepared_ || task >= task_count_) return;
    const auto index = static_cast<std::uint32_t>(task);
    if (coordinated_.is_coordinated(index)) {
      boost::asio::post(control_, [this, index, operation] { coordinated_.operate(index, operation); });
    } else {
      shards_[task % shards_.size()].thread->shard().order(task / shards_.size(), operation);
    }
  }

  void for_each_name(const std::function<void(std::size_t, const char*)>& function) const {
    for (const Member& member : shards_) member.thread->shard().for_each_name(function);
  }

  std::vector<TaskReport> report(std::optional<std::size_t> task, TaskInquiries::Time end, bool with_shares) {
    std::vector<TaskReport> reports = inquiries_.report(shards(), task, end);
    if (with_shares) shares_.want();
    for (TaskReport& report : reports) {
      if (!report.blocking && report.is_answered) report.share = shares_.share(report.task);
    }
    return reports;
  }
  std::vector<ShardSamples> shard_samples() const { return shares_.shards(); }
  TaskCounts count(TaskInquiries::Time end) { return inquiries_.count(shards(), end); }

  const char* name(std::size_t task) const {
    return shards_[task % shards_.size()].thread->shard().name_at(task / shards_.size());
  }

  void expire_stop() {
    timed_out_.store(true);  // even if all have ended by the time the control thread handles it
    boost::asio::post(control_, [this] { expire(true); });
  }

  // ShardOwner, on the shards' threads.
  const std::atomic<bool>& stopping() const noexcept override { return stopping_; }
  void stop_wanted(StopCause cause) noexcept override {
    or_end([&] { request_stop(std::move(cause)); });
  }
  void task_abandoned() noexcept override {
    abandoned_.store(true);
    timed_out_.store(true);
  }
  void count_lost(int change) noexcept override { lost_.fetch_add(static_cast<std::size_t>(change)); }
  void shard_ended() noexcept override {
    if (live_shards_.fetch_sub(1) != 1) return;
    or_end([this] { boost::asio::post(control_, [this] { all_ended(); }); });
  }
  bool shard_revived() noexcept override {
    live_shards_.fetch_add(1);
    if (!stopping_.load()) return true;  // else the check whether all shards have ended may already be over
    shard_ended();
    return false;
  }
  std::uint64_t executions_before() const noexcept override { return options_.executions_before; }
  std::uint64_t seed() const noexcept override { return options_.seed != 0 ? options_.seed : id_high_; }
  void shard_awake() noexcept override { monitor_.shard_awake(); }
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
  void launch(std::shared_ptr<Job> job) override { blocking_threads_.launch(std::move(job)); }
  bool launch_sometime(std::shared_ptr<Job> job) override { return blocking_threads_.launch_sometime(std::move(job)); }
  void coordinated_begun(std::uint32_t index) override { coordinated_.begun(index); }
  void coordinated_started(std::uint32_t index) override { coordinated_.started(index); }
  void coordinated_ready(std::uint32_t index) override { coordinated_.ready(index); }
  void coordinated_step_ended(std::uint32_t index) override { coordinated_.step_ended(index); }
  void coordinated_ended(std::uint32_t index, End end) override { coordinated_.ended(index, std::move(end)); }
  void did_not_stop(Straggler straggler) override {
    boost::asio::post(control_, [this, straggler = std::move(straggler)] { report(straggler); });
  }

 private:
  static constexpr std::size_t max_tasks = ~std::uint32_t{0};

  struct Member {
    std::unique_ptr<ShardThread> thread;
    bool has_quit = false;
    bool given_up = false;
  };

  static const SupervisorOptions& checked(const SupervisorOptions& options) {
    if (options.shards == 0 || options.shards > max_shards) {
      throw std::invalid_argument("shards must be between 1 and " + std::to_string(max_shards));
    }
    if (options.stall_limit < min_stall_limit) throw std::invalid_argument("stall_limit is shorter than 10 ms");
    return options;
  }

  static std::string all_in_use(unsigned count, const char* what) {
    return count == 0 ? std::string(what) + " is 0" : "all " + std::to_string(count) + ' ' + what + " are in use";
  }

  std::vector<Shard*> shards() const {
    std::vector<Shard*> shards;
    for (const Member& member : shards_) shards.push_back(&member.thread->shard());
    return shards;
  }

  void check_policies() {
    tasks_.for_each_options([this](const TaskOptions& options) {
      const std::vector<PolicyProblem> problems = check_policy(options);
      if (problems.empty()) return;
      std::size_t first = 0;  // the first task with these options
      while (first < tasks_.size() && &tasks_.options(first) != &options) ++first;
      if (first == tasks_.size()) return;  // the task with them was removed again
      throw std::invalid_argument("task '" + std::string(tasks_.name(first)) + "': " + problems.front().message);
    });
  }

  void make_tasks(Shard& shard, std::size_t first) {
    const bool some_coordinated = !coordinated_.empty();
    for (std::size_t i = first; i < tasks_.size(); i += shards_.size()) {
      const auto index = static_cast<std::uint32_t>(i);
      const bool coordinated = some_coordinated && coordinated_.is_coordinated(index);
      TaskCell& cell = shard.add(tasks_.function(i), tasks_.options(i), tasks_.name(i), index, coordinated);
      if (coordinated) coordinated_.made(index, shard, cell);
    }
  }

  HostResult result() const noexcept {
    if (timed_out_.load()) return HostResult::stop_timed_out;
    return cause_.failure ? HostResult::task_failed : HostResult::success;
  }

  void record_later_cause(const StopCause& cause) {
    if (cause.reason == StopReason::all_done) return;  // every stop ends like that
    std::string text = "another reason to stop: " + std::string(to_string(cause.reason));
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
    monitor_.begin_stop([this](ShardThread& thread) { return give_up(thread); });
    if (quit_if_ended()) return;
    const Nanoseconds began = clock_.now();
    for (const Member& member : shards_) member.thread->begin_stop(began);
    coordinated_.begin_stop();
    if (expire_at_once_) return expire(true);
    if (options_.shutdown_timeout) limit_stop(false);
  }

  void limit_stop(bool anew) {
    deadline_.expires_after(*options_.shutdown_timeout);
    deadline_.async_wait([this, anew](const boost::system::error_code& error) {
      if (error) return;
      const bool stood_still =
          std::chrono::steady_clock::now() - deadline_.expiry() > std::chrono::nanoseconds(standstill);
      if (stood_still && !anew) return limit_stop(true);  // after a standstill the tasks have their turn first
      expire();
    });
  }

  void all_ended() {
    if (live_shards_.load() != 0 || !coordinated_.all_ended()) return;
    // A task's own cause of a stop may have been set since this was posted.
    {
      const std::lock_guard lock(mutex_);
      if (!stopping_.load()) {
        const bool all_lost = lost_.load() + coordinated_.lost() == task_count_;
        cause_ = {StopReason::all_done, all_lost, {}, all_lost ? "none of them ended well" : ""};
        stopping_.store(true);
        boost::asio::post(control_, [this] { begin_stop(); });
      }
    }
    quit_if_ended();
  }

  // The host has stopped only when its shards have quit: what dropped coroutines left behind, and what tasks posted to
  // the loops themselves, is task code that may still run.
  bool quit_if_ended() {
    if (!announced_ || live_shards_.load() != 0 || !coordinated_.all_ended() || quitting_) return quitting_;
    quitting_ = true;
    deadline_.cancel();
    for (Member& member : shards_) {
      if (member.given_up) continue;
      member.thread->quit([this, &member] {
        boost::asio::post(control_, [this, &member] {
          member.has_quit = true;
          finish_if_quit();
        });
      });
    }
    monitor_.begin_quit();
    finish_if_quit();
    return true;
  }

  void finish_if_quit() {
    const auto is_over = [](const Member& member) { return member.has_quit || member.given_up; };
    if (finished_ || !std::all_of(shards_.begin(), shards_.end(), is_over)) return;
    finished_ = true;
    result_ = result();
    monitor_.end();
    shares_.close();
    tell_works_left();
    Event event;
    event.kind = EventKind::host_stopped;
    event.reason = cause_.reason;
    event.status = static_cast<std::int32_t>(result_);
    event.task = cause_.task.empty() ? nullptr : cause_.task.c_str();
    sink_.publish(std::move(event));
    control_.stop();
  }

  void tell_works_left() {
    try {
      for (const std::string& task : works()->still_running(patience_at_the_end)) {
        sink_.log(
            LogLevel::warning, task.c_str(),
            "work that it offloaded still runs, and is left behind; let it look at a flag, and wait for it in finish");
        task_abandoned();
      }
    } catch (const std::bad_alloc&) {
      task_abandoned();  // there may be some
    }
  }

  void expire(bool ordered = false) {
    if (finished_ || expired_) return;
    if (!announced_) {
      expire_at_once_ = true;
      return;
    }
    expired_ = true;
    timed_out_.store(true);
    if (!ordered) sink_.log(LogLevel::error, nullptr, "the stop ran out of time: dropping or abandoning the rest");
    coordinated_.expire_stop();
    for (const Member& member : shards_) {
      if (member.thread->shard().size() != 0) member.thread->expire_stop();
    }
    monitor_.expire_stop();
  }

  // For a shard whose thread is stuck where no other can take over. Should that thread come back, it touches nothing,
  // so the rest of the shard is handled here, exactly once. False if nobody waits for anything in the shard.
  bool give_up(ShardThread& thread) {
    Shard& shard = thread.shard();
    if (!quitting_ && shard.ended() && !coordinated_.live_on(shard)) return false;
    task_abandoned();
    const TaskCell* const stuck = shard.tenure().pinned();
    sink_.log(LogLevel::error, nullptr,
              "shard " + std::to_string(thread.number()) + " is given up with its tasks: " +
                  (stuck != nullptr
                       ? "a call of task '" + std::string(stuck->name()) + "' does not return, and no thread is left"
                       : "a handler that a task posted to its loop does not return; let it wait asynchronously, or "
                         "run it on a thread of its own"));
    for (Member& member : shards_) {
      if (member.thread.get() == &thread) member.given_up = true;
    }
    shard.give_up();
    // Posted, so that it comes after what give_up reports.
    boost::asio::post(control_, [this, &shard] {
      coordinated_.give_up(shard);
      if (quit_if_ended()) finish_if_quit();
    });
    return true;
  }

  // A line for each execution that did not stop in time, but for one that waited for others, and was dropped at once.
  void report(const Straggler& straggler) {
    if (straggler.where.empty() && coordinated_.was_held_up(straggler.index)) return;
    std::string text = "did not stop: execution " + std::to_string(straggler.execution) +
                       (straggler.was_asked ? ", asked " : ", ended ") +
                       std::to_string(straggler.for_time / 1'000'000) + "ms ago";
    text += straggler.where.empty() ? ", between two polls" : ", in its " + straggler.where;
    const std::string held_up = coordinated_.held_up_by(straggler.index);
    if (!held_up.empty()) text += "; " + held_up + " waited for it";
    text += statuses().words(straggler.index, straggler.execution);
    if (straggler.is_abandoned) text += std::string("; ") + options_.abandonment;
    sink_.log(LogLevel::error, straggler.name.c_str(), text);
  }

  const SupervisorOptions options_;
  EventSink& sink_;
  std::uint64_t id_high_ = 0;
  std::uint64_t id_low_ = 0;

  const Clock& clock_;
  TaskList tasks_;  // empty once they are made
  std::size_t task_count_ = 0;

  boost::asio::io_context control_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> control_work_{control_.get_executor()};
  boost::asio::steady_timer deadline_{control_};
  std::vector<Member> shards_;  // after control_, in which the monitor's timer waits; before the threads that run them
  JobThreads blocking_threads_;
  JobThreads shard_threads_;
  StallMonitor monitor_;
  CoordinatedTasks coordinated_;
  TaskInquiries inquiries_{control_, coordinated_};
  ShareSampler shares_{control_};
  std::promise<bool> go_;
  std::thread control_thread_;
  std::atomic<bool> prepared_{false};
  bool cancelled_ = false;
  bool waited_ = false;
  bool started_ = false;  // and wait has not returned

  std::mutex mutex_;  // guards the choice of the first cause
  StopCause cause_;   // constant once stopping_ is set
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> live_shards_{0};
  std::atomic<bool> timed_out_{false};
  std::atomic<std::size_t> lost_{0};  // the shards' own tasks that are over without having ended well
  std::atomic<bool> abandoned_{false};

  bool announced_ = false;  // from here on for the control thread only
  bool quitting_ = false;   // all tasks have ended
  bool finished_ = false;
  HostResult result_ = HostResult::success;  // once finished
  bool expired_ = false;
  bool expire_at_once_ = false;  // requested before the stop was announced
};

Supervisor::Supervisor(const SupervisorOptions& options, EventSink& sink, const Clock& clock) try
    : implementation_(std::make_unique<Implementation>(options, sink, clock)) {
} catch (const boost::system::system_error& error) {
  throw system_failure(error.code().value(), "epoll_create1");  // an event loop's descriptors
} catch (const boost::uuids::entropy_error& error) {
  throw system_failure(static_cast<int>(error.errcode()), "getrandom");
}

Supervisor::~Supervisor() {
  if (implementation_->started()) {
    request_stop({});
    implementation_->wait();
  }
  implementation_->cancel();
  implementation_->works()->set_sink(nullptr);  // work that is left behind outlives it
  if (implementation_->abandoned_threads()) leak(std::shared_ptr<void>(std::move(implementation_)));
}

void Supervisor::add(TaskList tasks) { implementation_->add(std::move(tasks)); }
std::size_t Supervisor::add(const Task& task) { return implementation_->add(task); }
std::size_t Supervisor::task_count() const noexcept { return implementation_->task_count(); }
void Supervisor::prepare() { implementation_->prepare(); }
void Supervisor::start() { implementation_->start(); }
HostResult Supervisor::wait() { return implementation_->wait(); }
void Supervisor::operate(std::size_t task, Operation operation) { implementation_->operate(task, operation); }
void Supervisor::for_each_name(const std::function<void(std::size_t, const char*)>& function) const {
  implementation_->for_each_name(function);
}
std::vector<TaskReport> Supervisor::report(std::optional<std::size_t> task, std::chrono::nanoseconds patience,
                                           bool with_shares) const {
  return implementation_->report(task, std::chrono::steady_clock::now() + patience, with_shares);
}
std::vector<ShardSamples> Supervisor::shard_samples() const { return implementation_->shard_samples(); }
TaskCounts Supervisor::count(std::chrono::nanoseconds patience) const {
  return implementation_->count(std::chrono::steady_clock::now() + patience);
}
const char* Supervisor::name(std::size_t task) const { return implementation_->name(task); }
void Supervisor::set_complete_events(bool complete) noexcept { implementation_->set_complete_events(complete); }
boost::uuids::uuid Supervisor::id(std::size_t task) const noexcept {
  return implementation_->task_id(static_cast<std::uint32_t>(task));
}
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
