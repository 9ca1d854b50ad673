#include "plugin/elf_file.hpp"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "plugin/script_hint.hpp"
#include "system/refusal.hpp"
#include "taskhost/core/system_failure.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

class File {
 public:
  // Non-blocking, so that a named pipe can't hold up the host.
  explicit File(const char* path) : descriptor_(::open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
    if (descriptor_ < 0 && is_shortage(errno) && errno != EAGAIN) throw system_failure(errno, "open");
  }
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_open() const noexcept { return descriptor_ >= 0; }
  bool status(struct stat& status) const noexcept { return ::fstat(descriptor_, &status) == 0; }

  template <class Value>
  bool read(Value& value, std::size_t offset) const noexcept {
    return read(&value, sizeof value, offset);
  }
  bool read(void* bytes, std::size_t size, std::size_t offset) const noexcept {
    return ::pread(descriptor_, bytes, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
  }

 private:
  int descriptor_;
};

std::string system_words() { return std::generic_category().message(errno); }

std::string machine_words(const ElfW(Ehdr) & header) {
  switch (header.e_machine) {
    case EM_386:
      return "x86";
    case EM_X86_64:
      return "x86-64";
    case EM_ARM:
      return "ARM";
    case EM_AARCH64:
      return "AArch64";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "PowerPC64";
    case EM_S390:
      return "S/390";
    default:
      return "machine number " + std::to_string(header.e_machine);
  }
}

using Segments = std::vector<ElfW(Phdr)>;

std::string segments_problem(const File& file, const ElfW(Ehdr) & header, std::size_t size, Segments& segments) {
  if (header.e_phentsize != sizeof(ElfW(Phdr)) || header.e_phnum == 0) return "its ELF header is malformed";
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment{};
    if (!file.read(segment, header.e_phoff + i * sizeof segment)) return "it is truncated: a part of it is missing";
    if (segment.p_filesz != 0 && (segment.p_offset > size || segment.p_filesz > size - segment.p_offset)) {
      return "it is truncated: " + std::to_string(size) + " bytes, but its headers promise at least " +
             std::to_string(segment.p_offset + segment.p_filesz);
    }
    segments.push_back(segment);
  }
  return {};
}

// An interrupted copy may already have its full size, with zeroes where the rest would be. The section table is at the
// very end; only a stripped file has none.
std::string sections_problem(const File& file, const ElfW(Ehdr) & header) {
  if (header.e_shoff == 0 || header.e_shnum < 2 || header.e_shentsize != sizeof(ElfW(Shdr))) return {};
  for (const std::size_t index : {std::size_t{1}, std::size_t{header.e_shnum} - 1}) {
    ElfW(Shdr) section{};
    const ElfW(Shdr) zeroes{};
    if (!file.read(section, header.e_shoff + index * sizeof section)) {
      return "it is damaged: its section table is missing";
    }
    if (std::memcmp(&section, &zeroes, sizeof section) == 0) return "it is damaged: its section table is empty";
  }
  return {};
}

const ElfW(Phdr) * segment_of(const Segments& segments, std::size_t address, std::size_t size) {
  const auto found = std::find_if(segments.begin(), segments.end(), [=](const ElfW(Phdr) & segment) {
    return segment.p_type == PT_LOAD && address >= segment.p_vaddr && size <= segment.p_filesz &&
           address - segment.p_vaddr <= segment.p_filesz - size;
  });
  return found != segments.end() ? &*found : nullptr;
}

// Whether this many bytes at the address come from the file.
bool is_in_file(const Segments& segments, std::size_t address, std::size_t size) {
  return segment_of(segments, address, size) != nullptr;
}

const ElfW(Phdr) * dynamic_segment(const Segments& segments) {
  const auto found = std::find_if(segments.begin(), segments.end(),
                                  [](const ElfW(Phdr) & segment) { return segment.p_type == PT_DYNAMIC; });
  return found != segments.end() ? &*found : nullptr;
}

// Calls visit(entry) for each entry before the end. Returns false if there is no end.
template <class Visit>
bool for_each_dynamic_entry(const File& file, const ElfW(Phdr) & dynamic, const Visit& visit) {
  constexpr std::size_t max_entries = 65536;
  const std::size_t count = std::min<std::size_t>(dynamic.p_filesz / sizeof(ElfW(Dyn)), max_entries);
  for (std::size_t i = 0; i < count; ++i) {
    ElfW(Dyn) entry{};
    if (!file.read(entry, dynamic.p_offset + i * sizeof entry)) return false;
    if (entry.d_tag == DT_NULL) return true;
    visit(entry);
  }
  return false;
}

