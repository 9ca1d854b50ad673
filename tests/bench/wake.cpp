// Wakes from a thread that does not belong to the host: how many per second a busy shard takes, and how soon a sleeping
// shard polls the task; the latter compared, in turn, with the time to wake a bare thread by an eventfd.
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "host.hpp"

namespace bench {

namespace {

constexpr std::uint64_t patience_ns = 5'000'000'000;

std::uint64_t load(const std::uint64_t& word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Waits until each listener has published its waker.
void wait_for_listeners(const Plugin& plugin, std::uint64_t count) {
  const std::uint64_t begin = now_ns();
  for (std::uint64_t i = 0; i < count;) {
    if (load(plugin.listeners[i].waker) != 0) {
      ++i;
    } else if (now_ns() - begin > patience_ns) {
      throw std::runtime_error("the tasks that are to be woken did not start");
    } else {
      ::usleep(1000);
    }
  }
}

// Keeps the waking thread and the woken ones apart: the former on the first processor, the latter on the others.
// Otherwise the system sometimes puts both on the same one, where one waits until the other's slice is over, which
// depends on the scheduler's luck and is not the cost of a wake. With a single processor it does nothing.
class Processors {
 public:
  Processors() {
    ::sched_getaffinity(0, sizeof all_, &all_);
    int first = 0;
    while (!CPU_ISSET(first, &all_)) ++first;
    CPU_ZERO(&first_);
    CPU_SET(first, &first_);
    others_ = all_;
    CPU_CLR(first, &others_);
  }
  ~Processors() { use(all_); }
  Processors(const Processors&) = delete;
  Processors& operator=(const Processors&) = delete;

  // For the calling thread, and those that it makes from then on.
  void use_first() const { use(first_); }
  void use_others() const { use(others_); }

 private:
  void use(const cpu_set_t& set) const {
    if (CPU_COUNT(&all_) > 1) ::sched_setaffinity(0, sizeof set, &set);
  }

  cpu_set_t all_{};
  cpu_set_t first_{};
  cpu_set_t others_{};
};

struct Busy {
  std::uint64_t wakes;
  std::uint64_t polls;
  double seconds;
};

// One task per shard keeps it busy; the others are woken in turn. Wakes of a task that has not been polled yet merge,
// so there are fewer polls than wakes.
Busy wake_busy(const Plugin& plugin, unsigned shards) {
  const std::uint64_t tasks = std::min<std::uint64_t>(parameter("WAKE_N", 1000), BENCH_LISTENERS);
  const std::uint64_t length = parameter("WAKE_MS", 2000) * 1'000'000;
  const Processors processors;
  processors.use_others();
  Host host(plugin, shards);
  host.add(plugin.factory("spin"), shards, 0, "spin");
  host.add(plugin.factory("listen"), tasks, 0, "listen");
  host.start();
  wait_for_listeners(plugin, tasks);
  processors.use_first();
  const auto wake = *plugin.wake;
  const std::uint64_t polls = plugin.polls();
  const double begin = now();
  const std::uint64_t end = now_ns() + length;
  std::uint64_t wakes = 0;
  while (now_ns() < end) {
    for (std::uint64_t i = 0; i < tasks; ++i) wake(plugin.listeners[i].waker);
    wakes += tasks;
  }
  const Busy result{wakes, plugin.polls() - polls, now() - begin};
  host.stop();
  host.wait();
  return result;
}

// The least that it takes to wake a sleeping thread.
class BareThread {
 public:
  BareThread() {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &event) != 0) throw std::runtime_error("epoll_ctl failed");
    thread_ = std::thread([this] { run(); });
  }
  ~BareThread() {
    ended_ = true;
    wake();
    thread_.join();
    ::close(epoll_);
    ::close(event_);
  }
  BareThread(const BareThread&) = delete;
  BareThread& operator=(const BareThread&) = delete;

  void wake() const {
    const std::uint64_t one = 1;
    if (::write(event_, &one, sizeof one) != sizeof one) throw std::runtime_error("write to an eventfd failed");
  }
  const std::uint64_t& woken_at() const { return woken_at_; }

 private:
  void run() {
    while (!ended_) {
      epoll_event event{};
      if (::epoll_wait(epoll_, &event, 1, -1) == 1) __atomic_store_n(&woken_at_, now_ns(), __ATOMIC_RELEASE);
    }
  }

  int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  int event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  alignas(64) std::uint64_t woken_at_ = 0;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

// From before the wake until the woken thread has read the clock.
template <class Wake>
double latency(Wake&& wake, const std::uint64_t& answered_at) {
  // Long enough for the other side to fall asleep. This thread stays awake, so that the other is not woken on its
  // processor.
  for (const std::uint64_t end = now_ns() + parameter("WAKE_PAUSE_US", 100) * 1000; now_ns() < end;) pause_briefly();
  const std::uint64_t begin = now_ns();
  wake();
  while (load(answered_at) < begin) {
    pause_briefly();
    if (now_ns() - begin > patience_ns) throw std::runtime_error("a wake was lost");
  }
  return static_cast<double>(load(answered_at) - begin);
}

struct Latencies {
  std::vector<double> host;
  std::vector<double> bare;
};

Latencies wake_sleeping(const Plugin& plugin, unsigned shards) {
  const std::uint64_t rounds = std::max<std::uint64_t>(parameter("WAKE_ROUNDS", 4000), 1);
  const Processors processors;
  processors.use_others();
  Host host(plugin, shards, {0, UINT64_MAX, 1});
  host.add(plugin.factory("listen"), 1, 0);
  host.start();
  wait_for_listeners(plugin, 1);
  const BareThread bare;
  processors.use_first();
  const bench_listener& listener = plugin.listeners[0];
  const auto wake = *plugin.wake;
  Latencies result;
  for (std::uint64_t i = 0; i < rounds; ++i) {
    result.host.push_back(latency([&] { wake(listener.waker); }, listener.polled_at));
    result.bare.push_back(latency([&] { bare.wake(); }, bare.woken_at()));
  }
  host.stop();
  host.wait();
  return result;
}

}  // namespace

void run_wake(const Plugin& plugin, unsigned shards) {
  const Busy busy = wake_busy(plugin, shards);
  const Latencies sleeping = wake_sleeping(plugin, shards);
  nlohmann::ordered_json line;
  line["peer"] = host_name(shards);
  line["workload"] = "wake";
  line["secs"] = busy.seconds;
  line["wakes"] = busy.wakes;
  line["per_s"] = static_cast<double>(busy.wakes) / busy.seconds;
  line["polls_per_s"] = static_cast<double>(busy.polls) / busy.seconds;
  line["rounds"] = sleeping.host.size();
  for (const auto& [name, part] : {std::pair("p50", .5), std::pair("p99", .99)}) {
    const double host = percentile(sleeping.host, part);
    const double bare = percentile(sleeping.bare, part);
    line[std::string("sleeping_") + name + "_ns"] = host;
    line[std::string("eventfd_") + name + "_ns"] = bare;
    line[std::string("extra_") + name + "_ns"] = host - bare;
  }
  std::printf("%s\n", line.dump().c_str());
}

}  // namespace bench
