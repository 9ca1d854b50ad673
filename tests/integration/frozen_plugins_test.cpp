// Plugins that were compiled for earlier minor versions of the plugin interface, as binaries: see tests/abi/frozen.
#include <filesystem>
#include <set>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

// The binaries of all minor versions for this kind of machine, by the version's folder.
std::set<std::filesystem::path> folders_here() {
  std::set<std::filesystem::path> folders;
#if defined(__x86_64__) && defined(__linux__)
  for (const auto& version : std::filesystem::directory_iterator(TASKHOST_FROZEN_PLUGINS)) {
    const std::filesystem::path folder = version.path() / "x86_64-linux";
    if (std::filesystem::exists(folder)) folders.insert(folder);
  }
#endif
  return folders;
}

}  // namespace

TEST_CASE("what earlier versions of the interface promised is kept to plugins that were compiled then") {
  const std::set<std::filesystem::path> folders = folders_here();
#if defined(__x86_64__) && defined(__linux__)
  REQUIRE_FALSE(folders.empty());
#endif
  for (const std::filesystem::path& folder : folders) {
    Scene scene;
    std::set<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      const std::string name = file.path().stem().string();
      names.insert(name);
      const unsigned restarts = name == "rule_4_3" ? 2 : 0;  // whose first two executions fail on purpose
      scene.add(task(name, file.path().string(), "detachable", nullptr, restarts));
    }
    REQUIRE(names.size() >= 12);
    const Run run = scene.run();
    INFO(folder << "\n" << run.log());
    CHECK(run.status() == 0);
    for (const std::string& name : names) {
      INFO(name);
      CHECK(has_line(run.log(), {"[" + name + "] ended ok"}));
    }
    CHECK(has_line(run.log(), {"rule_3_15", "dropped after finish"}));
    CHECK(run.log().find("rule 3.15") == std::string::npos);
  }
}
