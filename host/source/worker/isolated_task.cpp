#include "worker/isolated_task.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "taskhost/core/words.hpp"
#include "worker/protocol.hpp"

namespace taskhost {

namespace {

using Json = nlohmann::json;
using namespace std::chrono_literals;

constexpr unsigned packets_per_poll = 64;             // then other tasks have their turn
constexpr std::size_t bytes_per_poll = 4096;          // of each stream
constexpr unsigned polls_for_a_pipe = 16;             // for what one holds
constexpr Nanoseconds output_patience = 200'000'000;  // for what is still in the pipes after the end
constexpr Nanoseconds retry_interval = 20'000'000;    // of what the worker has no room for
constexpr Nanoseconds held_interval = 100'000'000;    // between looks at what a debugger holds
constexpr Nanoseconds end_patience = 1'000'000'000;   // for the process, once its execution is over
constexpr std::size_t max_quoted_line = 1000;         // bytes of the last words, in the message of a crash

// What the worker's own supervisor is given of the time to stop, so that it drops what is deaf before it is killed.
std::chrono::nanoseconds time_to_stop(std::chrono::nanoseconds whole) {
  return whole - std::min<std::chrono::nanoseconds>(whole / 10, 100ms);
}

// How an execution ended, as the worker tells it.
struct ToldEnd {
  Outcome outcome = Outcome::ok;
  std::string message;
};

class Connected {
 public:
  Connected(const WorkerEnvironment& environment, const IsolatedTask& task, Execution& execution)
      : environment_(environment), task_(task), execution_(execution), member_{execution, execution.waker()} {
    if (member_.waker == 0) throw std::bad_alloc();
    // All that takes descriptors, before others may be in it, too.
    const Descriptor load = document_of(load_order(environment, task.library, task.limits, false));
    const Descriptor start = document_of(Json{{"factory", task.factory},
                                              {"task", std::string(execution.task_name())},
                                              {"config", task.config},
                                              {"has_secrets", task.has_secrets},
                                              {"directory", task.directory},
                                              {"number", execution.number()},
                                              {"watched", task.is_watched},
                                              {"stop_timeout_ns", time_to_stop(task.stop_timeout).count()}});
    ChannelEnds ends = make_channel();
    const bool is_counted = task.limits.processes.has_value();
    if (task.shared != nullptr) {
      process_ = task.shared->enter(environment.keeper, is_counted, ends, member_);
      if (ends.host.is_open()) own_ = std::make_unique<Channel>(std::move(ends.host));
    } else {
      process_ = std::make_shared<IsolatedProcess>(environment.keeper, is_counted, std::move(ends), member_);
    }
    channel_ = own_ != nullptr ? own_.get() : &process_->first();
    try {
      order(PacketKind::load, load);
      order(PacketKind::start, start);
    } catch (...) {
      process_->leave(member_, false);
      throw;
    }
  }
  Connected(const Connected&) = delete;
  Connected& operator=(const Connected&) = delete;
  ~Connected() {
    task_.process->store(0);
    process_->leave(member_, is_gone_ || end_);
  }

  Status poll() {
    if (!is_watched_) {
      if (!process_->process().is_settled.load(std::memory_order_acquire)) {
        // Nobody else waits for it.
        return execution_.stop_requested() && task_.shared == nullptr ? Status::ok : Status::pending;
      }
      if (!process_->process().problem.empty()) return failed(process_->process().problem);
      watch();
    }
    if (!reads_ && process_->is_reader(member_)) begin_to_read();
    if (execution_.stop_requested() && !std::exchange(is_asked_, true)) is_stop_due_ = true;
    // First the end, since all that was said before is there by then.
    if (!end_) look_for_end();
    bool has_more = take_packets();
    if (reads_) {
      has_more = read(process_->output()) || has_more;
      has_more = read(process_->errors()) || has_more;
    }
    const bool is_enough =
        !has_more || ((end_ || is_gone_) && ++last_polls_ > polls_for_a_pipe);  // of who writes for ever
    if (is_gone_) {
      if (is_enough) return conclude();
    } else if (!end_ && has_ended(process_->process())) {
      look_for_end();  // it may have ended just now
      if (end_) return Status::again;
      // A debugger holds it: its descriptor is readable all the time.
      forget(process_->process().ended.get());
      execution_.wake_after(held_interval);
    } else if (!end_) {
      say_what_is_due();
      look_for_delay();
    } else {
      const bool is_late = is_enough && SteadyClock::read() >= give_up_at_;
      if (is_late || (is_heard_out() && is_deaf_)) return conclude();
      execution_.wake_at(give_up_at_);
    }
    return has_more ? Status::again : Status::pending;
  }

