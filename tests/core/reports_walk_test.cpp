// Reports in parts and in walks at random, which must add up to the counts; and questions, with real threads.
#include <algorithm>
#include <atomic>
#include <new>
#include <random>
#include <thread>

#include "inquiry.hpp"
#include "questions.hpp"
#include "shard_scene.hpp"

using namespace taskhost;
using namespace taskhost::test;
using namespace std::chrono_literals;

namespace {

using Questions = taskhost::Questions;

constexpr auto nobody = [] {};

// An owner that answers until it is told to end, as a shard's thread does.
class Owner {
 public:
  ~Owner() { end(); }

  void ask(Questions::Question question) {
    questions_.ask(std::move(question), [this] { wakes_.fetch_add(1, std::memory_order_release); });
  }
  void end() {
    if (!thread_.joinable()) return;
    ends_.store(true);
    thread_.join();
  }

 private:
  void run() {
    for (int seen = 0; !ends_.load(); std::this_thread::yield()) {
      const int wakes = wakes_.load(std::memory_order_acquire);
      if (wakes == seen && !more_) continue;
      seen = wakes;
      more_ = questions_.answer();
    }
    questions_.close();
  }

  Questions questions_;
  std::atomic<int> wakes_{0};
  std::atomic<bool> ends_{false};
  bool more_ = false;
  std::thread thread_{[this] { run(); }};
};

}  // namespace

// --- parts and sums --------------------------------------------------------------------------------------------------

TEST_CASE("any part of a shard's tasks can be reported and counted, whatever recipes they have") {
  ShardScene scene;
  std::vector<std::string> names;
  for (const std::size_t count : {3, 1, 4, 2}) {
    const auto recipe = stepping([](Execution&) { return Status::pending; });
    for (std::size_t i = 0; i < count; ++i) {
      names.push_back("t" + std::to_string(names.size()));
      scene.add(names.back(), recipe, options_of(TaskType::mandatory));
    }
  }
  scene.run();
  for (std::size_t first = 0; first <= names.size() + 1; ++first) {
    for (std::size_t most = 1; most <= names.size() + 1; ++most) {
      std::vector<TaskReport> reports;
      CHECK(scene.shard.report(first, most, reports) == (first + most < names.size()));
      const std::size_t last = std::min(names.size(), first + most);
      REQUIRE(reports.size() == last - std::min(first, last));
      for (std::size_t i = 0; i < reports.size(); ++i) {
        CHECK(reports[i].task == first + i);
        CHECK(reports[i].name == names[first + i]);
      }
      TaskCounts counts;
      CHECK(scene.shard.count(first, most, counts) == (first + most < names.size()));
      CHECK(counts.ready == reports.size());
      CHECK(counts.starts == (first == 0 ? names.size() : 0));  // once for all parts
    }
  }
  for (std::size_t i = 0; i < names.size(); ++i) CHECK(scene.shard.name_at(i) == names[i]);
}

TEST_CASE("a shard without tasks has nothing to report") {
  ShardScene scene;
  std::vector<TaskReport> reports;
  CHECK_FALSE(scene.shard.report(0, 10, reports));
  CHECK(reports.empty());
  TaskCounts counts;
  CHECK_FALSE(scene.shard.count(0, 10, counts));
  CHECK(counts == TaskCounts());
}

TEST_CASE("coordinated tasks are not counted by their shard, but their starts are") {
  ShardScene scene;
  TaskCell& cell = scene.shard.add(TaskFn(stepping([](Execution& execution) {
                                     execution.set_status("busy");
                                     return Status::pending;
                                   })),
                                   options_of(TaskType::mandatory), "coordinated", 0, true);
  scene.add("own", stepping([](Execution&) { return Status::pending; }));
  scene.shard.order_start(cell, 3);
  scene.run();
  CHECK((scene.shard.size() == 2 && scene.shard.coordinated() == 1));
  TaskCounts counts;
  scene.shard.count(0, 2, counts);
  CHECK(counts.ready == 1);
  CHECK(counts.starts == 2);
  std::vector<TaskReport> reports;
  scene.shard.report(0, 2, reports);
  CHECK(reports[0].status == "busy");
  CHECK(reports[0].started_at == scene.clock.now());
  CHECK(reports[0].execution == 1);
}

