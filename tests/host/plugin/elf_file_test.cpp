// Interrupted copies of a library: none of them may kill the process that loads it.
#include "plugin/elf_file.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

using taskhost::is_marked_to_stay;
using taskhost::library_contents;
using taskhost::library_file_problem;
using taskhost::LibraryContents;
using namespace taskhost::test;

namespace {

const std::string good = read_file(TEST_LIBRARY);

// In a process of its own, which may die.
bool is_harmless_to_load(const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // it may fail
    ::_exit(0);
  }
  REQUIRE(child > 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string problem_of(const TemporaryDirectory& directory, const std::string& content) {
  constexpr std::string_view advice = "; name or install a plugin for this machine instead";
  std::string problem = library_file_problem(directory.write("library.so", content).string());
  if (problem.empty()) return problem;
  CHECK(problem.ends_with(advice));
  return problem.substr(0, problem.size() - advice.size());
}

std::string with_zeroed_tail(std::string content, std::size_t size) {
  std::fill(content.end() - static_cast<std::ptrdiff_t>(size), content.end(), '\0');
  return content;
}

std::string without_sections(std::string content) {
  ElfW(Ehdr) header{};
  std::memcpy(&header, content.data(), sizeof header);
  header.e_shoff = 0;
  header.e_shnum = 0;
  header.e_shstrndx = 0;
  std::memcpy(content.data(), &header, sizeof header);
  return content;
}

// Changes one entry of the dynamic section.
std::string with_dynamic_entry(std::string content, ElfW(Sxword) tag, ElfW(Dyn) changed) {
  ElfW(Ehdr) header{};
  std::memcpy(&header, content.data(), sizeof header);
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment{};
    std::memcpy(&segment, content.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type != PT_DYNAMIC) continue;
    for (std::size_t at = segment.p_offset; at < segment.p_offset + segment.p_filesz; at += sizeof(ElfW(Dyn))) {
      ElfW(Dyn) entry{};
      std::memcpy(&entry, content.data() + at, sizeof entry);
      if (entry.d_tag == tag) std::memcpy(content.data() + at, &changed, sizeof changed);
    }
  }
  return content;
}

void check_refused_or_harmless(const std::string& whole, std::size_t parts) {
  const TemporaryDirectory directory;
  for (std::size_t part = 1; part < parts; ++part) {
    const std::string damaged = with_zeroed_tail(whole, whole.size() * part / parts);
    const auto path = directory.write("library.so", damaged);
    const std::string problem = library_file_problem(path.string());
    INFO(part << " of " << parts << " zeroed: " << problem);
    if (problem.empty()) CHECK(is_harmless_to_load(path.string()));
  }
}

}  // namespace

TEST_CASE("a good library has no problem, with its table of sections or without") {
  const TemporaryDirectory directory;
  REQUIRE_FALSE(good.empty());
  CHECK(problem_of(directory, good).empty());
  CHECK(problem_of(directory, without_sections(good)).empty());
}

TEST_CASE("a library whose tail is zeroes is refused, or harmless to load") {
  check_refused_or_harmless(good, 8);
  check_refused_or_harmless(without_sections(good), 8);
  check_refused_or_harmless(without_sections(good), 50);
}

TEST_CASE("any eighth of zeroes at the end of a library is told as damage") {
  const TemporaryDirectory directory;
  for (std::size_t part = 1; part < 8; ++part) {
    const std::string problem = problem_of(directory, with_zeroed_tail(good, good.size() * part / 8));
    INFO(part << ": " << problem);
    CHECK(problem.find("it is damaged: ") == 0);
  }
}

TEST_CASE("a library that lost only its table of sections is refused") {
  const TemporaryDirectory directory;
  ElfW(Ehdr) header{};
  std::memcpy(&header, good.data(), sizeof header);
  CHECK(problem_of(directory, good.substr(0, header.e_shoff)) == "it is damaged: its section table is missing");
  CHECK(problem_of(directory, with_zeroed_tail(good, 2 * sizeof(ElfW(Shdr)))) ==
        "it is damaged: its section table is empty");
}

TEST_CASE("a dynamic section that lacks what the loader follows is refused") {
  const TemporaryDirectory directory;
  for (const ElfW(Sxword) tag : {DT_STRTAB, DT_SYMTAB, DT_STRSZ}) {
    ElfW(Dyn) entry{};
    entry.d_tag = tag;
    CHECK(problem_of(directory, with_dynamic_entry(good, tag, entry)) ==
          "it is damaged: its dynamic section lacks the symbols or their names");
    entry.d_un.d_val = static_cast<ElfW(Xword)>(-1) / 2;
    CHECK(problem_of(directory, with_dynamic_entry(good, tag, entry)) ==
          "it is damaged: its symbols or their names lie outside of it");
  }
  ElfW(Dyn) no_end{};
  no_end.d_tag = DT_DEBUG;
  CHECK(problem_of(directory, with_dynamic_entry(good, DT_NULL, no_end)) ==
        "it is damaged: its dynamic section has no end");
}

TEST_CASE("a library that is marked NODELETE is known to stay loaded, and no other file is") {
  const TemporaryDirectory directory;
  CHECK(is_marked_to_stay(STAYING_TEST_LIBRARY));
  CHECK_FALSE(is_marked_to_stay(TEST_LIBRARY));
  CHECK_FALSE(is_marked_to_stay((directory / "none").string()));
  CHECK_FALSE(is_marked_to_stay(directory.write("poem.so", "Tyger Tyger, burning bright\n").string()));
  const std::string staying = read_file(STAYING_TEST_LIBRARY);
  CHECK_FALSE(is_marked_to_stay(directory.write("half.so", staying.substr(0, staying.size() / 2)).string()));
}

TEST_CASE("another flag beside does not mark a library to stay") {
  const TemporaryDirectory directory;
  ElfW(Dyn) flags{};
  flags.d_tag = DT_FLAGS_1;
  for (const auto value : {DF_1_NOW, DF_1_NOW | DF_1_NODELETE}) {
    flags.d_un.d_val = value;
    const auto path =
        directory.write("library.so", with_dynamic_entry(read_file(STAYING_TEST_LIBRARY), DT_FLAGS_1, flags));
    CHECK(is_marked_to_stay(path.string()) == ((value & DF_1_NODELETE) != 0));
  }
}

TEST_CASE("what a library exports, wants and needs stands in its file") {
  const LibraryContents contents = library_contents(TEST_LIBRARY);
  const auto has = [](const std::vector<std::string>& list, std::string_view begin) {
    return std::any_of(list.begin(), list.end(), [begin](const auto& name) { return name.starts_with(begin); });
  };
  CHECK(contents.has_symbols);
  CHECK(has(contents.exported, "elf_test_seen"));
  CHECK_FALSE(has(contents.exported, "malloc"));
  CHECK_FALSE(has(contents.exported, "_init"));
  CHECK(has(contents.undefined, "malloc"));
  CHECK(has(contents.needed, "libc.so"));
  CHECK(contents.unique.empty());
}

TEST_CASE("of a file that is no whole library some contents are known, or none") {
  const TemporaryDirectory directory;
  CHECK_FALSE(library_contents((directory / "none").string()).has_symbols);
  CHECK_FALSE(library_contents(directory.write("stripped.so", without_sections(good)).string()).has_symbols);
  for (std::size_t size = 0; size < good.size(); size += 61) {
    static_cast<void>(library_contents(directory.write("cut.so", good.substr(0, size)).string()));
    static_cast<void>(library_contents(directory.write("zeroes.so", with_zeroed_tail(good, size)).string()));
  }
}
