// What the host's duplicate of a watched descriptor does to the plugin's connection, and what is rejected.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>

#include "descriptor_watch.hpp"
#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;

namespace {

class Connection {
 public:
  Connection() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends_) == 0); }
  ~Connection() {
    close_own();
    ::close(ends_[1]);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int own() const { return ends_[0]; }
  void close_own() {
    if (ends_[0] >= 0) ::close(ends_[0]);
    ends_[0] = -1;
  }
  void send_to_own() const { REQUIRE(::write(ends_[1], "x", 1) == 1); }
  void take_from_other() const {
    char byte = 0;
    REQUIRE(::read(ends_[0], &byte, 1) == 1);
  }
  // Writes until this end accepts no more.
  void fill() const {
    const char bytes[4096] = {};
    while (::write(ends_[0], bytes, sizeof bytes) > 0) {
    }
  }
  // What the other end has received so far, and whether it has seen the connection's end.
  bool other_reads_the_end() const {
    char bytes[4096];
    ssize_t size = 0;
    while ((size = ::read(ends_[1], bytes, sizeof bytes)) > 0) {
    }
    return size == 0;
  }

 private:
  int ends_[2] = {-1, -1};
};

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator begin("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
}

// A blocking execution whose step is given by the test.
std::shared_ptr<const ScriptRecipe> blocking(std::function<void(Execution&)> step) {
  Script script;
  script.blocking = true;
  script.step = [step = std::move(step)](void*, Execution& execution) {
    step(execution);
    return Status::ok;
  };
  return recipe_of(std::move(script));
}

}  // namespace

TEST_CASE("a connection that is closed after its wake ends for the other side at once") {
  Connection connection;
  ShardScene scene;
  int steps = 0;
  scene.add("t", stepping([&](Execution& execution) {
              if (++steps == 1) CHECK(execution.wake_on_descriptor(connection.own(), readable));
              return Status::pending;
            }));
  scene.run();
  connection.send_to_own();
  scene.run();
  CHECK(steps == 2);
  CHECK_FALSE(connection.other_reads_the_end());
  connection.take_from_other();  // closing with unread data would be an error for the other side
  connection.close_own();
  CHECK(connection.other_reads_the_end());
}

TEST_CASE("a watch stays until the last of its interests is met") {
  Connection connection;
  connection.fill();
  ShardScene scene;
  int steps = 0;
  scene.add("t", stepping([&](Execution& execution) {
              if (++steps == 1) CHECK(execution.wake_on_descriptor(connection.own(), readable | writable));
              return Status::pending;
            }));
  scene.run();
  CHECK(steps == 1);
  connection.send_to_own();
  scene.run();
  CHECK(steps == 2);
  CHECK_FALSE(connection.other_reads_the_end());  // makes room
  scene.run();
  CHECK(steps == 3);
}

TEST_CASE("a number that is used again after its wake is a new descriptor") {
  Connection first;
  Connection second;
  const int number = ::fcntl(first.own(), F_DUPFD_CLOEXEC, 100);
  REQUIRE(number >= 100);
  ShardScene scene;
  int steps = 0;
  scene.add("t", stepping([&](Execution& execution) {
              if (++steps == 2) REQUIRE(::dup3(second.own(), number, O_CLOEXEC) == number);
              if (steps <= 2) CHECK(execution.wake_on_descriptor(number, readable));
              return Status::pending;
            }));
  scene.run();
  first.send_to_own();
  scene.run();
  CHECK(steps == 2);
  second.send_to_own();
  scene.run();
  CHECK(steps == 3);
  ::close(number);
}

TEST_CASE("a further call of a blocking execution adds interests to those that are waited for") {
  Connection connection;
  connection.fill();
  ShardScene scene;
  unsigned first = 0;
  unsigned second = 0;
  scene.add("t", blocking([&](Execution& execution) {
              CHECK(execution.wake_on_descriptor(connection.own(), readable));
              CHECK(execution.wake_on_descriptor(connection.own(), 0));
              scene.run();  // lets the loop allocate what it needs for itself
              const std::size_t before = open_descriptors();
              CHECK(execution.wake_on_descriptor(connection.own(), writable));
              CHECK(execution.wake_on_descriptor(connection.own(), readable));
              scene.run();  // what the shard does in the meantime
              CHECK(open_descriptors() == before + 1);
              CHECK_FALSE(connection.other_reads_the_end());  // makes room
              scene.run();
              first = execution.wait_until(1);
              connection.send_to_own();
              scene.run();
              second = execution.wait_until(1);
              CHECK(open_descriptors() == before);
            }));
  scene.run();
  scene.run_blocking();
  CHECK((first & wait_wake) != 0);
  CHECK((second & wait_wake) != 0);
}

