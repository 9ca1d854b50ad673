// The C++ SDK with a fake host: when things are made and destroyed, and what happens to exceptions.
#include <fcntl.h>
#include <unistd.h>

#include <new>
#include <stdexcept>
#include <string>

#include "fake_host.hpp"
#include "support/catch.hpp"
#include "taskhost/sdk/config.hpp"
#include "taskhost/sdk/task.hpp"

using taskhost::test::contains_text;

namespace {

namespace sdk = taskhost::sdk;

int made = 0;
int destroyed = 0;

// Does what the config says, which is a single word here: the fake host accepts that.
class Scripted {
 public:
  explicit Scripted(sdk::Context context) : context_(context) {
    if (is("start throws")) throw std::runtime_error("constructor");
    if (is("start fails")) throw sdk::Failure("refused");
    if (is("start throws an int")) throw 5;
    ++made;
  }
  Scripted(const Scripted&) = delete;
  Scripted& operator=(const Scripted&) = delete;
  ~Scripted() noexcept(false) {
    ++destroyed;
    if (is("destructor throws")) throw std::runtime_error("destructor");
    if (is("destructor throws an int")) throw 5;
  }

  sdk::PollResult poll() {
    if (is("pending")) return sdk::pending;
    if (is("failed")) return sdk::failed("poll failed");
    if (is("failed silently")) return sdk::failed("");
    if (is("context failed")) return context_.fail("told through the context");
    if (is("throws")) throw std::runtime_error("poll threw");
    if (is("has no memory")) throw std::bad_alloc();
    if (is("throws a failure")) throw sdk::Failure("poll gave up");
    if (is("throws an int")) throw 5;
    return sdk::done;
  }

 private:
  bool is(std::string_view word) const { return context_.config() == word; }
  sdk::Context context_;
};

class Blocking {
 public:
  explicit Blocking(sdk::Context context) : context_(context) {}
  sdk::RunResult run() {
    if (context_.config() == "throws") throw std::runtime_error("run threw");
    while (!context_.wait_for(std::chrono::seconds(1)).stop()) ++turns;
    return sdk::failed("stopped");
  }
  int turns = 0;

 private:
  sdk::Context context_;
};

struct Silent {  // no constructor from a context, and a run without a result
  void run() {}
};

struct alignas(512) Aligned {
  sdk::PollResult poll() {
    return reinterpret_cast<std::uintptr_t>(this) % 512 == 0 ? sdk::PollResult(sdk::done) : sdk::failed("not aligned");
  }
};

constexpr taskhost_factory scripted = sdk::factory<Scripted>("scripted", "1.2", "a description");

struct Counted {
  Counted() { made = destroyed = 0; }
};

}  // namespace

TASKHOST_SDK_PLUGIN(sdk::factory<Scripted>("scripted"), sdk::factory<Blocking>("blocking"),
                    sdk::factory<Silent>("silent"));

TEST_CASE("a factory describes its class") {
  CHECK(scripted.struct_size == sizeof(taskhost_factory));
  CHECK(scripted.required_minor == 0);
  CHECK(std::string(scripted.name) == "scripted");
  CHECK(std::string(scripted.version) == "1.2");
  CHECK(std::string(scripted.description) == "a description");
  CHECK(scripted.state_size >= sizeof(Scripted));
  CHECK(scripted.state_align >= alignof(Scripted));
  CHECK(scripted.flags == 0);
  CHECK(scripted.poll != nullptr);
  CHECK(scripted.run == nullptr);
  constexpr taskhost_factory blocking = sdk::factory<Blocking>("blocking");
  CHECK(blocking.poll == nullptr);
  CHECK(blocking.run != nullptr);
}

TEST_CASE("the entry chains all factories and returns the same each time") {
  const taskhost_factory* first = taskhost_plugin_v1();
  REQUIRE(first == taskhost_plugin_v1());
  CHECK(std::string(first->name) == "scripted");
  CHECK(std::string(first->next->name) == "blocking");
  CHECK(std::string(first->next->next->name) == "silent");
  CHECK(first->next->next->next == nullptr);
}

TEST_CASE("one execution is one object, made by start and destroyed by drop") {
  Counted counted;
  FakeHost host;
  for (int execution = 1; execution <= 1000; ++execution) {
    REQUIRE(host.start(scripted) == TASKHOST_OK);
    REQUIRE(made == execution);
    REQUIRE(host.poll() == TASKHOST_OK);
    REQUIRE(destroyed == execution - 1);
    host.drop();
    REQUIRE(destroyed == execution);
  }
}

TEST_CASE("an exception in the constructor is a panic with its text, and nothing is destroyed") {
  Counted counted;
  FakeHost host;
  host.config = "start throws";
  CHECK(host.start(scripted) == TASKHOST_PANIC);
  CHECK(host.message == "constructor");
  CHECK(made == 0);
  CHECK(destroyed == 0);
}

