// Has an isolated task die again and again, in each way, while others tick; fails if any of those is lost, a death is
// not told as what it is, a fork bomb gets beyond its limit, or a descriptor or a process is left behind.
//
//   taskhost-soak-deaths [--times N] [--ticking N] [--all | WAY…]
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace {

using namespace taskhost::test;
using namespace std::chrono_literals;

constexpr unsigned bomb_limit = 40;  // processes and threads of its user
constexpr const char* bomb_user = "nobody";

struct Wanted {
  unsigned times = 1000;
  unsigned ticking = 100;
};

struct Way {
  const char* how;
  const char* where;
  const char* end;      // what it returns if it survives; "" if it then waits for the stop
  const char* message;  // a part of what is told
  bool is_quick = true;
  bool is_deaf = false;  // it is killed each time by its watchdog
  bool is_bomb = false;  // has a limit of processes, and a user of its own for it
};
constexpr Way ways[] = {
    {"segv", "poll", "", "killed by SIGSEGV"},
    {"segv", "start", "", "killed by SIGSEGV"},
    {"segv", "drop", "ok", "killed by SIGSEGV"},
    {"bus", "poll", "", "killed by SIGBUS"},
    {"ill", "poll", "", "killed by SIGILL"},
    {"abort", "poll", "", "killed by SIGABRT"},
    {"exit 0", "poll", "", "ended the process with status 0"},
    {"_exit 3", "poll", "", "ended the process with status 3"},
    {"quick_exit 3", "poll", "", "ended the process with status 3"},
    {"throw in a thread", "poll", "", "killed by SIGABRT"},
    {"stack", "poll", "", "killed by SIGSEGV"},
    {"descriptors", "poll", "error", "it survived"},
    {"close others", "poll", "error", "rule 5.1"},
    {"close all", "poll", "error", "ended the process with status 1"},
    {"garbage", "poll", "error", "rule 5.1"},
    {"kill group", "poll", "", "killed by SIGKILL"},
    {"child", "poll", "", "ended the process with status 3"},
    {"threads", "poll", "error", "it survived"},
    {"child in a session that writes", "poll", "", "ended the process with status 3", false},
    {"memory", "poll", "", "bad_alloc", false},
    {"spin", "poll", "", "no heartbeat for ", false, true},
    {"spin", "start", "", "not ready within ", false, true},
    {"lock", "poll", "", "no heartbeat for ", false, true},
    {"sigstop", "poll", "", "no heartbeat for ", false, true},
    {"fork bomb", "poll", "", "no heartbeat for ", false, true, true},
};

std::string manifest_of(const Way& way, const Wanted& wanted) {
  const auto quoted = [](const std::string& text) { return '"' + text + '"'; };
  std::string text =
      "{\"plugin_dirs\": [" + quoted(TASKHOST_TEST_PLUGIN_DIRECTORY) + ", " +
      quoted(TASKHOST_TEST_BAD_PLUGIN_DIRECTORY) + "],\n \"tasks\": [\n  {\"name\": \"victim\", " +
      "\"plugin\": \"dies\", \"task\": \"dies\", \"type\": \"detachable\", \"isolation\": \"process\", " +
      "\"restarts\": " + std::to_string(wanted.times - 1) + ", ";
  if (way.is_deaf && std::string_view(way.where) == "start") {
    text += "\"ready\": \"notify\", \"start_timeout\": \"20ms\", \"stop_timeout\": \"10ms\", ";
  } else if (way.is_deaf) {
    // A bomb has the time to get to its limit.
    text += std::string("\"watchdog\": {\"interval\": \"") + (way.is_bomb ? "150ms" : "20ms") +
            "\", \"action\": \"restart\"}, \"stop_timeout\": \"10ms\", ";
  }
  if (way.is_bomb) {
    text += "\"user\": " + quoted(bomb_user) + ", \"limits\": {\"processes\": " + std::to_string(bomb_limit) + "}, ";
  }
  text += "\"config\": {\"how\": " + quoted(way.how) + ", \"where\": " + quoted(way.where) +
          ", \"end\": " + quoted(way.end) + "}}";
  for (unsigned number = 0; number < wanted.ticking; ++number) {
    text +=
        ",\n  {\"name\": \"tick " + std::to_string(number) +
        "\", \"plugin\": \"probe\", \"type\": \"mandatory\", \"config\": {\"heartbeat\": \"10ms\"}, \"watchdog\": " +
        "{\"interval\": \"2s\", \"action\": \"restart\"}}";
  }
  return text + "]}\n";
}

std::size_t count_descriptors(pid_t process) {
  std::error_code error;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator i("/proc/" + std::to_string(process) + "/fd", error), end;
       !error && i != end; i.increment(error)) {
    ++count;
  }
  return count;
}

