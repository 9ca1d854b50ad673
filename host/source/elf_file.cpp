#include "elf_file.hpp"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

namespace taskhost {

namespace {

class File {
 public:
  // Not blocking, so that a named pipe can't hold up the host.
  explicit File(const char* path) : descriptor_(::open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_open() const noexcept { return descriptor_ >= 0; }
  bool status(struct stat& status) const noexcept { return ::fstat(descriptor_, &status) == 0; }

  template <class Value>
  bool read(Value& value, std::size_t offset) const noexcept {
    return ::pread(descriptor_, &value, sizeof value, static_cast<off_t>(offset)) == static_cast<ssize_t>(sizeof value);
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

// A copy that was interrupted may have its full size already, with zeroes where the rest would be. The table of
// sections stands at the very end; only a stripped file has none.
std::string sections_problem(const File& file, const ElfW(Ehdr) & header) {
  if (header.e_shoff == 0 || header.e_shnum < 2 || header.e_shentsize != sizeof(ElfW(Shdr))) return {};
  for (const std::size_t index : {std::size_t{1}, std::size_t{header.e_shnum} - 1}) {
    ElfW(Shdr) section{};
    const ElfW(Shdr) zeroes{};
    if (!file.read(section, header.e_shoff + index * sizeof section)) {
      return "it is damaged: its table of sections is missing";
    }
    if (std::memcmp(&section, &zeroes, sizeof section) == 0) return "it is damaged: its table of sections is empty";
  }
  return {};
}

// Whether so many bytes at this address come from the file.
bool is_in_file(const Segments& segments, std::size_t address, std::size_t size) {
  return std::any_of(segments.begin(), segments.end(), [=](const ElfW(Phdr) & segment) {
    return segment.p_type == PT_LOAD && address >= segment.p_vaddr && size <= segment.p_filesz &&
           address - segment.p_vaddr <= segment.p_filesz - size;
  });
}

const ElfW(Phdr) * dynamic_segment(const Segments& segments) {
  const auto found = std::find_if(segments.begin(), segments.end(),
                                  [](const ElfW(Phdr) & segment) { return segment.p_type == PT_DYNAMIC; });
  return found != segments.end() ? &*found : nullptr;
}

// Calls visit(entry) for each before the end. False if there is no end.
template <class Visit>
bool for_each_dynamic_entry(const File& file, const ElfW(Phdr) & dynamic, const Visit& visit) {
  constexpr std::size_t most_entries = 65536;
  const std::size_t count = std::min<std::size_t>(dynamic.p_filesz / sizeof(ElfW(Dyn)), most_entries);
  for (std::size_t i = 0; i < count; ++i) {
    ElfW(Dyn) entry{};
    if (!file.read(entry, dynamic.p_offset + i * sizeof entry)) return false;
    if (entry.d_tag == DT_NULL) return true;
    visit(entry);
  }
  return false;
}

// What the dynamic loader follows without a look.
std::string dynamic_problem(const File& file, const Segments& segments) {
  const ElfW(Phdr)* const dynamic = dynamic_segment(segments);
  if (dynamic == nullptr) return {};  // the loader says so
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

}  // namespace

std::string library_file_problem(const std::string& path) {
  const File file(path.c_str());
  if (!file.is_open()) return "it can't be opened: " + system_words();
  struct stat status {};
  if (!file.status(status)) return "it can't be read: " + system_words();
  if (S_ISDIR(status.st_mode)) return "it is a directory";
  if (!S_ISREG(status.st_mode)) return "it is not a regular file";
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return "it is empty";

  ElfW(Ehdr) header{};
  ElfW(Ehdr) own{};
  const bool whole = file.read(header, 0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "it is not a shared library (no ELF file)";
  if (!whole) return "it is truncated: " + std::to_string(size) + " bytes are no whole ELF header";
  if (!File("/proc/self/exe").read(own, 0)) return {};  // without /proc the dynamic loader has to judge alone
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

}  // namespace taskhost
