#include "host.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>

#include "events/event_json.hpp"
#include "manifest/file.hpp"
#include "plugin/config_check.hpp"
#include "plugin_exit.hpp"
#include "policy/explanation.hpp"
#include "policy/rules.hpp"
#include "system/last_words.hpp"
#include "system/own_descriptor.hpp"
#include "system/plugin_code.hpp"
#include "taskhost/core/system_failure.hpp"
#include "taskhost/core/wake_port.hpp"
#include "taskhost/taskhost.h"
#include "taskhost_version.hpp"
#include "text/counted.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace fs = std::filesystem;

namespace {

HostError manifest_error(const std::string& text) { return {TASKHOST_RESULT_BAD_MANIFEST, text}; }
HostError state_error(const std::string& text) { return {TASKHOST_RESULT_WRONG_STATE, text}; }

int new_eventfd() {
  open_standard_streams();
  const int descriptor = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (descriptor < 0) throw system_failure(errno, "eventfd2");
  return descriptor;
}

// Stands for "the manifest's default" until the host starts and knows that.
constexpr std::chrono::nanoseconds default_stop_timeout{-1};

constexpr std::chrono::seconds first_look{1};  // for whether the signals are still the host's
constexpr std::chrono::seconds last_look{3600};

bool is_json(std::string_view text) { return text.empty() || nlohmann::json::accept(text); }

// Applies the manifest's rules to the name of a task that the program adds. Empty if nothing is wrong.
std::string name_problem(std::string_view name) {
  if (name.empty() || name.size() > 128) return "a task's name must have 1 to 128 bytes";
  const auto is_plain = [](char byte) { return byte >= ' ' && byte < '\x7f'; };
  if (std::all_of(name.begin(), name.end(), is_plain)) return {};
  if (!is_utf8(name)) return "the name " + quoted_text(name) + " is not UTF-8";
  return has_control_character(name) ? "the name " + quoted_text(name) + " has control characters" : std::string();
}

std::string task_problem(std::string_view name, std::string_view config, const TaskOptions& options) {
  std::string problem;
  if (!is_json(config)) {
    problem = "its config is not JSON";
  } else if (const std::vector<PolicyProblem> problems = policy_problems(options); !problems.empty()) {
    problem = problems.front().message;
  }
  return !problem.empty() ? "task " + quoted_text(name) + ": " + problem : std::string();
}

// Only those who can be asked keep anything.
bool keeps(const HostOptions& options) { return options.control || !options.listen.empty(); }

}  // namespace

Host::Host(HostOptions options)
    : options_(std::move(options)),
      log_(std::make_unique<Log>(options_.log_level, options_.log_format, options_.log_receiver,
                                 keeps(options_) ? &kept_log_.emplace(Manifest{}.keep_log_lines) : nullptr)),
      events_(std::make_unique<EventLog>(*log_)),
      request_descriptor_(new_eventfd()) {
  environment_.directory = absolute_directory({});
  keep_stderr();
  guard_against_exit();
  WakePort::on_lost_descriptor(end_without_descriptors);
  if (options_.name_crashes) crashes_.emplace(flush_process_in_handler);
  add_to_last_flush(*this);
  open_notify_socket();
}

Host::~Host() {
  if (running()) {
    request_stop();
    wait();
  }
  close_control();
  if (!started_) end_notifier(TASKHOST_RESULT_WRONG_STATE);
  notifier_ = nullptr;
  signals_ = nullptr;
  signal_look_.reset();
  terminal_look_.reset();
  if (requests_) requests_->release();
  requests_ = nullptr;
  supervisor_ = nullptr;
  release_process(*this);
  remove_from_last_flush(*this);
  ::close(request_descriptor_);
}

HostError Host::load_file(const std::string& path) {
  const ManifestFile file = read_manifest_file(path);
  if (!file.problem.empty()) return manifest_error(printable_path(file.name) + ": " + file.problem);
  return read_and_load(file);
}

HostError Host::load_text(std::string_view text, const std::string& directory) {
  ManifestFile file;
  file.name = "manifest";
  file.directory = directory;
  file.text = text;
  return read_and_load(file);
}

HostError Host::read_and_load(const ManifestFile& file) {
  ManifestReading reading = read_manifest(file, SystemSurroundings());
  for (const Fault& warning : reading.warnings) log_->write(LogLevel::warning, nullptr, warning.text());
  if (!reading.readable) return manifest_error(lines_of(reading.faults));  // half a manifest would give wrong places
  // Load what could be read even if there are faults, so that the operator sees those of the plugins in the same run.
  return load(reading.manifest, std::move(reading.faults));
}

