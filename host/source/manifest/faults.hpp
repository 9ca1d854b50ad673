// What is wrong with one manifest, collected while it is read. Owned by one reading, on its thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/manifest.hpp"

namespace taskhost {

class ManifestFaults {
 public:
  static constexpr std::size_t max_faults = 100;

  // `text` is read until take().
  ManifestFaults(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

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

  std::size_t line_of(std::size_t offset) const;

  // The first 100 in the order of the text; if there are more, a last one says how many.
  std::vector<Fault> take();

 private:
  struct Found {
    std::size_t offset;
    bool is_syntax;
    std::string pointer;
    std::string message;
  };

  bool is_cut(std::size_t offset) const { return offset >= cut_offset_; }
  void keep(Found found);
  void sort_and_cut();

  std::string_view text_;
  std::string file_;
  std::vector<Found> found_;  // up to twice the limit, so that cutting is rare
  std::size_t count_ = 0;
  std::size_t cut_offset_ = static_cast<std::size_t>(-1);  // from here on, faults are only counted
};

}  // namespace taskhost
