#include "output.hpp"

#include <array>
#include <string_view>

namespace taskhost::simulation {

std::string to_text(const Output& output, Nanoseconds unit) {
  constexpr std::array<const char*, 4> kinds{"start", "ask", "tell", "stop host"};
  const auto time = [unit](Nanoseconds duration) {
    return std::to_string(static_cast<double>(duration) / static_cast<double>(unit)).substr(0, 8);
  };
  std::string text = output.kind == Output::Kind::tell ? std::string(to_string(output.event))
                                                       : kinds[static_cast<std::size_t>(output.kind)];
  text += " " + std::to_string(output.task);
  if (output.execution != 0) text += " execution " + std::to_string(output.execution);
  const auto add = [&](bool given, const std::string& more) {
    if (given) text += ", " + more;
  };
  const bool has_outcome = output.event == EventKind::task_exited || output.event == EventKind::task_gave_up ||
                           output.event == EventKind::task_stopped || output.event == EventKind::task_abandoned;
  add(output.kind == Output::Kind::tell && has_outcome, std::string(to_string(output.outcome)));
  add(output.kind == Output::Kind::stop_host || output.event == EventKind::task_discarded,
      std::string(to_string(output.reason)));
  add(output.kind == Output::Kind::stop_host, output.failure ? "failure" : "success");
  add(output.restart_kind == RestartKind::cooldown, "cooldown");
  add(output.restart_kind == RestartKind::repeat, "repeat");
  add(output.event == EventKind::task_restarting, "delay " + time(output.delay));
  add(output.uptime != 0, "uptime " + time(output.uptime));
  add(output.silence != 0, "silence " + time(output.silence));
  const bool has_budget = output.kind == Output::Kind::start || output.event == EventKind::task_exited ||
                          output.event == EventKind::task_restarting;
  add(has_budget, "remaining " + (output.remaining ? std::to_string(*output.remaining) : "unlimited"));
  add(output.because.has_value(), "because of " + std::to_string(output.because.value_or(0)));
  add(!output.message.empty(), "'" + output.message + "'");
  return text;
}

// Messages that the supervisor itself writes end in a duration, whose wording is not compared.
std::string fixed_part(std::string message) {
  for (const std::string_view beginning : {"was not ready within ", "no heartbeat for "}) {
    if (message.starts_with(beginning)) message.resize(beginning.size());
  }
  return message;
}

Output to_output(const TaskNews& news) {
  Output output{.kind = Output::Kind::tell, .event = news.kind, .task = news.task, .execution = news.execution};
  switch (news.kind) {
    case EventKind::task_exited:
      output.remaining = news.remaining;
      [[fallthrough]];
    case EventKind::task_stopped:
    case EventKind::task_abandoned:
      output.uptime = news.uptime;
      [[fallthrough]];
    case EventKind::task_gave_up:
      output.outcome = news.outcome;
      output.message = fixed_part(news.message);
      break;
    case EventKind::task_restarting:
      output.restart_kind = news.restart_kind;
      output.delay = news.delay;
      output.remaining = news.remaining;
      break;
    case EventKind::task_discarded:
      output.reason = news.reason;
      output.because = news.because;
      break;
    case EventKind::task_stalled:
      output.silence = news.silence;
      break;
    default:
      break;
  }
  return output;
}

}  // namespace taskhost::simulation
