// The baseline: what a good Asio programmer would write by hand for the same plugin's functions. Bare handlers, one
// io_context on one thread, restarts posted, a steady timer in each task that asks for one, SIGTERM handled. No
// supervision beyond a count, no isolation, no events, no wake from another thread.
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "bench.hpp"

namespace bench {

namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
// With the context's own executor type: the default, any_io_executor, is slower.
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, asio::io_context::executor_type>;

struct Loop;
struct Task;

struct Exec {
  const taskhost_services* services;
  Task* task;
};

struct Task {
  Exec exec;
  Loop* loop;
  const taskhost_factory* factory;
  std::uint32_t budget;
  bool queued = false;
  std::optional<Timer> timer;
  alignas(16) std::array<std::byte, 16> state{};
};

struct Loop {
  asio::io_context context{1};
  // Every program that runs tasks has something like this, and it has a cost: from then on Asio checks its reactor,
  // once for each handler if only one is ready.
  asio::signal_set signals{context, SIGTERM};
  std::vector<std::unique_ptr<Task>> tasks;
  std::uint64_t live = 0;
  bool stopping = false;

  Loop() {
    signals.async_wait([this](const boost::system::error_code& error, int) {
      if (!error) stop();
    });
  }
  void launch(const taskhost_factory& factory, std::uint32_t budget);
  void ended() {
    if (--live == 0) signals.cancel();  // so that run returns
  }
  void stop();
};

const taskhost_exec* exec_of(Task& task) { return reinterpret_cast<const taskhost_exec*>(&task.exec); }
Task& task_of(const taskhost_exec* exec) { return *reinterpret_cast<const Exec*>(exec)->task; }

void poll(Task& task);

struct Start {
  Task* task;
  void operator()() const {
    task->state = {};
    if (task->factory->start(task->state.data(), exec_of(*task)) != TASKHOST_OK) std::abort();
    poll(*task);
  }
};
struct Woken {
  Task* task;
  void operator()() const {
    task->queued = false;
    poll(*task);
  }
};
struct Elapsed {
  Task* task;
  void operator()(const boost::system::error_code& error) const {
    if (!error) poll(*task);
  }
};

void wake(Task& task) {
  if (task.queued) return;
  task.queued = true;
  asio::post(task.loop->context, Woken{&task});
}

void poll(Task& task) {
  const std::int32_t result = task.factory->poll(task.state.data(), exec_of(task));
  if (result == TASKHOST_PENDING) return;
  task.factory->drop(task.state.data(), exec_of(task));
  if (result == TASKHOST_OK || task.budget == 0) {
    task.loop->ended();
  } else {
    --task.budget;
    asio::post(task.loop->context, Start{&task});
  }
}

const taskhost_services services = [] {
  taskhost_services table{};
  table.struct_size = sizeof table;
  table.stop_requested = [](const taskhost_exec* exec) -> int32_t { return task_of(exec).loop->stopping ? 1 : 0; };
  table.now = []() -> uint64_t { return now_ns(); };
  table.waker = [](const taskhost_exec* exec) { return reinterpret_cast<taskhost_waker>(&task_of(exec)); };
  table.wake = [](taskhost_waker waker) { wake(*reinterpret_cast<Task*>(waker)); };
  table.wake_after = [](const taskhost_exec* exec, uint64_t delay) {
    Task& task = task_of(exec);
    if (!task.timer) task.timer.emplace(task.loop->context.get_executor());
    task.timer->expires_after(std::chrono::nanoseconds(delay));
    task.timer->async_wait(Elapsed{&task});
  };
  return table;
}();

void Loop::launch(const taskhost_factory& factory, std::uint32_t budget) {
  tasks.push_back(std::make_unique<Task>());
  Task& task = *tasks.back();
  task.exec = {&services, &task};
  task.loop = this;
  task.factory = &factory;
  task.budget = budget;
  ++live;
  asio::post(context, Start{&task});
}

void Loop::stop() {
  stopping = true;
  for (const std::unique_ptr<Task>& task : tasks) wake(*task);
}

void w1(const Plugin& plugin) {
  const std::uint64_t restarts = parameter("W1_R", 1'000'000) * parameter("W1_TIMES", 1);
  plugin.reset();
  Loop loop;
  const double begin = now();
  const double cpu_begin = cpu();
  loop.launch(plugin.factory("fail"), static_cast<std::uint32_t>(restarts));
  loop.context.run();
  print_w1("asio", plugin.starts() - 1, now() - begin, cpu() - cpu_begin);
}

void w2(const Plugin& plugin) {
  const std::uint64_t tasks = parameter("W2_N", 1'000'000);
  plugin.reset();
  Loop loop;
  const double resident = resident_bytes();
  const double cpu_begin = cpu();
  const double begin = now();
  const taskhost_factory& factory = plugin.factory("idle");
  for (std::uint64_t i = 0; i < tasks; ++i) loop.launch(factory, 3);
  double started = 0;
  double bytes = 0;
  double stop_begin = 0;
  asio::post(loop.context, [&] {  // runs after all of them
    if (plugin.polls() != tasks) std::abort();
    started = now();
    bytes = (resident_bytes() - resident) / static_cast<double>(tasks);
    stop_begin = now();
    loop.stop();
  });
  loop.context.run();
  print_w2("asio", tasks, started - begin, bytes, now() - stop_begin, cpu() - cpu_begin);
}

void w3(const Plugin& plugin) {
  const std::uint64_t tasks = parameter("W3_N", 10'000);
  const std::uint64_t limit = parameter("W3_TICKS", 0);
  plugin.reset({0, limit != 0 ? limit : UINT64_MAX, 0});
  Loop loop;
  const double begin = now();
  const double cpu_begin = cpu();
  for (std::uint64_t i = 0; i < tasks; ++i) loop.launch(plugin.factory("tick"), 3);
  Timer end(loop.context.get_executor());
  if (limit == 0) {
    end.expires_after(std::chrono::seconds(parameter("W3_SECS", 5)));
    end.async_wait([&loop](const boost::system::error_code&) { loop.stopping = true; });  // noticed at the next tick
  }
  loop.context.run();
  print_w3("asio", tasks, plugin.polls(), now() - begin, cpu() - cpu_begin, plugin.late_percentile(.5),
           plugin.late_percentile(.99));
}

void w4(const Plugin& plugin) {
  const std::uint64_t tasks = parameter("W4_N", 1'000);
  const std::uint64_t yields = parameter("W4_Y", 1'000) * parameter("W4_TIMES", 10);
  plugin.reset({yields, UINT64_MAX, 0});
  Loop loop;
  const double begin = now();
  const double cpu_begin = cpu();
  for (std::uint64_t i = 0; i < tasks; ++i) loop.launch(plugin.factory("yield"), 0);
  loop.context.run();
  print_w4("asio", tasks * yields, now() - begin, cpu() - cpu_begin);
}

void w5(const Plugin& plugin) {
  const std::uint64_t tasks = parameter("W5_N", 10'000);
  const std::uint64_t budget = parameter("W5_B", 10);
  plugin.reset();
  Loop loop;
  const double begin = now();
  const double cpu_begin = cpu();
  for (std::uint64_t i = 0; i < tasks; ++i) {
    loop.launch(plugin.factory("later"), static_cast<std::uint32_t>(budget));
  }
  loop.context.run();
  print_w5("asio", tasks, budget, plugin.starts(), now() - begin, cpu() - cpu_begin);
}

}  // namespace

bool run_asio(const Plugin& plugin, std::string_view workload) {
  if (workload == "w1") return w1(plugin), true;
  if (workload == "w2") return w2(plugin), true;
  if (workload == "w3") return w3(plugin), true;
  if (workload == "w4") return w4(plugin), true;
  if (workload == "w5") return w5(plugin), true;
  return false;
}

}  // namespace bench
