// From a request's method and target to a call of the API: a fixed table, so that nothing else can be reached. Pure;
// any thread; takes hostile input.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "taskhost/core/event.hpp"

namespace taskhost {

enum class ApiCall : std::uint8_t {
  host,          // GET /v1/host
  tasks,         // GET /v1/tasks
  task,          // GET /v1/tasks/NAME
  start_task,    // POST /v1/tasks/NAME/start
  stop_task,     // POST /v1/tasks/NAME/stop
  restart_task,  // POST /v1/tasks/NAME/restart
  stop_host,     // POST /v1/stop
  events,        // GET /v1/events
  log,           // GET /v1/log
  metrics,       // GET /metrics
  livez,         // GET /livez
  readyz,        // GET /readyz
  page,          // GET /
};

// Which records of a stream are wanted.
struct RecordsWanted {
  std::uint64_t since = 0;                               // those with greater numbers
  std::optional<std::chrono::nanoseconds> newer_than{};  // not older than this
  std::optional<std::size_t> last{};                     // only so many, the last
  LogLevel level = LogLevel::trace;                      // of the log: at least this one
  std::string task{};                                    // of this one only; empty: all
};

struct Route {
  ApiCall call = ApiCall::host;
  bool changes = false;                            // needs the right to change something
  std::string task{};                              // NAME, percent-decoded
  std::optional<std::chrono::nanoseconds> wait{};  // of a task: ?wait=10s, answer when it is done, or after this time
  RecordsWanted records{};                         // of events and log
  bool follow = false;                             // and whatever comes
};

// A refusal: an HTTP status, and what to do.
struct RouteProblem {
  unsigned status = 404;
  std::string message{};
  std::string_view allow{};  // 405: the methods that the target has
};

struct Routing {
  std::optional<Route> route{};
  RouteProblem problem{};  // if there is no route
};

// `method` as in the request line; HEAD is routed as GET. Of a target in absolute form ("http://host/v1/host") only
// path and query count. Each part of the path is percent-decoded by itself, so a task's name may have %2F in it, and
// "%2E%2E" is a name like any other; in the query, "+" is a space, as forms write it. A task's name has 1 to 128 bytes
// of UTF-8 without control characters. Statuses: 400 for what is not well-formed and for parameters, 404 for paths,
// also with a NAME that no task can have, 405, 414.
Routing route(std::string_view method, std::string_view target);

}  // namespace taskhost
