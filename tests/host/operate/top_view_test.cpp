#include "operate/top_view.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "top_scene.hpp"

using namespace taskhost;
using taskhost::test::TopScene;
using Names = std::vector<std::string>;

TEST_CASE("the screen has the host, its counts, the tasks with those that are not well first, and the keys") {
  TopScene scene;
  scene.add("feed");
  scene.add("leaky", TopScene::fails);
  scene.state.height = 7;
  CHECK(scene.screen() ==
        std::vector<std::string>{
            "demo: running for 1h00m, process 7; 2 of 3 tasks ready; 1 needed task is not ready, 1 task waits fo…",
            "2 running, 1 delayed; 2 shards; 5 restarts after exits",
            "  TASK          STATE▲    UPTIME   RESTARTS     NEXT    MESSAGE",
            "> leaky         delayed   -        1 (3 left)   2.5s    error: no route",
            "  feed          running   1m01s    1 (3 left)   -",
            "",
            "q quit  ? help  Enter details  / filter  w not well  < > sort  s start  t stop  r restart",
        });
}

TEST_CASE("what does not fit is left out from the last columns on, and the name and the message stay") {
  TopScene scene;
  scene.add("a-rather-long-name-of-a-task", TopScene::fails);
  scene.state.width = 40;
  CHECK(scene.screen()[2] == "  TASK          STATE▲    MESSAGE");
  CHECK(scene.screen()[3] == "> a-rather-lo…  delayed   error: no rou…");
  scene.state.width = 56;
  CHECK(scene.screen()[2].find("UPTIME") != std::string::npos);
  CHECK(scene.screen()[2].find("NEXT") == std::string::npos);
  scene.state.width = 200;
  CHECK(scene.screen()[3].starts_with("> a-rather-long-name-of-a-task  delayed "));
}

TEST_CASE("every size has a screen that fits") {
  TopScene scene;
  for (int at = 0; at < 20; ++at) scene.add("task-" + std::to_string(at), at % 3 == 0 ? TopScene::fails : "{}");
  scene.figures.details_of = "task-3";
  scene.figures.task = TopScene::task("task-3");
  for (const bool help : {false, true}) {
    for (const char* details : {"", "task-3"}) {
      scene.state.shows_help = help;
      scene.state.details_of = details;
      for (scene.state.width = 1; scene.state.width < 130; ++scene.state.width) {
        for (scene.state.height = 1; scene.state.height < 30; scene.state.height += 3) scene.screen();
      }
    }
  }
  scene.state.width = 20;
  scene.state.height = 5;
  CHECK(scene.screen()[0] == "make it larger");
  CHECK(scene.screen()[1] == "(40x6 at least)");
}

TEST_CASE("a share has a column only if the host tells it") {
  TopScene scene;
  scene.add("feed");
  CHECK(scene.screen()[2].find("SHARE") == std::string::npos);
  scene.add("busy", R"({"share":null})");
  CHECK(scene.screen()[2].find("SHARE") != std::string::npos);
  CHECK(scene.screen()[4].ends_with(" -       -"));
  scene.figures.tasks[1] = top_task(TopScene::task("busy", R"({"share":0.256})"));
  CHECK(scene.screen()[2].find("SHARE") != std::string::npos);
  scene.state.sort = TopColumn::share;
  CHECK(scene.screen()[3].find("25.6%") != std::string::npos);
}

TEST_CASE("each column sorts, what is missing comes last, and equal tasks keep the host's order") {
  TopScene scene;
  scene.add("c", R"({"uptime_ms":3000,"execution":9,"status":"zeta"})");
  scene.add("b", TopScene::fails);
  scene.add("a", R"({"uptime_ms":500,"execution":1,"remaining":null})");
  scene.add("d", R"({"uptime_ms":500,"last_outcome":"ok"})");
  const auto sorted_by = [&](TopColumn column) {
    scene.state.sort = column;
    return scene.listed();
  };
  CHECK(sorted_by(TopColumn::state) == Names{"b", "c", "a", "d"});
  CHECK(sorted_by(TopColumn::task) == Names{"a", "b", "c", "d"});
  CHECK(sorted_by(TopColumn::uptime) == Names{"a", "d", "c", "b"});
  CHECK(sorted_by(TopColumn::restarts) == Names{"c", "b", "d", "a"});
  CHECK(sorted_by(TopColumn::next) == Names{"b", "c", "a", "d"});
  CHECK(sorted_by(TopColumn::message) == Names{"b", "c", "a", "d"});
  scene.state.is_inverted = true;
  CHECK(sorted_by(TopColumn::uptime) == Names{"b", "c", "a", "d"});
  CHECK(scene.screen()[2].find("UPTIME▼") != std::string::npos);
}

TEST_CASE("a filter looks at name, state and message without regard to case, and a pattern at names") {
  TopScene scene;
  scene.add("Feed-1", R"({"status":"connected"})");
  scene.add("feed-2", TopScene::fails);
  scene.add("side");
  const auto with = [&](const char* filter) {
    scene.state.filter = filter;
    return scene.listed();
  };
  CHECK(with("FEED") == Names{"feed-2", "Feed-1"});
  CHECK(with("f*1") == Names{"Feed-1"});
  CHECK(with("connect") == Names{"Feed-1"});
  CHECK(with("delayed") == Names{"feed-2"});
  CHECK(scene.screen()[1].starts_with("lists 1 of 3: with delayed; 2 running"));
  CHECK(with("none").empty());
  CHECK(scene.screen()[3] == "no task is like that; Esc lists all");
  scene.state.only_unwell = true;
  CHECK(with("") == Names{"feed-2"});
  CHECK(scene.screen()[1].starts_with("lists 1 of 3: not well; "));
}

