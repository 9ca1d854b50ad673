// A host's answers, and the screen that is made of them.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "operate/top_keys.hpp"
#include "operate/top_view.hpp"
#include "support/catch.hpp"

namespace taskhost::test {

struct TopScene {
  TopScene() {
    state.width = 100;
    state.height = 12;
    figures.host = Json::parse(R"({"name":"demo","state":"running","since_ms":3600000,"pid":7,
      "shards":2,"restarts":5,"events_lost":3,"log_lines_lost":0,
      "tasks":{"total":3,"ready":2,"needed_unready":1,"unanswered":0,"running":2,"delayed":1,"ended":0}})");
  }

  static Json task(const std::string& name, const char* changes = "{}") {
    Json json = Json::parse(R"({"name":"","type":"mandatory","state":"running","purpose":null,"since_ms":1500,
      "uptime_ms":61000,"ready":true,"execution":2,"restarts":5,"remaining":3,"next_start_ms":null,
      "last_outcome":null,"last_message":null,"status":null,"stalled":false,"abandoned":false,"over_for":null,
      "waits_for":[],"situation":"it is ready"})");
    json["name"] = name;
    json.update(Json::parse(changes));
    return json;
  }
  void add(const std::string& name, const char* changes = "{}") {
    figures.tasks.push_back(top_task(task(name, changes)));
  }
  static constexpr const char* fails =
      R"({"state":"delayed","uptime_ms":null,"next_start_ms":2500,"last_outcome":"error","last_message":"no route"})";

  // As it is seen, line by line, without spaces at the ends.
  std::vector<std::string> screen(std::uint64_t silent_ms = 0) {
    order = top_order(figures.tasks, state);
    keep_in_sight(state, figures.tasks, order);
    pieces = top_screen(figures, order, state, silent_ms);
    std::vector<std::string> lines(state.height);
    for (const Piece& piece : pieces) {
      REQUIRE(piece.row < state.height);
      CHECK(piece.column + columns_of(piece.text) <= state.width);
      CHECK(columns_of(piece.text) <= piece.width);
      std::string& line = lines[piece.row];
      const std::size_t used = columns_of(line);
      if (piece.text.empty()) continue;
      REQUIRE(used <= piece.column);
      line.append(piece.column - used, ' ');
      line += piece.text;
    }
    for (std::string& line : lines) line.resize(line.find_last_not_of(' ') + 1);
    return lines;
  }
  // The first words of the rows.
  std::vector<std::string> listed() {
    std::vector<std::string> names;
    screen();
    for (const std::size_t at : order) names.push_back(figures.tasks[at].name);
    return names;
  }

  TopWish type(const std::string& text) {
    TopWish wish;
    for (const char c : text) wish = press({.kind = TopKey::Kind::text, .text = std::string(1, c)});
    return wish;
  }
  TopWish press(TopKey::Kind kind) { return press({.kind = kind, .text = {}}); }
  TopWish press(const TopKey& key) {
    screen();
    return taskhost::press(state, key, figures, order);
  }

  TopFigures figures;
  TopState state;
  std::vector<std::size_t> order;
  std::vector<Piece> pieces;
};

}  // namespace taskhost::test
