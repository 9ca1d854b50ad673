#include "operate/top_view.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <utility>

#include "operate/record_words.hpp"
#include "operate/selection.hpp"
#include "text/counted.hpp"
#include "text/duration.hpp"

namespace taskhost {

namespace {

constexpr std::size_t least_width = 40;
constexpr std::size_t least_height = 6;
constexpr std::size_t head_rows = 3;  // the host, the counts, the titles
constexpr std::size_t foot_rows = 1;
constexpr std::size_t column_gap = 2;
constexpr std::size_t mark_width = 2;  // "> " before the selected task
constexpr std::size_t least_name_width = 12;
constexpr std::size_t most_name_width = 40;
constexpr std::size_t least_message_width = 14;
constexpr std::uint64_t noticed_silence_ms = 3000;

constexpr std::array<std::string_view, 17> help_lines = {
    "Up Down PgUp PgDn Home End   move; also k j Ctrl-B Ctrl-F g G",
    "Enter   what one task is doing, and its log; Esc or Enter: back",
    "/       list only tasks whose name, state or message has this text, or",
    "        whose name fits a pattern such as feed-*; Esc: list all again",
    "w       list only tasks that are not well; again: all",
    "< >     sort by the column to the left or right; at first by STATE:",
    "        those that failed or are stuck come first",
    "i       invert the order",
    "s       start the task",
    "t       stop it; asks for a second key",
    "r       restart it; asks for a second key",
    "Space   ask the host now, not only every second",
    "Ctrl-L  draw anew",
    "?       this help; any key: back",
    "q       quit; also Ctrl-C",
    "RESTARTS: how often it was started again, and how many it has left.",
    "NEXT: when it starts again.",
};

struct TopColumnForm {
  TopColumn column;
  const char* title;
  std::size_t width;  // for titles and usual values
};
constexpr std::array<TopColumnForm, 7> forms = {{{TopColumn::task, "TASK", least_name_width},
                                                 {TopColumn::state, "STATE", 8},
                                                 {TopColumn::uptime, "UPTIME", 7},
                                                 {TopColumn::restarts, "RESTARTS", 11},
                                                 {TopColumn::next, "NEXT", 6},
                                                 {TopColumn::share, "SHARE", 6},
                                                 {TopColumn::message, "MESSAGE", least_message_width}}};

Tone tone_of_health(Health health) {
  return health == Health::bad ? Tone::bad : health == Health::passing ? Tone::warning : Tone::good;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

template <typename Value>
bool sooner(const std::optional<Value>& left, const std::optional<Value>& right) {
  return left && (!right || *left < *right);
}

bool comes_before(const TopTask& left, const TopTask& right, TopColumn column) {
  switch (column) {
    case TopColumn::task:
      return left.shown_name < right.shown_name;
    case TopColumn::state:
      return left.health != right.health ? left.health < right.health : left.state < right.state;
    case TopColumn::uptime:
      return sooner(left.uptime_ms, right.uptime_ms);
    case TopColumn::restarts:
      return right.restarts_count < left.restarts_count;
    case TopColumn::next:
      return sooner(left.next_start_ms, right.next_start_ms);
    case TopColumn::share:
      return right.share < left.share;
    default:
      return left.message.empty() != right.message.empty() ? right.message.empty() : left.message < right.message;
  }
}

std::string percent_text(double share) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%.1f%%", std::clamp(share, 0.0, 9.0) * 100);
  return text.data();
}

std::string cell_of(const TopTask& task, TopColumn column) {
  switch (column) {
    case TopColumn::task:
      return task.shown_name;
    case TopColumn::state:
      return task.state;
    case TopColumn::uptime:
      return task.uptime_ms ? span_text(*task.uptime_ms) : "-";
    case TopColumn::restarts:
      return task.restarts;
    case TopColumn::next:
      return task.next_start_ms ? span_text(*task.next_start_ms) : "-";
    case TopColumn::share:
      return task.share ? percent_text(*task.share) : "-";
    default:
      return task.message;
  }
}

struct Place {
  TopColumn column;
  const char* title;
  std::size_t begin;
  std::size_t width;
};

// Those that there is room for: the last ones before the message are left out first.
std::vector<Place> places_of(const TopFigures& figures, const std::vector<std::size_t>& order, std::size_t width) {
  const bool has_share =
      std::any_of(figures.tasks.begin(), figures.tasks.end(), [](const TopTask& task) { return task.has_share; });
  std::size_t left = width - mark_width - least_name_width - column_gap - least_message_width;
  bool is_full = false;
  std::vector<Place> places;
  for (const TopColumnForm& form : forms) {
    if (form.column == TopColumn::share && !has_share) continue;
    const bool is_elastic = form.column == TopColumn::task || form.column == TopColumn::message;
    if (!is_elastic && form.width + column_gap > left) is_full = true;
    if (!is_elastic && is_full) continue;
    if (!is_elastic) left -= form.width + column_gap;
    places.push_back({form.column, form.title, 0, form.width});
  }
  std::size_t widest = 0;
  for (const std::size_t at : order) {
    widest = std::max(widest, columns_of(figures.tasks[at].shown_name));
    if (widest >= most_name_width) break;
  }
  const std::size_t more = std::min(std::clamp(widest, least_name_width, most_name_width) - least_name_width, left / 2);
  places.front().width += more;
  places.back().width += left - more;
  std::size_t begin = mark_width;
  for (Place& place : places) {
    place.begin = begin;
    begin += place.width + column_gap;
  }
  return places;
}

std::string counts_of(const Json& host) {
  const Json& tasks = field(host, "tasks");
  std::string words;
  for (const char* state : {"running", "waiting", "starting", "stopping", "delayed", "stopped", "ended"}) {
    const std::uint64_t count = number_field(tasks, state).value_or(0);
    if (count != 0) words += (words.empty() ? "" : ", ") + std::to_string(count) + ' ' + state;
  }
  words += (words.empty() ? "" : "; ") + counted(number_field(host, "shards").value_or(0), "shard");
  if (const auto restarts = number_field(host, "restarts")) {
    words += "; " + counted(*restarts, "restart") + " after exits";
  }
  return words;
}

std::string selection_words(const TopState& state, std::size_t listed, std::size_t all) {
  if (state.filter.empty() && !state.only_unwell) return {};
  return "lists " + std::to_string(listed) + " of " + std::to_string(all) + ':' +
         (state.only_unwell ? " not well" : "") + (state.only_unwell && !state.filter.empty() ? "," : "") +
         (state.filter.empty() ? "" : " with " + terminal_text(state.filter, 100)) + "; ";
}

// Lines of at most so many columns, broken at spaces where that is possible.
std::vector<std::string> wrapped(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines;
  std::string line;
  std::size_t used = 0;
  std::size_t space = 0;  // where the last one of the line is; 0: none
  while (!text.empty()) {
    const std::string_view character = text.substr(0, std::max<std::size_t>(character_size(text, 0), 1));
    const std::size_t its = columns_of(character);
    if (used + its > columns && !line.empty()) {
      const bool at_space = space != 0 && character != " ";
      std::string rest = at_space ? line.substr(space + 1) : std::string();
      if (at_space) line.resize(space);
      lines.push_back(std::exchange(line, std::move(rest)));
      used = columns_of(line);
      space = 0;
      if (character == " ") {
        text.remove_prefix(1);
        continue;
      }
    }
    if (character == " ") space = line.size();
    line += character;
    used += its;
    text.remove_prefix(character.size());
  }
  if (!line.empty() || lines.empty()) lines.push_back(std::move(line));
  return lines;
}

class Painter {
 public:
  Painter(const TopFigures& figures, const std::vector<std::size_t>& order, TopState& state)
      : figures_(figures), order_(order), state_(state) {}

