// A running host, as the commands that talk to it see it: calls of its API, whose troubles become a Refusal that says
// what to do. One thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operate/answers.hpp"
#include "operate/client.hpp"

namespace taskhost {

// Where a control socket is, and its host's name for the commands: that of the file.
struct HostPlace {
  std::string name;
  std::string path;
};

// The directories in which hosts of this user have their sockets: that of this process's environment, and those that
// one started with another environment, such as by cron, would choose. Only such as nobody else may write to.
std::vector<std::string> own_control_directories();

// With those of other users, for root.
std::vector<std::string> all_control_directories();

// The sockets there, by name; also those of hosts that are gone.
std::vector<HostPlace> control_sockets(const std::vector<std::string>& directories);

class RunningHost {
 public:
  static constexpr std::chrono::seconds patience{5};

  struct Call {
    unsigned status = 0;
    Json json{};
    bool is_good() const noexcept { return status == 200 || status == 202; }
    std::string message() const { return text_field(json, "message"); }
  };

  // Connects. Throws Refusal. `interrupt` as in ControlClient.
  explicit RunningHost(HostPlace place, int interrupt = -1);

  const std::string& name() const noexcept { return place_.name; }
  const std::string& path() const noexcept { return place_.path; }
  pid_t process() const noexcept { return client_->peer_process(); }

  // Throw Refusal, also for an answer that is no JSON object. `call` accepts any status, `get` only 200.
  Call call(std::string_view method, const std::string& target);
  Json get(const std::string& target);
  // GET, for records: hands over each as it comes. `follows`: silences may last. False if `take` wanted no more, or
  // nobody reads what this program prints.
  bool read(const std::string& target, bool follows, const std::function<bool(const Json& record)>& take);
  // What a call that is not good means.
  Refusal refusal_of(const Call& call) const;

  Json tasks();  // an array of objects with names

 private:
  [[noreturn]] void refuse() const;
  std::string version_words() const;

  HostPlace place_;
  std::unique_ptr<ControlClient> client_;
  std::string server_;
};

HostPlace place_at(const std::string& path);

// What --host takes for each: its name, or its path if others have the same name.
std::vector<std::string> options_for(const std::vector<HostPlace>& hosts);

// "--host": a name, or a path if it has a slash; empty: the only host that runs. Throws Refusal.
HostPlace find_host(const std::string& option);

// Those that somebody listens at.
std::vector<HostPlace> live_hosts();

}  // namespace taskhost
