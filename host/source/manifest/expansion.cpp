#include "manifest/expansion.hpp"

#include <utility>

#include "manifest/fields.hpp"
#include "manifest/variables.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::string_view file_key = "$file";

constexpr const char* beyond_limit =
    "the manifest, with its files and the values that are put into it, is larger than the limit of 1 GiB";

// One line's end at the end is the editor's, not the value's.
void drop_line_end(std::string& text) {
  if (!text.ends_with('\n')) return;
  text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
}

std::string value_problem(std::string_view text) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) return "it is UTF-16; save it as UTF-8";
  if (text.starts_with("\xef\xbb\xbf")) return "it begins with a byte order mark; save it as UTF-8 without one";
  if (text.find('\0') != std::string_view::npos) return "it has a NUL byte; a value is text in UTF-8";
  return is_utf8(text) ? "" : "it is not UTF-8; binary values can be written in Base64";
}

}  // namespace

void ManifestExpansion::turn_to(std::string_view text, const std::filesystem::path& directory) {
  directory_ = directory;
  may_expand_ = text.find('$') != std::string_view::npos || text.find("\\u0024") != std::string_view::npos;
}

bool ManifestExpansion::spend(std::size_t bytes) noexcept {
  if (bytes > max_manifest_bytes - spent_) return false;
  spent_ += bytes;
  return true;
}

ManifestExpansion::Done ManifestExpansion::expand_field(ManifestNode& field, const std::string& pointer) {
  Done done;
  if (is_plain()) return done;
  base_ = &pointer;
  expand(field, {nullptr, field, 0, false}, false, done);
  return done;
}

ManifestExpansion::Done ManifestExpansion::expand_task(ManifestNode& task, const std::string& pointer) {
  Done of_config;
  if (is_plain()) return of_config;
  base_ = &pointer;
  Done ignored;
  const Step whole{nullptr, task, 0, false};
  if (task.kind != NodeKind::object || task.find(file_key) != nullptr) {
    expand(task, whole, false, ignored);
    return of_config;
  }
  for (ManifestNode& field : task.children) {
    const bool is_config = field.key == "config";
    expand(field, {&whole, field, 0, false}, is_config, is_config ? of_config : ignored);
  }
  return of_config;
}

// Recursive: the parser limits the depth.
void ManifestExpansion::expand(ManifestNode& node, const Step& step, bool is_in_config, Done& done) {
  switch (node.kind) {
    case NodeKind::string:
      if (may_have_variables(node.text)) put_variables(node, step, done);
      return;
    case NodeKind::object:
      if (node.find(file_key) != nullptr) {
        put_file(node, step, is_in_config, done);
        return;
      }
      [[fallthrough]];
    case NodeKind::array:
      for (std::size_t i = 0; i < node.children.size(); ++i) {
        expand(node.children[i], {&step, node.children[i], i, node.kind == NodeKind::array}, is_in_config, done);
      }
      return;
    case NodeKind::null:
    case NodeKind::boolean:
    case NodeKind::number:
      return;
  }
}

void ManifestExpansion::put_variables(ManifestNode& node, const Step& step, Done& done) {
  Substitution put = with_variables(
      node.text, [this](const std::string& name) { return surroundings_.variable(name); }, max_value_bytes);
  if (put.problem.empty() && !spend(put.text.size())) put.problem = beyond_limit;
  if (put.problem.empty()) {
    node.text = std::move(put.text);
  } else {
    refuse(node, step, std::move(put.problem), done);
  }
}

void ManifestExpansion::put_file(ManifestNode& node, const Step& step, bool is_in_config, Done& done) {
  if (!is_in_config) {
    refuse(node, step,
           "only values in a task's \"config\" can come from a file: they are secrets, and this one would be shown",
           done);
    return;
  }
  if (node.children.size() != 1) {
    const ManifestNode& other = node.children[node.children.front().key == file_key ? 1 : 0];
    refuse(node, step,
           "an object with \"$file\" stands for the contents of that file, and can't have other keys, found " +
               quoted_text(other.key),
           done);
    return;
  }
  ManifestNode& name = node.children.front();
  const Step name_step{&step, name, 0, false};
  if (name.kind == NodeKind::string) expand(name, name_step, false, done);
  const std::string pointer = pointer_of(name_step);
  const std::optional<std::string> path = read_text(name, pointer, max_path_bytes, faults_);
  if (!path) {
    done.is_wrong = true;
    return;
  }
  const std::filesystem::path whole = directory_ / *path;
  const Value& value = value_of(whole, name.offset, pointer);
  std::string problem = value.problem;
  if (problem.empty() && !spend(value.text.size())) problem = beyond_limit;
  if (!problem.empty()) {
    refuse(name, name_step, "no value can be taken from " + quoted_path(whole.native()) + ": " + problem, done);
    return;
  }
  node.kind = NodeKind::string;
  node.text = value.text;
  node.children.clear();
  done.has_secrets = true;
}

const ManifestExpansion::Value& ManifestExpansion::value_of(const std::filesystem::path& path, std::size_t offset,
                                                            const std::string& pointer) {
  const auto [entry, is_new] = values_.try_emplace(path.native());
  Value& value = entry->second;
  if (!is_new) return value;
  files_.push_back(path);
  ManifestSurroundings::File file = surroundings_.read(path, max_value_bytes);
  value.problem = file.problem.empty() ? value_problem(file.text) : file.problem;
  if (!value.problem.empty()) return value;
  value.text = std::move(file.text);
  drop_line_end(value.text);
  if (file.is_open_to_all) {
    faults_.warn(offset, pointer,
                 "every user may read " + quoted_path(path.native()) + "; take that right away (chmod o-r)");
  }
  return value;
}

// What is then found wrong with the value would be a guess.
void ManifestExpansion::refuse(ManifestNode& node, const Step& step, std::string message, Done& done) {
  faults_.add(node.offset, pointer_of(step), std::move(message));
  faults_.settle(node.offset);
  node.kind = NodeKind::null;
  node.text = "null";
  node.children.clear();
  done.is_wrong = true;
}

std::string ManifestExpansion::pointer_of(const Step& step) const {
  if (step.from == nullptr) return *base_;
  return pointer_of(*step.from) + (step.is_element ? '/' + std::to_string(step.index) : pointer_step(step.node.key));
}

}  // namespace taskhost
