// Each enum with words has one for every enumerator, and finds the enumerator by its word.
#include "taskhost/core/words.hpp"

#include <set>
#include <string_view>

#include "support/catch.hpp"
#include "task_machine.hpp"
#include "taskhost/core/event.hpp"

using namespace taskhost;

TEMPLATE_TEST_CASE("the words of an enum are different, and lead back to its values", "", TaskType, Operation, Outcome,
                   ExitAction, GiveUp, WatchdogAction, Strategy, EventKind, StopReason, LogLevel, TaskState,
                   StopPurpose, RestartKind) {
  std::set<std::string_view> seen;
  for (const Word<TestType>& word : words_of<TestType>) {
    CAPTURE(word.text);
    CHECK(seen.insert(word.text).second);
    CHECK(to_string(word.value) == word.text);
    CHECK(from_word<TestType>(word.text) == word.value);
  }
  CHECK_FALSE(from_word<TestType>("no such word"));
  CHECK(to_string(static_cast<TestType>(words_of<TestType>.size())) == "?");
}

TEST_CASE("words that an operator can't write are left out") {
  CHECK(plain_words<GiveUp, GiveUp::cooldown>() == std::array<std::string_view, 3>{"default", "stop_host", "discard"});
}
