// Verbs, options and exit statuses, as README.md and host/README.md list them.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/pipe.hpp"

using namespace taskhost::test;

namespace {

Json job() { return task("job", "probe", "shutdown_on_exit", probe_that_ends("ok")); }

// Runs it from a shell; "$T" is the program.
ProcessEnd run_shell(const std::string& script, const std::filesystem::path& directory) {
  Command command;
  command.program = "/bin/sh";
  command.arguments = {"-c", script};
  command.environment = {"T=" + program_path().string(), "P=" + plugin_path("probe").string()};
  command.working_directory = directory;
  return Process(command).wait();
}

}  // namespace

TEST_CASE("--version and --help write to stdout and end with 0; help names the verbs and options") {
  const ProcessEnd version = run_program({"--version"});
  CHECK(version.status == 0);
  CHECK(version.out.find("0.1.0") != std::string::npos);
  CHECK(version.err.empty());
  const ProcessEnd help = run_program({"--help"});
  CHECK(help.status == 0);
  CHECK(help.err.empty());
  for (const char* word : {"run", "check", "inspect", "--version"}) {
    CHECK(help.out.find(word) != std::string::npos);
  }
  const ProcessEnd help_of_run = run_program({"run", "--help"});
  CHECK(help_of_run.status == 0);
  for (const char* word : {"--events", "--log-format", "--log-level", "--plugin-dir", "--shards"}) {
    CHECK(help_of_run.out.find(word) != std::string::npos);
  }
}

TEST_CASE("the help of each command has examples, with options that the command has, and its exit statuses") {
  std::istringstream help(run_program({"--help"}).out);
  std::size_t verbs = 0;
  bool is_list = false;
  for (std::string line; std::getline(help, line);) {
    if (line.empty() || line.front() != ' ') is_list = line == "Subcommands:" || line == "Running hosts:";
    if (!is_list || line.empty() || line.front() != ' ') continue;
    const std::string verb = line.substr(2, line.find(' ', 2) - 2);
    INFO(verb);
    ++verbs;
    const std::string text = run_program({verb, "--help"}).out;
    const std::size_t begin = text.find("\nExamples:\n");
    const std::size_t end = text.find("\nExit status: 0 ");
    REQUIRE(begin != std::string::npos);
    REQUIRE(end != std::string::npos);
    const std::string options = text.substr(0, begin);
    const std::string examples = text.substr(begin, end - begin);
    const bool is_shown = examples.find("taskhost " + verb + ' ') != std::string::npos ||
                          examples.find("taskhost " + verb + '\n') != std::string::npos;
    CHECK(is_shown);
    std::istringstream words(examples);
    for (std::string word; words >> word;) {
      if (word.starts_with("--")) CHECK(options.find(word + ' ') != std::string::npos);
    }
  }
  CHECK(verbs >= 15);
}

TEST_CASE("wrong usage ends with 2, says what is wrong on stderr, and leaves stdout alone") {
  Scene scene;
  scene.add(job());
  scene.command();
  const std::string manifest = scene.manifest_path().string();
  const std::vector<std::vector<std::string>> usages{{},
                                                     {"run"},
                                                     {"check"},
                                                     {"inspect"},
                                                     {"--no-such-option", manifest},
                                                     {"run", "--no-such-option", manifest},
                                                     {"run", manifest, "one", "too", "many"},
                                                     {"run", "--shards", "0", manifest},
                                                     {"run", "--shards", "257", manifest},
                                                     {"run", "--shards", "-1", manifest},
                                                     {"run", "--shards", "many", manifest},
                                                     {"run", "--log-format", "xml", manifest},
                                                     {"run", "--log-level", "loud", manifest},
                                                     {"run", manifest, "--events"},
                                                     {"run", "--events", "", manifest}};
  for (const auto& usage : usages) {
    std::string words;
    for (const std::string& word : usage) {
      words += word + " ";
    }
    INFO(words);
    const ProcessEnd end = run_program(usage);
    CHECK(end.status == 2);
    CHECK(end.out.empty());
    CHECK_FALSE(end.err.empty());
  }
}

