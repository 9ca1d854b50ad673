// `taskhost new`: writes a folder with a complete task in one of the languages that there is an SDK for. The files are
// those of abi/sdk/*/starter.txt, put into the program when it is built.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace taskhost {

struct Language {
  const char* id;
  const char* title;
  const char* commands;  // that it needs, separated by commas; a|b: one of them
  const char* packages;  // Debian's, separated by commas
};

struct StarterFile {
  const char* language;
  const char* path;  // in the new folder; @NAME@ stands for the task's name, here and in the text
  const char* text;
};

// Made by starter_files.cmake.
std::span<const Language> starter_languages();
std::span<const StarterFile> starter_files();

struct NewTask {
  std::string name;
  std::string language;   // an id or a title; case counts for nothing
  std::string directory;  // empty: the name
};

// Writes all of it or nothing, and says on stdout what comes next. Returns the program's exit status; what is wrong is
// said on stderr.
int write_starter(const NewTask& task);

// "c, cpp, rust"
std::string starter_language_list();

}  // namespace taskhost
