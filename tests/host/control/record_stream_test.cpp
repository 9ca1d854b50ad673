// What a client gets of a history.
#include "control/record_stream.hpp"

#include <chrono>
#include <string>

#include "support/catch.hpp"

using namespace taskhost;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t a_second = 1'000'000;
constexpr std::size_t all = 1'000'000;

// Records 1, 2, 3, … of the seconds 1, 2, 3, …
class Scene {
 public:
  explicit Scene(std::size_t capacity = 100) : history_(capacity) {}

  void put(std::string task = {}, LogLevel level = LogLevel::info) {
    ++sequence_;
    history_.put({.sequence = sequence_,
                  .time_us = static_cast<std::int64_t>(sequence_) * a_second,
                  .level = level,
                  .task = std::move(task),
                  .json = "{\"seq\":" + std::to_string(sequence_) + "}"});
  }
  void put_some(int count) {
    while (count-- > 0) put();
  }
  void lose_one() { ++sequence_; }
  RecordStream stream(const RecordsWanted& wanted = {}, RecordFormat format = RecordFormat::json_lines,
                      std::string_view last_event_id = {}, bool is_log = true) const {
    return {{.history = history_,
             .is_log = is_log,
             .instance = "me",
             .now_us = static_cast<std::int64_t>(sequence_) * a_second},
            wanted,
            format,
            last_event_id};
  }
  std::string text(const RecordsWanted& wanted = {}) const { return stream(wanted).next(all); }

 private:
  History history_;
  std::uint64_t sequence_ = 0;
};

std::string lines(std::initializer_list<int> numbers) {
  std::string text;
  for (const int number : numbers) text += "{\"seq\":" + std::to_string(number) + "}\n";
  return text;
}

}  // namespace

TEST_CASE("without a wish, all records that are kept are read, in lines, and then those that come") {
  Scene scene;
  scene.put_some(2);
  RecordStream stream = scene.stream();
  CHECK(stream.has_more());
  CHECK(stream.next(all) == lines({1, 2}));
  CHECK_FALSE(stream.has_more());
  CHECK(stream.next(all).empty());
  scene.put();
  CHECK(stream.has_more());
  CHECK(stream.next(all) == lines({3}));
}

TEST_CASE("a large history is read in pieces") {
  Scene scene(2000);
  scene.put_some(1000);
  RecordStream stream = scene.stream();
  std::string together;
  for (int pieces = 0;; ++pieces) {
    const std::string piece = stream.next(1000);
    CHECK(piece.size() < 1020);
    if (piece.empty()) {
      CHECK(pieces > 9);
      break;
    }
    together += piece;
  }
  CHECK(together == scene.text());
}

TEST_CASE("records can be asked for by number, age, level and task, and only the last of them") {
  Scene scene;
  scene.put("a");
  scene.put("b", LogLevel::error);
  scene.put("a", LogLevel::warning);
  scene.put();
  scene.put("a", LogLevel::debug);
  CHECK(scene.text({.since = 3}) == lines({4, 5}));
  CHECK(scene.text({.newer_than = 1s}) == lines({4, 5}));
  CHECK(scene.text({.newer_than = 100h}) == lines({1, 2, 3, 4, 5}));
  CHECK(scene.text({.level = LogLevel::warning}) == lines({2, 3}));
  CHECK(scene.text({.task = "a"}) == lines({1, 3, 5}));
  CHECK(scene.text({.last = 2, .task = "a"}) == lines({3, 5}));
  CHECK(scene.text({.last = 9, .task = "a"}) == lines({1, 3, 5}));
  CHECK(scene.text({.since = 1, .last = 9, .task = "a"}) == lines({3, 5}));
  CHECK(scene.text({.last = 0}).empty());
  CHECK(scene.text({.task = "c"}).empty());
}

TEST_CASE("whoever asks for the last ones then gets those that come") {
  for (const std::size_t last : {0, 1, 9}) {
    Scene scene;
    scene.put_some(5);
    RecordStream stream = scene.stream({.last = last, .task = "later"});
    CHECK(stream.next(all).empty());
    scene.put("later");
    CHECK(stream.has_more());
    CHECK(stream.next(all) == lines({6}));
  }
}