HostError Host::load_directory(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    const std::string why = error ? "it can't be read: " + error.message() : "it is not a directory";
    return manifest_error(printable_path(path) + ": " + why);
  }
  Manifest manifest;
  manifest.parts.front() = {.name = path, .directory = path, .plugin_dirs = {"."}, .included_by = 0};
  manifest.autoload = TaskOptions{.type = TaskType::detachable, .restarts = 3};
  HostError result = load(manifest, {});
  if (result.code == 0 && libraries_.empty()) {
    loaded_ = false;
    return manifest_error(printable_path(path) +
                          ": it contains no plugin (*.so); name a directory of plugins, or a manifest");
  }
  return result;
}

HostError Host::load(const Manifest& manifest, std::vector<Fault> faults) {
  if (HostError late = too_late("load a manifest before it does"); late.code != 0) return late;
  if (loaded_) return state_error("a manifest is already loaded; a host takes only one");
  std::error_code no_directory;
  if ((void)fs::current_path(no_directory); no_directory && manifest.parts.front().directory.is_relative()) {
    return manifest_error("can't determine the working directory: " + no_directory.message());
  }
  const std::vector<PluginSearch> searches = plugin_searches(manifest, options_.plugin_directories);
  environment_.directory = searches.front().manifest_directory.string();
  workers_.poll_stack = manifest.poll_stack_kib * 1024;
  workers_.blocking_stack = manifest.blocking_stack_kib * 1024;
  (void)take_signals();  // so that signals work during a slow load; if the host can't have them, its start reports that
  const std::vector<const PluginEnvironment*> environments = environments_of(searches);
  TaskRegister::Transaction transaction(tasks_);
  Admission admission = [&] {
    const SlowPluginCode slow([this](const std::string& words) { tell_slow_code(words); });
    return admit(manifest, searches, tasks_, environments, workers_);
  }();
  for (const Note& note : admission.notes) log_->write(note.level, nullptr, note.text);
  faults.insert(faults.end(), admission.manifest_faults.begin(), admission.manifest_faults.end());
  tell_lost_signals();
  const int code = faults.empty() ? TASKHOST_RESULT_BAD_PLUGIN : TASKHOST_RESULT_BAD_MANIFEST;
  faults.insert(faults.end(), admission.plugin_faults.begin(), admission.plugin_faults.end());
  if (!faults.empty()) return {code, lines_of(faults)};

  loaded_ = true;
  manifest_ = manifest;
  manifest_.tasks.clear();
  manifest_.relations.clear();
  manifest_path_ = manifest.parts.front().name;
  libraries_ = std::move(admission.libraries);
  kept_ = std::move(admission.kept);
  transaction.keep();
  tasks_admitted_ = tasks_.size();
  return {};
}

// One for each directory; that of the main part is the program's own, too.
std::vector<const PluginEnvironment*> Host::environments_of(const std::vector<PluginSearch>& searches) {
  std::vector<const PluginEnvironment*> environments;
  for (const PluginSearch& search : searches) {
    const std::string directory = search.manifest_directory.string();
    const bool is_main = directory == environment_.directory;
    environments.push_back(is_main ? &environment_ : &included_environments_[directory]);
    if (!is_main) included_environments_[directory] = {.signals = environment_.signals, .directory = directory};
  }
  return environments;
}

// Turns names into places; creates a new group.
HostError Host::relate(std::string_view name, const OwnRelation& own, TaskList::Relation& relation) {
  if (own.after.empty() && !own.group) return {};
  const std::string task = "task " + quoted_text(name) + ": ";
  for (const std::string& other : own.after) {
    const std::optional<std::size_t> place = tasks_.find(other);
    if (!place) return manifest_error(task + "no task " + quoted_text(other) + " was added before it");
    relation.after.push_back(static_cast<std::uint32_t>(*place));
  }
  if (!own.group) return {};
  relation.group = tasks_.find_group(*own.group);
  if (!relation.group && !own.strategy) {
    return manifest_error(task + "the group " + quoted_text(*own.group) + " is new and needs a strategy");
  }
  if (!relation.group) relation.group = tasks_.add_group(*own.group, *own.strategy);
  if (own.strategy && tasks_.strategy(*relation.group) != *own.strategy) {
    return manifest_error(task + "the group " + quoted_text(*own.group) + " already has another strategy, " +
                          std::string(to_string(tasks_.strategy(*relation.group))));
  }
  return {};
}

