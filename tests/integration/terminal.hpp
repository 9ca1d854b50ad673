// A terminal for tests.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

#include "support/catch.hpp"
#include "support/process.hpp"

namespace taskhost::test {

// The other end of a terminal, and programs on it.
class Terminal {
 public:
  Terminal() : own_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    std::array<char, 64> name{};
    if (own_ < 0 || ::grantpt(own_) != 0 || ::unlockpt(own_) != 0 || ::ptsname_r(own_, name.data(), name.size()) != 0) {
      return;
    }
    name_ = name.data();
  }
  ~Terminal() {
    if (own_ >= 0) ::close(own_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Reports it if there is none.
  bool is_missing() const {
    Command setsid;
    setsid.program = "/bin/sh";
    setsid.arguments = {"-c", "setsid --ctty true <" + name_};
    if (!name_.empty() && Process(setsid).wait().status == 0) return false;
    WARN("skipped: there is no terminal, or no setsid --ctty");
    return true;
  }
  // Runs in the foreground, with its own output where the command wants it.
  Command around(const Command& command) const { return through_shell(command, "exec setsid --ctty \"$0\" \"$@\" <"); }
  // Runs in the background, with its output on the terminal, which stops programs that write there from the background.
  Command behind(const Command& command) const {
    return through_shell(
        command,
        "exec setsid --ctty sh -c 'stty tostop; set -m; \"$0\" \"$@\" & wait $!' \"$0\" \"$@\" >" + name_ + " 2>&1 <");
  }
  void press_ctrl_c() const { REQUIRE(::write(own_, "\x03", 1) == 1); }
  // What was written to it. To be called when the programs on it have ended.
  std::string read() const {
    std::string all;
    std::array<char, 4096> text{};
    for (ssize_t size = 0; (size = ::read(own_, text.data(), text.size())) > 0;) {
      all.append(text.data(), static_cast<std::size_t>(size));
    }
    return all;
  }

 private:
  Command through_shell(Command command, const std::string& script) const {
    command.arguments.insert(command.arguments.begin(), {"-c", script + name_, command.program.string()});
    command.program = "/bin/sh";
    return command;
  }

  int own_ = -1;
  std::string name_;
};

}  // namespace taskhost::test
