// Sets of descriptors that a coroutine waits for together, with a fake host.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "coroutine_run.hpp"
#include "pair.hpp"
#include "support/catch.hpp"

namespace {

namespace sdk = taskhost::sdk;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;
using Watched = std::map<int, std::uint32_t>;
using List = std::vector<sdk::ReadyDescriptor>;

constexpr std::uint32_t both = TASKHOST_READABLE | TASKHOST_WRITABLE;

// What the tests do to the set of the task below, which lives in its frame: when something is ready, and at the end of
// a poll.
sdk::Descriptors* the_set = nullptr;
void (*on_ready)(sdk::Context context, const List& list) = nullptr;
std::function<void()> change;

std::string described(const List& list) {
  std::vector<std::string> words;
  for (const sdk::ReadyDescriptor& one : list) {
    words.push_back(std::to_string(one.tag) + (one.readable() ? "r" : "") + (one.writable() ? "w" : "") +
                    (one.broken() ? "b" : ""));
  }
  std::sort(words.begin(), words.end());
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

void read_all(int descriptor) {
  char bytes[64];
  while (::read(descriptor, bytes, sizeof bytes) > 0) {
  }
}

sdk::Async<> serves_set(sdk::Context context, sdk::Descriptors& set) {
  for (;;) {
    const List list = co_await set.ready();
    context.info(described(list));
    if (on_ready != nullptr) on_ready(context, list);
  }
}
sdk::Async<> changes_set() {
  for (;;) {
    co_await sdk::woken();
    if (change != nullptr) change();
  }
}
sdk::Task serves(sdk::Context context) {
  const Tracker tracker;
  sdk::Descriptors set(context);
  the_set = &set;
  co_await sdk::when_all(serves_set(context, set), changes_set());
}

class Serving : public Run<serves> {
 public:
  explicit Serving(void (*its_on_ready)(sdk::Context, const List&) = nullptr) {
    on_ready = its_on_ready;
    REQUIRE(poll() == TASKHOST_PENDING);
  }
  Lines poll_and_take() {
    CHECK(poll() == TASKHOST_PENDING);
    return std::exchange(host.log, {});
  }
  void poll_and(std::function<void()> function) {
    change = std::move(function);
    CHECK(poll() == TASKHOST_PENDING);
    change = nullptr;
    host.log.clear();
  }
};

}  // namespace

TEST_CASE("a set tells all that is ready with their tags, and asks the host for changes only") {
  std::array<Pair, 3> pairs;
  Serving run([](sdk::Context, const List& list) {
    for (const sdk::ReadyDescriptor& one : list) read_all(one.descriptor);
  });
  CHECK(the_set->empty());
  run.poll_and([&pairs] {
    for (std::size_t i = 0; i < pairs.size(); ++i) the_set->watch(pairs[i].theirs(), TASKHOST_READABLE, i + 1);
  });
  CHECK(the_set->size() == 3);
  CHECK(run.host.watches == 3);
  CHECK(run.poll_and_take().empty());
  pairs[0].write("x");
  pairs[2].write("x");
  CHECK(run.poll_and_take() == Lines{"1r 3r"});
  CHECK(run.poll_and_take().empty());
  pairs[1].write("x");
  CHECK(run.poll_and_take() == Lines{"2r"});
  pairs[1].close_ours();
  CHECK(run.poll_and_take() == Lines{"2rb"});
  CHECK(run.host.watches == 3);
  CHECK(run.host.descriptors.size() == 3);
  CHECK(run.stop() == TASKHOST_OK);
  run.host.drop();
  CHECK(Tracker::live == 0);
}

TEST_CASE("what is left unread is told again") {
  Pair pair;
  Serving run;
  run.poll_and([&pair] { the_set->watch(pair.theirs(), TASKHOST_READABLE, 7); });
  pair.write("x");
  for (int turn = 0; turn < 3; ++turn) CHECK(run.poll_and_take() == Lines{"7r"});
  CHECK(run.host.watches == 1);
}

TEST_CASE("a set changes while it is waited for") {
  Pair one;
  Pair two;
  Serving run;
  run.poll_and([&] {
    the_set->watch(one.theirs(), TASKHOST_READABLE, 1);
    the_set->watch(two.theirs(), both, 2);
  });
  CHECK(run.poll_and_take() == Lines{"2w"});
  run.poll_and([&] { the_set->watch(two.theirs(), TASKHOST_READABLE, 3); });
  CHECK(run.poll_and_take().empty());
  two.write("x");
  CHECK(run.poll_and_take() == Lines{"3r"});
  run.poll_and([&two] {
    the_set->forget(two.theirs());
    the_set->forget(two.theirs());
  });
  CHECK_FALSE(the_set->watches(two.theirs()));
  CHECK(the_set->watches(one.theirs()));
  CHECK(run.poll_and_take().empty());
  CHECK(run.host.descriptors == Watched{{one.theirs(), TASKHOST_READABLE}});
  run.poll_and([&one] { the_set->watch(one.theirs(), 0); });
  CHECK(the_set->empty());
  CHECK(run.host.descriptors.empty());
}

TEST_CASE("a set's owner may forget a descriptor and close it, whatever is known of it") {
  static Pair* first = nullptr;
  static Pair* second = nullptr;
  Pair one;
  std::optional<Pair> two(std::in_place);
  first = &one;
  second = &*two;
  Serving run([](sdk::Context, const List& list) {
    for (const sdk::ReadyDescriptor& ready : list) {
      if (ready.tag == 1) the_set->forget(second->theirs());
    }
  });
  run.poll_and([] {
    the_set->watch(first->theirs(), TASKHOST_READABLE, 1);
    the_set->watch(second->theirs(), TASKHOST_READABLE, 2);
  });
  one.write("x");
  two->write("x");
  CHECK(run.poll_and_take() == Lines{"1r 2r"});
  CHECK(run.poll_and_take() == Lines{"1r"});
  two.reset();
  CHECK(run.host.descriptors.size() == 1);
}

namespace {

int descriptor = -1;

sdk::Task looks_now_and_then(sdk::Context context) {
  sdk::Descriptors set(context);
  set.watch(descriptor, TASKHOST_READABLE, 1);
  for (;;) {
    context.info(described(co_await set.ready()));
    co_await sdk::sleep(1s);
  }
}

}  // namespace

TEST_CASE("a descriptor that is ready wakes nobody while its set is not waited for") {
  Pair pair;
  descriptor = pair.theirs();
  Run<looks_now_and_then> run;
  run.poll();
  CHECK(run.host.log.empty());
  pair.write("x");
  run.poll();
  CHECK(run.host.log == Lines{"1r"});
  CHECK(run.host.descriptors.size() == 1);
  run.poll();
  CHECK(run.host.descriptors.empty());
  run.poll_at_timer();
  CHECK(run.host.log.size() == 1);  // told by the host, not remembered
  CHECK(run.host.descriptors.size() == 1);
  run.poll();
  CHECK(run.host.log == Lines{"1r", "1r"});
  run.poll();
  read_all(descriptor);
  run.poll_at_timer();
  run.poll();
  CHECK(run.host.log.size() == 2);
}

namespace {

sdk::Async<> tells(sdk::Context context, sdk::Descriptors& set, const char* name) {
  const List list = co_await set.ready();
  context.info(name + described(list));
}
sdk::Async<> tells_readable(sdk::Context context) {
  co_await sdk::readable(descriptor);
  context.info("readable");
}
sdk::Task shares_a_descriptor(sdk::Context context) {
  sdk::Descriptors reads(context);
  sdk::Descriptors writes(context);
  reads.watch(descriptor, TASKHOST_READABLE, 1);
  writes.watch(descriptor, TASKHOST_WRITABLE, 2);
  co_await sdk::when_all(tells(context, reads, "reads "), tells_readable(context), tells(context, writes, "writes "),
                         tells_readable(context));
  context.info("all");
  reads.forget(descriptor);
  co_await tells(context, writes, "writes ");
}
sdk::Task awaits_one_set_twice(sdk::Context context) {
  sdk::Descriptors set(context);
  set.watch(descriptor, TASKHOST_READABLE, 1);
  co_await sdk::with_timeout(1s, set.ready());
  context.info("time over");
  auto wait = set.ready();
  co_await sdk::with_timeout(1s, tells(context, set, "first "));
  co_await sdk::when_all(std::move(wait), tells(context, set, "second "));
}

}  // namespace

TEST_CASE("sets and other waits may have a descriptor in common, each with its own interests") {
  Pair pair;
  pair.fill_theirs();
  descriptor = pair.theirs();
  Run<shares_a_descriptor> run;
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.descriptors == Watched{{descriptor, both}});
  pair.write("x");
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.log == Lines{"reads 1r", "readable", "readable"});
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.descriptors == Watched{{descriptor, TASKHOST_WRITABLE}});  // nobody waits for the other set now
  pair.empty_ours();
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.log == Lines{"reads 1r", "readable", "readable", "writes 2w", "all"});
  CHECK(run.poll() == TASKHOST_OK);
  CHECK(run.host.log.back() == "writes 2w");
  CHECK(run.host.descriptors.empty());
}

