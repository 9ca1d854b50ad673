#include "otp_side.hpp"

#include <csignal>
#include <sstream>
#include <stdexcept>

namespace taskhost::test {

namespace {

Command otp_side() {
  std::signal(SIGPIPE, SIG_IGN);  // if the escript has died, its answer is missing
  Command command;
  command.program = TASKHOST_TEST_ESCRIPT;
  command.arguments = {TASKHOST_TEST_OTP_SIDE};
  command.in = command.out = Wiring::piped;
  return command;
}

}  // namespace

OtpSide::OtpSide() : program_(otp_side()) {}

std::string OtpSide::ask(const std::string& command) {
  std::string answer;
  if (!program_.write(command + '\n') || !program_.read_line(answer)) {
    throw std::runtime_error("the OTP side does not answer: " + command + '\n' + program_.err());
  }
  return answer;
}

void OtpSide::expect_ok(const std::string& command) {
  if (const std::string answer = ask(command); answer != "ok") {
    throw std::runtime_error("the OTP side, to '" + command + "': " + answer);
  }
}

std::string OtpSide::open(const Setup& setup) {
  std::string command = "open " + std::string(to_string(setup.strategy)) + ' ' + std::to_string(setup.intensity) + ' ' +
                        std::to_string(setup.period.count());
  for (std::size_t i = 0; i < setup.children.size(); ++i) {
    const Child& child = setup.children[i];
    command += ' ' + name_of(i) + ':' + text_of(child.restart) + ':' +
               text_of(child.ending == Ending::stuck ? Ending::stubborn : child.ending) + ':' +
               std::to_string(stop_timeout_of(child).count());
  }
  return ask(command);
}

void OtpSide::fail(std::size_t child, unsigned failures) {
  expect_ok("fail " + name_of(child) + ' ' + std::to_string(failures));
}
void OtpSide::exit(std::size_t child, Reason reason) { expect_ok("exit " + name_of(child) + ' ' + text_of(reason)); }
void OtpSide::exit_both(std::size_t first, Reason first_reason, std::size_t second, Reason second_reason) {
  expect_ok("suspend");
  exit(first, first_reason);
  exit(second, second_reason);
  expect_ok("resume");
}
std::string OtpSide::terminate_child(std::size_t child) { return ask("terminate " + name_of(child)); }
std::string OtpSide::restart_child(std::size_t child) { return ask("restart " + name_of(child)); }
void OtpSide::stop() { expect_ok("stop"); }
void OtpSide::release(std::size_t child) { expect_ok("release " + name_of(child)); }
void OtpSide::await(const std::string& event) { expect_ok("await " + event); }

Settled OtpSide::settle() {
  const std::string answer = ask("settle");
  const std::size_t bar = answer.find('|');
  const std::size_t space = answer.find(' ');
  if (bar == std::string::npos || space > bar) throw std::runtime_error("the OTP side, to 'settle': " + answer);
  Settled settled;
  settled.up = answer.starts_with("up ");
  const std::string detail = answer.substr(space + 1, bar - space - 1);
  if (settled.up) {
    std::istringstream names(detail);
    for (std::string name; std::getline(names, name, ',');) settled.live.push_back(name);
  } else {
    settled.reason = detail;
  }
  std::istringstream events(answer.substr(bar + 1));
  for (std::string event; events >> event;) settled.events.push_back(event);
  return settled;
}

}  // namespace taskhost::test
