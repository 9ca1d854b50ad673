#include "plugin/neighbours.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>

#include "taskhost/plugin.h"
#include "text/printable.hpp"

namespace taskhost {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view entry_of_any_version = "taskhost_plugin_v";

std::string readable_symbol(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status),
                                                         &std::free);
  return status == 0 ? name.get() : symbol;
}

bool is_word_part(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Symbols of the C++ library that involve only the library's and the language's own types: all plugins get them from
// the same place. What it instantiates for a plugin's types belongs to the plugin.
bool is_of_standard_library(const std::string& symbol) {
  constexpr auto own_words = std::to_array<std::string_view>(
      {"std",    "__gnu_cxx", "char",  "signed",   "unsigned", "short",    "int",      "long",     "bool",     "float",
       "double", "void",      "const", "volatile", "wchar_t",  "char8_t",  "char16_t", "char32_t", "__int128", "true",
       "false",  "nullptr",   "guard", "variable", "for",      "decltype", "auto",     "abi",      "cxx11"});
  const std::string text = readable_symbol(symbol);
  if (text == symbol) return false;
  for (std::size_t i = 0; i < text.size();) {
    if (!is_word_part(text[i])) {
      ++i;
      continue;
    }
    const std::size_t begin = i;
    while (i < text.size() && is_word_part(text[i])) ++i;
    const std::string_view before = std::string_view(text).substr(0, begin);
    const bool is_inner = before.ends_with("::") || before.ends_with("::{");  // as for a lambda
    const bool is_number = std::isdigit(static_cast<unsigned char>(text[begin])) != 0;
    const std::string_view word = std::string_view(text).substr(begin, i - begin);
    if (!is_inner && !is_number && std::find(own_words.begin(), own_words.end(), word) == own_words.end()) return false;
  }
  return true;
}

// The path of the library that the loader would use for this name now; empty if none is loaded under it.
std::string loaded_path(const std::string& name) {
  void* const handle = ::dlopen(name.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return {};
  link_map* map = nullptr;
  std::string path;
  if (::dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr) path = map->l_name;
  ::dlclose(handle);
  return path;
}

// "$ORIGIN/lib" → "/opt/plugins/lib"; nothing if only the loader can expand it.
std::optional<fs::path> expanded(std::string directory, const fs::path& origin) {
  for (const std::string_view name : {"$ORIGIN", "${ORIGIN}"}) {
    const std::size_t found = directory.find(name);
    if (found != std::string::npos) directory.replace(found, name.size(), origin.string());
  }
  if (directory.empty() || directory.find('$') != std::string::npos) return std::nullopt;
  return directory;
}

// The file that the library would have got as the first to ask for it; empty if it is only in the system's directories,
// where all find the same one.
fs::path own_path(const std::string& name, const LibraryContents& contents, const fs::path& library) {
  std::vector<std::string> directories = contents.search_path;
  if (const char* const preferred = std::getenv("LD_LIBRARY_PATH"); preferred != nullptr) {
    std::istringstream parts(preferred);
    std::vector<std::string> before;
    for (std::string part; std::getline(parts, part, ':');) before.push_back(part);
    directories.insert(contents.search_path_comes_first ? directories.end() : directories.begin(), before.begin(),
                       before.end());
  }
  std::error_code error;
  const fs::path origin = fs::canonical(library, error).parent_path();
  for (const std::string& directory : directories) {
    const std::optional<fs::path> place = expanded(directory, origin);
    if (place && fs::exists(*place / name, error)) return *place / name;
  }
  return {};
}

bool has_same_content(const fs::path& left, const fs::path& right) {
  std::error_code error;
  if (fs::equivalent(left, right, error)) return true;
  if (fs::file_size(left, error) != fs::file_size(right, error)) return false;
  std::ifstream one(left, std::ios::binary);
  std::ifstream other(right, std::ios::binary);
  using Bytes = std::istreambuf_iterator<char>;
  return one && other && std::equal(Bytes(one), Bytes(), Bytes(other));
}

}  // namespace

std::string missing_runtime(const LibraryContents& contents) {
  struct Runtime {
    const char* symbol;
    const char* option;
    const char* library;
  };
  constexpr std::array<Runtime, 4> runtimes = {{{"__asan_init", "address", "libasan.so"},
                                                {"__tsan_init", "thread", "libtsan.so"},
                                                {"__hwasan_init", "hwaddress", "libhwasan.so"},
                                                {"__msan_init", "memory", nullptr}}};
  for (const Runtime& runtime : runtimes) {
    const auto& wanted = contents.undefined;
    if (std::find(wanted.begin(), wanted.end(), runtime.symbol) == wanted.end()) continue;
    if (::dlsym(RTLD_DEFAULT, runtime.symbol) != nullptr) continue;
    std::string words = "it is built with -fsanitize=" + std::string(runtime.option) +
                        ", whose runtime must be loaded before everything else: ";
    if (runtime.library == nullptr) return words + "build the host with it too, or the plugin without it";
    return words + "set LD_PRELOAD=\"$(cc -print-file-name=" + runtime.library +
           ")\" (cc being the compiler it was built with), or build it without the sanitizer";
  }
  return {};
}

bool may_be_plugin(const LibraryContents& contents) {
  return !contents.has_symbols ||
         std::any_of(contents.exported.begin(), contents.exported.end(),
                     [](const std::string& name) { return name.starts_with(entry_of_any_version); });
}

std::vector<std::string> exported_beyond_entry(const LibraryContents& contents) {
  std::vector<std::string> names = contents.exported;
  std::erase_if(names,
                [](const std::string& name) { return name == TASKHOST_ENTRY_NAME || is_of_standard_library(name); });
  return names;
}

std::string symbol_words(const std::vector<std::string>& symbols) {
  constexpr std::size_t max_named = 3;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(max_named, symbols.size()); ++i) {
    names.push_back(printable_text(readable_symbol(symbols[i]), 120));
  }
  if (symbols.size() > max_named) names.push_back(std::to_string(symbols.size() - max_named) + " more");
  return word_list(names, "and");
}

std::vector<Dependency> dependencies_of(const LibraryContents& contents) {
  std::vector<Dependency> dependencies;
  for (const std::string& name : contents.needed) dependencies.push_back({name, loaded_path(name)});
  return dependencies;
}

std::vector<std::string> LibraryNeighbours::add(const std::string& path) {
  const LibraryContents contents = library_contents(path);
  std::vector<std::string> findings;
  std::map<std::string, std::vector<std::string>> shared;  // by the library that defined them first
  for (const std::string& symbol : contents.unique) {
    if (is_of_standard_library(symbol)) continue;
    const auto [first, is_new] = unique_.try_emplace(symbol, path);
    if (!is_new) shared[first->second].push_back(symbol);
  }
  for (const auto& [first, symbols] : shared) {
    findings.push_back("it shares " + symbol_words(symbols) + " with " + printable_path(first) +
                       ", which defined it first: if their sources differ, this one crashes. Compile both with "
                       "-fvisibility=hidden, or link them with abi/sdk/plugin.map, so that each has its own");
  }
  for (const Dependency& dependency : dependencies_of(contents)) {
    if (dependency.path.empty() || dependency.name.find('/') != std::string::npos) continue;
    const fs::path own = own_path(dependency.name, contents, path);
    if (own.empty() || has_same_content(own, dependency.path)) continue;
    findings.push_back("it gets " + printable_path(dependency.path) + " for " + quoted_path(dependency.name) +
                       ", which was loaded earlier, instead of " + printable_path(own.native()) +
                       ": give one of them another soname, or link it statically");
  }
  return findings;
}

}  // namespace taskhost
