// What is wrong with one manifest, all of its files together, collected while it is read. Owned by one reading, on its
// thread.
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/manifest.hpp"

namespace taskhost {

class ManifestFaults {
 public:
  static constexpr std::size_t max_faults = 100;

  // What follows belongs to this text, which is read until take(). Returns its number, for turn_to().
  std::size_t begin_file(std::string_view text, std::string name);
  void turn_to(std::size_t file) noexcept { file_ = file; }
  std::size_t file() const noexcept { return file_; }

  // The offset is the fault's place in the text, and so its position in the report.
  void add(std::size_t offset, std::string pointer, std::string message);

  struct Texts {
    std::string pointer;
    std::string message;
  };
  // The same, for texts that are costly to make: they are only made if the fault may be among those reported.
  void add_if_told(std::size_t offset, const std::function<Texts()>& texts);

  // Drops faults at or after the place of the syntax error: they were guesses.
  void add_syntax(std::size_t offset, std::string message);

  // Drops what is added for this place from now on: it would be a guess.
  void settle(std::size_t offset) { settled_.insert({file_, offset}); }

  // What is not wrong, but should be known: the first 100.
  void warn(std::size_t offset, std::string pointer, std::string message);

  std::size_t line_of(std::size_t offset) const { return line_of(file_, offset); }
  std::size_t line_of(std::size_t file, std::size_t offset) const;
  // " (line 12)", or if it is in another file than the current one, " of other.json (line 12)"
  std::string place_words(std::size_t file, std::size_t line) const;

  // The first 100 in the order of the files and their texts; if there are more, a last one says how many.
  std::vector<Fault> take();
  std::vector<Fault> take_warnings() { return std::move(warnings_); }

 private:
  struct Place {
    std::size_t file;
    std::size_t offset;
    bool operator<(const Place& other) const { return file != other.file ? file < other.file : offset < other.offset; }
  };
  struct Found {
    Place place;
    bool is_syntax;
    std::string pointer;
    std::string message;
  };
  struct File {
    std::string_view text;
    std::string name;
  };

  bool is_cut(const Place& place) const { return !(place < cut_); }
  void keep(Found found);
  void sort_and_cut();

  static constexpr Place nowhere{static_cast<std::size_t>(-1), static_cast<std::size_t>(-1)};

  std::vector<File> files_;
  std::size_t file_ = 0;
  std::vector<Found> found_;  // up to twice the limit, so that cutting is rare
  std::size_t count_ = 0;
  Place cut_ = nowhere;  // from here on, faults are only counted
  std::set<Place> settled_;
  std::vector<Fault> warnings_;
};

}  // namespace taskhost
