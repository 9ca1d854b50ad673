// What `taskhost top` shows: from what a host answered, and what its reader wants to see, to text at places of a
// screen. Pure functions; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operate/answers.hpp"
#include "operate/table.hpp"
#include "operate/task_words.hpp"

namespace taskhost {

// A task as a row; all but `name` is printable.
struct TopTask {
  std::string name;
  std::string shown_name;
  std::string state;
  Health health = Health::well;
  std::optional<std::uint64_t> uptime_ms;
  std::string restarts;
  std::optional<std::uint64_t> restarts_count;
  std::optional<std::uint64_t> next_start_ms;
  bool has_share = false;       // whether the host tells
  std::optional<double> share;  // of its shard's time, if it is known
  std::string message;
};
TopTask top_task(Json task);

struct TopLogLine {
  std::string text;  // printable
  Tone tone = Tone::plain;
};
// From a record of the host's log.
void append_log(std::vector<TopLogLine>& log, Json record);

// A host's answers of one moment.
struct TopFigures {
  Json host;
  std::vector<TopTask> tasks;
  // Of the task that is looked at, if there is one.
  std::string details_of;
  Json task;  // null: there is no such task
  std::vector<std::string> dependants;
  bool keeps_log = false;
  std::vector<TopLogLine> log;
};

enum class TopColumn : std::uint8_t { task, state, uptime, restarts, next, share, message };
inline constexpr std::array<TopColumn, 7> top_columns = {TopColumn::task,     TopColumn::state, TopColumn::uptime,
                                                         TopColumn::restarts, TopColumn::next,  TopColumn::share,
                                                         TopColumn::message};

// What its reader wants to see, and where they are.
struct TopState {
  enum class Prompt : std::uint8_t { none, filter, order };

  std::size_t width = 0;
  std::size_t height = 0;
  TopColumn sort = TopColumn::state;
  bool is_inverted = false;
  std::string filter;  // as typed
  bool only_unwell = false;
  std::string selected;      // a task's name
  std::size_t position = 0;  // its row among those that are listed
  std::size_t first = 0;     // the first row that is seen
  std::string details_of;    // the name of the task that is looked at; empty: the table is shown
  std::size_t scrolled = 0;  // lines back in its log
  bool shows_help = false;
  std::size_t help_first = 0;
  Prompt prompt = Prompt::none;
  std::string verb;         // the order that waits for its second key
  std::string verb_target;  //
  std::string note;         // what came of an order
  Tone note_tone = Tone::plain;
  std::string trouble;  // why the host does not answer
};

// The tasks that are to be listed, in their order: places among `tasks`.
std::vector<std::size_t> top_order(const std::vector<TopTask>& tasks, const TopState& state);

// Keeps the selected task selected and in sight. Who is at the first row stays there, so that what gets there is seen.
void keep_in_sight(TopState& state, const std::vector<TopTask>& tasks, const std::vector<std::size_t>& order);

// How many rows of tasks, or lines of the help, there is room for.
std::size_t top_rows(const TopState& state) noexcept;

enum class Look : std::uint8_t { plain, strong, bar };

// Text in at most `width` columns of a row. A bar is as wide as that, whatever its text.
struct Piece {
  std::size_t row = 0;
  std::size_t column = 0;
  std::size_t width = 0;
  std::string text;
  Tone tone = Tone::plain;
  Look look = Look::plain;
};

// `silent_ms`: for how long the host has been silent. Scrolls back no further than there is something.
std::vector<Piece> top_screen(const TopFigures& figures, const std::vector<std::size_t>& order, TopState& state,
                              std::uint64_t silent_ms);

}  // namespace taskhost
