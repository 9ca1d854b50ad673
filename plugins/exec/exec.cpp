// Runs an ordinary program as a task: started without a shell, watched by descriptors alone, its output in the log.
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>

#include "lines.hpp"
#include "process.hpp"
#include "readiness.hpp"
#include "settings.hpp"
#include "taskhost/sdk/task.hpp"

namespace {

namespace sdk = taskhost::sdk;
using namespace exec;
using namespace std::chrono_literals;

constexpr std::size_t bytes_per_poll = 4096;  // of each stream; then other tasks have their turn
constexpr std::size_t polls_for_a_pipe = 16;  // for what one holds, unless somebody has made it larger
constexpr auto output_patience = 200ms;       // for what is still in the pipes after the end
constexpr auto held_interval = 100ms;         // between looks at what a debugger holds
constexpr auto connection_interval = 100ms;   // between attempts
constexpr auto connection_patience = 1s;      // of one attempt
constexpr std::size_t max_quoted_line = 200;  // bytes of the last words, in the message of a failure

class Program {
 public:
  explicit Program(sdk::Context context) : context_(context), settings_(read_settings(context)) {
    if (std::holds_alternative<Notified>(settings_.ready)) {
      notify_.emplace();
      settings_.environment.push_back("NOTIFY_SOCKET=" + notify_->name());
    }
    if (const auto* const address = std::get_if<Connected>(&settings_.ready)) connection_.emplace(*address);
    process_.emplace(settings_, output_.writing_end(), errors_.writing_end());
    output_.close_writing_end();
    errors_.close_writing_end();
    for (const int descriptor : {process_->descriptor(), output_.descriptor(), errors_.descriptor()}) {
      if (context_.watch(descriptor, TASKHOST_READABLE) != TASKHOST_OK) {
        throw sdk::Failure("the host can't watch the program's descriptors");
      }
    }
    if (notify_ && context_.watch(notify_->descriptor(), TASKHOST_READABLE) != TASKHOST_OK) {
      throw sdk::Failure("the host can't watch the socket of $NOTIFY_SOCKET");
    }
    context_.status("the program is process " + std::to_string(process_->id()));
    if (std::holds_alternative<Started>(settings_.ready)) context_.ready();
  }

  static void check(sdk::Context context) { read_settings(context); }

  sdk::PollResult poll() {
    if (context_.stop_requested() && !is_asked_to_stop_) ask_to_stop();
    // First the end, since what it has written and sent before is there by then.
    End end;
    if (!end_ && process_->take_end(end)) {
      end_ = end;
      context_.forget(process_->descriptor());
      give_up_at_ = context_.now() + output_patience;
    }
    if (notify_) notify_->take(context_, process_->id());
    const bool has_more_output = read(output_);
    const bool has_more = read(errors_) || has_more_output;
    if (end_) {
      const bool is_heard_out = output_.is_at_end() && errors_.is_at_end();
      const bool is_enough = !has_more || ++polls_since_end_ > polls_for_a_pipe;  // somebody may write for ever
      if (is_heard_out || (is_enough && context_.now() >= give_up_at_)) return conclude(*end_);
      context_.wake_at(give_up_at_);
    } else if (process_->is_held()) {
      context_.forget(process_->descriptor());
      context_.wake_after(held_interval);
    } else if (connection_) {
      try_connection();
    }
    if (has_more) return sdk::again;
    return sdk::pending;
  }

 private:
  void ask_to_stop() {
    is_asked_to_stop_ = true;
    const int error = process_->send(settings_.stop_signal);
    if (error == 0 || error == ESRCH) return;  // which says that it has ended
    context_.warning("it can't be asked to stop, nor be killed: " + std::generic_category().message(error));
  }

  // Returns whether there is more to read at once.
  bool read(Lines& lines) {
    if (lines.is_at_end()) return false;
    const bool has_more = lines.read(bytes_per_poll);
    if (lines.is_at_end()) {
      context_.forget(lines.descriptor());
      lines.finish();
    }
    return has_more;
  }

  void take_line(std::int32_t level, std::string_view line) {
    context_.log(level, line);
    const auto* const awaited = std::get_if<Printed>(&settings_.ready);
    if (awaited != nullptr && line.find(awaited->text) != std::string_view::npos) context_.ready();
  }

  void try_connection() {
    const sdk::Time now = context_.now();
    if (connection_->descriptor() >= 0 && now >= attempt_ends_at_) {
      context_.forget(connection_->descriptor());
      connection_->give_up();
    }
    const int before = connection_->descriptor();
    if (before < 0 && now < next_attempt_) return context_.wake_at(next_attempt_);
    if (before >= 0) context_.forget(before);
    if (connection_->has_succeeded()) {
      context_.ready();
      connection_.reset();
      return;
    }
    if (connection_->descriptor() >= 0) {
      if (before < 0) attempt_ends_at_ = now + connection_patience;
      context_.watch(connection_->descriptor(), TASKHOST_WRITABLE);
      return context_.wake_at(attempt_ends_at_);
    }
    next_attempt_ = now + connection_interval;
    context_.wake_at(next_attempt_);
  }

  sdk::PollResult conclude(const End& end) {
    output_.finish();
    errors_.finish();
    bool is_good = false;
    if (!end.is_status_lost && end.signal == 0) {
      for (const int status : settings_.ok_statuses) is_good = is_good || status == end.status;
    }
    if (is_asked_to_stop_) {
      const bool is_by_signal = end.signal == settings_.stop_signal || end.status == 128 + settings_.stop_signal;
      if (!is_good && !is_by_signal) context_.warning("asked to stop, it " + words_of(end));
      return sdk::done;
    }
    if (is_good) return sdk::done;
    std::string words = words_of(end);
    if (end.signal == SIGKILL) words += " from outside, perhaps for lack of memory";
    if (!last_error_.empty()) words += "; the last line on stderr: " + std::string(cut(last_error_, max_quoted_line));
    return sdk::failed(words);
  }

  static std::string words_of(const End& end) { return (end.signal != 0 ? "was " : "") + end.words(); }

  sdk::Context context_;
  Settings settings_;
  std::string last_error_;
  Lines output_{[this](std::int32_t level, std::string_view line) { take_line(level, line); }};
  Lines errors_{[this](std::int32_t level, std::string_view line) {
    if (!line.empty()) last_error_ = line;
    take_line(level, line);
  }};
  std::optional<NotifySocket> notify_;
  std::optional<ConnectionTest> connection_;
  std::optional<Process> process_;
  std::optional<End> end_;
  std::size_t polls_since_end_ = 0;  // that found more to read
  bool is_asked_to_stop_ = false;
  sdk::Time give_up_at_{};
  sdk::Time attempt_ends_at_{};
  sdk::Time next_attempt_{};
};

}  // namespace

TASKHOST_SDK_PLUGIN(sdk::factory<Program>("exec", "1.0", "runs an ordinary program"));
