#include "control/route.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "text/printable.hpp"

using namespace std::chrono_literals;
using namespace taskhost;

namespace {

Route routed(std::string_view method, std::string_view target) {
  INFO(method << ' ' << target);
  const Routing routing = route(method, target);
  INFO(routing.problem.message);
  REQUIRE(routing.route.has_value());
  CHECK(routing.problem.message.empty());
  return *routing.route;
}

// "404 no such path …"
std::string problem(std::string_view method, std::string_view target) {
  INFO(method << ' ' << target);
  const Routing routing = route(method, target);
  REQUIRE_FALSE(routing.route.has_value());
  CHECK((routing.problem.status == 405) == !routing.problem.allow.empty());
  return std::to_string(routing.problem.status) + ' ' + routing.problem.message;
}

std::string task_of(std::string_view target) { return routed("GET", target).task; }

}  // namespace

TEST_CASE("each path leads to its call") {
  struct Row {
    std::string_view method, target;
    ApiCall call;
    bool changes = false;
    std::string_view task{};
  };
  for (const Row& row : {Row{"GET", "/v1/host", ApiCall::host}, Row{"GET", "/v1/tasks", ApiCall::tasks},
                         Row{"GET", "/v1/tasks/feed", ApiCall::task, false, "feed"},
                         Row{"POST", "/v1/tasks/feed/start", ApiCall::start_task, true, "feed"},
                         Row{"POST", "/v1/tasks/feed/stop", ApiCall::stop_task, true, "feed"},
                         Row{"POST", "/v1/tasks/feed/restart", ApiCall::restart_task, true, "feed"},
                         Row{"POST", "/v1/stop", ApiCall::stop_host, true}, Row{"GET", "/metrics", ApiCall::metrics},
                         Row{"GET", "/livez", ApiCall::livez}, Row{"GET", "/readyz", ApiCall::readyz},
                         Row{"GET", "/v1/events", ApiCall::events}, Row{"GET", "/v1/log", ApiCall::log},
                         Row{"GET", "/", ApiCall::page}}) {
    const Route found = routed(row.method, row.target);
    CHECK(found.call == row.call);
    CHECK(found.changes == row.changes);
    CHECK(found.task == row.task);
  }
  CHECK(routed("HEAD", "/v1/host").call == ApiCall::host);
}

TEST_CASE("a task's name is percent-decoded after the path is taken apart") {
  CHECK(task_of("/v1/tasks/a%2Fb") == "a/b");
  CHECK(task_of("/v1/tasks/a%2fstart") == "a/start");
  CHECK(task_of("/v1/tasks/100%25") == "100%");
  CHECK(task_of("/v1/tasks/two%20words") == "two words");
  CHECK(task_of("/v1/tasks/a+b") == "a+b");
  CHECK(task_of("/v1/tasks/a%3Fb%23c") == "a?b#c");
  CHECK(task_of("/v1/tasks/%C3%BCber") == "über");
  CHECK(task_of("/v1/tasks/über") == "über");
  CHECK(task_of("/v1/tasks/start") == "start");
  CHECK(task_of("/v1/tasks/NAME") == "NAME");
  CHECK(task_of("/v1/tasks/%2E%2E") == "..");
  CHECK(task_of("/v1/tasks/" + std::string(128, 'x')) == std::string(128, 'x'));
  CHECK(routed("POST", "/v1/tasks/a%2Fb/start").task == "a/b");
}

TEST_CASE("what no task can be called is not found, and the message says why") {
  const std::string end = "; GET /v1/tasks lists the names";
  CHECK(problem("GET", "/v1/tasks/") == "404 the task's name in \"/v1/tasks/\" is missing" + end);
  CHECK(problem("POST", "/v1/tasks//start") == "404 the task's name in \"/v1/tasks//start\" is missing" + end);
  CHECK(problem("GET", "/v1/tasks/%FF") == "404 the task's name in \"/v1/tasks/%FF\" \"\\xff\" is not UTF-8" + end);
  CHECK(problem("GET", "/v1/tasks/a%00") ==
        "404 the task's name in \"/v1/tasks/a%00\" \"a\\u0000\" has control characters; tasks' names have none" + end);
  CHECK(problem("GET", "/v1/tasks/%C2%80").starts_with("404 "));
  const std::string x(129, 'x');
  CHECK(problem("GET", "/v1/tasks/" + x) == "404 the task's name in \"/v1/tasks/" + x.substr(0, 50) + "…\" \"" +
                                                x.substr(0, 60) + "…\" has 129 bytes; tasks' names have at most 128" +
                                                end);
}