 private:
  static Descriptor document_of(const Json& order) { return make_document(order_text(order)); }

  // One that is gone by now, or could not be started, tells why at its end.
  void order(PacketKind kind, const Descriptor& document) const {
    if (channel_->send({kind, 0, {}}, false, document.get())) return;
    if (errno == EPIPE || errno == ECONNRESET) return;
    throw std::system_error(errno, std::generic_category(), "can't write to a worker");
  }

  Status failed(std::string_view text) {
    execution_.fail(text);
    return Status::error;
  }

  void watch() {
    is_watched_ = true;
    task_.process->store(process_->process().id);
    watch(process_->process().ended.get());
    watch(channel_->descriptor());
  }

  void begin_to_read() {
    reads_ = true;
    for (OutputLines* const lines : {&process_->output(), &process_->errors()}) {
      if (!lines->is_at_end()) watch(lines->descriptor());
    }
  }

  void watch(int descriptor) {
    if (execution_.watch(descriptor, readable, 0) == Refusal::none) return;
    throw std::runtime_error("the host can't watch a worker's descriptors");
  }
  void forget(int descriptor) { (void)execution_.watch(descriptor, 0, 0); }

  // Nothing more is heard.
  void turn_deaf() {
    if (!std::exchange(is_deaf_, true)) forget(channel_->descriptor());
  }

  void look_for_end() {
    end_ = process_->end();
    if (end_) {
      forget(process_->process().ended.get());
      give_up_at_ = SteadyClock::read() + output_patience;
    }
  }

  bool is_heard_out() const {
    return reads_ ? process_->output().is_at_end() && process_->errors().is_at_end() : process_->is_heard_out();
  }

  // A worker whose execution is over, or whose connection is closed, ends at once; or says that nothing is left.
  void look_for_delay() {
    if (!is_deaf_ && !told_end_) return;
    const Nanoseconds now = SteadyClock::read();
    if (over_since_ == 0) over_since_ = now;
    const Nanoseconds limit = over_since_ + end_patience;
    if (now < limit) return execution_.wake_at(limit);
    if (told_end_ && !std::exchange(is_killed_late_, true)) {
      execution_.log(LogLevel::warning, "its process did not end once the execution was over, and is killed");
      process_->kill(member_);
    } else if (!told_end_) {
      give_up("its connection to the host is closed (rule 5.1: descriptors that are not the plugin's own)");
    }
    // What a debugger holds, or the system, is looked at now and again.
    execution_.wake_after(held_interval);
  }

  // Kills it: what it does is no worker's doing.
  void give_up(std::string why) {
    if (nonsense_.empty()) nonsense_ = std::move(why);
    turn_deaf();
    process_->kill(member_);
  }

  // Returns whether there may be more.
  bool take_packets() {
    for (unsigned count = 0; count < packets_per_poll; ++count) {
      if (is_deaf_) return false;
      Packet packet;
      switch (channel_->receive(packet, false)) {
        case Channel::Received::nothing:
          return false;
        case Channel::Received::packet:
          if (take(packet)) break;
          [[fallthrough]];
        case Channel::Received::nonsense:
          if (!end_) {
            give_up(
                "it said what no worker says: the plugin writes to descriptors that are not its own (rule 5.1), or "
                "the worker is of another version than the library");
          }
          turn_deaf();
          return false;
        case Channel::Received::end:
          turn_deaf();
          return false;
      }
    }
    return true;
  }

