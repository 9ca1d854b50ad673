#include "verify/load_tests.hpp"

#include <dlfcn.h>
#include <link.h>

#include <array>
#include <filesystem>
#include <new>
#include <thread>

#include "plugin/factory_rules.hpp"
#include "plugin/neighbours.hpp"
#include "text/printable.hpp"
#include "verify/child_process.hpp"
#include "verify/kit_thread.hpp"
#include "verify/process_state.hpp"

namespace taskhost::verify {

namespace {

using Entry = const taskhost_factory* (*)();

// The library is already loaded; this only finds it.
Entry entry_of(const std::string& path) {
  void* const handle =
      ::dlopen(std::filesystem::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE | RTLD_NOLOAD);
  return handle != nullptr ? reinterpret_cast<Entry>(::dlsym(handle, TASKHOST_ENTRY_NAME)) : nullptr;
}

bool is_marked_nodelete(Entry entry) {
  Dl_info info{};
  link_map* map = nullptr;
  if (entry == nullptr ||
      ::dladdr1(reinterpret_cast<void*>(entry), &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0 ||
      map == nullptr) {
    return false;
  }
  for (const ElfW(Dyn)* field = map->l_ld; field->d_tag != DT_NULL; ++field) {
    if (field->d_tag == DT_FLAGS_1) return (field->d_un.d_val & DF_1_NODELETE) != 0;
  }
  return false;
}

std::string content_of(const taskhost_factory& factory) {
  std::string content(reinterpret_cast<const char*>(&factory), sizeof factory);
  for (const char* text : {factory.name, factory.version, factory.description}) {
    content += '\0';
    if (text != nullptr) content += text;
  }
  return content;
}

std::vector<std::string> contents_of(const std::vector<taskhost_factory>& factories) {
  std::vector<std::string> contents;
  for (const taskhost_factory& factory : factories) contents.push_back(content_of(factory));
  return contents;
}

}  // namespace

LoadedPlugin load_plugin(const std::string& path, Progress& progress) {
  LoadedPlugin plugin;
  measure_before_plugin();
  progress.enter(Phase::load);
  PluginLibrary::Loading result;
  try {
    result = PluginLibrary::load(path);
  } catch (const std::bad_alloc&) {
    if (memory_is_short()) throw;
    result.problem = "its entry threw an exception: std::bad_alloc (rule 1.3)";
  }
  progress.phase = Phase::none;
  plugin.library = std::move(result.library);
  plugin.problem = std::move(result.problem);
  if (plugin.library == nullptr) return plugin;
  plugin.brings_runtime = is_marked_nodelete(entry_of(path));
  plugin.content = contents_of(plugin.library->factories());
  return plugin;
}

Verdict refused(const std::string& problem) {
  constexpr std::string_view mark = "(rule ";
  const std::size_t begin = problem.rfind(mark);
  if (begin == std::string::npos) return broken("1.1", problem);
  const std::size_t number = begin + mark.size();
  const std::size_t end = problem.find(')', number);
  if (end == std::string::npos) return broken("1.1", problem);
  std::string text = problem.substr(0, begin) + problem.substr(end + 1);
  while (text.ends_with(' ')) text.pop_back();
  return broken(problem.substr(number, end - number), text);
}

Verdict loading(const std::string& path, Progress& progress) {
  const ProcessState before = ProcessState::take();
  const LoadedPlugin plugin = load_plugin(path, progress);
  if (plugin.library == nullptr) return refused(plugin.problem);
  const LeftBehind left = judge_left_behind(before, settled(before, 300), false, plugin.brings_runtime, "1.5", "1.5");
  if (!left.broken_rules.empty()) return broken(left.broken_rules, "when loaded, " + left.broken_words);
  if (!left.kept.empty()) {
    return holds("its runtime, which stays for good (the library is marked NODELETE), has started: " + left.kept);
  }
  return holds("no threads, descriptors or output; nothing process-wide is changed");
}

Verdict neighbours(const LoadedPlugin& plugin) {
  const LibraryContents contents = library_contents(plugin.library->path());
  const std::vector<std::string> beyond = exported_beyond_entry(contents);
  std::string needs;
  for (const Dependency& dependency : dependencies_of(contents)) {
    needs += needs.empty() ? "; it needs " : ", ";
    needs += printable_path(dependency.path.empty() ? dependency.name : dependency.path);
  }
  if (beyond.empty()) return holds("it exports only its entry" + needs);
  Verdict verdict;
  verdict.judgement = Judgement::note;
  verdict.text = "it exports more than its entry: " + symbol_words(beyond);
  if (!contents.unique.empty()) {
    verdict.text +=
        "; of these the process has one each, from the library that defines it first, which crashes if another library "
        "means something else by it: " +
        symbol_words(contents.unique);
  }
  verdict.text += "; linking with plugin.map, as CMake's taskhost_add_plugin does, keeps them private" + needs;
  return verdict;
}

Verdict entry_called_again(const LoadedPlugin& plugin) {
  const Entry entry = entry_of(plugin.library->path());
  if (entry == nullptr) return unproven("the entry could not be found a second time");
  constexpr int calls = 20;
  const taskhost_factory* const first = entry();
  std::array<bool, 2> same = {true, true};
  const auto call = [&](std::size_t which) {
    for (int i = 0; i < calls; ++i) same[which] = same[which] && entry() == first;
  };
  std::thread other([&] {
    const KitThread mark;
    call(1);
  });
  call(0);
  other.join();
  if (!same[0] || !same[1]) return broken("1.4", "its entry returns a different pointer when it is called again");
  if (const std::string words = changed_descriptor(plugin); !words.empty()) return broken("1.4", words);
  return holds(std::to_string(2 * calls + 1) + " calls on two threads returned the same");
}

std::string changed_descriptor(const LoadedPlugin& plugin) {
  const Entry entry = entry_of(plugin.library->path());
  const FactoryReading reading = read_factories(entry != nullptr ? entry() : nullptr);
  if (!reading.problem.empty()) {
    return "its descriptors were valid when it was loaded, and no longer are: " + reading.problem;
  }
  if (contents_of(reading.factories) != plugin.content) {
    return "a descriptor, or a text in it, has changed since the plugin was loaded";
  }
  return {};
}

}  // namespace taskhost::verify
