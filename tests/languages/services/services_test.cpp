// One task in several languages, services.*, that uses what polled executions can ask for; on a small host of the
// test's own, so that each step is seen.
#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "taskhost/ext/config.h"
#include "taskhost/plugin.h"

namespace {

class SmallHost : private taskhost_exec {
 public:
  SmallHost(const taskhost_factory& its_factory, std::string its_config)
      : taskhost_exec{&table()}, factory(its_factory), config(std::move(its_config)), state(factory.state_size + 1) {}
  ~SmallHost() { end(); }
  SmallHost(const SmallHost&) = delete;
  SmallHost& operator=(const SmallHost&) = delete;

  const taskhost_exec* exec() const { return this; }
  std::int32_t start() { return factory.start(state.data(), this); }
  std::int32_t poll() { return factory.poll(state.data(), this); }
  std::int32_t finish() { return factory.finish(state.data(), this); }
  void drop() {
    watched.clear();
    factory.drop(state.data(), this);
  }
  void wait_for_work() {
    for (Work& work : works) {
      if (work.thread.joinable()) work.thread.join();
    }
  }
  // What the execution was not told of is discarded, on another thread.
  void end() {
    wait_for_work();
    for (const Work& work : works) {
      if (!work.is_told) std::thread([&work] { work.offer.discard(work.offer.argument); }).join();
      discarded += work.is_told ? 0 : 1;
    }
    works.clear();
  }
  std::vector<std::string> take_log() {
    const std::lock_guard lock(mutex);
    return std::exchange(log, {});
  }

  const taskhost_factory& factory;
  const std::string config;
  std::vector<std::byte> state;                  // aligned as new aligns
  std::map<taskhost_fd, std::uint64_t> watched;  // with their tags
  bool is_readable = false;
  std::string status;
  std::string failure;
  int discarded = 0;

 private:
  struct Work {
    taskhost_work offer;
    std::thread thread;
    bool is_told = false;
  };

  static SmallHost& of(const taskhost_exec* exec) {
    return *const_cast<SmallHost*>(static_cast<const SmallHost*>(exec));
  }

  static std::size_t take_ready(const taskhost_exec* exec, taskhost_ready* list, std::size_t capacity) {
    SmallHost& host = of(exec);
    std::size_t count = 0;
    host.wait_for_work();
    for (Work& work : host.works) {
      if (!work.is_told && count < capacity) {
        list[count++] = {work.offer.tag, TASKHOST_DONE, 0};
        work.is_told = true;
      }
    }
    for (const auto& [fd, tag] : host.watched) {
      if (host.is_readable && count < capacity) list[count++] = {tag, TASKHOST_READABLE, 0};
    }
    return count;
  }

  static const taskhost_services& table() {
    static const taskhost_services services = [] {
      taskhost_services made{};
      made.struct_size = sizeof made;
      made.log = [](const taskhost_exec* exec, std::int32_t, const char* text, std::size_t size) {
        const std::lock_guard lock(of(exec).mutex);
        of(exec).log.emplace_back(text, size);
      };
      made.fail = [](const taskhost_exec* exec, const char* text, std::size_t size) -> std::int32_t {
        of(exec).failure.assign(text, size);
        return TASKHOST_ERROR;
      };
      made.config = [](const taskhost_exec* exec, std::size_t* size) {
        if (size != nullptr) *size = of(exec).config.size();
        return of(exec).config.c_str();
      };
      made.task_name = [](const taskhost_exec*) { return "services"; };
      made.execution_number = [](const taskhost_exec*) -> std::uint64_t { return 1; };
      made.stop_requested = [](const taskhost_exec*) -> std::int32_t { return 0; };
      made.now = []() -> std::uint64_t { return 1; };
      made.waker = [](const taskhost_exec*) -> taskhost_waker { return 7; };
      made.wake = [](taskhost_waker) {};
      made.watch = [](const taskhost_exec* exec, taskhost_fd fd, std::uint32_t interests, std::uint64_t tag) {
        if (fd < 0) return TASKHOST_REFUSED_CLOSED;
        if (interests == 0) {
          of(exec).watched.erase(fd);
        } else {
          CHECK(interests == TASKHOST_READABLE);
          of(exec).watched[fd] = tag;
        }
        return TASKHOST_OK;
      };
      made.take_ready = take_ready;
      made.offload = [](const taskhost_exec* exec, const taskhost_work* work) {
        CHECK(work->struct_size == sizeof *work);
        CHECK(work->reserved == 0);
        of(exec).works.push_back({*work, std::thread([offer = *work] { offer.run(offer.argument); })});
        return TASKHOST_OK;
      };
      made.status = [](const taskhost_exec* exec, const char* text, std::size_t size) {
        of(exec).status.assign(text, size);
      };
      made.extension = [](const taskhost_exec*, const char* id, std::uint32_t revision) -> const void* {
        const bool is_config =
            id == std::string_view(TASKHOST_EXTENSION_CONFIG) && revision == TASKHOST_CONFIG_REVISION;
        return is_config ? &reader() : nullptr;
      };
      return made;
    }();
    return services;
  }

