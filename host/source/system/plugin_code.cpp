#include "system/plugin_code.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <utility>

#include "system/emergency_thread.hpp"

namespace taskhost {

namespace {

// Initial-exec, since a signal handler reads it.
__attribute__((tls_model("initial-exec"))) thread_local const PluginCodeMark* mark_here = nullptr;

// The latest mark, for other threads: a copy, since a mark may end while it is read.
struct LatestMark {
  std::mutex mutex;
  std::uint64_t number = 0;  // of marks so far; 0: none is there
  std::uint64_t count = 0;
  PluginCode code{};
  std::array<char, 512> name{};
};
LatestMark& latest_mark() noexcept {
  static LatestMark only;
  return only;
}

std::size_t print(char* place, std::size_t size, const LatestMark& mark) noexcept {
  const bool is_loading = mark.code == PluginCode::loading;
  const int length =
      std::snprintf(place, size, is_loading ? "while loading %s" : "in the check of task '%s'", mark.name.data());
  return std::min(static_cast<std::size_t>(std::max(length, 0)), size - 1);
}

}  // namespace

PluginCodeMark::PluginCodeMark(PluginCode code, const char* name) noexcept : code_(code), name_(name) {
  mark_here = this;
  LatestMark& shown = latest_mark();
  const std::lock_guard lock(shown.mutex);
  shown.number = number_ = ++shown.count;
  shown.code = code;
  std::snprintf(shown.name.data(), shown.name.size(), "%s", name);
}

PluginCodeMark::~PluginCodeMark() {
  mark_here = nullptr;
  LatestMark& shown = latest_mark();
  const std::lock_guard lock(shown.mutex);
  if (shown.number == number_) shown.number = 0;
}

const PluginCodeMark* PluginCodeMark::current() noexcept { return mark_here; }

std::string_view plugin_code_words(char* place, std::size_t size) noexcept {
  LatestMark& shown = latest_mark();
  const std::unique_lock lock(shown.mutex, std::try_to_lock);
  if (!lock || shown.number == 0) return {};
  return {place, print(place, size, shown)};
}

SlowPluginCode::SlowPluginCode(std::function<void(const std::string& words)> report) : report_(std::move(report)) {
  // A small stack, since the system gives that of a thread that has ended to the next one.
  sigset_t all;
  ::sigfillset(&all);
  const auto begin = [](void* self) -> void* {
    static_cast<SlowPluginCode*>(self)->watch();
    return nullptr;
  };
  has_thread_ = make_small_thread(thread_, begin, this, all) == 0;
}

SlowPluginCode::~SlowPluginCode() {
  if (!has_thread_) return;
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_one();
  ::pthread_join(thread_, nullptr);
}

void SlowPluginCode::watch() {
  ::pthread_setname_np(::pthread_self(), "th-load");
  constexpr std::chrono::milliseconds step(500);  // small steps: a pause of the process counts as one
  constexpr int steps = 10;
  std::uint64_t watched = 0;
  int seen = 0;
  std::array<char, 600> place{};
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, step, [this] { return is_over_; })) {
    LatestMark& shown = latest_mark();
    std::size_t size = 0;
    {
      const std::lock_guard mark(shown.mutex);
      if (shown.number != watched) seen = 0;
      watched = shown.number;
      if (watched != 0 && ++seen == steps) size = print(place.data(), place.size(), shown);
    }
    if (size != 0) report_(std::string(place.data(), size));
  }
}

}  // namespace taskhost
