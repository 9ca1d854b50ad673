// The floor: the same plugin's functions, a queue or a wheel, and nothing else. No thread, no lock, no policy beyond a
// count, one clock reading per 64 calls.
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <vector>

#include "bench.hpp"

namespace bench {

namespace {

struct Node;

// What the plugin's functions access through exec: just enough for the calls.
struct Exec {
  const taskhost_services* services;
  Node* node;
};

struct alignas(64) Node {
  Exec exec;
  const taskhost_factory* factory;
  Node* next;
  std::uint64_t deadline;
  std::uint32_t budget;
  bool woken;
  bool stop;
  std::array<std::byte, 16> state;
};
static_assert(sizeof(Node) == 64);

Node& node_of(const taskhost_exec* exec) { return *reinterpret_cast<const Exec*>(exec)->node; }
const taskhost_exec* exec_of(Node& node) { return reinterpret_cast<const taskhost_exec*>(&node.exec); }

std::uint64_t clock_reading = 0;
Node* current = nullptr;

const taskhost_services services = [] {
  taskhost_services table{};
  table.struct_size = sizeof table;
  table.stop_requested = [](const taskhost_exec* exec) -> int32_t { return node_of(exec).stop ? 1 : 0; };
  table.now = []() -> uint64_t { return now_ns(); };
  table.waker = [](const taskhost_exec*) -> taskhost_waker { return 1; };
  table.wake = [](taskhost_waker) { current->woken = true; };
  table.wake_after = [](const taskhost_exec* exec, uint64_t delay) { node_of(exec).deadline = clock_reading + delay; };
  return table;
}();

void prepare(Node& node, const taskhost_factory& factory, std::uint32_t budget) {
  node.exec = {&services, &node};
  node.factory = &factory;
  node.budget = budget;
  node.woken = node.stop = false;
}
void start(Node& node) {
  node.state = {};
  if (node.factory->start(node.state.data(), exec_of(node)) != TASKHOST_OK) std::abort();
}
std::int32_t poll(Node& node) { return node.factory->poll(node.state.data(), exec_of(node)); }
void drop(Node& node) { node.factory->drop(node.state.data(), exec_of(node)); }

// Slots of 65.5 µs, 4096 of them.
class Wheel {
 public:
  explicit Wheel(std::uint64_t now) : current_(now >> shift) {}
  void add(Node& node) {
    Node*& slot = slots_[((node.deadline + (1 << shift) - 1) >> shift) % slots_.size()];
    node.next = slot;
    slot = &node;
  }
  template <class Function>
  void advance(std::uint64_t now, Function&& function) {
    for (const std::uint64_t target = now >> shift; current_ <= target; ++current_) {
      Node* node = slots_[current_ % slots_.size()];
      slots_[current_ % slots_.size()] = nullptr;
      while (node != nullptr) {
        Node* next = node->next;
        function(*node);
        node = next;
      }
    }
  }
  std::uint64_t next() const { return current_ << shift; }

 private:
  static constexpr unsigned shift = 16;
  std::uint64_t current_;
  std::array<Node*, 4096> slots_{};
};

class Sleeper {
 public:
  Sleeper() {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event);
  }
  void until(std::uint64_t time) const {
    const itimerspec at{{}, {static_cast<time_t>(time / 1'000'000'000), static_cast<long>(time % 1'000'000'000)}};
    ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr);
    epoll_event event{};
    ::epoll_wait(epoll_, &event, 1, -1);
  }

 private:
  int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  int timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
};

void w1(const Plugin& plugin) {
  const std::uint64_t restarts = parameter("W1_R", 1'000'000) * parameter("W1_TIMES", 20);
  plugin.reset();
  Node node{};
  prepare(node, plugin.factory("fail"), 0);
  const double begin = now();
  const double cpu_begin = cpu();
  std::uint64_t done = 0;
  while (true) {
    start(node);
    const std::int32_t result = poll(node);
    drop(node);
    if (result == TASKHOST_OK || done == restarts) break;
    ++done;
  }
  print_w1("floor", plugin.starts() - 1, now() - begin, cpu() - cpu_begin);
}

