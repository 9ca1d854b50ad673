#include "scenario.hpp"

namespace taskhost::test {

std::string name_of(std::size_t child) { return std::string(1, static_cast<char>('a' + child)); }

std::string text_of(Restart restart) {
  switch (restart) {
    case Restart::permanent:
      return "permanent";
    case Restart::transient:
      return "transient";
    case Restart::temporary:
      return "temporary";
  }
  return {};
}

std::string text_of(Ending ending) {
  switch (ending) {
    case Ending::orderly:
      return "orderly";
    case Ending::failing:
      return "failing";
    case Ending::stubborn:
      return "stubborn";
    case Ending::held:
      return "held";
    case Ending::stuck:
      return "stuck";
  }
  return {};
}

std::string text_of(Reason reason) {
  switch (reason) {
    case Reason::normal:
      return "normal";
    case Reason::shutdown:
      return "shutdown";
    case Reason::shutdown_term:
      return "shutdown_term";
    case Reason::crash:
      return "crash";
    case Reason::failure:
      return "failure";
    case Reason::killed:
      return "killed";
  }
  return {};
}

std::string text_of(const Setup& setup) {
  std::string text(to_string(setup.strategy));
  text += setup.grouped ? ", a group" : ", no group";
  text += setup.ordered ? ", ordered by `after`" : ", no `after`";
  if (setup.by_the_table) text += ", no optional fields";
  text += ", intensity " + std::to_string(setup.intensity) + " in " + std::to_string(setup.period.count()) + " s";
  text += setup.windowed ? "" : " (no window)";
  text += ", shards: " + std::to_string(setup.shards) + '\n';
  for (std::size_t i = 0; i < setup.children.size(); ++i) {
    text += "  " + name_of(i) + ": " + text_of(setup.children[i].restart) + ", ends " +
            text_of(setup.children[i].ending) + '\n';
  }
  return text;
}

std::string text_of(const Step& step) {
  const std::string child = name_of(step.child);
  switch (step.kind) {
    case Step::Kind::exit:
      return child + " exits: " + text_of(step.reason) +
             (step.failures == 0
                  ? ""
                  : "; then " + std::to_string(step.failures) + " starts of " + name_of(step.failing) + " fail");
    case Step::Kind::exits:
      return child + " exits: " + text_of(step.reason) + ", and at once " + name_of(step.second) + ": " +
             text_of(step.second_reason);
    case Step::Kind::stop_child:
      return "an operator stops " + child;
    case Step::Kind::start_child:
      return "an operator starts " + child;
    case Step::Kind::restart_child:
      return "an operator restarts " + child;
    case Step::Kind::stop:
      return "everything is stopped";
  }
  return {};
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace taskhost::test
