// Tasks that break no rule, but do what few others do: `taskhost verify` has to find nothing wrong with them.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <mutex>
#include <random>

#include "collection.hpp"
#include "taskhost/ext/signals.h"

namespace {

using collection::pause_ms;
using collection::State;
using collection::Task;

char description[] = "breaks no rule";

bool by_chance(unsigned one_in) {
  thread_local std::mt19937 random{std::random_device{}()};
  return random() % one_in == 0;
}

std::int32_t watch(State& self, std::uint32_t interests = TASKHOST_READABLE) {
  const bool is_watched = self.services().watch(self.exec, self.fd, interests, 0) == TASKHOST_OK;
  return is_watched ? TASKHOST_PENDING : self.fail("not watched");
}

// A thread answers through a pipe after some milliseconds.
std::int32_t ask(State& self, int answer_ms) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return self.fail("no pipe");
  self.fd = ends[0];
  self.other = ends[1];
  self.thread = std::thread([answer = ends[1], answer_ms] {
    pause_ms(answer_ms);
    (void)!::write(answer, "x", 1);
  });
  return TASKHOST_OK;
}

void close_all(State& self) {
  if (self.thread.joinable()) self.thread.join();
  if (self.fd >= 0) ::close(self.fd);
  if (self.other >= 0) ::close(self.other);
}

std::int32_t await_answer(State& self, std::uint64_t patience) {
  char byte;
  if (::read(self.fd, &byte, 1) == 1) return TASKHOST_OK;
  const std::uint64_t now = taskhost_now(self.exec);
  if (self.due == 0) self.due = now + patience;
  if (now >= self.due) return self.fail("no answer in time");
  self.services().wake_at(self.exec, self.due);
  return watch(self);
}

std::int32_t open_eventfd(State& self) {
  self.fd = ::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  return self.fd >= 0 ? TASKHOST_OK : self.fail("no descriptor");
}

// Work in slices, that each take some microseconds.
std::int32_t work(State& self, std::uint64_t slices, int turns, std::int32_t more) {
  volatile int sum = 0;
  for (int turn = 0; turn < turns; ++turn) sum = sum + turn;
  return self.polls >= slices ? TASKHOST_OK : more;
}

// The only thing that changes is `done`.
std::int32_t count_slice(State& self, unsigned& done, std::int32_t more) {
  --self.polls;
  return ++done % 12'000 == 0 ? TASKHOST_OK : more;
}

