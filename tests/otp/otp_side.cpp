#include "otp_side.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <stdexcept>

#include "support/process.hpp"

extern char** environ;

namespace taskhost::test {

OtpSide::OtpSide() {
  signal(SIGPIPE, SIG_IGN);  // if the escript has died, its answer is missing
  int to_it[2];
  int from_it[2];
  if (pipe2(to_it, O_CLOEXEC) != 0 || pipe2(from_it, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to_it[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from_it[1], STDOUT_FILENO);
  std::string program = TASKHOST_TEST_ESCRIPT;
  std::string script = TASKHOST_TEST_OTP_SIDE;
  char* arguments[] = {program.data(), script.data(), nullptr};
  const int error = posix_spawn(&id_, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(to_it[0]);
  close(from_it[1]);
  in_ = to_it[1];
  out_ = from_it[0];
  if (error != 0) {
    close(in_);
    close(out_);
    throw std::runtime_error("can't start " + program);
  }
}

OtpSide::~OtpSide() {
  close(in_);
  close(out_);
  kill(id_, SIGKILL);
  waitpid(id_, nullptr, 0);
}

std::string OtpSide::ask(const std::string& command) {
  const std::string line = command + '\n';
  if (write(in_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    throw std::runtime_error("the OTP side takes no commands any more: " + command);
  }
  for (;;) {
    if (const std::size_t end = read_.find('\n'); end != std::string::npos) {
      std::string answer = read_.substr(0, end);
      read_.erase(0, end + 1);
      return answer;
    }
    pollfd readable{out_, POLLIN, 0};
    char buffer[4096];
    const int ready = poll(&readable, 1, static_cast<int>(std::chrono::milliseconds(patience).count()));
    const ssize_t count = ready == 1 ? read(out_, buffer, sizeof buffer) : -1;
    if (count <= 0) throw std::runtime_error("the OTP side does not answer: " + command);
    read_.append(buffer, static_cast<std::size_t>(count));
  }
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
