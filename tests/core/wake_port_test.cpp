// Wakers as values: whatever their age, they wake the execution for which they were made, or nothing.
#include "taskhost/core/wake_port.hpp"

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <system_error>
#include <vector>

#include "support/catch.hpp"
#include "task_cell.hpp"

using taskhost::TaskCell;
using taskhost::WakePort;
using taskhost::Waker;
using taskhost::WakeSlot;

namespace {

// Brings a slot to the end of its generations without four thousand million executions. An explicit instantiation may
// name private members.
template <WakeSlot& (*At)(std::uint32_t)>
struct SlotAccess {
  friend WakeSlot& slot_at(std::uint32_t index) { return At(index); }
};
WakeSlot& slot_at(std::uint32_t index);
template struct SlotAccess<&WakePort::at>;

// A port with places that stand for tasks; the port never looks into them.
class Scene {
 public:
  Scene() : port(WakePort::acquire()) {
    for (std::size_t i = 0; i < places; ++i) slots[i] = port.add(cell(i));
    woken();  // wakes for an earlier owner
    port.quiet();
  }
  ~Scene() {
    for (const std::uint32_t slot : slots) port.remove(slot);
    port.release();
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  Waker waker(std::size_t place) const { return WakePort::waker(slots[place]); }
  // Which places were woken since the last time, in order of place.
  std::vector<std::size_t> woken() {
    std::vector<std::size_t> result;
    port.drain([&](TaskCell& woken_cell) {
      for (std::size_t i = 0; i < places; ++i) {
        if (&woken_cell == cell(i)) result.push_back(i);
      }
    });
    std::sort(result.begin(), result.end());
    return result;
  }
  bool rung() const {
    pollfd waiting{port.descriptor(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 1;
  }

  static constexpr std::size_t places = 4;
  WakePort& port;
  std::array<std::uint32_t, places> slots{};

 private:
  TaskCell* cell(std::size_t place) { return reinterpret_cast<TaskCell*>(memory_[place]); }
  alignas(TaskCell) std::byte memory_[places][sizeof(TaskCell)];
};

using Places = std::vector<std::size_t>;

}  // namespace

TEST_CASE("a wake wakes the one it is for, once") {
  Scene scene;
  WakePort::wake(scene.waker(2));
  CHECK(scene.woken() == Places{2});
  CHECK(scene.woken().empty());
}

TEST_CASE("wakes of one execution merge until they are taken") {
  Scene scene;
  for (int i = 0; i < 5; ++i) WakePort::wake(scene.waker(1));
  CHECK(scene.woken() == Places{1});
  WakePort::wake(scene.waker(1));
  CHECK(scene.woken() == Places{1});
}

TEST_CASE("wakes of several executions are all taken at once") {
  Scene scene;
  for (const std::size_t place : {3u, 0u, 2u, 0u, 1u}) WakePort::wake(scene.waker(place));
  CHECK(scene.woken() == Places{0, 1, 2, 3});
}

TEST_CASE("a wake that comes while wakes are being taken counts for the next time") {
  Scene scene;
  WakePort::wake(scene.waker(0));
  int calls = 0;
  scene.port.drain([&](TaskCell&) {
    ++calls;
    WakePort::wake(scene.waker(0));
  });
  CHECK(calls == 1);
  CHECK(scene.woken() == Places{0});
}

TEST_CASE("a stale waker does nothing") {
  Scene scene;
  const Waker old = scene.waker(1);
  WakePort::expire(scene.slots[1]);
  WakePort::wake(old);
  CHECK(scene.woken().empty());
  CHECK_FALSE(WakePort::current(old));
}

TEST_CASE("the waker after an expired one works") {
  Scene scene;
  const Waker old = scene.waker(1);
  WakePort::expire(scene.slots[1]);
  CHECK(scene.waker(1) != old);
  CHECK(WakePort::current(scene.waker(1)));
  WakePort::wake(scene.waker(1));
  CHECK(scene.woken() == Places{1});
}

TEST_CASE("a wake that is under way when its execution ends is a spurious wake at worst") {
  Scene scene;
  WakePort::wake(scene.waker(1));
  WakePort::expire(scene.slots[1]);
  CHECK(scene.woken() == Places{1});
}

TEST_CASE("a waker of nothing, and wakers that nobody ever gave out, do nothing") {
  Scene scene;
  WakePort::wake(0);
  WakePort::wake(1);
  WakePort::wake(~Waker{0});
  WakePort::wake(Waker{1} << 63);
  WakePort::wake(0xffffffffu);                        // a slot beyond every table, generation 0
  WakePort::wake(Waker{1} << 32 | 0x7fffffffu);       // generation 1 of a slot beyond
  WakePort::wake(Waker{1} << 32 | 0x0fffffffu);       // of one within the table that was never made
  WakePort::wake(scene.waker(0) + (Waker{1} << 32));  // of a future generation
  WakePort::wake(scene.slots[0]);                     // generation 0 of a real slot
  CHECK_FALSE(WakePort::current(0));
  CHECK_FALSE(WakePort::current(~Waker{0}));
  CHECK(scene.woken().empty());
}

TEST_CASE("no slot has generation 0, not even when generations begin anew") {
  Scene scene;
  slot_at(scene.slots[0]).generation.store(std::numeric_limits<std::uint32_t>::max());
  const Waker last = scene.waker(0);
  WakePort::wake(last);
  CHECK(scene.woken() == Places{0});
  WakePort::expire(scene.slots[0]);
  CHECK(scene.waker(0) >> 32 == 1);
  WakePort::wake(last);
  WakePort::wake(scene.slots[0]);  // generation 0
  CHECK(scene.woken().empty());
  WakePort::wake(scene.waker(0));
  CHECK(scene.woken() == Places{0});
}

TEST_CASE("who sleeps is rung by the first wake, and by that one only") {
  Scene scene;
  REQUIRE(scene.port.begin_sleep());
  CHECK_FALSE(scene.rung());
  WakePort::wake(scene.waker(0));
  CHECK(scene.rung());
  scene.port.quiet();
  WakePort::wake(scene.waker(1));
  CHECK_FALSE(scene.rung());
  scene.port.end_sleep();
  CHECK(scene.woken() == Places{0, 1});
}

TEST_CASE("a child that wakes does not ring its parent, which shares the descriptor") {
  Scene scene;
  REQUIRE(scene.port.begin_sleep());
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    WakePort::wake(scene.waker(0));
    ::_exit(0);
  }
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK_FALSE(scene.rung());
  WakePort::wake(scene.waker(0));
  CHECK(scene.rung());
  scene.port.end_sleep();
  scene.woken();
}

TEST_CASE("who is awake is not rung") {
  Scene scene;
  WakePort::wake(scene.waker(0));
  CHECK_FALSE(scene.rung());
  CHECK(scene.woken() == Places{0});
}

TEST_CASE("with a wake waiting nobody falls asleep") {
  Scene scene;
  WakePort::wake(scene.waker(0));
  CHECK_FALSE(scene.port.begin_sleep());
  scene.woken();
  CHECK(scene.port.begin_sleep());
  scene.port.end_sleep();
}

TEST_CASE("a stale waker does not even end a sleep") {
  Scene scene;
  const Waker old = scene.waker(0);
  WakePort::expire(scene.slots[0]);
  REQUIRE(scene.port.begin_sleep());
  WakePort::wake(old);
  CHECK_FALSE(scene.rung());
  scene.port.end_sleep();
}

TEST_CASE("a wake while the port's owner is awake needs no bell") {
  Scene scene;
  WakePort::wake(scene.waker(0));
  CHECK_FALSE(scene.rung());
  CHECK(scene.woken() == Places{0});
}

TEST_CASE("a ring ends a sleep without a wake") {
  Scene scene;
  REQUIRE(scene.port.begin_sleep());
  scene.port.ring();
  CHECK(scene.rung());
  scene.port.quiet();
  CHECK_FALSE(scene.rung());
  CHECK(scene.woken().empty());
  scene.port.end_sleep();
}

TEST_CASE("ports are used again, and wakers of an earlier owner do nothing to the later one") {
  std::vector<Waker> old;
  int port_number = 0;
  {
    Scene earlier;
    port_number = earlier.port.descriptor();
    for (std::size_t i = 0; i < Scene::places; ++i) old.push_back(earlier.waker(i));
  }
  Scene now;
  CHECK(now.port.descriptor() == port_number);
  for (const Waker waker : old) {
    CHECK_FALSE(WakePort::current(waker));
    WakePort::wake(waker);
  }
  CHECK(now.woken().empty());
  WakePort::wake(now.waker(0));
  CHECK(now.woken() == Places{0});
}

TEST_CASE("a wake that an earlier owner never took is nothing but a spurious one for the later") {
  int port_number = 0;
  {
    Scene earlier;
    port_number = earlier.port.descriptor();
    WakePort::wake(earlier.waker(0));
  }
  Scene now;  // takes leftover wakes
  CHECK(now.port.descriptor() == port_number);
  CHECK(now.woken().empty());
  WakePort::wake(now.waker(0));
  WakePort::wake(now.waker(3));
  CHECK(now.woken() == Places{0, 3});
}

TEST_CASE("two ports never share a slot") {
  Scene one;
  Scene other;
  CHECK(&one.port != &other.port);
  for (std::size_t i = 0; i < Scene::places; ++i) {
    WakePort::wake(one.waker(i));
    CHECK(std::find(other.slots.begin(), other.slots.end(), one.slots[i]) == other.slots.end());
  }
  CHECK(other.woken().empty());
  CHECK(one.woken().size() == Scene::places);
}

TEST_CASE("a port gives as many slots as are asked for, each with a waker of its own") {
  WakePort& port = WakePort::acquire();
  std::vector<std::uint32_t> slots;
  std::vector<Waker> wakers;
  for (int i = 0; i < 5000; ++i) {
    slots.push_back(port.add(nullptr));
    wakers.push_back(WakePort::waker(slots.back()));
  }
  std::sort(wakers.begin(), wakers.end());
  CHECK(std::adjacent_find(wakers.begin(), wakers.end()) == wakers.end());
  for (const std::uint32_t slot : slots) port.remove(slot);
  port.release();
}

TEST_CASE("a port for which there is no descriptor says which limit to raise") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 0;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  std::vector<WakePort*> left_over;
  std::string message;
  while (message.empty()) {
    try {
      left_over.push_back(&WakePort::acquire());
    } catch (const std::system_error& error) {
      message = error.what();
    }
  }
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  for (WakePort* port : left_over) port->release();
  CHECK(message.starts_with("the process has no descriptor left: RLIMIT_NOFILE is 0; raise it (ulimit -n)"));
}

TEST_CASE("a port that a child takes shares no descriptor with its parent's") {
  { const Scene in_the_pool; }
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    WakePort& port = WakePort::acquire();
    if (port.begin_sleep()) port.ring();
    ::_exit(0);
  }
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  WakePort& port = WakePort::acquire();
  pollfd descriptor{.fd = port.descriptor(), .events = POLLIN, .revents = 0};
  CHECK(::poll(&descriptor, 1, 0) == 0);
  port.release();
}
