// The log in a journal, and the unit that comes with taskhost.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

// A file that passes for the journal's stream.
class JournalFile {
 public:
  explicit JournalFile(const std::filesystem::path& path)
      : path_(path), descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
  ~JournalFile() { ::close(descriptor_); }
  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;

  void give_to(Command& command, bool is_right = true) const {
    struct stat status {};
    REQUIRE(::fstat(descriptor_, &status) == 0);
    command.err_descriptor = descriptor_;
    command.environment.push_back("JOURNAL_STREAM=" + std::to_string(status.st_dev) + ":" +
                                  std::to_string(status.st_ino + (is_right ? 0 : 1)));
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    std::istringstream text(text_of(path_));
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }

 private:
  const std::filesystem::path path_;
  const int descriptor_;
};

bool has_priority(const std::string& line) {
  return line.size() > 3 && line[0] == '<' && line[1] >= '3' && line[1] <= '7' && line[2] == '>';
}
bool contains(const std::vector<std::string>& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

}  // namespace

TEST_CASE("in a journal each line of the log has its priority, and neither a time nor a colour") {
  Scene scene;
  JournalFile journal(scene.directory() / "journal");
  scene.add(task("flaky", "probe", "detachable", {{"end", "error"}, {"message", "two\nlines"}}));
  scene.add(task("job", "probe", "mandatory", {{"end", "error"}, {"run_for", "500ms"}}));
  Command command = scene.command({"--log-level", "trace"});
  journal.give_to(command);
  CHECK(scene.start(command).finish().status() == 1);
  const std::vector<std::string> lines = journal.lines();
  for (const std::string& line : lines) {
    INFO(line);
    CHECK(has_priority(line));
    CHECK(line.find('\033') == std::string::npos);
    CHECK(line.find("20") != 3);
  }
  CHECK(contains(lines, "<6>[flaky] started"));
  CHECK(contains(lines, "<4>[flaky]   | lines"));
  CHECK(std::any_of(lines.begin(), lines.end(), [](const auto& line) { return line.starts_with("<3>[job] gave up"); }));
  CHECK(std::any_of(lines.begin(), lines.end(), [](const auto& line) { return line.starts_with("<7>"); }));
}

TEST_CASE("in a journal lines of JSON have priorities, too") {
  Scene scene;
  JournalFile journal(scene.directory() / "journal");
  scene.add(task("job", "probe", "mandatory", {{"end", "error"}, {"message", "two\nlines"}}));
  Command command = scene.command({"--log-format", "json"});
  journal.give_to(command);
  CHECK(scene.start(command).finish().status() == 1);
  for (const std::string& line : journal.lines()) {
    INFO(line);
    REQUIRE(has_priority(line));
    const Json json = Json::parse(line.substr(3), nullptr, false);
    REQUIRE_FALSE(json.is_discarded());
    CHECK(json["level"] == (line[1] == '3' ? "error" : line[1] == '4' ? "warning" : "info"));
  }
}

TEST_CASE("a JOURNAL_STREAM that is another's changes nothing") {
  Scene scene;
  JournalFile journal(scene.directory() / "journal");
  scene.add(task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")));
  Command command = scene.command();
  if (GENERATE(false, true)) {
    journal.give_to(command, false);
  } else {
    journal.give_to(command);
    command.environment.back() = GENERATE(as<std::string>(), "JOURNAL_STREAM=", "JOURNAL_STREAM=:", "JOURNAL_STREAM=8",
                                          "JOURNAL_STREAM=8:", "JOURNAL_STREAM=x:y", "JOURNAL_STREAM=8:9:10");
  }
  CHECK(scene.start(command).finish().status() == 0);
  for (const std::string& line : journal.lines()) CHECK(line.starts_with("20"));
}

TEST_CASE("in a journal last words have the priority of an error, and lines of children their own") {
  if (sanitized) return;
  Scene scene;
  JournalFile journal(scene.directory() / "journal");
  const bool crashes = GENERATE(true, false);
  const std::string plugin = crashes ? "poll_crashes" : "child_calls";
  scene.add(task(plugin, test_plugin_path(plugin).string(), "mandatory"));
  Command command = scene.command();
  journal.give_to(command);
  Process process(command);
  if (!crashes) {
    CHECK(eventually([&] { return has_line(text_of(scene.directory() / "journal"), {"child process"}); }));
    process.send(SIGTERM);
  }
  (void)process.wait();
  const std::vector<std::string> lines = journal.lines();
  const auto has = [&](const std::string& begin, const std::string& part) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.starts_with(begin) && line.find(part) != std::string::npos;
    });
  };
  if (crashes) CHECK(has("<3>taskhost: ", "SIGSEGV in the poll of task 'poll_crashes'"));
  if (!crashes) CHECK(has("<6>taskhost: child process ", "info"));
}

// systemd names a dynamic user after the part of the unit's name before the @, unless it is told otherwise.
TEST_CASE("each instance of the unit has a user of its own") {
  CHECK(has_line(text_of(TASKHOST_TEST_UNIT), {"DynamicUser=yes"}));
  CHECK(has_line(text_of(TASKHOST_TEST_UNIT), {"User=taskhost-%i"}));
}

TEST_CASE("systemd has nothing to complain of in the unit") {
  Command version;
  version.program = "systemd-analyze";
  version.arguments = {"--version"};
  try {
    if (Process(version).wait().status != 0) throw std::runtime_error("");
  } catch (const std::exception&) {
    WARN("skipped: there is no systemd-analyze");
    return;
  }
  const TemporaryDirectory directory;
  std::string unit = text_of(TASKHOST_TEST_UNIT);
  const std::string installed = "ExecStart=/usr/bin/taskhost ";
  const std::size_t place = unit.find(installed);
  REQUIRE(place != std::string::npos);
  unit.replace(place, installed.size(), "ExecStart=" + program_path().string() + " ");
  const bool is_wrong = GENERATE(false, true);  // so that a tool that finds nothing is noticed
  if (is_wrong) unit.replace(unit.find("Type=notify\n"), 12, "Type=notify-whatever\n");
  const std::filesystem::path file = directory / "taskhost@site.service";
  std::ofstream(file) << unit;
  Command verify;
  verify.program = "systemd-analyze";
  verify.arguments = {"verify", "--man=no", "--recursive-errors=no", file.string()};
  const ProcessEnd end = Process(verify).wait();
  INFO(end.summary());
  const std::vector<std::string> complaints = lines_with(end.err, {"taskhost@"});
  CHECK(complaints.empty() != is_wrong);
}