std::size_t count_children(pid_t process) {
  std::size_t count = 0;
  std::error_code error;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task", error)) {
    std::ifstream children(thread.path() / "children");
    for (std::string child; children >> child;) ++count;
  }
  return count;
}

// What the host starts has this in its environment, wherever it goes.
std::string mark() { return "TASKHOST_SOAK_DEATHS=" + std::to_string(::getpid()); }

// Also of a process that ends meanwhile, which streams answer with an exception.
std::string text_of(const std::filesystem::path& file) {
  std::string text(65536, '\0');
  std::FILE* const opened = std::fopen(file.c_str(), "re");
  if (opened == nullptr) return {};
  text.resize(std::fread(text.data(), 1, text.size(), opened));
  std::fclose(opened);
  return text;
}

// The processes and threads with the mark that there are in each session, without zombies.
std::map<int, std::size_t> count_marked(std::optional<uid_t> user = std::nullopt) {
  std::map<int, std::size_t> counts;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    struct stat status {};
    const bool is_process = std::isdigit(static_cast<unsigned char>(entry.path().filename().native()[0])) != 0;
    if (!is_process || ::stat(entry.path().c_str(), &status) != 0 || (user && status.st_uid != *user)) continue;
    if (('\0' + text_of(entry.path() / "environ")).find('\0' + mark() + '\0') == std::string::npos) continue;
    const std::string facts = text_of(entry.path() / "stat");
    char state = 0;
    int session = 0;
    std::size_t threads = 0;
    const std::size_t end = facts.rfind(')');
    if (end == std::string::npos) continue;
    const int found = std::sscanf(facts.c_str() + end + 1,
                                  " %c %*d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d"
                                  " %*d %*d %zu",
                                  &state, &session, &threads);
    if (found == 3 && state != 'Z') counts[session] += threads;
  }
  return counts;
}

// With those that nobody has reaped, which count for its limit.
bool has_processes(uid_t user) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    struct stat status {};
    const bool is_process = std::isdigit(static_cast<unsigned char>(entry.path().filename().native()[0])) != 0;
    if (is_process && ::stat(entry.path().c_str(), &status) == 0 && status.st_uid == user) return true;
  }
  return false;
}

// Why nothing here can be a fork bomb; "" if it can.
std::string bomb_problem() {
  if (::geteuid() != 0) return "only root can give it a user of its own";
  const std::string library = std::string(TASKHOST_TEST_BAD_PLUGIN_DIRECTORY) + "/dies.so";
  Command command;
  command.program = "setpriv";
  command.arguments = {"--reuid", bomb_user, "--clear-groups", "test", "-r", library};
  const bool is_readable = Process(command).wait(30s).status == 0;
  return is_readable ? "" : std::string("the user ") + bomb_user + " can't read " + library;
}

// Lines of the events that have all these words.
struct Counted {
  std::size_t deaths = 0;
  std::size_t told = 0;
  std::string wrong;       // an exit that is told otherwise
  std::size_t others = 0;  // exits, restarts and stalls of those that tick
  bool is_over = false;
};
void take(const std::string& line, const Way& way, Counted& counted) {
  const auto has = [&line](std::string_view words) { return line.find(words) != std::string::npos; };
  const bool is_of_victim = has("\"task\":\"victim\"");
  const bool is_exit = has("\"task_exited\"");
  if (is_of_victim && is_exit) {
    ++counted.deaths;
    if (has(way.message)) {
      ++counted.told;
    } else {
      counted.wrong = line;
    }
  }
  if (!is_of_victim && (is_exit || has("\"task_stalled\""))) ++counted.others;
  if (is_of_victim && has("\"task_discarded\"")) counted.is_over = true;
}

