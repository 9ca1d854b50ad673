// More tasks that break no rule: what they do takes real time, goes on elsewhere, or is right only by a rule's small
// print. `taskhost verify` has to find nothing wrong with them.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <mutex>

#include "collection.hpp"

namespace {

using collection::pause_ms;
using collection::State;
using collection::Task;
using Clock = std::chrono::steady_clock;

char description[] = "breaks no rule";

int shared_file() {
  const int file = ::memfd_create("cursor", MFD_CLOEXEC);
  if (::ftruncate(file, 4096) != 0) return -1;
  return file;
}

std::int32_t make_pair(State& self) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) != 0) return self.fail("no sockets");
  self.fd = ends[0];
  self.other = ends[1];
  return TASKHOST_OK;
}

void close_pair(State& self) {
  ::close(self.fd);
  ::close(self.other);
}

struct Garbage {
  std::mutex mutex;
  std::vector<std::unique_ptr<std::array<char, 1000>>> list;
};

// One thread for all executions.
Garbage& start_collector() {
  static Garbage& garbage = *new Garbage;
  std::thread([] {
    for (;;) {
      pause_ms(800);
      const std::lock_guard lock(garbage.mutex);
      garbage.list.clear();
      garbage.list.shrink_to_fit();
    }
  }).detach();
  return garbage;
}

// One process for all executions, which ends with this one.
int start_helper() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return -1;
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[0], STDIN_FILENO);
    ::execl("/bin/cat", "cat", nullptr);
    ::_exit(1);
  }
  ::close(ends[0]);
  return child > 0 ? ends[1] : -1;
}