TEST_CASE("what is not well-formed is refused") {
  CHECK(problem("GET", "/v1/tasks/100%") ==
        "400 write two hexadecimal digits after each \"%\", and %25 for the character itself: \"100%\"");
  for (const char* target : {"/v1/tasks/%", "/v1/tasks/%2", "/v1/tasks/%zz", "/v1/tasks/%2g", "/v1/host?%"}) {
    CHECK(problem("GET", target).starts_with("400 "));
  }
  CHECK(problem("GET", "/v1/host#part") == "400 a target has no fragment; write %23 if the character \"#\" is meant");
  CHECK(problem("GET", "/v1/tasks/two words") ==
        "400 write spaces and control characters in a target as %20 and the like");
  CHECK(problem("GET", std::string_view("/v1/\0host", 9)).starts_with("400 "));
  CHECK(problem("GET", "") == "400 the target \"\" has to begin with a slash, as in /v1/host");
  CHECK(problem("OPTIONS", "*") == "400 the target \"*\" has to begin with a slash, as in /v1/host");
  CHECK(problem("GET", "v1/host") == "400 the target \"v1/host\" has to begin with a slash, as in /v1/host");
  CHECK(problem("CONNECT", "example.org:80").starts_with("400 "));
}

TEST_CASE("of a target in absolute form, path and query count") {
  CHECK(routed("GET", "http://host/v1/host").call == ApiCall::host);
  CHECK(routed("POST", "HTTP://[::1]:8080/v1/tasks/feed/stop?wait=3s").wait == 3s);
  CHECK(routed("GET", "https://host").call == ApiCall::page);
  CHECK(problem("GET", "http:///v1/host") == "400 there is no host in the target; write a path such as /v1/host");
  CHECK(problem("GET", "ftp://host/v1/host").starts_with("400 the target \"ftp://host/v1/host\""));
}

TEST_CASE("a target that is too long is refused") {
  CHECK(problem("GET", "/" + std::string(4095, 'x')).starts_with("404 "));
  CHECK(problem("GET", "/" + std::string(4096, 'x')) == "414 the target has 4097 bytes; at most 4096 are accepted");
}

TEST_CASE("of an unknown path, the nearest one is named") {
  CHECK(problem("GET", "/v1/hosts") == "404 no such path: \"/v1/hosts\"; did you mean \"/v1/host\"?");
  CHECK(problem("GET", "/tasks") == "404 no such path: \"/tasks\"; begin with GET /v1/host or GET /v1/tasks");
  CHECK(problem("GET", "/v2/tasks") == "404 no such path: \"/v2/tasks\"; did you mean \"/v1/tasks\"?");
  CHECK(problem("GET", "/v1//host") == "404 no such path: \"/v1//host\"; did you mean \"/v1/host\"?");
  CHECK(problem("GET", "/healthz").starts_with("404 no such path: \"/healthz\"; "));
  CHECK(problem("POST", "/v1/tasks/feed/strat") ==
        "404 no such path: \"/v1/tasks/feed/strat\"; did you mean \"/v1/tasks/feed/start\"?");
  CHECK(problem("GET", "/v1/tasks/feed/log").find("stop") == std::string::npos);  // it only wants to look
  CHECK(problem("GET", "/v1/host/") == "404 no such path: \"/v1/host/\"; remove the slash at its end");
  CHECK(problem("GET", "/v1%2Fhost").starts_with("404 no such path: "));
  CHECK(problem("GET", "/etc/passwd") == "404 no such path: \"/etc/passwd\"; begin with GET /v1/host or GET /v1/tasks");
}

TEST_CASE("parts of a path that mean another path lead nowhere") {
  CHECK(problem("GET", "/v1/tasks/../host") ==
        "404 no path has \"..\" as a part: write it out; as a task's name it is written with %2E for each point");
  for (const char* target : {"/..", "/v1/./host", "/v1/host/..", "/v1/tasks/..", "/../../etc/passwd"}) {
    CHECK(problem("GET", target).starts_with("404 no path has "));
  }
}

TEST_CASE("a wrong method is refused with those that are right") {
  CHECK(problem("GET", "/v1/stop") == "405 /v1/stop needs POST, since it changes something: not \"GET\"");
  CHECK(route("GET", "/v1/stop").problem.allow == "POST");
  CHECK(problem("POST", "/v1/host") == "405 /v1/host needs GET: not \"POST\"");
  CHECK(route("POST", "/v1/host").problem.allow == "GET, HEAD");
  for (const char* method : {"", "get", "PUT", "DELETE", "OPTIONS", "\xff\n"}) {
    CHECK(problem(method, "/v1/tasks").starts_with("405 /v1/tasks needs GET: not \""));
  }
  CHECK(problem("HEAD", "/v1/tasks/feed/start") ==
        "405 /v1/tasks/NAME/start needs POST, since it changes something: not \"HEAD\"");
}

