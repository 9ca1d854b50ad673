// A program from outside the tree that supervises C++ tasks with taskhost::core: one works until the other, which fails
// twice, ends everything.
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <iostream>
#include <string_view>
#include <taskhost/core/supervisor.hpp>

using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

class Printer final : public taskhost::EventSink {
 public:
  bool publish(taskhost::Event&& event) noexcept override {
    if (event.kind == taskhost::EventKind::task_started) ++starts;
    if (event.kind == taskhost::EventKind::task_exited) ++exits;
    return true;
  }
  void summarize(const taskhost::LogSummary&) noexcept override {}
  void log(taskhost::LogLevel, const char*, std::string_view) noexcept override {}

  std::atomic<int> starts{0};
  std::atomic<int> exits{0};
};

asio::awaitable<void> tick() {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (;;) {
    timer.expires_after(1ms);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

taskhost::TaskResult fail() { return taskhost::TaskResult::failed("as it always does"); }

}  // namespace

int main() {
  Printer printer;
  const taskhost::SteadyClock clock;
  taskhost::Supervisor supervisor({}, printer, clock);
  supervisor.add({"ticker", taskhost::TaskFn::from_awaitable(tick), {}});
  supervisor.add({"failing", taskhost::TaskFn::from_blocking(fail), {taskhost::TaskType::mandatory, 2}});
  supervisor.start();
  const taskhost::HostResult result = supervisor.wait();

  std::cout << printer.starts << " starts, " << printer.exits << " exits\n";
  return result == taskhost::HostResult::task_failed && printer.starts == 4 && printer.exits == 3 ? 0 : 1;
}
