// Passes the task's args to its script. For use in a protected call, since it raises Lua errors.
#pragma once

#include <lua.hpp>
#include <nlohmann/json_fwd.hpp>

namespace lua_plugin {

void push_json(lua_State* lua, const nlohmann::json& value);

}  // namespace lua_plugin
