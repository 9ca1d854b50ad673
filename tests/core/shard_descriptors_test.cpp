// Descriptors that an execution watches: what wakes it, what it is told, what is refused, and what stays the plugin's.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <iterator>
#include <limits>
#include <set>

#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

class Connection {
 public:
  Connection() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_) == 0); }
  ~Connection() {
    close_own();
    close_other();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int own() const { return ends_[0]; }
  void close_own() { close(ends_[0]); }
  void close_other() { close(ends_[1]); }
  void send_to_own() const { REQUIRE(::write(ends_[1], "x", 1) == 1); }
  void take() const {
    char byte = 0;
    REQUIRE(::read(ends_[0], &byte, 1) == 1);
  }
  bool other_reads_the_end() const {
    char byte = 0;
    return ::recv(ends_[1], &byte, 1, MSG_DONTWAIT) == 0;
  }

 private:
  static void close(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
  int ends_[2] = {-1, -1};
};

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator begin("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
}

std::vector<Ready> taken(Execution& execution, std::size_t capacity = 64) {
  std::vector<Ready> ready(capacity);
  ready.resize(execution.take_ready(ready.data(), capacity));
  return ready;
}

// A task that asks for something in its first step, and looks at what is ready in each further one.
struct Watcher {
  Watcher(
      ShardScene& scene, std::function<void(Execution&)> ask,
      std::function<void(Execution&)> look = [](Execution&) {}) {
    scene.add("t", stepping([this, ask = std::move(ask), look = std::move(look)](Execution& execution) {
                waker = execution.waker();
                if (++steps == 1) {
                  ask(execution);
                } else {
                  ready = taken(execution);
                  look(execution);
                }
                return Status::pending;
              }));
    scene.run();
  }

  int steps = 0;
  Waker waker = 0;
  std::vector<Ready> ready;
};

}  // namespace

TEST_CASE("a watched descriptor wakes as long as it is ready, and tells its tag") {
  const Connection connection;
  ShardScene scene;
  Watcher watcher(
      scene, [&](Execution& execution) { CHECK(execution.watch(connection.own(), readable, 42) == Refusal::none); },
      [&](Execution&) { connection.take(); });
  CHECK(watcher.steps == 1);
  for (int sent = 1; sent <= 3; ++sent) {
    connection.send_to_own();
    connection.send_to_own();  // one step takes one of them
    scene.run();
    CHECK(watcher.steps == 1 + 2 * sent);
    REQUIRE(watcher.ready.size() == 1);
    CHECK(watcher.ready[0].tag == 42);
    CHECK(watcher.ready[0].what == readable);
  }
}

TEST_CASE("a wake for another reason tells of no descriptor") {
  const Connection connection;
  ShardScene scene;
  Watcher watcher(scene, [&](Execution& execution) {
    CHECK(execution.watch(connection.own(), readable, 1) == Refusal::none);
    CHECK(taken(execution).empty());
  });
  Execution::wake(watcher.waker);
  scene.run();
  CHECK(watcher.steps == 2);
  CHECK(watcher.ready.empty());
}

TEST_CASE("of a thousand descriptors those that are ready are told, in one call or in several") {
  std::deque<Connection> connections(1000);
  ShardScene scene;
  std::set<std::uint64_t> tags;
  bool piecewise = false;
  Watcher watcher(
      scene,
      [&](Execution& execution) {
        for (std::size_t i = 0; i < connections.size(); ++i) {
          REQUIRE(execution.watch(connections[i].own(), readable, i) == Refusal::none);
        }
      },
      [&](Execution& execution) {
        if (!piecewise) return;
        for (const Ready& ready : taken(execution, 3)) {
          connections[ready.tag].take();
          tags.insert(ready.tag);
        }
      });
  for (const std::size_t i : {3u, 500u, 999u}) connections[i].send_to_own();
  scene.turn();
  scene.turn();
  CHECK(watcher.ready.size() == 3);
  piecewise = true;
  for (const Connection& connection : connections) connection.send_to_own();
  for (const std::size_t i : {3u, 500u, 999u}) connections[i].take();
  scene.run();
  CHECK(tags.size() == 1000);
}

