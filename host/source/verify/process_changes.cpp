#include "verify/process_changes.hpp"

#include "verify/call_words.hpp"
#include "verify/process_state.hpp"
#include "verify/simulated_host.hpp"

#if defined(__ELF__) && defined(__LP64__)

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "text/printable.hpp"

namespace taskhost::verify {

namespace {

SimulatedHost* observer = nullptr;

// What a child does before it executes another program is its own affair.
bool is_in_child() { return ::getpid() != observer->process(); }

void tell(const std::string& call) {
  const Phase phase = current_call().phase;
  observer->findings().broken("5.1", "process changed by " + call.substr(0, call.find('(')),
                              (phase == Phase::none ? "a thread of the plugin's own" : function_name(phase)) +
                                  (" called " + call) +
                                  ", which changes the whole process: other tasks' threads see it, even if it is "
                                  "undone before the function returns");
}

// Calls the real function, and tells of it if `state` is another one then.
template <class State, class Words, class Call>
auto recorded(const State& state, const Words& words, const Call& call) {
  if (is_in_child()) return call();
  const int former_error = errno;
  const auto before = state();
  errno = former_error;
  const auto result = call();
  const int error = errno;
  if (state() != before) tell(words());
  errno = error;
  return result;
}

char* record_setlocale(int category, const char* name) {
  if (name == nullptr) return std::setlocale(category, nullptr);  // NOLINT(concurrency-mt-unsafe): only asks
  const auto state = [] { return std::string(std::setlocale(LC_ALL, nullptr)); };  // NOLINT(concurrency-mt-unsafe)
  return recorded(
      state, [&] { return "setlocale(" + quoted_text(name) + ")"; },
      [&] { return std::setlocale(category, name); });  // NOLINT(concurrency-mt-unsafe)
}

mode_t record_umask(mode_t mask) {
  const mode_t former = ::umask(mask);
  if (!is_in_child() && former != (mask & 0777)) tell("umask()");
  return former;
}

std::string working_directory() {
  std::error_code error;
  return std::filesystem::current_path(error).string();
}
int record_chdir(const char* path) {
  if (path == nullptr) {
    errno = EFAULT;
    return -1;
  }
  return recorded(
      working_directory, [&] { return "chdir(" + quoted_text(path) + ")"; }, [&] { return ::chdir(path); });
}
int record_fchdir(int descriptor) {
  return recorded(
      working_directory, [] { return std::string("fchdir()"); }, [&] { return ::fchdir(descriptor); });
}

// Only its name is told: the value may be secret.
template <class Call>
int record_variable(const char* function, const char* text, const Call& call) {
  if (text == nullptr) return call();
  const std::string entry(text);
  const std::string name = entry.substr(0, entry.find('='));
  const auto state = [&] {
    const char* const value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe)
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
  };
  return recorded(
      state, [&] { return function + ("(" + quoted_text(name)) + ")"; }, call);
}
// The plugin's own calls, passed on.
// NOLINTBEGIN(concurrency-mt-unsafe)
int record_setenv(const char* name, const char* value, int overwrite) {
  return record_variable("setenv", name, [&] { return ::setenv(name, value, overwrite); });
}
int record_unsetenv(const char* name) {
  return record_variable("unsetenv", name, [&] { return ::unsetenv(name); });
}
int record_putenv(char* entry) {
  return record_variable("putenv", entry, [&] { return ::putenv(entry); });
}
int record_clearenv() {
  return recorded([] { return environ == nullptr || *environ == nullptr; }, [] { return std::string("clearenv()"); },
                  [] { return ::clearenv(); });
}
// NOLINTEND(concurrency-mt-unsafe)

template <class Call>
int record_limit(const char* function, int which, const Call& call) {
  if (observer->brings_runtime()) return call();
  const auto state = [&] {
    rlimit limit{};
    ::getrlimit(static_cast<__rlimit_resource>(which), &limit);
    return std::pair(limit.rlim_cur, limit.rlim_max);
  };
  return recorded(
      state, [&] { return function + std::string("()"); }, call);
}
int record_setrlimit(int which, const rlimit* limit) {
  return record_limit("setrlimit", which, [&] { return ::setrlimit(static_cast<__rlimit_resource>(which), limit); });
}
int record_prlimit(pid_t process, int which, const rlimit* limit, rlimit* former) {
  return record_limit("prlimit", which,
                      [&] { return ::prlimit(process, static_cast<__rlimit_resource>(which), limit, former); });
}

// A timer that runs has changed by the next look in any case: setting it is what counts.
template <class Call>
auto record_timer(const char* function, int which, const Call& call) {
  if (observer->brings_runtime()) return call();
  const auto state = [&] {
    itimerval timer{};
    ::getitimer(static_cast<__itimer_which>(which), &timer);
    return std::pair(timer.it_value.tv_sec, timer.it_value.tv_usec);
  };
  return recorded(
      state, [&] { return function + std::string("()"); }, call);
}
int record_setitimer(int which, const itimerval* timer, itimerval* former) {
  return record_timer("setitimer", which,
                      [&] { return ::setitimer(static_cast<__itimer_which>(which), timer, former); });
}
unsigned record_alarm(unsigned seconds) {
  return record_timer("alarm", ITIMER_REAL, [&] { return ::alarm(seconds); });
}

template <class Call>
auto record_handler(const char* function, int signal, const Call& call) {
  if (observer->brings_runtime() && is_of_runtime(signal)) return call();
  const auto state = [&] {
    struct sigaction action {};
    ::sigaction(signal, nullptr, &action);
    return action.sa_handler;
  };
  return recorded(
      state, [&] { return function + ("(" + signal_words(signal)) + ")"; }, call);
}
int record_sigaction(int signal, const struct sigaction* action, struct sigaction* former) {
  return record_handler("sigaction", signal, [&] { return ::sigaction(signal, action, former); });
}
sighandler_t record_signal(int signal, sighandler_t handler) {
  return record_handler("signal", signal, [&] { return ::signal(signal, handler); });
}
sighandler_t record_sysv_signal(int signal, sighandler_t handler) {
  return record_handler("signal", signal, [&] { return ::__sysv_signal(signal, handler); });
}

// While it runs, the process ignores SIGINT and SIGQUIT.
int record_system(const char* command) {
  if (command != nullptr && !is_in_child()) tell("system()");
  return std::system(command);  // NOLINT
}

// Counts calls that have sent or received something in a poll.
template <auto function, class Type = decltype(function)>
struct Transfer;
template <auto function, class Result, class... Arguments>
struct Transfer<function, Result (*)(Arguments...)> {
  static Result call(Arguments... arguments) {
    const Result result = function(arguments...);
    if (result > 0 && current_call().phase == Phase::poll) observer->count_transfer();
    return result;
  }
};

// Called for atexit, and for the destructors of variables, which it is right to have: these mostly come with the
// variable's address.
// NOLINTNEXTLINE(bugprone-reserved-identifier, readability-identifier-naming): the C++ ABI's
extern "C" int __cxa_atexit(void (*handler)(void*), void* argument, void* library);
int record_exit_handler(void (*handler)(void*), void* argument, void* library) {
  const Phase phase = current_call().phase;
  const bool is_call = phase >= Phase::start && phase <= Phase::work;
  if (argument == nullptr && library != nullptr && is_call && !is_in_child()) {
    observer->findings().note(
        "5.1", "exit handler",
        function_name(phase) +
            std::string(" called atexit, so it changes what happens at the end of the process; a variable's "
                        "destructor does the same, and goes with its library"));
  }
  return __cxa_atexit(handler, argument, library);
}

// A process that is killed may have been killed by others: by the system when memory is short, or by an operator. Also
// in children, since these may kill their parent.
void note_signal(int signal) {
  if (signal == SIGKILL) observer->progress().sent_kill = true;
}
int record_kill(pid_t process, int signal) {
  note_signal(signal);
  return ::kill(process, signal);
}
int record_killpg(pid_t group, int signal) {
  note_signal(signal);
  return ::killpg(group, signal);
}
int record_raise(int signal) {
  note_signal(signal);
  return ::raise(signal);
}
int record_tgkill(pid_t process, pid_t thread, int signal) {
  note_signal(signal);
  return ::tgkill(process, thread, signal);
}
int record_pthread_kill(pthread_t thread, int signal) {
  note_signal(signal);
  return ::pthread_kill(thread, signal);
}

struct Recorder {
  void* real;  // what the loader has bound to the name
  void* function;
};

template <class Function>
std::pair<const std::string_view, Recorder> entry(const char* name, Function* function) {
  return {name, {::dlsym(RTLD_DEFAULT, name), reinterpret_cast<void*>(function)}};
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // what libc says of its functions is not needed here
const std::map<std::string_view, Recorder>& recorders() {
  static const std::map<std::string_view, Recorder> all = {entry("setlocale", record_setlocale),
                                                           entry("umask", record_umask),
                                                           entry("chdir", record_chdir),
                                                           entry("fchdir", record_fchdir),
                                                           entry("setenv", record_setenv),
                                                           entry("unsetenv", record_unsetenv),
                                                           entry("putenv", record_putenv),
                                                           entry("clearenv", record_clearenv),
                                                           entry("setrlimit", record_setrlimit),
                                                           entry("setrlimit64", record_setrlimit),
                                                           entry("prlimit", record_prlimit),
                                                           entry("prlimit64", record_prlimit),
                                                           entry("setitimer", record_setitimer),
                                                           entry("alarm", record_alarm),
                                                           entry("sigaction", record_sigaction),
                                                           entry("signal", record_signal),
                                                           entry("system", record_system),
                                                           entry("__sysv_signal", record_sysv_signal),
                                                           entry("kill", record_kill),
                                                           entry("killpg", record_killpg),
                                                           entry("raise", record_raise),
                                                           entry("tgkill", record_tgkill),
                                                           entry("pthread_kill", record_pthread_kill),
                                                           entry("__cxa_atexit", record_exit_handler),
                                                           entry("read", Transfer<&::read>::call),
                                                           entry("write", Transfer<&::write>::call),
                                                           entry("readv", Transfer<&::readv>::call),
                                                           entry("writev", Transfer<&::writev>::call),
                                                           entry("recv", Transfer<&::recv>::call),
                                                           entry("send", Transfer<&::send>::call),
                                                           entry("recvfrom", Transfer<&::recvfrom>::call),
                                                           entry("sendto", Transfer<&::sendto>::call),
                                                           entry("recvmsg", Transfer<&::recvmsg>::call),
                                                           entry("sendmsg", Transfer<&::sendmsg>::call),
                                                           entry("recvmmsg", Transfer<&::recvmmsg>::call),
                                                           entry("sendmmsg", Transfer<&::sendmmsg>::call)};
  return all;
}
#pragma GCC diagnostic pop

// A library in memory, as its program headers describe it.
class Object {
 public:
  explicit Object(const dl_phdr_info& info) : base_(info.dlpi_addr), headers_(info.dlpi_phdr, info.dlpi_phnum) {
    for (const ElfW(Phdr) & header : headers_) {
      if (header.p_type != PT_DYNAMIC) continue;
      for (const auto* field = at<ElfW(Dyn)>(header.p_vaddr); field->d_tag != DT_NULL; ++field) {
        fields_[field->d_tag] = field->d_un.d_val;
      }
    }
  }

  const ElfW(Phdr) * segment_of(std::uintptr_t address) const {
    const auto found = std::find_if(headers_.begin(), headers_.end(), [&](const ElfW(Phdr) & header) {
      return header.p_type == PT_LOAD && address - base_ - header.p_vaddr < header.p_memsz;
    });
    return found != headers_.end() ? &*found : nullptr;
  }

  void use_recorders() const {
    if (!fields_.contains(DT_SYMTAB) || !fields_.contains(DT_STRTAB)) return;
    if (fields_.contains(DT_RELA)) use_recorders(DT_RELA, DT_RELASZ);
    if (fields_.contains(DT_JMPREL) && fields_.at(DT_PLTREL) == DT_RELA) use_recorders(DT_JMPREL, DT_PLTRELSZ);
  }

 private:
  template <class Type>
  const Type* at(ElfW(Addr) offset) const {
    return reinterpret_cast<const Type*>(base_ + offset);  // NOLINT(performance-no-int-to-ptr)
  }
  // Some loaders have made addresses of these fields, and some have not.
  template <class Type>
  const Type* table(ElfW(Sxword) tag) const {
    const ElfW(Addr) value = fields_.at(tag);
    return at<Type>(value >= base_ ? value - base_ : value);
  }

  void use_recorders(ElfW(Sxword) tag, ElfW(Sxword) size_tag) const {
    const std::span relocations(table<ElfW(Rela)>(tag), fields_.at(size_tag) / sizeof(ElfW(Rela)));
    for (const ElfW(Rela) & relocation : relocations) {
      const auto index = ELF64_R_SYM(relocation.r_info);
      if (index == STN_UNDEF) continue;
      const ElfW(Sym)& symbol = table<ElfW(Sym)>(DT_SYMTAB)[index];
      if (symbol.st_shndx != SHN_UNDEF) continue;
      const auto found = recorders().find(table<char>(DT_STRTAB) + symbol.st_name);
      if (found != recorders().end()) replace(base_ + relocation.r_offset, found->second);
    }
  }

  // Only what is bound to the real function, or not yet bound: then it points back into its own library.
  void replace(std::uintptr_t slot, const Recorder& recorder) const {
    const ElfW(Phdr)* const segment = segment_of(slot);
    if (segment == nullptr || (segment->p_flags & PF_W) == 0 || slot % sizeof(void*) != 0) return;
    auto& place = *reinterpret_cast<void**>(slot);  // NOLINT(performance-no-int-to-ptr)
    if (place != recorder.real && segment_of(reinterpret_cast<std::uintptr_t>(place)) == nullptr) return;
    const auto page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::uintptr_t page = slot & ~(page_size - 1);
    const bool is_sealed = std::any_of(headers_.begin(), headers_.end(), [&](const ElfW(Phdr) & header) {
      const std::uintptr_t begin = base_ + header.p_vaddr;  // the loader seals whole pages only
      return header.p_type == PT_GNU_RELRO && page >= (begin & ~(page_size - 1)) &&
             page < ((begin + header.p_memsz) & ~(page_size - 1));
    });
    auto* const address = reinterpret_cast<void*>(page);  // NOLINT(performance-no-int-to-ptr)
    if (is_sealed && ::mprotect(address, page_size, PROT_READ | PROT_WRITE) != 0) return;
    std::atomic_ref(place).store(recorder.function);
    if (is_sealed) ::mprotect(address, page_size, PROT_READ);
  }

  const ElfW(Addr) base_;
  const std::span<const ElfW(Phdr)> headers_;
  std::map<ElfW(Sxword), ElfW(Xword)> fields_;
};

}  // namespace

void record_process_changes(SimulatedHost& host) {
  observer = &host;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t /*size*/, void* /*unused*/) {
        const Object object(*info);
        if (object.segment_of(reinterpret_cast<std::uintptr_t>(&record_umask)) == nullptr) object.use_recorders();
        return 0;
      },
      nullptr);
}

}  // namespace taskhost::verify

#else

namespace taskhost::verify {
void record_process_changes(SimulatedHost& /*host*/) {}
}  // namespace taskhost::verify

#endif
