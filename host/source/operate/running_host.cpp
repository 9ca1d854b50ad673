#include "operate/running_host.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
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

// Leaves those to which nobody but their owner may write, so that no link leads elsewhere; each once, however it is
// written. Root may ask the hosts of all users.
void keep_private(std::vector<std::string>& directories) {
  std::set<std::pair<dev_t, ino_t>> seen;
  std::erase_if(directories, [&seen](const std::string& directory) {
    struct stat status {};
    const bool is_private = ::lstat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
                            (status.st_uid == ::geteuid() || status.st_uid == 0 || ::geteuid() == 0) &&
                            (status.st_mode & 022) == 0;
    return !is_private || !seen.emplace(status.st_dev, status.st_ino).second;
  });
}

void add_directories(std::vector<std::string>& directories, const char* parent, std::string_view prefix,
                     const char* inner) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(parent, ignored)) {
    if (!entry.path().filename().string().starts_with(prefix)) continue;
    directories.push_back(*inner == '\0' ? entry.path() : entry.path() / inner);
  }
}

std::string how_to_start() { return "start one: taskhost MANIFEST; or name a socket: --host PATH"; }

bool is_socket(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) != 0 || S_ISSOCK(status.st_mode);
}

}  // namespace

std::vector<std::string> own_control_directories() {
  std::vector<std::string> directories{control_directory()};
  if (::geteuid() == 0) {
    add_directories(directories, "/run", "taskhost-", "");  // of services, see taskhost@.service
  } else {
    const std::string id = std::to_string(::geteuid());
    for (const std::string& other : {"/run/user/" + id + "/taskhost", "/tmp/taskhost-" + id}) {
      if (other != directories.front()) directories.push_back(other);
    }
  }
  keep_private(directories);
  return directories;
}

std::vector<std::string> all_control_directories() {
  std::vector<std::string> directories = own_control_directories();
  if (::geteuid() != 0) return directories;
  add_directories(directories, "/run/user", "", "taskhost");
  add_directories(directories, "/tmp", "taskhost-", "");
  keep_private(directories);
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

HostPlace place_at(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  if (name.size() > suffix.size() && name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  return {std::move(name), path};
}

std::vector<std::string> options_for(const std::vector<HostPlace>& hosts) {
  std::map<std::string_view, std::size_t> uses;
  for (const HostPlace& host : hosts) ++uses[host.name];
  std::vector<std::string> options;
  for (const HostPlace& host : hosts) options.push_back(uses[host.name] == 1 ? host.name : host.path);
  return options;
}

// Of a service that does not run there is no host to ask.
std::string service_hint(const std::string& name) {
  if (::access(("/etc/taskhost/" + name + ".json").c_str(), F_OK) != 0) return {};
  const std::string unit = "taskhost@" + terminal_text(name, 100);
  return "; as a service: systemctl status " + unit + ", and journalctl -u " + unit + " says why it has ended";
}

HostPlace find_host(const std::string& option) {
  if (option.find('/') != std::string::npos) return place_at(option);
  const std::vector<HostPlace> all = live_hosts();
  std::vector<HostPlace> hosts = all;
  if (!option.empty()) std::erase_if(hosts, [&](const HostPlace& host) { return host.name != option; });
  if (hosts.size() == 1) return hosts.front();
  if (!hosts.empty()) {
    const std::vector<std::string> options = options_for(hosts);
    throw Refusal(operate_wrong_usage, counted(hosts.size(), "host") +
                                           (option.empty() ? " are running, " : " of this name are running, ") +
                                           some_of(options, 8) + ": say which one, such as --host " + options.front());
  }
  const std::string hint = option.empty() ? "" : service_hint(option);
  if (!all.empty()) throw Refusal(operate_no_such, no_such("host", option, options_for(all)) + hint);
  throw Refusal(operate_no_such, (option.empty() ? "" : "there is no host \"" + terminal_text(option, 100) + "\": ") +
                                     "no host of " + user() + " is running (none in " +
                                     printable_path(control_directory()) + ")" +
                                     (hint.empty() ? "; " + how_to_start() : hint));
}

RunningHost::RunningHost(HostPlace place, int interrupt)
    : place_(std::move(place)), client_(std::make_unique<ControlClient>(place_.path, patience, interrupt)) {
  if (client_->trouble() != ControlClient::Trouble::none) refuse();
}

void RunningHost::refuse() const {
  using Trouble = ControlClient::Trouble;
  const std::string where = quoted_path(place_.path);
  const std::string who = "host \"" + terminal_text(place_.name, 100) + '"';
  const std::string time = std::to_string(patience.count()) + 's';
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
      throw Refusal(operate_wrong_usage, "no socket can have a name as long as that of " + where);
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
  Call call{.status = answer->status, .json = parse_answer_json(answer->body)};
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

bool RunningHost::read(const std::string& target, bool follows, const std::function<bool(const Json& record)>& take) {
  std::optional<ControlClient::Answer> answer;
  if (client_->send("GET", target)) {
    const auto limit = follows ? std::nullopt : std::optional<std::chrono::nanoseconds>(patience);
    answer = client_->receive_lines(limit, [&](std::string_view line) {
      const Json record = parse_answer_json(line);
      return !record.is_object() || take(record);
    });
  }
  if (!answer && client_->trouble() == ControlClient::Trouble::none) return false;
  if (!answer) refuse();
  server_ = answer->server;
  if (answer->status == 200) return true;
  throw refusal_of({.status = answer->status, .json = parse_answer_json(answer->body)});
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
