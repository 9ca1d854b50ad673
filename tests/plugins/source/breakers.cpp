// Tasks that each break one rule in a way that is not seen at once. tests/integration/collection_test.cpp says which
// test of `taskhost verify` has to find what.
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <stdexcept>

#include "collection.hpp"

namespace {

using collection::pause_ms;
using collection::State;
using collection::Task;

char description[32] = "breaks a rule";

bool has_other_config(const State& self) { return std::strcmp(taskhost_config(self.exec), "{}") != 0; }

void wait_for_stop(State& self) {
  while ((self.services().wait(self.exec, TASKHOST_NEVER) & TASKHOST_WAIT_STOP) == 0) {
  }
}

pthread_mutex_t* checked_mutex(State& self) {
  if (self.memory == nullptr) {
    auto* mutex = new pthread_mutex_t;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(mutex, &attributes);
    self.memory = mutex;
  }
  return static_cast<pthread_mutex_t*>(self.memory);
}

std::int32_t fork_many(State& self) {
  // Bounded, whatever happens to the test.
  static std::atomic<int>& left = *[] {
    void* shared = ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return new (shared) std::atomic<int>(160);
  }();
  while (left.fetch_sub(1) > 0) {
    if (::fork() == 0) {
      ::sleep(20);
      ::_exit(0);
    }
  }
  return self.sleep(TASKHOST_SECOND);
}

constexpr Task tasks[] = {
    // Descriptors, services and texts
    {.name = "changes_description",
     .start =
         [](State&) {
           description[0] = 'B';
           return TASKHOST_OK;
         }},
    {.name = "logs_for_the_former",
     .start =
         [](State& self) {
           static const taskhost_exec* former;
           if (former != nullptr && former != self.exec) taskhost_log(former, TASKHOST_LOG_INFO, "hello");
           former = self.exec;
           return TASKHOST_OK;
         }},
    {.name = "keeps_config",
     .start =
         [](State& self) {
           static const char* kept;
           if (kept != nullptr && kept[0] != '{') return self.fail("odd");
           kept = taskhost_config(self.exec);
           return TASKHOST_OK;
         }},
    {.name = "keeps_name",
     .start =
         [](State& self) {
           static const char* kept;
           if (kept != nullptr && kept[0] == '\0') return self.fail("odd");
           kept = self.services().task_name(self.exec);
           return TASKHOST_OK;
         }},
    {.name = "writes_config",
     .start =
         [](State& self) {
           const_cast<char*>(taskhost_config(self.exec))[0] = ' ';
           return TASKHOST_OK;
         }},
    {.name = "replaces_watched",
     .start =
         [](State& self) {
           self.fd = ::eventfd(0, EFD_CLOEXEC);
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           if (self.polls > 1) return self.sleep(TASKHOST_SECOND);
           self.services().watch(self.exec, self.fd, TASKHOST_READABLE, 0);
           const int other = ::eventfd(0, EFD_CLOEXEC);
           ::dup2(other, self.fd);
           ::close(other);
           return self.sleep(TASKHOST_SECOND);
         },
     .drop = [](State& self) { ::close(self.fd); }},
    {.name = "wakes_half",
     .poll =
         [](State& self) {
           self.services().wake(static_cast<std::uint32_t>(self.services().waker(self.exec)));
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "wakes_next",
     .poll =
         [](State& self) {
           self.services().wake(self.services().waker(self.exec) + 1);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "watches_for_nothing_known",
     .poll =
         [](State& self) {
           self.services().watch(self.exec, 0, 1u << 20, 0);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "logs_nothing",
     .poll =
         [](State& self) {
           self.services().log(self.exec, TASKHOST_LOG_INFO, nullptr, 5);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "offloads_nothing",
     .poll =
         [](State& self) {
           taskhost_work work{};
           work.struct_size = sizeof work;
           self.services().offload(self.exec, &work);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "fails_in_drop", .drop = [](State& self) { self.fail("dropped"); }},
    {.name = "sets_timer_in_drop", .drop = [](State& self) { self.services().wake_after(self.exec, TASKHOST_NEVER); }},
    {.name = "takes_ready_in_drop",
     .drop =
         [](State& self) {
           taskhost_ready ready;
           self.services().take_ready(self.exec, &ready, 1);
         }},

    // The state's bounds
    {.name = "reads_past_state",
     .poll =
         [](State& self) {
           const auto* bytes = reinterpret_cast<const volatile char*>(&self);
           return bytes[sizeof self + 64] == 77 ? TASKHOST_ERROR : self.sleep(TASKHOST_SECOND);
         }},
    {.name = "writes_before_state",
     .poll =
         [](State& self) {
           reinterpret_cast<volatile char*>(&self)[-1] = 1;
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "writes_past_odd_state",
     .poll =
         [](State& self) {
           reinterpret_cast<volatile char*>(&self)[sizeof self + 3] = 1;
           return self.sleep(TASKHOST_SECOND);
         },
     .more_state = 1,
     .align = 64},

    // Time
    {.name = "starts_slowly",
     .start =
         [](State& self) {
           if (self.number() % 10 == 2) pause_ms(500);
           return TASKHOST_OK;
         }},
    {.name = "stops_slowly",
     .stop =
         [](State&) {
           pause_ms(400);
           return TASKHOST_OK;
         }},
    {.name = "hangs",
     .poll = [](State&) -> std::int32_t {
       for (;;) ::pause();
     }},
    {.name = "spins",
     .poll = [](State&) -> std::int32_t {
       volatile bool goes_on = true;
       while (goes_on) {
       }
       return TASKHOST_OK;
     }},
    {.name = "halts", .poll = [](State& self) { return std::raise(SIGSTOP) == 0 ? self.sleep(TASKHOST_SECOND) : 0; }},
    {.name = "deaf_after_three",
     .stop = [](State& self) { return self.polls <= 3 ? TASKHOST_OK : self.sleep(TASKHOST_SECOND); }},
    {.name = "sleeps_when_stopped", .stop = [](State& self) { return self.sleep(60 * TASKHOST_SECOND); }},
    {.name = "fails_if_late",
     .poll =
         [](State& self) {
           const std::uint64_t now = taskhost_now(self.exec);
           if (self.due != 0 && now > self.due + 5 * TASKHOST_SECOND) return self.fail("late");
           self.due = now + TASKHOST_SECOND;
           self.services().wake_at(self.exec, self.due);
           return TASKHOST_PENDING;
         }},
    {.name = "loses_timer",
     .poll =
         [](State& self) {
           const std::uint64_t now = taskhost_now(self.exec);
           const bool is_early = self.due != 0 && now < self.due;
           if (!is_early) self.due = now + TASKHOST_SECOND;
           self.services().wake_at(self.exec, is_early ? TASKHOST_NEVER : self.due);
           return TASKHOST_PENDING;
         }},
    {.name = "gives_up_if_early",
     .poll =
         [](State& self) {
           const std::uint64_t now = taskhost_now(self.exec);
           if (self.due != 0 && now < self.due) return self.fail("woken for nothing");
           self.due = now + TASKHOST_SECOND;
           self.services().wake_at(self.exec, self.due);
           return TASKHOST_PENDING;
         }},
    {.name = "never_reads",
     .start =
         [](State& self) {
           self.fd = ::eventfd(1, EFD_CLOEXEC);
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           --self.polls;
           self.services().watch(self.exec, self.fd, TASKHOST_READABLE, 0);
           return TASKHOST_PENDING;
         },
     .drop = [](State& self) { ::close(self.fd); }},
    {.name = "watches_writable",
     .start =
         [](State& self) {
           self.fd = ::eventfd(0, EFD_CLOEXEC);
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           --self.polls;
           self.services().watch(self.exec, self.fd, TASKHOST_WRITABLE, 0);
           return TASKHOST_PENDING;
         },
     .drop = [](State& self) { ::close(self.fd); }},
    {.name = "watches_the_end",
     .start =
         [](State& self) {
           int ends[2];
           if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return self.fail("no pipe");
           self.fd = ends[0];
           ::close(ends[1]);
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           --self.polls;
           self.services().watch(self.exec, self.fd, TASKHOST_READABLE, 0);
           char byte;
           return ::read(self.fd, &byte, 1) > 0 ? TASKHOST_OK : TASKHOST_PENDING;  // 0 is the end
         },
     .drop = [](State& self) { ::close(self.fd); }},
    {.name = "gives_way_for_ever",
     .poll =
         [](State& self) {
           --self.polls;
           return TASKHOST_AGAIN;
         }},

    // Threads
    {.name = "locks_across_calls",
     .start =
         [](State& self) {
           pthread_mutex_lock(checked_mutex(self));
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           if (pthread_mutex_unlock(checked_mutex(self)) != 0) return self.fail("not my mutex");
           pthread_mutex_lock(checked_mutex(self));
           return self.sleep(TASKHOST_SECOND);
         },
     .drop =
         [](State& self) {
           pthread_mutex_unlock(checked_mutex(self));
           delete checked_mutex(self);
         }},
    {.name = "keeps_thread_local",
     .start =
         [](State& self) {
           thread_local int mine;
           self.memory = &mine;
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           thread_local int mine_too;
           if (self.memory == nullptr || self.other == -1) self.memory = &mine_too;
           self.other = 1;
           return self.memory == &mine_too ? self.sleep(TASKHOST_SECOND) : self.fail("another thread's");
         }},
    {.name = "leaks_threads",
     .start =
         [](State&) {
           std::thread([] { pause_ms(3'600'000); }).detach();
           return TASKHOST_OK;
         }},
    {.name = "thread_logs_later",
     .start =
         [](State& self) {
           if (!has_other_config(self)) return TASKHOST_OK;
           std::thread([exec = self.exec] {
             pause_ms(30);
             taskhost_log(exec, TASKHOST_LOG_INFO, "late");
           }).detach();
           return self.fail("takes no config");
         }},
    {.name = "shares_a_counter",
     .start =
         [](State& self) {
           static std::atomic<std::uint64_t> last;
           self.memory = &last;
           last = self.number();
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           if (*static_cast<std::atomic<std::uint64_t>*>(self.memory) != self.number())
             return self.fail("another came");
           return self.sleep(TASKHOST_MILLISECOND);
         }},

    // What is left behind
    {.name = "leaks_16_bytes",
     .start =
         [](State&) {
           *static_cast<volatile char*>(std::malloc(16)) = 1;
           return TASKHOST_OK;
         }},
    {.name = "leaks_rarely",
     .start =
         [](State& self) {
           if (self.number() % 10 == 0) *static_cast<volatile char*>(std::malloc(100)) = 1;
           return TASKHOST_OK;
         }},
    {.name = "leaks_mappings",
     .start =
         [](State&) {
           void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
           *static_cast<volatile char*>(memory) = 1;
           return TASKHOST_OK;
         }},
    {.name = "leaves_files",
     .start =
         [](State&) {
           char name[] = "left_XXXXXX";
           ::close(::mkstemp(name));
           return TASKHOST_OK;
         }},
    {.name = "failed_start_leaks",
     .start =
         [](State& self) {
           if (!has_other_config(self)) return TASKHOST_OK;
           *static_cast<volatile char*>(std::malloc(1000)) = 1;
           return self.fail("takes no config");
         }},
    {.name = "leaks_on_stop",
     .stop =
         [](State&) {
           *static_cast<volatile char*>(std::malloc(64)) = 1;
           return TASKHOST_OK;
         }},
    {.name = "only_a_stop_closes",
     .poll =
         [](State& self) {
           if (self.polls == 4) self.fd = ::eventfd(0, EFD_CLOEXEC);
           return self.sleep(TASKHOST_SECOND);
         },
     .drop =
         [](State& self) {
           if (self.fd >= 0 && taskhost_stop_requested(self.exec) != 0) ::close(self.fd);
         }},
    {.name = "only_a_stop_frees",
     .poll =
         [](State& self) {
           if (self.polls == 3) self.memory = std::malloc(500);
           return self.sleep(TASKHOST_SECOND);
         },
     .stop =
         [](State& self) {
           std::free(self.memory);
           return TASKHOST_OK;
         }},
    {.name = "leaks_at_the_twentieth",
     .poll =
         [](State& self) {
           if (self.polls == 20) *static_cast<volatile char*>(std::malloc(5000)) = 1;
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "leaks_timers",
     .start =
         [](State& self) {
           sigevent event{};
           event.sigev_notify = SIGEV_NONE;
           timer_t timer{};
           return ::timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 ? TASKHOST_OK : self.fail("no timer");
         }},

    // Ends
    {.name = "stop_exits", .stop = [](State&) -> std::int32_t { std::exit(0); }},
    {.name = "stop_exits_at_once", .stop = [](State&) -> std::int32_t { ::_exit(0); }},
    {.name = "stop_throws", .stop = [](State&) -> std::int32_t { throw std::runtime_error("interrupted"); }},
    {.name = "stop_nonsense", .stop = [](State&) -> std::int32_t { return -1; }},
    {.name = "exits_in_a_drop",
     .drop =
         [](State& self) {
           if (self.number() == 12) ::_exit(0);
         }},
    {.name = "crashes",
     .poll =
         [](State& self) {
           *reinterpret_cast<volatile int*>(8) = 1;
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "aborts", .poll = [](State&) -> std::int32_t { std::abort(); }},
    {.name = "kills_itself",
     .poll = [](State& self) { return std::raise(SIGKILL) == 0 ? self.sleep(TASKHOST_SECOND) : 0; }},
    {.name = "run_ends_its_thread",
     .run = [](State& self) -> std::int32_t {
       wait_for_stop(self);
       ::pthread_exit(nullptr);
     }},
    {.name = "run_sleeps",
     .run =
         [](State& self) {
           while (taskhost_stop_requested(self.exec) == 0) ::sleep(20);
           return TASKHOST_OK;
         }},
    {.name = "run_throws",
     .run = [](State& self) -> std::int32_t {
       wait_for_stop(self);
       throw 5;
     }},

    // Hostile ones
    {.name = "child_comes_back",
     .poll =
         [](State& self) {
           if (self.polls == 2 && ::fork() == 0) return TASKHOST_OK;
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "leaves_a_daemon",
     .poll =
         [](State& self) {
           if (self.number() == 1 && self.polls == 1 && ::fork() == 0) {
             ::setsid();
             if (::fork() == 0) ::sleep(20);
             ::_exit(0);
           }
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "forks_many", .poll = fork_many},
    {.name = "writes_a_lot",
     .poll =
         [](State& self) {
           static const std::string block(1 << 20, 'g');
           static std::atomic<int> blocks{100};
           for (int turn = 0; turn < 4 && blocks-- > 0; ++turn) {
             std::fwrite(block.data(), 1, block.size(), stdout);
           }
           return self.again();
         }},
};

}  // namespace

COLLECTION_ENTRY(tasks, description)