TEST_CASE("new interests and a new tag replace the old ones") {
  const Connection connection;
  ShardScene scene;
  Watcher watcher(
      scene,
      [&](Execution& execution) { CHECK(execution.watch(connection.own(), readable | writable, 1) == Refusal::none); },
      [&](Execution& execution) { CHECK(execution.watch(connection.own(), readable, 2) == Refusal::none); });
  CHECK(watcher.steps == 2);
  REQUIRE(watcher.ready.size() == 1);
  CHECK(watcher.ready[0].what == writable);
  connection.send_to_own();
  scene.turn();
  scene.turn();
  REQUIRE(watcher.ready.size() == 1);
  CHECK(watcher.ready[0].tag == 2);
  CHECK(watcher.ready[0].what == readable);
  connection.take();
}

TEST_CASE("a descriptor that is forgotten wakes nobody, and may be forgotten twice") {
  const Connection connection;
  ShardScene scene;
  Watcher watcher(scene, [&](Execution& execution) {
    CHECK(execution.watch(connection.own(), 0, 0) == Refusal::none);
    CHECK(execution.watch(connection.own(), readable, 0) == Refusal::none);
    CHECK(execution.watch(connection.own(), 0, 0) == Refusal::none);
    CHECK(execution.watch(connection.own(), 0, 0) == Refusal::none);
  });
  connection.send_to_own();
  scene.run();
  CHECK(watcher.steps == 1);
}

TEST_CASE("the other side that goes away is news for whoever reads or writes") {
  for (const unsigned interest : {unsigned{readable}, unsigned{writable}}) {
    Connection connection;
    ShardScene scene;
    Watcher watcher(
        scene,
        [&](Execution& execution) {
          connection.close_other();
          CHECK(execution.watch(connection.own(), interest, 0) == Refusal::none);
        },
        [&](Execution& execution) { CHECK(execution.watch(connection.own(), 0, 0) == Refusal::none); });
    CHECK(watcher.steps == 2);
    REQUIRE(watcher.ready.size() == 1);
    CHECK(watcher.ready[0].what == (readable | writable | broken));
  }
}

TEST_CASE("a watched descriptor stays the plugin's: it may block, and a close ends the connection") {
  Connection connection;
  const std::size_t before = open_descriptors();
  ShardScene scene;
  const std::size_t with_scene = open_descriptors();
  Watcher watcher(scene, [&](Execution& execution) {
    for (int i = 0; i < 3; ++i) CHECK(execution.watch(connection.own(), readable, 0) == Refusal::none);
  });
  CHECK(before < with_scene);
  CHECK(open_descriptors() == with_scene + 1);  // the execution's set, and no duplicate
  CHECK((::fcntl(connection.own(), F_GETFL) & O_NONBLOCK) == 0);
  connection.close_own();
  CHECK(connection.other_reads_the_end());
  scene.run();
  CHECK(watcher.steps == 1);
}

TEST_CASE("a number that is closed and used again is a new descriptor") {
  Connection first;
  Connection second;
  const int number = ::fcntl(first.own(), F_DUPFD_CLOEXEC, 100);
  REQUIRE(number >= 100);
  ShardScene scene;
  Watcher watcher(
      scene,
      [&](Execution& execution) {
        CHECK(execution.watch(number, readable, 1) == Refusal::none);
        first.close_own();
        REQUIRE(::dup3(second.own(), number, O_CLOEXEC) == number);
        CHECK(execution.watch(number, readable, 2) == Refusal::none);
      },
      [&](Execution&) { second.take(); });
  second.send_to_own();
  scene.run();
  CHECK(watcher.steps == 2);
  REQUIRE(watcher.ready.size() == 1);
  CHECK(watcher.ready[0].tag == 2);
  ::close(number);
}

