// The standard library for tasks, without what would block the host's thread, what affects the whole process (rules
// 3.4, 3.8 and 5.1), and the process's standard streams, which belong to the host.
#include "execution.hpp"

namespace lua_plugin {

namespace {

struct Missing {
  const char* library;
  const char* name;
  const char* text;
};
constexpr Missing missing_functions[] = {
    {LUA_OSLIBNAME, "execute", "os.execute is not there for a task: it would block the others (rule 3.4)"},
    {LUA_OSLIBNAME, "setlocale", "os.setlocale is not there for a task: the locale is the whole process's (rule 5.1)"},
    {LUA_IOLIBNAME, "popen", "io.popen is not there for a task: it would block the others (rule 3.4)"},
    {LUA_IOLIBNAME, "read", "io.read is not there for a task: it has no standard input"},
    {LUA_IOLIBNAME, "input", "io.input is not there for a task: it has no standard input"},
    {LUA_IOLIBNAME, "write", "io.write is not there for a task: use print or task.log"},
    {LUA_IOLIBNAME, "output", "io.output is not there for a task: use print or task.log"},
    {LUA_LOADLIBNAME, "loadlib", "package.loadlib is not there for a task: only modules in Lua are"},
    {LUA_DBLIBNAME, "debug", "debug.debug is not there for a task: it has no standard input"},
    {LUA_DBLIBNAME, "sethook", "debug.sethook is not there for a task: the host needs the hook"},
    {LUA_DBLIBNAME, "getregistry", "debug.getregistry is not there for a task"},
};

int refuse(lua_State* lua) { return luaL_error(lua, "%s", lua_tostring(lua, lua_upvalueindex(1))); }

// Functions that use a standard stream if they get no argument.
constexpr Missing guarded_functions[] = {
    {LUA_IOLIBNAME, "lines", "io.lines needs the name of a file: a task has no standard input"},
    {LUA_IOLIBNAME, "close", "io.close needs a file: a task has no standard output"},
    {LUA_GNAME, "dofile", "dofile needs the name of a file: a task has no standard input"},
    {LUA_GNAME, "loadfile", "loadfile needs the name of a file: a task has no standard input"},
};

int all_results(lua_State* lua, int, lua_KContext) { return lua_gettop(lua); }

int call_guarded(lua_State* lua) {
  if (lua_isnoneornil(lua, 1)) return refuse(lua);
  lua_pushvalue(lua, lua_upvalueindex(2));
  lua_insert(lua, 1);
  lua_callk(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0, all_results);
  return all_results(lua, LUA_OK, 0);
}

// Ends the execution, not the process: well with os.exit(), (true) and (0), otherwise with an error.
int end_execution(lua_State* lua) {
  Execution& self = execution_of(lua);
  const bool is_boolean = lua_isboolean(lua, 1);
  self.exit_status = is_boolean ? (lua_toboolean(lua, 1) != 0 ? 0 : 1) : static_cast<int>(luaL_optinteger(lua, 1, 0));
  self.exit = self.exit_status == 0 ? Exit::ok : Exit::error;
  if (!can_suspend(lua)) return doom(lua);
  self.wait = Wait{};
  return suspend(lua, nullptr);  // never resumed
}

void open_package(lua_State* lua, const char* directory) {
  lua_getglobal(lua, LUA_LOADLIBNAME);
  if (directory != nullptr) {
    lua_getfield(lua, -1, "path");
    lua_pushfstring(lua, "%s/?.lua;%s/?/init.lua;%s", directory, directory, lua_tostring(lua, -1));
    lua_setfield(lua, -3, "path");
    lua_pop(lua, 1);
  }
  // C modules would look for Lua's functions among the process's own symbols, which lack those of a plugin's libraries.
  lua_pushliteral(lua, "");
  lua_setfield(lua, -2, "cpath");
  lua_getfield(lua, -1, "searchers");
  for (lua_Integer index = luaL_len(lua, -1); index > 2; --index) {
    lua_pushnil(lua);
    lua_seti(lua, -2, index);
  }
  lua_pop(lua, 2);
}

}  // namespace

void open_libraries(lua_State* lua, const char* directory) {
  luaL_openlibs(lua);
  for (const Missing& missing : missing_functions) {
    lua_getglobal(lua, missing.library);
    lua_pushstring(lua, missing.text);
    lua_pushcclosure(lua, refuse, 1);
    lua_setfield(lua, -2, missing.name);
    lua_pop(lua, 1);
  }
  for (const Missing& guarded : guarded_functions) {
    lua_getglobal(lua, guarded.library);
    lua_pushstring(lua, guarded.text);
    lua_getfield(lua, -2, guarded.name);
    lua_pushcclosure(lua, call_guarded, 2);
    lua_setfield(lua, -2, guarded.name);
    lua_pop(lua, 1);
  }
  lua_getglobal(lua, LUA_IOLIBNAME);
  for (const char* name : {"stdin", "stdout", "stderr"}) {
    lua_pushnil(lua);
    lua_setfield(lua, -2, name);
  }
  lua_getglobal(lua, LUA_OSLIBNAME);
  lua_pushcfunction(lua, end_execution);
  lua_setfield(lua, -2, "exit");
  lua_pop(lua, 2);
  open_package(lua, directory);
  open_coroutines(lua);
}

}  // namespace lua_plugin
