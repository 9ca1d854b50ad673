// Runs a script in Lua as a polled task: the script is a coroutine, which yields to the host where it waits.
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "arguments.hpp"
#include "execution.hpp"
#include "plugin_support/path.hpp"
#include "plugin_support/script.hpp"
#include "taskhost/sdk/config.hpp"

namespace lua_plugin {

namespace {

namespace sdk = taskhost::sdk;

struct Config {
  std::string script;  // the file; empty: the code is the config's own
  std::string code;
  std::size_t memory_limit_mib;
  nlohmann::json args = nlohmann::json::object();
};

constexpr const char* no_memory = "not enough memory for the script (config: \"memory_limit_mib\")";

Config read_config(sdk::Context context) {
  const sdk::Config values(context);
  values.keys("script code memory_limit_mib args");
  const std::string_view script = values.text("/script");
  const std::string_view code = values.text("/code");
  const bool has_script = script.data() != nullptr;
  const bool has_code = code.data() != nullptr;
  if (!has_script && !has_code) throw sdk::Failure("config: \"script\" or \"code\" is missing");
  if (has_script && has_code) throw sdk::Failure("config: either \"script\" or \"code\", not both");
  if (has_script && !plugin_support::may_be_path(script)) throw sdk::Failure("config: /script: must name a file");
  Config config;
  config.script = plugin_support::located(context.exec(), std::string(script));
  config.code = has_script ? plugin_support::read_script(config.script) : std::string(code);
  config.memory_limit_mib = static_cast<std::size_t>(values.integer("/memory_limit_mib", 64, sdk::between(1, 1048576)));
  const nlohmann::json all = nlohmann::json::parse(context.config());
  if (const auto args = all.find("args"); args != all.end()) config.args = *args;
  return config;
}

// Leaves the compiled script on the stack, or raises an error. Of a file it skips, as Lua does, a byte order mark and a
// first line that begins with #.
void load(lua_State* lua, const Config& config) {
  const bool is_file = !config.script.empty();
  const char* begin = config.code.data();
  const char* const end = begin + config.code.size();
  if (is_file) {
    if (config.code.compare(0, 3, "\xEF\xBB\xBF") == 0) begin += 3;
    if (begin != end && *begin == '#') begin = std::find(begin, end, '\n');
  }
  const char* const name = is_file ? lua_pushfstring(lua, "@%s", config.script.c_str()) : lua_pushliteral(lua, "=code");
  const int status = luaL_loadbufferx(lua, begin, static_cast<std::size_t>(end - begin), name, "t");
  lua_remove(lua, -2);
  if (status == LUA_OK) return;
  if (status == LUA_ERRMEM) {
    luaL_error(lua, no_memory);
    return;
  }
  const char* const text = lua_tostring(lua, -1);
  if (std::strchr(text, ':') == nullptr) {  // compiled: Lua's message does not name the file
    lua_pushfstring(lua, "%s: %s", is_file ? config.script.c_str() : "code", text);
  }
  lua_error(lua);
}

int load_only(lua_State* lua) {
  load(lua, *static_cast<const Config*>(lua_touserdata(lua, 1)));
  return 0;
}

// For a protected call, with a Config: opens the libraries, and leaves the script's coroutine on the stack, with the
// function and its argument on that.
int set_up(lua_State* lua) {
  const Config& config = *static_cast<const Config*>(lua_touserdata(lua, 1));
  std::size_t slash = config.script.rfind('/');
  if (slash == 0) slash = 1;  // in the root directory
  if (!config.script.empty() && slash != std::string::npos) {
    lua_pushlstring(lua, config.script.data(), slash);
  } else {
    lua_pushliteral(lua, ".");
  }
  open_libraries(lua, config.script.empty() ? nullptr : lua_tostring(lua, -1));
  push_json(lua, config.args);
  lua_pushvalue(lua, -1);
  lua_insert(lua, 1);
  open_task(lua);
  load(lua, config);
  lua_State* script = lua_newthread(lua);
  lua_insert(lua, -2);
  lua_pushvalue(lua, 1);
  lua_xmove(lua, script, 2);
  return 1;
}

// For a protected call, with an error's value: returns its text, and whether it is a failure.
int describe(lua_State* lua) {
  if (push_failure(lua, 1)) {
    lua_pushboolean(lua, 1);
    return 2;
  }
  const int type = lua_type(lua, 1);
  if (type == LUA_TSTRING || type == LUA_TNUMBER || luaL_getmetafield(lua, 1, "__tostring") != LUA_TNIL) {
    luaL_tolstring(lua, 1, nullptr);
  } else if (type != LUA_TTABLE || lua_getfield(lua, 1, "message") != LUA_TSTRING) {
    lua_pushfstring(lua, "the error is a value of type %s", lua_typename(lua, type));
  }
  lua_pushboolean(lua, 0);
  return 2;
}

int trace_back(lua_State* lua) {
  luaL_traceback(lua, static_cast<lua_State*>(lua_touserdata(lua, 1)), nullptr, 0);
  return 1;
}

class Script {
 public:
  explicit Script(sdk::Context context) : Script(context, read_config(context)) {}
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;

