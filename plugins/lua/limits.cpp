// Limits of a script: its memory, and its time before the other tasks have their turn.
#include <cstdlib>

#include "execution.hpp"

namespace lua_plugin {

namespace {

constexpr unsigned turn_hooks = 100;         // in case the clock does not advance
constexpr unsigned last_words_hooks = 2000;  // two million instructions
constexpr std::size_t last_words_memory = 262144;

int raise_end(lua_State* lua) {
  lua_sethook(lua, count_hook, LUA_MASKCOUNT, 1);
  lua_pushliteral(lua, "the script is ended");
  return lua_error(lua);
}

}  // namespace

void* allocate(void* execution, void* memory, std::size_t old_size, std::size_t size) noexcept {
  Execution& self = *static_cast<Execution*>(execution);
  const std::size_t old = memory == nullptr ? 0 : old_size;  // without memory, old_size is the kind of object
  if (size == 0) {
    std::free(memory);
    self.memory_used -= old;
    return nullptr;
  }
  if (size > old && size - old > self.memory_limit - self.memory_used) return nullptr;
  void* made = std::realloc(memory, size);
  if (made == nullptr && size <= old) made = memory;  // Lua assumes that shrinking never fails
  if (made != nullptr) self.memory_used = self.memory_used - old + size;
  return made;
}

bool can_suspend(lua_State* lua) noexcept { return execution_of(lua).held == 0 && lua_isyieldable(lua) != 0; }

int suspend(lua_State* lua, lua_KFunction next) {
  execution_of(lua).suspended = true;
  return lua_yieldk(lua, 0, 0, next);
}

int doom(lua_State* lua) {
  execution_of(lua).doomed = true;
  return raise_end(lua);
}

void begin_last_words(Execution& execution) noexcept {
  if (!execution.last_words) {
    execution.memory_limit += last_words_memory;
    ++execution.held;
  }
  execution.last_words = true;
  execution.turn_hooks = 0;
}

// Called after every `instructions_a_hook` instructions.
void count_hook(lua_State* lua, lua_Debug*) {
  Execution& self = execution_of(lua);
  // One error would only end the nearest pcall, so there is a hook, and an error, at each instruction from then on.
  if (self.doomed) raise_end(lua);
  ++self.turn_hooks;
  if (self.last_words) {
    if (self.turn_hooks > last_words_hooks) doom(lua);
    return;
  }
  if (self.turn_hooks < turn_hooks && self.context.services().now() < self.turn_end) return;
  if (can_suspend(lua)) {
    self.wait = Wait{};
    self.suspended = true;
    lua_yield(lua, 0);  // returns if called from a hook; the interpreter then stops after the hook
  } else if (!self.asked_about_stop && self.context.stop_requested()) {
    doom(lua);
  }
}

}  // namespace lua_plugin
