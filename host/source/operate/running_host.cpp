#include "operate/running_host.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "control/place.hpp"
#include "operate/selection.hpp"
#include "operate/table.hpp"
#include "taskhost/taskhost.h"
#include "text/counted.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::string_view suffix = ".sock";
constexpr std::string_view product = "taskhost/";

std::string user() { return "user " + std::to_string(::geteuid()); }

std::string owner_words(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "its owner";
  return "its owner, user " + std::to_string(status.st_uid);
}

bool is_private(const std::string& directory) {
  struct stat status {};
  return ::lstat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
         (status.st_uid == ::geteuid() || status.st_uid == 0) && (status.st_mode & 022) == 0;
}

std::vector<std::string> names_of(const std::vector<HostPlace>& hosts) {
  std::vector<std::string> names;
  for (const HostPlace& host : hosts) names.push_back(host.name);
  return names;
}

std::string how_to_start() { return "start one: taskhost MANIFEST; or name a socket: --host PATH"; }

bool is_socket(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) != 0 || S_ISSOCK(status.st_mode);
}

}  // namespace

std::vector<std::string> own_control_directories() {
  std::vector<std::string> directories{control_directory()};
  if (const std::string id = std::to_string(::geteuid()); id != "0") {
    for (const std::string& other : {"/run/user/" + id + "/taskhost", "/tmp/taskhost-" + id}) {
      if (other != directories.front()) directories.push_back(other);
    }
  }
  std::erase_if(directories, [](const std::string& directory) { return !is_private(directory); });
  return directories;
}

std::vector<HostPlace> control_sockets(const std::vector<std::string>& directories) {
  std::vector<HostPlace> places;
  for (const std::string& directory : directories) {
    DIR* const stream = ::opendir(directory.c_str());
    if (stream == nullptr) continue;
    while (const dirent* const entry = ::readdir(stream)) {  // NOLINT(concurrency-mt-unsafe): a stream of our own
      const std::string_view file = entry->d_name;
      if (file.size() <= suffix.size() || file.front() == '.' || !file.ends_with(suffix)) continue;
      std::string path = directory + '/' + std::string(file);
      if (!is_socket(path)) continue;
      places.push_back({std::string(file.substr(0, file.size() - suffix.size())), std::move(path)});
    }
    ::closedir(stream);
  }
  std::stable_sort(places.begin(), places.end(),
                   [](const HostPlace& left, const HostPlace& right) { return left.name < right.name; });
  return places;
}

std::vector<HostPlace> live_hosts() {
  std::vector<HostPlace> live = control_sockets(own_control_directories());
  std::erase_if(live, [](const HostPlace& place) {
    const ControlClient::Trouble trouble = ControlClient(place.path, std::chrono::milliseconds(100)).trouble();
    return trouble == ControlClient::Trouble::unanswered || trouble == ControlClient::Trouble::absent;
  });
  return live;
}

HostPlace find_host(const std::string& option) {
  if (option.find('/') != std::string::npos) {
    std::string name = option.substr(option.rfind('/') + 1);
    if (name.size() > suffix.size() && name.ends_with(suffix)) name.resize(name.size() - suffix.size());
    return {std::move(name), option};
  }
  const std::vector<HostPlace> hosts = live_hosts();
  if (option.empty()) {
    if (hosts.size() == 1) return hosts.front();
    if (!hosts.empty()) {
      throw Refusal(operate_wrong_usage, counted(hosts.size(), "host") + " are running, " +
                                             some_of(names_of(hosts), 8) + ": say which one, such as --host " +
                                             hosts.front().name);
    }
    throw Refusal(operate_no_such, "no host of " + user() + " is running (none in " +
                                       printable_path(control_directory()) + "); " + how_to_start());
  }
  const auto found = std::find_if(hosts.begin(), hosts.end(), [&](const auto& host) { return host.name == option; });
  if (found != hosts.end()) return *found;
  if (hosts.empty()) {
    throw Refusal(operate_no_such, "there is no host \"" + terminal_text(option, 100) + "\": no host of " + user() +
                                       " is running (none in " + printable_path(control_directory()) + "); " +
                                       how_to_start());
  }
  throw Refusal(operate_no_such, no_such("host", option, names_of(hosts)));
}