  // Knows one duration.
  static const taskhost_config_reader& reader() {
    static const taskhost_config_reader config = [] {
      taskhost_config_reader made{};
      made.struct_size = sizeof made;
      made.revision = TASKHOST_CONFIG_REVISION;
      made.keys = [](const taskhost_exec*, const char*) -> std::int32_t { return TASKHOST_OK; };
      made.parse_duration = [](const char* text, std::size_t size, std::uint64_t* value) -> std::int32_t {
        if (std::string_view(text, size) != "250ms") return TASKHOST_ERROR;
        *value = 250 * TASKHOST_MILLISECOND;
        return TASKHOST_OK;
      };
      return made;
    }();
    return config;
  }

  std::mutex mutex;
  std::vector<std::string> log;
  std::vector<Work> works;
};

struct Library {
  std::string path;
  const taskhost_factory* factory = nullptr;
};

// Never unloaded: some of their runtimes cannot be.
std::vector<Library> libraries() {
  std::vector<Library> found;
  std::istringstream paths(TASKHOST_TEST_SERVICES);
  for (std::string path; std::getline(paths, path, ',');) {
    void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    INFO(path);
    REQUIRE(library != nullptr);
    const auto entry = reinterpret_cast<const taskhost_factory* (*)()>(::dlsym(library, "taskhost_plugin_v1"));
    REQUIRE(entry != nullptr);
    found.push_back({path, entry()});
  }
  return found;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a task in any of these languages reads durations that do not stand in its config, as the host does") {
  for (const Library& library : libraries()) {
    INFO(library.path);
    SmallHost host(*library.factory, "5");
    REQUIRE(host.start() == TASKHOST_OK);
    CHECK(host.take_log() == Lines{"refused", "250000000 ns", "no duration"});
    host.drop();
  }
}

TEST_CASE("a task in any of these languages watches, offloads, gives way, finishes, and says what it does") {
  for (const Library& library : libraries()) {
    INFO(library.path);
    const taskhost_factory& factory = *library.factory;
    CHECK(factory.struct_size == sizeof factory);
    CHECK(std::string(factory.name) == "services");
    CHECK(factory.run == nullptr);
    REQUIRE(factory.finish != nullptr);

    SmallHost host(factory, "5");
    REQUIRE(host.start() == TASKHOST_OK);
    CHECK(host.take_log().at(0) == "refused");
    CHECK(host.status == "working");
    CHECK(host.watched.count(5) == 1);
    host.wait_for_work();
    CHECK(host.poll() == TASKHOST_AGAIN);
    CHECK(host.take_log() == Lines{"again"});
    CHECK(host.poll() == TASKHOST_PENDING);
    CHECK(host.take_log() == Lines{"answer 42"});
    CHECK(host.poll() == TASKHOST_PENDING);
    CHECK(host.take_log().empty());
    host.is_readable = true;
    CHECK(host.poll() == TASKHOST_OK);
    CHECK(host.take_log() == Lines{"readable"});
    CHECK(host.watched.empty());
    CHECK(host.finish() == TASKHOST_PENDING);
    CHECK(host.finish() == TASKHOST_OK);
    CHECK(host.take_log() == Lines{"finished"});
    host.drop();
    CHECK(host.take_log() == Lines{"dropped"});
    host.end();
    CHECK(host.discarded == 0);
    CHECK(host.failure.empty());
  }
}

TEST_CASE("work that nobody was told of is discarded") {
  for (const Library& library : libraries()) {
    INFO(library.path);
    SmallHost host(*library.factory, "5");
    REQUIRE(host.start() == TASKHOST_OK);
    host.drop();
    host.end();
    CHECK(host.discarded == 1);
  }
}

TEST_CASE("a check judges the config without an execution") {
  for (const Library& library : libraries()) {
    INFO(library.path);
    REQUIRE(library.factory->check != nullptr);
    SmallHost right(*library.factory, "5");
    CHECK(library.factory->check(right.exec()) == TASKHOST_OK);
    CHECK(right.failure.empty());
    SmallHost wrong(*library.factory, "five");
    CHECK(library.factory->check(wrong.exec()) == TASKHOST_ERROR);
    CHECK(wrong.failure == "not a descriptor");
    CHECK(wrong.watched.empty());
  }
}
