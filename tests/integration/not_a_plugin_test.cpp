// Files that are named like plugins but are none: status 3, the file named, nothing started (host/README.md).
#include <elf.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>

#include "scene.hpp"
#include "support/catch.hpp"

using namespace taskhost::test;

namespace {

namespace fs = std::filesystem;

// Runs a manifest with this file and a good task.
Run run_with(Scene& scene, const fs::path& file, bool obeys_file_modes = false) {
  scene.manifest["tasks"] = Json::array();
  scene.add(task("good", "probe", "mandatory", probe_that_ends("error")));
  scene.add(task("suspect", file.string(), "detachable"));
  Command command = scene.command();
  command.obeys_file_modes = obeys_file_modes;
  return scene.start(command).finish();
}

void check_refused(const Run& run, std::string_view file) {
  INFO(run.log());
  CHECK(run.status() == 3);
  CHECK(run.events.count("task_started") == 0);
  CHECK(has_line(run.log(), {file}));
}

std::string good_plugin() { return read_file(plugin_path("heartbeat")); }

template <typename Value>
void patch(std::string& library, std::size_t offset, Value value) {
  std::memcpy(library.data() + offset, &value, sizeof value);
}

}  // namespace

TEST_CASE("files that are no libraries are refused by name") {
  Scene scene;
  const TemporaryDirectory& directory = scene.directory();
  for (const auto& [name, content] :
       std::initializer_list<std::pair<const char*, std::string>>{{"empty.so", ""},
                                                                  {"text.so", "Tyger Tyger, burning bright\n"},
                                                                  {"script.so", "INPUT(libc.so.6)\n"},
                                                                  {"magic_only.so",
                                                                   "\x7f"
                                                                   "ELF"},
                                                                  {"noise.so", std::string(10'000, '\xff')},
                                                                  {"zeros.so", std::string(10'000, '\0')}}) {
    check_refused(run_with(scene, directory.write(name, content)), name);
  }
}

TEST_CASE("a library for another machine, word size or byte order is refused by name") {
  Scene scene;
  std::string library = good_plugin();
  SECTION("machine") { patch(library, offsetof(Elf64_Ehdr, e_machine), static_cast<Elf64_Half>(EM_S390)); }
  SECTION("word size") { library.at(EI_CLASS) = ELFCLASS32; }
  SECTION("byte order") { library.at(EI_DATA) = library.at(EI_DATA) == ELFDATA2LSB ? ELFDATA2MSB : ELFDATA2LSB; }
  SECTION("version") { patch(library, offsetof(Elf64_Ehdr, e_version), static_cast<Elf64_Word>(99)); }
  SECTION("a program, not a library") {
    patch(library, offsetof(Elf64_Ehdr, e_type), static_cast<Elf64_Half>(ET_EXEC));
  }
  SECTION("an object file") { patch(library, offsetof(Elf64_Ehdr, e_type), static_cast<Elf64_Half>(ET_REL)); }
  check_refused(run_with(scene, scene.directory().write("foreign.so", library)), "foreign.so");
}

TEST_CASE("a library cut short anywhere is refused by name, and crashes nothing") {
  Scene scene;
  const std::string library = good_plugin();
  for (std::size_t sixteenth = 0; sixteenth < 16; ++sixteenth) {
    const std::size_t size = library.size() * sixteenth / 16;
    const std::string name = "cut_to_" + std::to_string(size) + ".so";
    INFO(name << " of " << library.size());
    const Run run = run_with(scene, scene.directory().write(name, library.substr(0, size)));
    // What comes after the last segment, section headers and debugging data, is not needed to load it.
    if (run.status() == 3) {
      check_refused(run, name);
    } else {
      CHECK(sixteenth >= 4);
      CHECK(run.status() == 1);
    }
  }
}

TEST_CASE("directories, dangling links and other things that can't be read are refused by name") {
  Scene scene;
  const TemporaryDirectory& directory = scene.directory();
  SECTION("a directory") {
    fs::create_directory(directory / "folder.so");
    check_refused(run_with(scene, directory / "folder.so"), "folder.so");
  }
  SECTION("a dangling link") {
    fs::create_symlink("nowhere.so", directory / "dangling.so");
    check_refused(run_with(scene, directory / "dangling.so"), "dangling.so");
  }
  SECTION("a link to itself") {
    fs::create_symlink("loop.so", directory / "loop.so");
    check_refused(run_with(scene, directory / "loop.so"), "loop.so");
  }
  SECTION("a file that may not be read") {
    const fs::path file = directory.write("secret.so", good_plugin());
    fs::permissions(file, fs::perms::none);
    check_refused(run_with(scene, file, true), "secret.so");
  }
  SECTION("a file that is not there") { check_refused(run_with(scene, directory / "missing.so"), "missing.so"); }
  SECTION("a device") {
    fs::create_symlink("/dev/null", directory / "device.so");
    check_refused(run_with(scene, directory / "device.so"), "device.so");
  }
}

TEST_CASE("the same things in a directory of plugins are refused by name") {
  Scene scene;
  const TemporaryDirectory& directory = scene.directory();
  fs::create_directory(directory / "lib");
  std::string name;
  SECTION("an empty file") {
    name = "empty.so";
    directory.write("lib/empty.so", "");
  }
  SECTION("a dangling link") {
    name = "dangling.so";
    fs::create_symlink("nowhere.so", directory / "lib/dangling.so");
  }
  scene.manifest["plugin_dirs"].push_back("lib");
  scene.manifest["plugin_dirs"].erase(1);  // the one with the tests' bad plugins
  scene.manifest["autoload"] = {{"type", "detachable"}};
  check_refused(scene.run(), name);
}

TEST_CASE("everything that can't be loaded is told in one run") {
  Scene scene;
  scene.directory().write("one.so", "");
  scene.directory().write("two.so", "text");
  scene.manifest["plugin_dirs"].push_back(".");
  scene.add(task("first", "one", "detachable"));
  scene.add(task("second", "two", "detachable"));
  scene.add(task("third", "three", "detachable"));
  scene.add(task("fourth", "entry_null", "detachable"));
  const Run run = scene.run();
  CHECK(run.status() == 3);
  for (const char* name : {"one.so", "two.so", "three", "entry_null"}) {
    CHECK(has_line(run.log(), {name}));
  }
}