RunningHost::RunningHost(HostPlace place)
    : place_(std::move(place)), client_(std::make_unique<ControlClient>(place_.path, patience)) {
  if (client_->trouble() != ControlClient::Trouble::none) refuse();
}

void RunningHost::refuse() const {
  using Trouble = ControlClient::Trouble;
  const std::string where = quoted_path(place_.path);
  const std::string who = "host \"" + terminal_text(place_.name, 100) + '"';
  const std::string time = std::to_string(patience.count()) + " s";
  switch (client_->trouble()) {
    case Trouble::absent:
      throw Refusal(operate_no_such,
                    "there is no socket " + where + ": no host listens there; taskhost ps lists those " + "that run");
    case Trouble::unanswered:
      if (!is_socket(place_.path)) {
        throw Refusal(operate_no_such, where + " is no socket; taskhost ps lists the hosts that run");
      }
      throw Refusal(operate_no_such, "nobody listens at " + where +
                                         ": the host that it belonged to is gone; taskhost ps lists those that run");
    case Trouble::forbidden:
      throw Refusal(operate_failed, who + " is there, but " + user() + " may not use " + where + ": ask as " +
                                        owner_words(place_.path) + ", or as root");
    case Trouble::long_path:
      throw Refusal(operate_wrong_usage, "no socket can have a path as long as " + where +
                                             ": change into its directory and give the rest, with ./ before it");
    case Trouble::slow:
      throw Refusal(operate_failed, who + (process() > 0 ? ", process " + std::to_string(process()) + "," : "") +
                                        " did not answer within " + time +
                                        ": try again; if it goes on, it is stopped (SIGSTOP, a debugger) or starved");
    case Trouble::gone:
      throw Refusal(operate_failed, who + " went away while it was asked; taskhost ps shows whether it runs");
    case Trouble::not_http:
    case Trouble::too_large:
      throw Refusal(operate_failed, "what listens at " + where + " does not answer as a taskhost does: name another " +
                                        "socket, or ask with the taskhost that it belongs to");
    default:
      throw Refusal(operate_failed,
                    "can't ask " + who + " at " + where + ": " + std::generic_category().message(client_->error()));
  }
}

std::string RunningHost::version_words() const {
  const std::string own = std::string(product) + taskhost_version();
  if (!server_.starts_with(product) || server_ == own) return {};
  return " (the host is " + terminal_text(server_, 60) + ", and this program " + own + ": use the host's)";
}

RunningHost::Call RunningHost::call(std::string_view method, const std::string& target) {
  std::optional<ControlClient::Answer> answer;
  if (client_->send(method, target)) answer = client_->receive(patience);
  if (!answer) refuse();
  server_ = answer->server;
  Call call{.status = answer->status, .json = Json::parse(answer->body, nullptr, false)};
  if (!call.json.is_object()) {
    throw Refusal(operate_failed, "what listens at " + quoted_path(place_.path) +
                                      " does not answer as a taskhost does: " + "status " +
                                      std::to_string(call.status) + " without a JSON object" + version_words());
  }
  return call;
}

Json RunningHost::get(const std::string& target) {
  Call answer = call("GET", target);
  if (answer.status != 200) throw refusal_of(answer);
  return std::move(answer.json);
}

Refusal RunningHost::refusal_of(const Call& call) const {
  const std::string message = call.message();
  const std::string words =
      message.empty() ? "it answers with status " + std::to_string(call.status) : terminal_text(message);
  if (call.status == 403) return {operate_failed, "host \"" + terminal_text(place_.name, 100) + "\" refuses: " + words};
  const bool is_known_call = version_words().empty();
  return {call.status == 404 && is_known_call ? operate_no_such : operate_failed,
          "host \"" + terminal_text(place_.name, 100) + "\": " + words + version_words()};
}

Json RunningHost::tasks() {
  Json answer = get("/v1/tasks");
  Json tasks = Json::array();
  const auto listed = answer.find("tasks");
  if (listed == answer.end() || !listed->is_array()) {
    throw Refusal(operate_failed, "host \"" + terminal_text(place_.name, 100) +
                                      "\" does not list its tasks as expected" + version_words());
  }
  for (Json& task : *listed) {
    if (!text_field(task, "name").empty()) tasks.push_back(std::move(task));
  }
  return tasks;
}

}  // namespace taskhost
