#include "plugin/library.hpp"

#include <dlfcn.h>
#include <link.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <new>
#include <system_error>

#include "plugin/elf_file.hpp"
#include "plugin/factory_rules.hpp"
#include "plugin/finder.hpp"
#include "plugin/neighbours.hpp"
#include "plugin/script_hint.hpp"
#include "system/exit_handler.hpp"
#include "system/plugin_code.hpp"
#include "taskhost/core/home_process.hpp"
#include "taskhost/core/system_failure.hpp"

namespace taskhost {

namespace {

// The dynamic loader's own message, without the path that it begins with.
std::string loader_words(const std::string& path) {
  const char* error = ::dlerror();  // Boost.DLL only records that it failed
  std::string words = error != nullptr ? error : "the dynamic loader gives no reason";
  if (words.starts_with(path + ": ")) words.erase(0, path.size() + 2);
  return words;
}

// The loader's message for this ("failed to map segment") does not help.
std::string words_of_mount(const std::string& path) {
  struct statvfs status {};
  const bool is_noexec = ::statvfs(path.c_str(), &status) == 0 && (status.f_flag & ST_NOEXEC) != 0;
  return is_noexec ? "; its file system is mounted noexec: put the file elsewhere, or mount it with exec"
                   : std::string();
}

// A shortage of the host's, not a fault of the plugin. The loader only reports it in words.
struct Shortage {
  int error;
};
void throw_if_shortage(const std::string& words, const std::string& path) {
  for (const int error : {EMFILE, ENFILE, ENOMEM}) {
    if (words.ends_with(std::generic_category().message(error))) throw Shortage{error};
  }
  const std::string no_file = "cannot open shared object file";
  // In some places it does not name the error, or names a wrong one. "in static TLS block" is a different limit.
  const bool of_memory = words.starts_with("cannot create ") || words.starts_with("cannot allocate ");
  const bool says_missing = words == no_file || words == no_file + ": " + std::generic_category().message(ENOENT);
  const bool is_there = says_missing && ::access(path.c_str(), R_OK) == 0;
  if ((of_memory && words.find("static TLS") == std::string::npos) || is_there) throw Shortage{ENOMEM};
}

// An exception of a constructor must not leave the loader, whose lock would stay locked: it ends the process here. Only
// a call without the loader's declaration, which promises not to throw, guarantees that.
bool open_in_loader(const std::string& path) noexcept {
  void* (*volatile const open)(const char*, int) = ::dlopen;
  return open(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) != nullptr;
}

// How many libraries the process has loaded so far; one that was already loaded does not add to it.
std::uint64_t libraries_loaded() {
  std::uint64_t count = 0;
  ::dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t /*size*/, void* result) {
        *static_cast<std::uint64_t*>(result) = library->dlpi_adds;
        return 1;
      },
      &count);
  return count;
}

bool is_this_program(const std::string& path) {
  std::error_code error;
  return std::filesystem::equivalent(path, "/proc/self/exe", error);
}

// The entry of another major version, if the library exports one, to distinguish it from what is not a plugin at all.
std::string other_version(const boost::dll::shared_library& library) {
  for (int major = 0; major <= 9; ++major) {
    std::string name = "taskhost_plugin_v" + std::to_string(major);
    if (major != TASKHOST_ABI_MAJOR && library.has(name)) return name;
  }
  return {};
}

std::string missing_entry_words(const boost::dll::shared_library& library) {
  const std::string wanted = "it does not export " TASKHOST_ENTRY_NAME;
  const std::string other = other_version(library);
  if (other.empty()) return wanted + ", so it is not a plugin (rule 1.1)";
  return wanted + ", but " + other +
         ": it is built for another version of the plugin interface, this host has version " +
         std::to_string(TASKHOST_ABI_MAJOR) + "." + std::to_string(TASKHOST_ABI_MINOR) + " (rule 1.1)";
}

}  // namespace

PluginLibrary::Loading PluginLibrary::load(const std::string& path) {
  Loading loading;
  loading.problem = library_file_problem(path);
  if (loading.problem.empty() && is_this_program(path)) loading.problem = "it is this program itself, not a plugin";
  if (loading.problem.empty()) loading.problem = missing_runtime(library_contents(path));
  if (!loading.problem.empty()) {
    loading.problem += script_hint(path);
    return loading;
  }
  // Outside of the try block below, because a missing working directory is not the plugin's fault.
  std::error_code no_directory;
  const std::filesystem::path whole = std::filesystem::absolute(path, no_directory);
  if (no_directory) {
    loading.problem = "can't determine the working directory: " + no_directory.message();
    return loading;
  }

  const PluginCodeMark mark(PluginCode::loading, path.c_str());
  std::shared_ptr<PluginLibrary> plugin(new PluginLibrary);
  plugin->path_ = path;
  plugin->name_ = undecorated_library_name(std::filesystem::path(path).filename().string());
  plugin->stays_loaded_ = is_marked_to_stay(path);
  try {
    namespace load_mode = boost::dll::load_mode;
    // Resolve all symbols now, so that a missing one shows here; share none with others; never unload (see the header).
    const auto mode = load_mode::rtld_now | load_mode::rtld_local | static_cast<load_mode::type>(RTLD_NODELETE);
    std::error_code error;
    const std::uint64_t libraries_before = libraries_loaded();
    const auto call = [&path](const auto& function) {
      const ChildGuard guard("plugin", path.c_str());
      return function();
    };
    const bool is_open = call([&] { return open_in_loader(whole.string()); });
    if (is_open) plugin->library_.load(whole, error, mode);
    if (!is_open || error) {
      const std::string words = loader_words(whole.string());
      throw_if_shortage(words, path);
      loading.problem = "the dynamic loader refuses it: " + words + words_of_mount(path);
      return loading;
    }
    const bool is_new = libraries_loaded() != libraries_before;
    if (!plugin->library_.has(TASKHOST_ENTRY_NAME)) {
      loading.problem = missing_entry_words(plugin->library_);
      return loading;
    }
    // At exit, the library's objects must not be destroyed while tasks use them: our handler runs first and names the
    // caller.
    if (is_new) renew_exit_handler();
    const auto entry = plugin->library_.get<const taskhost_factory*()>(TASKHOST_ENTRY_NAME);
    const taskhost_factory* const first = call([&] { return entry(); });
    if (is_new) renew_exit_handler();
    FactoryReading reading = read_factories(first);
    loading.problem = std::move(reading.problem);
    plugin->factories_ = std::move(reading.factories);
  } catch (const Shortage& shortage) {
    throw system_failure(shortage.error, "dlopen");
  } catch (const std::bad_alloc&) {
    throw;  // could be the host's own just as well, and is not the plugin's fault
  } catch (const std::exception& error) {
    loading.problem = std::string("its entry threw an exception: ") + error.what() + " (rule 1.3)";
  } catch (...) {
    loading.problem = "its entry threw an exception (rule 1.3)";
  }
  if (loading.problem.empty()) loading.library = std::move(plugin);
  return loading;
}

const taskhost_factory* PluginLibrary::find(const std::string& factory) const noexcept {
  for (const taskhost_factory& candidate : factories_) {
    if (factory == candidate.name) return &candidate;
  }
  return nullptr;
}

std::string undecorated_library_name(const std::string& file_name) {
  std::string name = file_name;
  if (name.ends_with(".so")) name.resize(name.size() - 3);
  if (name.size() > 3 && name.starts_with("lib")) name.erase(0, 3);
  return name;
}

}  // namespace taskhost
