#include "worker/sessions.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdint>
#include <optional>

using taskhost::Descriptor;
using taskhost::Sessions;

namespace {

enum Member : std::uint8_t { leader, of_its_group, of_another_group, grandchild, of_another_session, members };

// Processes that only wait, and are this one's to wait for once their parents are gone.
class Family {
 public:
  Family() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const Descriptor reading(ends[0]);
    Descriptor writing(ends[1]);
    REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    if (::fork() == 0) lead(writing.get());
    writing.close();
    for (std::size_t told = 0; told < members; ++told) {
      Report report{};
      REQUIRE(::read(reading.get(), &report, sizeof report) == sizeof report);
      ids_[report.member] = report.id;
    }
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  ~Family() {
    for (const pid_t id : ids_) {
      ::kill(id, SIGKILL);
      ::waitpid(id, nullptr, 0);
    }
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  }

  pid_t id(Member member) const { return ids_[member]; }
  // Not reaped by that. Waits for it.
  void end(Member member) {
    ::kill(ids_[member], SIGKILL);
    siginfo_t end{};
    ::waitid(P_PID, static_cast<id_t>(ids_[member]), &end, WEXITED | WNOWAIT);
  }
  // That SIGKILL was sent to it, before SIGTERM is. Its parent is this process, or has ended.
  bool was_killed(Member member) const {
    ::kill(ids_[member], SIGTERM);
    siginfo_t end{};
    ::waitid(P_PID, static_cast<id_t>(ids_[member]), &end, WEXITED | WNOWAIT);
    return end.si_status == SIGKILL;
  }

 private:
  struct Report {
    Member member;
    pid_t id;
  };

  [[noreturn]] static void wait_as(Member member, int writing) {
    std::signal(SIGTERM, SIG_DFL);
    const Report report{member, ::getpid()};
    (void)!::write(writing, &report, sizeof report);
    for (;;) ::pause();
  }
  [[noreturn]] static void lead(int writing) {
    ::setsid();
    if (::fork() == 0) wait_as(of_its_group, writing);
    if (::fork() == 0) {
      ::setpgid(0, 0);
      if (::fork() == 0) {
        ::setpgid(0, 0);
        wait_as(grandchild, writing);
      }
      wait_as(of_another_group, writing);
    }
    if (::fork() == 0) {
      ::setsid();
      wait_as(of_another_session, writing);
    }
    wait_as(leader, writing);
  }

  std::array<pid_t, members> ids_{};
};

// From here on, the process gets no descriptor.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{0, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("all of a session is killed, in whatever group, but neither its leader nor who has left it") {
  const bool has_descriptors = GENERATE(true, false);
  INFO("descriptors: " << has_descriptors);
  Family family;
  const Sessions sessions;
  {
    std::optional<NoDescriptors> none;
    if (!has_descriptors) none.emplace();
    CHECK(sessions.has_others(family.id(leader)));
    sessions.kill(family.id(leader));
  }
  CHECK_FALSE(family.was_killed(leader));
  CHECK(family.was_killed(of_its_group));
  CHECK(family.was_killed(of_another_group));
  CHECK(family.was_killed(grandchild));
  CHECK_FALSE(family.was_killed(of_another_session));
}

TEST_CASE("what is left of a session is found once its leader has ended") {
  Family family;
  const Sessions sessions;
  family.end(leader);
  CHECK(sessions.has_others(family.id(leader)));
  sessions.kill(family.id(leader));
  CHECK(family.was_killed(of_its_group));
  CHECK(family.was_killed(of_another_group));
  CHECK(family.was_killed(grandchild));
  CHECK_FALSE(family.was_killed(of_another_session));
}

TEST_CASE("a session without others has none, and nothing is killed") {
  Family family;
  const Sessions sessions;
  CHECK_FALSE(sessions.has_others(family.id(of_another_session)));
  sessions.kill(family.id(of_another_session));
  family.end(leader);
  CHECK_FALSE(family.was_killed(of_another_session));
  CHECK_FALSE(family.was_killed(of_its_group));
}
