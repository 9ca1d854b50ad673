#include "shard_thread.hpp"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <string>

namespace taskhost {

ShardThread::ShardThread(ShardOwner& owner, EventSink& sink, const Clock& clock, bool complete_events, unsigned number)
    : shard_(owner, sink, clock, complete_events),
      number_(number),
      timer_(shard_.context()),
      wakes_(shard_.context(), shard_.port().descriptor()),
      work_(shard_.context().get_executor()) {}

ShardThread::~ShardThread() {
  wakes_.release();  // the port keeps its descriptor for ever
}

void ShardThread::prepare() {
  thread_ = std::thread([this, go = go_.get_future()]() mutable {
    if (!go.get()) return;
    wait_for_wakes();
    run();
  });
}

bool ShardThread::take_over(Lease::Call call) {
  // First the thread, which can fail, then the shard, which can't be given back.
  std::promise<TaskCell*> taken;
  std::thread fresh([this, stuck = taken.get_future()]() mutable {
    TaskCell* cell = stuck.get();
    if (cell == nullptr) return;
    shard_.abandon(*cell);
    run();
  });
  TaskCell* const stuck = shard_.take_over(call);
  if (stuck != nullptr) {
    thread_.detach();
    thread_.swap(fresh);
  }
  taken.set_value(stuck);
  if (stuck == nullptr) fresh.join();
  return stuck != nullptr;
}

void ShardThread::begin_stop() {
  boost::asio::post(shard_.context(), [this] { shard_.begin_stop(); });
}

void ShardThread::expire_stop() {
  boost::asio::post(shard_.context(), [this] { (void)shard_.expire_stop(); });
}

void ShardThread::quit() {
  boost::asio::post(shard_.context(), [this] { quit_ = true; });
}

void ShardThread::run() {
  pthread_setname_np(pthread_self(), ("th-shard-" + std::to_string(number_)).c_str());
  WakePort::set_current(&shard_.port());
  while (true) {
    const Shard::Turn turn = shard_.turn();
    if (turn.lost) return;  // another thread owns all of this now
    if (!turn.more) {
      arm(turn.deadline);
      if (shard_.port().begin_sleep()) {
        run_handlers(true);
        if (Shard::lost_on_this_thread()) return;
        shard_.port().end_sleep();
      }
    }
    run_handlers(false);
    if (Shard::lost_on_this_thread() || quit_) return;
  }
}

// Handlers are ours, a coroutine's (which let nothing out), or whatever a C++ task posted by itself. One by one, since
// each may lose the shard.
void ShardThread::run_handlers(bool wait) noexcept {
  try {
    if (wait) {
      shard_.context().run_one();
    } else {
      while (shard_.context().poll_one() != 0 && !Shard::lost_on_this_thread()) {
      }
    }
  } catch (const std::exception& error) {
    shard_.sink().log(LogLevel::error, nullptr, std::string("a handler let an exception out: ") + error.what());
  } catch (...) {
    shard_.sink().log(LogLevel::error, nullptr, "a handler let an exception out");
  }
}

// A timer that is armed too early costs a turn; arming it anew costs a system call. So only for an earlier time.
void ShardThread::arm(Nanoseconds deadline) {
  if (deadline >= armed_) return;
  armed_ = deadline;
  constexpr auto last = static_cast<Nanoseconds>(std::chrono::nanoseconds::max().count());
  timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(std::min(deadline, last))));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error != boost::asio::error::operation_aborted) armed_ = never;
  });
}

void ShardThread::wait_for_wakes() {
  wakes_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    shard_.port().quiet();
    wait_for_wakes();
  });
}

}  // namespace taskhost