HostError Host::add(std::span<const char* const> names, const taskhost_factory& factory, std::string_view config,
                    TaskOptions options, bool wants_default_stop_timeout, const OwnRelation& own) {
  if (HostError late = too_late("add tasks before it does"); late.code != 0) return late;
  if (last_read_ != &factory) {
    last_read_ = nullptr;
    last_reading_ = read_factory(factory);
    if (!last_reading_.problem.empty()) return {TASKHOST_RESULT_BAD_PLUGIN, last_reading_.problem};
    last_read_ = &factory;
  }
  if (names.empty()) return {};
  const taskhost_factory read = last_reading_.factories.front();  // a copy, since a check may call us
  const auto name_of = [&read](const char* name) { return std::string_view(name != nullptr ? name : read.name); };
  const std::string_view first_name = name_of(names.front());
  if (auto problem = task_problem(first_name, config, options); !problem.empty()) return manifest_error(problem);
  const std::string first_task(first_name);
  const auto log = [&](LogLevel level, std::string_view text) { log_->write(level, first_task.c_str(), text); };
  if (const auto problem = config_problem(read, first_task, {config}, environment_, log)) {
    return manifest_error("the config of task " + quoted_text(first_name) +
                          (problem->pointer.empty() ? "" : " at " + problem->pointer) + ": " + problem->text);
  }
  if (wants_default_stop_timeout) options.stop_timeout = default_stop_timeout;

  TaskRegister::Transaction transaction(tasks_);
  TaskList::Relation relation;
  if (HostError error = relate(first_name, own, relation); error.code != 0) return error;
  const bool is_related = !relation.after.empty() || relation.group;
  const std::size_t first = tasks_.size();
  const TaskFn function = own_tasks_.make(read, &factory, {config}, environment_);
  if (names.size() > 1) tasks_.reserve(first + names.size());
  for (const char* given : names) {
    const std::string_view name = name_of(given);
    if (auto problem = name_problem(name); !problem.empty()) return manifest_error(problem);
    const auto place = tasks_.size() == first ? tasks_.add(name, function, options) : tasks_.add(name);
    if (!place) return manifest_error("two tasks are named " + quoted_text(name) + "; give each a name of its own");
    if (tasks_.size() == first + 1) tasks_.came_from(first, {.plugin = {}, .factory = factory.name});
    relation.task = static_cast<std::uint32_t>(*place);
    if (is_related) tasks_.relate(relation);
  }
  transaction.keep();
  tasks_admitted_ = tasks_.size();
  return {};
}

HostError Host::subscribe(EventLog::Subscriber subscriber) {
  constexpr std::size_t max_subscribers = 16;
  if (HostError late = too_late("subscribe before it does"); late.code != 0) return late;
  if (events_->subscriber_count() == max_subscribers) return manifest_error("a host takes at most 16 subscribers");
  events_->subscribe(std::move(subscriber));
  return {};
}

HostError Host::explain(bool json, std::string& text) {
  if (HostError late = too_late("call explain before it does"); late.code != 0) return late;
  ExplainedTasks explained{
      .tasks = tasks_.tasks(), .group_names = tasks_.group_names(), .shutdown_timeout = manifest_.shutdown_timeout};
  explained.default_stop_timeout = manifest_.default_stop_timeout;
  explained.blocking_threads = manifest_.blocking_threads;
  explained.now = SteadyClock::read();
  text = json ? explanation_json(explained) : explanation_text(explained);
  return {};
}

unsigned Host::shard_count() const {
  if (options_.shards != 0) return options_.shards;
  if (manifest_.shards) return *manifest_.shards;
  // One loop for each processor, but none that would have nothing to do.
  const unsigned processors = std::clamp(std::thread::hardware_concurrency(), 1u, max_shards);
  return std::max(1u, static_cast<unsigned>(std::min<std::size_t>(processors, tasks_.size())));
}

// For calls that are only possible before the start.
HostError Host::too_late(const char* advice) const {
  if (start_failed_) return state_error("the start of this host has failed; destroy it and create another one");
  return started_ ? state_error("the host has started; " + std::string(advice)) : HostError{};
}

