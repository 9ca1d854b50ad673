#include "operate/top_keys.hpp"

#include <string>

#include "top_scene.hpp"

using namespace taskhost;
using taskhost::test::TopScene;
using Kind = TopKey::Kind;

namespace {

TopScene many_tasks() {
  TopScene scene;
  for (int at = 0; at < 30; ++at) scene.add("task-" + std::to_string(at));
  return scene;
}

}  // namespace

TEST_CASE("keys move the selection, within the list") {
  TopScene scene = many_tasks();
  scene.press(Kind::up);
  CHECK(scene.state.selected == "task-0");
  scene.press(Kind::down);
  scene.type("jjk");
  CHECK(scene.state.selected == "task-2");
  scene.press(Kind::page_down);
  CHECK(scene.state.selected == "task-10");
  scene.type("\x06\x06");
  CHECK(scene.state.selected == "task-26");
  scene.press(Kind::end);
  CHECK(scene.state.selected == "task-29");
  scene.press(Kind::page_up);
  CHECK(scene.state.selected == "task-21");
  scene.press(Kind::home);
  CHECK(scene.state.selected == "task-0");
}

TEST_CASE("a stop and a restart need a second key, and go to the task that the question names") {
  TopScene scene = many_tasks();
  scene.press(Kind::down);
  CHECK(scene.type("t").verb.empty());
  CHECK(scene.screen().back() == "stop task-1? y: yes, any other key: no");
  scene.state.selected = "task-9";
  TopWish wish = scene.type("y");
  CHECK(wish.verb == "stop");
  CHECK(wish.task == "task-1");
  for (const char* keys : {"rn", "tt", "rq", "t "}) {
    wish = scene.type(keys);
    CHECK(wish.verb.empty());
    CHECK_FALSE(wish.is_quit);
    CHECK(scene.state.prompt == TopState::Prompt::none);
  }
  wish = scene.type("ry");
  CHECK(wish.verb == "restart");
  wish = scene.type("s");
  CHECK(wish.verb == "start");
  CHECK(scene.type("y").verb.empty());
}

TEST_CASE("an order without a task is none") {
  TopScene scene;
  CHECK(scene.type("s").verb.empty());
  CHECK(scene.type("ty").verb.empty());
  scene.press(Kind::enter);
  CHECK(scene.state.details_of.empty());
}

TEST_CASE("letters are text while a filter is typed") {
  TopScene scene = many_tasks();
  CHECK_FALSE(scene.type("/q1").is_quit);
  CHECK(scene.state.filter == "q1");
  CHECK(scene.screen().back().starts_with("/q1_ "));
  scene.press({.kind = Kind::text, .text = "\u30bf"});
  scene.press(Kind::erase);
  scene.press(Kind::erase);
  CHECK(scene.state.filter == "q");
  scene.type("\x15task-2");
  scene.press(Kind::enter);
  CHECK(scene.state.filter == "task-2");
  CHECK(scene.listed().size() == 11);
  CHECK(scene.type("q").is_quit);
  scene.press(Kind::escape);
  CHECK(scene.listed().size() == 30);
  scene.type("/x");
  scene.press(Kind::escape);
  CHECK(scene.state.filter.empty());
  CHECK(scene.state.prompt == TopState::Prompt::none);
}

TEST_CASE("the order of the list is chosen column by column, around the ends, without one that is not there") {
  TopScene scene = many_tasks();
  scene.type("<");
  CHECK(scene.state.sort == TopColumn::task);
  scene.type("<");
  CHECK(scene.state.sort == TopColumn::message);
  scene.type("<");
  CHECK(scene.state.sort == TopColumn::next);
  scene.type(">>");
  CHECK(scene.state.sort == TopColumn::task);
  scene.type("i");
  CHECK(scene.listed().front() == "task-9");
  scene.type("w");
  CHECK(scene.listed().empty());
}

TEST_CASE("details are opened and left, and their keys act on their task") {
  TopScene scene = many_tasks();
  scene.press(Kind::down);
  CHECK(scene.press(Kind::enter).is_refresh);
  CHECK(scene.state.details_of == "task-1");
  scene.press(Kind::up);
  CHECK(scene.state.scrolled == 1);
  CHECK(scene.state.selected == "task-1");
  scene.press(Kind::end);
  CHECK(scene.state.scrolled == 0);
  scene.type("w<i/");
  CHECK(scene.state.prompt == TopState::Prompt::none);
  CHECK(scene.type("ry").task == "task-1");
  scene.press(Kind::escape);
  CHECK(scene.state.details_of.empty());
}

TEST_CASE("the help is left by any key, and q quits from everywhere but a filter and a question") {
  TopScene scene = many_tasks();
  scene.type("?");
  CHECK(scene.screen()[2] == "KEYS; Up and Down show the rest");
  scene.press(Kind::down);
  CHECK(scene.state.help_first == 1);
  CHECK(scene.type("s").verb.empty());
  CHECK_FALSE(scene.state.shows_help);
  CHECK(scene.type("?q").is_quit);
  scene.state.shows_help = false;
  scene.press(Kind::enter);
  CHECK(scene.type("q").is_quit);
}