void w2(const Plugin& plugin) {
  const std::uint64_t tasks = parameter("W2_N", 1'000'000);
  plugin.reset();
  const taskhost_factory& factory = plugin.factory("idle");
  const double resident = resident_bytes();
  const double cpu_begin = cpu();
  const double begin = now();
  void* memory = ::mmap(nullptr, tasks * sizeof(Node), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  ::madvise(memory, tasks * sizeof(Node), MADV_NOHUGEPAGE);
  auto* nodes = static_cast<Node*>(memory);
  Node* list = nullptr;
  for (std::uint64_t i = 0; i < tasks; ++i) {
    prepare(nodes[i], factory, 3);
    nodes[i].next = list;
    list = &nodes[i];
    start(nodes[i]);
    if (poll(nodes[i]) != TASKHOST_PENDING) std::abort();
  }
  const double started = now();
  const double bytes = (resident_bytes() - resident) / static_cast<double>(tasks);
  const double stop_begin = now();
  for (Node* node = list; node != nullptr; node = node->next) {
    node->stop = true;
    if (poll(*node) != TASKHOST_OK) std::abort();
    drop(*node);
  }
  print_w2("floor", tasks, started - begin, bytes, now() - stop_begin, cpu() - cpu_begin);
  ::munmap(memory, tasks * sizeof(Node));
}

void w3(const Plugin& plugin) {
  const std::uint64_t tasks = parameter("W3_N", 10'000);
  const std::uint64_t length = parameter("W3_SECS", 5) * 1'000'000'000;
  const std::uint64_t limit = parameter("W3_TICKS", 0);
  plugin.reset({0, limit != 0 ? limit : UINT64_MAX, 0});
  std::vector<Node> nodes(tasks);
  const Sleeper sleeper;
  const double begin = now();
  const double cpu_begin = cpu();
  clock_reading = now_ns();
  const std::uint64_t end = limit != 0 ? UINT64_MAX : clock_reading + length;
  const auto wheel = std::make_unique<Wheel>(clock_reading);
  for (Node& node : nodes) {
    prepare(node, plugin.factory("tick"), 3);
    start(node);
    clock_reading = now_ns();
    poll(node);
    wheel->add(node);
  }
  std::uint64_t calls = 0;
  std::uint64_t live = tasks;
  while (live != 0 && (clock_reading = now_ns()) < end) {
    wheel->advance(clock_reading, [&](Node& node) {
      if (poll(node) == TASKHOST_OK) {
        drop(node);
        --live;
        return;
      }
      if (++calls % 64 == 0) clock_reading = now_ns();
      wheel->add(node);
    });
    if (live != 0 && wheel->next() > now_ns()) sleeper.until(wheel->next());
  }
  const double seconds = now() - begin;
  print_w3("floor", tasks, plugin.polls(), seconds, cpu() - cpu_begin, plugin.late_percentile(.5),
           plugin.late_percentile(.99));
}

void w4(const Plugin& plugin) {
  const std::uint64_t tasks = parameter("W4_N", 1'000);
  const std::uint64_t yields = parameter("W4_Y", 1'000) * parameter("W4_TIMES", 10);
  plugin.reset({yields, UINT64_MAX, 0});
  std::vector<Node> nodes(tasks);
  const double begin = now();
  const double cpu_begin = cpu();
  Node* head = nullptr;
  Node** tail = &head;
  const auto push = [&](Node& node) {
    node.next = nullptr;
    *tail = &node;
    tail = &node.next;
  };
  for (Node& node : nodes) {
    prepare(node, plugin.factory("yield"), 0);
    start(node);
    push(node);
  }
  while (head != nullptr) {
    Node& node = *head;
    head = node.next;
    if (head == nullptr) tail = &head;
    current = &node;
    node.woken = false;
    if (poll(node) == TASKHOST_OK) {
      drop(node);
    } else if (node.woken) {
      push(node);
    }
  }
  print_w4("floor", tasks * yields, now() - begin, cpu() - cpu_begin);
}

void w5(const Plugin& plugin) {
  const std::uint64_t tasks = parameter("W5_N", 10'000);
  const auto budget = static_cast<std::uint32_t>(parameter("W5_B", 10));
  plugin.reset();
  std::vector<Node> nodes(tasks);
  const Sleeper sleeper;
  const double begin = now();
  const double cpu_begin = cpu();
  clock_reading = now_ns();
  const auto wheel = std::make_unique<Wheel>(clock_reading);
  std::uint64_t calls = 0;
  std::uint64_t live = tasks;
  const auto launch = [&](Node& node) {
    if (++calls % 64 == 0) clock_reading = now_ns();
    start(node);
    if (poll(node) != TASKHOST_PENDING) std::abort();
    wheel->add(node);
  };
  for (Node& node : nodes) {
    prepare(node, plugin.factory("later"), budget);
    launch(node);
  }
  while (live != 0) {
    clock_reading = now_ns();
    wheel->advance(clock_reading, [&](Node& node) {
      if (poll(node) != TASKHOST_ERROR) std::abort();
      drop(node);
      if (node.budget == 0) {
        --live;
      } else {
        --node.budget;
        launch(node);
      }
    });
    if (live != 0 && wheel->next() > now_ns()) sleeper.until(wheel->next());
  }
  print_w5("floor", tasks, budget, plugin.starts(), now() - begin, cpu() - cpu_begin);
}

}  // namespace

bool run_floor(const Plugin& plugin, std::string_view workload) {
  if (workload == "w1") return w1(plugin), true;
  if (workload == "w2") return w2(plugin), true;
  if (workload == "w3") return w3(plugin), true;
  if (workload == "w4") return w4(plugin), true;
  if (workload == "w5") return w5(plugin), true;
  return false;
}

}  // namespace bench
