// Coroutines that the script creates. A yield in Lua returns to whoever resumed the coroutine, but a wait must reach
// the host, through all coroutines that are running. So resume and wrap check each yield, and pass on those for the
// host.
#include "execution.hpp"

namespace lua_plugin {

namespace {

enum Kind : lua_KContext { by_resume, by_wrap };

int go_on(lua_State* lua, int status, lua_KContext kind);

lua_State* coroutine_of(lua_State* lua, lua_KContext kind) {
  lua_State* coroutine = lua_tothread(lua, kind == by_wrap ? lua_upvalueindex(1) : 1);
  luaL_argexpected(lua, coroutine != nullptr, 1, "coroutine");
  return coroutine;
}

int give_error(lua_State* lua, lua_State* coroutine, lua_KContext kind, int status) {
  if (kind == by_resume) {
    lua_pushboolean(lua, 0);
    lua_xmove(coroutine, lua, 1);
    return 2;
  }
  if (status != LUA_ERRMEM && lua_status(coroutine) > LUA_YIELD) {  // it failed: its variables have to be closed
#if LUA_VERSION_RELEASE_NUM >= 50406
    status = lua_closethread(coroutine, lua);
#else
    status = lua_resetthread(coroutine);
#endif
  }
  lua_xmove(coroutine, lua, 1);
  if (status != LUA_ERRMEM && lua_type(lua, -1) == LUA_TSTRING) {  // adds the caller's location, as Lua's own wrap does
    luaL_where(lua, 1);
    lua_insert(lua, -2);
    lua_concat(lua, 2);
  }
  return lua_error(lua);
}

int advance(lua_State* lua, lua_State* coroutine, int arguments, lua_KContext kind) {
  Execution& self = execution_of(lua);
  // The coroutine itself could yield, but the wait could not get past this point.
  const int holds = lua_isyieldable(lua) != 0 ? 0 : 1;
  int results = 0;
  self.held += holds;
  const int status = lua_resume(coroutine, lua, arguments, &results);
  self.held -= holds;
  if (status == LUA_YIELD && self.suspended) {
    lua_pop(coroutine, results);
    return lua_yieldk(lua, 0, kind, go_on);
  }
  if (status != LUA_OK && status != LUA_YIELD) return give_error(lua, coroutine, kind, status);
  if (lua_checkstack(lua, results + 1) == 0) {
    lua_pop(coroutine, results);
    return luaL_error(lua, "too many results to resume");
  }
  if (kind == by_resume) lua_pushboolean(lua, 1);
  lua_xmove(coroutine, lua, results);
  return kind == by_resume ? results + 1 : results;
}

int go_on(lua_State* lua, int, lua_KContext kind) { return advance(lua, coroutine_of(lua, kind), 0, kind); }

int begin(lua_State* lua, lua_KContext kind) {
  lua_State* coroutine = coroutine_of(lua, kind);
  const int arguments = lua_gettop(lua) - (kind == by_resume ? 1 : 0);
  if (lua_checkstack(coroutine, arguments) == 0) return luaL_error(lua, "too many arguments to resume");
  lua_xmove(lua, coroutine, arguments);
  return advance(lua, coroutine, arguments, kind);
}

int resume(lua_State* lua) { return begin(lua, by_resume); }
int call_wrapped(lua_State* lua) { return begin(lua, by_wrap); }

int wrap(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TFUNCTION);
  lua_State* coroutine = lua_newthread(lua);
  lua_pushvalue(lua, 1);
  lua_xmove(lua, coroutine, 1);
  lua_pushcclosure(lua, call_wrapped, 1);
  return 1;
}

}  // namespace

void open_coroutines(lua_State* lua) {
  lua_getglobal(lua, LUA_COLIBNAME);
  lua_pushcfunction(lua, resume);
  lua_setfield(lua, -2, "resume");
  lua_pushcfunction(lua, wrap);
  lua_setfield(lua, -2, "wrap");
  lua_pop(lua, 1);
}

}  // namespace lua_plugin