TEST_CASE("a blocking execution may add interests to a watch when it has as many as it may have") {
  ShardScene scene;
  std::deque<Connection> connections(max_watched_descriptors);
  scene.add("t", blocking([&](Execution& execution) {
              for (const Connection& connection : connections) {
                CHECK(execution.wake_on_descriptor(connection.own(), readable));
              }
              CHECK(execution.wake_on_descriptor(connections.front().own(), readable));
              scene.run();
            }));
  scene.run();
  scene.run_blocking();
  CHECK_FALSE(scene.sink.logged("t: watches 64 descriptors"));
}

TEST_CASE("a polled execution that watches as many descriptors as it may is told how many") {
  ShardScene scene;
  std::deque<Connection> connections(max_watched_descriptors + 2);
  scene.add("t", stepping([&](Execution& execution) {
              for (std::size_t i = 0; i < connections.size(); ++i) {
                CHECK(execution.wake_on_descriptor(connections[i].own(), readable) == (i < max_watched_descriptors));
              }
              return Status::ok;
            }));
  scene.run();
  CHECK(scene.sink.logged("t: watches 64 descriptors, the most it may watch"));
}

TEST_CASE("the host's duplicates are closed when a shard goes before it looked at them") {
  const std::size_t before = open_descriptors();
  Connection connection;
  {
    ShardScene scene;
    scene.add("t",
              blocking([&](Execution& execution) { CHECK(execution.wake_on_descriptor(connection.own(), readable)); }));
    scene.run();
    scene.owner.calls.front()->run();
  }
  CHECK(open_descriptors() == before + 2);
}

TEST_CASE("the host's duplicate does not take the place of a standard stream that was closed") {
  const Connection connection;
  const OwnedDescriptor kept(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  ::close(STDIN_FILENO);
  const int duplicate = duplicate_waitable(connection.own()).get();
  if (kept) ::dup2(kept.get(), STDIN_FILENO);
  CHECK(duplicate > STDERR_FILENO);
}

TEST_CASE("a device that is always ready can't be waited for") {
  for (const char* const device : {"/dev/null", "/dev/zero"}) {
    const OwnedDescriptor descriptor(::open(device, O_RDWR | O_CLOEXEC));
    REQUIRE(descriptor);
    const std::size_t before = open_descriptors();
    CHECK_FALSE(duplicate_waitable(descriptor.get()));
    CHECK(open_descriptors() == before);
  }
}

TEST_CASE("a terminal can be waited for") {
  const OwnedDescriptor terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal) return;  // a sandbox without terminals
  CHECK(duplicate_waitable(terminal.get()));
}

TEST_CASE("a descriptor that is met when its task was abandoned, in a poll or in its drop, is nobody's business") {
  for (const bool in_drop : {false, true}) {
    const Connection connection;
    ShardScene scene;
    const auto gets_stuck = [&] {
      scene.take_over();
      scene.shard.operate(0, Operation::stop);
      scene.run();
      scene.sleep(std::chrono::seconds(1));
      CHECK(scene.sink.lines().back() == "t discarded");
      connection.send_to_own();
      scene.run();
    };
    Script script;
    script.step = [&](void*, Execution& execution) {
      (void)execution.wake_on_descriptor(connection.own(), readable);
      if (!in_drop && execution.stop_requested()) gets_stuck();
      return Status::pending;
    };
    script.drop = [&](void*) {
      if (in_drop) gets_stuck();
    };
    scene.add("t", recipe_of(std::move(script)), options_of(TaskType::detachable, 0, std::chrono::seconds(1)));
    scene.run();
    scene.shard.operate(0, Operation::stop);
    scene.run();
    scene.sleep(std::chrono::seconds(1));
    CHECK(scene.owner.abandoned == 1);
    CHECK(scene.owner.ended == 1);
  }
}
