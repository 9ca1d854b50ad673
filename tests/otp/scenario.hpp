// What both sides go through: children of one supervisor, and a sequence of steps. Plain values.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "taskhost/core/supervision_options.hpp"

namespace taskhost::test {

enum class Restart { permanent, transient, temporary };

// How a child reacts to the request to end.
enum class Ending {
  orderly,   // ends
  failing,   // ends, with an error
  stubborn,  // goes on until it is ended by force
  held,      // ends when it is released
  stuck,     // like stubborn, but for taskhost a blocking execution, which nobody can end
};

// How a child ends by itself. The first three are good ends for both sides, the others bad ones.
enum class Reason { normal, shutdown, shutdown_term, crash, failure, killed };
constexpr bool is_good(Reason reason) { return reason <= Reason::shutdown_term; }

struct Child {
  Restart restart = Restart::permanent;
  Ending ending = Ending::orderly;
};

struct Setup {
  std::vector<Child> children;  // "a", "b", … in the order of their starts
  Strategy strategy = Strategy::one_for_one;
  bool grouped = false;       // taskhost: they are a group; needed for a strategy other than one_for_one
  bool ordered = false;       // taskhost: each comes after all that precede it
  bool by_the_table = false;  // taskhost: only types and budgets, no optional fields
  unsigned intensity = 1000;
  std::chrono::seconds period = std::chrono::hours(1);
  bool windowed = false;  // taskhost: the period is the window; otherwise it never ends
  unsigned shards = 1;
};

struct Step {
  enum class Kind {
    exit,           // the child ends by itself; then `failures` starts of the child `failing` fail
    exits,          // two children end, the second before the supervisor has heard of the first
    stop_child,     // by an operator
    start_child,    //
    restart_child,  //
    stop,           // everything
  };
  Kind kind = Kind::exit;
  std::size_t child = 0;
  Reason reason = Reason::normal;
  std::size_t second = 0;
  Reason second_reason = Reason::normal;
  std::size_t failing = 0;
  unsigned failures = 0;
};

// exit:a, ask:a, end:a (after it was asked), start:a, failed:a (its start). In the order in which they happened.
using Events = std::vector<std::string>;

// A side that has nothing left to do.
struct Settled {
  bool up = false;
  std::string reason;             // if not, why
  std::vector<std::string> live;  // in order
  Events events;                  // since the last time
};

std::string name_of(std::size_t child);
std::string text_of(Restart restart);
std::string text_of(Ending ending);
std::string text_of(Reason reason);
std::string text_of(const Setup& setup);
std::string text_of(const Step& step);
std::string joined(const std::vector<std::string>& words);

// An ordinary child never takes this long to stop; a stubborn one does.
inline std::chrono::milliseconds stop_timeout_of(const Child& child) {
  const bool forced = child.ending == Ending::stubborn || child.ending == Ending::stuck;
  return forced ? std::chrono::milliseconds(20) : std::chrono::milliseconds(300'000);
}

}  // namespace taskhost::test