HostError Host::start() {
  if (HostError late = too_late("it can be started only once"); late.code != 0) return late;
  if (!take_signals()) return state_error("another host already handles this process's signals; only one can");
  if (HostError error = open_control(); error.code != 0) {
    close_control();
    return error;
  }
  try {
    make_supervisor();
    events_->open();
  } catch (...) {
    // In this order, since they live on the supervisor's loop.
    notifier_ = nullptr;
    signals_ = nullptr;
    signal_look_.reset();
    terminal_look_.reset();
    if (requests_) requests_->release();
    requests_ = nullptr;
    supervisor_ = nullptr;  // the tasks are gone with it
    close_control();
    start_failed_ = true;
    release_process(*this);
    throw;
  }
  started_ = true;
  announce();
  running_.store(true, std::memory_order_release);
  supervisor_->start();
  if (notifier_) notifier_->begin();
  if (control_) start_control();
  return {};
}

// Keeps them from the first load until the host has stopped. False if another host has them.
bool Host::take_signals() {
  if (!options_.handle_signals || signals_) return true;
  if (!claim_process(*this)) return false;
  try {
    signals_ = std::make_unique<Signals>(
        [this] { return events_->stopping(); },
        [this](Signals::Fate fate, SignalHandler::Arrival arrival) { on_signal(fate, arrival); });
  } catch (...) {
    release_process(*this);
    throw;
  }
  environment_.signals = signals_.get();
  for (auto& [directory, environment] : included_environments_) environment.signals = signals_.get();
  return true;
}

PluginLibrary::Loading Host::load_library(const std::string& path) {
  const SlowPluginCode slow([this](const std::string& words) { tell_slow_code(words); });
  return PluginLibrary::load(path);
}

void Host::tell_slow_code(const std::string& where) {
  log_->write(LogLevel::warning, nullptr,
              "a plugin has been busy for 5 s " + where + ", and nothing goes on before it returns; to see what it " +
                  "waits for: gdb -p " + std::to_string(::getpid()));
}

void Host::tell_lost_signals() {
  if (!signals_) return;
  for (const std::string& text : SignalHandler::put_back()) log_->write(LogLevel::warning, nullptr, text);
}

// Less and less often, so that a host at rest is not woken.
void Host::look_after_signals(std::chrono::seconds after) {
  if (after > last_look) return;
  signal_look_.emplace(supervisor_->control(), after);
  signal_look_->async_wait([this, after](const boost::system::error_code& error) {
    if (error) return;
    tell_lost_signals();
    look_after_signals(after * 60);
  });
}

// A shell that exits may send SIGHUP to its jobs while they still have the terminal.
void Host::look_after_terminal() {
  terminal_look_.emplace(supervisor_->control(), first_look);
  terminal_look_->async_wait([this](const boost::system::error_code& error) {
    if (error || !SignalHandler::has_lost_terminal()) return;
    supervisor_->request_stop({StopReason::signal, false, {}, "SIGHUP: its terminal was closed"});
  });
}

// Everything that can fail, before anything is started.
void Host::make_supervisor() {
  SupervisorOptions options;
  options.shards = shard_count_ = shard_count();
  options.shutdown_timeout = manifest_.shutdown_timeout;
  options.stall_limit = manifest_.stall_limit;
  options.stall_threads = manifest_.stall_threads;
  options.blocking_threads = manifest_.blocking_threads;
  options.blocking_stack_size = manifest_.blocking_stack_kib * 1024;
  options.poll_stack_size = manifest_.poll_stack_kib * 1024;
  options.seed = options_.seed != 0 ? options_.seed : manifest_.seed;
  options.complete_events = events_->has_subscribers();
  options.no_memory = [this] { end_without_memory(*this); };
  if (notify_socket_) options.active = [this] { notifier_->poke(events_->stopping()); };
  open_standard_streams();  // the program may have closed them meanwhile, as daemons do
  supervisor_ = std::make_unique<Supervisor>(options, *events_, clock_);
  settle_stop_timeouts();
  if (notify_socket_) make_notifier();
  origins_ = tasks_.take_origins();
  group_names_ = tasks_.group_names();
  supervisor_->add(tasks_.take());
  if (options_.handle_signals) {
    signals_->deliver_all();  // what came during the load: then nothing is started
    signals_->listen(supervisor_->control());
    look_after_signals(first_look);
  }
  requests_ = std::make_unique<boost::asio::posix::stream_descriptor>(supervisor_->control(), request_descriptor_);
  listen_for_requests();
  supervisor_->prepare();
}