TEST_CASE("wherever a walk at random leads, the counts are what the reports add up to, and each makes sense") {
  constexpr std::size_t tasks = 7;
  for (unsigned seed = 0; seed < 150; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const auto any = [&random](unsigned below) { return static_cast<unsigned>(random() % below); };
    ShardScene scene(seed % 2 == 0);
    const auto recipe = stepping([&](Execution& execution) {
      execution.wake_after(1 + any(3) * 100'000'000);
      if (any(3) == 0) execution.ready();
      if (any(4) == 0) execution.set_status("busy");
      if (any(3) == 0) execution.fail("no route to host");
      if (execution.stop_requested() && any(2) == 0) return Status::ok;
      constexpr Status ends[] = {Status::ok, Status::error, Status::panic};
      return any(5) == 0 ? ends[any(3)] : Status::pending;
    });
    for (std::size_t i = 0; i < tasks; ++i) {
      constexpr TaskType types[] = {TaskType::detachable, TaskType::mandatory};
      TaskOptions options = options_of(types[any(2)], any(4) * 20, std::chrono::milliseconds(any(300)));
      SupervisionOptions optional;
      if (any(2) == 0) optional.backoff = Backoff{.initial = std::chrono::milliseconds(1 + any(300))};
      if (any(4) == 0) optional.notify = true;
      if (any(4) == 0) optional.watchdog = Watchdog{.interval = 150ms, .action = WatchdogAction::restart};
      if (any(3) == 0) optional.on_give_up = GiveUp::cooldown, optional.cooldown = 200ms;
      if (any(3) != 0) options.optional = std::make_shared<const SupervisionOptions>(optional);
      scene.add("t" + std::to_string(i), recipe, options);
    }
    const unsigned stop_at = 20 + any(60);
    for (unsigned step = 0; step < 80; ++step) {
      if (step == stop_at) scene.begin_stop();
      if (any(3) == 0) scene.shard.operate(any(tasks), static_cast<Operation>(any(3)));
      if (any(2) == 0) {
        scene.turn();  // a state within
      } else {
        scene.sleep(std::chrono::milliseconds(any(100)));
      }
      std::vector<TaskReport> reports;
      scene.shard.report(0, tasks, reports);
      TaskCounts sum;
      for (const TaskReport& report : reports) {
        sum.add(report.type, report.state, report.is_lost, report.waits_for_time);
        if (report.stalled) ++sum.stalled;
        sum.starts += report.execution;
        const bool live = is_live(report.state);
        CHECK((report.started_at != 0) == live);
        CHECK((report.started_at <= report.at && report.since <= report.at));
        CHECK((report.since != 0 || report.state == TaskState::waiting));
        CHECK(report.since >= report.started_at);
        CHECK((report.next_start != 0) == (report.state == TaskState::delayed));
        CHECK((report.next_start == 0 || report.next_start >= report.since));
        CHECK(report.purpose.has_value() == (report.state == TaskState::stopping));
        CHECK((live || report.status.empty()));
        CHECK((report.state == TaskState::ended || (!report.over_for && !report.is_lost)));
        CHECK((!report.over_for || report.is_lost == (report.over_for != StopReason::task_exit)));
        CHECK((report.last_outcome || report.last_message.empty()));
        CHECK((report.last_outcome != Outcome::ok || report.last_message.empty()));
      }
      TaskCounts counts;
      for (std::size_t first = 0; scene.shard.count(first, 3, counts);) first += 3;
      sum.restarts = counts.restarts;  // reports don't tell these
      sum.exits = counts.exits;
      sum.gave_up = counts.gave_up;
      sum.stalls = counts.stalls;
      sum.turns = counts.turns;
      CHECK(counts == sum);
    }
    scene.owner.calls.clear();
  }
}

// --- questions -------------------------------------------------------------------------------------------------------

TEST_CASE("a question is answered in as many parts as it has, one for each time that its owner looks") {
  Questions questions;
  int parts = 0;
  int wakes = 0;
  questions.ask([&] { return ++parts < 3; }, [&] { ++wakes; });
  CHECK(wakes == 1);
  CHECK(parts == 0);
  CHECK(questions.answer());
  CHECK(questions.answer());
  CHECK(parts == 2);
  int other = 0;
  questions.ask([&] { return ++other, false; }, nobody);
  CHECK_FALSE(questions.answer());
  CHECK((parts == 3 && other == 1));
  CHECK_FALSE(questions.answer());
  CHECK((parts == 3 && other == 1));
}

TEST_CASE("questions that wait when their owner ends are answered in full, and later ones within the call") {
  Questions questions;
  int parts = 0;
  questions.ask([&] { return ++parts < 4; }, nobody);
  CHECK(questions.answer());
  questions.close();
  CHECK(parts == 4);
  questions.ask([&] { return ++parts < 8; }, [] { FAIL("nobody is there to be woken"); });
  CHECK(parts == 8);
  questions.close();
  CHECK(parts == 8);
}

TEST_CASE("a question whose owner can't be woken for lack of memory was not asked") {
  Questions questions;
  int parts = 0;
  const auto question = [&] { return ++parts, false; };
  const auto former = questions.ask([] { return false; }, nobody);
  REQUIRE(former);
  CHECK_FALSE(questions.answer());
  const auto wake = [&] {
    questions.give_up(*former);
    throw std::bad_alloc();
  };
  CHECK_THROWS_AS(questions.ask(question, wake), std::bad_alloc);
  CHECK(questions.ask(question, nobody));
  CHECK_FALSE(questions.answer());
  CHECK(parts == 1);
}