TEST_CASE("a manifest that is not there, or can't be read, is named, with status 2") {
  const TemporaryDirectory directory;
  const std::string missing = (directory / "no-such-manifest.json").string();
  for (const std::string verb : {"run", "check"}) {
    const ProcessEnd end = run_program({verb, missing});
    CHECK(end.status == 2);
    CHECK(end.err.find("no-such-manifest.json") != std::string::npos);
  }
  const auto secret = directory.write("secret.json", "{}");
  std::filesystem::permissions(secret, std::filesystem::perms::none);
  Command command;
  command.program = program_path();
  command.arguments = {secret.string()};
  command.obeys_file_modes = true;
  const ProcessEnd end = Process(command).wait();
  CHECK(end.status == 2);
  CHECK(end.err.find("secret.json") != std::string::npos);
}

TEST_CASE("the verb run may be left out, and options may come after the manifest") {
  Scene scene;
  scene.add(job());
  Command command = scene.command();
  command.arguments = {scene.manifest_path().string(), "--events", scene.events_path().string()};
  CHECK(scene.start(command).finish().status() == 0);
  command.arguments = {"--events", scene.events_path().string(), "--shards", "2", scene.manifest_path().string()};
  CHECK(scene.start(command).finish().status() == 0);
}

TEST_CASE("a relative manifest counts from the working directory, its plugin_dirs from the manifest") {
  Scene scene;
  scene.directory().write("lib/README", "");
  std::filesystem::copy_file(plugin_path("probe"), scene.directory() / "lib/probe.so");
  scene.manifest["plugin_dirs"] = {"lib"};
  scene.add(job());
  Command command = scene.command();
  SECTION("from the manifest's directory") {
    command.working_directory = scene.directory().path();
    command.arguments.back() = "manifest.json";
  }
  SECTION("from elsewhere") {
    command.working_directory = scene.directory() / "lib";
    command.arguments.back() = "../manifest.json";
  }
  CHECK(scene.start(command).finish().status() == 0);
}

TEST_CASE("--shards counts before the manifest's, and any number from 1 to 256 works") {
  const char* shards = GENERATE("1", "2", "8", "256");
  Scene scene;
  scene.manifest["shards"] = 3;
  for (int number = 0; number < 20; ++number) {
    scene.add(task("task " + std::to_string(number), "probe", "detachable", probe_that_ends("error", "1ms"), 3));
  }
  const Run run = scene.run({"--shards", shards});
  CHECK(run.status() == 1);
  CHECK(run.events.count("task_started") == 80);
}

TEST_CASE("check says that a right manifest is right, with 0, and starts nothing") {
  Scene scene;
  scene.add(task("job", "probe", "mandatory", probe_that_ends("error")));
  scene.add(task("slow", "probe_blocking", "mandatory", idle_probe()));
  scene.command();
  const ProcessEnd end = run_program({"check", scene.manifest_path().string()});
  CHECK(end.status == 0);
  CHECK_FALSE(has_line(end.err, {"started"}));
}

TEST_CASE("check ends with 3 for a plugin that is not there, and takes --plugin-dir") {
  Scene scene;
  scene.manifest["plugin_dirs"] = {"."};
  scene.add(job());
  scene.command();
  ProcessEnd end = run_program({"check", scene.manifest_path().string()});
  CHECK(end.status == 3);
  CHECK(has_line(end.err, {"probe"}));
  end = run_program({"check", "--plugin-dir", plugin_directory().string(), scene.manifest_path().string()});
  CHECK(end.status == 0);
}

TEST_CASE("inspect writes on stdout what a plugin exports") {
  const ProcessEnd end = run_program({"inspect", plugin_path("probe").string()});
  CHECK(end.status == 0);
  CHECK(end.out.find("probe") != std::string::npos);
  CHECK(end.out.find("1.0") != std::string::npos);
  CHECK(has_line(end.out, {"poll"}));
  const ProcessEnd blocking = run_program({"inspect", plugin_path("probe_blocking").string()});
  CHECK(blocking.status == 0);
  CHECK(blocking.out.find("probe_blocking") != std::string::npos);
}

TEST_CASE("what a plugin prints while it is loaded is kept from the data of check and inspect") {
  const std::string noisy = test_plugin_path("takes_streams").string();
  const ProcessEnd end = run_program({"inspect", "--json", noisy});
  CHECK(Json::accept(end.out));
  CHECK(has_line(end.err, {"printed"}));
}