  std::vector<Piece> paint(std::uint64_t silent_ms) {
    if (state_.width < least_width || state_.height < least_height) {
      line(0, "make it larger");
      line(1, "(" + std::to_string(least_width) + 'x' + std::to_string(least_height) + " at least)");
      return std::move(pieces_);
    }
    paint_head(silent_ms);
    if (state_.shows_help) {
      paint_help();
    } else if (!state_.details_of.empty()) {
      paint_details();
    } else {
      paint_table();
    }
    paint_foot();
    return std::move(pieces_);
  }

 private:
  std::size_t last_row() const { return state_.height - foot_rows; }

  void line(std::size_t row, const std::string& text, Tone tone = Tone::plain, Look look = Look::plain,
            std::size_t column = 0) {
    if (row >= state_.height || column >= state_.width) return;
    const std::size_t room = state_.width - column;
    pieces_.push_back({row, column, room, fitted(text, room), tone, look});
  }

  void paint_head(std::uint64_t silent_ms) {
    if (figures_.host.is_null()) {
      line(0, "waiting for the host's answer", Tone::plain, Look::strong);
      return;
    }
    const bool is_silent = silent_ms >= noticed_silence_ms;
    const std::string silence = is_silent ? "no answer for " + span_text(silent_ms) + "; before: " : std::string();
    line(0, silence + terminal_text(host_line(figures_.host)), is_silent ? Tone::bad : Tone::plain, Look::strong);
    line(1, selection_words(state_, order_.size(), figures_.tasks.size()) + counts_of(figures_.host));
  }

