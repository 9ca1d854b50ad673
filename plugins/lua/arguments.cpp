// Converts the task's args from JSON to Lua values. null becomes nil, so it leaves a gap in an array.
#include "arguments.hpp"

#include <nlohmann/json.hpp>

namespace lua_plugin {

void push_json(lua_State* lua, const nlohmann::json& value) {
  luaL_checkstack(lua, 4, "args: nested too deep");
  switch (value.type()) {
    case nlohmann::json::value_t::boolean:
      lua_pushboolean(lua, value.get<bool>() ? 1 : 0);
      return;
    case nlohmann::json::value_t::number_integer:
      lua_pushinteger(lua, value.get<lua_Integer>());
      return;
    case nlohmann::json::value_t::number_unsigned: {
      const auto number = value.get<std::uint64_t>();
      if (number <= static_cast<std::uint64_t>(LUA_MAXINTEGER)) {
        lua_pushinteger(lua, static_cast<lua_Integer>(number));
      } else {
        lua_pushnumber(lua, static_cast<lua_Number>(number));
      }
      return;
    }
    case nlohmann::json::value_t::number_float:
      lua_pushnumber(lua, value.get<lua_Number>());
      return;
    case nlohmann::json::value_t::string: {
      const auto& text = value.get_ref<const std::string&>();
      lua_pushlstring(lua, text.data(), text.size());
      return;
    }
    case nlohmann::json::value_t::array:
      lua_createtable(lua, static_cast<int>(value.size()), 0);
      for (std::size_t index = 0; index < value.size(); ++index) {
        push_json(lua, value[index]);
        lua_seti(lua, -2, static_cast<lua_Integer>(index) + 1);
      }
      return;
    case nlohmann::json::value_t::object:
      lua_createtable(lua, 0, static_cast<int>(value.size()));
      for (const auto& [key, member] : value.get_ref<const nlohmann::json::object_t&>()) {
        lua_pushlstring(lua, key.data(), key.size());
        push_json(lua, member);
        lua_rawset(lua, -3);
      }
      return;
    case nlohmann::json::value_t::null:
    case nlohmann::json::value_t::binary:
    case nlohmann::json::value_t::discarded:
      break;
  }
  lua_pushnil(lua);
}

}  // namespace lua_plugin