  // False: it is not for a worker to say.
  bool take(const Packet& packet) {
    switch (packet.kind) {
      case PacketKind::log:
        if (packet.number > static_cast<std::uint32_t>(LogLevel::error)) return false;
        execution_.log(static_cast<LogLevel>(packet.number), packet.text);
        return true;
      case PacketKind::loaded:
        if (packet.number == 0) refusal_ = packet.text;
        return true;
      case PacketKind::cant_begin:
        refusal_ = packet.text;
        return true;
      case PacketKind::started:
        execution_.started();
        is_started_ = true;
        if (is_ready_) execution_.ready();
        return true;
      case PacketKind::ready:
        is_ready_ = true;
        if (is_started_) execution_.ready();
        return true;
      case PacketKind::heartbeat:
        execution_.heartbeat();
        is_heard_due_ = true;
        return true;
      case PacketKind::status:
        execution_.set_status(packet.text);
        return true;
      case PacketKind::wants:
        return subscribe(packet.number);
      case PacketKind::ended:
        if (packet.number > static_cast<std::uint32_t>(Outcome::cancelled) || told_end_) return false;
        told_end_ = {static_cast<Outcome>(packet.number), std::string(packet.text)};
        return true;
      case PacketKind::gone:
        if (task_.shared == nullptr) return false;
        is_gone_ = true;
        return true;
      case PacketKind::load:
      case PacketKind::check:
      case PacketKind::start:
      case PacketKind::join:
      case PacketKind::stop:
      case PacketKind::signals:
      case PacketKind::heard:
      case PacketKind::factory:
      case PacketKind::checked:
        return false;
    }
    return false;
  }

  bool subscribe(std::uint32_t wanted) {
    Signals* const signals = environment_.signals != nullptr ? *environment_.signals : nullptr;
    if (signals == nullptr || !signals->subscribe(execution_.waker(), wanted)) return false;
    subscribes_ = wanted != 0;
    return true;
  }

  // The worker may have no room, if it is stopped: then once more in a moment.
  void say_what_is_due() {
    if (is_deaf_) return;
    if (subscribes_) due_signals_ |= (*environment_.signals)->take(execution_.waker());
    if (is_stop_due_ && channel_->send({PacketKind::stop}, false)) is_stop_due_ = false;
    if (is_heard_due_ && channel_->send({PacketKind::heard}, false)) is_heard_due_ = false;
    if (due_signals_ != 0 && channel_->send({PacketKind::signals, due_signals_}, false)) due_signals_ = 0;
    if (is_stop_due_ || is_heard_due_ || due_signals_ != 0) execution_.wake_after(retry_interval);
  }

  // Returns whether there is more to read at once.
  bool read(OutputLines& lines) {
    if (lines.is_at_end()) return false;
    const bool has_more = lines.read(bytes_per_poll);
    if (lines.is_at_end()) {
      forget(lines.descriptor());
      lines.finish();
    }
    return has_more;
  }

  Status conclude() {
    if (reads_) {
      if (end_ || process_->is_alone()) {
        process_->output().finish();
        process_->errors().finish();
      }
      if (end_) process_->hear_out();
    }
    if (!refusal_.empty()) return failed(refusal_);
    if (!told_end_ || !is_orderly() || !nonsense_.empty()) {
      execution_.crashed(words_of_crash());
      return Status::error;
    }
    execution_.fail(told_end_->message);
    switch (told_end_->outcome) {
      case Outcome::ok:
      case Outcome::cancelled:
        return told_end_->message.empty() ? Status::ok : Status::error;
      case Outcome::panic:
        return Status::panic;
      case Outcome::error:
      case Outcome::crashed:
        return Status::error;
    }
    return Status::error;
  }