  // Reads the script, too, without running it.
  static void check(sdk::Context context) {
    const Config config = read_config(context);
    Execution limited(context, config.memory_limit_mib << 20U);
    const std::unique_ptr<lua_State, decltype(&lua_close)> lua(lua_newstate(allocate, &limited), lua_close);
    if (lua == nullptr) throw sdk::Failure("not enough memory to read the script");
    lua_pushcfunction(lua.get(), load_only);
    lua_pushlightuserdata(lua.get(), const_cast<Config*>(&config));
    const int status = lua_pcall(lua.get(), 1, 0, 0);
    if (status == LUA_ERRMEM) throw sdk::Failure(no_memory);
    if (status != LUA_OK) throw sdk::Failure(lua_tostring(lua.get(), -1));
  }

  sdk::PollResult poll() {
    if (self_.context.stop_requested() && !self_.asked_about_stop) return sdk::done;
    if (!wait_is_over()) return sdk::pending;
    self_.suspended = false;
    self_.turn_hooks = 0;
    self_.turn_end = self_.context.services().now() + turn;
    int results = 0;
    const int status = lua_resume(script_, state_.lua, arguments_, &results);
    arguments_ = 0;
    if (self_.exit == Exit::ok) return sdk::done;
    if (self_.exit == Exit::error) return sdk::failed("os.exit(" + std::to_string(self_.exit_status) + ")");
    if (status == LUA_YIELD) {
      lua_pop(script_, results);
      if (!self_.suspended) self_.wait = Wait{};  // coroutine.yield outside of coroutines, which is task.yield
      if (self_.wait.turn) return sdk::again;
      return sdk::pending;
    }
    if (self_.doomed) return sdk::done;  // because of the stop
    if (status != LUA_OK) return failed(status);
    return returned(results);
  }

 private:
  struct State {
    explicit State(Execution& execution) : lua(lua_newstate(allocate, &execution)) {
      if (lua == nullptr) throw sdk::Failure("not enough memory");
      *static_cast<Execution**>(lua_getextraspace(lua)) = &execution;
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
      begin_last_words(execution_of(lua));
      lua_close(lua);
    }
    lua_State* lua;
  };

  // Closes the script's `<close>` variables in its destructor.
  struct Close {
    explicit Close(Script& owner) : script(owner) {}
    Close(const Close&) = delete;
    Close& operator=(const Close&) = delete;
    ~Close() { script.close(); }
    Script& script;
  };

  Script(sdk::Context context, const Config& config)
      : self_(context, config.memory_limit_mib << 20U), memory_limit_mib_(config.memory_limit_mib), state_(self_) {
    lua_State* lua = state_.lua;
    lua_setwarnf(lua, warn, &self_);
    lua_sethook(lua, count_hook, LUA_MASKCOUNT, instructions_a_hook);
    ++self_.held;
    lua_pushcfunction(lua, set_up);
    lua_pushlightuserdata(lua, const_cast<Config*>(&config));
    const int status = lua_pcall(lua, 1, 1, 0);
    --self_.held;
    if (status != LUA_OK) throw sdk::Failure(text_of_error(status));
    script_ = lua_tothread(lua, -1);
    arguments_ = 1;
  }

