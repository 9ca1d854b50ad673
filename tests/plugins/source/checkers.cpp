// Tasks whose check does more than judge the config, and ones that end badly. tests/integration/verify_check_test.cpp
// says what `taskhost verify` finds.
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string>

#include "collection.hpp"
#include "taskhost/ext/config.h"
#include "taskhost/ext/manifest.h"

namespace {

using collection::State;
using collection::Task;

char description[32] = "checks too much";

template <auto action>
std::int32_t checked(const taskhost_exec* /*exec*/) {
  action();
  return TASKHOST_OK;
}

void* volatile kept = nullptr;

constexpr Task tasks[] = {
    {.name = "changes_umask", .check = checked<[] { ::umask(0077); }>},
    {.name = "ignores_terminate", .check = checked<[] { std::signal(SIGTERM, SIG_IGN); }>},
    {.name = "sets_variable", .check = checked<[] { ::setenv("TASKHOST_TEST_FOO", "1", 1); }>},
    {.name = "sets_alarm", .check = checked<[] { ::alarm(1000); }>},
    {.name = "blocks_signals", .check = checked<[] {
                                 sigset_t all;
                                 ::sigfillset(&all);
                                 ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
                               }>},
    {.name = "leaks_memory", .check = checked<[] { kept = std::malloc(5000); }>},
    {.name = "changes_directory", .check = checked<[] { (void)!::chdir("/"); }>},
    {.name = "changes_locale", .check = checked<[] { std::setlocale(LC_ALL, "C.UTF-8"); }>},
    {.name = "is_nice", .check = checked<[] { (void)!::nice(1); }>},
    {.name = "leaves_child", .check = checked<[] {
                               if (::fork() != 0) return;
                               ::sleep(20);
                               ::_exit(0);
                             }>},
    {.name = "child_comes_back", .check = checked<[] { (void)!::fork(); }>},
    {.name = "writes_file", .check = checked<[] { ::close(::creat("check_was_here", 0600)); }>},
    {.name = "writes_many_files", .check = checked<[] {
                                    char path[] = "check_XXXXXX";
                                    ::close(::mkstemp(path));
                                  }>},
    {.name = "refuses_silently", .check = [](const taskhost_exec*) -> std::int32_t { return TASKHOST_ERROR; }},
    {.name = "ends_silently", .check = checked<[] { ::_exit(0); }>},
    // Right ones.
    {.name = "makes_something_once", .check = checked<[] {
                                       static const int once = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
                                       kept = reinterpret_cast<void*>(static_cast<std::uintptr_t>(once));
                                     }>},
    {.name = "reads_a_file", .check = checked<[] {
                               const int file = ::open("/proc/self/status", O_RDONLY | O_CLOEXEC);
                               char text[100];
                               (void)!::read(file, text, sizeof text);
                               ::close(file);
                             }>},
    {.name = "has_no_drop", .drop = nullptr},
    // Fails if the host tells it another name or directory than its config.
    {.name = "knows_its_manifest",
     .start =
         [](State& self) {
           const auto* config = static_cast<const taskhost_config_reader*>(
               self.services().extension(self.exec, TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION));
           const auto* manifest = static_cast<const taskhost_manifest*>(
               self.services().extension(self.exec, TASKHOST_EXTENSION_MANIFEST, TASKHOST_MANIFEST_REVISION));
           const char* name = self.services().task_name(self.exec);
           const char* directory = manifest->directory(self.exec);
           const std::string real_name = name;
           const std::string real_directory = directory;
           config->text(self.exec, "/name", &name, nullptr);
           config->text(self.exec, "/directory", &directory, nullptr);
           if (real_name != name) return self.fail("it has another name");
           return real_directory == directory ? TASKHOST_OK : self.fail("its manifest is elsewhere");
         }},
    // The thread goes on after the drop, which frees what it reads.
    {.name = "forgets_a_thread",
     .start =
         [](State& self) {
           auto* const page = static_cast<char*>(std::aligned_alloc(4096, std::size_t{4096} * 256));
           self.memory = page;
           std::thread([page] {
             for (;;) {
               *static_cast<volatile char*>(page) = 1;
               collection::pause_ms(1);
             }
           }).detach();
           return TASKHOST_OK;
         },
     .drop = [](State& self) { std::free(self.memory); }},
};

#ifdef CHECKERS_HANGS_AT_END
__attribute__((destructor)) void hang() {
  for (;;) ::pause();
}
#endif
#ifdef CHECKERS_CRASHES_AT_EXIT
const int registered = std::atexit([] { std::raise(SIGSEGV); });
#endif
#ifdef CHECKERS_ENDS_WHEN_LOADED
const int ended = [] {
  ::_exit(0);
  return 0;
}();
#endif

}  // namespace

COLLECTION_ENTRY(tasks, description)
