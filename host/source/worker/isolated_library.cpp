#include "worker/isolated_library.hpp"

#include <poll.h>
#include <sys/signal.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <system_error>

#include "system/plugin_code.hpp"
#include "taskhost/core/words.hpp"
#include "worker/output_lines.hpp"
#include "worker/protocol.hpp"

namespace taskhost {

namespace {

using Json = nlohmann::json;
using std::chrono::steady_clock;

constexpr std::chrono::seconds patience{60};
constexpr std::size_t bytes_at_once = 65536;
constexpr std::size_t max_lines = 1000;  // of what one call prints and logs

// Fields of what a worker says, which may be anything.
std::string text_in(const Json& facts, const char* field) {
  const auto found = facts.find(field);
  return found != facts.end() && found->is_string() ? found->get<std::string>() : std::string();
}
bool is_set_in(const Json& facts, const char* field) {
  const auto found = facts.find(field);
  return found != facts.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace

// One worker, and what it says.
struct IsolatedLibrary::Conversation {
  Conversation(const WorkerEnvironment& its_environment, bool is_counted, const Log& its_log)
      : environment(its_environment), log(&its_log) {
    process->is_counted = is_counted;
    ChannelEnds ends = make_channel();
    channel = std::make_unique<Channel>(std::move(ends.host));
    process->channel = std::move(ends.worker);
    process->output = output.take_writing_end();
    process->errors = errors.take_writing_end();
    environment.keeper.start_now(process);
  }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;
  ~Conversation() {
    channel->close();
    environment.keeper.bury(process);
  }

  // Sends an order, and gives each packet of the answer to `take`, until that returns true. Else says why not.
  template <class Take>
  std::string ask(PacketKind kind, const Json& document, Take take) {
    if (!process->problem.empty()) return process->problem;
    const steady_clock::time_point limit = steady_clock::now() + patience;
    // One that has ended shows below.
    (void)channel->send({kind, 0, {}}, true, make_document(order_text(document)).get());
    for (lines = 0;;) {
      if (steady_clock::now() >= limit) return "it has not returned within a minute";
      // First the end, since all that was said before is there by then: a child may keep the connection open.
      const bool has_died = has_ended(*process);
      Packet packet;
      switch (channel->receive(packet, false)) {
        case Channel::Received::packet:
          if (packet.kind == PacketKind::log && packet.number <= static_cast<std::uint32_t>(LogLevel::error)) {
            tell(static_cast<LogLevel>(packet.number), packet.text);
          } else if (packet.kind == PacketKind::cant_begin) {
            return std::string(packet.text);
          } else if (take(packet)) {
            drain();
            return {};
          }
          continue;
        case Channel::Received::nonsense:
          return "its worker said what no worker says: it writes to descriptors that are not its own (rule 5.1), or "
                 "the worker is of another version than the library";
        case Channel::Received::end:
          return words_of_end();
        case Channel::Received::nothing:
          if (has_died) return words_of_end();
          break;
      }
      drain();
      std::array<pollfd, 4> awaited{pollfd{.fd = channel->descriptor(), .events = POLLIN, .revents = 0},
                                    pollfd{.fd = process->ended.get(), .events = POLLIN, .revents = 0},
                                    pollfd{.fd = output_end(output), .events = POLLIN, .revents = 0},
                                    pollfd{.fd = output_end(errors), .events = POLLIN, .revents = 0}};
      ::poll(awaited.data(), awaited.size(), 1000);
    }
  }

  void tell(LogLevel level, std::string_view line) {
    if (++lines <= max_lines) (*log)(level, line);
    if (lines == max_lines + 1) (*log)(LogLevel::warning, "it says more than a thousand lines, which are left out");
  }

  static int output_end(const OutputLines& lines) { return lines.is_at_end() ? -1 : lines.descriptor(); }

  void drain() {
    (void)output.read(bytes_at_once);
    (void)errors.read(bytes_at_once);
  }

  // The connection is closed, so the process is about to end.
  std::string words_of_end() {
    const steady_clock::time_point limit = steady_clock::now() + std::chrono::seconds(2);
    std::optional<WorkerEnd> end;
    while (!(end = environment.keeper.take_end(*process)) && steady_clock::now() < limit) {
      drain();
      pollfd awaited{.fd = process->ended.get(), .events = POLLIN, .revents = 0};
      ::poll(&awaited, 1, 50);
    }
    drain();
    output.finish();
    errors.finish();
    process->is_reaped = end.has_value();
    if (!end) return "its worker has closed the connection";
    std::string words = "its process ended: it " + std::string(end->signal != 0 ? "was " : "") + end->words();
    if (!last_error.empty()) words += "; the last line on stderr: " + last_error;
    return words;
  }

  const WorkerEnvironment& environment;
  const Log* log;         // of the call
  std::size_t lines = 0;  // that this call has said
  std::string last_error;
  OutputLines output{[this](LogLevel level, std::string_view line) { tell(level, line); }};
  OutputLines errors{[this](LogLevel level, std::string_view line) {
    if (!line.empty()) last_error = line;
    tell(level, line);
  }};
  std::unique_ptr<Channel> channel;
  std::shared_ptr<WorkerProcess> process = std::make_shared<WorkerProcess>();
};

IsolatedLibrary::IsolatedLibrary(const WorkerEnvironment& environment, std::string path, const WorkerLimits& limits,
                                 const Log& log)
    : environment_(environment), path_(std::move(path)), limits_(limits), problem_(begin(log)) {}

IsolatedLibrary::~IsolatedLibrary() = default;

// With a worker of its own, which loads the library. Says why not.
std::string IsolatedLibrary::begin(const Log& log) {
  const PluginCodeMark mark(PluginCode::loading, path_.c_str());
  std::string refusal;
  std::vector<Factory> factories;
  const auto take = [&](const Packet& packet) {
    if (packet.kind == PacketKind::factory) {
      const Json facts = Json::parse(packet.text, nullptr, false);
      if (facts.is_object()) {
        factories.push_back({text_in(facts, "name"), text_in(facts, "version"), text_in(facts, "description"),
                             is_set_in(facts, "checks")});
      }
    }
    if (packet.kind == PacketKind::loaded && packet.number == 0) refusal = packet.text;
    return packet.kind == PacketKind::loaded;
  };
  try {
    worker_ = std::make_unique<Conversation>(environment_, limits_.processes.has_value(), log);
    std::string failure = worker_->ask(PacketKind::load, load_order(environment_, path_, limits_, true), take);
    if (failure.empty()) failure = refusal;
    if (failure.empty()) factories_ = std::move(factories);
    if (!failure.empty()) worker_ = nullptr;
    return failure;
  } catch (const std::system_error& error) {
    worker_ = nullptr;
    return std::string("can't start a worker: ") + error.what();
  }
}

std::optional<ConfigProblem> IsolatedLibrary::check(const std::string& factory, const std::string& task,
                                                    const PluginConfig& config, const std::string& directory,
                                                    const Log& log) {
  // After one that did not return, or died, another worker judges.
  if (worker_ == nullptr) {
    if (const std::string failure = begin(log); !failure.empty()) {
      return ConfigProblem{.pointer = {}, .text = failure, .is_of_plugin = true};
    }
  }
  const PluginCodeMark mark(PluginCode::checking, task.c_str());
  worker_->log = &log;
  const Json order{{"factory", factory},
                   {"task", task},
                   {"config", std::string(config.text)},
                   {"has_secrets", config.has_secrets},
                   {"directory", directory}};
  std::optional<ConfigProblem> found;
  std::string failure;
  try {
    failure = worker_->ask(PacketKind::check, order, [&](const Packet& packet) {
      if (packet.kind != PacketKind::checked) return false;
      const Json words = Json::parse(packet.text, nullptr, false);
      if (words.is_object()) {
        found = ConfigProblem{text_in(words, "pointer"), text_in(words, "text"), is_set_in(words, "of_plugin")};
      } else if (!packet.text.empty()) {
        found = ConfigProblem{.pointer = {}, .text = "the check refuses it, with a reason that is too long to be told"};
      }
      return true;
    });
  } catch (const std::system_error& error) {
    failure = error.what();
  }
  if (failure.empty()) return found;
  worker_ = nullptr;
  return ConfigProblem{.pointer = {}, .text = "the check: " + failure, .is_of_plugin = true};
}

}  // namespace taskhost
