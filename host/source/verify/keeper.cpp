#include "verify/keeper.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <exception>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace taskhost::verify {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using KeeperClock = std::chrono::steady_clock;

constexpr milliseconds look_each{20};
constexpr milliseconds time_to_go{200};  // for what the test has asked to end
constexpr seconds time_to_kill{5};
constexpr std::size_t most_names = 1000;

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code error;
  const std::filesystem::path tasks = "/proc/" + std::to_string(parent) + "/task";
  for (auto entry = std::filesystem::directory_iterator(tasks, error); !error && entry != std::filesystem::end(entry);
       entry.increment(error)) {
    std::ifstream file(entry->path() / "children");
    for (pid_t child = 0; file >> child;) children.push_back(child);
  }
  return children;
}

std::vector<pid_t> descendants(std::size_t most) {
  std::vector<pid_t> found = children_of(::getpid());
  for (std::size_t i = 0; i < found.size() && found.size() <= most; ++i) {
    const std::vector<pid_t> children = children_of(found[i]);
    found.insert(found.end(), children.begin(), children.end());
  }
  return found;
}

// Empty if it is no more, or waits only to be reaped.
std::string name_of_running(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string stat;
  std::getline(file, stat);
  const std::size_t begin = stat.find('(') + 1;
  const std::size_t end = stat.rfind(')');
  if (end == std::string::npos || stat.compare(end, 3, ") Z") == 0 || stat.compare(end, 3, ") X") == 0) return {};
  return end > begin ? stat.substr(begin, end - begin) : "?";
}

std::vector<std::string> names_of_running() {
  std::vector<std::string> names;
  for (const pid_t process : descendants(most_names)) {
    if (std::string name = name_of_running(process); !name.empty()) names.push_back(std::move(name));
  }
  return names;
}

bool has_ended(pid_t test) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(test), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == test;
}

// Kills children only: as long as they are not reaped, their ids are their own. Theirs become children then.
void end_all(pid_t test, Kept& kept) {
  const auto kill_with_group = [](pid_t process) {
    ::kill(-process, SIGKILL);  // if it leads one
    ::kill(process, SIGKILL);
  };
  const auto reap = [&](pid_t process) {
    int status = 0;
    if (::waitpid(process, &status, WNOHANG) != process) return false;
    if (process == test) kept.wait_status = status;
    return true;
  };
  kill_with_group(test);
  for (const auto until = KeeperClock::now() + time_to_kill; KeeperClock::now() < until;) {
    const std::vector<pid_t> children = children_of(::getpid());
    if (children.empty()) break;
    std::for_each(children.begin(), children.end(), kill_with_group);
    if (std::count_if(children.begin(), children.end(), reap) == 0) ::poll(nullptr, 0, 1);
  }
  if (!kept.wait_status) reap(test);  // in a system whose /proc does not list children
}

// Returns how many had ended.
std::size_t reap_others(pid_t test) {
  const std::vector<pid_t> children = children_of(::getpid());
  return static_cast<std::size_t>(std::count_if(children.begin(), children.end(), [test](pid_t child) {
    return child != test && ::waitpid(child, nullptr, WNOHANG) == child;
  }));
}

Kept watch(pid_t test, int lifeline) {
  Kept kept;
  const Descriptor end_of_test(static_cast<int>(::syscall(SYS_pidfd_open, test, 0)));
  const int pause = end_of_test.is_open() ? static_cast<int>(look_each.count()) : 5;
  bool is_over = false;
  bool is_called_off = false;
  for (auto next_look = KeeperClock::now() + look_each; !is_over && !is_called_off && !kept.had_too_many_processes;) {
    std::array<pollfd, 2> polled{{{lifeline, POLLIN, 0}, {end_of_test.get(), POLLIN, 0}}};
    ::poll(polled.data(), polled.size(), pause);
    is_called_off = polled[0].revents != 0;
    is_over = has_ended(test);
    if (is_over || KeeperClock::now() < next_look) continue;
    reap_others(test);
    kept.had_too_many_processes = descendants(max_processes).size() > max_processes;
    next_look = KeeperClock::now() + look_each;
  }
  if (is_over) {
    int looks = 0;  // that found one more process that had ended
    for (const auto until = KeeperClock::now() + time_to_go; !is_called_off;) {
      kept.left_running = names_of_running();
      const bool has_one_ended = reap_others(test) > 0;
      looks += has_one_ended ? 1 : 0;
      const bool are_gone = kept.left_running.empty() && !has_one_ended;
      if (are_gone || KeeperClock::now() >= until) break;
      pollfd called{lifeline, POLLIN, 0};
      is_called_off = ::poll(&called, 1, 5) > 0;
    }
    constexpr int chain = 10;
    if (kept.left_running.empty() && looks >= chain && !is_called_off) {
      kept.left_running.emplace_back("a process that forks the next one and ends");
    }
  }
  end_all(test, kept);
  return kept;
}

