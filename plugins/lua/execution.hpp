// One execution of a script, as the functions that Lua calls see it.
//
// An error or a yield in Lua jumps over the C++ frames in between. So whatever Lua calls keeps nothing on its stack
// that has a destructor, and throws nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <lua.hpp>

#include "taskhost/sdk/task.hpp"

static_assert(LUA_VERSION_NUM == 504, "this is for Lua 5.4");

namespace lua_plugin {

// What the script waits for, from the call that suspends it until it is resumed.
struct Wait {
  bool turn = true;  // the others' turn, and nothing else
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
  Execution(taskhost::sdk::Context host, std::size_t limit) : context(host), memory_limit(limit) {}

  taskhost::sdk::Context context;
  std::size_t memory_limit;
  std::size_t memory_used = 0;

  bool asked_about_stop = false;  // then the script ends by itself
  bool suspended = false;         // the last yield was to the host, not to a coroutine of the script's
  bool doomed = false;            // every further instruction raises an error: for what can't be suspended
  int held = 0;                   // above 0: Lua is called in a way that can't be suspended, whatever it thinks itself
  Wait wait;

  Exit exit = Exit::none;  // by os.exit
  int exit_status = 0;

  std::uint64_t turn_end = 0;
  unsigned turn_hooks = 0;
  bool last_words = false;  // texts of errors, finalisers: bounded, since they can't be suspended

  char warning[512] = {};
  std::size_t warning_size = 0;
  bool warnings = true;
};

// Kept in the state's own memory, where no script gets.
inline Execution& execution_of(lua_State* lua) noexcept { return **static_cast<Execution**>(lua_getextraspace(lua)); }

// limits.cpp: memory and time.
constexpr std::uint64_t turn = TASKHOST_MILLISECOND;
constexpr int instructions_a_hook = 1000;
void* allocate(void* execution, void* memory, std::size_t old_size, std::size_t size) noexcept;
void count_hook(lua_State* lua, lua_Debug* what);
bool can_suspend(lua_State* lua) noexcept;
// Returns to the host, which resumes when `execution.wait` is over; then `next` goes on in place of the caller.
int suspend(lua_State* lua, lua_KFunction next);
// Ends the execution from within, past any pcall.
int doom(lua_State* lua);
// For what the script does after its last instruction: it has a share of time and some memory, and then it is doomed.
void begin_last_words(Execution& execution) noexcept;

// coroutines.cpp: coroutine.resume and wrap, through which a suspension goes on to the host.
void open_coroutines(lua_State* lua);

// libraries.cpp: the standard library, less what blocks or concerns the whole process.
void open_libraries(lua_State* lua, const char* directory);

// task_library.cpp: the table `task`, `print` and `warn`. Expects the args on top of the stack and takes them.
void open_task(lua_State* lua);
void warn(void* execution, const char* text, int continued) noexcept;
// The text of a failure by task.fail, pushed; or false, and nothing pushed.
bool push_failure(lua_State* lua, int index);

// duration.cpp
bool read_duration(const char* text, std::size_t size, std::uint64_t& nanoseconds) noexcept;

}  // namespace lua_plugin
