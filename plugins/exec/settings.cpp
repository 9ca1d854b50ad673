#include "settings.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "descriptor.hpp"
#include "plugin_support/path.hpp"
#include "taskhost/sdk/config.hpp"

namespace exec {

namespace sdk = taskhost::sdk;
using Json = nlohmann::json;
using namespace nlohmann::literals;

namespace {

constexpr std::pair<std::string_view, int> stop_signals[] = {
    {"SIGTERM", SIGTERM}, {"SIGINT", SIGINT},   {"SIGQUIT", SIGQUIT}, {"SIGHUP", SIGHUP},
    {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2}, {"SIGKILL", SIGKILL},
};

sdk::Failure wrong(const std::string& pointer, const std::string& words) {
  return sdk::Failure("config: " + pointer + ": " + words);
}

// What reaches a program ends at the first NUL.
std::string whole(const std::string& pointer, std::string_view text) {
  if (text.find('\0') != std::string_view::npos) throw wrong(pointer, "must not contain \\u0000");
  return std::string(text);
}

std::vector<std::string> read_texts(const sdk::Config& config, const std::string& pointer) {
  std::vector<std::string> texts;
  const std::size_t count = config.count(pointer.c_str());
  for (std::size_t index = 0; index < count; ++index) {
    const std::string place = pointer + "/" + std::to_string(index);
    config.require(place.c_str());
    texts.push_back(whole(place, config.text(place.c_str())));
  }
  return texts;
}

std::string_view name_of(const std::string& variable) {
  return std::string_view(variable).substr(0, variable.find('='));
}

void remove(std::vector<std::string>& environment, std::string_view name) {
  std::erase_if(environment, [name](const std::string& variable) { return name_of(variable) == name; });
}

// The host's own, without what a service manager has told the host alone, and with what the config says.
std::vector<std::string> read_environment(const Json& config) {
  std::vector<std::string> environment;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  for (const char* name :
       {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
    remove(environment, name);
  }
  const auto given = config.find("env");
  if (given == config.end()) return environment;
  if (!given->is_object()) throw wrong("/env", R"(must be an object such as {"LANG": "C.UTF-8", "DEBUG": null})");
  for (const auto& [name, value] : given->items()) {
    const std::string place = "/env/" + name;
    if (name.empty() || name.find('=') != std::string::npos) {
      throw wrong("/env", "a name must not be empty or have a =");
    }
    if (!value.is_string() && !value.is_null()) {
      throw wrong(place, "must be a string, or null to leave the host's variable out");
    }
    remove(environment, whole(place, name));
    if (value.is_string()) environment.push_back(name + "=" + whole(place, value.get_ref<const std::string&>()));
  }
  return environment;
}

std::string path_of(const std::vector<std::string>& environment) {
  for (const std::string& variable : environment) {
    if (name_of(variable) == "PATH") return variable.substr(5);
  }
  return "/usr/local/bin:/usr/bin:/bin";
}

// "" if it may be executed; else why not.
std::string problem_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::generic_category().message(errno);
  if (S_ISDIR(status.st_mode)) return "it is a directory";
  if (::access(path.c_str(), X_OK) != 0) return "it may not be executed; chmod +x makes it a program";
  return {};
}

std::string find_program(sdk::Context context, const std::string& name, const std::vector<std::string>& environment) {
  if (name.find('/') != std::string::npos) {
    std::string path = plugin_support::located(context.exec(), name);
    if (const std::string problem = problem_of(path); !problem.empty()) throw wrong("/argv/0", path + ": " + problem);
    return path;
  }
  const std::string directories = path_of(environment);
  for (std::size_t begin = 0; begin <= directories.size();) {
    const std::size_t end = std::min(directories.find(':', begin), directories.size());
    std::string path = directories.substr(begin, end - begin);
    begin = end + 1;
    if (!path.starts_with('/')) continue;
    path.append("/").append(name);
    if (problem_of(path).empty()) return path;
  }
  const bool has_arguments = name.find(' ') != std::string::npos;
  throw wrong("/argv/0", "there is no program \"" + name + "\" in " + directories + "; " +
                             (has_arguments ? R"(each argument is a string of its own, such as ["sleep", "5"])"
                                            : "give its path"));
}

std::string find_directory(sdk::Context context, const sdk::Config& config) {
  const std::string given = whole("/directory", config.text("/directory", "."));
  std::string path = plugin_support::located(context.exec(), given.empty() ? "." : given);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    throw wrong("/directory", path + ": " + std::generic_category().message(errno));
  }
  if (!S_ISDIR(status.st_mode)) throw wrong("/directory", path + ": it is not a directory");
  if (::access(path.c_str(), X_OK) != 0) throw wrong("/directory", path + ": it may not be entered");
  return path;
}

std::vector<int> read_statuses(const sdk::Config& config) {
  const std::size_t count = config.count("/ok_statuses");
  std::vector<int> statuses;
  for (std::size_t index = 0; index < count; ++index) {
    const std::string place = "/ok_statuses/" + std::to_string(index);
    statuses.push_back(static_cast<int>(config.integer(place.c_str(), 0, sdk::between(0, 255))));
  }
  return statuses.empty() ? std::vector{0} : statuses;
}

int read_signal(const sdk::Config& config) {
  const std::string_view name = config.text("/stop_signal", "SIGTERM");
  std::string names;
  for (const auto& [known, number] : stop_signals) {
    if (known == name) return number;
    names += (names.empty() ? "" : ", ") + std::string(known);
  }
  throw wrong("/stop_signal", "must be one of " + names);
}

// "127.0.0.1:8080" or "[::1]:8080".
std::optional<Connected> read_address(const std::string& text) {
  Connected address{};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  std::string host = text.substr(0, colon);
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, port);
  if (error != std::errc() || rest != end || port == 0) return std::nullopt;
  sockaddr_in version4{};
  version4.sin_family = AF_INET;
  version4.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &version4.sin_addr) == 1) {
    std::memcpy(&address.address, &version4, sizeof version4);
    address.size = sizeof version4;
    return address;
  }
  sockaddr_in6 version6{};
  version6.sin6_family = AF_INET6;
  version6.sin6_port = htons(port);
  if (!host.starts_with('[') || !host.ends_with(']')) return std::nullopt;
  host = host.substr(1, host.size() - 2);
  if (::inet_pton(AF_INET6, host.c_str(), &version6.sin6_addr) != 1) return std::nullopt;
  std::memcpy(&address.address, &version6, sizeof version6);
  address.size = sizeof version6;
  return address;
}