TEST_CASE("the selected task stays selected where it moves to, unless it is the first one") {
  TopScene scene;
  for (int at = 0; at < 50; ++at) scene.add("task-" + std::to_string(at));
  scene.screen();
  CHECK(scene.state.selected == "task-0");
  scene.state.position = 20;
  scene.state.selected = "task-20";
  scene.screen();
  CHECK(scene.screen()[10] == "> task-20       running   1m01s    1 (3 left)   -");
  scene.figures.tasks.insert(scene.figures.tasks.begin(), top_task(TopScene::task("new", TopScene::fails)));
  scene.screen();
  CHECK(scene.state.selected == "task-20");
  CHECK(scene.state.position == 21);
  scene.figures.tasks.resize(5);
  scene.screen();
  CHECK(scene.state.selected == "task-3");
  scene.state.position = 0;
  scene.screen();
  CHECK(scene.state.selected == "new");
  scene.figures.tasks.clear();
  CHECK(scene.screen()[3] == "this host has no tasks");
  CHECK(scene.state.selected.empty());
}

TEST_CASE("a host that is silent is told in the first line, and why in the last one") {
  TopScene scene;
  CHECK(scene.screen(2999)[0].starts_with("demo: "));
  CHECK(scene.screen(7200)[0].starts_with("no answer for 7.2s; before: demo: running"));
  scene.state.trouble = "nobody listens there";
  CHECK(scene.screen()[11] == "trying again: nobody listens there");
  scene.figures.host = nullptr;
  CHECK(scene.screen()[0] == "waiting for the host's answer");
}

TEST_CASE("what hosts and tasks say is harmless, and columns stay aligned") {
  TopScene scene;
  scene.add("\u30bf\u30b9\u30af", R"({"status":"\u001b[2J\u0007\n\u202e\u0301"})");
  scene.add("e\u0301\u0301", R"({"state":"\u001b]0;x","status":"\ud83d\ude00 \u05e9\u05dc\u05d5\u05dd"})");
  scene.figures.host["name"] = "\x1b[31m";
  const std::vector<std::string> lines = scene.screen();
  for (const Piece& piece : scene.pieces) CHECK_FALSE(has_control_character(piece.text));
  for (std::size_t row = 3; row < 5; ++row) {
    INFO(lines[row]);
    CHECK(columns_of(lines[row].substr(0, lines[row].find("1m01s"))) == 26);
  }
}

TEST_CASE("details say why, list the facts, and show the end of the log") {
  TopScene scene;
  scene.state.details_of = "feed";
  CHECK(scene.screen()[3] == "asking the host");
  scene.figures.details_of = "feed";
  CHECK(scene.screen()[3] == "the host has no such task; Esc: back");
  scene.figures.task = TopScene::task("feed");
  CHECK(scene.screen()[2] == "TASK feed");
  CHECK(scene.screen()[3] == "it is ready");
  CHECK(scene.screen()[4] == "  state          running for 1.5s");
  CHECK(scene.screen()[7].starts_with("  and "));
  CHECK(scene.screen()[8] == "LOG");
  CHECK(scene.screen()[9] == "this host keeps no log");
  scene.figures.keeps_log = true;
  CHECK(scene.screen()[9] == "nothing yet");
  for (const char* const record :
       {R"({"time":"2026-01-31T12:00:00.123456Z","seq":1,"level":"info","task":"feed","message":"one"})",
        R"({"seq":2,"lost":4})",
        R"({"time":"2026-01-31T12:00:01.000000Z","seq":7,"level":"error","message":"\u001b[0m two\nthree"})"}) {
    append_log(scene.figures.log, Json::parse(record));
  }
  REQUIRE(scene.figures.log.size() == 4);
  CHECK(scene.figures.log[0].text.ends_with(":00.123 info    one"));
  CHECK(scene.figures.log[0].text.size() == std::string("2026-01-31 12:00:00.123 info    one").size());
  CHECK(scene.screen()[9].ends_with(":01.000 error   \\u001b[0m two"));
  CHECK(scene.screen()[10].ends_with(":01.000 error     | three"));
  scene.state.scrolled = 100;
  CHECK(scene.screen()[10].starts_with("… 4 lines are missing here"));
  CHECK(scene.screen()[8] == "LOG; 2 lines below");
}

TEST_CASE("long lines of the log and long sentences are broken at spaces") {
  TopScene scene;
  scene.state.width = 40;
  scene.state.height = 20;
  scene.state.details_of = scene.figures.details_of = "feed";
  scene.figures.task = TopScene::task(
      "feed", R"({"situation":"it failed since the server was not there and it starts again in a while"})");
  CHECK(scene.screen()[3] == "it failed since the server was not there");
  CHECK(scene.screen()[4] == "and it starts again in a while");
  scene.figures.keeps_log = true;
  scene.figures.log = {{std::string(45, 'x'), Tone::plain}, {"\u30bf" + std::string(39, 'y'), Tone::plain}};
  const std::vector<std::string> lines = scene.screen();
  const auto at = std::find(lines.begin(), lines.end(), std::string(40, 'x'));
  REQUIRE(at != lines.end());
  CHECK(at[1] == "xxxxx");
  CHECK(at[2] == "\u30bf" + std::string(38, 'y'));
}

TEST_CASE("of ten thousand tasks only those are drawn that are seen") {
  TopScene scene;
  for (int at = 0; at < 10'000; ++at) scene.add("task-" + std::to_string(at * 7919 % 10'000), TopScene::fails);
  scene.state.filter = "route";
  scene.state.sort = TopColumn::task;
  scene.state.position = 9'999;
  scene.state.selected = "task-9999";
  CHECK(scene.screen()[10].starts_with("> task-9999 "));
  CHECK(scene.pieces.size() < 100);
}
