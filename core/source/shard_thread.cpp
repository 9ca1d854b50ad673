#include "shard_thread.hpp"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/post.hpp>
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
    : shard_(owner, sink, clock, complete_events),
      number_(number),
      timer_(shard_.context()),
      wakes_(shard_.context(), shard_.port().descriptor()),
      no_memory_(std::move(no_memory)),
      work_(shard_.context().get_executor()) {}

ShardThread::~ShardThread() {
  wakes_.release();  // the port keeps its descriptor for ever
}

void ShardThread::prepare(JobThreads& threads, std::function<void(Shard&)> make_tasks) {
  auto begin = [this, make_tasks = std::move(make_tasks), go = std::make_shared<std::future<bool>>(go_.get_future())] {
    try {
      make_tasks(shard_);
      if (!listen()) throw std::bad_alloc();
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
  shard_.port().look();  // Asio would not report that the shard can't be woken
  boost::asio::post(shard_.context(), [this, began] { shard_.begin_stop(began); });
}

void ShardThread::expire_stop() {
  boost::asio::post(shard_.context(), [this] { shard_.expire_stop(); });
}

void ShardThread::quit(std::function<void()> has_quit) {
  boost::asio::post(shard_.context(), [this, has_quit = std::move(has_quit)]() mutable {
    has_quit_ = std::move(has_quit);
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
    if (quit_) break;       // after a turn, which destroys what the last handlers left
    std::size_t handlers = 0;
    if (!turn.more) {
      if (arm(turn.deadline) && listen() && shard_.port().begin_sleep()) {
        shard_.doze();
        handlers += run_handler(*tenure, true);
        if (!tenure->leave_loop()) return;
        shard_.port().end_sleep();
      }
    }
    for (std::size_t ran = 1; ran != 0 && handlers < handlers_a_turn; handlers += ran) {
      ran = run_handler(*tenure, false);
      if (!tenure->leave_loop()) return;
    }
  }
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

// A timer that fires too early costs a turn, and rearming it costs a system call, so it is only rearmed for an earlier
// time. False if there was no memory: then the shard must not sleep, but try again.
bool ShardThread::arm(Nanoseconds deadline) noexcept {
  if (deadline >= armed_) return true;
  constexpr auto last = static_cast<Nanoseconds>(std::chrono::nanoseconds::max().count());
  try {
    timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(std::min(deadline, last))));
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error != boost::asio::error::operation_aborted) armed_ = never;
    });
    armed_ = deadline;
  } catch (const std::exception&) {
    armed_ = never;
  }
  return armed_ == deadline;
}

// False if there was no memory, as with arm.
bool ShardThread::listen() noexcept {
  if (listening_) return true;
  try {
    wakes_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
      if (error) return;
      listening_ = false;
      shard_.port().quiet();
    });
    listening_ = true;
  } catch (const std::exception&) {
    // The next turn tries again.
  }
  return listening_;
}

}  // namespace taskhost