Readiness read_readiness(const Json& config) {
  const auto given = config.find("ready");
  if (given == config.end() || *given == "started") return Started{};
  if (*given == "notify") {
    if (config.contains("/env/NOTIFY_SOCKET"_json_pointer)) {
      throw wrong("/env/NOTIFY_SOCKET", R"(must be absent with "ready": "notify", which sets it)");
    }
    return Notified{};
  }
  if (given->is_object() && given->size() == 1 && given->begin().value().is_string()) {
    auto text = given->begin().value().get<std::string>();
    if (given->begin().key() == "line" && !text.empty()) {
      if (text.find('\n') != std::string::npos) throw wrong("/ready/line", "must be part of one line");
      std::replace(text.begin(), text.end(), '\t', ' ');  // as in the lines
      return Printed{text};
    }
    if (given->begin().key() == "tcp") {
      if (const auto address = read_address(text)) return *address;
      throw wrong("/ready/tcp", "must be a numeric address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"");
    }
  }
  throw wrong("/ready", R"(must be "started", "notify", {"line": "part of a line"} or {"tcp": "127.0.0.1:8080"})");
}

}  // namespace

Settings read_settings(sdk::Context context) {
  const sdk::Config config(context);
  config.keys("argv env directory stop_signal ok_statuses ready");
  Settings settings;
  settings.arguments = read_texts(config, "/argv");
  if (settings.arguments.empty() || settings.arguments.front().empty()) {
    throw wrong("/argv", R"(must be a program with its arguments, such as ["backup", "--all"])");
  }
  const Json json = Json::parse(context.config());
  settings.environment = read_environment(json);
  settings.directory = find_directory(context, config);
  settings.stop_signal = read_signal(config);
  settings.ok_statuses = read_statuses(config);
  settings.ready = read_readiness(json);
  settings.program = find_program(context, settings.arguments.front(), settings.environment);
  // In another directory, a relative path would lead a program that looks for its own files astray.
  const bool is_path = settings.arguments.front().find('/') != std::string::npos;
  if (is_path) settings.arguments.front() = settings.program;
  return settings;
}

}  // namespace exec