TEST_CASE("a set is awaited again after a wait that was cancelled, but not twice at once") {
  Pair pair;
  descriptor = pair.theirs();
  Run<awaits_one_set_twice> run;
  run.poll();
  run.poll_at_timer();
  CHECK(run.host.log == Lines{"time over"});
  CHECK(run.host.watches == 1);
  CHECK(run.poll_at_timer() == TASKHOST_PANIC);
  CHECK(run.host.message == "a set of descriptors is awaited by one coroutine at a time");
}

namespace {

sdk::Async<> forgets(sdk::Descriptors& set, int which) {
  co_await sdk::readable(which);
  set.forget(which);
}
sdk::Task forgets_in_another_branch(sdk::Context context) {
  sdk::Descriptors set(context);
  set.watch(descriptor, TASKHOST_READABLE, 1);
  co_await sdk::when_all(forgets(set, descriptor), tells(context, set, ""));
}

}  // namespace

TEST_CASE("what another branch forgets in the meantime is not told") {
  Pair pair;
  descriptor = pair.theirs();
  Run<forgets_in_another_branch> run;
  run.poll();
  pair.write("x");
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.log.empty());
  CHECK(run.host.descriptors.empty());
  CHECK(run.poll() == TASKHOST_PENDING);
}

namespace {

sdk::Task watches_what_cant_be(sdk::Context context) {
  sdk::Descriptors set(context);
  for (const int wrong : {1000000, -1}) {
    try {
      set.watch(wrong, TASKHOST_READABLE);
    } catch (const sdk::Failure& failure) {
      context.info(failure.what());
    }
  }
  context.info(std::to_string(set.size()));
  const int copy = ::dup(descriptor);
  set.watch(copy, TASKHOST_READABLE);
  co_await set.ready();
  co_await sdk::sleep(1s);
  ::close(copy);  // without forgetting it first
  co_await set.ready();
}
sdk::Task watches_a_file(sdk::Context context) {
  sdk::Descriptors set(context);
  set.watch(descriptor, TASKHOST_READABLE, 1);
  for (int turn = 0; turn < 2; ++turn) context.info(described(co_await set.ready()));
  set.forget(descriptor);
  co_await set.ready();
}
sdk::Task adds_a_file_meanwhile(sdk::Context context) {
  sdk::Descriptors set(context);
  the_set = &set;
  context.info(described(co_await set.ready()));
}
struct Classical {
  explicit Classical(sdk::Context context) : set(context) {}
  sdk::PollResult poll() { return sdk::done; }
  sdk::Descriptors set;
};

}  // namespace

