// How executions begin and end on a shard, and the consequences: the table of task types with real executions.
#include <cstdint>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

constexpr TaskType ends_host = TaskType::shutdown_on_exit;
constexpr TaskType mandatory = TaskType::mandatory;
constexpr TaskType detachable = TaskType::detachable;

// All ways in which an execution can end.
enum class How { ok, error, panic, failing_start, throwing_start };

std::shared_ptr<const ScriptRecipe> ending(How end) {
  Script script;
  script.start = [end](void*, Execution& execution) {
    if (end == How::failing_start) return fail(execution, "refused");
    if (end == How::throwing_start) throw std::runtime_error("thrown by start");
    return Status::ok;
  };
  script.step = [end](void*, Execution& execution) {
    if (end == How::error) return fail(execution, "broken");
    if (end == How::panic) throw std::runtime_error("thrown by step");
    return Status::ok;
  };
  return recipe_of(std::move(script));
}

}  // namespace

TEST_CASE("each task type, however its executions end and whatever its budget, does on a shard what the table says") {
  enum Then { discarded, gave_up_and_discarded, stops_host_well, stops_host_failed, gave_up_and_stops_host };
  struct Row {
    TaskType type;
    std::uint32_t budget;
    How end;
    int starts;
    Then then;
  };
  const Row rows[] = {
      {ends_host, 0, How::ok, 1, stops_host_well},
      {ends_host, 0, How::error, 1, stops_host_failed},
      {ends_host, 0, How::panic, 1, stops_host_failed},
      {ends_host, 0, How::failing_start, 1, stops_host_failed},
      {ends_host, 0, How::throwing_start, 1, stops_host_failed},

      {mandatory, 0, How::ok, 1, gave_up_and_stops_host},
      {mandatory, 0, How::error, 1, gave_up_and_stops_host},
      {mandatory, 0, How::panic, 1, gave_up_and_stops_host},
      {mandatory, 0, How::failing_start, 1, gave_up_and_stops_host},
      {mandatory, 0, How::throwing_start, 1, gave_up_and_stops_host},
      {mandatory, 1, How::ok, 2, gave_up_and_stops_host},
      {mandatory, 1, How::error, 2, gave_up_and_stops_host},
      {mandatory, 1, How::panic, 2, gave_up_and_stops_host},
      {mandatory, 1, How::failing_start, 2, gave_up_and_stops_host},
      {mandatory, 1, How::throwing_start, 2, gave_up_and_stops_host},
      {mandatory, 3, How::ok, 4, gave_up_and_stops_host},
      {mandatory, 3, How::error, 4, gave_up_and_stops_host},
      {mandatory, 3, How::panic, 4, gave_up_and_stops_host},
      {mandatory, 3, How::failing_start, 4, gave_up_and_stops_host},
      {mandatory, 3, How::throwing_start, 4, gave_up_and_stops_host},

      {detachable, 0, How::ok, 1, discarded},
      {detachable, 0, How::error, 1, gave_up_and_discarded},
      {detachable, 0, How::panic, 1, gave_up_and_discarded},
      {detachable, 0, How::failing_start, 1, gave_up_and_discarded},
      {detachable, 0, How::throwing_start, 1, gave_up_and_discarded},
      {detachable, 1, How::ok, 1, discarded},
      {detachable, 1, How::error, 2, gave_up_and_discarded},
      {detachable, 1, How::panic, 2, gave_up_and_discarded},
      {detachable, 1, How::failing_start, 2, gave_up_and_discarded},
      {detachable, 1, How::throwing_start, 2, gave_up_and_discarded},
      {detachable, 3, How::ok, 1, discarded},
      {detachable, 3, How::error, 4, gave_up_and_discarded},
      {detachable, 3, How::panic, 4, gave_up_and_discarded},
      {detachable, 3, How::failing_start, 4, gave_up_and_discarded},
      {detachable, 3, How::throwing_start, 4, gave_up_and_discarded},
  };
  for (const Row& row : rows) {
    INFO(to_string(row.type) << ", budget " << row.budget << ", end " << static_cast<int>(row.end));
    ShardScene scene;
    const auto recipe = ending(row.end);
    scene.add("t", recipe, options_of(row.type, row.budget));
    scene.run();

    const std::string outcome = row.end == How::ok                                        ? "ok"
                                : row.end == How::panic || row.end == How::throwing_start ? "panic"
                                                                                          : "error";
    Lines expected;
    for (int n = 1; n <= row.starts; ++n) {
      expected.push_back("t started " + std::to_string(n));
      expected.push_back("t exited " + std::to_string(n) + " " + outcome);
      if (n < row.starts) expected.push_back("t restarting");
    }
    if (row.then == gave_up_and_discarded || row.then == gave_up_and_stops_host) expected.push_back("t gave_up");
    if (row.then == discarded || row.then == gave_up_and_discarded) expected.push_back("t discarded");
    CHECK(scene.sink.lines() == expected);

    CHECK(recipe->starts == row.starts);
    CHECK(recipe->drops == recipe->made);
    CHECK(scene.owner.ended == 1);
    const bool stops =
        row.then == stops_host_well || row.then == stops_host_failed || row.then == gave_up_and_stops_host;
    REQUIRE(scene.owner.causes.size() == (stops ? 1 : 0));
    if (stops) {
      const StopCause& cause = scene.owner.causes[0];
      CHECK(cause.task == "t");
      CHECK(cause.failure == (row.then != stops_host_well));
      CHECK(cause.reason ==
            (row.then == gave_up_and_stops_host ? StopReason::budget_exhausted : StopReason::task_exit));
    }
    CHECK(scene.shard.counters().starts == static_cast<std::uint64_t>(row.starts));
    const ByOutcome exits = scene.shard.exits();
    CHECK(std::accumulate(exits.begin(), exits.end(), std::uint64_t{0}) == static_cast<std::uint64_t>(row.starts));
    CHECK(scene.shard.restarts() == static_cast<std::uint64_t>(row.starts - 1));
  }
}

