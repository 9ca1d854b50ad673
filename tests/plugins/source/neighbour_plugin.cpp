// Plugins that are correct by themselves, and share something with others in the process. README.md lists them.
#include <cstdint>
#include <string>

#include "taskhost/plugin.h"

#if defined(NEIGHBOUR_CHANGES_DIRECTORY)
#include <unistd.h>
namespace {
[[gnu::constructor]] void leave() { static_cast<void>(!::chdir("/")); }
const char* words() { return "ok"; }
}  // namespace
#elif defined(NEIGHBOUR_NEEDS)
extern "C" const char* DEPENDENCY_FUNCTION(void);
namespace {
const char* words() { return DEPENDENCY_FUNCTION(); }
}  // namespace
#elif defined(NEIGHBOUR_WANTS_SANITIZER)
// As with -fsanitize=thread, whose runtime is not loaded.
extern "C" void __tsan_init(void);
namespace {
const char* words() {
  __tsan_init();
  return "ok";
}
}  // namespace
#elif defined(NEIGHBOUR_SHARES)
// As in two versions of one header: a symbol that the linker calls unique is the first one's for both.
struct [[gnu::visibility("default")]] Settings {
  std::string name = PLUGIN_NAME;
};
[[gnu::visibility("default")]] inline Settings& settings() {
  static Settings one;
  return one;
}
namespace {
const char* words() { return settings().name.c_str(); }
}  // namespace
#elif defined(NEIGHBOUR_USES_STANDARD)
// Compiled with default visibility: what the C++ library makes is the same in each of them, except for what it makes of
// the plugin's own type.
#include <regex>
#include <type_traits>
#ifdef NEIGHBOUR_OWN_TYPE
struct Reading {};
#else
using Reading = std::string;
#endif
namespace {
const char* words() {
  static const bool* const volatile is_class = &std::is_class_v<Reading>;
  return *is_class && std::regex_match("abc", std::regex("a.c")) ? "ok" : "?";
}
}  // namespace
#endif

namespace {

std::int32_t poll(void*, const taskhost_exec* exec) {
  taskhost_log(exec, TASKHOST_LOG_INFO, words());
  return TASKHOST_OK;
}

}  // namespace

extern "C" [[gnu::visibility("default")]] const taskhost_factory* taskhost_plugin_v1(void) {
  static taskhost_factory made;
  made.struct_size = sizeof(taskhost_factory);
  made.name = PLUGIN_NAME;
  made.poll = poll;
  return &made;
}