TEST_CASE("what can't be watched is a Failure, and no member of the set") {
  Pair pair;
  pair.write("x");
  descriptor = pair.theirs();
  Run<watches_what_cant_be> run;
  run.poll();
  CHECK(run.host.log == Lines{"can't wait for descriptor 1000000: it is not open",
                              "can't wait for descriptor -1: it is not open", "0"});
  run.poll();
  run.poll();
  CHECK(run.poll_at_timer() == TASKHOST_ERROR);
  CHECK(run.host.message.find("it is not open") != std::string::npos);
  FakeHost host;
  CHECK(host.start(sdk::factory<Classical>("classical")) == TASKHOST_PANIC);
  CHECK(host.message == "Descriptors need a coroutine's context");
}

TEST_CASE("a file in a set is always ready, and lets others have their turn") {
  descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  Run<watches_a_file> run;
  run.host.descriptor_status = TASKHOST_REFUSED_ALWAYS;
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.log.empty());
  CHECK(run.host.wakes > 0);
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.log == Lines{"1r"});
  CHECK(run.poll() == TASKHOST_PENDING);
  CHECK(run.host.log == Lines{"1r", "1r"});
  CHECK(run.poll() == TASKHOST_PENDING);
  Run<adds_a_file_meanwhile> adds;
  adds.host.descriptor_status = TASKHOST_REFUSED_ALWAYS;
  adds.poll();
  the_set->watch(descriptor, TASKHOST_READABLE, 2);
  CHECK(adds.host.wakes == 1);
  CHECK(adds.poll() == TASKHOST_OK);
  CHECK(adds.host.log == Lines{"2r"});
  ::close(descriptor);
}

