// The composition root: manifest → plugins → tasks → supervisor, with log, events and signals. All wiring is here.
//
// The thread tags are those of taskhost.h, which is a thin layer over this class.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "admission.hpp"
#include "control/controlled_host.hpp"
#include "control/endpoint.hpp"
#include "control/server.hpp"
#include "control/service_notifier.hpp"
#include "events/event_log.hpp"
#include "events/history.hpp"
#include "events/log.hpp"
#include "plugin/embed_task.hpp"
#include "plugin/factory_rules.hpp"
#include "signals/delivery.hpp"
#include "system/crash_handler.hpp"
#include "task_index.hpp"
#include "task_register.hpp"
#include "taskhost/core/supervisor.hpp"

namespace taskhost {

struct HostOptions {
  bool handle_signals = false;
  bool name_crashes = false;
  bool notify_service_manager = false;  // as NOTIFY_SOCKET says
  unsigned shards = 0;                  // 0: the manifest's, or one for each processor
  std::uint64_t seed = 0;               // random seed for jitter; 0: the manifest's, or a different one each time
  std::vector<std::string> plugin_directories;
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::text;
  Log::Receiver log_receiver;
  std::string name;                      // empty: the manifest's, or that of its file
  std::optional<std::string> control{};  // path of the control socket; empty: the usual place; absent: none
  std::string listen;                    // address and port for the API; empty: none
  std::string listen_token_file;
};

// The error of a call: a TASKHOST_RESULT_* code and lines for the operator. 0 if there is none.
struct HostError {
  int code = 0;
  std::string text;
};

class Host final : private ControlledHost {
 public:
  explicit Host(HostOptions options);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // [owner] Before start.
  HostError load_file(const std::string& path);
  HostError load_text(std::string_view text, const std::string& directory);
  HostError load_directory(const std::string& path);
  // Adds one task for each name, or none at all; a null name means the factory's.
  HostError add(std::span<const char* const> names, const taskhost_factory& factory, std::string_view config,
                TaskOptions options, bool default_stop_timeout, const OwnRelation& relation);
  HostError subscribe(EventLog::Subscriber subscriber);
  std::size_t task_count() const noexcept { return tasks_admitted_; }

  // [owner] Before start: explains the supervision of the tasks.
  HostError explain(bool json, std::string& text);

  // [owner]
  HostError start();
  int wait();  // the exit status

  // [any thread, async-signal-safe]
  void request_stop() noexcept;
  // [any thread] A TASKHOST_RESULT_* code.
  int operate(std::string_view name, Operation operation) override;
  // [any thread but the host's own] What all tasks are doing, or the one with this name: a TASKHOST_RESULT_* code.
  // Takes a second at most.
  int describe(std::optional<std::string_view> name, std::vector<TaskStatus>& tasks, bool with_shares = true) override;
  HostStatus describe() override;
  // [any thread]
  int state() const noexcept;
  int status() const noexcept { return status_.load(std::memory_order_acquire); }

  // [owner]
  bool running() const noexcept { return started_ && !waited_; }
  bool started() const noexcept { return started_; }
  Log& log() noexcept { return *log_; }
  // [any thread] Writes what was logged and published, as far as its readers read; takes a second or two at most.
  void flush() noexcept;
  // Only the log, for a signal handler or a thread that has crashed; takes a second at most.
  void flush_in_handler() noexcept { log_->flush_in_handler(); }
  // After wait: whether threads of abandoned tasks, or of a subscriber, still use this object.
  bool must_stay() const noexcept { return must_stay_; }
  // Once stopped: whether code of a plugin still runs.
  bool left_behind() const noexcept { return left_behind_; }
  // For a host that must stay: restores the signals' former actions.
  void release_signals() {
    if (signals_) signals_->release();
  }
  // [any thread, async-signal-safe] Whether this is a child of the process that created the host, and so has none of
  // its threads.
  bool is_elsewhere() const noexcept { return !home_.is_here(); }

  // [owner] Loads a plugin outside of any manifest.
  PluginLibrary::Loading load_library(const std::string& path);

