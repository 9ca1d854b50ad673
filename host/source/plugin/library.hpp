// A plugin's library, loaded and checked. It stays loaded for the life of the process: threads, thread-locals and exit
// handlers that a plugin leaves behind must not run into unmapped memory, and unloading is where plugin hosts crash.
#pragma once

#include <boost/dll/shared_library.hpp>
#include <memory>
#include <string>
#include <vector>

#include "taskhost/plugin.h"

namespace taskhost {

class PluginLibrary {
 public:
  struct Loading {
    std::shared_ptr<PluginLibrary> library;  // null if there is a problem
    std::string problem;                     // in words, with the broken rule; without the file's name
  };

  // Owner's thread; runs the library's constructors and its entry. Shared by all recipes made from it.
  static Loading load(const std::string& path);

  const std::string& path() const noexcept { return path_; }
  const std::string& name() const noexcept { return name_; }    // the file's name, without prefix and suffix
  bool stays_loaded() const noexcept { return stays_loaded_; }  // because it asks to, not because of this host
  const std::vector<taskhost_factory>& factories() const noexcept { return factories_; }
  const taskhost_factory* find(const std::string& factory) const noexcept;

 private:
  PluginLibrary() = default;

  std::string path_;
  std::string name_;
  bool stays_loaded_ = false;
  boost::dll::shared_library library_;
  std::vector<taskhost_factory> factories_;
};

// "libfeed.so" and "feed.so" → "feed".
std::string undecorated_library_name(const std::string& file_name);

}  // namespace taskhost