  void paint_table() {
    const std::vector<Place> places = places_of(figures_, order_, state_.width);
    line(2, "", Tone::plain, Look::bar);
    for (const Place& place : places) {
      const char* const mark = place.column != state_.sort ? "" : state_.is_inverted ? "▼" : "▲";
      pieces_.push_back({2, place.begin, place.width + 1, std::string(place.title) + mark, Tone::plain, Look::bar});
    }
    if (order_.empty() && !figures_.host.is_null()) {
      line(head_rows, figures_.tasks.empty() ? "this host has no tasks" : "no task is like that; Esc lists all");
    }
    for (std::size_t row = head_rows; row < last_row() && state_.first + row - head_rows < order_.size(); ++row) {
      const std::size_t at = state_.first + row - head_rows;
      paint_task(figures_.tasks[order_[at]], places, row, at == state_.position);
    }
  }

  void paint_task(const TopTask& task, const std::vector<Place>& places, std::size_t row, bool is_selected) {
    const Look look = is_selected ? Look::bar : Look::plain;
    if (is_selected) line(row, ">", Tone::plain, look);
    for (const Place& place : places) {
      const bool is_toned =
          place.column == TopColumn::state || (place.column == TopColumn::message && task.health == Health::bad);
      pieces_.push_back({row, place.begin, place.width, fitted(cell_of(task, place.column), place.width),
                         is_toned ? tone_of_health(task.health) : Tone::plain, look});
    }
  }

  void paint_help() {
    std::vector<std::string> lines;
    for (const std::string_view its : help_lines) {
      for (std::string& words : wrapped(its, state_.width)) lines.push_back(std::move(words));
    }
    const std::size_t room = top_rows(state_);
    state_.help_first = std::min(state_.help_first, lines.size() - std::min(room, lines.size()));
    const std::size_t shown = std::min(room, lines.size());
    const std::string more = shown < lines.size() ? "; Up and Down show the rest" : "";
    line(2, "KEYS" + more, Tone::plain, Look::bar);
    for (std::size_t at = 0; at < shown; ++at) line(head_rows + at, lines[state_.help_first + at]);
  }

  void paint_details() {
    const std::string name = terminal_text(state_.details_of, 200);
    line(2, "TASK " + name, Tone::plain, Look::bar);
    std::size_t row = head_rows;
    if (figures_.details_of != state_.details_of) return line(row, "asking the host");
    if (figures_.task.is_null()) return line(row, "the host has no such task; Esc: back");
    const std::size_t for_log = std::max<std::size_t>((last_row() - head_rows) / 3, 1);
    const std::size_t facts_end = last_row() - for_log - 1;
    const Tone tone = health_of(figures_.task) == Health::bad ? Tone::bad : Tone::plain;
    for (const std::string& words :
         wrapped(terminal_text(text_field(figures_.task, "situation"), 4000), state_.width)) {
      if (row < facts_end) line(row++, words, tone);
    }
    const auto facts = facts_of(figures_.task, figures_.dependants);
    std::size_t widest = 0;
    for (const auto& fact : facts) widest = std::max(widest, fact.first.size());
    for (std::size_t at = 0; at < facts.size() && row < facts_end; ++at) {
      const bool is_cut = row + 1 == facts_end && at + 1 < facts.size();
      if (is_cut) {
        line(row++, "  and " + counted(facts.size() - at, "fact") + " more: make it higher, or taskhost explain");
        break;
      }
      line(row, "  " + facts[at].first);
      line(row++, terminal_text(facts[at].second, 4000), Tone::plain, Look::plain, widest + 4);
    }
    paint_log(row);
  }

  void paint_log(std::size_t row) {
    const std::size_t room = last_row() - row - 1;
    std::vector<TopLogLine> lines;
    for (const TopLogLine& its : figures_.log) {
      for (std::string& words : wrapped(its.text, state_.width)) lines.push_back({std::move(words), its.tone});
    }
    state_.scrolled = std::min(state_.scrolled, lines.size() - std::min(room, lines.size()));
    const std::string more = state_.scrolled == 0 ? "" : "; " + counted(state_.scrolled, "line") + " below";
    line(row++, "LOG" + more, Tone::plain, Look::bar);
    if (lines.empty()) line(row, figures_.keeps_log ? "nothing yet" : "this host keeps no log");
    const std::size_t end = lines.size() - state_.scrolled;
    for (std::size_t at = end - std::min(room, end); at < end; ++at) line(row++, lines[at].text, lines[at].tone);
  }

