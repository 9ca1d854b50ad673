// One execution of a script, as seen by the functions that Lua calls.
//
// An error or a yield in Lua jumps over the C++ frames in between. So functions that Lua calls have no objects with
// destructors on their stack, and throw nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <lua.hpp>

#include "taskhost/sdk/config.hpp"
#include "taskhost/sdk/task.hpp"

static_assert(LUA_VERSION_NUM == 504, "this is for Lua 5.4");

namespace lua_plugin {

// What a suspended script waits for.
struct Wait {
  bool turn = true;  // only that other tasks have had their turn
  bool for_stop = false;
  bool has_time = false;
  std::uint64_t until = 0;
  int descriptor = -1;
  std::uint32_t interests = 0;

  enum class Result { happened, time_over, not_open, not_waitable };
  Result result = Result::happened;
};

enum class Exit { none, ok, error };

struct Execution {
  Execution(taskhost::sdk::Context host, std::size_t limit) : context(host), config(host), memory_limit(limit) {}

  taskhost::sdk::Context context;
  taskhost::sdk::Config config;
  std::size_t memory_limit;
  std::size_t memory_used = 0;

  bool asked_about_stop = false;  // then the script ends by itself
  bool suspended = false;         // the last yield was to the host, not to one of the script's coroutines
  bool doomed = false;            // every further instruction raises an error: ends what can't be suspended
  int held = 0;                   // above 0: Lua can't be suspended where it was called, whatever lua_isyieldable says
  Wait wait;

  Exit exit = Exit::none;  // set by os.exit
  int exit_status = 0;

  std::uint64_t turn_end = 0;
  unsigned turn_hooks = 0;
  bool last_words = false;  // error texts and finalisers run: limited, since they can't be suspended

  char warning[512] = {};
  std::size_t warning_size = 0;
  bool warnings = true;
};

// Stored in the state's extra space, which scripts cannot access.
inline Execution& execution_of(lua_State* lua) noexcept { return **static_cast<Execution**>(lua_getextraspace(lua)); }

// limits.cpp: memory and time.
constexpr std::uint64_t turn = TASKHOST_MILLISECOND;
constexpr int instructions_a_hook = 1000;
void* allocate(void* execution, void* memory, std::size_t old_size, std::size_t size) noexcept;
void count_hook(lua_State* lua, lua_Debug* what);
bool can_suspend(lua_State* lua) noexcept;
// Yields to the host, which resumes when `execution.wait` is over; then `next` continues in place of the caller.
int suspend(lua_State* lua, lua_KFunction next);
// Ends the execution from within, whatever pcalls there are.
int doom(lua_State* lua);
// For what runs after the script's end: it gets some more memory and limited time, and is then doomed.
void begin_last_words(Execution& execution) noexcept;

// coroutines.cpp: versions of coroutine.resume and wrap that pass a suspension on to the host.
void open_coroutines(lua_State* lua);

// libraries.cpp: the standard library, without what blocks or affects the whole process.
void open_libraries(lua_State* lua, const char* directory);

// task_library.cpp: the table `task`, `print` and `warn`. Pops the args from the top of the stack.
void open_task(lua_State* lua);
void warn(void* execution, const char* text, int continued) noexcept;
// If the value is a failure by task.fail, pushes its text; otherwise returns false and pushes nothing.
bool push_failure(lua_State* lua, int index);

}  // namespace lua_plugin