TEST_CASE("inspect tells of a plugin that asks to stay loaded") {
  const std::string staying = test_plugin_path("stale_waker").string();
  CHECK(has_line(run_program({"inspect", staying}).out, {"stays loaded", "NODELETE"}));
  CHECK(Json::parse(run_program({"inspect", "--json", staying}).out)["stays_loaded"] == true);
  const std::string other = plugin_path("probe").string();
  CHECK_FALSE(has_line(run_program({"inspect", other}).out, {"stays loaded"}));
  CHECK(Json::parse(run_program({"inspect", "--json", other}).out)["stays_loaded"] == false);
}

TEST_CASE("inspect ends with 3 for what is no plugin, and names it") {
  const TemporaryDirectory directory;
  const auto text = directory.write("poem.so", "Tyger Tyger, burning bright\n");
  for (const std::string& file : {text.string(), (directory / "missing.so").string()}) {
    const ProcessEnd end = run_program({"inspect", file});
    CHECK(end.status == 3);
    CHECK(end.out.empty());
    CHECK(end.err.find(file) != std::string::npos);
  }
}

TEST_CASE("a manifest may come through stdin or a pipe, and its paths count from the working directory then") {
  Scene scene;
  std::filesystem::create_directory(scene.directory() / "lib");
  std::filesystem::copy_file(plugin_path("probe"), scene.directory() / "lib/feed.so");
  scene.manifest["plugin_dirs"] = {"lib"};
  scene.add(task("job", "feed", "shutdown_on_exit", probe_that_ends("ok")));
  scene.command();
  for (const char* script :
       {"$T run - <manifest.json", "$T - <manifest.json", "cat manifest.json | $T run -", "$T check - <manifest.json",
        "$T run /dev/stdin <manifest.json", "cat manifest.json | $T run /dev/stdin", "$T /dev/fd/7 7<manifest.json"}) {
    INFO(script);
    const ProcessEnd end = run_shell(script, scene.directory().path());
    INFO(end.summary());
    CHECK(end.status == 0);
  }
  const ProcessEnd wrong = run_shell("echo '{\"tasks\": 7}' | $T check -", scene.directory().path());
  CHECK(wrong.status == 2);
  CHECK(has_line(wrong.err, {"stdin: /tasks (line 1)"}));
  CHECK(has_line(run_shell("$T check - <manifest.json", scene.directory().path()).out, {"stdin: OK, 1 task"}));
  CHECK(run_shell("$T check - <&-", scene.directory().path()).status == 2);
  CHECK(run_shell("$T check - <.", scene.directory().path()).status == 2);
}

