// The test of what a plugin does at the end of the process: destructors of globals and exit handlers.
#include <dlfcn.h>
#include <link.h>

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "verify/call_words.hpp"
#include "verify/ends.hpp"
#include "verify/test.hpp"

namespace taskhost::verify {

namespace {

using Function = void (*)();

// What the loader would call at the end, in that order. The first one usually is the compiler's, which calls the exit
// handlers and C++ destructors that the library has registered. Called directly, since exit() would also run those of
// the program around this test.
std::vector<Function> ends_of_library(const taskhost_factory& factory) {
  std::vector<Function> ends;
  Dl_info info{};
  link_map* map = nullptr;
  // Each factory has one of these two.
  void* const code =
      factory.poll != nullptr ? reinterpret_cast<void*>(factory.poll) : reinterpret_cast<void*>(factory.run);
  if (::dladdr1(code, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0 || map == nullptr) {
    return ends;
  }
  const auto address = [map](ElfW(Addr) offset) { return map->l_addr + offset; };
  const Function* array = nullptr;
  std::size_t size = 0;
  Function last = nullptr;
  for (const ElfW(Dyn)* field = map->l_ld; field->d_tag != DT_NULL; ++field) {
    // NOLINTBEGIN(performance-no-int-to-ptr)
    if (field->d_tag == DT_FINI_ARRAY) array = reinterpret_cast<const Function*>(address(field->d_un.d_ptr));
    if (field->d_tag == DT_FINI) last = reinterpret_cast<Function>(address(field->d_un.d_ptr));
    // NOLINTEND(performance-no-int-to-ptr)
    if (field->d_tag == DT_FINI_ARRAYSZ) size = field->d_un.d_val / sizeof(Function);
  }
  if (array == nullptr) size = 0;
  const std::span all(array, size);
  ends.assign(all.rbegin(), all.rend());
  if (last != nullptr) ends.push_back(last);
  return ends;
}

}  // namespace

Verdict end_of_the_process(TestContext& context) {
  if (context.is_blocking()) {
    if (context.heeds_stop()) play_blocking(context, nanoseconds(0));
  } else {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    if (context.start(execution) && context.poll(execution) == Status::pending) stop_polled(context, execution);
  }
  const std::vector<Function> ends = ends_of_library(context.factory());
  Progress& progress = context.host().progress();
  context.end_plugin();
  const auto begin = std::chrono::steady_clock::now();
  progress.enter(Phase::unload);
  {
    const CallMark mark(nullptr, Phase::unload);
    for (const Function end : ends) end();
  }
  progress.phase = Phase::none;
  const nanoseconds taken = std::chrono::steady_clock::now() - begin;
  if (taken >= longest_end) {
    return broken("5.4", "its destructors and exit handlers took " + duration_words(taken) +
                             "; the host ends the process after " + duration_words(longest_end));
  }
  return holds("its destructors and exit handlers took " + duration_words(taken));
}

}  // namespace taskhost::verify
