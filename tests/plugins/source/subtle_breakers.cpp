// Tasks that break a rule only at their end, beside a timer, on another thread or when they are polled too early: what
// tests/integration/collection_test.cpp expects of `taskhost verify`.
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <ctime>

#include "collection.hpp"
#include "taskhost/ext/config.h"
#include "taskhost/ext/manifest.h"

namespace {

using collection::State;
using collection::Task;

char description[] = "breaks a rule";

thread_local std::uint64_t own_deadline;

constexpr Task tasks[] = {
    {.name = "keeps_text_of_config",
     .start =
         [](State& self) {
           static const char* kept;
           if (kept != nullptr && kept[0] != 'h') return self.fail("odd");
           const auto* config = static_cast<const taskhost_config_reader*>(
               self.services().extension(self.exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION));
           return config->text(self.exec, "/message", &kept, nullptr);
         }},
    {.name = "keeps_directory",
     .start =
         [](State& self) {
           static const char* kept;
           if (kept != nullptr && kept[0] != '/') return self.fail("odd");
           const auto* manifest = static_cast<const taskhost_manifest*>(
               self.services().extension(self.exec, TASKHOST_EXTENSION_MANIFEST, TASKHOST_MANIFEST_REVISION));
           kept = manifest->directory(self.exec);
           return TASKHOST_OK;
         }},
    {.name = "loses_timer_with_a_waker",
     .poll =
         [](State& self) {
           self.services().waker(self.exec);
           const std::uint64_t now = taskhost_now(self.exec);
           const bool is_early = self.due != 0 && now < self.due;
           if (!is_early) self.due = now + TASKHOST_SECOND;
           self.services().wake_at(self.exec, is_early ? TASKHOST_NEVER : self.due);
           return TASKHOST_PENDING;
         }},
    {.name = "loses_timer_at_once",
     .start =
         [](State& self) {
           self.services().waker(self.exec);
           self.sleep(TASKHOST_SECOND);
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           self.services().wake_at(self.exec, TASKHOST_NEVER);
           return TASKHOST_PENDING;
         }},
    {.name = "loses_timer_after_work",
     .start =
         [](State& self) {
           const taskhost_work work{sizeof work, 0, 1, nullptr, [](void*) { collection::pause_ms(5); }, nullptr};
           return self.services().offload(self.exec, &work);
         },
     .poll =
         [](State& self) {
           taskhost_ready ready{};
           const std::uint64_t now = taskhost_now(self.exec);
           const bool is_done = self.services().take_ready(self.exec, &ready, 1) != 0;
           const bool is_due = is_done || (self.due != 0 && now >= self.due);
           if (is_due) self.due = now + TASKHOST_SECOND;
           if (self.due != 0) self.services().wake_at(self.exec, is_due ? self.due : TASKHOST_NEVER);
           return TASKHOST_PENDING;
         }},
    {.name = "takes_any_poll_for_the_timer",
     .poll = [](State& self) { return self.polls > 1 ? TASKHOST_OK : self.sleep(3600 * TASKHOST_SECOND); }},
    {.name = "never_reads_beside_a_timer",
     .start =
         [](State& self) {
           self.fd = ::eventfd(1, EFD_CLOEXEC);
           return self.services().watch(self.exec, self.fd, TASKHOST_READABLE, 0);
         },
     .poll =
         [](State& self) {
           const std::uint64_t now = taskhost_now(self.exec);
           if (now < self.due) return std::int32_t{TASKHOST_PENDING};
           self.due = now + TASKHOST_MILLISECOND;
           return self.sleep(TASKHOST_MILLISECOND);
         },
     .drop = [](State& self) { ::close(self.fd); }},
    {.name = "keeps_deadline_thread_local",
     .start =
         [](State& self) {
           own_deadline = taskhost_now(self.exec) + TASKHOST_MILLISECOND;
           self.services().wake_at(self.exec, own_deadline);
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           if (own_deadline == 0) return std::int32_t{TASKHOST_PENDING};
           if (taskhost_now(self.exec) >= own_deadline) return std::int32_t{TASKHOST_OK};
           self.services().wake_at(self.exec, own_deadline);
           return std::int32_t{TASKHOST_PENDING};
         }},
    {.name = "leaks_when_done",
     .poll =
         [](State& self) {
           if (self.polls < 6) return self.sleep(TASKHOST_MILLISECOND);
           *static_cast<volatile char*>(std::malloc(4096)) = 1;
           return std::int32_t{TASKHOST_OK};
         }},
    {.name = "leaks_when_it_fails",
     .poll =
         [](State& self) {
           if (self.polls < 6) return self.sleep(TASKHOST_MILLISECOND);
           if (self.number() % 2 == 0) return std::int32_t{TASKHOST_OK};
           *static_cast<volatile char*>(std::malloc(4096)) = 1;
           return self.fail("every other one does");
         }},
    {.name = "run_leaks_when_done",
     .run =
         [](State& self) {
           if ((taskhost_wait_for(self.exec, TASKHOST_SECOND) & TASKHOST_WAIT_STOP) != 0)
             return std::int32_t{TASKHOST_OK};
           return ::dup(0) < 0 ? self.fail("no descriptor") : TASKHOST_OK;
         }},
    {.name = "leaves_a_file_at_the_fifth",
     .poll =
         [](State& self) {
           char name[] = "spool_XXXXXX";
           if (self.polls == 5) ::close(::mkstemp(name));
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "leaves_a_timer_at_the_fifth",
     .poll =
         [](State& self) {
           timer_t timer{};
           sigevent event{};
           event.sigev_notify = SIGEV_NONE;
           if (self.polls == 5) ::timer_create(CLOCK_MONOTONIC, &event, &timer);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "leaves_a_mapping_at_the_fifth",
     .poll =
         [](State& self) {
           if (self.polls == 5) (void)::mmap(nullptr, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "leaves_a_zombie_at_the_fifth",
     .poll =
         [](State& self) {
           if (self.polls == 5 && ::fork() == 0) ::_exit(0);
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "run_leaks_after_two_milliseconds",
     .run =
         [](State& self) {
           for (int turn = 0; taskhost_stop_requested(self.exec) == 0; ++turn) {
             if (turn == 2) (void)!::dup(0);
             collection::pause_ms(1);
           }
           return std::int32_t{TASKHOST_OK};
         }},
    {.name = "child_comes_out_of_work",
     .start =
         [](State& self) {
           const auto run = [](void*) {
             const pid_t child = ::fork();
             if (child > 0) ::waitpid(child, nullptr, 0);
           };
           const taskhost_work work{sizeof work, 0, 1, nullptr, run, nullptr};
           return self.services().offload(self.exec, &work);
         }},
    {.name = "run_takes_any_wake_for_its_time",
     .run =
         [](State& self) {
           taskhost_wait_for(self.exec, 3600 * TASKHOST_SECOND);
           return std::int32_t{TASKHOST_OK};
         }},
};

}  // namespace

COLLECTION_ENTRY(tasks, description)
