// The config of a task: which program, and what is expected of it.
#pragma once

#include <sys/socket.h>

#include <csignal>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "taskhost/sdk/task.hpp"

namespace exec {

// When a program counts as ready.
struct Started {};   // once it has been started
struct Notified {};  // when it says so, as services tell systemd (sd_notify(3))
struct Printed {     // when it prints a line that contains this
  std::string text;
};
struct Connected {  // when a connection to this address is accepted
  sockaddr_storage address;
  socklen_t size;
};
using Readiness = std::variant<Started, Notified, Printed, Connected>;

struct Settings {
  std::string program;                   // a path
  std::vector<std::string> arguments;    // with the program's name, as given
  std::vector<std::string> environment;  // all of it: "NAME=value"
  std::string directory;
  int stop_signal = SIGTERM;
  std::vector<int> ok_statuses{0};
  Readiness ready;
};

// Throws a Failure that names the value and says what it should be.
Settings read_settings(taskhost::sdk::Context context);

}  // namespace exec