TEST_CASE("a manifest may come late through a stdin that somebody made non-blocking") {
  Scene scene;
  scene.add(job());
  Pipe in;
  REQUIRE(::fcntl(in.read_end(), F_SETFL, O_NONBLOCK) == 0);
  Command command = scene.command();
  command.arguments = {"run", "-"};
  command.in_descriptor = in.read_end();
  Process process(command);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // time enough for it to check
  const std::string text = scene.manifest.dump();
  REQUIRE(::write(in.write_end(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  in.close_write_end();
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == 0);
}

TEST_CASE("a path with control characters stays one line in what check prints") {
  Scene scene;
  scene.add(job());
  const std::filesystem::path odd = scene.directory() / "a\nb\x1b[31m.json";
  std::ofstream(odd) << scene.manifest;
  Command command = scene.command();
  command.arguments = {"check", odd.string()};
  const ProcessEnd end = Process(command).wait();
  INFO(end.summary());
  CHECK(end.status == 0);
  CHECK(has_line(end.out, {"a\\u000ab\\u001b[31m.json: OK, 1 task"}));
}

TEST_CASE("warn is a log level as well as warning") {
  Scene scene;
  scene.add(job());
  const Run run = scene.run({"--log-level", "warn"});
  CHECK(run.status() == 0);
  CHECK(run.log() == "");
}

TEST_CASE("check says what it did not check") {
  Scene scene;
  scene.add(job());
  scene.command();
  CHECK(has_line(run_program({"check", scene.manifest_path().string()}).out, {"not checked", "config"}));
}

TEST_CASE("output that can't be written is an error that says why") {
  Scene scene;
  scene.add(job());
  scene.command();
  for (const char* words :
       {"check manifest.json", "check --explain manifest.json", "check --explain --json manifest.json", "inspect $P",
        "inspect --json $P", "verify --test loading $P", "--version", "--help", "run --help", "new greeter --lang c"}) {
    INFO(words);
    const std::string command = "$T " + std::string(words);
    std::filesystem::remove_all(scene.directory() / "greeter");
    const ProcessEnd full = run_shell(command + " >/dev/full", scene.directory().path());
    INFO(full.summary());
    CHECK(full.status == 5);
    CHECK(has_line(full.err, {"stdout", "No space left on device"}));
    std::filesystem::remove_all(scene.directory() / "greeter");
    const ProcessEnd broken =
        run_shell("{ sleep 0.1; " + command + "; echo status $? >&2; } | true", scene.directory().path());
    INFO(broken.summary());
    CHECK(has_line(broken.err, {"status 5"}));
    CHECK(has_line(broken.err, {"stdout", "Broken pipe"}));
  }
}

TEST_CASE("a non-blocking stdout whose reader is slow gets all of the output") {
  Scene scene;
  for (int number = 0; number < 300; ++number) {
    scene.add(task("task " + std::to_string(number), "probe", "mandatory", idle_probe()));
  }
  scene.command();
  Pipe out;
  ::fcntl(out.write_end(), F_SETFL, ::fcntl(out.write_end(), F_GETFL) | O_NONBLOCK);
  Command command;
  command.program = program_path();
  command.arguments = {"check", "--explain", "--json", scene.manifest_path().string()};
  const std::string all = Process(command).wait().out;
  REQUIRE(all.size() > 70'000);  // more than a pipe holds
  command.out_descriptor = out.write_end();
  Process process(command);
  REQUIRE(eventually([&] { return out.is_full(); }));
  ::usleep(100'000);
  CHECK(process.running());
  out.close_write_end();
  CHECK(out.read_all() == all);
  const ProcessEnd end = process.wait();
  INFO(end.summary());
  CHECK(end.status == 0);
}

TEST_CASE("a task without restarts did not use them up") {
  Scene scene;
  scene.add(task("none", "probe", "detachable", probe_that_ends("error")));
  scene.add(task("some", "probe", "detachable", probe_that_ends("error"), 2));
  const Run run = scene.run();
  CHECK(has_line(run.log(), {"[none]", "gave up: it has no restarts"}));
  CHECK(has_line(run.log(), {"[some]", "gave up: its restarts are used up"}));
}

TEST_CASE("words that are wrong are answered with those that are right") {
  const TemporaryDirectory directory;
  const auto [words, expected] = GENERATE(table<std::string, std::string>({
      {"rnu m.json", "there is no manifest \"rnu\"; did you mean \"taskhost run\"?"},
      {"chekc", "did you mean \"taskhost check\"?"},
      {"run --evnts x m.json", "taskhost run: unknown option \"--evnts\"; did you mean \"--events\"?"},
      {"run --nothing m.json", "taskhost run: unknown option \"--nothing\""},
      {"check m.json n.json", "taskhost check: unexpected argument \"n.json\""},
      {"inspect", "taskhost inspect: PLUGIN is required"},
  }));
  const ProcessEnd end = run_shell("$T " + words, directory.path());
  INFO(words << ": " << end.summary());
  CHECK(end.status == 2);
  CHECK(end.err.find(expected) != std::string::npos);
}

TEST_CASE("a manifest that is called as a verb is meant if it is there") {
  Scene scene;
  scene.add(job());
  std::ofstream(scene.directory() / "rnu") << scene.manifest;
  const ProcessEnd end = run_shell("$T --plugin-dir \"$(dirname \"$P\")\" rnu", scene.directory().path());
  INFO(end.summary());
  CHECK(end.status == 0);
}

TEST_CASE("a word that is neither a command nor a file is called neither, and help may be a command") {
  const ProcessEnd list = run_program({"list"});
  CHECK(list.status == 2);
  CHECK(list.err ==
        "taskhost: there is no manifest \"list\", and no such command; taskhost --help lists the commands\n");
  CHECK(run_program({"help"}).out == run_program({"--help"}).out);
  const ProcessEnd help = run_program({"help", "logs"});
  CHECK(help.status == 0);
  CHECK(help.out == run_program({"logs", "--help"}).out);
}
