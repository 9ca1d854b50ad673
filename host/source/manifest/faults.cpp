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

std::size_t ManifestFaults::begin_file(std::string_view text, std::string name) {
  files_.push_back({text, std::move(name)});
  return file_ = files_.size() - 1;
}

void ManifestFaults::add(std::size_t offset, std::string pointer, std::string message) {
  keep({{file_, offset}, false, std::move(pointer), std::move(message)});
}

void ManifestFaults::add_if_told(std::size_t offset, const std::function<Texts()>& texts) {
  if (is_cut({file_, offset})) {
    ++count_;
    return;
  }
  Texts made = texts();
  add(offset, std::move(made.pointer), std::move(made.message));
}

void ManifestFaults::add_syntax(std::size_t offset, std::string message) {
  const Place place{file_, offset};
  const std::size_t dropped = std::erase_if(found_, [&](const Found& found) { return !(found.place < place); });
  if (dropped > 0) {
    count_ = found_.size();  // those that were only counted come after the ones dropped
    cut_ = nowhere;
  }
  keep({place, true, {}, std::move(message)});
}

void ManifestFaults::warn(std::size_t offset, std::string pointer, std::string message) {
  if (warnings_.size() == max_faults) return;
  warnings_.push_back({files_[file_].name, std::move(pointer), std::move(message), line_of(offset)});
}

std::size_t ManifestFaults::line_of(std::size_t file, std::size_t offset) const {
  return position_in_text(files_[file].text, offset).line;
}

std::string ManifestFaults::place_words(std::size_t file, std::size_t line) const {
  const std::string of_file = file != file_ ? " of " + printable_path(files_[file].name) : std::string();
  return of_file + " (line " + std::to_string(line) + ')';
}

std::vector<Fault> ManifestFaults::take() {
  sort_and_cut();
  std::vector<Fault> faults;
  for (Found& found : found_) {
    const File& file = files_[found.place.file];
    const TextPosition position = position_in_text(file.text, found.place.offset);
    if (found.is_syntax) {
      faults.push_back({file.name, position_words(position), std::move(found.message)});
    } else {
      faults.push_back({file.name, std::move(found.pointer), std::move(found.message), position.line});
    }
  }
  if (count_ > max_faults) {
    faults.push_back({files_.front().name, {}, "and " + counted(count_ - max_faults, "more fault")});
  }
  found_.clear();
  count_ = 0;
  return faults;
}

void ManifestFaults::keep(Found found) {
  if (!settled_.empty() && settled_.contains(found.place)) return;
  ++count_;
  if (is_cut(found.place)) {
    return;
  }
  found_.push_back(std::move(found));
  if (found_.size() >= 2 * max_faults) {
    sort_and_cut();
  }
}

void ManifestFaults::sort_and_cut() {
  std::stable_sort(found_.begin(), found_.end(),
                   [](const Found& left, const Found& right) { return left.place < right.place; });
  if (found_.size() > max_faults) {
    found_.erase(found_.begin() + max_faults, found_.end());
    cut_ = found_.back().place;
  }
}

}  // namespace taskhost