TEST_CASE("a Failure in the constructor is a start that fails") {
  FakeHost host;
  host.config = "start fails";
  CHECK(host.start(scripted) == TASKHOST_ERROR);
  CHECK(host.message == "refused");
}

TEST_CASE("anything may be thrown") {
  FakeHost host;
  host.config = "start throws an int";
  CHECK(host.start(scripted) == TASKHOST_PANIC);
  CHECK(host.message == "an exception that is not a std::exception");
  host.config = "throws an int";
  REQUIRE(host.start(scripted) == TASKHOST_OK);
  CHECK(host.poll() == TASKHOST_PANIC);
  CHECK(host.message == "an exception that is not a std::exception");
}

TEST_CASE("what poll says reaches the host") {
  struct Row {
    const char* word;
    std::int32_t status;
    const char* message;
  };
  for (const Row& row :
       {Row{"", TASKHOST_OK, ""}, Row{"pending", TASKHOST_PENDING, ""}, Row{"failed", TASKHOST_ERROR, "poll failed"},
        Row{"failed silently", TASKHOST_ERROR, ""}, Row{"context failed", TASKHOST_ERROR, "told through the context"},
        Row{"throws", TASKHOST_PANIC, "poll threw"},
        Row{"has no memory", TASKHOST_PANIC, "out of memory (std::bad_alloc)"},
        Row{"throws a failure", TASKHOST_ERROR, "poll gave up"}}) {
    CAPTURE(row.word);
    Counted counted;
    FakeHost host;
    host.config = row.word;
    REQUIRE(host.start(scripted) == TASKHOST_OK);
    CHECK(host.poll() == row.status);
    CHECK(host.message == row.message);
    CHECK(destroyed == 0);
    host.drop();
    CHECK(destroyed == 1);
  }
}

TEST_CASE("an exception in the destructor is logged and stays inside") {
  FakeHost host;
  for (const char* word : {"destructor throws", "destructor throws an int"}) {
    Counted counted;
    host.config = word;
    host.log.clear();
    REQUIRE(host.start(scripted) == TASKHOST_OK);
    host.drop();
    CHECK(destroyed == 1);
    REQUIRE_FALSE(host.log.empty());
    CHECK_THAT(host.log.front(), contains_text("the task's end threw an exception"));
  }
}

TEST_CASE("a blocking task waits, ends and throws as a polled one") {
  constexpr taskhost_factory blocking = sdk::factory<Blocking>("blocking");
  FakeHost host;
  host.stop_at = host.time + 10 * TASKHOST_SECOND + 1;
  REQUIRE(host.start(blocking) == TASKHOST_OK);
  CHECK(host.run() == TASKHOST_ERROR);
  CHECK(host.message == "stopped");
  host.drop();
  host.config = "throws";
  REQUIRE(host.start(blocking) == TASKHOST_OK);
  CHECK(host.run() == TASKHOST_PANIC);
  CHECK(host.message == "run threw");
}

TEST_CASE("a class without context, and a run without result, will do") {
  constexpr taskhost_factory silent = sdk::factory<Silent>("silent");
  FakeHost host;
  REQUIRE(host.start(silent) == TASKHOST_OK);
  CHECK(host.run() == TASKHOST_OK);
}

TEST_CASE("an object is aligned as its class asks") {
  constexpr taskhost_factory aligned = sdk::factory<Aligned>("aligned");
  CHECK(aligned.state_align == 512);
  FakeHost host;
  REQUIRE(host.start(aligned) == TASKHOST_OK);
  CHECK(host.poll() == TASKHOST_OK);
}

TEST_CASE("a context hands the services through") {
  FakeHost host;
  host.config = R"({"a": 1})";
  host.number = 3;
  const sdk::Context context(host.exec());
  context.info("line");
  CHECK(host.log == std::vector<std::string>{"line"});
  CHECK(context.config() == host.config);
  CHECK(context.task_name() == "fake");
  CHECK(context.execution_number() == 3);
  CHECK_FALSE(context.stop_requested());
  host.stop = true;
  CHECK(context.stop_requested());
  context.ready();
  context.heartbeat();
  CHECK(host.readies == 1);
  CHECK(host.beats == 1);
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(file >= 0);
  CHECK(context.watch(file, TASKHOST_READABLE, 9) == TASKHOST_OK);
  CHECK(host.descriptors.at(file) == TASKHOST_READABLE);
  CHECK(host.tags.at(file) == 9);
  host.descriptor_status = TASKHOST_REFUSED_MEMORY;
  CHECK(context.watch(file, TASKHOST_READABLE) == TASKHOST_REFUSED_MEMORY);
  context.forget(file);
  ::close(file);
  CHECK(host.descriptors.empty());
  context.status("busy");
  CHECK(host.status == "busy");
  CHECK(context.extension<taskhost_signals>(TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION) != nullptr);
  CHECK(context.extension<int>("nothing", 1) == nullptr);
  sdk::Waker().wake();
  CHECK(host.wakes == 0);
  const sdk::Waker waker = context.waker();
  waker.wake();
  CHECK(host.wakes == 1);
}

