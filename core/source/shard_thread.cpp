#include "shard_thread.hpp"

#include <pthread.h>

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "forked_child.hpp"

namespace taskhost {

namespace {

// Limit between two turns: handlers that keep posting others must not hold up timers, wakes and the stop.
constexpr unsigned handlers_a_turn = 64;

}  // namespace

// A thread's work for a shard: from the beginning, or from where a stuck thread left off, to the end or until it gets
// stuck itself.
class ShardThread::Tour final : public Job {
 public:
  Tour(ShardThread& owner, std::shared_ptr<Tenure> tenure, std::function<bool()> begin)
      : owner_(owner), tenure_(std::move(tenure)), begin_(std::move(begin)) {}

  void run() noexcept override {
    try {
      if (begin_()) {
        owner_.run(tenure_);
      } else {
        owner_.done_.set_value();
      }
    } catch (const std::bad_alloc&) {
      owner_.no_memory_();
    }
    begin_ = nullptr;
    over_.store(true, std::memory_order_release);
  }
  bool finished() const noexcept override { return over_.load(std::memory_order_acquire) || tenure_->is_back(); }

 private:
  ShardThread& owner_;
  const std::shared_ptr<Tenure> tenure_;  // shared with the shard: either may outlive the other's use of it
  std::function<bool()> begin_;
  std::atomic<bool> over_{false};
};

ShardThread::ShardThread(ShardOwner& owner, EventSink& sink, const Clock& clock, bool complete_events, unsigned number,
                         std::function<void()> no_memory)
    : shard_(owner, sink, clock, complete_events), number_(number), no_memory_(std::move(no_memory)) {}

ShardThread::~ShardThread() {
  if (asio_) asio_->wakes.release();  // the shard's
}

void ShardThread::prepare(JobThreads& threads, std::function<void(Shard&)> make_tasks) {
  auto begin = [this, make_tasks = std::move(make_tasks), go = std::make_shared<std::future<bool>>(go_.get_future())] {
    try {
      make_tasks(shard_);
      made_.set_value();
    } catch (...) {
      made_.set_exception(std::current_exception());
    }
    return go->get();
  };
  const std::shared_ptr<Tenure> first = std::make_shared<Tenure>();
  shard_.replace_tenure(first);
  threads.launch(std::make_shared<Tour>(*this, first, std::move(begin)));
}

std::shared_ptr<Tenure> ShardThread::take_over(JobThreads& threads, bool beyond_limit, Nanoseconds blocked_for) {
  const std::shared_ptr<Tenure> next = std::make_shared<Tenure>();
  std::shared_ptr<Tenure> lost = shard_.replace_tenure(next);
  try {
    threads.launch(std::make_shared<Tour>(*this, next,
                                          [this, lost, blocked_for] {
                                            shard_.adopt(lost, blocked_for);
                                            return true;
                                          }),
                   beyond_limit);
    return lost;
  } catch (...) {
    shard_.replace_tenure(lost);
    throw;
  }
}

void ShardThread::begin_stop(Nanoseconds began) {
  shard_.port().look();
  shard_.post([this, began] { shard_.begin_stop(began); });
}

void ShardThread::expire_stop() {
  shard_.post([this] { shard_.expire_stop(); });
}

void ShardThread::quit(std::function<void()> has_quit) {
  shard_.post([this, has_quit = std::move(has_quit)] {
    has_quit_ = has_quit;
    shard_.abandon_leftovers();
    quit_ = true;
  });
}

void ShardThread::run(const std::shared_ptr<Tenure>& tenure) {
  pthread_setname_np(pthread_self(), ("th-shard-" + std::to_string(number_)).c_str());
  const ForkMark mark(*tenure);
  while (true) {
    const Shard::Turn turn = shard_.turn();
    if (turn.lost) return;  // another thread owns all of this now
    if (shard_.uses_asio()) {
      if (!look_with_asio(*tenure, turn)) return;
    } else if (!quit_ && (turn.more || !shard_.port().begin_sleep())) {
      shard_.look(0);
    } else if (!quit_) {
      shard_.doze();
      const Nanoseconds now = SteadyClock::read();
      shard_.look(turn.deadline == never ? never : turn.deadline > now ? turn.deadline - now : 0);
      shard_.port().end_sleep();
    }
    if (quit_) break;
  }
  shard_.end_questions();
  if (has_quit_) has_quit_();
  done_.set_value();
}

// Handlers are ours, Asio's, or whatever a C++ task posted itself. They run one by one, since each may lose the shard,
// which leave_loop reports.
std::size_t ShardThread::run_handler(Tenure& tenure, bool wait) noexcept {
  tenure.enter_loop();
  try {
    return wait ? shard_.context().run_one() : shard_.context().poll_one();
  } catch (const std::exception& error) {
    shard_.sink().log(LogLevel::error, nullptr, std::string("a handler threw an exception: ") + error.what());
  } catch (...) {
    shard_.sink().log(LogLevel::error, nullptr, "a handler threw an exception");
  }
  return 1;
}

// For a shard whose C++ tasks use Asio: it sleeps there, and handlers run. False: it lost the shard.
bool ShardThread::look_with_asio(Tenure& tenure, const Shard::Turn& turn) {
  try {
    if (!asio_) asio_.emplace(shard_.context(), shard_.set().descriptor());
  } catch (const std::exception&) {
    // No memory, or no descriptor: it does not sleep, and tries again.
  }
  std::size_t handlers = 0;
  if (asio_ && !turn.more && !quit_ && arm(turn.deadline) && listen() && shard_.port().begin_sleep()) {
    shard_.doze();
    handlers += run_handler(tenure, true);
    if (!tenure.leave_loop()) return false;
    shard_.port().end_sleep();
  }
  // So many at most, since handlers may post others for ever.
  for (std::size_t ran = 1; ran != 0 && handlers < handlers_a_turn; handlers += ran) {
    ran = run_handler(tenure, false);
    if (!tenure.leave_loop()) return false;
  }
  if (quit_) return !shard_.turn().lost;  // destroys what the last handlers left
  shard_.look(0);
  return true;
}

// A timer that is armed too early costs a turn; arming it anew costs a system call. So only for an earlier time. False
// if there was no memory for it: then the shard must not sleep, but try again.
bool ShardThread::arm(Nanoseconds deadline) noexcept {
  if (deadline >= asio_->armed) return true;
  constexpr auto last = static_cast<Nanoseconds>(std::chrono::nanoseconds::max().count());
  try {
    asio_->timer.expires_at(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(std::min(deadline, last))));
    asio_->timer.async_wait([this](const boost::system::error_code& error) {
      if (error != boost::asio::error::operation_aborted) asio_->armed = never;
    });
    asio_->armed = deadline;
  } catch (const std::exception&) {
    asio_->armed = never;
  }
  return asio_->armed == deadline;
}

// False if there was no memory, as with arm.
bool ShardThread::listen() noexcept {
  if (asio_->listening) return true;
  try {
    asio_->wakes.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                            [this](const boost::system::error_code& error) {
                              if (!error) asio_->listening = false;
                            });
    asio_->listening = true;
  } catch (const std::exception&) {
    // The next turn tries again.
  }
  return asio_->listening;
}

}  // namespace taskhost
