// The worker: loads one plugin's library, says what it is, judges configs, and runs one execution, as its host asks. It
// ends when the host does, whatever the plugin's code is doing: a thread that runs no such code waits for that.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>

#include "plugin/config_check.hpp"
#include "plugin/library.hpp"
#include "plugin/plugin_task.hpp"
#include "system/crash_handler.hpp"
#include "system/exit_handler.hpp"
#include "system/failed_writes.hpp"
#include "system/own_descriptor.hpp"
#include "taskhost/core/home_process.hpp"
#include "taskhost/core/supervisor.hpp"
#include "taskhost/core/system_failure.hpp"
#include "taskhost/ext/signals.h"
#include "worker/limits.hpp"
#include "worker/protocol.hpp"

namespace taskhost {

namespace {

using Json = nlohmann::json;

constexpr int channel_place = 3;
constexpr std::uint32_t known_signals = TASKHOST_SIGNAL_INTERRUPT | TASKHOST_SIGNAL_TERMINATE | TASKHOST_SIGNAL_HANGUP |
                                        TASKHOST_SIGNAL_USER1 | TASKHOST_SIGNAL_USER2;

[[noreturn]] void leave(int status) { ::_exit(status); }

[[noreturn]] void leave_without_descriptors() {
  std::fputs("a plugin has closed descriptors that are not its own (rule 5.1)\n", stderr);
  leave(EXIT_FAILURE);
}

// The connection, and what its words say about the execution. One for the process, since the services of plugins get
// nothing that leads to it.
class Connection {
 public:
  void open(Descriptor socket) { channel_ = std::make_unique<Channel>(std::move(socket)); }
  Channel& channel() noexcept { return *channel_; }

  // Any thread. Waits for room. Once the host is gone, so is the process.
  void say(PacketKind kind, std::uint32_t number = 0, std::string_view text = {}) noexcept {
    if (!home_.is_here()) return;  // a child that the plugin has forked speaks for nobody
    if (kind == PacketKind::ended) has_said_end = true;
    if (!channel_->send({kind, number, text}, true)) end();
  }
  // The host is gone, and so are the process and what it has started; or a plugin has closed the connection.
  [[noreturn]] void end() noexcept {
    if (::fcntl(channel_->descriptor(), F_GETFD) < 0) leave_without_descriptors();
    if (::getpgrp() == ::getpid()) ::kill(0, SIGKILL);
    leave(EXIT_FAILURE);
  }

  // --- heartbeats: the next one is sent when the host has heard of the last ---
  void heartbeat() noexcept {
    if (!home_.is_here()) return;
    for (Beats before = beats_.load();;) {
      if (before == Beats::another) return;
      const Beats after = before == Beats::none ? Beats::sent : Beats::another;
      if (!beats_.compare_exchange_weak(before, after)) continue;
      if (after == Beats::sent) say(PacketKind::heartbeat);
      return;
    }
  }
  void heard() noexcept {
    Beats before = beats_.load();
    while (!beats_.compare_exchange_weak(before, before == Beats::another ? Beats::sent : Beats::none)) {
    }
    if (before == Beats::another) say(PacketKind::heartbeat);
  }

  // --- signals ---
  bool subscribe(Waker waker, std::uint32_t wanted) noexcept {
    if ((wanted & ~known_signals) != 0 || waker == 0 || !passes_signals) return false;
    waker_.store(waker);
    say(PacketKind::wants, wanted);
    return true;
  }
  std::uint32_t take_signals() noexcept { return signals_.exchange(0); }
  void signal(std::uint32_t bits) noexcept {
    signals_.fetch_or(bits);
    Execution::wake(waker_.load());
  }

  std::atomic<bool> has_said_end{false};
  bool passes_signals = false;
  bool is_watched = false;

 private:
  enum class Beats : std::uint8_t { none, sent, another };