TEST_CASE("an owner that was given up is asked again only once it has looked") {
  Questions questions;
  int answered = 0;
  const auto question = [&] { return ++answered, false; };
  CHECK(questions.ask(question, nobody));
  const auto second = questions.ask(question, nobody);
  REQUIRE(second);
  questions.give_up(*second);
  CHECK_FALSE(questions.ask(question, [] { FAIL("it is not to be woken again"); }));
  CHECK_FALSE(questions.answer());
  CHECK(answered == 2);
  const auto third = questions.ask(question, nobody);
  REQUIRE(third);
  questions.give_up(*third);
  questions.close();
  CHECK(answered == 3);
  CHECK(questions.ask(question, nobody));
  CHECK(answered == 4);
}

TEST_CASE("an owner that has looked is not given up, though its answer comes too late or others were asked since") {
  Questions questions;
  int parts = 0;
  const auto early = questions.ask([&] { return ++parts < 3; }, nobody);
  REQUIRE(early);
  CHECK(questions.answer());
  questions.give_up(*early);
  CHECK(questions.ask([] { return false; }, nobody));
  questions.give_up(*early);
  const auto late = questions.ask([] { return false; }, nobody);
  REQUIRE(late);
  questions.give_up(*late);
  questions.give_up(*early);  // whose asker knows less
  CHECK_FALSE(questions.ask([] { return false; }, nobody));
  CHECK(questions.answer());
  CHECK(questions.ask([] { return false; }, nobody));
}

TEST_CASE("each question is answered exactly once, whenever its owner ends") {
  constexpr int askers = 4;
  constexpr int questions = 300;
  Owner owner;
  std::atomic<int> asked{0};
  std::vector<int> answers(askers * questions);  // of each, the owner's, or the asker's once that has ended
  std::vector<std::thread> threads;
  threads.reserve(askers);
  for (int asker = 0; asker < askers; ++asker) {
    threads.emplace_back([&, asker] {
      for (int i = 0; i < questions; ++i) {
        int& parts = answers[static_cast<std::size_t>(asker * questions + i)];
        owner.ask([&parts] { return ++parts < 3; });
        asked.fetch_add(1);
      }
    });
  }
  while (asked.load() < questions) std::this_thread::yield();
  owner.end();
  for (std::thread& thread : threads) thread.join();
  CHECK(std::all_of(answers.begin(), answers.end(), [](int parts) { return parts == 3; }));
}

TEST_CASE("who asks several owners gets the answers of those that have answered in time, and later ones are nobody's") {
  const auto inquiry = std::make_shared<Inquiry<int>>(3);
  inquiry->answer(2, 22);
  std::thread owner([inquiry] { inquiry->answer(0, 20); });
  owner.join();
  const auto answers = inquiry->wait_until(std::chrono::steady_clock::now());
  REQUIRE(answers.size() == 3);
  CHECK((answers[0] == 20 && !answers[1] && answers[2] == 22));
  inquiry->answer(1, 21);  // too late
  const auto nobody_to_ask = std::make_shared<Inquiry<int>>(2);
  nobody_to_ask->leave_out();
  nobody_to_ask->leave_out();
  CHECK(nobody_to_ask->wait_until(std::chrono::steady_clock::now() + 1h).size() == 2);
  const auto alone = std::make_shared<Inquiry<int>>(1);
  std::thread late([alone] { alone->answer(0, 1); });
  CHECK(alone->wait_until(std::chrono::steady_clock::now() + 60s)[0] == 1);
  late.join();
}

TEST_CASE("a shard answers between its calls, in the order of its turns, and from its end on within the call") {
  ShardScene scene;
  scene.add("t", stepping([](Execution&) { return Status::pending; }));
  int parts = 0;
  scene.shard.ask([&] { return ++parts < 3; });
  CHECK(parts == 0);
  scene.turn();
  CHECK(parts == 1);
  scene.turn();
  CHECK(parts == 2);
  scene.run();
  CHECK(parts == 3);
  scene.shard.ask([&] { return ++parts < 6; });
  scene.shard.end_questions();
  CHECK(parts == 6);
  scene.shard.ask([&] { return ++parts < 9; });
  CHECK(parts == 9);
}

TEST_CASE("a question to a shard that is given up before it answers is answered by whoever gives it up") {
  ShardScene scene;
  std::vector<TaskReport> reports;
  scene.add("t", stepping([&](Execution&) {
              scene.shard.ask([&] { return scene.shard.report(0, 1, reports); });
              Tenure& tenure = scene.shard.tenure();
              REQUIRE(tenure.pin(tenure.look()));  // as the monitor does
              CHECK(reports.empty());
              scene.shard.give_up();
              tenure.give_up();
              return Status::pending;
            }));
  scene.run();
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].state == TaskState::ended);
  CHECK((reports[0].abandoned && reports[0].is_lost));
  CHECK(reports[0].last_message == "its shard was given up");
}
