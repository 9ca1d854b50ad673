// Tests the support code on which the black-box tests rely.
#include "support/process.hpp"

#include <csignal>

#include "support/catch.hpp"
#include "support/event_stream.hpp"
#include "support/temporary_directory.hpp"

using taskhost::test::Command;
using taskhost::test::EventFile;
using taskhost::test::Process;
using taskhost::test::ProcessEnd;
using taskhost::test::TemporaryDirectory;
using taskhost::test::Wiring;

namespace {

Command shell(const std::string& script) {
  Command command;
  command.program = "sh";
  command.arguments = {"-c", script};
  return command;
}

}  // namespace

TEST_CASE("a program's status and what it wrote to both streams come back") {
  const ProcessEnd end = Process(shell("echo data; echo log >&2; exit 3")).wait();
  CHECK(end.status == 3);
  CHECK(end.out == "data\n");
  CHECK(end.err == "log\n");
}

TEST_CASE("a program's end by a signal comes back as a signal") {
  Process process(shell("echo up >&2; while :; do sleep 0.01; done"));
  CHECK(process.wait_for_err("up\n"));
  process.send(SIGTERM);
  const ProcessEnd end = process.wait();
  CHECK_FALSE(end.status.has_value());
  CHECK(end.signal == SIGTERM);
}

TEST_CASE("a piped program is talked to line by line") {
  Command command = shell("while read -r word; do echo \"$word?\"; done; sleep 1000");
  command.in = command.out = Wiring::piped;
  Process process(command);
  std::string line;
  CHECK(process.write("one\ntwo\n"));
  CHECK(process.read_line(line));
  CHECK(line == "one?");
  CHECK(process.read_line(line));
  CHECK(line == "two?");
  CHECK_FALSE(process.read_line(line, std::chrono::milliseconds(1)));
}

TEST_CASE("a piped program's last line may lack its end") {
  Command command = shell("printf 'one\n\ntwo'");
  command.out = Wiring::piped;
  Process process(command);
  std::vector<std::string> lines;
  for (std::string line; process.read_line(line);) lines.push_back(line);
  CHECK(lines == std::vector<std::string>{"one", "", "two"});
  CHECK(process.wait().status == 0);
}

TEST_CASE("a program's CPU time comes back, and is not the time that it waited") {
  CHECK(Process(shell("i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done")).wait().cpu >
        std::chrono::milliseconds(10));
  const ProcessEnd end = Process(shell("exec sleep 0.3")).wait();
  CHECK(end.lifetime >= std::chrono::milliseconds(300));
  CHECK(end.cpu < end.lifetime / 2);
}

TEST_CASE("what the test ignores its program does not") {
  const auto before = std::signal(SIGTERM, SIG_IGN);
  Process process(shell("exec sleep 1000"));
  std::signal(SIGTERM, before);
  process.send(SIGTERM);
  CHECK(process.wait().signal == SIGTERM);
}

TEST_CASE("a program that outlasts the patience is killed") {
  const ProcessEnd end = Process(shell("while :; do sleep 0.01; done")).wait(std::chrono::milliseconds(20));
  CHECK(end.timed_out);
  CHECK(end.signal == SIGKILL);
}

TEST_CASE("a program that does not exist can't be started") {
  Command command;
  command.program = GENERATE("/nonexistent/program", "nonexistent_program");
  CHECK_THROWS(Process(command));
}

TEST_CASE("environment, working directory and limits reach the program") {
  const TemporaryDirectory directory;
  Command command = shell("echo $COLOUR; pwd -P; ulimit -n");
  command.environment = {"COLOUR=blue"};
  command.working_directory = directory.path();
  command.limits = {{RLIMIT_NOFILE, 64}};
  const std::string place = std::filesystem::canonical(directory.path()).string();
  CHECK(Process(command).wait().out == "blue\n" + place + "\n64\n");
}

TEST_CASE("a closed stream and a broken pipe are what they are called") {
  Command command = shell("exec 2>/dev/null; echo data; exec 3>&1");
  command.out = Wiring::closed;
  CHECK(Process(command).wait().status != 0);
  command = shell("while :; do echo data; done");
  command.out = Wiring::broken_pipe;
  CHECK(Process(command).wait().signal == SIGPIPE);
}

TEST_CASE("a program that obeys file modes can't read a file of mode 0, not even as root") {
  const TemporaryDirectory directory;
  const auto file = directory.write("secret", "text");
  std::filesystem::permissions(file, std::filesystem::perms::none);
  Command command = shell("cat '" + file.string() + "'");
  command.obeys_file_modes = true;
  CHECK(Process(command).wait().status == 1);
}

TEST_CASE("a temporary directory is gone with its object") {
  std::filesystem::path path;
  {
    const TemporaryDirectory directory;
    path = directory.write("folder/file", "text").parent_path();
    CHECK(taskhost::test::read_file(path / "file") == "text");
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("an event file is followed while it is written") {
  const TemporaryDirectory directory;
  const auto path = directory / "events.jsonl";
  EventFile events(path);
  CHECK(events.read().events().empty());
  directory.write("events.jsonl", R"({"seq":1,"event":"host_started"})"
                                  "\n{\"seq\":2,");
  CHECK(events.wait_for("host_started"));
  Process process(shell("echo '\"event\":\"task_started\",\"task\":\"a\"}' >> '" + path.string() + "'"));
  CHECK(events.wait_for("task_started", "a"));
  CHECK(events.read().count("task_started") == 1);
  CHECK_FALSE(events.wait_for("task_exited", "a", 1, std::chrono::milliseconds(1)));
}