  const HomeProcess home_;
  std::unique_ptr<Channel> channel_;
  std::atomic<Beats> beats_{Beats::none};
  std::atomic<std::uint32_t> signals_{0};
  std::atomic<Waker> waker_{0};
};
Connection& host() {
  static Connection connection;
  return connection;
}

// --- what the plugin calls, and how it is called ---------------------------------------------------------------------

const taskhost_signals passed_signals = {
    sizeof(taskhost_signals),
    TASKHOST_SIGNALS_REVISION,
    [](const taskhost_exec* exec, uint32_t wanted) -> int32_t {
      return host().subscribe(execution_of(exec).waker(), wanted) ? TASKHOST_OK : TASKHOST_ERROR;
    },
    [](const taskhost_exec*) -> uint32_t { return host().take_signals(); },
};

const taskhost_services& services() {
  static const taskhost_services all = [] {
    taskhost_services its = plugin_services;
    its.ready = [](const taskhost_exec*) {
      static std::atomic<bool> is_said{false};
      if (!is_said.exchange(true)) host().say(PacketKind::ready);
    };
    its.heartbeat = [](const taskhost_exec*) {
      if (host().is_watched) host().heartbeat();
    };
    its.status = [](const taskhost_exec*, const char* text, size_t size) {
      const std::string_view words = text != nullptr ? std::string_view(text, size) : std::string_view();
      host().say(PacketKind::status, 0, words.substr(0, max_message_bytes));
    };
    its.extension = [](const taskhost_exec* exec, const char* id, uint32_t revision) -> const void* {
      const bool is_of_signals = id != nullptr && std::string_view(id) == TASKHOST_EXTENSION_SIGNALS;
      if (!is_of_signals) return plugin_services.extension(exec, id, revision);
      return revision == TASKHOST_SIGNALS_REVISION && host().passes_signals ? &passed_signals : nullptr;
    };
    return its;
  }();
  return all;
}

taskhost_factory running_factory{};

void say_started() noexcept {
  static bool is_said = false;  // of one execution, whose calls come one after the other
  if (std::exchange(is_said, true)) return;
  host().say(PacketKind::started);
}
int32_t poll_once_started(void* state, const taskhost_exec* exec) {
  say_started();
  return running_factory.poll(state, exec);
}
int32_t run_once_started(void* state, const taskhost_exec* exec) {
  say_started();
  return running_factory.run(state, exec);
}

// --- the execution ---------------------------------------------------------------------------------------------------

// What its supervisor here has to say goes to the host's.
class Passing final : public EventSink {
 public:
  bool publish(Event&& event) noexcept override {
    switch (event.kind) {
      case EventKind::task_exited:
        host().say(PacketKind::ended, static_cast<std::uint32_t>(event.outcome), event.message);
        break;
      case EventKind::task_stopped:
        host().say(PacketKind::ended, static_cast<std::uint32_t>(Outcome::cancelled), event.message);
        break;
      case EventKind::task_stalled:
        log(LogLevel::warning, nullptr, event.message);
        break;
      case EventKind::host_started:
      case EventKind::task_started:
      case EventKind::task_ready:
      case EventKind::task_restarting:
      case EventKind::task_discarded:
      case EventKind::task_gave_up:
      case EventKind::task_stopping:
      case EventKind::task_abandoned:
      case EventKind::host_stopping:
      case EventKind::host_stopped:
        break;
    }
    return true;
  }
  void summarize(const LogSummary&) noexcept override {}
  void log(LogLevel level, const char*, std::string_view text) noexcept override {
    host().say(PacketKind::log, static_cast<std::uint32_t>(level), text);
  }
};

// The orders that the main thread carries out.
struct Order {
  PacketKind kind;
  Json document;
};

class Worker {
 public:
  int run() {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      new_thread([this] { listen(); }).detach();
    } catch (const std::system_error& error) {
      host().say(PacketKind::cant_begin, 0, error.what());
      return EXIT_FAILURE;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    for (;;) {
      const Order order = next();
      try {
        switch (order.kind) {
          case PacketKind::load:
            load(order.document);
            break;
          case PacketKind::check:
            check(order.document);
            break;
          default:
            return start(order.document);
        }
      } catch (const std::exception& error) {
        host().say(PacketKind::cant_begin, 0, error.what());
        return EXIT_FAILURE;
      }
    }
  }