constexpr Task tasks[] = {
    {.name = "winds_down_in_real_time",
     .stop =
         [](State& self) {
           const auto now = static_cast<std::uint64_t>(Clock::now().time_since_epoch() / std::chrono::milliseconds(1));
           if (self.due == 0) self.due = now + 100;
           return now >= self.due ? std::int32_t{TASKHOST_OK} : self.sleep(50 * TASKHOST_MILLISECOND);
         }},
    {.name = "waits_for_a_child_to_end",
     .start =
         [](State& self) {
           // Unlike fork, it returns once the other program is there, so that a signal is not lost.
           char shell[] = "sh";
           char option[] = "-c";
           char script[] = "trap 'sleep 0.1; exit 0' TERM; while :; do sleep 0.02; done";
           char* const arguments[] = {shell, option, script, nullptr};
           if (::posix_spawn(&self.other, "/bin/sh", nullptr, nullptr, arguments, environ) != 0) self.other = -1;
           return self.other > 0 ? TASKHOST_OK : self.fail("no process");
         },
     .stop =
         [](State& self) {
           if (self.due == 0) ::kill(self.other, SIGTERM);
           self.due = 1;
           int status = 0;
           if (::waitpid(self.other, &status, WNOHANG) == 0) return self.sleep(50 * TASKHOST_MILLISECOND);
           self.other = -1;
           return std::int32_t{TASKHOST_OK};
         },
     .drop =
         [](State& self) {
           if (self.other <= 0) return;
           ::kill(self.other, SIGKILL);
           ::waitpid(self.other, nullptr, 0);
         }},
    {.name = "finish_waits_for_a_thread",
     .start =
         [](State& self) {
           self.thread = std::thread([&self] {
             while (self.shared == 0) pause_ms(1);
             if (self.shared == 1) pause_ms(100);
             self.shared = 3;
           });
           return TASKHOST_OK;
         },
     .drop =
         [](State& self) {
           int running = 0;
           self.shared.compare_exchange_strong(running, 2);
           self.thread.join();
         },
     .finish =
         [](State& self) {
           int running = 0;
           self.shared.compare_exchange_strong(running, 1);
           return self.shared == 3 ? std::int32_t{TASKHOST_OK} : self.sleep(50 * TASKHOST_MILLISECOND);
         }},
    {.name = "takes_servers_in_turn_of_which_one_is_down",
     .start =
         [](State& self) {
           static std::atomic<std::uint64_t> next{0};
           self.due = next++ % 2;
           return TASKHOST_OK;
         },
     .poll =
         [](State& self) {
           return self.polls > 1 && self.due == 1 ? self.fail("refused by the second server")
                                                  : self.sleep(TASKHOST_MILLISECOND);
         }},
    {.name = "writes_much_in_each_poll",
     .poll =
         [](State& self) {
           static const std::string line(2000, 'x');
           (void)!::write(STDOUT_FILENO, line.data(), line.size());
           return self.sleep(TASKHOST_SECOND);
         }},
    {.name = "has_a_helper_process",
     .start =
         [](State& self) {
           static const int to_helper = start_helper();
           return to_helper >= 0 ? TASKHOST_OK : self.fail("no helper");
         }},
    {.name = "has_a_cache_of_a_thousand",
     .start =
         [](State& self) {
           static std::mutex mutex;
           static std::map<std::uint64_t, std::string> sessions;
           static std::uint64_t number = 0;
           const std::lock_guard lock(mutex);
           sessions[++number] = std::string(100, 's');
           if (sessions.size() > 1000) sessions.erase(sessions.begin());
           self.due = number;
           return TASKHOST_OK;
         }},
    {.name = "frees_later",
     .start =
         [](State& self) {
           static Garbage& garbage = start_collector();
           self.memory = &garbage;
           return TASKHOST_OK;
         },
     .drop =
         [](State& self) {
           auto& garbage = *static_cast<Garbage*>(self.memory);
           const std::lock_guard lock(garbage.mutex);
           garbage.list.push_back(std::make_unique<std::array<char, 1000>>());
         }},
    {.name = "joins_in_drop_if_not_finished",
     .start =
         [](State& self) {
           self.thread = std::thread([&self, waker = self.services().waker(self.exec), &table = self.services()] {
             while (self.shared == 0) pause_ms(1);
             pause_ms(150);
             self.shared = 2;
             table.wake(waker);
           });
           return TASKHOST_OK;
         },
     .drop =
         [](State& self) {
           int running = 0;
           self.shared.compare_exchange_strong(running, 1);
           self.thread.join();
         },
     .finish =
         [](State& self) {
           int running = 0;
           self.shared.compare_exchange_strong(running, 1);
           return std::int32_t{self.shared == 2 ? TASKHOST_OK : TASKHOST_PENDING};
         }},
    {.name = "works_in_shared_memory",
     .start =
         [](State& self) {
           const int file = shared_file();
           self.memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
           ::close(file);
           return self.memory != MAP_FAILED ? TASKHOST_OK : self.fail("no mapping");
         },
     .poll =
         [](State& self) {
           auto& cursor = *static_cast<volatile std::uint32_t*>(self.memory);
           cursor = cursor + 1;
           return std::int32_t{cursor == 30'000 ? TASKHOST_OK : TASKHOST_AGAIN};
         },
     .drop = [](State& self) { ::munmap(self.memory, 4096); }},
    {.name = "sends_one_datagram_in_each_poll",
     .start = make_pair,
     .poll =
         [](State& self) {
           ::send(self.fd, "load", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
           char text[8];
           ::recv(self.other, text, sizeof text, MSG_DONTWAIT);
           return std::int32_t{TASKHOST_AGAIN};
         },
     .drop = close_pair},
    {.name = "collects_one_datagram_in_each_poll",
     .start =
         [](State& self) {
           if (make_pair(self) != TASKHOST_OK) return self.fail("no sockets");
           self.thread = std::thread([&self] {
             while (self.shared == 0) {
               if (::send(self.other, "data", 4, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) std::this_thread::yield();
             }
           });
           return self.services().watch(self.exec, self.fd, TASKHOST_READABLE, 0);
         },
     .poll =
         [](State& self) {
           char text[8];
           ::recv(self.fd, text, sizeof text, MSG_DONTWAIT);
           return std::int32_t{TASKHOST_PENDING};
         },
     .drop =
         [](State& self) {
           self.shared = 1;
           self.thread.join();
           close_pair(self);
         }},
};

}  // namespace

COLLECTION_ENTRY(tasks, description)
