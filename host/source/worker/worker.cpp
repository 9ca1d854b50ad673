// The worker: loads plugins' libraries, says what they are, judges configs, and runs an execution, as its host asks; or
// several, for tasks that share it. It ends when the host does, whatever the plugins' code is doing: a thread that runs
// no such code waits for that.
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
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "plugin/config_check.hpp"
#include "plugin/library.hpp"
#include "plugin/plugin_task.hpp"
#include "system/crash_handler.hpp"
#include "system/exit_handler.hpp"
#include "system/failed_writes.hpp"
#include "system/own_descriptor.hpp"
#include "taskhost/core/supervisor.hpp"
#include "taskhost/core/system_failure.hpp"
#include "worker/connection.hpp"
#include "worker/limits.hpp"
#include "worker/protocol.hpp"

namespace taskhost {

namespace {

using Json = nlohmann::json;

constexpr int channel_place = 3;
constexpr int blind_interval_ms = 10;

int32_t poll_once_started(void* state, const taskhost_exec* exec) {
  Connection& host = Connection::of(exec);
  host.started();
  return host.factory.poll(state, exec);
}
int32_t run_once_started(void* state, const taskhost_exec* exec) {
  Connection& host = Connection::of(exec);
  host.started();
  return host.factory.run(state, exec);
}

// What the supervisor of an execution has to say goes to the host's.
class Passing final : public EventSink {
 public:
  explicit Passing(Connection& host) noexcept : host_(host) {}

  bool publish(Event&& event) noexcept override {
    switch (event.kind) {
      case EventKind::task_exited:
        host_.say(PacketKind::ended, static_cast<std::uint32_t>(event.outcome), event.message);
        break;
      case EventKind::task_stopped:
        host_.say(PacketKind::ended, static_cast<std::uint32_t>(Outcome::cancelled), event.message);
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
    host_.say(PacketKind::log, static_cast<std::uint32_t>(level), text);
  }

 private:
  Connection& host_;
};

// What those who share the process have in common. Any thread.
class Libraries {
 public:
  // The order `load`. Its facts stay.
  struct Loaded {
    std::shared_ptr<PluginLibrary> library;  // null: see `problem`
    std::string problem;
    std::string refusal;  // why nothing can be loaded here
  };

  explicit Libraries(pid_t host) noexcept : host_(host) {}

  Loaded load(const Json& order) {
    const auto path = order.at("path").get<std::string>();
    // One that is there does not wait for others, whose constructors may run for ever.
    if (auto known = find(path)) return {.library = std::move(known), .problem = {}, .refusal = {}};
    const std::lock_guard one_at_a_time(loading_mutex_);
    if (!std::exchange(is_set_up_, true)) set_up(order);
    if (!refusal_.empty()) return {.library = nullptr, .problem = {}, .refusal = refusal_};
    if (auto known = find(path)) return {.library = std::move(known), .problem = {}, .refusal = {}};
    PluginLibrary::Loading loading = PluginLibrary::load(path);
    renew_exit_handler();
    handle_failed_writes();
    if (loading.library != nullptr) {
      const std::lock_guard lock(mutex_);
      loaded_.emplace(path, loading.library);
    }
    return {.library = std::move(loading.library), .problem = std::move(loading.problem), .refusal = {}};
  }

  // Several executions may come; the process ends when the host says so.
  bool is_shared() const noexcept { return is_shared_.load(); }

  // As long as the process lives.
  void keep(std::shared_ptr<void> object) {
    const std::lock_guard lock(mutex_);
    kept_.push_back(std::move(object));
  }

 private:
  std::shared_ptr<PluginLibrary> find(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto known = loaded_.find(path);
    return known != loaded_.end() ? known->second : nullptr;
  }

  void set_up(const Json& order) {
    is_shared_ = order.at("shared").get<bool>();
    refusal_ = set_limits(order.at("limits"));
    if (!refusal_.empty()) return;
    if (order.at("host").get<pid_t>() != host_) leave_with_host(channel_place);  // it is gone
  }