 private:
  Order next() {
    std::unique_lock lock(mutex_);
    has_order_.wait(lock, [this] { return !orders_.empty(); });
    Order order = std::move(orders_.front());
    orders_.pop_front();
    return order;
  }

  // A thread of its own, with all signals blocked.
  void listen() noexcept {
    ::pthread_setname_np(::pthread_self(), "th-host");
    for (;;) {
      // A process that the host has forked may keep the connection open: so its own end is awaited, too.
      std::array<pollfd, 2> awaited{pollfd{.fd = host().channel().descriptor(), .events = POLLIN, .revents = 0},
                                    pollfd{.fd = parent_.get(), .events = POLLIN, .revents = 0}};
      if (::poll(awaited.data(), awaited.size(), -1) < 0) {
        if (errno == EINTR) continue;
        host().end();
      }
      if (awaited[1].revents != 0) host().end();
      Packet packet;
      Descriptor document;
      const Channel::Received received = host().channel().receive(packet, false, &document);
      if (received == Channel::Received::nothing) continue;
      if (received != Channel::Received::packet) host().end();
      switch (packet.kind) {
        case PacketKind::stop:
          stop();
          break;
        case PacketKind::signals:
          host().signal(packet.number);
          break;
        case PacketKind::heard:
          host().heard();
          break;
        case PacketKind::load:
        case PacketKind::check:
        case PacketKind::start:
          take(packet.kind, document);
          break;
        default:
          leave(EXIT_FAILURE);
      }
    }
  }

  void take(PacketKind kind, const Descriptor& document) {
    std::optional<Json> order = read_order(document);
    if (!order) leave(EXIT_FAILURE);
    const std::lock_guard lock(mutex_);
    orders_.push_back({kind, std::move(*order)});
    has_order_.notify_one();
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    is_to_stop_ = true;
    if (supervisor_ != nullptr) supervisor_->request_stop({StopReason::request, false, {}, {}});
  }

  void load(const Json& order) {
    if (const std::string problem = set_limits(order.at("limits")); !problem.empty()) {
      return host().say(PacketKind::cant_begin, 0, problem);
    }
    if (order.at("host").get<pid_t>() != parent_id_) host().end();  // it is gone
    // After the change of the user, which clears it. So that one that is stopped goes on, and hears of the host's end:
    // SIGKILL would be for this process alone.
    ::prctl(PR_SET_PDEATHSIG, SIGCONT);
    environment_.services = &services();
    host().passes_signals = order.at("signals").get<bool>();
    poll_stack_ = order.at("poll_stack").get<std::size_t>();
    blocking_stack_ = order.at("blocking_stack").get<std::size_t>();
    PluginLibrary::Loading loading = PluginLibrary::load(order.at("path").get<std::string>());
    renew_exit_handler();
    handle_failed_writes();
    library_ = std::move(loading.library);
    if (library_ != nullptr && order.at("tells").get<bool>()) {
      for (const taskhost_factory& factory : library_->factories()) tell(factory);
    }
    host().say(PacketKind::loaded, library_ != nullptr ? 1 : 0, loading.problem);
  }