  bool wait_is_over() {
    Wait& wait = self_.wait;
    const taskhost_services& services = self_.context.services();
    const taskhost_exec* exec = self_.context.exec();
    if (wait.turn) return true;
    bool over = wait.for_stop && self_.context.stop_requested();
    if (over) wait.result = Wait::Result::happened;
    if (!over && wait.descriptor >= 0) over = look_at_descriptor();
    if (!over && wait.has_time && services.now() >= wait.until) {
      over = true;
      wait.result = Wait::Result::time_over;
    }
    if (!over) return false;
    if (wait.descriptor >= 0) self_.context.forget(wait.descriptor);
    if (wait.has_time && wait.result != Wait::Result::time_over) services.wake_at(exec, TASKHOST_NEVER);
    return true;
  }

  // Asks the system itself: the script may have closed the descriptor, which is then not watched any more.
  bool look_at_descriptor() {
    Wait& wait = self_.wait;
    pollfd request{wait.descriptor, static_cast<short>(wait.interests == TASKHOST_READABLE ? POLLIN : POLLOUT), 0};
    if (::poll(&request, 1, 0) > 0) {
      wait.result = (request.revents & POLLNVAL) != 0 ? Wait::Result::not_open : Wait::Result::happened;
      return true;
    }
    return false;
  }

  // `return nil, "text"` and `return false, "text"` report a failure, as Lua's own functions do.
  sdk::PollResult returned(int results) {
    if (results < 2) return sdk::done;
    const int first = lua_gettop(script_) - results + 1;
    if (lua_toboolean(script_, first) != 0 || lua_isnil(script_, first + 1)) return sdk::done;
    lua_settop(script_, first + 1);
    begin_last_words(self_);
    lua_xmove(script_, state_.lua, 1);
    return sdk::failed(text_of_error(LUA_ERRRUN));
  }

  sdk::PollResult failed(int status) {
    begin_last_words(self_);
    lua_xmove(script_, state_.lua, 1);
    bool is_failure = false;
    std::string text = text_of_error(status, &is_failure);
    if (is_failure) return sdk::failed(std::move(text));
    log_trace();
    throw std::runtime_error(text);
  }

  // The text of the error on the main state's stack, not the coroutine's.
  std::string text_of_error(int status, bool* is_failure = nullptr) {
    if (status == LUA_ERRMEM) {
      return "not enough memory: the script may use " + std::to_string(memory_limit_mib_) +
             " MiB (config: \"memory_limit_mib\")";
    }
    lua_State* lua = state_.lua;
    lua_pushcfunction(lua, describe);
    lua_insert(lua, -2);
    if (lua_pcall(lua, 1, 2, 0) != LUA_OK) return "the error is a value whose text can't be had";
    if (is_failure != nullptr) *is_failure = lua_toboolean(lua, -1) != 0;
    std::size_t size = 0;
    const char* text = lua_tolstring(lua, -2, &size);
    return {text, size};
  }

  void log_trace() {
    lua_State* lua = state_.lua;
    lua_pushcfunction(lua, trace_back);
    lua_pushlightuserdata(lua, script_);
    if (lua_pcall(lua, 1, 1, 0) != LUA_OK) return;
    std::string_view lines = lua_tostring(lua, -1);
    while (!lines.empty()) {
      const std::string_view line = lines.substr(0, lines.find('\n'));
      self_.context.error(line.substr(line.find_first_not_of('\t')));
      lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    }
  }

  void close() {
    if (script_ == nullptr) return;
    const bool was_well = lua_status(script_) <= LUA_YIELD && !self_.doomed;  // else its error comes again
    begin_last_words(self_);
#if LUA_VERSION_RELEASE_NUM >= 50406
    const int status = lua_closethread(script_, state_.lua);
#else
    const int status = lua_resetthread(script_);
#endif
    if (status == LUA_OK || !was_well) return;
    lua_xmove(script_, state_.lua, 1);
    self_.context.warning("closing its variables: " + text_of_error(status));
  }

  Execution self_;
  std::size_t memory_limit_mib_;
  State state_;
  lua_State* script_ = nullptr;  // kept on the state's stack
  int arguments_ = 0;            // for the first resume
  Close close_{*this};
};

}  // namespace

}  // namespace lua_plugin

TASKHOST_SDK_PLUGIN(taskhost::sdk::factory<lua_plugin::Script>("lua", "1.0", "runs a script in Lua"));
