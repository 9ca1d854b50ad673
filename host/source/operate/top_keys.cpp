#include "operate/top_keys.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace taskhost {

namespace {

using Kind = TopKey::Kind;

constexpr const char* control_b = "\x02";
constexpr const char* control_f = "\x06";
constexpr const char* control_l = "\x0c";
constexpr const char* control_u = "\x15";

// Keys with another name.
TopKey meant(const TopKey& key) {
  constexpr std::pair<const char*, Kind> others[] = {
      {"k", Kind::up},  {"j", Kind::down},          {"g", Kind::home},
      {"G", Kind::end}, {control_b, Kind::page_up}, {control_f, Kind::page_down}};
  if (key.kind != Kind::text) return key;
  for (const auto& [text, kind] : others) {
    if (key.text == text) return {.kind = kind, .text = {}};
  }
  return key;
}

void type_filter(TopState& state, const TopKey& key) {
  if (key.kind == Kind::enter) {
    state.prompt = TopState::Prompt::none;
  } else if (key.kind == Kind::escape) {
    state.prompt = TopState::Prompt::none;
    state.filter.clear();
  } else if (key.kind == Kind::erase) {
    while (!state.filter.empty() && (static_cast<unsigned char>(state.filter.back()) & 0xC0U) == 0x80U) {
      state.filter.pop_back();
    }
    if (!state.filter.empty()) state.filter.pop_back();
  } else if (key.kind == Kind::text && key.text == control_u) {
    state.filter.clear();
  } else if (key.kind == Kind::text && !has_control_character(key.text)) {
    state.filter += key.text;
  }
}

// By so many lines, in the direction of the key; nothing for keys that do not move.
std::ptrdiff_t step_of(Kind kind, std::size_t page, std::size_t all) {
  const auto signed_page = static_cast<std::ptrdiff_t>(page);
  const auto signed_all = static_cast<std::ptrdiff_t>(all);
  switch (kind) {
    case Kind::up:
      return -1;
    case Kind::down:
      return 1;
    case Kind::page_up:
      return -signed_page;
    case Kind::page_down:
      return signed_page;
    case Kind::home:
      return -signed_all;
    case Kind::end:
      return signed_all;
    default:
      return 0;
  }
}

std::size_t moved(std::size_t at, std::ptrdiff_t step, std::size_t last) {
  const auto to = static_cast<std::ptrdiff_t>(at) + step;
  return static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(to, 0, static_cast<std::ptrdiff_t>(last)));
}

constexpr std::size_t any_number = 1'000'000;  // of lines in a log; what is drawn limits it

void move(TopState& state, std::ptrdiff_t step, const TopFigures& figures, const std::vector<std::size_t>& order) {
  if (state.shows_help) {
    state.help_first = moved(state.help_first, step, any_number);
  } else if (!state.details_of.empty()) {
    state.scrolled = moved(state.scrolled, -step, any_number);
  } else if (!order.empty()) {
    state.position = moved(state.position, step, order.size() - 1);
    state.selected = figures.tasks[order[state.position]].name;
  }
}

void sort_by_neighbour(TopState& state, std::size_t step, const TopFigures& figures) {
  const auto has_share = [](const TopTask& task) { return task.has_share; };
  auto at = static_cast<std::size_t>(state.sort);
  do {
    at = (at + step) % top_columns.size();
  } while (top_columns[at] == TopColumn::share && std::none_of(figures.tasks.begin(), figures.tasks.end(), has_share));
  state.sort = top_columns[at];
}

const char* verb_of(const std::string& text) {
  return text == "s" ? "start" : text == "t" ? "stop" : text == "r" ? "restart" : nullptr;
}

TopWish give_order(TopState& state, const std::string& verb) {
  const std::string& task = state.details_of.empty() ? state.selected : state.details_of;
  if (task.empty()) return {};
  if (verb == "start") return {.verb = verb, .task = task};
  state.prompt = TopState::Prompt::order;
  state.verb = verb;
  state.verb_target = task;
  return {};
}

TopWish press_letter(TopState& state, const std::string& text, const TopFigures& figures) {
  if (text == "q") return {.is_quit = true, .verb = {}, .task = {}};
  if (text == control_l) return {.is_redraw = true, .verb = {}, .task = {}};
  if (text == " ") return {.is_refresh = true, .verb = {}, .task = {}};
  if (text == "?") {
    state.shows_help = true;
    state.help_first = 0;
  }
  if (const char* verb = verb_of(text)) return give_order(state, verb);
  if (!state.details_of.empty()) return {};
  if (text == "/") state.prompt = TopState::Prompt::filter;
  if (text == "w") state.only_unwell = !state.only_unwell;
  if (text == "i") state.is_inverted = !state.is_inverted;
  if (text == "<") sort_by_neighbour(state, top_columns.size() - 1, figures);
  if (text == ">") sort_by_neighbour(state, 1, figures);
  return {};
}

}  // namespace

TopWish press(TopState& state, const TopKey& key, const TopFigures& figures, const std::vector<std::size_t>& order) {
  state.note.clear();
  if (state.prompt == TopState::Prompt::filter) {
    type_filter(state, key);
    return {};
  }
  if (state.prompt == TopState::Prompt::order) {
    state.prompt = TopState::Prompt::none;
    if (key.kind == Kind::text && key.text == "y") return {.verb = state.verb, .task = state.verb_target};
    return {};
  }
  const TopKey its = meant(key);
  const bool is_details = !state.details_of.empty();
  const std::size_t all = is_details || state.shows_help ? any_number : order.size();
  if (const std::ptrdiff_t step = step_of(its.kind, top_rows(state), all); step != 0) {
    move(state, step, figures, order);
    return {};
  }
  if (state.shows_help && its.text != "q") {
    state.shows_help = false;
    return {};
  }
  if (its.kind == Kind::text) return press_letter(state, its.text, figures);
  if (its.kind == Kind::enter || its.kind == Kind::escape) {
    if (is_details) {
      state.details_of.clear();
    } else if (its.kind == Kind::enter) {
      state.details_of = state.selected;
      state.scrolled = 0;
    } else {
      state.filter.clear();
      state.only_unwell = false;
    }
    return {.is_refresh = !state.details_of.empty(), .verb = {}, .task = {}};
  }
  return {};
}

}  // namespace taskhost
