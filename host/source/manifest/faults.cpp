#include "manifest/faults.hpp"

#include <algorithm>
#include <utility>

#include "manifest/manifest.hpp"
#include "text/counted.hpp"
#include "text/printable.hpp"

namespace taskhost {

// "manifest.json: /tasks/3/type (line 12): unknown task type …"; unknown parts are left out.
std::string Fault::text() const {
  std::string place = where;
  if (line != 0) {
    const std::string line_words = "line " + std::to_string(line);
    place = where.empty() ? line_words : where + " (" + line_words + ')';
  }
  std::string words;
  for (const std::string& part : {printable_path(file), place}) {  // kept to one line, whatever the file is called
    words += part.empty() ? "" : part + ": ";
  }
  return words + message;
}

void ManifestFaults::add(std::size_t offset, std::string pointer, std::string message) {
  keep({offset, false, std::move(pointer), std::move(message)});
}

void ManifestFaults::add_if_told(std::size_t offset, const std::function<Texts()>& texts) {
  if (is_cut(offset)) {
    ++count_;
    return;
  }
  Texts made = texts();
  add(offset, std::move(made.pointer), std::move(made.message));
}

void ManifestFaults::add_syntax(std::size_t offset, std::string message) {
  const std::size_t dropped = std::erase_if(found_, [&](const Found& found) { return found.offset >= offset; });
  if (dropped > 0) {
    count_ = found_.size();  // those that were only counted come after the ones dropped
    cut_offset_ = static_cast<std::size_t>(-1);
  }
  keep({offset, true, {}, std::move(message)});
}

std::size_t ManifestFaults::line_of(std::size_t offset) const { return position_in_text(text_, offset).line; }

std::vector<Fault> ManifestFaults::take() {
  sort_and_cut();
  std::vector<Fault> faults;
  for (Found& found : found_) {
    const TextPosition position = position_in_text(text_, found.offset);
    if (found.is_syntax) {
      faults.push_back({file_, position_words(position), std::move(found.message)});
    } else {
      faults.push_back({file_, std::move(found.pointer), std::move(found.message), position.line});
    }
  }
  if (count_ > max_faults) {
    faults.push_back({file_, {}, "and " + counted(count_ - max_faults, "more fault")});
  }
  found_.clear();
  count_ = 0;
  return faults;
}

void ManifestFaults::keep(Found found) {
  ++count_;
  if (is_cut(found.offset)) {
    return;
  }
  found_.push_back(std::move(found));
  if (found_.size() >= 2 * max_faults) {
    sort_and_cut();
  }
}

void ManifestFaults::sort_and_cut() {
  std::stable_sort(found_.begin(), found_.end(),
                   [](const Found& left, const Found& right) { return left.offset < right.offset; });
  if (found_.size() > max_faults) {
    found_.erase(found_.begin() + max_faults, found_.end());
    cut_offset_ = found_.back().offset;
  }
}

}  // namespace taskhost