TEST_CASE("an exit carries its message, how long its execution lived, and the budget before the decision") {
  ShardScene scene;
  Nanoseconds due = 0;
  scene.add("t", stepping([&](Execution& execution) {
              if (due == 0) due = scene.clock.now() + to_nanoseconds(1500ms);
              execution.wake_at(due);
              return scene.clock.now() >= due ? fail(execution, "no such file") : Status::pending;
            }),
            options_of(mandatory, 1));
  scene.run();
  scene.sleep(2s);
  const std::vector<Record> records = scene.sink.records();
  REQUIRE(records.size() == 6);  // started, exited, restarting, started, exited, gave up
  CHECK(records[1].event.message == "no such file");
  CHECK(records[1].event.uptime_ms == 1500);
  CHECK(records[1].event.remaining == 1);
  CHECK(records[2].event.remaining == 0);  // after charging
  CHECK(records[4].event.uptime_ms == 0);
  CHECK(records[4].event.remaining == 0);
  CHECK(records[5].event.message == "no such file");
  CHECK(scene.owner.causes.at(0).detail == "no such file");
}

TEST_CASE("what an execution throws becomes its message") {
  ShardScene scene;
  scene.add("named", ending(How::panic), options_of(ends_host));
  scene.add("start", ending(How::throwing_start), options_of(ends_host));
  scene.add("odd", stepping([](Execution&) -> Status { throw 42; }), options_of(ends_host));
  scene.run();
  REQUIRE(scene.owner.causes.size() == 3);
  CHECK(scene.owner.causes[0].detail == "thrown by step");
  CHECK(scene.owner.causes[1].detail == "thrown by start");
  CHECK(scene.owner.causes[2].detail == "an exception that is not a std::exception");
}