 private:
  HostError load(const Manifest& manifest, std::vector<Fault> faults);
  HostError read_and_load(const ManifestFile& file);
  std::vector<const PluginEnvironment*> environments_of(const std::vector<PluginSearch>& searches);
  HostError too_late(const char* advice) const;
  HostError relate(std::string_view name, const OwnRelation& own, TaskList::Relation& relation);
  TaskStatus status_of(TaskReport&& report) const;
  void stop(const std::string& who) override;
  bool has_task(std::string_view name) override { return index_.find(name, *supervisor_).has_value(); }
  History& kept_events() noexcept override { return *kept_events_; }
  History& kept_log() noexcept override { return *kept_log_; }
  void follow_events(bool follows) noexcept override;
  std::string_view instance() const noexcept override { return instance_; }
  void tell(std::string_view line, const char* task) noexcept override { log_->write(LogLevel::info, task, line); }
  void warn(std::string_view line) noexcept override { log_->write(LogLevel::warning, nullptr, line); }
  HostError open_control();
  HostError open_endpoint(const std::string& name, bool is_chosen);
  void start_control() noexcept;
  void close_control() noexcept;
  void open_notify_socket();
  void make_notifier();
  void end_notifier(int status) noexcept;
  void settle_stop_timeouts();
  unsigned shard_count() const;
  void make_supervisor();
  void announce();
  void listen_for_requests();
  bool take_signals();
  void tell_slow_code(const std::string& where);
  void tell_lost_signals();
  void look_after_signals(std::chrono::seconds after);
  void look_after_terminal();
  void on_signal(Signals::Fate fate, SignalHandler::Arrival arrival);

  const HostOptions options_;
  const HomeProcess home_;
  std::optional<History> kept_log_;  // with a control socket or an API on TCP
  std::optional<History> kept_events_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<EventLog> events_;
  SteadyClock clock_;
  PluginEnvironment environment_;
  std::map<std::string, PluginEnvironment> included_environments_;  // of other directories, by their paths
  WorkerKeeper keeper_;
  WorkerEnvironment workers_{.keeper = keeper_, .signals = &environment_.signals};
  PluginTasks own_tasks_;                        // for factories of the calling program
  const taskhost_factory* last_read_ = nullptr;  // the last of them and its content, shared by consecutive tasks
  FactoryReading last_reading_;

  bool loaded_ = false;
  Manifest manifest_;   // without its tasks once they are admitted
  TaskRegister tasks_;  // until the supervisor takes them
  std::atomic<std::size_t> tasks_admitted_{0};
  std::vector<std::shared_ptr<PluginLibrary>> libraries_;
  std::vector<std::shared_ptr<const void>> kept_;  // to what tasks' origins refer
  std::string manifest_path_;
  std::string name_;
  // Once it has started.
  TaskOrigins origins_;
  std::vector<std::string> group_names_;
  unsigned shard_count_ = 0;
  std::int64_t started_us_ = 0;  // microseconds since 1970
  Nanoseconds started_at_ = 0;
  std::string instance_;

  const int request_descriptor_;  // an eventfd: readable once a stop is requested
  std::unique_ptr<Supervisor> supervisor_;
  std::unique_ptr<boost::asio::posix::stream_descriptor> requests_;
  std::optional<CrashHandler> crashes_;
  std::unique_ptr<Signals> signals_;
  std::optional<boost::asio::steady_timer> signal_look_;
  std::optional<boost::asio::steady_timer> terminal_look_;
  TaskIndex index_;
  std::optional<ControlEndpoint> endpoint_;
  std::unique_ptr<ControlServer> control_;  // after what it asks
  std::optional<NotifySocket> notify_socket_;
  std::chrono::microseconds watchdog_{0};
  std::unique_ptr<ServiceNotifier> notifier_;
  bool started_ = false;
  bool start_failed_ = false;  // its tasks are gone
  bool waited_ = false;
  bool must_stay_ = false;
  bool left_behind_ = false;
  std::atomic<bool> running_{false};
  std::atomic<bool> stopped_{false};
  std::atomic<int> status_{0};
};

}  // namespace taskhost
