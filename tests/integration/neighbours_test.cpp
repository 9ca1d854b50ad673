// Plugins that share names in the process: warnings come before it happens.
#include <csignal>
#include <filesystem>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

using namespace taskhost::test;

namespace {

ProcessEnd check(Scene& scene, std::string_view first, std::string_view second) {
  scene.add(task("first", first, "detachable"));
  scene.add(task("second", second, "detachable"));
  scene.command();
  return run_program({"check", scene.manifest_path().string()});
}

Json inspected(std::string_view plugin) {
  const ProcessEnd end = run_program({"inspect", "--json", test_plugin_path(plugin).string()});
  REQUIRE(end.status == 0);
  return Json::parse(end.out);
}

}  // namespace

TEST_CASE("a plugin whose file is replaced by another one goes on as it was loaded") {
  Scene scene;
  const std::filesystem::path library = scene.directory() / "heart.so";
  std::filesystem::copy_file(plugin_path("heartbeat"), library);
  scene.add(task("heart", library.string(), "mandatory", {{"interval", "20ms"}}));
  Running running = scene.start();
  const auto beats = [&] { return lines_with(running.process().err(), {"[heart] beat"}).size(); };
  REQUIRE(eventually([&] { return beats() > 0; }));
  std::filesystem::copy_file(plugin_path("probe"), scene.directory() / "new.so");
  std::filesystem::rename(scene.directory() / "new.so", library);
  REQUIRE(eventually([&, before = beats()] { return beats() > before + 20; }));
  running.send(SIGTERM);
  CHECK(running.finish().status() == 0);
}

TEST_CASE("check names what two plugins share though each may mean its own") {
  Scene scene;
  SECTION("a symbol") {
    if (inspected("shares_one")["unique_symbols"].empty()) {
      WARN("skipped: this compiler makes no unique symbols");
      return;
    }
    const ProcessEnd end = check(scene, "shares_one", "shares_two");
    CHECK(end.status == 0);
    CHECK(has_line(end.err, {"warning", "shares_two.so: it shares", "settings()::one", "with", "shares_one.so"}));
  }
  SECTION("a library") {
    const ProcessEnd end = check(scene, "needs_one", "needs_two");
    CHECK(end.status == 0);
    CHECK(
        has_line(end.err, {"warning", "needs_two.so: it gets", "/one/libdependency.so.1", "/two/libdependency.so.1"}));
  }
  SECTION("a library without which the second can't be loaded") {
    const ProcessEnd end = check(scene, "needs_one", "needs_three");
    CHECK(end.status == 3);
    CHECK(has_line(end.err, {"warning", "needs_three.so: it gets", "/one/libdependency.so.1"}));
    CHECK(has_line(end.err, {"error", "needs_three.so", "dependency_newer_words"}));
  }
}

TEST_CASE("plugins that share nothing, and the same plugin twice, are not warned of") {
  Scene scene;
  const ProcessEnd end = check(scene, "probe", "heartbeat");
  CHECK(end.err == "");
  Scene same;
  CHECK(check(same, "shares_one", "shares_one").err == "");
}

TEST_CASE("what all plugins have of the C++ library is nothing to be warned of, but inspect lists it") {
  const Json unique = inspected("uses_standard_one")["unique_symbols"];
  if (unique.empty()) {
    WARN("skipped: this compiler makes no unique symbols");
    return;
  }
  Scene scene;
  CHECK(check(scene, "uses_standard_one", "uses_standard_two").err == "");
  const std::string text = run_program({"inspect", test_plugin_path("uses_standard_one").string()}).out;
  for (const char* const symbol : {"    std::is_class_v<", "    guard variable for std::__detail::_AnyMatcher<"}) {
    CHECK(text.find(symbol) != std::string::npos);
  }
}

TEST_CASE("what the C++ library makes of a plugin's own type is the plugin's") {
  if (inspected("uses_own_type_one")["unique_symbols"].empty()) {
    WARN("skipped: this compiler makes no unique symbols");
    return;
  }
  Scene scene;
  const ProcessEnd end = check(scene, "uses_own_type_one", "uses_own_type_two");
  CHECK(end.status == 0);
  CHECK(has_line(end.err, {"warning", "uses_own_type_two.so: it shares", "Reading", "-fvisibility=hidden"}));
}

TEST_CASE("two copies of one dependency are as good as one") {
  Scene scene;
  const std::filesystem::path lib = scene.directory() / "lib";
  std::filesystem::create_directories(lib / "one");
  std::filesystem::create_directories(lib / "more/one");
  for (const char* place : {"", "more/"}) {
    std::filesystem::copy_file(test_plugin_path("needs_one"), lib / place / "needs_one.so");
    std::filesystem::copy_file(test_plugin_directory() / "one/libdependency.so.1",
                               lib / place / "one/libdependency.so.1");
  }
  const ProcessEnd end = check(scene, (lib / "needs_one.so").string(), (lib / "more/needs_one.so").string());
  CHECK(end.status == 0);
  CHECK(end.err == "");
}

TEST_CASE("inspect tells what a plugin exports beyond its entry, what is unique, and where its needs are met") {
  const std::string plain = run_program({"inspect", test_plugin_path("needs_one").string()}).out;
  CHECK(has_line(plain, {"needs libdependency.so.1, found at", "/one/libdependency.so.1"}));
  CHECK_FALSE(has_line(plain, {"exports more"}));
  const std::string sharing = run_program({"inspect", test_plugin_path("shares_one").string()}).out;
  CHECK(has_line(sharing, {"exports more than its entry", "settings()"}));
  const Json json = inspected("shares_one");
  CHECK_FALSE(json["exports_beyond_entry"].empty());
  bool has_libc = false;
  for (const Json& need : json["needs"]) {
    has_libc = has_libc || need.value("path", "").find("/libc.so") != std::string::npos;
  }
  CHECK(has_libc);
}

TEST_CASE("verify tells the same as a note, and holds it for nothing broken") {
  const ProcessEnd sharing = run_program({"verify", "--test", "neighbours", test_plugin_path("shares_one").string()});
  CHECK(sharing.status == 0);
  CHECK(has_line(sharing.out, {"note", "neighbours", "settings()"}));
  const ProcessEnd plain = run_program({"verify", "--test", "neighbours", test_plugin_path("needs_one").string()});
  CHECK(plain.status == 0);
  CHECK(has_line(plain.out, {"holds", "neighbours", "/one/libdependency.so.1"}));
}

TEST_CASE("a plugin that wants a sanitizer's runtime first is refused with what to do") {
  if (thread_sanitizer) {
    WARN("skipped: this build has the runtime");
    return;
  }
  for (const char* verb : {"inspect", "verify"}) {
    const ProcessEnd end = run_program({verb, test_plugin_path("wants_sanitizer").string()});
    INFO(end.summary());
    CHECK(end.status != 0);
    CHECK(has_line(end.out + end.err, {"-fsanitize=thread", "LD_PRELOAD", "libtsan.so"}));
  }
}