TEST_CASE("what a reader misses is told in its place, with the number") {
  Scene scene(3);
  scene.put_some(2);
  RecordStream stream = scene.stream();
  CHECK(stream.next(all) == lines({1, 2}));
  scene.put_some(5);
  CHECK(stream.next(all) == "{\"seq\":4,\"lost\":2}\n" + lines({5, 6, 7}));
  scene.lose_one();  // there was no memory for it
  scene.put();
  CHECK(stream.next(all) == "{\"seq\":8,\"lost\":1}\n" + lines({9}));

  RecordStream events = scene.stream({.since = 1}, RecordFormat::json_lines, {}, false);
  CHECK(events.next(all) == R"({"seq":5,"event":"events_lost","count":4})"
                            "\n" +
                                lines({6, 7}) +
                                R"({"seq":8,"event":"events_lost","count":1})"
                                "\n" +
                                lines({9}));
}

TEST_CASE("what is no longer kept when somebody asks for the first time is not called missing") {
  Scene scene(3);
  scene.put_some(10);
  CHECK(scene.text() == lines({8, 9, 10}));
  CHECK(scene.text({.newer_than = 5s}) == lines({8, 9, 10}));
}

TEST_CASE("whoever was there from the beginning is told of all that is missing") {
  Scene scene(3);
  RecordStream stream = scene.stream();
  CHECK(stream.next(all).empty());
  scene.put_some(10);
  CHECK(stream.next(all) == "{\"seq\":7,\"lost\":7}\n" + lines({8, 9, 10}));
}

TEST_CASE("server-sent events have an id with which a client goes on where it was") {
  Scene scene;
  scene.put_some(3);
  constexpr auto format = RecordFormat::server_sent_events;
  CHECK(scene.stream({.since = 2}, format).next(all) == "id: me:3\ndata: {\"seq\":3}\n\n");
  CHECK(scene.stream({}, format, "me:2").next(all) == "id: me:3\ndata: {\"seq\":3}\n\n");
  CHECK(scene.stream({.last = 1}, format, "me:1").next(all) ==
        "id: me:2\ndata: {\"seq\":2}\n\nid: me:3\ndata: {\"seq\":3}\n\n");
  CHECK(RecordStream::content_type(format) == "text/event-stream");
  CHECK(RecordStream::heartbeat(format) == ":\n\n");
  CHECK(RecordStream::heartbeat(RecordFormat::json_lines).empty());
}

TEST_CASE("a client of another host, or of a former run, gets everything") {
  Scene scene;
  scene.put_some(2);
  for (const std::string_view id :
       {"other:2", "me:3", "me:", "me", "2", ":", "me:2x", "me:-1", "me:99999999999999999999"}) {
    INFO(id);
    CHECK(scene.stream({}, RecordFormat::json_lines, id).next(all) == lines({1, 2}));
  }
  CHECK(scene.text({.since = 99}) == lines({1, 2}));
}

TEST_CASE("the last ones of one task are looked for a piece at a time, so that others have their turn") {
  Scene scene(100'000);
  scene.put("rare");
  scene.put_some(50'000);
  RecordStream stream = scene.stream({.last = 2, .task = "rare"});
  int turns = 0;
  std::string text;
  while (stream.has_more()) {
    text += stream.next(all);
    ++turns;
  }
  CHECK(text == lines({1}));
  CHECK(turns > 10);
}

TEST_CASE("who asks for more than there is after a record is told what is missing, also of one task") {
  Scene scene(3);
  scene.put_some(5);
  scene.put("a");
  CHECK(scene.text({.since = 2, .last = 9, .task = "a"}) == "{\"seq\":3,\"lost\":1}\n" + lines({6}));
  CHECK(scene.text({.since = 2, .last = 1, .task = "a"}) == lines({6}));
  CHECK(scene.text({.last = 9, .task = "a"}) == lines({6}));
}