  const pid_t host_;
  std::atomic<bool> is_shared_{false};
  std::mutex loading_mutex_;  // protects these:
  bool is_set_up_ = false;
  std::string refusal_;
  std::mutex mutex_;                                              // and this one the rest:
  std::map<std::string, std::shared_ptr<PluginLibrary>> loaded_;  // they stay, as in the host
  std::vector<std::shared_ptr<void>> kept_;
};

// A thread that is stuck may hold it.
void flush_unless_held(std::FILE* stream) noexcept {
  if (::ftrylockfile(stream) != 0) return;
  ::fflush_unlocked(stream);
  ::funlockfile(stream);
}

// What the host asks for on one connection, carried out on a thread of its own. The listening thread hands it over.
class Conversation final : public std::enable_shared_from_this<Conversation> {
 public:
  Conversation(Descriptor socket, bool is_first, Libraries& libraries) noexcept
      : host_(std::move(socket), is_first), libraries_(libraries), sink_(host_) {}

  Connection& host() noexcept { return host_; }

  void take(PacketKind kind, const Descriptor& document) {
    std::optional<Json> order = read_order(document);
    if (!order) leave(EXIT_FAILURE);
    const std::lock_guard lock(mutex_);
    orders_.push_back({kind, std::move(*order)});
    has_order_.notify_one();
  }

  // No more orders come.
  void close() {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    has_order_.notify_one();
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    is_to_stop_ = true;
    if (supervisor_ != nullptr) supervisor_->request_stop({StopReason::request, false, {}, {}});
  }

  // Until its execution is over. If the process is for that alone, it returns only if there was none.
  void serve() noexcept {
    try {
      carry_out_orders();
    } catch (const std::exception& error) {
      host_.say(PacketKind::cant_begin, 0, error.what());
    }
    for (std::FILE* const stream : {stdout, stderr}) flush_unless_held(stream);
    if (libraries_.is_shared()) host_.say(PacketKind::gone);
  }
  void cant_serve(const char* why) noexcept {
    host_.say(PacketKind::cant_begin, 0, why);
    host_.say(PacketKind::gone);
  }

 private:
  struct Order {
    PacketKind kind;
    Json document;
  };

  // Nothing: none comes any more.
  std::optional<Order> next() {
    std::unique_lock lock(mutex_);
    has_order_.wait(lock, [this] { return is_closed_ || !orders_.empty(); });
    if (orders_.empty()) return std::nullopt;
    Order order = std::move(orders_.front());
    orders_.pop_front();
    return order;
  }

  void carry_out_orders() {
    while (const std::optional<Order> order = next()) {
      switch (order->kind) {
        case PacketKind::load:
          load(order->document);
          break;
        case PacketKind::check:
          check(order->document);
          break;
        default:
          return run(order->document);
      }
    }
  }

  void load(const Json& order) {
    Libraries::Loaded loaded = libraries_.load(order);
    if (!loaded.refusal.empty()) return host_.say(PacketKind::cant_begin, 0, loaded.refusal);
    environment_.services = host_.services();
    host_.passes_signals = order.at("signals").get<bool>();
    poll_stack_ = order.at("poll_stack").get<std::size_t>();
    blocking_stack_ = order.at("blocking_stack").get<std::size_t>();
    library_ = std::move(loaded.library);
    if (library_ != nullptr && order.at("tells").get<bool>()) {
      for (const taskhost_factory& factory : library_->factories()) tell(factory);
    }
    host_.say(PacketKind::loaded, library_ != nullptr ? 1 : 0, loaded.problem);
  }

