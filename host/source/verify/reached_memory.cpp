#include "verify/reached_memory.hpp"

#include <link.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <unordered_set>
#include <vector>

#include "verify/simulated_host.hpp"

namespace taskhost::verify {

namespace {

struct Range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool has(std::uintptr_t address) const { return address >= begin && address < end; }
};

bool is_in(const std::vector<Range>& ranges, std::uintptr_t address) {
  return std::any_of(ranges.begin(), ranges.end(), [address](const Range& range) { return range.has(address); });
}

// The variables of the loaded objects: of the one that has `code`, and of all others, into which no pointer is
// followed.
struct Variables {
  const std::uintptr_t code;
  std::vector<Range> own;
  std::vector<Range> others;

  explicit Variables(const void* code_address) : code(reinterpret_cast<std::uintptr_t>(code_address)) {
    ::dl_iterate_phdr(
        [](dl_phdr_info* object, std::size_t /*size*/, void* self) {
          static_cast<Variables*>(self)->add(*object);
          return 0;
        },
        this);
  }

 private:
  void add(const dl_phdr_info& object) {
    std::vector<Range> writable;
    bool is_own = false;
    for (std::size_t i = 0; i < object.dlpi_phnum; ++i) {
      const ElfW(Phdr)& header = object.dlpi_phdr[i];
      if (header.p_type != PT_LOAD) continue;
      const std::uintptr_t begin = object.dlpi_addr + header.p_vaddr;
      const Range range{begin, begin + header.p_memsz};
      is_own = is_own || range.has(code);
      if ((header.p_flags & PF_W) != 0) writable.push_back(range);
    }
    std::vector<Range>& list = is_own ? own : others;
    list.insert(list.end(), writable.begin(), writable.end());
  }
};

// Where malloc and mmap have their memory: what can be written and belongs to no file, or is shared. Not the main
// thread's stack.
std::vector<Range> heap_memory() {
  std::vector<Range> ranges;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    char* rest = nullptr;
    const std::uintptr_t begin = std::strtoull(line.c_str(), &rest, 16);
    const std::uintptr_t end = std::strtoull(rest + 1, &rest, 16);
    const std::string_view access(rest, 5);
    const bool is_heap = (line.find('/') == std::string::npos || access == " rw-s" || access == " rwxs") &&
                         line.find("[stack") == std::string::npos;
    if (!is_heap || !access.starts_with(" rw")) continue;
    // A block may lie across two mappings: what grows after a fork is not always joined to what was there.
    if (!ranges.empty() && ranges.back().end == begin) {
      ranges.back().end = end;
    } else {
      ranges.push_back({begin, end});
    }
  }
  return ranges;
}

class Reach {
 public:
  Reach(const void* code, const SimulatedHost& host) : host_(host), variables_(code), heap_(heap_memory()) {}

  std::optional<std::uint64_t> digest(std::uintptr_t state, std::size_t size) {
    read(state, size);
    for (const Range& range : variables_.own) read(range.begin, range.end - range.begin);
    for (std::size_t next = 0; next < blocks_.size() && !is_too_much_; ++next) {
      const Words words = blocks_[next];
      for (const std::uint64_t word : words) follow(word);
    }
    if (is_too_much_) return std::nullopt;
    add_positions();
    return digest_;
  }

 private:
  using Words = std::vector<std::uint64_t>;
  static constexpr std::size_t most_bytes = std::size_t{2} << 20;
  static constexpr std::size_t most_blocks = 2000;

  void mix(std::uint64_t word) { digest_ = (digest_ ^ word) * 0x100000001B3u; }

  bool copy(std::uintptr_t address, void* to, std::size_t size) const {
    const iovec here{to, size};
    const iovec there{reinterpret_cast<void*>(address), size};  // NOLINT(performance-no-int-to-ptr): it may be none
    return ::process_vm_readv(::getpid(), &here, 1, &there, 1, 0) == static_cast<ssize_t>(size);
  }

  void read(std::uintptr_t address, std::size_t size) {
    bytes_ += size;
    is_too_much_ = is_too_much_ || bytes_ > most_bytes || blocks_.size() >= most_blocks;
    if (is_too_much_ || size == 0) return;
    Words words((size + 7) / 8, 0);
    if (!copy(address, words.data(), size)) {
      is_too_much_ = true;
      return;
    }
    for (const std::uint64_t word : words) mix(word);
    blocks_.push_back(std::move(words));
  }

  void follow(std::uint64_t word) {
    if (word % 8 != 0 || !is_in(heap_, word) || is_in(variables_.own, word) || is_in(variables_.others, word)) return;
    if (host_.owns(reinterpret_cast<const void*>(word)) || !seen_.insert(word).second) return;
    read(word, size_of_block(word));
  }

  // As malloc of the C library notes it before the block; 256 for anything else, such as the middle of a block.
  std::size_t size_of_block(std::uintptr_t address) const {
    constexpr std::size_t unknown = 256;
    constexpr std::size_t header = 8;
    std::uint64_t noted = 0;
    const auto range =
        std::find_if(heap_.begin(), heap_.end(), [address](const Range& one) { return one.has(address); });
    const std::size_t room = range->end - address;
    if (address % 16 != 0 || !copy(address - header, &noted, sizeof noted)) return std::min(unknown, room);
    constexpr std::uint64_t is_mapped = 2;
    const std::uint64_t whole = noted & ~std::uint64_t{7};
    const std::size_t size = whole - ((noted & is_mapped) != 0 ? 2 * header : header);
    const bool is_plausible = whole % 16 == 0 && whole >= 32 && whole <= 2 * most_bytes && size <= room;
    return is_plausible ? size : std::min(unknown, room);
  }

  // A file that is read or written from its beginning to its end may leave no other trace.
  void add_positions() {
    std::error_code error;
    for (auto entry = std::filesystem::directory_iterator("/proc/self/fdinfo", error);
         !error && entry != std::filesystem::end(entry); entry.increment(error)) {
      std::ifstream file(entry->path());
      std::string name;
      std::uint64_t position = 0;
      if (file >> name >> position) mix(position);
    }
  }

  const SimulatedHost& host_;
  const Variables variables_;
  const std::vector<Range> heap_;
  std::vector<Words> blocks_;
  std::unordered_set<std::uint64_t> seen_;
  std::uint64_t digest_ = 0xCBF29CE484222325u;
  std::size_t bytes_ = 0;
  bool is_too_much_ = false;
};

}  // namespace

std::optional<std::uint64_t> digest_of_reached(const void* state, std::size_t size, const void* code,
                                               const SimulatedHost& host) {
  return Reach(code, host).digest(reinterpret_cast<std::uintptr_t>(state), size);
}

}  // namespace taskhost::verify
