// What a shard does for tasks that are due again, and what it reports of them.
#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

// Due at each full minute of the shard's clock.
class EachMinute final : public Schedule {
 public:
  static constexpr Nanoseconds minute = 60'000'000'000;
  Nanoseconds wall_time(Nanoseconds now) const noexcept override { return now; }
  Nanoseconds next(Nanoseconds after) const noexcept override { return (after / minute + 1) * minute; }
  std::string text() const override { return "each minute"; }
  std::string time_text(Nanoseconds) const override { return {}; }
};

std::shared_ptr<const Recipe> ends_well() {
  return stepping([](Execution&) { return Status::ok; });
}

TaskOptions repeated(TaskType type, Repetition repetition) {
  TaskOptions options = options_of(type, 0);
  SupervisionOptions optional;
  optional.repeat = std::move(repetition);
  options.optional = std::make_shared<const SupervisionOptions>(std::move(optional));
  return options;
}

TaskReport report_of(ShardScene& scene) {
  std::vector<TaskReport> reports;
  scene.shard.report(0, 1, reports);
  REQUIRE(reports.size() == 1);
  return reports[0];
}

}  // namespace

TEST_CASE("a task of any type that ended well is started again when it is due, and keeps its shard going") {
  for (const TaskType type : {TaskType::mandatory, TaskType::detachable, TaskType::shutdown_on_exit}) {
    ShardScene scene;
    scene.add("t", ends_well(), repeated(type, {.every = 10s}));
    scene.run();
    CHECK(scene.sink.count(EventKind::task_started) == 1);
    CHECK_FALSE(scene.shard.ended());
    scene.sleep(9999ms);
    CHECK(scene.sink.count(EventKind::task_started) == 1);
    scene.sleep(2ms);
    CHECK(scene.sink.count(EventKind::task_started) == 2);
    CHECK(scene.owner.causes.empty());
    scene.begin_stop();
    scene.run();
    CHECK(scene.owner.ended == 1);
  }
}

TEST_CASE("the report of a task that is due again says when, and that it only waits for its time") {
  ShardScene scene;
  scene.add("t", ends_well(), repeated(TaskType::mandatory, {.every = 1h}));
  scene.run();
  const TaskReport report = report_of(scene);
  CHECK(report.state == TaskState::delayed);
  CHECK(report.waits_for_time);
  CHECK(report.next_start >= report.at + to_nanoseconds(59min));
  CHECK(report.next_start <= report.at + to_nanoseconds(1h));
  TaskCounts counts;
  scene.shard.count(0, 1, counts);
  CHECK(counts.waits_for_time == 1);
  CHECK(counts.needed_unready == 0);
}

TEST_CASE("a task with a schedule is started at its times, by the wall clock") {
  ShardScene scene;
  scene.add("t", ends_well(), repeated(TaskType::mandatory, {.schedule = std::make_shared<EachMinute>()}));
  scene.run();
  const Nanoseconds due = report_of(scene).next_start;
  CHECK(due % EachMinute::minute == 0);
  scene.sleep(std::chrono::nanoseconds(due - scene.clock.now()) - 1ms);
  CHECK(scene.sink.count(EventKind::task_started) == 1);
  scene.sleep(2ms);
  CHECK(scene.sink.count(EventKind::task_started) == 2);
  scene.sleep(1min);
  CHECK(scene.sink.count(EventKind::task_started) == 3);
}

TEST_CASE("times that pass while the process stands still have one execution on a shard, too") {
  ShardScene scene;
  scene.add("t", ends_well(), repeated(TaskType::mandatory, {.every = 10s}));
  scene.run();
  scene.clock.advance(57s);
  scene.run();
  CHECK(scene.sink.count(EventKind::task_started) == 2);
  scene.sleep(2900ms);
  CHECK(scene.sink.count(EventKind::task_started) == 2);
  scene.sleep(200ms);
  CHECK(scene.sink.count(EventKind::task_started) == 3);
}
