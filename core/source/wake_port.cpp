#include "taskhost/core/wake_port.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <mutex>
#include <new>

#include "taskhost/core/system_failure.hpp"

namespace taskhost {

inline constexpr std::uint32_t slots_per_chunk = 1024;
inline constexpr std::uint32_t max_chunks = 1u << 18;  // 268 million slots

struct WakeChunk {
  explicit WakeChunk(WakePort& owner) : port(owner) {}
  WakePort& port;
  std::array<WakeSlot, slots_per_chunk> slots{};
};

namespace {

// The type-stable table; see the header. Always reachable, so leak checkers report nothing. Takes no memory until used.
std::array<std::atomic<WakeChunk*>, max_chunks> chunks;

struct Pool {
  std::mutex mutex;
  std::uint32_t chunk_count = 0;
  std::vector<WakePort*> free_ports;
  HomeProcess home;  // the process of free_ports
};

Pool& pool() {
  static Pool* const instance = new Pool;  // never destroyed: wakes may come after static destructors
  return *instance;
}

std::atomic<void (*)()> lost_descriptor_handler{nullptr};

constexpr std::uint32_t index_of(Waker waker) noexcept { return static_cast<std::uint32_t>(waker); }
constexpr std::uint32_t generation_of(Waker waker) noexcept { return static_cast<std::uint32_t>(waker >> 32); }

WakeChunk* chunk_of(std::uint32_t index) noexcept {
  const std::uint32_t chunk = index / slots_per_chunk;
  return chunk < max_chunks ? chunks[chunk].load(std::memory_order_acquire) : nullptr;
}

}  // namespace

WakePort& WakePort::acquire() {
  Pool& all = pool();
  const std::lock_guard lock(all.mutex);
  if (!all.home.is_here()) {  // in a child: the descriptors are shared with the parent, or may be closed here
    for (const WakePort* port : all.free_ports) {
      if (port->slot_count_ == 0) delete port;  // only the pool refers to it
    }
    all.free_ports.clear();
    all.home = HomeProcess();
  }
  if (!all.free_ports.empty()) {
    WakePort* port = all.free_ports.back();
    all.free_ports.pop_back();
    return *port;
  }
  all.free_ports.reserve(all.free_ports.size() + 1);
  const int descriptor = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (descriptor < 0) throw system_failure(errno, "eventfd2");
  return *new WakePort(descriptor);
}

void WakePort::on_lost_descriptor(void (*handler)()) noexcept { lost_descriptor_handler = handler; }

void WakePort::tell_lost_descriptor() noexcept {
  if (void (*const handler)() = lost_descriptor_handler.load(); handler != nullptr) handler();
}

void WakePort::release() noexcept {
  Pool& all = pool();
  const std::lock_guard lock(all.mutex);
  try {
    all.free_ports.push_back(this);
  } catch (const std::bad_alloc&) {
    // It stays out of the pool: a descriptor and its slots are lost, nothing worse.
  }
}

std::uint32_t WakePort::add(TaskCell* cell, std::atomic<std::uint32_t>& slot) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t known = slot.load(std::memory_order_relaxed);
  if (known != no_slot) return known;  // another thread was faster
  if (free_.empty()) {
    auto chunk = std::make_unique<WakeChunk>(*this);
    free_.reserve(slot_count_ + slots_per_chunk);
    Pool& all = pool();
    const std::lock_guard pool_lock(all.mutex);
    if (all.chunk_count == max_chunks) throw std::bad_alloc();
    const std::uint32_t first = all.chunk_count * slots_per_chunk;
    chunks[all.chunk_count++].store(chunk.release(), std::memory_order_release);
    slot_count_ += slots_per_chunk;
    for (std::uint32_t i = slots_per_chunk; i-- > 0;) free_.push_back(first + i);
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  at(index).cell = cell;
  slot.store(index, std::memory_order_release);  // whoever reads it may wake it, and the owner then finds the cell
  return index;
}

void WakePort::remove(std::uint32_t slot) noexcept {
  if (slot == no_slot) return;
  const std::lock_guard lock(mutex_);
  expire(slot);
  at(slot).cell = nullptr;
  free_.push_back(slot);  // never needs more than add reserved
}

WakeSlot& WakePort::at(std::uint32_t index) noexcept {
  WakeChunk* chunk = chunk_of(index);
  if (chunk == nullptr) __builtin_unreachable();  // indexes come only from add
  return chunk->slots[index % slots_per_chunk];
}

std::uint32_t WakePort::generation(std::uint32_t slot) noexcept {
  return at(slot).generation.load(std::memory_order_relaxed);
}

void WakePort::expire(std::uint32_t slot) noexcept {
  std::atomic<std::uint32_t>& generation = at(slot).generation;
  const std::uint32_t next = generation.load(std::memory_order_relaxed) + 1;
  generation.store(next != 0 ? next : 1, std::memory_order_release);  // 0 would allow a waker of 0
}

bool WakePort::current(Waker waker) noexcept {
  const WakeChunk* chunk = chunk_of(index_of(waker));
  return chunk != nullptr && chunk->slots[index_of(waker) % slots_per_chunk].generation.load(
                                 std::memory_order_acquire) == generation_of(waker);
}

void WakePort::wake(Waker waker) noexcept {
  const std::uint32_t index = index_of(waker);
  WakeChunk* chunk = chunk_of(index);
  if (chunk == nullptr) return;
  WakeSlot& slot = chunk->slots[index % slots_per_chunk];
  if (slot.generation.load(std::memory_order_acquire) != generation_of(waker)) return;
  if (slot.link.fetch_or(taken, std::memory_order_acq_rel) & taken) return;
  WakePort& port = chunk->port;
  std::uint32_t head = port.woken_.load(std::memory_order_relaxed);
  do {
    slot.link.exchange(taken | head, std::memory_order_acq_rel);
  } while (!port.woken_.compare_exchange_weak(head, index + 1, std::memory_order_seq_cst, std::memory_order_relaxed));
  port.ring();
}

bool WakePort::begin_sleep() noexcept {
  sleeping_.store(true, std::memory_order_seq_cst);
  if (woken_.load(std::memory_order_seq_cst) == 0) return true;
  sleeping_.store(false, std::memory_order_relaxed);
  return false;
}

void WakePort::end_sleep() noexcept { sleeping_.store(false, std::memory_order_relaxed); }

void WakePort::ring() noexcept {
  if (!sleeping_.load(std::memory_order_seq_cst) || !sleeping_.exchange(false, std::memory_order_seq_cst)) return;
  if (!home_.is_here()) return;  // the sleeper is in another process, which shares the descriptor
  const std::uint64_t one = 1;
  if (::write(descriptor_, &one, sizeof one) < 0 && errno == EBADF) tell_lost_descriptor();  // a full one is readable
}

void WakePort::look() const noexcept {
  if (home_.is_here() && ::fcntl(descriptor_, F_GETFD) < 0) tell_lost_descriptor();
}

void WakePort::quiet() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(descriptor_, &count, sizeof count);  // fails if it is unreadable already
}

}  // namespace taskhost
