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

  // Offsets say where in the text, and so in which order the operator reads the faults.
  void add(std::size_t offset, std::string pointer, std::string message);

  struct Texts {
    std::string pointer;
    std::string message;
  };
  // The same, for texts that cost something: they are made only if the fault may be among those that are told.
  void add_if_told(std::size_t offset, const std::function<Texts()>& texts);

  // Whatever was found at or behind the place of a syntax error is dropped: it was a guess.
  void add_syntax(std::size_t offset, std::string message);

  std::size_t line_of(std::size_t offset) const;

  // The first 100 in the order of the text, and if there are more a last one that says how many.
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
  std::vector<Found> found_;  // up to twice the bound, so that a cut is rare
  std::size_t count_ = 0;
  std::size_t cut_offset_ = static_cast<std::size_t>(-1);  // what stands there or behind is only counted
};

}  // namespace taskhost
