// Scripts in Lua for tests: the plugin's real file, with a fake host and virtual time.
#pragma once

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "fake_host.hpp"
#include "support/catch.hpp"

namespace lua_test {

using Catch::Matchers::StartsWith;
using taskhost::test::contains_text;
using Json = nlohmann::json;
using Lines = std::vector<std::string>;

inline const taskhost_factory& lua() {
  static const taskhost_factory* const factory = [] {
    void* library = ::dlopen(LUA_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    REQUIRE(library != nullptr);
    void* entry = ::dlsym(library, TASKHOST_ENTRY_NAME);
    REQUIRE(entry != nullptr);
    return reinterpret_cast<const taskhost_factory* (*)()>(entry)();
  }();
  return *factory;
}

inline std::int32_t start(FakeHost& host, std::string_view code, const Json& more = Json::object()) {
  Json config = {{"code", code}};
  config.update(more);
  host.config = config.dump();
  return host.start(lua());
}

// Starts it, and polls until it has ended or does not want another turn at once.
inline std::int32_t run(FakeHost& host, std::string_view code, const Json& more = Json::object()) {
  REQUIRE(start(host, code, more) == TASKHOST_OK);
  std::int32_t status = TASKHOST_PENDING;
  for (int wakes = -1; status == TASKHOST_AGAIN || (status == TASKHOST_PENDING && host.wakes != wakes);) {
    wakes = host.wakes;
    status = host.poll();
  }
  return status;
}

struct Directory {
  Directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Directory() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, std::string_view text) const {
    const std::string file = path + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }
  std::string path = "/tmp/taskhost_test_XXXXXX";
};

struct Pipe {
  Pipe() { REQUIRE(::pipe(ends) == 0); }
  ~Pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  int ends[2];
};

}  // namespace lua_test
