#include "calendar/cron.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <utility>
#include <vector>

#include "text/nearest_word.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

using Words = std::string_view;

constexpr std::array<Words, 12> month_names{"jan", "feb", "mar", "apr", "may", "jun",
                                            "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<Words, 7> day_names{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

constexpr auto nicknames = std::to_array<std::pair<Words, Words>>({{"@hourly", "0 * * * *"},
                                                                   {"@daily", "0 0 * * *"},
                                                                   {"@midnight", "0 0 * * *"},
                                                                   {"@weekly", "0 0 * * 0"},
                                                                   {"@monthly", "0 0 1 * *"},
                                                                   {"@yearly", "0 0 1 1 *"},
                                                                   {"@annually", "0 0 1 1 *"}});

struct Field {
  Words name;
  unsigned least;
  unsigned most;
  Words first_name = {};  // that of the first of its names, if it has some
};
constexpr auto fields = std::to_array<Field>({{"minute", 0, 59},
                                              {"hour", 0, 23},
                                              {"day of the month", 1, 31},
                                              {"month", 1, 12, "jan"},
                                              {"day of the week", 0, 7, "sun"}});

std::vector<Words> split(Words text, Words separators) {
  std::vector<Words> parts;
  for (std::size_t at = 0;;) {
    const std::size_t end = text.find_first_of(separators, at);
    parts.push_back(text.substr(at, end - at));
    if (end == Words::npos) return parts;
    at = end + 1;
  }
}

std::string lower(Words text) {
  std::string result(text);
  for (char& letter : result) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return result;
}

class FieldParser {
 public:
  FieldParser(const Field& field, Words text) : field_(field), text_(text) {}

  // The numbers as bits; 0: there is a problem.
  std::uint64_t parse() {
    std::uint64_t bits = 0;
    for (const Words part : split(text_, ",")) {
      const std::uint64_t some = parse_part(part);
      if (some == 0) return 0;
      bits |= some;
    }
    return bits;
  }
  std::string problem() const {
    return "in the " + std::string(field_.name) + ' ' + quoted_text(text_) + ": " + problem_;
  }

 private:
  std::uint64_t fail(std::string problem) {
    problem_ = std::move(problem);
    return 0;
  }

  std::string range() const { return std::to_string(field_.least) + " to " + std::to_string(field_.most); }

  // A number or a name. Sunday is 7 at a range's end.
  std::optional<unsigned> read(Words word, bool is_end) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error == std::errc() && end == word.data() + word.size()) {
      if (number >= field_.least && number <= field_.most) return number;
      fail(std::string(word) + " is not from " + range());
      return {};
    }
    const std::string name = lower(word);
    const auto index_in = [&name](const auto& names) {
      return static_cast<unsigned>(std::find(names.begin(), names.end(), name) - names.begin());
    };
    if (field_.most == 12) {
      if (const unsigned index = index_in(month_names); index < month_names.size()) return index + 1;
    } else if (field_.most == 7) {
      if (const unsigned index = index_in(day_names); index < day_names.size()) return index == 0 && is_end ? 7 : index;
    }
    const std::string numbers = "a number from " + range();
    fail("expected *" +
         (field_.first_name.empty() ? " or " + numbers
                                    : ", " + numbers + ", or a name such as " + std::string(field_.first_name)) +
         ", found " + quoted_text(word));
    return {};
  }

  std::uint64_t parse_part(Words part) {
    const std::size_t slash = part.find('/');
    const Words span = part.substr(0, slash);
    unsigned first = field_.least;
    unsigned last = field_.most;
    if (field_.most == 7) last = 6;
    if (span != "*") {
      const std::size_t dash = span.find('-');
      const std::optional<unsigned> from = read(span.substr(0, dash), false);
      if (!from) return 0;
      const std::optional<unsigned> to = dash == Words::npos ? from : read(span.substr(dash + 1), true);
      if (!to) return 0;
      first = *from;
      last = *to;
      if (slash != Words::npos && dash == Words::npos) {
        return fail("a step needs a range; write " + std::string(span) + '-' + std::to_string(field_.most) +
                    std::string(part.substr(slash)));
      }
      if (last < first) {
        return fail(std::string(span) + " runs backwards; write it as two ranges, with a comma");
      }
    }
    unsigned step = 1;
    if (slash != Words::npos) {
      const Words given = part.substr(slash + 1);
      const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), step);
      if (error != std::errc() || end != given.data() + given.size() || step == 0 || step > field_.most) {
        return fail("the step " + quoted_text(given) + " is not a number from 1 to " + std::to_string(field_.most));
      }
    }
    std::uint64_t bits = 0;
    for (unsigned number = first; number <= last; number += step) {
      bits |= std::uint64_t{1} << (field_.most == 7 ? number % 7 : number);
    }
    return bits;
  }

  const Field& field_;
  const Words text_;
  std::string problem_;
};

