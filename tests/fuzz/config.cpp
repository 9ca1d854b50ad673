// A task's config and the pointers into it: POINTER NUL KEYS NUL JSON, after 16 bytes of bounds.
#include "plugin/config_values.hpp"

#include <cmath>
#include <string>

#include "fuzz.hpp"
#include "text/duration.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace taskhost;
  fuzz::Input input(data, size);
  const auto least = input.number<std::int64_t>();
  const auto most = input.number<std::int64_t>();
  const std::string pointer{input.text()};
  const std::string_view keys = input.text();
  const ConfigValues values(input.rest());

  const auto judge = [](const ConfigValues::Problem& problem) {
    if (problem) {
      fuzz::require(!problem->empty() && fuzz::is_one_printable_line(*problem), "a problem is a line", *problem);
    }
    return !problem;
  };
  judge(values.keys(keys));
  judge(values.require(pointer.c_str()));
  const char* text = nullptr;
  std::size_t text_size = 0;
  if (judge(values.text(pointer.c_str(), &text, &text_size)) && text != nullptr) {
    fuzz::require(text[text_size] == '\0' && is_utf8({text, text_size}), "a text is UTF-8 and ends in a NUL");
  }
  text = nullptr;
  if (judge(values.text(pointer.c_str(), &text, nullptr)) && text != nullptr) {
    fuzz::require(std::strlen(text) == text_size, "a text without a length has no NUL");
  }
  std::int64_t integer = least;
  if (judge(values.integer(pointer.c_str(), least, most, integer)) && integer != least) {
    fuzz::require(integer > least && integer <= most, "an integer lies in its bounds");
  }
  double number = 0;
  judge(values.number(pointer.c_str(), number));
  fuzz::require(std::isfinite(number), "a number is finite");
  bool flag = false;
  judge(values.boolean(pointer.c_str(), flag));
  std::chrono::nanoseconds duration{0};
  judge(values.duration(pointer.c_str(), duration));
  fuzz::require(duration.count() >= 0 && duration <= max_duration, "a duration lies in its bounds");
  std::size_t count = 0;
  judge(values.count(pointer.c_str(), count));
  fuzz::require(count <= size, "an array has no more elements than its text bytes");

  fuzz::require(fuzz::is_one_printable_line(quoted_text(pointer)), "a quoted text is a line", pointer);
  fuzz::require(fuzz::is_one_printable_line(pointer_step(pointer)), "a step is a line", pointer);
  const TextPosition end = position_in_text(input.rest(), input.rest().size());
  fuzz::require(end.line >= 1 && end.column >= 1 && end.line <= size + 1, "a position lies in the text");
  return 0;
}
