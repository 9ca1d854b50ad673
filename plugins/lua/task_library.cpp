// The table `task`: the host's services for a script. README.md describes the functions.
#include <poll.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "execution.hpp"

namespace lua_plugin {

namespace {

using Result = Wait::Result;

constexpr const char* failure_type = "taskhost.failure";

// Seconds, or a string such as "250ms".
std::uint64_t check_duration(lua_State* lua, int index) {
  if (lua_type(lua, index) == LUA_TSTRING) {
    std::size_t size = 0;
    const char* text = lua_tolstring(lua, index, &size);
    const auto duration = execution_of(lua).config.parse_duration(std::string_view(text, size));
    if (!duration) {
      luaL_argerror(lua, index, "must be a number of seconds, or a duration such as \"250ms\", \"10s\" or \"1.5h\"");
    }
    return static_cast<std::uint64_t>(duration->count());
  }
  const lua_Number seconds = luaL_checknumber(lua, index);
  luaL_argcheck(lua, !std::isnan(seconds), index, "is not a number");
  if (seconds <= 0) return 0;  // the time has already passed
  return seconds < 9e9 ? static_cast<std::uint64_t>(std::llround(seconds * 1e9)) : TASKHOST_NEVER;
}

void check_suspend(lua_State* lua) {
  if (can_suspend(lua)) return;
  luaL_error(lua,
             "a task can't wait here: this runs inside a function that must return first, such as require, "
             "table.sort or string.gsub, or after the task's end");
}

void wait_until(Execution& self, std::uint64_t delay) {
  const std::uint64_t now = self.context.services().now();
  if (delay >= TASKHOST_NEVER - now) return;
  self.wait.has_time = true;
  self.wait.until = now + delay;
  self.context.services().wake_at(self.context.exec(), self.wait.until);
}

int nothing(lua_State*, int, lua_KContext) { return 0; }

int give_turn(lua_State* lua) {
  check_suspend(lua);
  execution_of(lua).wait = Wait{};
  return suspend(lua, nothing);
}

int sleep(lua_State* lua) {
  const std::uint64_t delay = check_duration(lua, 1);
  if (delay == 0) return give_turn(lua);
  check_suspend(lua);
  Execution& self = execution_of(lua);
  self.wait = Wait{};
  self.wait.turn = false;
  wait_until(self, delay);
  return suspend(lua, nothing);
}

int push_result(lua_State* lua, int, lua_KContext) {
  switch (execution_of(lua).wait.result) {
    case Result::happened:
      lua_pushboolean(lua, 1);
      return 1;
    case Result::time_over:
      lua_pushboolean(lua, 0);
      return 1;
    case Result::not_open:
      return luaL_error(lua, "descriptor %d is not open", execution_of(lua).wait.descriptor);
    case Result::not_waitable:
      break;
  }
  return luaL_error(lua, "the host can't wait for descriptor %d", execution_of(lua).wait.descriptor);
}

int stopped(lua_State* lua) {
  Execution& self = execution_of(lua);
  const std::uint64_t limit = lua_isnoneornil(lua, 1) ? TASKHOST_NEVER : check_duration(lua, 1);
  self.asked_about_stop = true;
  if (self.context.stop_requested()) {
    lua_pushboolean(lua, 1);
    return 1;
  }
  check_suspend(lua);
  self.wait = Wait{};
  self.wait.turn = false;
  self.wait.for_stop = true;
  wait_until(self, limit);
  return suspend(lua, push_result);
}

// A number, a file from io.open, or an object with a method getfd, such as a socket.
int check_descriptor(lua_State* lua, int index) {
  if (lua_isinteger(lua, index)) {
    const lua_Integer number = lua_tointeger(lua, index);
    luaL_argcheck(lua, number >= 0 && number <= 0x7fffffff, index, "is no descriptor");
    return static_cast<int>(number);
  }
  if (const void* data = luaL_testudata(lua, index, LUA_FILEHANDLE)) {
    const auto* stream = static_cast<const luaL_Stream*>(data);
    luaL_argcheck(lua, stream->closef != nullptr, index, "is a closed file");
    return ::fileno(stream->f);
  }
  if (luaL_callmeta(lua, index, "getfd") == 0) {
    luaL_argcheck(lua, lua_istable(lua, index) || lua_isuserdata(lua, index), index, "must be a descriptor");
    lua_getfield(lua, index, "getfd");
    lua_pushvalue(lua, index);
    lua_call(lua, 1, 1);
  }
  luaL_argcheck(lua, lua_isinteger(lua, -1), index, "has a getfd that gives no descriptor");
  return static_cast<int>(lua_tointeger(lua, -1));
}

int wait_for_descriptor(lua_State* lua, std::uint32_t interests) {
  Execution& self = execution_of(lua);
  const int descriptor = check_descriptor(lua, 1);
  const std::uint64_t limit = lua_isnoneornil(lua, 2) ? TASKHOST_NEVER : check_duration(lua, 2);
  pollfd request{descriptor, static_cast<short>(interests == TASKHOST_READABLE ? POLLIN : POLLOUT), 0};
  self.wait = Wait{};
  self.wait.turn = false;
  self.wait.descriptor = descriptor;
  self.wait.interests = interests;
  if (::poll(&request, 1, 0) > 0) {
    self.wait.result = (request.revents & POLLNVAL) != 0 ? Result::not_open : Result::happened;
    return push_result(lua, LUA_OK, 0);
  }
  if (limit == 0) {
    lua_pushboolean(lua, 0);
    return 1;
  }
  check_suspend(lua);
  if (self.context.watch(descriptor, interests) != TASKHOST_OK) {
    self.wait.result = Result::not_waitable;
    return push_result(lua, LUA_OK, 0);
  }
  wait_until(self, limit);
  return suspend(lua, push_result);
}

int readable(lua_State* lua) { return wait_for_descriptor(lua, TASKHOST_READABLE); }
int writable(lua_State* lua) { return wait_for_descriptor(lua, TASKHOST_WRITABLE); }

int stop_requested(lua_State* lua) {
  Execution& self = execution_of(lua);
  self.asked_about_stop = true;
  lua_pushboolean(lua, self.context.stop_requested() ? 1 : 0);
  return 1;
}

int ready(lua_State* lua) {
  execution_of(lua).context.ready();
  return 0;
}

int heartbeat(lua_State* lua) {
  execution_of(lua).context.heartbeat();
  return 0;
}

int status(lua_State* lua) {
  std::size_t size = 0;
  const char* text = luaL_tolstring(lua, 1, &size);
  execution_of(lua).context.status({text, size});
  return 0;
}

int now(lua_State* lua) {
  lua_pushnumber(lua, static_cast<lua_Number>(execution_of(lua).context.services().now()) / 1e9);
  return 1;
}

int duration(lua_State* lua) {
  lua_pushnumber(lua, static_cast<lua_Number>(check_duration(lua, 1)) / 1e9);
  return 1;
}

// Logs the values as print would show them, separated by blanks, with a log line for each line.
int log_at(lua_State* lua, std::int32_t level) {
  luaL_Buffer buffer;
  const int count = lua_gettop(lua);
  luaL_buffinit(lua, &buffer);
  for (int index = 1; index <= count; ++index) {
    if (index > 1) luaL_addchar(&buffer, ' ');
    luaL_tolstring(lua, index, nullptr);
    luaL_addvalue(&buffer);
  }
  luaL_pushresult(&buffer);
  std::size_t size = 0;
  const char* text = lua_tolstring(lua, -1, &size);
  std::string_view rest(text, size);
  do {
    const std::size_t end = rest.find('\n');
    execution_of(lua).context.log(level, rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  } while (!rest.empty());
  return 0;
}

int log_trace(lua_State* lua) { return log_at(lua, TASKHOST_LOG_TRACE); }
int log_debug(lua_State* lua) { return log_at(lua, TASKHOST_LOG_DEBUG); }
int log_info(lua_State* lua) { return log_at(lua, TASKHOST_LOG_INFO); }
int log_warning(lua_State* lua) { return log_at(lua, TASKHOST_LOG_WARNING); }
int log_error(lua_State* lua) { return log_at(lua, TASKHOST_LOG_ERROR); }

// An error like any other, except for its type: pcall catches it, and `<close>` variables are closed.
int fail(lua_State* lua) {
  luaL_tolstring(lua, 1, nullptr);
  lua_createtable(lua, 0, 1);
  lua_insert(lua, -2);
  lua_setfield(lua, -2, "message");
  luaL_setmetatable(lua, failure_type);
  return lua_error(lua);
}

int failure_text(lua_State* lua) {
  lua_getfield(lua, 1, "message");
  luaL_tolstring(lua, -1, nullptr);
  return 1;
}

// Written in Lua, since that is shorter. Its argument is `task`.
constexpr const char* more_of_task = R"lua(
local task = ...
local words = {integer = "a whole number", float = "a number", string = "a string", boolean = "true or false"}
function task.options(defaults)
  local given, options = task.args, {}
  if type(given) ~= "table" then task.fail("config: /args: must be an object") end
  for name, value in pairs(given) do
    local default = defaults[name]
    if default == nil then task.fail(('config: /args/%s: unknown key'):format(name)) end
    if type(value) ~= type(default) or math.type(default) == "integer" and math.type(value) ~= "integer" then
      local kind = math.type(default) or type(default)
      task.fail(('config: /args/%s: must be %s'):format(name, words[kind] or "a " .. kind))
    end
  end
  for name, default in pairs(defaults) do
    if given[name] ~= nil then options[name] = given[name] else options[name] = default end
  end
  return options
end
)lua";

constexpr luaL_Reg functions[] = {
    {"yield", give_turn},   {"sleep", sleep},       {"stopped", stopped}, {"stop_requested", stop_requested},
    {"readable", readable}, {"writable", writable}, {"ready", ready},     {"heartbeat", heartbeat},
    {"now", now},           {"duration", duration}, {"fail", fail},       {"log", log_info},
    {"trace", log_trace},   {"debug", log_debug},   {"info", log_info},   {"warning", log_warning},
    {"error", log_error},   {"status", status},     {nullptr, nullptr}};

}  // namespace

void open_task(lua_State* lua) {
  const taskhost::sdk::Context context = execution_of(lua).context;
  luaL_newmetatable(lua, failure_type);
  lua_pushcfunction(lua, failure_text);
  lua_setfield(lua, -2, "__tostring");
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_pop(lua, 1);

  luaL_newlib(lua, functions);
  lua_insert(lua, -2);
  lua_setfield(lua, -2, "args");
  lua_pushstring(lua, context.task_name().data());
  lua_setfield(lua, -2, "name");
  lua_pushinteger(lua, static_cast<lua_Integer>(context.execution_number()));
  lua_setfield(lua, -2, "execution");

  if (luaL_loadstring(lua, more_of_task) != LUA_OK) lua_error(lua);
  lua_pushvalue(lua, -2);
  lua_call(lua, 1, 0);

  luaL_getsubtable(lua, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);  // so that `require "task"` works
  lua_pushvalue(lua, -2);
  lua_setfield(lua, -2, "task");
  lua_pop(lua, 1);
  lua_setglobal(lua, "task");
  lua_pushcfunction(lua, log_info);
  lua_setglobal(lua, "print");
}

bool push_failure(lua_State* lua, int index) {
  if (lua_getmetatable(lua, index) == 0) return false;
  luaL_getmetatable(lua, failure_type);
  const bool is_failure = lua_rawequal(lua, -1, -2) != 0;
  lua_pop(lua, 2);
  if (is_failure) luaL_tolstring(lua, index, nullptr);
  return is_failure;
}

// Warnings by scripts' warn() and by Lua, such as errors in finalisers. One warning may come in pieces.
void warn(void* execution, const char* text, int continued) noexcept {
  Execution& self = *static_cast<Execution*>(execution);
  if (continued == 0 && self.warning_size == 0 && text[0] == '@') {  // a control message
    if (std::strcmp(text, "@on") == 0) self.warnings = true;
    if (std::strcmp(text, "@off") == 0) self.warnings = false;
    return;
  }
  const std::size_t room = sizeof self.warning - self.warning_size;
  const std::size_t size = std::strlen(text);
  std::memcpy(self.warning + self.warning_size, text, size < room ? size : room);
  self.warning_size += size < room ? size : room;
  if (continued != 0) return;
  if (self.warnings) self.context.log(TASKHOST_LOG_WARNING, {self.warning, self.warning_size});
  self.warning_size = 0;
}

}  // namespace lua_plugin