  void tell(const taskhost_factory& factory) {
    const auto text = [](const char* words) { return words != nullptr ? Json(words) : Json(); };
    const Json facts{{"name", factory.name},
                     {"version", text(factory.version)},
                     {"description", text(factory.description)},
                     {"blocking", factory.run != nullptr},
                     {"checks", factory.check != nullptr}};
    host_.say(PacketKind::factory, 0, facts.dump(-1, ' ', false, Json::error_handler_t::replace));
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
    const auto log = [this](LogLevel level, std::string_view text) {
      host_.say(PacketKind::log, static_cast<std::uint32_t>(level), text);
    };
    const auto problem =
        config_problem(factory_of(order), order.at("task").get<std::string>(), config_of(order), environment_, log);
    if (!problem) return host_.say(PacketKind::checked);
    const Json words{{"pointer", problem->pointer}, {"text", problem->text}, {"of_plugin", problem->is_of_plugin}};
    host_.say(PacketKind::checked, 0, words.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  void run(const Json& order) {
    if (library_ == nullptr) return;  // which has been told
    host_.factory = factory_of(order);
    taskhost_factory factory = host_.factory;
    if (factory.poll != nullptr) factory.poll = poll_once_started;
    if (factory.run != nullptr) factory.run = run_once_started;
    host_.is_watched = order.at("watched").get<bool>();
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
    if (supervisor.abandoned_threads() && libraries_.is_shared() && host_.has_said_end()) {
      libraries_.keep(shared_from_this());  // for its offloaded work, which may go on
    } else {
      while (supervisor.abandoned_threads()) ::pause();  // the host knows how long it waits
    }
    // The stop may have come before it was begun.
    if (!host_.has_said_end()) host_.say(PacketKind::ended, static_cast<std::uint32_t>(Outcome::cancelled));
    if (!libraries_.is_shared()) {
      std::fflush(nullptr);
      leave(EXIT_SUCCESS);
    }
    const std::lock_guard lock(mutex_);
    supervisor_ = nullptr;
  }

  Connection host_;
  Libraries& libraries_;
  std::mutex mutex_;
  std::condition_variable has_order_;
  std::deque<Order> orders_;
  Supervisor* supervisor_ = nullptr;
  bool is_to_stop_ = false;
  bool is_closed_ = false;

  PluginEnvironment environment_;
  std::shared_ptr<PluginLibrary> library_;
  std::size_t poll_stack_ = 0;
  std::size_t blocking_stack_ = 0;
  Passing sink_;
  SteadyClock clock_;
};

// If there is room.
Descriptor moved_out_of_reach(Descriptor low) noexcept {
  Descriptor high(duplicate_out_of_reach(low.get()));
  return high.is_open() ? std::move(high) : std::move(low);
}

// Descriptors for what the host sends, in case that a task has taken all others, but for the moments of its arrival.
class Spares {
 public:
  explicit Spares(const Descriptor& any) : any_(any) { take(); }
  void give() noexcept {
    for (Descriptor& one : spares_) one.close();
  }
  void take() noexcept {
    for (Descriptor& one : spares_) {
      if (!one.is_open()) one = Descriptor(duplicate_out_of_reach(any_.get()));
    }
  }

 private:
  const Descriptor& any_;
  std::array<Descriptor, 2> spares_;  // one comes, and is moved out of reach
};

class Worker {
 public:
  explicit Worker(Descriptor first) : first_(std::make_shared<Conversation>(std::move(first), true, libraries_)) {}

  int run() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &mask_);
    try {
      new_thread([this] { listen(); }).detach();
    } catch (const std::system_error& error) {
      first_->host().say(PacketKind::cant_begin, 0, error.what());
      return EXIT_FAILURE;
    }
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
    first_->serve();
    while (libraries_.is_shared()) ::pause();  // its host ends it
    return EXIT_FAILURE;
  }

