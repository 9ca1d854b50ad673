// Code of a plugin that runs outside of any execution: its library is being loaded, or it judges a config. A message
// can name it if it crashes, ends the process, or does not return.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace taskhost {

enum class PluginCode : std::uint8_t { loading, checking };

// Marks the calling thread while it exists; one at a time on each thread.
class PluginCodeMark {
 public:
  // `name`: the library's path, or the task's name. Not copied.
  PluginCodeMark(PluginCode code, const char* name) noexcept;
  ~PluginCodeMark();
  PluginCodeMark(const PluginCodeMark&) = delete;
  PluginCodeMark& operator=(const PluginCodeMark&) = delete;

  // [async-signal-safe] The calling thread's, or null.
  static const PluginCodeMark* current() noexcept;

  PluginCode code() const noexcept { return code_; }
  const char* name() const noexcept { return name_; }

 private:
  const PluginCode code_;
  const char* const name_;
  std::uint64_t number_ = 0;
};

// "while loading PATH" or "in the check of task 'NAME'", for the latest mark of any thread. Empty: there is none, or it
// is just changing. Any thread; allocates nothing. `place` holds the text.
std::string_view plugin_code_words(char* place, std::size_t size) noexcept;

// While it exists, reports code of a plugin's that has not returned after five seconds, once each. Without a thread to
// be had it reports nothing.
class SlowPluginCode {
 public:
  // `report` is called on another thread.
  explicit SlowPluginCode(std::function<void(const std::string& words)> report);
  ~SlowPluginCode();
  SlowPluginCode(const SlowPluginCode&) = delete;
  SlowPluginCode& operator=(const SlowPluginCode&) = delete;

 private:
  void watch();

  const std::function<void(const std::string& words)> report_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_over_ = false;
  pthread_t thread_{};
  bool has_thread_ = false;
};

}  // namespace taskhost