// For the program's own tasks that want the manifest's default.
void Host::settle_stop_timeouts() {
  tasks_.for_each_options([this](TaskOptions& task) {
    if (task.stop_timeout == default_stop_timeout) task.stop_timeout = manifest_.default_stop_timeout;
  });
}

void Host::announce() {
  started_us_ = now_us();
  started_at_ = clock_.now();
  instance_ = boost::uuids::to_string(boost::uuids::random_generator()());
  Event started;
  started.kind = EventKind::host_started;
  started.message = "taskhost " TASKHOST_VERSION ", " + counted(supervisor_->task_count(), "task");
  events_->publish(std::move(started));
  for (const auto& library : libraries_) events_->publish(PluginLoaded{library->name(), library->path()});
}

int Host::wait() {
  const WaitForHost waits;
  const HostResult result = supervisor_->wait();
  waited_ = true;
  if (signals_) signals_->close();  // but kept, because an abandoned task may still call in
  left_behind_ = supervisor_->abandoned_threads();
  must_stay_ = left_behind_;
  if (!events_->close()) must_stay_ = true;
  close_control();  // those who follow get the end, too
  log_->finish();
  end_notifier(static_cast<int>(result));
  release_process(*this);  // until then, an exit() of a plugin's thread is reported, and not taken for the end
  const int status = static_cast<int>(result);
  status_.store(status, std::memory_order_release);
  stopped_.store(true, std::memory_order_release);
  return status;
}

void Host::flush() noexcept {
  events_->flush();
  log_->finish();
}

void Host::request_stop() noexcept {
  if (is_elsewhere()) return;
  const std::uint64_t one = 1;
  const int kept = errno;  // this may be a signal handler
  [[maybe_unused]] const auto written = ::write(request_descriptor_, &one, sizeof one);
  errno = kept;
}

int Host::operate(std::string_view name, Operation operation) {
  if (state() != TASKHOST_STATE_RUNNING) return TASKHOST_RESULT_WRONG_STATE;
  const std::optional<std::size_t> task = index_.find(name, *supervisor_);
  if (!task) return TASKHOST_RESULT_UNKNOWN_TASK;
  supervisor_->operate(*task, operation);
  return TASKHOST_RESULT_OK;
}

int Host::state() const noexcept {
  if (stopped_.load(std::memory_order_acquire)) return TASKHOST_STATE_STOPPED;
  if (!running_.load(std::memory_order_acquire)) return TASKHOST_STATE_CREATED;
  return events_->stopping() ? TASKHOST_STATE_STOPPING : TASKHOST_STATE_RUNNING;
}

void Host::listen_for_requests() {
  requests_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                        [this](const boost::system::error_code& error) {
                          if (!error) supervisor_->request_stop({StopReason::request, false, {}, {}});
                        });
}

void Host::on_signal(Signals::Fate fate, SignalHandler::Arrival arrival) {
  const std::string name = signal_name(arrival.number);
  const std::string sender = arrival.sender != 0 ? ", from process " + std::to_string(arrival.sender) : std::string();
  const std::string aside = sender.empty() ? sender : sender + ",";
  switch (fate) {
    case Signals::Fate::taken_by_task:
      log_->write(LogLevel::info, nullptr, name + aside + " is passed to the tasks that subscribe to it");
      return;
    case Signals::Fate::unwanted:
      log_->write(LogLevel::info, nullptr, name + aside + " is ignored: no task wants it any more");
      return;
    case Signals::Fate::stop:
      supervisor_->request_stop({StopReason::signal,
                                 false,
                                 {},
                                 arrival.hangup ? "SIGHUP: its terminal was closed" : "signal " + name + sender});
      return;
    case Signals::Fate::reload:
      if (events_->stopping()) {
        log_->write(LogLevel::info, nullptr, name + aside + " is ignored: the host is stopping");
        return;
      }
      log_->write(LogLevel::warning, nullptr,
                  name + aside + " is kept for reloading, which this version can't do: restart the host to take a " +
                      "changed manifest, or stop it with SIGTERM");
      look_after_terminal();
      return;
    case Signals::Fate::stop_at_once:
      log_->write(LogLevel::error, nullptr, "a second signal, " + name + sender + ": stopping at once");
      if (!events_->stopping()) {
        supervisor_->request_stop({StopReason::signal, false, {}, "a second signal, " + name});
      }
      supervisor_->expire_stop();
      return;
  }
}

}  // namespace taskhost