TEST_CASE("parameters are read") {
  CHECK(routed("POST", "/v1/tasks/feed/start?wait=1.5s").wait == 1500ms);
  CHECK_FALSE(routed("POST", "/v1/tasks/feed/start").wait.has_value());
  CHECK(routed("POST", "/v1/tasks/feed/stop?%77ait=0s&").wait == 0ns);
  CHECK(routed("GET", "/v1/tasks?").call == ApiCall::tasks);
}

TEST_CASE("an unknown parameter is refused with the nearest one, or all") {
  CHECK(problem("POST", "/v1/tasks/feed/stop?wiat=3s") == "400 no such parameter: \"wiat\"; did you mean \"wait\"?");
  CHECK(problem("GET", "/v1/host?pretty") == "400 no such parameter: \"pretty\"; /v1/host has none");
  CHECK(problem("GET", "/v1/tasks/feed?wait=1s") == "400 no such parameter: \"wait\"; /v1/tasks/NAME has none");
  CHECK(problem("POST", "/v1/tasks/feed/stop?=3") == "400 no such parameter: \"\"; /v1/tasks/NAME/stop has \"wait\"");
}

TEST_CASE("a wrong value is refused with a right one") {
  CHECK(problem("POST", "/v1/tasks/feed/stop?wait=10") ==
        "400 the parameter \"wait\" can't be \"10\"; add a unit (ns, us, ms, s, m or h), as in \"10s\"; an example: "
        "wait=10s");
  CHECK(problem("POST", "/v1/tasks/feed/stop?wait").starts_with("400 the parameter \"wait\" can't be \"\"; "));
  CHECK(problem("POST", "/v1/tasks/feed/stop?wait=-1s").ends_with("; an example: wait=10s"));
}

TEST_CASE("a parameter that is given twice is refused") {
  CHECK(problem("POST", "/v1/tasks/feed/stop?wait=1s&wait=1s") ==
        "400 the parameter \"wait\" is given twice; remove one of the two");
}

TEST_CASE("records are wanted by number or age, count, task and level") {
  const Route nothing = routed("GET", "/v1/log");
  CHECK(nothing.records.since == 0);
  CHECK_FALSE(nothing.records.newer_than.has_value());
  CHECK_FALSE(nothing.records.last.has_value());
  CHECK(nothing.records.level == LogLevel::trace);
  CHECK(nothing.records.task.empty());
  CHECK_FALSE(nothing.follow);
  const Route all = routed("GET", "/v1/log?since=12&last=3&level=warning&task=a%2Fb+c&follow");
  CHECK(all.records.since == 12);
  CHECK(all.records.last == 3);
  CHECK(all.records.level == LogLevel::warning);
  CHECK(all.records.task == "a/b c");
  CHECK(all.follow);
  CHECK(routed("GET", "/v1/events?since=10m").records.newer_than == 10min);
}

TEST_CASE("a wrong parameter of records is told with what it may be") {
  CHECK(problem("GET", "/v1/log?since=yesterday").starts_with("400 the parameter \"since\" can't be \"yesterday\""));
  CHECK(problem("GET", "/v1/log?last=-1").find("it is a whole number; an example: last=100") != std::string::npos);
  CHECK(problem("GET", "/v1/log?last=99999999999999999999").starts_with("400 "));
  CHECK(problem("GET", "/v1/log?level=loud").find("trace, debug, info, warning or error") != std::string::npos);
  CHECK(problem("GET", "/v1/log?level=off").starts_with("400 "));
  CHECK(problem("GET", "/v1/log?task=").find("GET /v1/tasks lists the names") != std::string::npos);
  CHECK(problem("GET", "/v1/log?task=a%0Ab").find("control characters") != std::string::npos);
  CHECK(problem("GET", "/v1/log?follow=yes").find("it has no value; an example: follow") != std::string::npos);
  CHECK(problem("GET", "/v1/events?level=info") ==
        "400 no such parameter: \"level\"; /v1/events has \"since\", \"last\", \"task\" and \"follow\"");
  CHECK(problem("GET", "/v1/log?since=1&since=2").find("given twice") != std::string::npos);
  CHECK(problem("POST", "/v1/log").starts_with("405 "));
}