namespace {

sdk::Task prepared(sdk::Context context, std::unique_ptr<sdk::Descriptors> set) {
  context.info(described(co_await set->ready()));
}
sdk::Task prepares(sdk::Context context) {
  auto set = std::make_unique<sdk::Descriptors>(context);
  set->watch(descriptor, TASKHOST_READABLE, 1);
  if (context.config() == "refuse") throw sdk::Failure("refused");
  return prepared(context, std::move(set));
}

}  // namespace

TEST_CASE("a set may be made in start, and is forgotten if that fails") {
  Pair pair;
  pair.write("x");
  descriptor = pair.theirs();
  Run<prepares> run;
  CHECK(run.host.descriptors.size() == 1);
  run.poll();
  CHECK(run.poll() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"1r"});
  FakeHost host;
  host.config = "refuse";
  CHECK(host.start(Run<prepares>::factory) == TASKHOST_ERROR);
  CHECK(host.descriptors.empty());
}

TEST_CASE("sets are destroyed once wherever they are dropped") {
  for (const taskhost_factory* factory :
       {&Run<serves>::factory, &Run<looks_now_and_then>::factory, &Run<shares_a_descriptor>::factory,
        &Run<awaits_one_set_twice>::factory, &Run<forgets_in_another_branch>::factory, &Run<prepares>::factory}) {
    for (int polls = 0; polls < 6; ++polls) {
      Pair pair;
      descriptor = pair.theirs();
      on_ready = nullptr;
      FakeHost host;
      REQUIRE(host.start(*factory) == TASKHOST_OK);
      for (int turn = 0; turn < polls && host.poll() == TASKHOST_PENDING; ++turn) {
        if (turn == 1) pair.write("x");
        if (turn > 2) host.time += TASKHOST_SECOND;
      }
      host.drop();
      CHECK(Tracker::live == 0);
    }
  }
}

TEST_CASE("a set of hundreds tells all of them in a poll, and does not ask on for what it knows") {
  std::vector<int> events;
  for (int number = 0; number < 300; ++number) events.push_back(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  {
    Serving run([](sdk::Context context, const List& list) { context.info(std::to_string(list.size())); });
    run.poll_and([&events] {
      for (const int event : events) the_set->watch(event, TASKHOST_READABLE);
    });
    run.host.takes = 0;
    CHECK(run.poll_and_take().back() == "64");  // this host always begins with the same ones
    CHECK(run.host.takes == 2);
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (i % 10 != 0) read_all(events[i]);
    }
    CHECK(run.poll_and_take().back() == "30");
    // Forgetting leaves the others as they are, in whatever order.
    run.poll_and([&events] {
      for (std::size_t i = 0; i < events.size(); ++i) {
        if (i % 20 != 0) the_set->forget(events[(i * 7 + i / 20) % events.size()]);
      }
    });
    std::size_t left = 0;
    for (const int event : events) left += the_set->watches(event) ? 1 : 0;
    CHECK(left == the_set->size());
    CHECK(run.host.descriptors.size() == left);
    run.poll_and([&events] {
      for (const int event : events) the_set->forget(event);
    });
    CHECK(the_set->empty());
    CHECK(run.host.descriptors.empty());
  }
  for (const int event : events) ::close(event);
}
