// Durations: what is read can be printed and read again, and so can any number of nanoseconds.
#include "text/duration.hpp"

#include <string>

#include "fuzz.hpp"

namespace taskhost::fuzz {

namespace {

void judge_round_trip(std::chrono::nanoseconds duration) {
  const std::string printed = print_duration(duration);
  const DurationReading again = parse_duration(printed);
  require(again.value == duration, "a printed duration is read again", printed);
}

}  // namespace

}  // namespace taskhost::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace taskhost;
  fuzz::Input input(data, size);
  const DurationReading reading = parse_duration(input.rest());
  fuzz::require(reading.value.has_value() == reading.problem.empty(), "a value or a problem", input.rest());
  fuzz::require(fuzz::is_one_printable_line(reading.problem), "a problem is a line", reading.problem);
  if (reading.value) {
    fuzz::require(reading.value->count() >= 0 && *reading.value <= max_duration, "a duration has bounds");
    fuzz::judge_round_trip(*reading.value);
  }
  const auto any = input.number<std::uint64_t>();
  fuzz::judge_round_trip(std::chrono::nanoseconds(any % (max_duration.count() + 1)));
  return 0;
}