bool soak(const Way& way, const Wanted& wanted) {
  const unsigned times = wanted.times;
  const TemporaryDirectory directory;
  const std::filesystem::path events = directory / "events.jsonl";
  Command command;
  command.program = TASKHOST_TEST_PROGRAM;
  command.arguments = {"run",           "--log-level",
                       "error",         "--events",
                       events.string(), directory.write("manifest.json", manifest_of(way, wanted)).string()};
  command.environment = {mark()};
  command.limits = {{RLIMIT_CORE, 0}, {RLIMIT_FSIZE, rlim_t{1} << 30}};
  const passwd* const user = way.is_bomb ? ::getpwnam(bomb_user) : nullptr;
  if (user != nullptr) eventually([user] { return !has_processes(user->pw_uid); }, 10s);  // of the last bomb
  const auto start = std::chrono::steady_clock::now();
  Process host(command);
  std::ifstream file;
  std::string line;
  Counted counted;
  std::size_t before = 0;
  std::size_t most = 0;  // processes and threads of one bomb
  eventually(
      [&] {
        if (!file.is_open()) file.open(events);
        file.clear();
        for (std::string part; std::getline(file, part);) {
          line += part;
          if (file.eof()) break;  // the rest comes later
          take(std::exchange(line, {}), way, counted);
        }
        if (user != nullptr) {
          for (const auto& [session, count] : count_marked(user->pw_uid)) most = std::max(most, count);
        }
        if (before == 0 && counted.deaths >= 3) before = count_descriptors(host.id());
        return counted.is_over || !host.running();
      },
      std::chrono::seconds(30 + times));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const bool is_clean = eventually([&] { return count_children(host.id()) == 0; }, 5s);
  const std::size_t after = count_descriptors(host.id());
  host.send(SIGTERM);
  const ProcessEnd end = host.wait(30s);
  const bool is_gone = eventually([] { return count_marked().empty(); }, 5s);
  const bool is_bounded = !way.is_bomb || (most <= bomb_limit && most > bomb_limit / 2);
  const bool is_good = end.status == 0 && counted.deaths == times && counted.told == times && counted.others == 0 &&
                       is_clean && is_gone && is_bounded && after <= before;
  std::printf(
      "%s %s in %s: %zu deaths, %zu told rightly, %.2f ms each; of %u others %zu exits and stalls; "
      "descriptors %zu, then %zu; %s; status %d\n",
      is_good ? "ok    " : "FAILED", way.how, way.where, counted.deaths, counted.told, seconds * 1000 / times,
      wanted.ticking, counted.others, before, after, is_clean && is_gone ? "no process left" : "processes left",
      end.status.value_or(-1));
  if (!counted.wrong.empty()) std::printf("       told otherwise: %s\n", counted.wrong.c_str());
  if (way.is_bomb) std::printf("       at most %zu processes and threads of %u at once\n", most, bomb_limit);
  std::fflush(stdout);
  return is_good;
}

}  // namespace

int main(int argument_count, char** arguments) {
  Wanted wanted;
  bool is_all = false;
  std::vector<std::string_view> named;
  for (int i = 1; i < argument_count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--all") {
      is_all = true;
    } else if (argument == "--times" && i + 1 < argument_count) {
      wanted.times = static_cast<unsigned>(std::atoi(arguments[++i]));
    } else if (argument == "--ticking" && i + 1 < argument_count) {
      wanted.ticking = static_cast<unsigned>(std::atoi(arguments[++i]));
    } else {
      named.push_back(argument);
    }
  }
  if (wanted.times < 4) {
    std::fprintf(stderr, "taskhost-soak-deaths [--times N] [--ticking N] [--all | WAY...], at least 4 times\n");
    return 2;
  }
  bool is_good = true;
  for (const Way& way : ways) {
    const bool is_named = std::find(named.begin(), named.end(), way.how) != named.end();
    if (!is_named && !(named.empty() && (is_all || way.is_quick))) continue;
    const std::string problem = way.is_bomb ? bomb_problem() : "";
    if (problem.empty()) {
      is_good = soak(way, wanted) && is_good;
    } else {
      std::printf("left out %s: %s\n", way.how, problem.c_str());
    }
  }
  return is_good ? 0 : 1;
}