TEST_CASE("the message of one execution is not that of the next") {
  ShardScene scene;
  scene.add("t", stepping([](Execution& execution) {
              return execution.number() == 1 ? fail(execution, "the first") : Status::error;
            }),
            options_of(detachable, 1));
  scene.run();
  const std::vector<Record> records = scene.sink.records();
  REQUIRE(records.size() == 7);
  CHECK(records[1].event.message == "the first");
  CHECK(records[4].event.message.empty());
}

TEST_CASE("a message is cut at its limit") {
  ShardScene scene;
  scene.add("t", stepping([](Execution& execution) { return fail(execution, std::string(10'000, 'x')); }),
            options_of(ends_host));
  scene.run();
  CHECK(scene.owner.causes.at(0).detail == std::string(max_message_bytes, 'x'));
}

TEST_CASE("a start that says neither ok nor failed has failed, and is not dropped") {
  ShardScene scene;
  Script script;
  script.start = [](void*, Execution&) { return Status::pending; };
  const auto recipe = recipe_of(script);
  scene.add("t", recipe, options_of(detachable));
  scene.run();
  CHECK(scene.sink.lines() == Lines{"t started 1", "t exited 1 error", "t gave_up", "t discarded"});
  CHECK(recipe->drops == 0);
}

TEST_CASE("the last word of several about why it fails counts") {
  ShardScene scene;
  scene.add("t", stepping([](Execution& execution) {
              execution.fail("first");
              return fail(execution, "second");
            }),
            options_of(ends_host));
  scene.run();
  CHECK(scene.owner.causes.at(0).detail == "second");
}

TEST_CASE("a drop that throws is logged, and counts as done") {
  ShardScene scene;
  Script script;
  script.step = [](void*, Execution&) { return Status::error; };
  script.drop = [](void*) { throw std::runtime_error("from drop"); };
  const auto recipe = recipe_of(script);
  scene.add("t", recipe, options_of(detachable, 1));
  scene.run();
  CHECK(recipe->drops == 2);
  CHECK(scene.sink.logged("t: drop failed and counts as done (rule 3.7): from drop"));
  CHECK(scene.sink.lines("t").back() == "t discarded");
}

TEST_CASE("every execution finds its state zeroed and aligned, after a restart as well") {
  for (const std::size_t align : {1u, 2u, 8u, 16u, 64u, 256u, 4096u}) {
    INFO("align " << align);
    ShardScene scene;
    constexpr std::size_t size = 777;
    int checked = 0;
    Script script;
    script.state_size = size;
    script.state_align = align;
    script.start = [&checked, align](void* state, Execution&) {
      CHECK(reinterpret_cast<std::uintptr_t>(state) % align == 0);
      const auto* bytes = static_cast<const unsigned char*>(state);
      CHECK(std::all_of(bytes, bytes + size, [](unsigned char byte) { return byte == 0; }));
      ++checked;
      return Status::ok;
    };
    script.step = [](void* state, Execution&) {
      std::memset(state, 0xff, size);
      return Status::error;
    };
    const auto recipe = recipe_of(script);
    scene.add("one", recipe, options_of(detachable, 2));
    scene.add("other", recipe, options_of(detachable, 2));
    scene.run();
    CHECK(checked == 6);
  }
}

TEST_CASE("an execution's memory is its own until it is dropped, and the same after a restart") {
  ShardScene scene;
  std::vector<void*> started;
  std::vector<void*> dropped;
  Script script;
  script.state_size = 8;
  script.start = [&](void* state, Execution&) {
    started.push_back(state);
    return Status::ok;
  };
  script.step = [](void*, Execution&) { return Status::error; };
  script.drop = [&](void* state) { dropped.push_back(state); };
  scene.add("t", recipe_of(script), options_of(detachable, 2));
  scene.run();
  CHECK(started.size() == 3);
  CHECK(started == std::vector<void*>(3, started[0]));
  CHECK(dropped == started);
}

TEST_CASE("restarts are posted, not recursive: two storming tasks take turns") {
  ShardScene scene;
  std::string order;
  const auto storming = [&order](char letter) {
    return stepping([&order, letter](Execution&) {
      order += letter;
      return Status::error;
    });
  };
  scene.add("a", storming('a'), options_of(detachable, 4));
  scene.add("b", storming('b'), options_of(detachable, 4));
  scene.run();
  CHECK(order == "ababababab");
}

TEST_CASE("a stop gets between the restarts of a storm, and nothing starts after it") {
  ShardScene scene;
  const auto storm = stepping([](Execution&) { return Status::error; });
  scene.add("storm", storm, options_of(mandatory, 1'000'000));
  for (int i = 0; i < 3; ++i) scene.turn();
  CHECK(scene.last.more);
  const int starts = storm->starts;
  CHECK(starts > 0);
  CHECK(starts <= 3 * 1024);  // a turn is limited
  scene.begin_stop();
  scene.run();
  CHECK(storm->starts == starts);
  CHECK(storm->drops == starts);
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("a turn ends after a bounded time even if its calls are slow") {
  ShardScene scene;
  int calls = 0;
  scene.add("slow", stepping([&](Execution& execution) {
              ++calls;
              scene.clock.advance(1ms);
              Execution::wake(execution.waker());
              return Status::pending;
            }));
  CHECK(scene.turn().more);
  CHECK(calls <= 64);
}

TEST_CASE("once the supervisor stops, an exit restarts nothing, though the shard does not know of the stop yet") {
  ShardScene scene;
  const auto recipe = stepping([&scene](Execution&) {
    scene.owner.is_stopping = true;
    return Status::error;
  });
  scene.add("t", recipe, options_of(mandatory, 3));
  scene.run();
  CHECK(scene.sink.lines() == Lines{"t started 1", "t exited 1 error"});
  CHECK(scene.owner.causes.empty());
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("a start that the stream refuses, for the stop was announced before, does not happen") {
  ShardScene scene;
  const auto recipe = stepping([](Execution&) { return Status::pending; });
  scene.add("t", recipe);
  scene.sink.refuse_starts();
  scene.run();
  CHECK(recipe->starts == 0);
  CHECK(scene.sink.lines().empty());
  CHECK(scene.owner.ended == 1);
}

TEST_CASE("ready is told once an execution, and again for the next one") {
  ShardScene scene;
  scene.add("t", stepping([](Execution& execution) {
              execution.ready();
              execution.ready();
              return Status::error;
            }),
            options_of(detachable, 1));
  scene.run();
  CHECK(scene.sink.lines() == Lines{"t started 1", "t ready 1", "t exited 1 error", "t restarting", "t started 2",
                                    "t ready 2", "t exited 2 error", "t gave_up", "t discarded"});
}

TEST_CASE("a blocking task that is ready when start returns is said to be ready then, not when it ends") {
  ShardScene scene;
  Script script;
  script.blocking = true;
  script.start = [](void*, Execution& execution) {
    execution.ready();
    return Status::ok;
  };
  script.step = [](void*, Execution&) { return Status::ok; };
  scene.add("t", recipe_of(script));
  scene.run();
  CHECK(scene.sink.lines() == Lines{"t started 1", "t ready 1"});
  scene.run_blocking();
}

TEST_CASE("a blocking execution's end, message and restart come back to its shard") {
  ShardScene scene;
  Script script;
  script.blocking = true;
  script.step = [](void*, Execution& execution) { return fail(execution, "lost the line"); };
  const auto recipe = recipe_of(script);
  scene.add("t", recipe, options_of(mandatory, 1));
  scene.run();
  scene.run_blocking();
  CHECK(recipe->drops == 1);
  scene.run_blocking();
  CHECK(scene.sink.lines() ==
        Lines{"t started 1", "t exited 1 error", "t restarting", "t started 2", "t exited 2 error", "t gave_up"});
  CHECK(scene.owner.causes.at(0).detail == "lost the line");
  CHECK(recipe->drops == 2);
}

TEST_CASE("a blocking execution for which there is no thread is an exit with the reason, and is dropped") {
  ShardScene scene;
  scene.owner.no_threads = true;
  Script script;
  script.blocking = true;
  const auto recipe = recipe_of(script);
  scene.add("t", recipe, options_of(detachable, 1));
  scene.run();
  CHECK(scene.sink.lines() == Lines{"t started 1", "t exited 1 error", "t restarting", "t started 2",
                                    "t exited 2 error", "t gave_up", "t discarded"});
  CHECK(scene.sink.records()[1].event.message.find("no thread for a blocking task") == 0);
  CHECK(recipe->drops == 2);
  CHECK(recipe->steps == 0);
}

TEST_CASE("a storm's lines are held back from the log and summed up, but are complete in the stream") {
  ShardScene scene;
  scene.add("storm", stepping([](Execution&) { return Status::error; }), options_of(detachable, 9999));
  scene.run();
  CHECK(scene.sink.count(EventKind::task_started) == 10'000);
  const std::vector<Record> records = scene.sink.records();
  const auto shown = std::count_if(records.begin(), records.end(), [](const Record& r) { return r.event.for_log; });
  CHECK(shown <= 200);
  std::uint64_t summed = 0;
  for (const LogSummary& summary : scene.sink.summaries()) {
    summed += summary.starts + summary.exits + summary.restarts + summary.ends;
  }
  CHECK(summed + static_cast<std::uint64_t>(shown) == records.size());
}

TEST_CASE("if nobody listens to the stream, only what the log shows is published") {
  ShardScene scene(false);
  scene.add("storm", stepping([](Execution&) { return Status::error; }), options_of(detachable, 9999));
  scene.run();
  CHECK(scene.sink.records().size() <= 200);
  CHECK(scene.shard.counters().starts == 10'000);
}

TEST_CASE("lines that were held back in one burst are summed up in time, though the shard is idle afterwards") {
  ShardScene scene;
  const auto idle = stepping([](Execution&) { return Status::pending; });
  for (int i = 0; i < 500; ++i) scene.add("idle", idle);
  scene.run();
  CHECK(scene.sink.summaries().empty());
  scene.sleep(10s);
  REQUIRE(scene.sink.summaries().size() == 1);
  CHECK(scene.sink.summaries()[0].starts >= 300);
}

TEST_CASE("a shard that is destroyed with live executions drops them") {
  const auto recipe = stepping([](Execution&) { return Status::pending; });
  {
    ShardScene scene;
    for (int i = 0; i < 3; ++i) scene.add("t", recipe);
    scene.run();
    CHECK(recipe->drops == 0);
  }
  CHECK(recipe->made == 3);
  CHECK(recipe->drops == 3);
}

TEST_CASE(
    "a mandatory task without restarts repeats as long as it ends well, and the events say that it is not charged") {
  ShardScene scene;
  SupervisionOptions optional;
  optional.backoff = Backoff{.initial = 1s};
  optional.exit_rules = {{{Outcome::ok}, {}, ExitAction::repeat}};
  TaskOptions options = options_of(mandatory, 0);
  options.optional = std::make_shared<SupervisionOptions>(optional);
  scene.add("t", ending(How::ok), options);
  scene.run();
  for (std::size_t starts = 1; starts <= 5; ++starts) {
    CHECK(scene.sink.count(EventKind::task_started) == starts);
    CHECK(scene.sink.records().back().event.kind == EventKind::task_restarting);
    CHECK(scene.sink.records().back().event.restart_kind == RestartKind::repeat);
    CHECK(scene.sink.records().back().event.remaining == 0);
    CHECK(scene.sink.records().back().event.delay_ms == 1'000);
    scene.sleep(1s + 1ms);
  }
  scene.begin_stop();
  scene.run();
  CHECK(scene.owner.ended == 1);
}
