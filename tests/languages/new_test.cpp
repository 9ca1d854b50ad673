// What `taskhost new` writes: folders that build and run at once, in each language; and what it rejects.
#include <filesystem>
#include <fstream>
#include <string>

#include "languages.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;
namespace fs = std::filesystem;

namespace {

ProcessEnd run_new(const TemporaryDirectory& directory, std::vector<std::string> arguments,
                   const std::vector<std::string>& environment = {}) {
  arguments.insert(arguments.begin(), "new");
  Command command;
  command.program = program_path();
  command.arguments = std::move(arguments);
  command.environment = environment;
  command.working_directory = directory.path();
  return Process(command).wait();
}

ProcessEnd make(const fs::path& folder, const std::vector<std::string>& arguments) {
  Command command;
  command.program = TASKHOST_TEST_MAKE;
  command.arguments = arguments;
  command.environment = {"MAKEFLAGS=", "MAKELEVEL="};
  command.working_directory = folder;
  return Process(command).wait(patience * 2);
}

void check_refused(const TemporaryDirectory& directory, const std::vector<std::string>& arguments,
                   const std::string& words) {
  const auto entries = [&] {
    return std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator());
  };
  const auto before = entries();
  const ProcessEnd end = run_new(directory, arguments);
  INFO(end.summary());
  CHECK(end.status == 2);
  CHECK(end.out.empty());
  CHECK(end.err.find(words) != std::string::npos);
  CHECK(entries() == before);
}

}  // namespace

TEST_CASE(
    "a new task builds and runs at once, in each language, even under a name that languages keep for themselves") {
  for (const GreeterLanguage& language : greeter_languages()) {
    INFO(language.id);
    TemporaryDirectory directory;
    const std::string name = "begin";
    const ProcessEnd written = run_new(directory, {name, "--lang", language.id});
    INFO(written.summary());
    REQUIRE(written.status == 0);
    CHECK(written.out.find("cd begin") != std::string::npos);
    CHECK(written.out.find("needs") == std::string::npos);  // its compiler is installed
    const fs::path folder = directory.path() / name;
    for (const char* file : {"Makefile", "README.md", "begin.json"}) CHECK(fs::exists(folder / file));

    const ProcessEnd built = make(folder, {});
    INFO(built.summary());
    REQUIRE(built.status == 0);
    CHECK(fs::exists(folder / "begin.so"));

    Json manifest = Json::parse(read_file(folder / "begin.json"), nullptr, true, true);
    CHECK(manifest["tasks"][0]["type"] == "mandatory");
    manifest["tasks"][0]["type"] = "shutdown_on_exit";
    CHECK(manifest["tasks"][0]["ready"] == "notify");
    for (const char* field : {"restarts", "backoff"}) manifest["tasks"][0].erase(field);
    manifest["tasks"][0]["config"] = {{"times", 2}, {"every", "1ms"}};
    std::ofstream(folder / "begin.json") << manifest;
    const ProcessEnd ran = make(folder, {"run", "TASKHOST=" + program_path().string()});
    INFO(ran.summary());
    CHECK(ran.status == 0);
    CHECK(lines_with(ran.err, {"[begin] hello from "}).size() == 2);

    CHECK(make(folder, {"clean"}).status == 0);
    CHECK_FALSE(fs::exists(folder / "begin.so"));
  }
}

TEST_CASE("nothing of the placeholder is left in a new folder, and no file of it is empty") {
  for (const GreeterLanguage& language : greeter_languages()) {
    TemporaryDirectory directory;
    REQUIRE(run_new(directory, {"x1_y", "--lang", language.id, "--directory", "elsewhere"}).status == 0);
    for (const auto& entry : fs::recursive_directory_iterator(directory.path() / "elsewhere")) {
      INFO(language.id << " " << entry.path());
      CHECK(entry.path().string().find('@') == std::string::npos);
      if (!entry.is_regular_file()) continue;
      const std::string text = read_file(entry.path());
      CHECK_FALSE(text.empty());
      CHECK(text.find("@NAME@") == std::string::npos);
    }
  }
}

TEST_CASE("a language may be called by its title") {
  TemporaryDirectory directory;
  CHECK(run_new(directory, {"one", "--lang", "C"}).status == 0);
}

TEST_CASE("a compiler that is not here is named, with the package that brings it") {
  TemporaryDirectory directory;
  const ProcessEnd end = run_new(directory, {"one", "--lang", "c"}, {"PATH=/nowhere"});
  CHECK(end.status == 0);
  CHECK(end.out.find("Not installed yet: cc, make (Debian: apt-get install gcc make)") != std::string::npos);
}

TEST_CASE("what can't be a name is refused, with one that can") {
  TemporaryDirectory directory;
  check_refused(directory, {"My-Task", "--lang", "c"}, "try my_task");
  for (const char* name : {"", "1st", "_", "a/b", "../up", "naïve", "two words", "a.b"}) {
    INFO(name);
    check_refused(directory, {name, "--lang", "c"}, "is not a valid name: use 1 to 64 of a-z, 0-9 and _");
  }
  check_refused(directory, {std::string(65, 'a'), "--lang", "c"}, "is not a valid name");
  CHECK(run_new(directory, {std::string(64, 'a'), "--lang", "c"}).status == 0);
}

TEST_CASE("a language without a starter is refused, and the others are named") {
  TemporaryDirectory directory;
  check_refused(directory, {"one", "--lang", "cobol"}, "there is no starter for 'cobol'; choose one of c");
  check_refused(directory, {"one"}, "--lang is required");
}

TEST_CASE("a folder with something in it is left as it is; an empty one is filled") {
  TemporaryDirectory directory;
  fs::create_directories(directory.path() / "full");
  std::ofstream(directory.path() / "full" / "notes.txt") << "mine";
  std::ofstream(directory.path() / "file") << "mine";
  fs::create_symlink("nowhere", directory.path() / "link");
  for (const char* name : {"full", "file", "link"}) {
    check_refused(directory, {name, "--lang", "c"}, "exists and is not an empty folder");
  }
  CHECK(read_file(directory.path() / "full" / "notes.txt") == "mine");
  CHECK_FALSE(fs::exists(directory.path() / "full" / "Makefile"));
  fs::create_directories(directory.path() / "empty");
  CHECK(run_new(directory, {"empty", "--lang", "c"}).status == 0);
  CHECK(fs::exists(directory.path() / "empty" / "Makefile"));
}

TEST_CASE("a folder that can't be written is told, and nothing stays of it") {
  TemporaryDirectory directory;
  std::ofstream(directory.path() / "file") << "mine";
  check_refused(directory, {"one", "--lang", "c", "--directory", "file/one"}, "nothing was written");
}
