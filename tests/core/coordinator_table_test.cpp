// A single task: every state × input, including impossible ones, which change nothing and report nothing.
#include <map>

#include "coordinator_scene.hpp"
#include "support/catch.hpp"

using namespace std::chrono_literals;
using namespace taskhost;
using taskhost::test::CoordinatorScene;
using taskhost::test::PlannedTask;

namespace {

PlannedTask worker() {
  SupervisionOptions optional;
  optional.backoff.emplace().initial = 1s;
  optional.notify = true;
  optional.start_timeout = 5s;
  optional.watchdog = {3s, WatchdogAction::restart};
  return PlannedTask(TaskType::detachable, 2).with(optional).comes_after({1});
}

// Task 1, after which task 0 comes, has ended well: task 0 is ordered to start.
void order(CoordinatorScene& scene) {
  scene.begin();
  scene.runs(1);
  scene.ends(1, Outcome::ok);
}

void run(CoordinatorScene& scene) {
  order(scene);
  scene.runs(0);
  scene.said_ready(0);
}

// Brings a task into a state. "ordered" is starting before it has begun, "lost" is ended with an execution in it.
const std::map<std::string, void (*)(CoordinatorScene&)> states{
    {"waiting", [](CoordinatorScene& scene) { scene.begin(); }},
    {"delayed",
     [](CoordinatorScene& scene) {
       run(scene);
       scene.ends(0, Outcome::error);
     }},
    {"ordered", order},
    {"ordered, operator",
     [](CoordinatorScene& scene) {
       order(scene);
       scene.operate(0, Operation::stop);
     }},
    {"starting",
     [](CoordinatorScene& scene) {
       order(scene);
       scene.runs(0);
     }},
    {"running", run},
    {"stopping, operator",
     [](CoordinatorScene& scene) {
       run(scene);
       scene.operate(0, Operation::stop);
     }},
    {"stopping, again",
     [](CoordinatorScene& scene) {
       run(scene);
       scene.operate(0, Operation::restart);
     }},
    {"stopping, failure",
     [](CoordinatorScene& scene) {
       run(scene);
       scene.seconds_pass(3);
     }},
    {"stopping, host",
     [](CoordinatorScene& scene) {
       run(scene);
       scene.host_stops();
     }},
    {"stopped",
     [](CoordinatorScene& scene) {
       run(scene);
       scene.operate(0, Operation::stop);
       scene.ends(0, Outcome::ok);
     }},
    {"ended",
     [](CoordinatorScene& scene) {
       run(scene);
       scene.ends(0, Outcome::ok);
     }},
    {"lost",
     [](CoordinatorScene& scene) {
       run(scene);
       scene.operate(0, Operation::stop);
       scene.ends(0, {Ending::abandoned, Outcome::cancelled, {}, 0, 0});
     }},
};

const std::map<std::string, std::string (*)(CoordinatorScene&)> inputs{
    {"begin", [](CoordinatorScene& scene) { return scene.begin(); }},
    {"begun", [](CoordinatorScene& scene) { return scene.begun(0); }},
    {"started", [](CoordinatorScene& scene) { return scene.started(0); }},
    {"said ready", [](CoordinatorScene& scene) { return scene.said_ready(0); }},
    {"ended ok", [](CoordinatorScene& scene) { return scene.ends(0, Outcome::ok); }},
    {"ended error", [](CoordinatorScene& scene) { return scene.ends(0, Outcome::error); }},
    {"dropped",
     [](CoordinatorScene& scene) {
       return scene.ends(0, {Ending::dropped, Outcome::cancelled, {}, 0, 0});
     }},
    {"abandoned",
     [](CoordinatorScene& scene) {
       return scene.ends(0, {Ending::abandoned, Outcome::cancelled, {}, 0, 0});
     }},
    {"refused",
     [](CoordinatorScene& scene) {
       return scene.ends(0, {Ending::refused, Outcome::ok, {}, 0, 0});
     }},
    {"no time", [](CoordinatorScene& scene) { return scene.seconds_pass(0); }},
    {"a minute", [](CoordinatorScene& scene) { return scene.seconds_pass(60); }},
    {"stop", [](CoordinatorScene& scene) { return scene.operate(0, Operation::stop); }},
    {"start", [](CoordinatorScene& scene) { return scene.operate(0, Operation::start); }},
    {"restart", [](CoordinatorScene& scene) { return scene.operate(0, Operation::restart); }},
    {"host stops", [](CoordinatorScene& scene) { return scene.host_stops(); }},
    {"stop expires", [](CoordinatorScene& scene) { return scene.stop_expires(); }},
};

struct Row {
  const char* state;
  const char* input;
  const char* does;
  const char* next;
};

const Row rows[] = {
    {"waiting", "begin", "", "waiting"},
    {"waiting", "begun", "", "waiting"},
    {"waiting", "started", "", "waiting"},
    {"waiting", "said ready", "", "waiting"},
    {"waiting", "ended ok", "", "waiting"},
    {"waiting", "ended error", "", "waiting"},
    {"waiting", "dropped", "", "waiting"},
    {"waiting", "abandoned", "", "waiting"},
    {"waiting", "refused", "", "waiting"},
    {"waiting", "no time", "", "waiting"},
    {"waiting", "a minute", "", "waiting"},
    {"waiting", "stop", "", "stopped"},
    {"waiting", "start", "", "waiting"},
    {"waiting", "restart", "", "waiting"},
    {"waiting", "host stops", "", "ended"},
    {"waiting", "stop expires", "", "ended"},

    {"delayed", "begin", "", "delayed"},
    {"delayed", "begun", "", "delayed"},
    {"delayed", "started", "", "delayed"},
    {"delayed", "said ready", "", "delayed"},
    {"delayed", "ended ok", "", "delayed"},
    {"delayed", "ended error", "", "delayed"},
    {"delayed", "dropped", "", "delayed"},
    {"delayed", "abandoned", "", "delayed"},
    {"delayed", "refused", "", "delayed"},
    {"delayed", "no time", "", "delayed"},
    {"delayed", "a minute", "start 0", "starting"},
    {"delayed", "stop", "", "stopped"},
    {"delayed", "start", "start 0", "starting"},
    {"delayed", "restart", "start 0", "starting"},
    {"delayed", "host stops", "", "ended"},
    {"delayed", "stop expires", "", "ended"},

    {"ordered", "begin", "", "starting"},
    {"ordered", "begun", "", "starting"},
    {"ordered", "started", "", "starting"},
    {"ordered", "said ready", "", "starting"},
    {"ordered", "ended ok", "", "starting"},
    {"ordered", "ended error", "", "starting"},
    {"ordered", "dropped", "", "starting"},
    {"ordered", "abandoned", "discarded 0 not_stopped", "ended"},
    {"ordered", "refused", "", "ended"},
    {"ordered", "no time", "", "starting"},
    {"ordered", "a minute", "", "starting"},
    {"ordered", "stop", "", "starting"},
    {"ordered", "start", "", "starting"},
    {"ordered", "restart", "", "starting"},
    {"ordered", "host stops", "", "starting"},
    {"ordered", "stop expires", "", "starting"},

    {"ordered, operator", "begin", "", "starting"},
    {"ordered, operator", "begun", "ask 0", "stopping"},
    {"ordered, operator", "started", "", "starting"},
    {"ordered, operator", "said ready", "", "starting"},
    {"ordered, operator", "ended ok", "", "starting"},
    {"ordered, operator", "ended error", "", "starting"},
    {"ordered, operator", "dropped", "", "starting"},
    {"ordered, operator", "abandoned", "discarded 0 not_stopped", "ended"},
    {"ordered, operator", "refused", "", "ended"},
    {"ordered, operator", "no time", "", "starting"},
    {"ordered, operator", "a minute", "", "starting"},
    {"ordered, operator", "stop", "", "starting"},
    {"ordered, operator", "start", "", "starting"},
    {"ordered, operator", "restart", "", "starting"},
    {"ordered, operator", "host stops", "", "starting"},
    {"ordered, operator", "stop expires", "", "starting"},

    {"starting", "begin", "", "starting"},
    {"starting", "begun", "", "starting"},
    {"starting", "started", "", "starting"},
    {"starting", "said ready", "ready 0", "running"},
    {"starting", "ended ok", "exited 0 ok, discarded 0 task_exit", "ended"},
    {"starting", "ended error", "exited 0 error, restarting 0 in 1", "delayed"},
    {"starting", "dropped", "stopped 0", "ended"},
    {"starting", "abandoned", "abandoned 0, discarded 0 not_stopped", "ended"},
    {"starting", "refused", "", "starting"},
    {"starting", "no time", "", "starting"},
    {"starting", "a minute", "ask 0", "stopping"},
    {"starting", "stop", "ask 0", "stopping"},
    {"starting", "start", "", "starting"},
    {"starting", "restart", "ask 0", "stopping"},
    {"starting", "host stops", "ask 0", "stopping"},
    {"starting", "stop expires", "ask 0", "stopping"},

    {"running", "begin", "", "running"},
    {"running", "begun", "", "running"},
    {"running", "started", "", "running"},
    {"running", "said ready", "", "running"},
    {"running", "ended ok", "exited 0 ok, discarded 0 task_exit", "ended"},
    {"running", "ended error", "exited 0 error, restarting 0 in 1", "delayed"},
    {"running", "dropped", "stopped 0", "ended"},
    {"running", "abandoned", "abandoned 0, discarded 0 not_stopped", "ended"},
    {"running", "refused", "", "running"},
    {"running", "no time", "", "running"},
    {"running", "a minute", "ask 0", "stopping"},
    {"running", "stop", "ask 0", "stopping"},
    {"running", "start", "", "running"},
    {"running", "restart", "ask 0", "stopping"},
    {"running", "host stops", "ask 0", "stopping"},
    {"running", "stop expires", "ask 0", "stopping"},

    {"stopping, operator", "begin", "", "stopping"},
    {"stopping, operator", "begun", "", "stopping"},
    {"stopping, operator", "started", "", "stopping"},
    {"stopping, operator", "said ready", "", "stopping"},
    {"stopping, operator", "ended ok", "stopped 0", "stopped"},
    {"stopping, operator", "ended error", "stopped 0", "stopped"},
    {"stopping, operator", "dropped", "stopped 0", "stopped"},
    {"stopping, operator", "abandoned", "abandoned 0, discarded 0 not_stopped", "ended"},
    {"stopping, operator", "refused", "", "stopping"},
    {"stopping, operator", "no time", "", "stopping"},
    {"stopping, operator", "a minute", "", "stopping"},
    {"stopping, operator", "stop", "", "stopping"},
    {"stopping, operator", "start", "", "stopping"},
    {"stopping, operator", "restart", "", "stopping"},
    {"stopping, operator", "host stops", "", "stopping"},
    {"stopping, operator", "stop expires", "", "stopping"},

    {"stopping, again", "begin", "", "stopping"},
    {"stopping, again", "begun", "", "stopping"},
    {"stopping, again", "started", "", "stopping"},
    {"stopping, again", "said ready", "", "stopping"},
    {"stopping, again", "ended ok", "stopped 0, start 0", "starting"},
    {"stopping, again", "ended error", "stopped 0, start 0", "starting"},
    {"stopping, again", "dropped", "stopped 0, start 0", "starting"},
    {"stopping, again", "abandoned", "abandoned 0, discarded 0 not_stopped", "ended"},
    {"stopping, again", "refused", "", "stopping"},
    {"stopping, again", "no time", "", "stopping"},
    {"stopping, again", "a minute", "", "stopping"},
    {"stopping, again", "stop", "", "stopping"},
    {"stopping, again", "start", "", "stopping"},
    {"stopping, again", "restart", "", "stopping"},
    {"stopping, again", "host stops", "", "stopping"},
    {"stopping, again", "stop expires", "", "stopping"},

    {"stopping, failure", "begin", "", "stopping"},
    {"stopping, failure", "begun", "", "stopping"},
    {"stopping, failure", "started", "", "stopping"},
    {"stopping, failure", "said ready", "", "stopping"},
    {"stopping, failure", "ended ok", "exited 0 error, restarting 0 in 1", "delayed"},
    {"stopping, failure", "ended error", "exited 0 error, restarting 0 in 1", "delayed"},
    {"stopping, failure", "dropped", "exited 0 error, restarting 0 in 1", "delayed"},
    {"stopping, failure", "abandoned", "abandoned 0, discarded 0 not_stopped", "ended"},
    {"stopping, failure", "refused", "", "stopping"},
    {"stopping, failure", "no time", "", "stopping"},
    {"stopping, failure", "a minute", "", "stopping"},
    {"stopping, failure", "stop", "", "stopping"},
    {"stopping, failure", "start", "", "stopping"},
    {"stopping, failure", "restart", "", "stopping"},
    {"stopping, failure", "host stops", "", "stopping"},
    {"stopping, failure", "stop expires", "", "stopping"},

    {"stopping, host", "begin", "", "stopping"},
    {"stopping, host", "begun", "", "stopping"},
    {"stopping, host", "started", "", "stopping"},
    {"stopping, host", "said ready", "", "stopping"},
    {"stopping, host", "ended ok", "stopped 0", "ended"},
    {"stopping, host", "ended error", "stopped 0", "ended"},
    {"stopping, host", "dropped", "stopped 0", "ended"},
    {"stopping, host", "abandoned", "abandoned 0", "ended"},
    {"stopping, host", "refused", "", "stopping"},
    {"stopping, host", "no time", "", "stopping"},
    {"stopping, host", "a minute", "", "stopping"},
    {"stopping, host", "stop", "", "stopping"},
    {"stopping, host", "start", "", "stopping"},
    {"stopping, host", "restart", "", "stopping"},
    {"stopping, host", "host stops", "", "stopping"},
    {"stopping, host", "stop expires", "", "stopping"},

    {"stopped", "begin", "", "stopped"},
    {"stopped", "begun", "", "stopped"},
    {"stopped", "started", "", "stopped"},
    {"stopped", "said ready", "", "stopped"},
    {"stopped", "ended ok", "", "stopped"},
    {"stopped", "ended error", "", "stopped"},
    {"stopped", "dropped", "", "stopped"},
    {"stopped", "abandoned", "", "stopped"},
    {"stopped", "refused", "", "stopped"},
    {"stopped", "no time", "", "stopped"},
    {"stopped", "a minute", "", "stopped"},
    {"stopped", "stop", "", "stopped"},
    {"stopped", "start", "start 0", "starting"},
    {"stopped", "restart", "start 0", "starting"},
    {"stopped", "host stops", "", "ended"},
    {"stopped", "stop expires", "", "ended"},

    {"ended", "begin", "", "ended"},
    {"ended", "begun", "", "ended"},
    {"ended", "started", "", "ended"},
    {"ended", "said ready", "", "ended"},
    {"ended", "ended ok", "", "ended"},
    {"ended", "ended error", "", "ended"},
    {"ended", "dropped", "", "ended"},
    {"ended", "abandoned", "", "ended"},
    {"ended", "refused", "", "ended"},
    {"ended", "no time", "", "ended"},
    {"ended", "a minute", "", "ended"},
    {"ended", "stop", "", "ended"},
    {"ended", "start", "start 0", "starting"},
    {"ended", "restart", "start 0", "starting"},
    {"ended", "host stops", "", "ended"},
    {"ended", "stop expires", "", "ended"},

    {"lost", "begin", "", "ended"},
    {"lost", "begun", "", "ended"},
    {"lost", "started", "", "ended"},
    {"lost", "said ready", "", "ended"},
    {"lost", "ended ok", "", "ended"},
    {"lost", "ended error", "", "ended"},
    {"lost", "dropped", "", "ended"},
    {"lost", "abandoned", "", "ended"},
    {"lost", "refused", "", "ended"},
    {"lost", "no time", "", "ended"},
    {"lost", "a minute", "", "ended"},
    {"lost", "stop", "", "ended"},
    {"lost", "start", "", "ended"},
    {"lost", "restart", "", "ended"},
    {"lost", "host stops", "", "ended"},
    {"lost", "stop expires", "", "ended"},
};

}  // namespace

TEST_CASE("every state of a task and every input lead to one state, and to what is told") {
  CHECK(std::size(rows) == states.size() * inputs.size());
  for (const Row& row : rows) {
    INFO(row.state << " × " << row.input);
    CoordinatorScene scene({worker(), PlannedTask()});
    states.at(row.state)(scene);
    CHECK(inputs.at(row.input)(scene) == row.does);
    CHECK(scene.state(0) == row.next);
    // Whatever came before, the host can still stop and finish.
    scene.stop_expires();
    for (const Place task : {0, 1}) {
      scene.ends(task, {Ending::refused, Outcome::ok, {}, 0, 0});  // ignored if it has begun
      scene.ends(task, {Ending::dropped, Outcome::cancelled, {}, 0, 0});
    }
    CHECK(scene.coordinator.idle());
    CHECK(scene.coordinator.at_rest());
    CHECK(scene.coordinator.next_deadline() == never);
  }
}