bool has(std::uint64_t bits, int number) { return (bits >> number & 1) != 0; }

bool matches(const Cron& cron, cctz::civil_day day) {
  const bool by_day = has(cron.days, day.day());
  const int weekday = (static_cast<int>(cctz::get_weekday(day)) + 1) % 7;  // cctz counts from Monday
  const bool by_weekday = has(cron.weekdays, weekday);
  return cron.any_day || cron.any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

// The first number from this one on.
std::optional<int> first_from(std::uint64_t bits, int number) {
  if (number > 63) return {};
  const std::uint64_t left = bits >> number << number;
  return left == 0 ? std::nullopt : std::optional(std::countr_zero(left));
}

}  // namespace

CronReading parse_cron(std::string_view text) {
  if (text.starts_with('@')) {
    std::vector<Words> names;
    for (const auto& [name, meaning] : nicknames) {
      if (name == text) return parse_cron(meaning);
      names.push_back(name);
    }
    const Words nearest = nearest_word(text, names);
    return {
        {},
        "unknown name " + quoted_text(text) +
            (nearest.empty() ? "; use " + quoted_list(names, "or") : "; did you mean " + quoted_text(nearest) + '?')};
  }
  std::vector<Words> parts = split(text, " \t");
  std::erase(parts, Words());
  if (parts.size() != fields.size()) {
    return {{},
            "expected five fields, minute, hour, day of the month, month and day of the week, such as \"0 3 * * "
            "mon-fri\", found " +
                std::to_string(parts.size()) + (parts.size() == 6 ? "; seconds and years are not possible here" : "")};
  }
  Cron cron;
  const std::array<std::uint64_t*, 5> sets{&cron.minutes, &cron.hours, &cron.days, &cron.months, &cron.weekdays};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    FieldParser parser(fields[i], parts[i]);
    *sets[i] = parser.parse();
    if (*sets[i] == 0) return {{}, parser.problem()};
  }
  cron.any_hour = parts[1].starts_with('*');
  cron.any_day = parts[2].starts_with('*');
  cron.any_weekday = parts[4].starts_with('*');
  if (!next_match(cron, cctz::civil_minute(2000, 1, 1))) {
    return {{}, "no year has such a day, so it would never be due"};
  }
  return {cron, {}};
}

std::optional<cctz::civil_minute> next_match(const Cron& cron, cctz::civil_minute from) {
  constexpr int longest = 40;  // years; the 29th of February on a given day of the week may take that long
  cctz::civil_day day(from);
  const cctz::civil_day end(day.year() + longest, day.month(), 1);
  int hour = from.hour();
  int minute = from.minute();
  while (day < end) {
    if (!has(cron.months, day.month())) {
      day = cctz::civil_day(cctz::civil_month(day) + 1);
      hour = minute = 0;
      continue;
    }
    if (matches(cron, day)) {
      for (std::optional<int> at = first_from(cron.hours, hour); at; at = first_from(cron.hours, *at + 1)) {
        const std::optional<int> its_minute = first_from(cron.minutes, *at == hour ? minute : 0);
        if (its_minute) return cctz::civil_minute(day.year(), day.month(), day.day(), *at, *its_minute);
      }
    }
    ++day;
    hour = minute = 0;
  }
  return {};
}

}  // namespace taskhost