  // A status that somebody else has taken, or a death that was late, changes nothing about what was told.
  bool is_orderly() const {
    if (is_gone_ || is_killed_late_ || end_->is_status_lost) return true;
    return end_->signal == 0 && end_->status == 0;
  }

  std::string words_of_crash() const {
    if (!nonsense_.empty() || !end_) return with_last_error(nonsense_);
    if (const std::string other = process_->killed_for(member_); !other.empty() && end_->signal == SIGKILL) {
      return "its process was killed because of task '" + other + "', which shares it and did not end in time";
    }
    std::string words = end_->words();
    if (end_->signal == SIGKILL) words += " from outside, perhaps for lack of memory";
    if (told_end_) words += ", once its execution was over";
    return with_last_error(words);
  }

  std::string with_last_error(const std::string& words) const {
    const std::string last = process_->last_error();
    return last.empty() ? words : words + "; the last line on stderr: " + last.substr(0, max_quoted_line);
  }

  const WorkerEnvironment& environment_;
  const IsolatedTask& task_;
  Execution& execution_;
  const IsolatedProcess::Member member_;
  std::shared_ptr<IsolatedProcess> process_;
  std::unique_ptr<Channel> own_;  // null: the process's first is its own
  Channel* channel_ = nullptr;
  std::optional<WorkerEnd> end_;
  std::optional<ToldEnd> told_end_;
  std::string refusal_;   // why it could not begin
  std::string nonsense_;  // what it did that no worker does, so that it was killed
  std::uint32_t due_signals_ = 0;
  unsigned last_polls_ = 0;  // that found more to read
  Nanoseconds give_up_at_ = 0;
  Nanoseconds over_since_ = 0;
  bool is_killed_late_ = false;
  bool is_watched_ = false;
  bool reads_ = false;
  bool is_deaf_ = false;
  bool is_gone_ = false;
  bool is_asked_ = false;
  bool is_stop_due_ = false;
  bool is_heard_due_ = false;
  bool is_started_ = false;
  bool is_ready_ = false;
  bool subscribes_ = false;
};

class IsolatedRecipe final : public Recipe {
 public:
  IsolatedRecipe(const WorkerEnvironment& environment, IsolatedTask task)
      : Recipe(sizeof(State), alignof(State), false), environment_(environment), task_(std::move(task)) {}

  bool starts_later() const noexcept override { return true; }

  Status start(void* state, Execution& execution) const override {
    try {
      connected(state) = new Connected(environment_, task_, execution);
      return Status::ok;
    } catch (const std::system_error& error) {
      execution.fail(std::string("can't start a worker: ") + error.what());
      return Status::error;
    }
  }
  Status step(void* state, Execution&) const override { return connected(state)->poll(); }
  void drop(void* state) const override { delete std::exchange(connected(state), nullptr); }

 private:
  struct State {
    Connected* connected;
  };
  static Connected*& connected(void* state) noexcept { return static_cast<State*>(state)->connected; }

  const WorkerEnvironment& environment_;
  const IsolatedTask task_;
};

}  // namespace

TaskFn make_isolated(const WorkerEnvironment& environment, IsolatedTask task) {
  return TaskFn(std::make_shared<const IsolatedRecipe>(environment, std::move(task)));
}

nlohmann::json load_order(const WorkerEnvironment& environment, const std::string& library, const WorkerLimits& limits,
                          bool tells) {
  return Json{{"path", library},
              {"signals", environment.signals != nullptr && *environment.signals != nullptr},
              {"poll_stack", environment.poll_stack},
              {"blocking_stack", environment.blocking_stack},
              {"limits", limits_as_json(limits)},
              {"shared", !limits.process.empty()},
              {"host", ::getpid()},
              {"tells", tells}};
}

}  // namespace taskhost
