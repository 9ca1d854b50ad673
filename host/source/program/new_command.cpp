#include "program/new_command.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "program/printed.hpp"
#include "taskhost/taskhost.h"

namespace taskhost {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_name_bytes = 64;

int wrong(const std::string& text) {
  std::fprintf(stderr, "taskhost: %s\n", text.c_str());
  return TASKHOST_RESULT_BAD_MANIFEST;
}

char lower(char character) { return static_cast<char>(std::tolower(static_cast<unsigned char>(character))); }

bool same_word(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char one, char other) { return lower(one) == lower(other); });
}

bool is_letter(char character) { return character >= 'a' && character <= 'z'; }
bool is_name_character(char character) {
  return is_letter(character) || (character >= '0' && character <= '9') || character == '_';
}
bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= max_name_bytes && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(), is_name_character);
}

// "My-Task" → "my_task"; empty if the result is not a valid name.
std::string near_name(std::string_view name) {
  std::string near;
  for (const char character : name) {
    if (static_cast<unsigned char>(character) >= 0x80) return {};  // a part of a letter that has no equivalent here
    near += is_name_character(lower(character)) ? lower(character) : '_';
  }
  return is_name(near) ? near : std::string();
}

std::vector<std::string> parts(std::string_view text, char separator) {
  std::vector<std::string> all;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    all.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return all;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

bool is_in_path(const std::string& command) {
  const char* path = std::getenv("PATH");
  const std::vector<std::string> directories = parts(path != nullptr ? path : "", ':');
  return std::any_of(directories.begin(), directories.end(), [&command](const std::string& directory) {
    return ::access((fs::path(directory) / command).c_str(), X_OK) == 0;
  });
}

std::string filled_in(std::string_view text, std::string_view name) {
  constexpr std::string_view mark = "@NAME@";
  std::string filled;
  for (;;) {
    const std::size_t found = text.find(mark);
    filled += text.substr(0, found);
    if (found == std::string_view::npos) return filled;
    filled += name;
    text.remove_prefix(found + mark.size());
  }
}

const Language* find_language(std::string_view word) {
  for (const Language& language : starter_languages()) {
    if (same_word(word, language.id) || same_word(word, language.title)) return &language;
  }
  return nullptr;
}

// Removed unless it is kept, so that nothing half written is left.
class FolderInTheMaking {
 public:
  explicit FolderInTheMaking(fs::path path) : path_(std::move(path)) { fs::create_directories(path_); }
  ~FolderInTheMaking() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  FolderInTheMaking(const FolderInTheMaking&) = delete;
  FolderInTheMaking& operator=(const FolderInTheMaking&) = delete;

  void write(const fs::path& name, const std::string& text) const {
    const fs::path file = path_ / name;
    fs::create_directories(file.parent_path());
    std::ofstream stream(file, std::ios::binary);
    stream << text << std::flush;
    if (!stream) throw fs::filesystem_error("can't write", file, std::make_error_code(std::errc::io_error));
  }
  void keep_as(const fs::path& final_path) {
    fs::rename(path_, final_path);  // replaces an empty folder, but nothing else
    path_.clear();
  }

 private:
  fs::path path_;
};

void say_what_next(const NewTask& task, const Language& language, const fs::path& directory) {
  std::vector<std::string> missing;
  std::vector<std::string> wanted = parts(language.commands, ',');
  wanted.emplace_back("make");
  for (const std::string& alternatives : wanted) {
    const std::vector<std::string> commands = parts(alternatives, '|');
    if (std::none_of(commands.begin(), commands.end(), is_in_path)) missing.push_back(joined(commands, " or "));
  }
  print_out("%s: a task in %s, in %s\n", task.name.c_str(), language.title, directory.c_str());
  if (!missing.empty()) {
    print_out("Not installed yet: %s (Debian: apt-get install %s make)\n", joined(missing, ", ").c_str(),
              joined(parts(language.packages, ','), " ").c_str());
  }
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const bool known = error || is_in_path("taskhost");
  const std::string program = known ? "taskhost" : self.string();
  const char* const name = task.name.c_str();
  print_out("\n  cd %s\n  make                  # builds %s.so\n", directory.c_str(), name);
  print_out("  %s %s.json           # runs it; Ctrl-C ends it\n", program.c_str(), name);
  print_out("  %s verify %s.json    # does it keep the contract?\n", program.c_str(), name);
  print_out("\nREADME.md there says what each file is for, and %s.json how it becomes a service.\n", name);
}

}  // namespace

std::string starter_language_list() {
  std::vector<std::string> ids;
  for (const Language& language : starter_languages()) ids.emplace_back(language.id);
  return joined(ids, ", ");
}

int write_starter(const NewTask& task) {
  if (!is_name(task.name)) {
    const std::string near = near_name(task.name);
    return wrong("'" + task.name + "' is not a valid name: use 1 to 64 of a-z, 0-9 and _, beginning with a letter" +
                 (near.empty() ? "" : "; try " + near));
  }
  const Language* language = find_language(task.language);
  if (language == nullptr) {
    return wrong("there is no starter for '" + task.language + "'; choose one of " + starter_language_list());
  }
  const fs::path directory = task.directory.empty() ? task.name : task.directory;
  try {
    if (fs::exists(fs::symlink_status(directory)) && !(fs::is_directory(directory) && fs::is_empty(directory))) {
      return wrong(directory.string() +
                   " exists and is not an empty folder; nothing was written: choose another --directory");
    }
    const fs::path whole = fs::absolute(directory).lexically_normal();
    const fs::path parent = whole.has_filename() ? whole.parent_path() : whole.parent_path().parent_path();
    FolderInTheMaking folder(parent / (task.name + ".new." + std::to_string(::getpid())));
    for (const StarterFile& file : starter_files()) {
      if (std::string_view(file.language) != language->id) continue;
      folder.write(filled_in(file.path, task.name), filled_in(file.text, task.name));
    }
    folder.keep_as(directory);
  } catch (const fs::filesystem_error& error) {
    return wrong("nothing was written: " + error.path1().string() + ": " + error.code().message());
  }
  say_what_next(task, *language, directory);
  return TASKHOST_RESULT_OK;
}

}  // namespace taskhost