 private:
  // A thread of its own, with all signals blocked.
  void listen() noexcept {
    ::pthread_setname_np(::pthread_self(), "th-host");
    std::vector<std::shared_ptr<Conversation>> all{first_};
    std::vector<pollfd> awaited;
    for (;;) {
      // So that one that is stopped goes on, and hears of the host's end: SIGKILL would be for this process alone. Of
      // this thread, which stays; again and again, because a change of the user clears it.
      ::prctl(PR_SET_PDEATHSIG, SIGCONT);
      // A process that the host has forked may keep the connection open: so its own end is awaited, too.
      awaited.assign({{.fd = parent_.get(), .events = POLLIN, .revents = 0}});
      for (const auto& one : all) {
        awaited.push_back({.fd = one->host().channel().descriptor(), .events = POLLIN, .revents = 0});
      }
      if (::poll(awaited.data(), awaited.size(), -1) < 0) {
        if (errno == EINTR) continue;
        if (errno != EINVAL) end();
        // A task has set RLIMIT_NOFILE to 0, or below their number: so all are looked at now and again.
        ::poll(nullptr, 0, blind_interval_ms);
        for (pollfd& one : awaited) one.revents = POLLIN;
        awaited[0].revents = ::getppid() == parent_id_ ? short{0} : short{POLLIN};
      }
      if (awaited[0].revents != 0) end();
      for (std::size_t i = all.size(); i-- > 0;) {
        if (awaited[i + 1].revents == 0 || hear(all, *all[i])) continue;
        if (i == 0) end();
        all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
  }

  [[noreturn]] void end() noexcept { leave_with_host(first_->host().channel().descriptor()); }

  // False: the connection is over.
  bool hear(std::vector<std::shared_ptr<Conversation>>& all, Conversation& one) {
    Packet packet;
    Descriptor document;
    spares_.give();
    const Channel::Received received = one.host().channel().receive(packet, false, &document);
    if (received == Channel::Received::nonsense && &one != first_.get()) {
      one.cant_serve("its process has no descriptor left for an order");
    }
    if (received != Channel::Received::packet && received != Channel::Received::nothing) one.close();
    const bool goes_on = received == Channel::Received::nothing ||
                         (received == Channel::Received::packet && carry_out(all, one, packet, std::move(document)));
    spares_.take();
    return goes_on;
  }

  bool carry_out(std::vector<std::shared_ptr<Conversation>>& all, Conversation& one, const Packet& packet,
                 Descriptor document) {
    switch (packet.kind) {
      case PacketKind::stop:
        one.stop();
        return true;
      case PacketKind::signals:
        one.host().signal(packet.number);
        return true;
      case PacketKind::heard:
        one.host().heard();
        return true;
      case PacketKind::load:
      case PacketKind::check:
      case PacketKind::start:
        one.take(packet.kind, document);
        return true;
      case PacketKind::join:
        join(all, std::move(document));
        return true;
      default:
        leave(EXIT_FAILURE);
    }
  }

  // One more execution, on a thread of its own.
  void join(std::vector<std::shared_ptr<Conversation>>& all, Descriptor socket) {
    Descriptor connection = moved_out_of_reach(std::move(socket));
    if (!connection.is_open()) return;  // its host hears that it is closed
    spares_.take();
    const auto joined = std::make_shared<Conversation>(std::move(connection), false, libraries_);
    all.push_back(joined);
    try {
      new_thread([this, joined] {
        ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
        joined->serve();
      }).detach();
    } catch (const std::system_error& error) {
      joined->cant_serve(error.what());
    }
  }

  const pid_t parent_id_ = ::getppid();
  // A pidfd, out of the reach of plugins that close descriptors; -1: there is none.
  const Descriptor parent_ = [this] {
    const Descriptor parent(static_cast<int>(::syscall(SYS_pidfd_open, parent_id_, 0)));
    return Descriptor(parent.is_open() ? duplicate_out_of_reach(parent.get()) : -1);
  }();
  Spares spares_{parent_};
  sigset_t mask_{};  // that it was started with
  Libraries libraries_{parent_id_};
  const std::shared_ptr<Conversation> first_;
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
  // Of this thread and all that it begets: no program that they start gets more rights.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return EXIT_FAILURE;
  // What a plugin prints is told even if it crashes then.
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  const int out_of_reach = duplicate_out_of_reach(channel_place);
  ::close(channel_place);
  if (out_of_reach < 0) return EXIT_FAILURE;
  WakePort::on_lost_descriptor([] { leave_without_descriptors(); });
  set_exit_handler(on_exit);
  const CrashHandler crashes(nullptr);  // a worker says everything at once
  ignore_failed_writes();
  static Worker worker{Descriptor(out_of_reach)};  // its threads never end
  return worker.run();
}

}  // namespace
}  // namespace taskhost

int main() { return taskhost::run(); }