constexpr Task tasks[] = {
    // By chance, after a while, or in the end
    {.name = "fails_by_chance",
     .poll =
         [](State& self) {
           if (by_chance(40)) return self.fail("the weather");
           return by_chance(40) ? TASKHOST_OK : self.sleep(TASKHOST_SECOND);
         }},
    {.name = "fails_mostly",
     .poll = [](State& self) { return by_chance(2) ? self.sleep(TASKHOST_SECOND) : self.fail("refused"); }},
    {.name = "starts_by_chance",
     .start = [](State& self) { return by_chance(3) ? self.fail("no licence left") : TASKHOST_OK; }},
    {.name = "fails_at_the_third",
     .poll = [](State& self) { return self.polls == 3 ? self.fail("no server") : self.sleep(10 * TASKHOST_SECOND); }},
    {.name = "fails_at_the_thirtieth",
     .poll = [](State& self) { return self.polls == 30 ? self.fail("no more input") : self.sleep(TASKHOST_SECOND); }},
    {.name = "fails_after_ten_minutes",
     .poll =
         [](State& self) {
           const std::uint64_t now = taskhost_now(self.exec);
           if (self.due == 0) self.due = now + 600 * TASKHOST_SECOND;
           return now >= self.due ? self.fail("the session is over") : self.sleep(5 * TASKHOST_SECOND);
         }},
    {.name = "panics_after_an_hour",
     .poll =
         [](State& self) {
           const std::uint64_t now = taskhost_now(self.exec);
           if (self.due == 0) self.due = now + 3600 * TASKHOST_SECOND;
           if (now < self.due) return self.sleep(60 * TASKHOST_SECOND);
           self.fail("impossible");
           return std::int32_t{TASKHOST_PANIC};
         }},
    {.name = "fails_when_stopped", .stop = [](State& self) { return self.fail("cancelled"); }},
    {.name = "ends_at_once", .poll = [](State&) { return std::int32_t{TASKHOST_OK}; }},
    {.name = "ends_at_the_second",
     .poll = [](State& self) { return self.polls == 2 ? TASKHOST_OK : self.sleep(TASKHOST_SECOND); }},
    {.name = "waits_for_the_stop", .poll = [](State&) { return std::int32_t{TASKHOST_PENDING}; }},
    {.name = "takes_two_seconds_to_stop",
     .stop =
         [](State& self) {
           const std::uint64_t now = taskhost_now(self.exec);
           if (self.due == 0) self.due = now + 2 * TASKHOST_SECOND;
           if (now >= self.due) return std::int32_t{TASKHOST_OK};
           self.services().wake_at(self.exec, self.due);
           return std::int32_t{TASKHOST_PENDING};
         }},
    {.name = "closes_for_three_seconds",
     .start =
         [](State& self) {
           self.fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
           return watch(self) == TASKHOST_PENDING ? TASKHOST_OK : TASKHOST_ERROR;
         },
     .stop =
         [](State& self) {
           const itimerspec closed{{0, 0}, {3, 0}};
           if (self.other == -1) self.other = ::timerfd_settime(self.fd, 0, &closed, nullptr);
           std::uint64_t count;
           return ::read(self.fd, &count, sizeof count) > 0 ? TASKHOST_OK : TASKHOST_PENDING;
         },
     .drop = [](State& self) { ::close(self.fd); }},
    {.name = "stops_in_slices",
     .stop = [](State& self) { return self.polls >= 110'000 ? TASKHOST_OK : TASKHOST_AGAIN; }},
    {.name = "times_out",
     .poll =
         [](State& self) {
           const std::uint64_t now = taskhost_now(self.exec);
           if (self.due == 0) self.due = now + 30 * TASKHOST_SECOND;
           if (now >= self.due) return self.fail("no answer in 30 s");
           self.services().wake_at(self.exec, self.due);
           return std::int32_t{TASKHOST_PENDING};
         }},

    // Real time
    {.name = "patient",
     .start = [](State& self) { return ask(self, 5); },
     .poll = [](State& self) { return await_answer(self, 10 * TASKHOST_SECOND); },
     .drop = close_all},
    {.name = "impatient",
     .start = [](State& self) { return ask(self, 2); },
     .poll = [](State& self) { return await_answer(self, 300 * TASKHOST_MILLISECOND); },
     .drop = close_all},
    {.name = "is_never_answered",
     .start = open_eventfd,
     .poll =
         [](State& self) {
           std::uint64_t count;
           (void)!::read(self.fd, &count, sizeof count);
           return await_answer(self, 5 * TASKHOST_SECOND);
         },
     .drop = close_all},
    {.name = "is_woken_by_a_thread",
     .start =
         [](State& self) {
           self.thread = std::thread([&self, &services = self.services(), waker = self.services().waker(self.exec)] {
             while (self.shared == 0) {
               pause_ms(1);
               services.wake(waker);
             }
           });
           return TASKHOST_OK;
         },
     .poll = [](State&) { return std::int32_t{TASKHOST_PENDING}; },
     .drop =
         [](State& self) {
           self.shared = 1;
           self.thread.join();
         }},
    {.name = "offloads",
     .poll =
         [](State& self) {
           taskhost_ready ready;
           if (self.services().take_ready(self.exec, &ready, 1) == 1) {
             delete static_cast<int*>(self.memory);
             self.memory = nullptr;
             return std::int32_t{TASKHOST_OK};
           }
           if (self.due != 0) {
             if (taskhost_now(self.exec) >= self.due) return self.fail("the work took too long");
             return std::int32_t{TASKHOST_PENDING};
           }
           taskhost_work work{};
           work.struct_size = sizeof work;
           work.run = [](void* number) {
             pause_ms(3);
             *static_cast<int*>(number) = 1;
           };
           work.discard = [](void* number) { delete static_cast<int*>(number); };
           work.argument = self.memory = new int(0);
           if (self.services().offload(self.exec, &work) != TASKHOST_OK) {
             delete static_cast<int*>(self.memory);
             return self.fail("not offloaded");
           }
           self.due = taskhost_now(self.exec) + 5 * TASKHOST_SECOND;
           self.services().wake_at(self.exec, self.due);
           return std::int32_t{TASKHOST_PENDING};
         }},
    {.name = "finishes_later",
     .stop = [](State& self) { return self.fail("stopped"); },
     .finish =
         [](State& self) {
           if (++self.other == 3) return std::int32_t{TASKHOST_OK};
           return self.sleep(100 * TASKHOST_MILLISECOND);
         }},

    {.name = "starts_in_80_ms",
     .start =
         [](State&) {
           pause_ms(80);
           return TASKHOST_OK;
         }},

    // Work in slices
    {.name = "works_in_slices", .poll = [](State& self) { return work(self, 2000, 20000, self.again()); }},
    {.name = "works_in_short_slices", .poll = [](State& self) { return work(self, 60'000, 100, self.again()); }},
    {.name = "gives_way", .poll = [](State& self) { return work(self, 60'000, 100, TASKHOST_AGAIN); }},
    {.name = "counts_down_on_the_heap",
     .start =
         [](State& self) {
           self.memory = new std::uint64_t(50'000);
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           --self.polls;
           return --*static_cast<std::uint64_t*>(self.memory) == 0 ? TASKHOST_OK : TASKHOST_AGAIN;
         },
     .drop = [](State& self) { delete static_cast<std::uint64_t*>(self.memory); }},
    {.name = "works_in_a_large_block",
     .start =
         [](State& self) {
           self.memory = std::calloc(1, 5000);
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) { return count_slice(self, *(static_cast<unsigned*>(self.memory) + 1100), TASKHOST_AGAIN); },
     .drop = [](State& self) { std::free(self.memory); }},
    {.name = "works_in_a_global",
     .poll =
         [](State& self) {
           static unsigned done;
           return count_slice(self, done, TASKHOST_AGAIN);
         }},
    {.name = "works_far_away",
     .start =
         [](State& self) {
           void* next = std::calloc(1, 100);
           for (int steps = 0; steps < 5; ++steps) {
             auto* before = static_cast<void**>(std::calloc(1, 100));
             *before = next;
             next = before;
           }
           self.memory = next;
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           void* last = self.memory;
           while (*static_cast<void**>(last) != nullptr) last = *static_cast<void**>(last);
           return count_slice(self, *(static_cast<unsigned*>(last) + 10), TASKHOST_AGAIN);
         },
     .drop =
         [](State& self) {
           while (self.memory != nullptr) std::free(std::exchange(self.memory, *static_cast<void**>(self.memory)));
         }},
    {.name = "copies_a_file",
     .start =
         [](State& self) {
           char name[] = "copied_XXXXXX";
           self.fd = ::mkstemp(name);
           ::unlink(name);
           return ::ftruncate(self.fd, 12'000) == 0 ? TASKHOST_OK : self.fail("no file");
         },
     .poll =
         [](State& self) {
           --self.polls;
           char byte;
           return ::read(self.fd, &byte, 1) == 1 ? TASKHOST_AGAIN : TASKHOST_OK;
         },
     .drop = close_all},
    {.name = "has_a_queue_of_its_own",
     .start = open_eventfd,
     .poll =
         [](State& self) {
           std::uint64_t count;
           if (::read(self.fd, &count, sizeof count) < 0) return watch(self);
           if (self.polls >= 12'000) return std::int32_t{TASKHOST_OK};
           (void)!::write(self.fd, &count, sizeof count);
           return watch(self);
         },
     .drop = close_all},
    {.name = "works_at_a_ready_descriptor",
     .start = open_eventfd,
     .poll = [](State& self) { return self.polls < 12'000 ? watch(self) : std::int32_t{TASKHOST_OK}; },
     .drop = close_all},
    {.name = "reads_bit_by_bit",
     .start =
         [](State& self) {
           int ends[2];
           if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return self.fail("no pipe");
           self.fd = ends[0];
           self.other = ends[1];
           const std::string text(30'000, 'x');
           return ::write(self.other, text.data(), text.size()) == 30'000 ? TASKHOST_OK : self.fail("no room");
         },
     .poll =
         [](State& self) {
           char byte;
           return ::read(self.fd, &byte, 1) == 1 ? watch(self) : std::int32_t{TASKHOST_OK};
         },
     .drop = close_all},

    // Resources
    {.name = "has_a_large_state", .more_state = std::size_t{20} << 20},
    {.name = "uses_much_memory",
     .start =
         [](State& self) {
           self.memory = std::memset(std::malloc(20 << 20), 1, 20 << 20);
           return TASKHOST_OK;
         },
     .drop = [](State& self) { std::free(self.memory); }},
    {.name = "watches_many",
     .start =
         [](State& self) {
           auto* all = new std::vector<int>;
           for (int count = 0; count < 60; ++count) all->push_back(::eventfd(0, EFD_CLOEXEC));
           self.memory = all;
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           for (const int one : *static_cast<std::vector<int>*>(self.memory)) {
             self.fd = one;
             if (watch(self) != TASKHOST_PENDING) return std::int32_t{TASKHOST_ERROR};
           }
           return self.sleep(TASKHOST_SECOND);
         },
     .drop =
         [](State& self) {
           auto* all = static_cast<std::vector<int>*>(self.memory);
           for (const int one : *all) ::close(one);
           delete all;
         }},
    {.name = "makes_a_pool_once",
     .start =
         [](State&) {
           static std::once_flag once;
           std::call_once(once, [] {
             for (int count = 0; count < 4; ++count) std::thread([] { pause_ms(3'600'000); }).detach();
           });
           return TASKHOST_OK;
         }},
    {.name = "makes_something_at_the_fifth",
     .start =
         [](State& self) {
           static std::atomic<int> starts{0};
           static int kept = -1;
           if (++starts == 5) kept = ::eventfd(0, EFD_CLOEXEC);
           return starts >= 5 && kept < 0 ? self.fail("no descriptor") : TASKHOST_OK;
         }},
    {.name = "fills_a_cache",
     .poll =
         [](State& self) {
           static std::mutex mutex;
           static std::vector<std::string> cache;
           const std::lock_guard lock(mutex);
           if (cache.size() < 50) cache.emplace_back(100, 'c');
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "has_a_detached_thread",
     .start =
         [](State& self) {
           std::thread([&self] {
             while (self.shared == 0) pause_ms(1);
             self.shared = 2;
           }).detach();
           return TASKHOST_OK;
         },
     .drop =
         [](State& self) {
           self.shared = 1;
           while (self.shared != 2) std::this_thread::yield();
         }},
    {.name = "has_slow_threads",
     .start =
         [](State&) {
           std::thread([] { pause_ms(1200); }).detach();
           return TASKHOST_OK;
         }},
    {.name = "has_a_child",
     .start =
         [](State& self) {
           self.other = ::fork();
           if (self.other == 0) {
             for (;;) ::pause();
           }
           return self.other > 0 ? TASKHOST_OK : self.fail("no process");
         },
     .drop =
         [](State& self) {
           ::kill(self.other, SIGKILL);
           ::waitpid(self.other, nullptr, 0);
         }},
    {.name = "has_a_timer",
     .start =
         [](State& self) {
           sigevent event{};
           event.sigev_notify = SIGEV_THREAD;
           event.sigev_notify_function = [](sigval) {};
           timer_t timer{};
           if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return self.fail("no timer");
           self.memory = timer;
           return TASKHOST_OK;
         },
     .drop = [](State& self) { ::timer_delete(self.memory); }},
    {.name = "writes_some_files",
     .poll =
         [](State& self) {
           char name[] = "some_XXXXXX";
           self.fd = ::mkstemp(name);
           ::unlink(name);
           ::close(self.fd);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "starts_slowly",
     .start =
         [](State&) {
           const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
           while (std::chrono::steady_clock::now() < end) {
           }
           return TASKHOST_OK;
         }},
    {.name = "needs_config",
     .start =
         [](State& self) {
           return std::strcmp(taskhost_config(self.exec), "{}") != 0 ? TASKHOST_OK
                                                                     : self.fail("config: /n: is missing");
         }},
    {.name = "waits_for_a_signal",
     .start =
         [](State& self) {
           self.memory = const_cast<void*>(
               self.services().extension(self.exec, TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION));
           const auto* signals = static_cast<const taskhost_signals*>(self.memory);
           return signals != nullptr ? signals->subscribe(self.exec, TASKHOST_SIGNAL_HANGUP) : TASKHOST_ERROR;
         },
     .poll =
         [](State& self) {
           const auto* signals = static_cast<const taskhost_signals*>(self.memory);
           return signals->take(self.exec) != 0 ? TASKHOST_OK : TASKHOST_PENDING;
         }},
    {.name = "looks_at_the_process",
     .start =
         [](State& self) {
           struct sigaction action {};
           rlimit limit{};
           const char* const locale = std::setlocale(LC_ALL, nullptr);
           const bool knows_all = std::setlocale(LC_ALL, locale) != nullptr && std::getenv("PATH") != nullptr &&
                                  ::setenv("PATH", "/", 0) == 0 && ::chdir(".") == 0 && std::system(nullptr) != 0 &&
                                  ::sigaction(SIGTERM, nullptr, &action) == 0 && ::alarm(0) == 0 &&
                                  ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
           return knows_all ? TASKHOST_OK : self.fail("it is hidden");
         }},
    {.name = "prepares_a_child",
     .start =
         [](State& self) {
           self.other = ::fork();
           if (self.other == 0) {
             ::umask(0);
             ::setenv("CHILD", "1", 1);
             std::signal(SIGTERM, SIG_IGN);
             if (::chdir("/") == 0) ::execl("/bin/true", "true", nullptr);
             ::_exit(1);
           }
           int status = 0;
           return ::waitpid(self.other, &status, 0) == self.other && status == 0 ? TASKHOST_OK
                                                                                 : self.fail("no process");
         }},

    // Blocking ones
    {.name = "run_ends_at_once", .run = [](State&) { return std::int32_t{TASKHOST_OK}; }},
    {.name = "run_closes_for_three_seconds",
     .run =
         [](State& self) {
           while (taskhost_stop_requested(self.exec) == 0) taskhost_wait_for(self.exec, TASKHOST_SECOND);
           pause_ms(3000);
           return TASKHOST_OK;
         }},
    {.name = "run_polls_slowly",
     .run =
         [](State& self) {
           while (taskhost_stop_requested(self.exec) == 0) pause_ms(70);
           return TASKHOST_OK;
         }},
    {.name = "run_fails_later",
     .run =
         [](State& self) {
           taskhost_wait_for(self.exec, 5 * TASKHOST_SECOND);
           return taskhost_stop_requested(self.exec) != 0 ? TASKHOST_OK : self.fail("gone");
         }},
    {.name = "run_fails_when_stopped",
     .run =
         [](State& self) {
           while ((self.services().wait(self.exec, TASKHOST_NEVER) & TASKHOST_WAIT_STOP) == 0) {
           }
           return self.fail("cancelled");
         }},
    {.name = "run_fails_by_chance",
     .run =
         [](State& self) {
           while (taskhost_stop_requested(self.exec) == 0) {
             taskhost_wait_for(self.exec, 50 * TASKHOST_MILLISECOND);
             if (by_chance(30)) return self.fail("the weather");
           }
           return TASKHOST_OK;
         }},
    {.name = "run_has_a_loop_of_its_own",
     .run =
         [](State& self) {
           const auto bell = static_cast<int>(self.services().wait_fd(self.exec));
           while (taskhost_stop_requested(self.exec) == 0) {
             pollfd polled{bell, POLLIN, 0};
             ::poll(&polled, 1, 1000);
             self.services().wait(self.exec, 0);
           }
           return TASKHOST_OK;
         }},
};

}  // namespace

COLLECTION_ENTRY(tasks, description)