// Checks what the dynamic loader follows without checking.
std::string dynamic_problem(const File& file, const Segments& segments) {
  const ElfW(Phdr)* const dynamic = dynamic_segment(segments);
  if (dynamic == nullptr) return {};  // the loader reports that
  std::size_t names = 0;
  std::size_t names_size = 0;
  std::size_t symbols = 0;
  const bool has_end = for_each_dynamic_entry(file, *dynamic, [&](const ElfW(Dyn) & entry) {
    if (entry.d_tag == DT_STRTAB) names = entry.d_un.d_ptr;
    if (entry.d_tag == DT_STRSZ) names_size = entry.d_un.d_val;
    if (entry.d_tag == DT_SYMTAB) symbols = entry.d_un.d_ptr;
  });
  if (!has_end) return "it is damaged: its dynamic section has no end";
  if (names == 0 || names_size == 0 || symbols == 0) {
    return "it is damaged: its dynamic section lacks the symbols or their names";
  }
  if (!is_in_file(segments, names, names_size) || !is_in_file(segments, symbols, sizeof(ElfW(Sym)))) {
    return "it is damaged: its symbols or their names lie outside of it";
  }
  return {};
}

// The names to which symbols and entries refer by offset.
class Names {
 public:
  Names() = default;
  // Empty if that part of the file can't be read.
  Names(const File& file, std::size_t offset, std::size_t size) : text_(size, '\0') {
    if (!file.read(text_.data(), size, offset)) text_.clear();
  }
  std::string at(std::size_t offset) const {
    if (offset >= text_.size()) return {};
    return text_.substr(offset, text_.find('\0', offset) - offset);
  }

 private:
  std::string text_;
};

// Symbols that linkers and their start files put into every library.
bool is_of_every_library(std::string_view name) {
  constexpr std::array<std::string_view, 5> names = {"_init", "_fini", "_edata", "_end", "__bss_start"};
  return std::find(names.begin(), names.end(), name) != names.end();
}

void take_symbol(const ElfW(Sym) & symbol, const Names& names, LibraryContents& contents) {
  const unsigned binding = ELF64_ST_BIND(symbol.st_info);
  const unsigned visibility = ELF64_ST_VISIBILITY(symbol.st_other);
  const bool is_for_others = binding == STB_GLOBAL || binding == STB_WEAK || binding == STB_GNU_UNIQUE;
  if (!is_for_others || visibility == STV_HIDDEN || visibility == STV_INTERNAL) return;
  std::string name = names.at(symbol.st_name);
  if (name.empty()) return;
  if (symbol.st_shndx == SHN_UNDEF) {
    contents.undefined.push_back(std::move(name));
  } else if (symbol.st_shndx != SHN_ABS && !is_of_every_library(name)) {  // absolute ones are names of versions
    if (binding == STB_GNU_UNIQUE) contents.unique.push_back(name);
    contents.exported.push_back(std::move(name));
  }
}

// Only the section table has their number.
void read_symbols(const File& file, const ElfW(Ehdr) & header, std::size_t size, LibraryContents& contents) {
  if (header.e_shoff == 0 || header.e_shentsize != sizeof(ElfW(Shdr))) return;
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    ElfW(Shdr) section{};
    ElfW(Shdr) text{};
    if (!file.read(section, header.e_shoff + i * sizeof section)) return;
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= header.e_shnum || section.sh_size > size) continue;
    if (!file.read(text, header.e_shoff + section.sh_link * sizeof text) || text.sh_size > size) return;
    const Names names(file, text.sh_offset, text.sh_size);
    std::vector<ElfW(Sym)> symbols(section.sh_size / sizeof(ElfW(Sym)));
    if (!file.read(symbols.data(), symbols.size() * sizeof(ElfW(Sym)), section.sh_offset)) return;
    for (const ElfW(Sym) & symbol : symbols) take_symbol(symbol, names, contents);
    contents.has_symbols = true;
    return;
  }
}

void read_needs(const File& file, const Segments& segments, LibraryContents& contents) {
  const ElfW(Phdr)* const dynamic = dynamic_segment(segments);
  if (dynamic == nullptr) return;
  std::vector<ElfW(Dyn)> entries;
  std::size_t address = 0;
  std::size_t size = 0;
  for_each_dynamic_entry(file, *dynamic, [&](const ElfW(Dyn) & entry) {
    entries.push_back(entry);
    if (entry.d_tag == DT_STRTAB) address = entry.d_un.d_ptr;
    if (entry.d_tag == DT_STRSZ) size = entry.d_un.d_val;
  });
  const ElfW(Phdr)* const segment = segment_of(segments, address, size);
  if (segment == nullptr) return;
  const Names names(file, segment->p_offset + (address - segment->p_vaddr), size);
  std::string run_path;
  std::string old_path;
  for (const ElfW(Dyn) & entry : entries) {
    if (entry.d_tag == DT_NEEDED) contents.needed.push_back(names.at(entry.d_un.d_val));
    if (entry.d_tag == DT_RUNPATH) run_path = names.at(entry.d_un.d_val);
    if (entry.d_tag == DT_RPATH) old_path = names.at(entry.d_un.d_val);
  }
  contents.search_path_comes_first = run_path.empty();
  std::istringstream parts(run_path.empty() ? old_path : run_path);
  for (std::string part; std::getline(parts, part, ':');) contents.search_path.push_back(part);
}

