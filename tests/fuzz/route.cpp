// Request targets: METHOD NUL TARGET.
#include "control/route.hpp"

#include <string>

#include "fuzz.hpp"

namespace taskhost::fuzz {

namespace {

bool is_task_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && is_utf8(name) && !has_control_character(name);
}

// Every byte, so that nothing in it means anything else.
std::string encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    result.append("%").append(1, digits[byte >> 4U]).append(1, digits[byte & 0xFU]);
  }
  return result;
}

bool has_task(ApiCall call) {
  return call == ApiCall::task || call == ApiCall::start_task || call == ApiCall::stop_task ||
         call == ApiCall::restart_task;
}

void judge(const Route& found, std::string_view method) {
  require(found.changes == (method == "POST"), "only a POST changes something", method);
  require(method == "POST" || method == "GET" || method == "HEAD", "no other method is taken", method);
  require(has_task(found.call) ? is_task_name(found.task) : found.task.empty(), "a task's name is valid", found.task);
  require(!found.wait || (found.changes && found.wait->count() >= 0), "only a change is waited for");
  if (found.call != ApiCall::task) return;
  const Routing again = route("GET", "/v1/tasks/" + encoded(found.task));
  require(again.route && again.route->task == found.task, "an encoded name leads to the same task", found.task);
}

void judge(const RouteProblem& problem) {
  const unsigned status = problem.status;
  require(status == 400 || status == 404 || status == 405 || status == 414, "a refusal has its status");
  require((status == 405) == !problem.allow.empty(), "a wrong method is refused with right ones");
  require(!problem.message.empty() && is_one_printable_line(problem.message), "a refusal is a line", problem.message);
  require(problem.message.size() < 2000, "a refusal has its bound", problem.message);
}

}  // namespace

}  // namespace taskhost::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace taskhost;
  fuzz::Input input(data, size);
  const std::string_view method = input.text();
  const Routing routing = route(method, input.rest());
  if (routing.route) {
    fuzz::judge(*routing.route, method);
  } else {
    fuzz::judge(routing.problem);
  }
  return 0;
}
