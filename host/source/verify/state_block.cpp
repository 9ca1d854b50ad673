#include "verify/state_block.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <new>

#include "verify/kit_thread.hpp"
#include "verify/simulated_host.hpp"

namespace taskhost::verify {

namespace {

constexpr unsigned char canary = 0xA5;

std::size_t page() {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

std::size_t round_up(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }

// The blocks that a crash may have hit. Read by a signal handler, so they are at a fixed place, and atomic.
struct Place {
  std::atomic<std::uintptr_t> mapping{0};
  std::atomic<std::size_t> mapping_size{0};
  std::atomic<std::uintptr_t> state{0};
  std::atomic<std::size_t> size{0};
  std::atomic<bool> dropped{false};
  std::atomic<StateBlock::Kind> kind{StateBlock::Kind::state};
};
constexpr std::size_t place_count = 96;
std::array<Place, place_count> places;
std::size_t next_place = 0;
std::mutex places_mutex;

// Dropped ones stay reserved until their place is needed.
Place& claim_place() {
  for (std::size_t tries = 0; tries < place_count; ++tries) {
    Place& place = places[next_place++ % place_count];
    if (place.mapping != 0 && !place.dropped) continue;
    if (place.mapping != 0) ::munmap(reinterpret_cast<void*>(place.mapping.load()), place.mapping_size);
    place.mapping = 0;
    return place;
  }
  throw std::bad_alloc();  // more executions at once than any test uses
}

Place* place_of(const void* mapping) {
  const auto found = std::find_if(places.begin(), places.end(), [mapping](const Place& place) {
    return place.mapping == reinterpret_cast<std::uintptr_t>(mapping);
  });
  return found != places.end() ? &*found : nullptr;
}

Progress* progress_of_handler = nullptr;

void look_what_was_hit(std::uintptr_t address) {
  for (const Place& place : places) {
    const std::uintptr_t mapping = place.mapping;
    const std::uintptr_t state = place.state;
    if (mapping == 0 || address < mapping || address - mapping >= place.mapping_size) continue;
    const bool behind = address >= state + place.size;
    const std::uintptr_t border = place.dropped || !behind ? state : state + place.size;
    progress_of_handler->hit_offset = static_cast<std::int64_t>(address - border);
    if (place.kind == StateBlock::Kind::texts) {
      progress_of_handler->hit = place.dropped ? Hit::dropped_text : Hit::text;
      return;
    }
    progress_of_handler->hit = place.dropped ? Hit::dropped_state : (behind ? Hit::behind_state : Hit::before_state);
  }
}

std::atomic<pid_t> crashed_thread{0};

// Several threads may crash at once: the first one is told of, and its end is that of all.
void on_crash(int signal, siginfo_t* info, void* /*context*/) {
  const auto own = static_cast<pid_t>(::syscall(SYS_gettid));
  pid_t first = 0;
  if (!crashed_thread.compare_exchange_strong(first, own)) {
    if (first == own) {
      ::signal(signal, SIG_DFL);  // the handler itself has crashed
      return;
    }
    for (;;) ::pause();
  }
  progress_of_handler->crashed_outside = current_call().phase == Phase::none;
  progress_of_handler->crashed_elsewhere = !KitThread::is_here;
  // The kernel counts a folder for each thread, and two more links.
  struct stat threads {};
  if (::stat("/proc/self/task", &threads) == 0) {
    progress_of_handler->own_threads = std::max(static_cast<int>(threads.st_nlink) - 2 - KitThread::count, 0);
  }
  const bool has_address = (signal == SIGSEGV || signal == SIGBUS) && info->si_code > 0;
  if (has_address) look_what_was_hit(reinterpret_cast<std::uintptr_t>(info->si_addr));
  // A fault happens again when this returns, and then it kills. A signal that was sent has to be sent again.
  ::signal(signal, SIG_DFL);
  if (info->si_code <= 0) ::raise(signal);
}

}  // namespace

std::size_t mapped_for_blocks() {
  const std::lock_guard lock(places_mutex);
  std::size_t sum = 0;
  for (const Place& place : places) sum += place.mapping != 0 ? place.mapping_size.load() : 0;
  return sum;
}

StateBlock::StateBlock(std::size_t size, std::size_t align, Kind kind)
    : size_(size), mapping_size_(2 * page() + round_up(std::max<std::size_t>(size + align, 1), page())) {
  const std::lock_guard lock(places_mutex);
  Place& place = claim_place();
  void* mapping = ::mmap(nullptr, mapping_size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<unsigned char*>(mapping);
  unsigned char* const begin = mapping_ + page();
  unsigned char* const end = mapping_ + mapping_size_ - page();
  ::mprotect(begin, static_cast<std::size_t>(end - begin), PROT_READ | PROT_WRITE);
  // As close to the wall as its alignment allows. A state that is aligned better by accident hides a state_align that
  // is too small.
  state_ = end - round_up(size, align);
  if (align < page() && size > 0 && reinterpret_cast<std::uintptr_t>(state_) % (2 * align) == 0 &&
      state_ - align >= begin) {
    state_ -= align;
  }
  std::fill(std::max(begin, state_ - std::min<std::size_t>(page(), static_cast<std::size_t>(state_ - begin))), state_,
            canary);
  std::fill(state_ + size, end, canary);
  place.mapping_size = mapping_size_;
  place.state = reinterpret_cast<std::uintptr_t>(state_);
  place.size = size;
  place.kind = kind;
  place.dropped = false;
  place.mapping = reinterpret_cast<std::uintptr_t>(mapping_);
}

StateBlock::~StateBlock() { wall(); }

bool StateBlock::is_whole() const noexcept {
  const unsigned char* const begin = mapping_ + page();
  const unsigned char* const end = mapping_ + mapping_size_ - page();
  const auto intact = [](unsigned char byte) { return byte == canary; };
  const unsigned char* const from = state_ - std::min<std::size_t>(page(), static_cast<std::size_t>(state_ - begin));
  const unsigned char* const state = state_;
  return std::all_of(from, state, intact) && std::all_of(state + size_, end, intact);
}

void StateBlock::wall() noexcept {
  if (walled_) return;
  walled_ = true;
  const std::lock_guard lock(places_mutex);
  if (Place* place = place_of(mapping_)) place->dropped = true;
  // A new mapping releases the memory and keeps the addresses.
  (void)::mmap(mapping_, mapping_size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

void StateBlock::make_read_only() noexcept { ::mprotect(mapping_ + page(), mapping_size_ - 2 * page(), PROT_READ); }

void StateBlock::make_writable() noexcept {
  ::mprotect(mapping_ + page(), mapping_size_ - 2 * page(), PROT_READ | PROT_WRITE);
}

OwnTexts::OwnTexts(const std::string& config, const std::string& task_name, const std::string& directory)
    : config_size_(config.size()),
      block_(2 * config.size() + task_name.size() + directory.size() + 3, 1, StateBlock::Kind::texts),
      directory_(begin() + 2 * config.size() + task_name.size() + 2) {
  std::copy_n(config.c_str(), config.size() + 1, begin() + config.size());
  std::copy_n(task_name.c_str(), task_name.size() + 1, begin() + 2 * config.size() + 1);
  std::copy_n(directory.c_str(), directory.size() + 1, begin() + 2 * config.size() + task_name.size() + 2);
  block_.make_read_only();
}

const char* OwnTexts::own(std::string_view text) {
  const auto [entry, is_new] = copies_.try_emplace(text.data(), text.data());
  if (!is_new || used_ + text.size() + 1 > config_size_) return entry->second;
  char* const copy = begin() + used_;
  used_ += text.size() + 1;
  block_.make_writable();
  std::copy(text.begin(), text.end(), copy);
  copy[text.size()] = '\0';
  block_.make_read_only();
  return entry->second = copy;
}

void tell_what_crashes_hit(Progress& progress) {
  progress_of_handler = &progress;
  struct sigaction action {};
  action.sa_sigaction = on_crash;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  ::sigemptyset(&action.sa_mask);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) ::sigaction(signal, &action, nullptr);
}

}  // namespace taskhost::verify