// What is wrong with the file's content.
std::string content_problem(const File& file, std::size_t size) {
  if (size == 0) return "it is empty";

  ElfW(Ehdr) header{};
  ElfW(Ehdr) own{};
  const bool whole = file.read(header, 0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "it is not a shared library (not an ELF file)";
  if (!whole) return "it is truncated: " + std::to_string(size) + " bytes are less than an ELF header";
  if (!File("/proc/self/exe").read(own, 0)) return {};  // without /proc, the dynamic loader has to decide
  if (header.e_ident[EI_CLASS] != own.e_ident[EI_CLASS]) {
    return std::string("it is built for another architecture: ") +
           (header.e_ident[EI_CLASS] == ELFCLASS32 ? "32 bits" : "64 bits") + ", this host has " +
           (own.e_ident[EI_CLASS] == ELFCLASS32 ? "32" : "64");
  }
  if (header.e_ident[EI_DATA] != own.e_ident[EI_DATA] || header.e_machine != own.e_machine) {
    return "it is built for another architecture: " + machine_words(header) + ", this host is " + machine_words(own);
  }
  if (header.e_type != ET_DYN) return "it is an ELF file, but not a shared library";
  Segments segments;
  std::string problem = segments_problem(file, header, size, segments);
  if (problem.empty()) problem = dynamic_problem(file, segments);
  if (problem.empty()) problem = sections_problem(file, header);
  return problem;
}

// The dynamic loader replaces these words in a path that it is given, and so opens another file, or none. There is no
// way to quote them.
std::string token_problem(const std::string& path) {
  std::error_code error;
  const std::string whole = std::filesystem::absolute(path, error).string();
  if (error) return {};
  const auto is_of_name = [](char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; };
  for (std::size_t at = whole.find('$'); at != std::string::npos; at = whole.find('$', at + 1)) {
    for (const std::string name : {"ORIGIN", "LIB", "PLATFORM"}) {
      const bool is_braced = whole.compare(at + 1, name.size() + 2, "{" + name + "}") == 0;
      const std::size_t end = at + 1 + name.size();
      const bool is_plain =
          whole.compare(at + 1, name.size(), name) == 0 && (end == whole.size() || !is_of_name(whole[end]));
      if (!is_braced && !is_plain) continue;
      return "the dynamic loader would replace \"" + whole.substr(at, name.size() + (is_braced ? 3 : 1)) +
             "\" in its path, " + quoted_text(whole) + ": rename that folder or file";
    }
  }
  return {};
}

}  // namespace

std::string library_file_problem(const std::string& path) {
  const File file(path.c_str());
  if (!file.is_open()) return "it can't be opened: " + refusal_words(path, errno);
  struct stat status {};
  if (!file.status(status)) return "it can't be read: " + system_words();
  if (S_ISDIR(status.st_mode)) return "it is a directory: name the library in it";
  if (!S_ISREG(status.st_mode)) return "it is not a regular file";
  std::string problem = content_problem(file, static_cast<std::size_t>(status.st_size));
  if (problem.empty()) return token_problem(path);
  if (!script_hint(path).empty()) return problem;  // for which the caller gives a hint
  return problem + "; name or install a plugin for this machine instead";
}

bool is_marked_to_stay(const std::string& path) {
  const File file(path.c_str());
  struct stat status {};
  ElfW(Ehdr) header{};
  Segments segments;
  if (!file.is_open() || !file.status(status) || !file.read(header, 0)) return false;
  if (!segments_problem(file, header, static_cast<std::size_t>(status.st_size), segments).empty()) return false;
  const ElfW(Phdr)* const dynamic = dynamic_segment(segments);
  bool marked = false;
  return dynamic != nullptr &&
         for_each_dynamic_entry(file, *dynamic,
                                [&marked](const ElfW(Dyn) & entry) {
                                  if (entry.d_tag == DT_FLAGS_1) marked = (entry.d_un.d_val & DF_1_NODELETE) != 0;
                                }) &&
         marked;
}

LibraryContents library_contents(const std::string& path) {
  const File file(path.c_str());
  LibraryContents contents;
  struct stat status {};
  ElfW(Ehdr) header{};
  Segments segments;
  if (!file.is_open() || !file.status(status) || !file.read(header, 0)) return contents;
  const auto size = static_cast<std::size_t>(status.st_size);
  if (!segments_problem(file, header, size, segments).empty()) return contents;
  read_symbols(file, header, size, contents);
  read_needs(file, segments, contents);
  return contents;
}

}  // namespace taskhost
