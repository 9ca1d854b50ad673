// The text beside the JSON: which tasks are told together, and whom each consequence names.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

#include "explained_checks.hpp"

namespace taskhost::simulation {

namespace {

// Of one task, or of several that are told together.
struct Section {
  std::string heading;
  std::vector<std::string> lines;
};

std::vector<Section> sections_of(const std::string& text) {
  std::vector<Section> sections;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = text.find('\n', from);
    const std::string line = text.substr(from, end - from);
    from = end + 1;
    if (line.starts_with("  ") && !sections.empty()) {
      sections.back().lines.push_back(line.substr(2));
    } else if (line.starts_with("task ") || line.find(" tasks, '") != std::string::npos) {
      sections.push_back({line, {}});
    } else {
      break;  // what is told of all
    }
  }
  return sections;
}

std::vector<std::string> names_in_text(const std::string& line) {
  std::vector<std::string> names;
  for (std::size_t from = line.find("'t"); from != std::string::npos; from = line.find("'t", from)) {
    const std::size_t end = line.find('\'', from + 1);
    names.push_back(line.substr(from + 1, end - from - 1));
    from = end + 1;
  }
  return names;
}

std::set<std::string> set_of(const Json& entry, const char* field) {
  const Names names = names_in(entry, field);
  return {names.begin(), names.end()};
}

// Whom the text of a loss names, and whether it lets the host stop.
std::pair<std::set<std::string>, bool> named_in(const Json& loss) {
  if (loss.value("on_give_up", "") == "cooldown") return {set_of(loss, "restarted_with_it"), false};
  const Json& stop = loss.at("host_stops");
  if (!stop.is_null() && stop.at("reason") == "group") {
    std::set<std::string> names = set_of(stop, "unless_over");
    names.insert(stop.at("task").get<std::string>());
    return {std::move(names), true};
  }
  if (!stop.is_null() && stop.at("reason") != "all_done") return {{}, true};
  std::set<std::string> names = set_of(loss, "discarded_with_it");
  names.merge(set_of(loss, "skipped_if_waiting"));
  names.merge(set_of(loss, "skipped_in_turn"));
  const Json later = loss.value("host_stops_if_waiting", Json());
  if (!later.is_null() && later.at("reason") == "skipped") names.insert(later.at("task").get<std::string>());
  return {std::move(names), !stop.is_null() || !later.is_null()};
}

void check_loss(const Section& section, const std::string& begin, const Json& loss) {
  std::string line;
  for (const std::string& one : section.lines) {
    if (const std::size_t at = one.find(begin); at != std::string::npos) line = one.substr(at + begin.size());
  }
  expect(line.empty() == loss.is_null(), "whether something follows: " + begin);
  if (line.empty()) return;
  const auto [names, stops] = named_in(loss);
  const std::vector<std::string> told = names_in_text(line);
  expect_equal(std::set<std::string>(told.begin(), told.end()), names, "named after \"" + begin + "\"");
  expect((line.find("the host ") != std::string::npos) == stops, "whether the host stops: " + line);
}

// What the text tells of a task, too, whichever it is.
std::string without_place(Json entry) {
  const std::string name = entry.at("name").dump();
  for (const char* const field : {"name", "start_step", "stop_step", "can_be_over"}) entry.erase(field);
  if (entry.contains("when_it_gives_up")) entry.at("when_it_gives_up").erase("on_give_up");
  std::string all = entry.dump();
  for (std::size_t at = all.find(name); at != std::string::npos; at = all.find(name)) {
    all.replace(at, name.size(), "it");
  }
  return all;
}

}  // namespace

std::string text_difference(const std::string& text, const Json& told) {
  const Json& tasks = told.at("tasks");
  Names needed;  // somebody comes after them
  for (const Json& task : tasks) needed.merge(names_in(task, "after"));
  std::size_t next = 0;
  try {
    for (const Section& section : sections_of(text)) {
      const std::vector<std::string> range = names_in_text(section.heading);
      const std::size_t last = std::stoul(range.back().substr(1));
      expect_equal(range.front(), tasks.at(next).at("name"), "first of \"" + section.heading + "\"");
      const Json& first = tasks.at(next);
      for (; next <= last; ++next) {
        const Json& task = tasks.at(next);
        expect_equal(without_place(task), without_place(first), "told together");
        check_loss(section, "when it gives up: ", task.value("when_it_gives_up", Json()));
        check_loss(section, "while the host runs: ", task.value("when_abandoned", Json()));
        const bool is_killed = std::any_of(section.lines.begin(), section.lines.end(), [](const std::string& line) {
          return line.ends_with("; then it is killed");
        });
        expect_equal(is_killed, task.contains("isolation"), "whether it is killed: " + task.at("name").dump());
        const bool is_alone =
            !task.contains("after") && !task.contains("group") && needed.count(task.at("name").get<std::string>()) == 0;
        expect(is_alone || !section.heading.ends_with("each alone"), "not alone: " + task.at("name").dump());
      }
    }
    expect_equal(next, tasks.size(), "tasks in the text");
  } catch (const std::exception& error) {
    return std::string("the text: ") + error.what();
  }
  return {};
}

}  // namespace taskhost::simulation