TEST_CASE("times and delays become nanoseconds, and what is too far is never") {
  FakeHost host;
  const sdk::Context context(host.exec());
  context.wake_at(context.now() + std::chrono::milliseconds(5));
  CHECK(host.wake_time == host.time + 5 * TASKHOST_MILLISECOND);
  context.wake_after(std::chrono::seconds(2));
  CHECK(host.wake_time == host.time + 2 * TASKHOST_SECOND);
  context.wake_after(std::chrono::duration<double>(0.25));
  CHECK(host.wake_time == host.time + 250 * TASKHOST_MILLISECOND);
  context.wake_after(std::chrono::duration<double, std::nano>(0.5));
  CHECK(host.wake_time == host.time + 1);
  context.wake_after(std::chrono::seconds(-1));
  CHECK(host.wake_time == host.time);
  context.wake_after(std::chrono::hours::max());
  CHECK(host.wake_time == TASKHOST_NEVER);
  context.wake_after(sdk::Duration::max());
  CHECK(host.wake_time == TASKHOST_NEVER);
  context.wake_at(sdk::never);
  CHECK(host.wake_time == TASKHOST_NEVER);
  context.wake_at(sdk::Time(sdk::Duration(-5)));
  CHECK(host.wake_time == 0);
}

TEST_CASE("a config is read by the host, with defaults for what is not there") {
  FakeHost host;
  host.config = R"({"text": "words", "whole": 7, "half": 0.5, "yes": true, "no": false, "delay": "250ms",
                    "list": [1, 2, 3], "empty": ""})";
  const sdk::Config config{sdk::Context(host.exec())};
  config.keys("text whole half yes no delay list empty");
  CHECK(host.known_keys == "text whole half yes no delay list empty");
  config.require("/text");
  CHECK(config.text("/text") == "words");
  CHECK(config.text("/empty", "default").empty());
  CHECK(config.text("/none", "default") == "default");
  CHECK(config.text("/none").empty());
  CHECK(config.integer("/whole", 1) == 7);
  CHECK(config.integer("/none", -1) == -1);
  CHECK(config.number("/half", 1) == 0.5);
  CHECK(config.number("/none", 1) == 1);
  CHECK(config.boolean("/yes", false));
  CHECK_FALSE(config.boolean("/no", true));
  CHECK(config.boolean("/none", true));
  CHECK(config.duration("/delay", std::chrono::hours(1)) == std::chrono::milliseconds(250));
  CHECK(config.duration("/none", std::chrono::hours(1)) == std::chrono::hours(1));
  CHECK(config.duration("/none", sdk::Duration::max()) == sdk::Duration::max());
  CHECK(config.count("/list") == 3);
  CHECK(config.count("/none") == 0);
}

TEST_CASE("the host reads durations that do not stand in the config, and nothing else") {
  FakeHost host;
  const sdk::Config config{sdk::Context(host.exec())};
  CHECK(config.parse_duration("1.5h") == std::chrono::minutes(90));
  CHECK(config.parse_duration(std::string_view("250ms and more", 5)) == std::chrono::milliseconds(250));
  for (const char* text : {"", "soon", "5", "-1s", "1 s", "9000h"}) CHECK_FALSE(config.parse_duration(text));
  CHECK_FALSE(config.parse_duration(std::string_view()));
  const auto* reader =
      sdk::Context(host.exec()).extension<taskhost_config_reader>(TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  REQUIRE(reader != nullptr);
  std::uint64_t value = 7;
  CHECK(reader->parse_duration("8761h", 5, &value) == TASKHOST_ERROR);
  CHECK(value == 7);  // left as it is
  CHECK(reader->parse_duration("8760h", 5, &value) == TASKHOST_OK);
  CHECK(value == 8760 * 3600 * TASKHOST_SECOND);
  CHECK(host.message.empty());
}

namespace {

struct Configured {
  explicit Configured(sdk::Context context) { sdk::Config(context).integer("/count", 1, sdk::between(1, 9)); }
  sdk::PollResult poll() { return sdk::done; }
};

}  // namespace

TEST_CASE("a config that will not do is a failure with the host's text") {
  constexpr taskhost_factory configured = sdk::factory<Configured>("configured");
  FakeHost host;
  CHECK(host.start(configured) == TASKHOST_OK);
  host.drop();
  host.config = R"({"count": 10})";
  CHECK(host.start(configured) == TASKHOST_ERROR);
  CHECK(host.message == "config: /count: must be a whole number from 1 to 9");
  host.config = R"({"count": "wrong"})";
  CHECK(host.start(configured) == TASKHOST_ERROR);
  CHECK(host.message == "config: /count: must be a whole number from 1 to 9");
  CHECK_THROWS_AS(sdk::Config(sdk::Context(host.exec())).require("/none"), sdk::Failure);
  host.has_config = false;
  CHECK(host.start(configured) == TASKHOST_ERROR);
  CHECK(host.message == "this host reads no configs (extension taskhost.config)");
}