  static void tell(const taskhost_factory& factory) {
    const auto text = [](const char* words) { return words != nullptr ? Json(words) : Json(); };
    const Json facts{{"name", factory.name},
                     {"version", text(factory.version)},
                     {"description", text(factory.description)},
                     {"blocking", factory.run != nullptr},
                     {"checks", factory.check != nullptr}};
    host().say(PacketKind::factory, 0, facts.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  const taskhost_factory& factory_of(const Json& order) const {
    const taskhost_factory* const factory =
        library_ != nullptr ? library_->find(order.at("factory").get<std::string>()) : nullptr;
    if (factory == nullptr) throw std::runtime_error("the library was replaced, and has no such factory any more");
    return *factory;
  }

  // The config of an order, which that owns.
  static PluginConfig config_of(const Json& order) {
    return {order.at("config").get_ref<const std::string&>(), order.at("has_secrets").get<bool>()};
  }

  void check(const Json& order) {
    environment_.directory = order.at("directory").get<std::string>();
    const auto log = [](LogLevel level, std::string_view text) {
      host().say(PacketKind::log, static_cast<std::uint32_t>(level), text);
    };
    const auto problem =
        config_problem(factory_of(order), order.at("task").get<std::string>(), config_of(order), environment_, log);
    if (!problem) return host().say(PacketKind::checked);
    const Json words{{"pointer", problem->pointer}, {"text", problem->text}, {"of_plugin", problem->is_of_plugin}};
    host().say(PacketKind::checked, 0, words.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  int start(const Json& order) {
    if (library_ == nullptr) return EXIT_FAILURE;  // which has been told
    running_factory = factory_of(order);
    taskhost_factory factory = running_factory;
    if (factory.poll != nullptr) factory.poll = poll_once_started;
    if (factory.run != nullptr) factory.run = run_once_started;
    host().is_watched = order.at("watched").get<bool>();
    environment_.directory = order.at("directory").get<std::string>();
    PluginTasks tasks;
    SupervisorOptions options;
    options.executions_before = order.at("number").get<std::uint64_t>() - 1;
    options.stall_threads = 1;
    options.abandonment = "its process is killed";
    options.poll_stack_size = poll_stack_;
    options.blocking_stack_size = blocking_stack_;
    options.no_memory = [] {
      std::fputs("out of memory\n", stderr);
      leave(EXIT_FAILURE);
    };
    Supervisor supervisor(options, sink_, clock_);
    TaskOptions policy;
    policy.stop_timeout = std::chrono::nanoseconds(order.at("stop_timeout_ns").get<std::int64_t>());
    supervisor.add(
        {order.at("task").get<std::string>(), tasks.make(factory, &factory, config_of(order), environment_), policy});
    supervisor.start();
    {
      const std::lock_guard lock(mutex_);
      supervisor_ = &supervisor;
      if (is_to_stop_) supervisor.request_stop({StopReason::request, false, {}, {}});
    }
    supervisor.wait();
    if (supervisor.abandoned_threads()) ::pause();  // the host knows how long it waits
    // The stop may have come before it was begun.
    if (!host().has_said_end) host().say(PacketKind::ended, static_cast<std::uint32_t>(Outcome::cancelled));
    std::fflush(nullptr);
    leave(EXIT_SUCCESS);
  }

  const pid_t parent_id_ = ::getppid();
  // A pidfd, out of the reach of plugins that close descriptors; -1: there is none.
  const Descriptor parent_ = [this] {
    const Descriptor parent(static_cast<int>(::syscall(SYS_pidfd_open, parent_id_, 0)));
    return Descriptor(parent.is_open() ? duplicate_out_of_reach(parent.get()) : -1);
  }();
  std::mutex mutex_;
  std::condition_variable has_order_;
  std::deque<Order> orders_;
  Supervisor* supervisor_ = nullptr;
  bool is_to_stop_ = false;

  PluginEnvironment environment_;
  std::shared_ptr<PluginLibrary> library_;
  std::size_t poll_stack_ = 0;
  std::size_t blocking_stack_ = 0;
  Passing sink_;
  SteadyClock clock_;
};

// A plugin has called exit(): no destructors run while its threads go on. quick_exit() runs none, and keeps its status.
void on_exit(std::optional<int> status) {
  std::fflush(nullptr);
  if (status) leave(*status);
}

int run() {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(channel_place, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
    std::fputs("taskhost-worker is started by taskhost, for tasks with \"isolation\": \"process\"\n", stderr);
    return 2;
  }
  // What a plugin prints is told even if it crashes then.
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  const int out_of_reach = duplicate_out_of_reach(channel_place);
  ::close(channel_place);
  if (out_of_reach < 0) return EXIT_FAILURE;
  host().open(Descriptor(out_of_reach));
  WakePort::on_lost_descriptor([] { leave_without_descriptors(); });
  set_exit_handler(on_exit);
  const CrashHandler crashes(nullptr);  // a worker says everything at once
  ignore_failed_writes();
  static Worker worker;  // its thread never ends
  return worker.run();
}

}  // namespace
}  // namespace taskhost

int main() { return taskhost::run(); }
