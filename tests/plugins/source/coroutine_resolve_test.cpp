// Names that a coroutine resolves, with a fake host and without a network.
#include <netinet/in.h>

#include <string>
#include <vector>

#include "coroutine_run.hpp"
#include "support/catch.hpp"
#include "taskhost/sdk/resolve.hpp"

using taskhost::test::contains_text;

namespace {

namespace sdk = taskhost::sdk;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

std::string host;
std::string service;

sdk::Task resolves(sdk::Context context) {
  const Tracker tracker;
  const std::vector<sdk::Address> addresses = co_await sdk::resolve(host, service);
  for (const sdk::Address& address : addresses) context.info(address.text());
  const sdk::Address& first = addresses.at(0);
  if (first.type() != SOCK_STREAM || first.family() != first.data()->sa_family) context.info("wrong");
}
sdk::Task has_no_patience(sdk::Context context) {
  const auto addresses = co_await sdk::with_timeout(1s, sdk::resolve("192.0.2.1", "80", SOCK_DGRAM));
  context.info(addresses ? "in time" : "too late");
}

// Runs the task to its end, and what it offloads in between.
std::int32_t run_to_end(Run<resolves>& run) {
  CHECK(run.poll() == TASKHOST_PENDING);
  REQUIRE(run.host.works.size() == 1);
  const taskhost_work& work = run.host.works[0];
  work.run(work.argument);
  run.host.ready.push_back({work.tag, TASKHOST_DONE, 0});
  const std::int32_t status = run.poll();
  run.host.drop();
  CHECK(Tracker::live == 0);
  return status;
}

}  // namespace

TEST_CASE("a host's addresses are resolved on another thread, and told with their port") {
  struct Row {
    const char* host;
    const char* service;
    const char* text;
  };
  for (const Row& row :
       {Row{"192.0.2.1", "80", "192.0.2.1:80"}, Row{"192.0.2.1", "", "192.0.2.1:0"}, Row{"::1", "443", "[::1]:443"}}) {
    host = row.host;
    service = row.service;
    Run<resolves> run;
    CHECK(run_to_end(run) == TASKHOST_OK);
    CHECK(run.host.log == Lines{row.text});
  }
}

TEST_CASE("what can't be resolved is a Failure with the name and the reason") {
  struct Row {
    std::string host;
    std::string service;
    std::string message;
  };
  for (const Row& row :
       {Row{"192.0.2.1", "no such service", "can't resolve \"192.0.2.1\" (service \"no such service\"): Servname not "},
        Row{"", "", "can't resolve \"\": Name or service not known"},
        Row{"192.0.2.1", "65536x", "can't resolve \"192.0.2.1\" (service \"65536x\"): "},
        Row{std::string("192.0.2.1\0.example", 18), "80", "a name contains no NUL"}}) {
    CAPTURE(row.message);
    host = row.host;
    service = row.service;
    Run<resolves> run;
    CHECK(run_to_end(run) == TASKHOST_ERROR);
    CHECK_THAT(run.host.message, contains_text(row.message));
  }
}

TEST_CASE("addresses that nobody waits for any more are thrown away, whenever they come") {
  for (const bool dropped_first : {false, true}) {
    host = "192.0.2.1";
    service = "80";
    Run<resolves> run;
    run.poll();
    const taskhost_work work = run.host.works.at(0);
    if (dropped_first) run.host.drop();
    work.run(work.argument);
    if (!dropped_first) run.host.drop();
    work.discard(work.argument);
    CHECK(Tracker::live == 0);
  }
  Run<has_no_patience> run;
  run.poll();
  CHECK(run.poll_at_timer() == TASKHOST_OK);
  CHECK(run.host.log == Lines{"too late"});
  const taskhost_work work = run.host.works.at(0);
  work.run(work.argument);
  work.discard(work.argument);
}
