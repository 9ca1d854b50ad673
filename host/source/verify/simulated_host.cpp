#include "verify/simulated_host.hpp"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "taskhost/ext/signals.h"
#include "text/printable.hpp"
#include "verify/kit_thread.hpp"

namespace taskhost::verify {

namespace {

constexpr unsigned cell_count = 40;

// A waker: 16 bits that no counter has by accident, 40 bits of the generation, 8 bits of the cell's index from 1. The
// high bits reveal a language whose numbers are doubles, which lose the low ones.
constexpr std::uint64_t waker_mark = std::uint64_t{0x5AC3} << 48;

// Services without an exec have no other way to find it.
SimulatedHost* the_host = nullptr;

// In addition to the causes: the descriptors or the bell were ready, for whatever reason.
constexpr unsigned something_came = 1u << 16;

constexpr std::uint64_t known_signals = TASKHOST_SIGNAL_INTERRUPT | TASKHOST_SIGNAL_TERMINATE | TASKHOST_SIGNAL_HANGUP |
                                        TASKHOST_SIGNAL_USER1 | TASKHOST_SIGNAL_USER2;

std::uint64_t real_now() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

std::uint64_t plus(std::uint64_t time, std::uint64_t more) {
  return more < TASKHOST_NEVER - time ? time + more : TASKHOST_NEVER;
}

// Whether two descriptors are of one open file. Where the system does not say that, of one file, which all eventfds
// are.
bool is_same_file(int one, int other) {
  const pid_t self = ::getpid();
  const long order = ::syscall(SYS_kcmp, self, self, KCMP_FILE, one, other);
  if (order >= 0) return order == 0;
  struct stat first {};
  struct stat second {};
  return errno != EBADF && ::fstat(one, &first) == 0 && ::fstat(other, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

}  // namespace

CurrentCall& current_call() noexcept {
  // A signal handler reads it too, on threads that never did: it must not be allocated at its first use.
  [[gnu::tls_model("initial-exec")]] thread_local constinit CurrentCall call;
  return call;
}

namespace {

short events_of(std::uint32_t interests) {
  return static_cast<short>(((interests & TASKHOST_READABLE) != 0 ? POLLIN : 0) |
                            ((interests & TASKHOST_WRITABLE) != 0 ? POLLOUT : 0));
}

short look_at(int descriptor, short events) {
  pollfd polled{descriptor, events, 0};
  return ::poll(&polled, 1, 0) == 1 ? polled.revents : static_cast<short>(0);
}

}  // namespace

// --- One execution ---------------------------------------------------------------------------------------------------

Cell::Cell(SimulatedHost& host, unsigned index)
    : taskhost_exec{&simulated_services}, host_(&host), index_(index), bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  constexpr std::size_t enough = 600;  // for what is kept of a text
  failure_.reserve(enough);
}

void Cell::begin(std::uint64_t number, bool is_blocking, OwnTexts& texts) {
  const std::lock_guard lock(mutex_);
  ++generation_;
  number_ = number;
  texts_ = &texts;
  is_blocking_ = is_blocking;
  logs_ = 0;
  waits_for_others_ = false;
  waits_ = calls_before_stop_ = 0;
  jumps_before_ = host_->jumps();
  stop_ = is_ready_ = false;
  waker_given_ = false;
  woken_ = woken_by_others_ = stop_told_ = timer_was_due_ = false;
  timer_ = TASKHOST_NEVER;
  signals_wanted_ = signals_come_ = 0;
  failure_.clear();
  is_check_ = false;
  alive_ = true;
}

void Cell::be_ready() noexcept {
  if (!is_ready_.exchange(true)) host_->count_ready();
}

void Cell::begin_check(OwnTexts& texts) {
  begin(0, false, texts);
  is_check_ = true;
}

void Cell::begin_drop() {
  const std::lock_guard lock(mutex_);
  forget_watches();
  timer_ = TASKHOST_NEVER;
  signals_wanted_ = 0;
}

void Cell::end() {
  begin_drop();
  alive_ = false;
  end_offloads();
}

void Cell::forget_watches() {
  for (const Watch& watch : watches_) ::close(watch.duplicate);
  std::vector<Watch>().swap(watches_);  // with its memory, whose growth would be taken for the plugin's
}

void Cell::ring() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(bell_, &one, sizeof one);
}

taskhost_waker Cell::waker() const noexcept { return waker_mark | (generation_ & 0xFF'FFFF'FFFF) << 8 | (index_ + 1); }

void Cell::wake(bool by_itself) {
  const std::lock_guard lock(mutex_);
  wake_locked(by_itself);
}

void Cell::wake_locked(bool by_itself) {
  woken_by_others_ = woken_by_others_ || !by_itself;
  if (woken_) return;
  woken_ = true;
  ring();
}

void Cell::request_stop() {
  stop_ = true;
  ring();
}

bool Cell::send_signal() {
  const std::lock_guard lock(mutex_);
  if (signals_wanted_ == 0) return false;
  signals_come_ |= signals_wanted_ & (~signals_wanted_ + 1);  // the lowest one
  woken_ = woken_by_others_ = true;
  ring();
  return true;
}

std::string Cell::failure() {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Cell::fail(std::string_view text) {
  const std::lock_guard lock(mutex_);
  failure_.assign(text);  // into the memory that it has: growth would be taken for the plugin's
}

void Cell::set_timer(std::uint64_t time) {
  const std::lock_guard lock(mutex_);
  timer_ = time;
  timer_was_due_ = time <= host_->now();
}

std::int32_t Cell::watch(int descriptor, std::uint32_t interests, std::uint64_t tag) {
  const std::lock_guard lock(mutex_);
  waits_for_others_ = true;
  const auto found = std::find_if(watches_.begin(), watches_.end(),
                                  [descriptor](const Watch& watch) { return watch.descriptor == descriptor; });
  if (found != watches_.end()) {
    const bool is_same = is_same_file(descriptor, found->duplicate);
    if (interests != 0 && is_same) {
      found->interests = interests;
      found->tag = tag;
      return TASKHOST_OK;
    }
    if (!is_same) {
      host_->findings().broken("4.5", "closed watched fd",
                               "descriptor " + std::to_string(descriptor) +
                                   " was closed while it was watched; first call watch with 0 interests");
    }
    ::close(found->duplicate);
    watches_.erase(found);
  }
  if (interests == 0) return TASKHOST_OK;
  if (!host_->can_wait_for(descriptor)) return TASKHOST_REFUSED_ALWAYS;
  const int duplicate = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return TASKHOST_REFUSED_DESCRIPTORS;
  watches_.push_back({descriptor, duplicate, interests, tag});
  return TASKHOST_OK;
}

std::size_t Cell::take_ready(taskhost_ready* list, std::size_t capacity) {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (Offloaded& one : offloaded_) {
    if (count == capacity) return count;
    if (one.is_done && !std::exchange(one.is_told, true)) list[count++] = {one.work.tag, TASKHOST_DONE, 0};
  }
  for (const Watch& watch : watches_) {
    if (count == capacity) return count;
    const short found = look_at(watch.duplicate, events_of(watch.interests));
    std::uint32_t what = 0;
    if ((found & POLLIN) != 0) what |= TASKHOST_READABLE;
    if ((found & POLLOUT) != 0) what |= TASKHOST_WRITABLE;
    if ((found & (POLLERR | POLLHUP | POLLNVAL)) != 0) what |= TASKHOST_BROKEN | TASKHOST_READABLE | TASKHOST_WRITABLE;
    if (what != 0) list[count++] = {watch.tag, what, 0};
  }
  return count;
}

void Cell::offload(const taskhost_work& work) {
  const std::lock_guard lock(mutex_);
  waits_for_others_ = true;
  Offloaded& one = offloaded_.emplace_back();  // a deque: it stays in its place
  one.work = work;
  one.thread = std::thread([this, &one] {
    const KitThread kit_mark;
    {
      const CallMark mark(nullptr, Phase::work);
      try {
        one.work.run(one.work.argument);
      } catch (...) {
        host_->end_returned_child();
        host_->findings().broken("4.11", "work throws", "offloaded work let an exception out");
      }
    }
    host_->end_returned_child();
    const std::lock_guard done(mutex_);  // at once: there is no moment at which nothing would wake it
    one.is_done = true;
    wake_locked(false);
  });
}

// After the drop: waits for what is going on, and discards what the execution was not told of.
void Cell::end_offloads() {
  if (offloaded_.empty()) return;
  host_->progress().execution = number_.load();
  host_->progress().enter(Phase::work);
  for (Offloaded& one : offloaded_) {
    one.thread.join();
    if (!one.is_told && one.work.discard != nullptr) one.work.discard(one.work.argument);
    host_->end_returned_child();
  }
  offloaded_.clear();
  host_->progress().phase = Phase::none;
}

bool Cell::has_work_going_on() {
  const std::lock_guard lock(mutex_);
  return is_work_going_on();
}

// With the mutex held. Work that is done has woken the execution, and wakes it no more.
bool Cell::is_work_going_on() const {
  return std::any_of(offloaded_.begin(), offloaded_.end(), [](const Offloaded& one) { return !one.is_done; });
}

bool Cell::waits_for_a_descriptor() {
  const std::lock_guard lock(mutex_);
  return timer_ != TASKHOST_NEVER && !watches_.empty();
}

bool Cell::may_have_timed_out() const noexcept {
  return (waits_for_others_ || waker_given_) && host_->jumps() != jumps_before_;
}

std::string Cell::readiness() {
  const std::lock_guard lock(mutex_);
  std::string words;
  for (const Watch& watch : watches_) {
    if (look_at(watch.duplicate, events_of(watch.interests)) == 0) continue;
    int to_read = 0;
    int to_write = 0;
    ::ioctl(watch.duplicate, FIONREAD, &to_read);
    ::ioctl(watch.duplicate, TIOCOUTQ, &to_write);
    words += std::to_string(watch.descriptor) + ' ' + std::to_string(to_read) + ' ' + std::to_string(to_write) + '\n';
    std::ifstream file("/proc/self/fdinfo/" + std::to_string(watch.duplicate));
    words.append(std::istreambuf_iterator<char>(file), {});
  }
  return words;
}

std::vector<int> Cell::closed_descriptors() {
  const std::lock_guard lock(mutex_);
  std::vector<int> closed;
  for (const Watch& watch : watches_) {
    if (!is_same_file(watch.descriptor, watch.duplicate)) closed.push_back(watch.descriptor);
  }
  return closed;
}

bool Cell::subscribe(std::uint32_t signals) {
  if ((signals & ~known_signals) != 0) return false;
  const std::lock_guard lock(mutex_);
  signals_wanted_ = signals;
  signals_come_ &= signals;
  return true;
}

std::uint32_t Cell::take_signals() {
  const std::lock_guard lock(mutex_);
  return std::exchange(signals_come_, 0);
}

bool Cell::is_anything_arranged() {
  const std::lock_guard lock(mutex_);
  return woken_ || timer_ != TASKHOST_NEVER || !watches_.empty() || is_work_going_on() || signals_wanted_ != 0 ||
         waker_given_;
}

bool Cell::has_timer() {
  const std::lock_guard lock(mutex_);
  return timer_ != TASKHOST_NEVER;
}

bool Cell::sleeps_until(std::uint64_t time) {
  const std::lock_guard lock(mutex_);
  return timer_ != TASKHOST_NEVER && timer_ >= time && !woken_ && watches_.empty() && !is_work_going_on() &&
         signals_wanted_ == 0 && !waker_given_;
}

bool Cell::has_only_its_waker() {
  const std::lock_guard lock(mutex_);
  return waker_given_ && !woken_ && timer_ == TASKHOST_NEVER && watches_.empty() && !is_work_going_on() &&
         signals_wanted_ == 0;
}

void Cell::begin_poll() {
  const std::lock_guard lock(mutex_);
  woken_by_others_ = false;
}

bool Cell::asked_for_itself_only() {
  const std::lock_guard lock(mutex_);
  if (woken_) return !woken_by_others_;
  return timer_ != TASKHOST_NEVER && timer_was_due_;
}

unsigned Cell::take_causes(std::uint64_t time, std::uint64_t late) {
  const std::lock_guard lock(mutex_);
  unsigned causes = 0;
  if (stop_ && (is_blocking_ || !std::exchange(stop_told_, true))) causes |= by_stop;
  if (woken_) causes |= by_wake;
  if (signals_come_ != 0 && woken_) causes |= by_signal;
  const std::uint64_t now = host_->now();
  if (timer_ != TASKHOST_NEVER && now >= plus(timer_, late)) {
    causes |= by_timer;
    timer_ = TASKHOST_NEVER;
  }
  if (now >= time) causes |= by_time;
  woken_ = false;
  return causes;
}

unsigned Cell::wait_for_descriptors(nanoseconds timeout) {
  std::vector<pollfd> polled{{bell_, POLLIN, 0}};
  {
    const std::lock_guard lock(mutex_);
    for (const Watch& watch : watches_) polled.push_back({watch.duplicate, events_of(watch.interests), 0});
  }
  const timespec limit{timeout.count() / 1'000'000'000, timeout.count() % 1'000'000'000};
  if (::ppoll(polled.data(), polled.size(), &limit, nullptr) <= 0) return 0;
  const bool rang = polled.front().revents != 0;
  if (rang) {
    std::uint64_t rings = 0;
    [[maybe_unused]] const auto taken = ::read(bell_, &rings, sizeof rings);
    const std::lock_guard lock(mutex_);
    if (stop_ && is_blocking_) ring();  // the stop stays
  }
  const bool is_any_ready =
      std::any_of(polled.begin() + 1, polled.end(), [](const pollfd& one) { return one.revents != 0; });
  return something_came | (is_any_ready ? unsigned{by_descriptor} : 0u);
}

unsigned Cell::rest(std::uint64_t time, nanoseconds patience, nanoseconds late) {
  const bool waits_for_others = has_work_going_on() || waits_for_a_descriptor();
  const nanoseconds grace = host_->grace(waits_for_others);
  if (waits_for_others && patience > nanoseconds(0) && grace != nanoseconds::max()) {
    patience = std::max(patience, grace);
  }
  const std::uint64_t began = real_now();
  const std::uint64_t until = plus(began, static_cast<std::uint64_t>(patience.count()));
  const auto lateness = static_cast<std::uint64_t>(late.count());
  for (;;) {
    unsigned causes = take_causes(time, lateness);
    if (causes != 0) return causes | (wait_for_descriptors(nanoseconds(0)) & ~something_came);
    std::uint64_t next = time;
    {
      const std::lock_guard lock(mutex_);
      if (timer_ != TASKHOST_NEVER) next = std::min(next, plus(timer_, lateness));
    }
    const std::uint64_t real = real_now();
    if (real >= until) return wait_for_descriptors(nanoseconds(0)) & ~something_came;
    // Waits until something is due by the real clock, but no longer than the grace; then the clock jumps.
    constexpr std::uint64_t longest = TASKHOST_SECOND;
    std::uint64_t pause = std::min(until - real, longest);
    bool jumps = false;
    if (next != TASKHOST_NEVER) {
      const std::uint64_t now = host_->now();
      const std::uint64_t left = next > now ? next - now : 0;
      const std::uint64_t least = std::min(left, static_cast<std::uint64_t>(grace.count()));
      if (least <= pause) {
        pause = least;
        jumps = true;
      }
    }
    const unsigned came = wait_for_descriptors(nanoseconds(static_cast<std::int64_t>(pause)));
    causes = (came & ~something_came) | take_causes(time, lateness);
    if (causes != 0) {
      if (waits_for_others && (causes & (by_descriptor | by_wake)) != 0) {
        host_->note_answer(nanoseconds(static_cast<std::int64_t>(real_now() - began)));
      }
      return causes;
    }
    if (jumps && came == 0) host_->jump_to(next, waits_for_others);
  }
}

// --- The host --------------------------------------------------------------------------------------------------------

SimulatedHost::SimulatedHost(Progress& progress, SimulatedTask task, std::function<void(const Finding&)> on_finding)
    : progress_(progress),
      task_name_(std::move(task.name)),
      directory_(std::move(task.directory)),
      findings_(std::move(on_finding)),
      has_secrets_(task.has_secrets),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      process_(::getpid()) {
  set_config(std::move(task.config));
  for (unsigned index = 0; index < cell_count; ++index) cells_.emplace_back(*this, index);
  if (the_host == nullptr) the_host = this;
}

SimulatedHost* SimulatedHost::current() noexcept { return the_host; }

void SimulatedHost::set_config(std::string config) {
  const auto [entry, is_new] = configs_.try_emplace(std::move(config));
  if (is_new) entry->second = std::make_unique<ConfigValues>(entry->first, has_secrets_);
  config_ = &entry->first;
  values_ = entry->second.get();
}

std::string SimulatedHost::config_words(const std::string& config) const {
  return has_secrets_ ? "(not shown: it may have a value from a file)" : printable_text(config);
}

std::uint64_t SimulatedHost::now() const noexcept { return real_now() + skew_; }

nanoseconds SimulatedHost::grace(bool waits_for_others) const noexcept {
  constexpr unsigned enough = 50;
  constexpr unsigned enough_over_others = 5;
  constexpr nanoseconds shortest = std::chrono::milliseconds(1);
  const nanoseconds longest(longest_grace_);
  if (jumps_never_) return nanoseconds::max();
  if (waits_for_others) {
    if (jumps_over_others_ < enough_over_others) return longest;
    return std::clamp(nanoseconds(4 * slowest_answer_), shortest, longest);
  }
  if (jumps_at_once_) return nanoseconds(0);
  return jumps_ < enough ? std::chrono::microseconds(1000) : std::chrono::microseconds(100);
}

void SimulatedHost::note_answer(nanoseconds taken) noexcept {
  std::int64_t slowest = slowest_answer_;
  while (slowest < taken.count() && !slowest_answer_.compare_exchange_weak(slowest, taken.count())) {
  }
}

void SimulatedHost::jump_to(std::uint64_t time, bool over_others) noexcept {
  if (time <= now()) return;  // it has come by itself
  ++jumps_;
  if (over_others) ++jumps_over_others_;
  advance_to(time);
}

void SimulatedHost::advance_to(std::uint64_t time) noexcept {
  const std::uint64_t real = real_now();
  if (time <= real || time == TASKHOST_NEVER) return;
  std::uint64_t skew = skew_;
  while (skew < time - real && !skew_.compare_exchange_weak(skew, time - real)) {
  }
}

Cell& SimulatedHost::claim() {
  const std::lock_guard lock(claim_mutex_);
  while (cells_[next_cell_ % cell_count].is_alive()) ++next_cell_;
  Cell& cell = cells_[next_cell_++ % cell_count];
  cell.reserve();
  return cell;
}

Cell* SimulatedHost::cell_of(const taskhost_exec* exec) noexcept {
  for (Cell& cell : cells_) {
    if (&cell == exec) return &cell;
  }
  return nullptr;
}

bool SimulatedHost::owns(const void* address) const noexcept {
  const auto* const byte = static_cast<const char*>(address);
  return std::any_of(cells_.begin(), cells_.end(), [byte](const Cell& cell) {
    const auto* const begin = reinterpret_cast<const char*>(&cell);
    return byte >= begin && byte < begin + sizeof cell;
  });
}

void SimulatedHost::end_returned_child() noexcept {
  if (::getpid() == process_) return;
  progress_.child_returned = true;
  ::_exit(127);
}

void SimulatedHost::wake(taskhost_waker waker) {
  if (waker == 0) return;
  const std::uint64_t index = (waker & 0xFF) - 1;
  const std::uint64_t generation = waker >> 8 & 0xFF'FFFF'FFFF;
  if ((waker & std::uint64_t{0xFFFF} << 48) != waker_mark || index >= cell_count || generation == 0 ||
      generation > cells_[index].generation()) {
    findings_.broken("4.10", "made-up waker",
                     "wake was called with " + std::to_string(waker) +
                         ", which is not a waker of this host; are all 64 bits of it kept?");
    return;
  }
  Cell& cell = cells_[index];
  if (cell.generation() != generation || !cell.is_alive()) {
    ++stale_wakes_;
    return;
  }
  const CurrentCall& call = current_call();
  cell.wake(call.cell == &cell && (call.phase == Phase::poll || call.phase == Phase::start));
}

bool SimulatedHost::can_wait_for(int descriptor) const noexcept {
  epoll_event event{};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) return false;
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, &event);
  return true;
}

}  // namespace taskhost::verify
