// Tests what is read about a program's threads.
#include "support/process_threads.hpp"

#include "support/catch.hpp"
#include "support/process.hpp"

using namespace taskhost::test;

namespace {

Command shell(const char* script) {
  Command command;
  command.program = "/bin/sh";
  command.arguments = {"-c", script};
  return command;
}

}  // namespace

TEST_CASE("a program that waits goes to sleep no more, one that naps does again and again") {
  Process waiting(shell("exec sleep 1000"));
  CHECK(eventually([&] { return sleeps_during(waiting.id(), std::chrono::milliseconds(200)) == 0; }));
  CHECK(sleeps_of(waiting.id()).size() == 1);
  Process napping(shell("while :; do sleep 0.01; done"));
  CHECK(eventually([&] { return sleeps_during(napping.id(), std::chrono::milliseconds(200)) > 3; }));
}

TEST_CASE("a program that is gone has no threads") {
  Process gone(shell("exit 0"));
  gone.wait();
  CHECK(sleeps_of(gone.id()).empty());
}

TEST_CASE("a new thread's sleeps count from nought") {
  CHECK(sleeps_between({{1, 5}, {2, 7}}, {{1, 6}, {3, 2}}) == 3);
  CHECK(sleeps_between({{1, 5}}, {}) == 0);
}