TEST_CASE("the watches of an execution end with it, though a child has copies of its descriptors") {
  const Connection connection;
  ShardScene scene;
  pid_t child = -1;
  const auto recipe = stepping([&](Execution& execution) {
    if (execution.number() > 1) return Status::pending;
    CHECK(execution.watch(connection.own(), readable, 0) == Refusal::none);
    child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    return Status::error;
  });
  scene.add("t", recipe, options_of(TaskType::detachable, 1));
  scene.run();
  connection.send_to_own();
  scene.run();
  CHECK(recipe->steps == 2);
  CHECK(scene.shard.look(0) == 0);
  REQUIRE(child > 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("a drop may forget descriptors, and can't watch any") {
  const Connection connection;
  ShardScene scene;
  Execution* seen = nullptr;
  Script script;
  script.step = [&seen](void*, Execution& execution) {
    seen = &execution;
    return execution.number() == 1 ? Status::error : Status::pending;
  };
  script.drop = [&](void*) {
    CHECK(seen->watch(connection.own(), 0, 0) == Refusal::none);
    CHECK(seen->watch(connection.own(), readable, 0) == Refusal::wrong_call);
  };
  const auto recipe = recipe_of(script);
  scene.add("t", recipe, options_of(TaskType::detachable, 1));
  scene.run();
  connection.send_to_own();
  scene.run();
  CHECK(recipe->steps == 2);
}

TEST_CASE("what can't be watched is refused with its reason, and logged once for each reason and execution") {
  const Connection connection;
  const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const int folder = ::open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  ShardScene scene;
  Watcher watcher(scene, [&](Execution& execution) {
    for (int again = 0; again < 2; ++again) {
      CHECK(execution.watch(-1, readable, 0) == Refusal::not_open);
      CHECK(execution.watch(std::numeric_limits<int>::max(), readable, 0) == Refusal::not_open);
      CHECK(execution.watch(file, readable, 0) == Refusal::always_ready);
      CHECK(execution.watch(folder, readable, 0) == Refusal::always_ready);
      CHECK(execution.watch(null, readable, 0) == Refusal::always_ready);
      CHECK(execution.watch(connection.own(), 8, 0) == Refusal::bad_argument);
      CHECK(execution.watch(std::int64_t{1} << 32, readable, 0) == Refusal::not_open);
    }
    CHECK(execution.watch(set, readable, 0) == Refusal::none);  // a library's own
  });
  scene.run();
  CHECK(watcher.steps == 1);
  CHECK(scene.sink.logged("t: can't watch descriptor -1: it is not open"));
  CHECK(scene.sink.logged("t: can't watch descriptor " + std::to_string(file) + ": it is a file, a directory"));
  CHECK(scene.sink.log_count() == 3);
  for (const int descriptor : {file, folder, null, set}) ::close(descriptor);
}

TEST_CASE("a refusal that comes with each restart is told once in ten seconds") {
  ShardScene scene;
  const auto recipe = stepping([](Execution& execution) {
    CHECK(execution.watch(-1, readable, 0) == Refusal::not_open);
    return execution.number() % 1000 == 0 ? Status::pending : Status::error;
  });
  scene.add("t", recipe, options_of(TaskType::detachable, 100'000));
  scene.run();
  CHECK(recipe->starts >= 1000);
  CHECK(scene.sink.logged("t: can't watch descriptor -1"));
  CHECK(scene.sink.log_count() == 1);
}

TEST_CASE("a descriptor that is closed before it is forgotten is told, though one that is not open was refused") {
  Connection connection;
  ShardScene scene;
  Watcher watcher(scene, [&](Execution& execution) {
    CHECK(execution.watch(connection.own(), readable, 0) == Refusal::none);
    CHECK(execution.watch(-1, readable, 0) == Refusal::not_open);
    const int number = connection.own();
    connection.close_own();
    CHECK(execution.watch(number, 0, 0) == Refusal::none);
    CHECK(execution.watch(number, 0, 0) == Refusal::none);
  });
  scene.run();
  CHECK(scene.sink.logged("t: can't watch descriptor -1: it is not open"));
  CHECK(scene.sink.logged("t: can't forget descriptor "));
  CHECK(scene.sink.log_count() == 2);
}

TEST_CASE("a descriptor that was closed just before it is watched is not open, though the host takes its number") {
  ShardScene scene;
  Watcher watcher(scene, [&](Execution& execution) {
    Connection connection;
    const int number = connection.own();
    connection.close_own();
    CHECK(execution.watch(number, readable, 0) == Refusal::not_open);
    const Connection other;  // the host's set is made now, and may get the lowest free number
    CHECK(execution.watch(other.own(), readable, 0) == Refusal::none);
    for (int each = 3; each < 200; ++each) {
      if (::fcntl(each, F_GETFD) < 0) CHECK(execution.watch(each, readable, 0) == Refusal::not_open);
    }
  });
  scene.run();
  CHECK(watcher.steps == 1);
}

TEST_CASE("a number that the host took for its set of watched descriptors can't be watched") {
  ShardScene scene;
  Watcher watcher(scene, [&](Execution& execution) {
    Connection connection;
    const Connection other;
    const int number = connection.own();
    connection.close_own();  // the lowest free number, which the set gets
    CHECK(execution.watch(other.own(), readable, 0) == Refusal::none);
    REQUIRE(::fcntl(number, F_GETFD) >= 0);
    CHECK(execution.watch(number, readable, 0) == Refusal::not_open);
  });
  scene.run();
  CHECK(watcher.steps == 1);
}

TEST_CASE("without a descriptor for its set an execution is told what to raise") {
  const Connection connection;
  ShardScene scene;
  Refusal refusal = Refusal::none;
  Watcher watcher(scene, [&](Execution& execution) {
    rlimit former{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &former) == 0);
    const rlimit none{3, former.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    refusal = execution.watch(connection.own(), readable, 0);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &former) == 0);
  });
  CHECK(refusal == Refusal::no_descriptor);
  CHECK(scene.sink.logged("t: can't watch descriptor " + std::to_string(connection.own()) +
                          ": the process has no descriptor left: raise its limit"));
}

TEST_CASE("a terminal and a loop's own set can be watched") {
  const OwnedDescriptor terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  const OwnedDescriptor event(::eventfd(1, EFD_CLOEXEC));
  const OwnedDescriptor set(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event wanted{};
  wanted.events = EPOLLIN;
  REQUIRE(::epoll_ctl(set.get(), EPOLL_CTL_ADD, event.get(), &wanted) == 0);
  ShardScene scene;
  Watcher watcher(
      scene,
      [&](Execution& execution) {
        if (terminal) CHECK(execution.watch(terminal.get(), readable, 0) == Refusal::none);
        CHECK(execution.watch(set.get(), readable, 1) == Refusal::none);
      },
      [&](Execution& execution) { CHECK(execution.watch(set.get(), 0, 0) == Refusal::none); });
  CHECK(watcher.steps == 2);
}

TEST_CASE("a stalled task's ready descriptor does not keep its shard awake, and wakes it when the call is back") {
  const Connection connection;
  ShardScene scene;
  int step = 0;
  scene.add("t", stepping([&](Execution& execution) {
              switch (++step) {
                case 1:
                  CHECK(execution.watch(connection.own(), readable, 7) == Refusal::none);
                  connection.send_to_own();
                  scene.take_over();
                  scene.run();
                  CHECK(scene.shard.look(0) == 0);
                  return Status::pending;
                default:
                  CHECK(taken(execution).size() == 1);
                  return Status::ok;
              }
            }));
  scene.run();
  scene.run();
  CHECK(step == 2);
}

TEST_CASE("a descriptor that is ready when its task was abandoned, in a poll or in its drop, is nobody's business") {
  for (const bool in_drop : {false, true}) {
    const Connection connection;
    ShardScene scene;
    const auto gets_stuck = [&] {
      scene.take_over();
      scene.shard.operate(0, Operation::stop);
      scene.run();
      scene.sleep(1s);
      CHECK(scene.sink.lines().back() == "t discarded");
      connection.send_to_own();
      scene.run();
    };
    Script script;
    script.step = [&](void*, Execution& execution) {
      (void)execution.watch(connection.own(), readable, 0);
      if (!in_drop && execution.stop_requested()) gets_stuck();
      return Status::pending;
    };
    script.drop = [&](void*) {
      if (in_drop) gets_stuck();
    };
    scene.add("t", recipe_of(std::move(script)), options_of(TaskType::detachable, 0, 1s));
    scene.run();
    scene.shard.operate(0, Operation::stop);
    scene.run();
    scene.sleep(1s);
    CHECK(scene.owner.abandoned == 1);
    CHECK(scene.owner.ended == 1);
  }
}

TEST_CASE("a blocking execution waits for its own descriptors and for one that tells of wakes and of the stop") {
  const auto is_readable = [](int descriptor) {
    pollfd polled{descriptor, POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
  };
  ShardScene scene;
  Script script;
  script.blocking = true;
  int descriptor = -1;
  script.step = [&](void*, Execution& execution) {
    Ready ready;
    CHECK(execution.watch(0, readable, 0) == Refusal::wrong_call);
    CHECK(execution.take_ready(&ready, 1) == 0);
    WakePort::wake(execution.waker());
    scene.run();
    descriptor = execution.wait_descriptor();
    REQUIRE(descriptor > 2);
    CHECK(execution.wait_descriptor() == descriptor);
    CHECK(is_readable(descriptor));
    CHECK(execution.wait_until(0) == (wait_wake | wait_time));
    CHECK_FALSE(is_readable(descriptor));
    WakePort::wake(execution.waker());
    scene.run();
    CHECK(is_readable(descriptor));
    CHECK(execution.wait_until(never) == wait_wake);
    scene.begin_stop();
    scene.run();
    CHECK(is_readable(descriptor));
    CHECK((execution.wait_until(0) & wait_stop) != 0);
    CHECK(is_readable(descriptor));
    return Status::ok;
  };
  bool was_open_in_drop = false;
  script.drop = [&](void*) { was_open_in_drop = ::fcntl(descriptor, F_GETFD) >= 0; };  // a loop is taken apart there
  scene.add("t", recipe_of(std::move(script)));
  scene.run();
  scene.run_blocking();
  CHECK(was_open_in_drop);
  CHECK(::fcntl(descriptor, F_GETFD) < 0);
  CHECK(scene.sink.logged("t: can't watch descriptor 0: only start, poll and finish may"));
  CHECK(scene.sink.lines().back() == "t stopped 1");
}

TEST_CASE("a polled execution has no descriptor that tells of its wakes") {
  ShardScene scene;
  Watcher watcher(scene, [](Execution& execution) { CHECK(execution.wait_descriptor() == -1); });
  CHECK(watcher.steps == 1);
}

TEST_CASE("a blocking task's start asks for nothing that its run could not forget") {
  ShardScene scene;
  Connection connection;
  Script script;
  script.blocking = true;
  script.start = [&](void*, Execution& execution) {
    CHECK(execution.watch(connection.own(), readable, 1) == Refusal::wrong_call);
    CHECK(execution.offload({1, nullptr, [](void*) {}, nullptr}) == Refusal::wrong_call);
    return Status::ok;
  };
  script.step = [](void*, Execution&) { return Status::ok; };
  scene.add("t", recipe_of(std::move(script)));
  scene.run();
  scene.run_blocking();
  CHECK(scene.sink.lines().back() == "t discarded");
}