[[noreturn]] void keep(Pipe& report, Pipe& lifeline, const std::function<void(pid_t)>& test) {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  ::signal(SIGCHLD, SIG_DFL);  // children that are ignored can't be waited for
  ::signal(SIGPIPE, SIG_IGN);
  ::setpgid(0, 0);  // the terminal's signals are for the one that verifies
  ::prctl(PR_SET_CHILD_SUBREAPER, 1UL);
  lifeline.write.close();
  report.read.close();
  nlohmann::json words;
  try {
    const pid_t self = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) throw std::system_error(errno, std::generic_category());
    if (child == 0) {
      lifeline.read.close();
      report.write.close();
      test(self);
      ::_exit(0);
    }
    const Kept kept = watch(child, lifeline.read.get());
    words = {{"too_many", kept.had_too_many_processes}, {"left", kept.left_running}};
    if (kept.wait_status) words["status"] = *kept.wait_status;
  } catch (const std::system_error& error) {
    words = {{"error", error.code().value()}};
  }
  const std::string line = words.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  for (std::size_t written = 0; written < line.size();) {
    const ssize_t size = ::write(report.write.get(), line.data() + written, line.size() - written);
    if (size <= 0) break;
    written += static_cast<std::size_t>(size);
  }
  ::_exit(0);
}

Kept read_report(const std::string& line) {
  const nlohmann::json words = nlohmann::json::parse(line, nullptr, false);
  Kept kept;
  if (!words.is_object()) return kept;
  if (words.contains("error")) {
    throw std::system_error(words["error"].get<int>(), std::generic_category(), "no process");
  }
  if (words.contains("status")) kept.wait_status = words["status"].get<int>();
  kept.had_too_many_processes = words["too_many"].get<bool>();
  kept.left_running = words["left"].get<std::vector<std::string>>();
  return kept;
}

}  // namespace

Keeper::Keeper(const std::function<void(pid_t parent)>& test) {
  Pipe report;
  Pipe lifeline;
  process_ = ::fork();
  if (process_ < 0) throw std::system_error(errno, std::generic_category(), "no process");
  if (process_ == 0) {
    try {
      keep(report, lifeline, test);
    } catch (const std::exception&) {
      ::_exit(1);
    }
  }
  report_.reset(report.read.release());
  lifeline_.reset(lifeline.write.release());
}

Keeper::~Keeper() {
  if (process_ == 0) return;
  lifeline_.close();
  pollfd polled{report_.get(), POLLIN, 0};
  constexpr auto longest = std::chrono::duration_cast<milliseconds>(2 * time_to_kill);
  if (::poll(&polled, 1, static_cast<int>(longest.count())) == 0) ::kill(process_, SIGKILL);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Kept Keeper::end() {
  lifeline_.close();
  ::kill(process_, SIGCONT);  // a plugin may have stopped it
  std::string line;
  for (const auto until = KeeperClock::now() + 2 * time_to_kill; !line.ends_with('\n');) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - KeeperClock::now());
    pollfd polled{report_.get(), POLLIN, 0};
    if (left <= milliseconds(0) || ::poll(&polled, 1, static_cast<int>(left.count())) == 0) break;
    std::array<char, 4096> buffer;
    const ssize_t size = ::read(report_.get(), buffer.data(), buffer.size());
    if (size == 0 || (size < 0 && errno != EINTR)) break;
    if (size > 0) line.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return read_report(line);
}

}  // namespace taskhost::verify
