// A library with many tasks, each a row of a table: what they have in common, and how rows become factories.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskhost/plugin.h"

namespace collection {

// One execution's.
struct State {
  const taskhost_exec* exec = nullptr;
  std::uint64_t polls = 0;
  std::uint64_t due = 0;
  int fd = -1;
  int other = -1;
  void* memory = nullptr;
  std::atomic<int> shared{0};
  std::thread thread;

  const taskhost_services& services() const { return *exec->services; }
  std::uint64_t number() const { return services().execution_number(exec); }
  std::int32_t sleep(std::uint64_t delay) const {
    services().wake_after(exec, delay);
    return TASKHOST_PENDING;
  }
  std::int32_t fail(const char* text) const { return taskhost_fail(exec, text); }
  std::int32_t again() const {
    services().wake(services().waker(exec));
    return TASKHOST_PENDING;
  }
};

inline void pause_ms(int time) { std::this_thread::sleep_for(std::chrono::milliseconds(time)); }

inline std::int32_t good_start(State& /*self*/) { return TASKHOST_OK; }
inline std::int32_t good_stop(State& /*self*/) { return TASKHOST_OK; }
inline std::int32_t good_poll(State& self) { return self.sleep(TASKHOST_SECOND); }
inline void good_drop(State& self) {
  if (self.thread.joinable()) self.thread.join();
}

struct Task {
  const char* name;
  std::int32_t (*start)(State&) = good_start;
  std::int32_t (*poll)(State&) = good_poll;  // while no stop is requested
  std::int32_t (*stop)(State&) = good_stop;  // a poll once it is
  void (*drop)(State&) = good_drop;
  std::int32_t (*run)(State&) = nullptr;  // a blocking task: instead of poll and stop
  std::int32_t (*finish)(State&) = nullptr;
  std::int32_t (*check)(const taskhost_exec*) = nullptr;
  std::size_t more_state = 0;
  std::size_t align = alignof(State);
};

template <const auto& tasks, std::size_t index>
struct Functions {
  static std::int32_t start(void* state, const taskhost_exec* exec) {
    auto* self = new (state) State;
    self->exec = exec;
    const std::int32_t result = tasks[index].start(*self);
    if (result != TASKHOST_OK) self->~State();
    return result;
  }
  static std::int32_t poll(void* state, const taskhost_exec* exec) {
    auto& self = *static_cast<State*>(state);
    ++self.polls;
    return taskhost_stop_requested(exec) ? tasks[index].stop(self) : tasks[index].poll(self);
  }
  static std::int32_t run(void* state, const taskhost_exec* /*exec*/) {
    return tasks[index].run(*static_cast<State*>(state));
  }
  static std::int32_t finish(void* state, const taskhost_exec* /*exec*/) {
    return tasks[index].finish(*static_cast<State*>(state));
  }
  static void drop(void* state, const taskhost_exec* /*exec*/) {
    auto* self = static_cast<State*>(state);
    tasks[index].drop(*self);
    self->~State();
  }
};

template <const auto& tasks, std::size_t... index>
const taskhost_factory* factories(char* description, std::index_sequence<index...> /*all*/) {
  static std::array<taskhost_factory, sizeof...(index)> all{};
  static const bool made = [description] {
    const auto add = [description]<std::size_t number>(std::integral_constant<std::size_t, number> /*which*/) {
      using These = Functions<tasks, number>;
      constexpr const Task& task = tasks[number];
      taskhost_factory& factory = all[number];
      factory.struct_size = sizeof factory;
      factory.name = task.name;
      factory.description = description;
      factory.state_size = sizeof(State) + task.more_state;
      factory.state_align = task.align;
      factory.start = These::start;
      auto* const its_drop = task.drop;  // not `if constexpr`, for which a sanitizer makes it no constant
      if (its_drop != nullptr) factory.drop = These::drop;
      if constexpr (task.run != nullptr) {
        factory.run = These::run;
      } else {
        factory.poll = These::poll;
        if constexpr (task.finish != nullptr) factory.finish = These::finish;
      }
      factory.check = task.check;
      if (number > 0) all[number - 1].next = &factory;
    };
    (add(std::integral_constant<std::size_t, index>()), ...);
    return true;
  }();
  return made ? all.data() : nullptr;
}

}  // namespace collection

// At the end of a source: `tasks` is a constexpr array of Task.
#define COLLECTION_ENTRY(tasks, description)                                                        \
  extern "C" const taskhost_factory* taskhost_plugin_v1(void) {                                     \
    return collection::factories<tasks>(description, std::make_index_sequence<std::size(tasks)>()); \
  }
