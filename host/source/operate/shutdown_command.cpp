// Stops a host, and waits for the end of its process.
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "operate/commands.hpp"
#include "operate/process_watch.hpp"
#include "operate/selection.hpp"

namespace taskhost {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto usual_shutdown_limit = 60s;
constexpr auto look_interval = 100ms;
// The program ends at most five seconds after its host; a process that goes on for longer is one that embeds a host.
constexpr auto time_of_program = 6s;

bool is_gone(const std::string& path) {
  const ControlClient::Trouble trouble = ControlClient(path, look_interval).trouble();
  return trouble == ControlClient::Trouble::absent || trouble == ControlClient::Trouble::unanswered;
}

// Those that have not ended, for a host that takes long.
std::string who_is_left(const HostPlace& place) {
  try {
    std::vector<std::string> names;
    for (const Json& task : RunningHost(place).tasks()) {
      if (text_field(task, "state") != "ended") names.push_back(text_field(task, "name"));
    }
    return names.empty() ? std::string() : "; it waits for " + some_of(names, 5);
  } catch (const Refusal&) {
    return {};
  }
}

// As host/README.md lists them.
const char* meaning_of(int status) {
  switch (status) {
    case 0:
      return "it stopped well";
    case 1:
      return "the policy of a task made it a failure";
    case 4:
      return "a task did not stop in time";
    default:
      return "its log says why";
  }
}

class Shutdown {
 public:
  Shutdown(RunningHost& host, const OperateArguments& arguments, const Output& output)
      : host_(host),
        arguments_(arguments),
        output_(output),
        watch_(host.process()),
        limit_(time_limit(arguments, usual_shutdown_limit)),
        end_(Clock::now() + limit_) {}

  int make() {
    const RunningHost::Call answer = host_.call("POST", "/v1/stop");
    if (!answer.is_good()) throw host_.refusal_of(answer);
    if (!arguments_.wait) {
      tell("stopping", host_.process() > 0 ? "process " + std::to_string(host_.process()) : std::string(),
           std::nullopt);
      return 0;
    }
    Clock::time_point gone{};
    while (!has_ended()) {
      const Clock::time_point now = Clock::now();
      if (gone == Clock::time_point() && is_gone(host_.path())) gone = now;
      const bool is_host_gone = gone != Clock::time_point();
      if (is_host_gone && (!watch_.can_wait() || now - gone >= time_of_program)) {
        tell("stopped",
             watch_.can_wait() ? "its process " + std::to_string(host_.process()) + " goes on" : std::string(),
             std::nullopt);
        return 0;
      }
      if (now >= end_) too_slow(is_host_gone);
    }
    tell_end();
    return 0;
  }

 private:
  bool has_ended() const {
    if (watch_.can_wait()) return watch_.wait(look_interval);
    std::this_thread::sleep_for(look_interval);
    return false;
  }

  [[noreturn]] void too_slow(bool is_host_gone) const {
    const std::string process = host_.process() > 0 ? ", process " + std::to_string(host_.process()) + "," : "";
    throw Refusal(
        operate_failed,
        "host \"" + terminal_text(host_.name(), 100) + '"' + process + " has not ended after " + limit_text(limit_) +
            (is_host_gone ? "; its control socket is closed" : who_is_left({host_.name(), host_.path()})) +
            ": wait longer with --timeout" +
            (host_.process() > 0 ? ", or end it at once, which leaves tasks no time: kill -TERM " +
                                       std::to_string(host_.process()) + ", twice with more than a second in between"
                                 : std::string()));
  }

  void tell_end() {
    const std::optional<int> status = watch_.wait_status();
    if (!status) {
      tell("ended", {}, std::nullopt);
    } else if (WIFEXITED(*status)) {
      const int code = WEXITSTATUS(*status);
      tell("ended", "status " + std::to_string(code) + ", " + meaning_of(code), code);
    } else {
      tell("ended", "killed by signal " + std::to_string(WTERMSIG(*status)), std::nullopt);
    }
  }

  void tell(const std::string& state, const std::string& more, std::optional<int> status) {
    if (!arguments_.json) {
      output_.print(terminal_text(host_.name()) + ": " + state + (more.empty() ? "" : ": " + more) + '\n');
      return;
    }
    Json json{{"host", host_.name()}, {"pid", nullptr}, {"state", state}, {"status", nullptr}};
    if (host_.process() > 0) json["pid"] = static_cast<std::uint64_t>(host_.process());
    if (status) json["status"] = *status;
    output_.print(json_text(json));
  }

  RunningHost& host_;
  const OperateArguments& arguments_;
  const Output& output_;
  const ProcessWatch watch_;  // before the host is asked: later, another process might have its number
  const std::chrono::nanoseconds limit_;
  const Clock::time_point end_;
};

}  // namespace

int shut_down(const OperateArguments& arguments, const Output& output) {
  RunningHost host(find_host(arguments.host));
  return Shutdown(host, arguments, output).make();
}

}  // namespace taskhost