  void paint_foot() {
    const std::size_t row = last_row();
    if (state_.prompt == TopState::Prompt::order) {
      const std::string question = "? y: yes, any other key: no";
      const std::size_t used = state_.verb.size() + 1 + question.size();
      const std::string name = fitted(terminal_text(state_.verb_target, 200), state_.width - used);
      return line(row, state_.verb + ' ' + name + question, Tone::warning, Look::strong);
    }
    if (state_.prompt == TopState::Prompt::filter) {
      return line(row, "/" + terminal_text(state_.filter, 200) + "_   (Enter: done, Esc: list all)", Tone::plain,
                  Look::strong);
    }
    if (!state_.note.empty()) return line(row, terminal_text(state_.note, 4000), state_.note_tone, Look::strong);
    if (!state_.trouble.empty()) {
      return line(row, "trying again: " + terminal_text(state_.trouble), Tone::bad, Look::strong);
    }
    if (state_.shows_help) return line(row, "any key: back   q quit");
    line(row, state_.details_of.empty()
                  ? "q quit  ? help  Enter details  / filter  w not well  < > sort  s start  t stop  r restart"
                  : "q quit  ? help  Esc back  s start  t stop  r restart  Up Down PgUp PgDn the log");
  }

  const TopFigures& figures_;
  const std::vector<std::size_t>& order_;
  TopState& state_;
  std::vector<Piece> pieces_;
};

}  // namespace

TopTask top_task(Json task) {
  TopTask row;
  row.name = text_field(task, "name");
  row.shown_name = terminal_text(row.name, 200);
  row.state = terminal_text(text_field(task, "state"), 40);
  row.health = health_of(task);
  row.uptime_ms = number_field(task, "uptime_ms");
  row.restarts = restarts_cell(task);
  row.restarts_count = restarts_of(task);
  row.next_start_ms = number_field(task, "next_start_ms");
  row.has_share = task.contains("share");
  if (const Json& share = field(task, "share"); share.is_number()) row.share = share.get<double>();
  if (row.next_start_ms) task["next_start_ms"] = nullptr;  // it has a column of its own
  row.message = terminal_text(news_of(task), 400);
  return row;
}

void append_log(std::vector<TopLogLine>& log, Json record) {
  const std::string level = text_field(record, "level");
  const Tone tone = tells_missing(record) || level == "warning" ? Tone::warning
                    : level == "error"                          ? Tone::bad
                                                                : Tone::plain;
  record.erase("task");  // the title has it
  const std::string words = log_words(record, {});
  for (std::size_t begin = 0; begin < words.size();) {
    const std::size_t end = words.find('\n', begin);
    log.push_back({words.substr(begin, end - begin), tone});
    begin = end + 1;
  }
}

std::vector<std::size_t> top_order(const std::vector<TopTask>& tasks, const TopState& state) {
  const std::string wanted = lower_case(state.filter);
  const bool is_pattern = has_wildcard(state.filter);
  const auto is_listed = [&](const TopTask& task) {
    if (state.only_unwell && task.health == Health::well) return false;
    if (wanted.empty() || (is_pattern && matches(wanted, lower_case(task.name)))) return true;
    const auto has = [&wanted](std::string_view text) { return lower_case(text).find(wanted) != std::string::npos; };
    return has(task.name) || has(task.shown_name) || has(task.state) || has(task.message);
  };
  std::vector<std::size_t> order;
  for (std::size_t at = 0; at < tasks.size(); ++at) {
    if (is_listed(tasks[at])) order.push_back(at);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
    if (state.is_inverted) std::swap(left, right);
    return comes_before(tasks[left], tasks[right], state.sort);
  });
  return order;
}

std::size_t top_rows(const TopState& state) noexcept {
  return state.height > head_rows + foot_rows ? state.height - head_rows - foot_rows : 1;
}

void keep_in_sight(TopState& state, const std::vector<TopTask>& tasks, const std::vector<std::size_t>& order) {
  if (order.empty()) {
    state.selected.clear();
    state.position = state.first = 0;
    return;
  }
  if (state.position != 0) {
    const auto found =
        std::find_if(order.begin(), order.end(), [&](std::size_t at) { return tasks[at].name == state.selected; });
    if (found != order.end()) state.position = static_cast<std::size_t>(found - order.begin());
  }
  state.position = std::min(state.position, order.size() - 1);
  state.selected = tasks[order[state.position]].name;
  const std::size_t rows = top_rows(state);
  state.first = std::clamp(state.first, state.position + 1 - std::min(rows, state.position + 1), state.position);
  state.first = std::min(state.first, order.size() - std::min(rows, order.size()));
}

std::vector<Piece> top_screen(const TopFigures& figures, const std::vector<std::size_t>& order, TopState& state,
                              std::uint64_t silent_ms) {
  return Painter(figures, order, state).paint(silent_ms);
}

}  // namespace taskhost
