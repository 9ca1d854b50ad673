#include "plugin/script_hint.hpp"

#include "text/printable.hpp"

namespace taskhost {

std::string script_hint(const std::string& plugin) {
  if (plugin.ends_with(".sh")) {
    return R"(; a program is run by the plugin "exec": "plugin": "exec", "config": {"argv": [)" +
           quoted_path(plugin.find('/') == std::string::npos ? "./" + plugin : plugin) + "]}";
  }
  const char* const interpreter = plugin.ends_with(".lua") ? "lua" : plugin.ends_with(".py") ? "python" : nullptr;
  if (interpreter == nullptr) return {};
  return "; a script is run by the plugin " + quoted_text(interpreter) + ": \"plugin\": " + quoted_text(interpreter) +
         ", \"config\": {\"script\": " + quoted_path(plugin) + "}";
}

}  // namespace taskhost
