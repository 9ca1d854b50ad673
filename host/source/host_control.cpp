// The host's control socket and its API on TCP.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <system_error>

#include "control/place.hpp"
#include "host.hpp"
#include "taskhost/core/system_failure.hpp"
#include "taskhost/taskhost.h"
#include "text/host_name.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

HostError wrong_option(const std::string& text) { return {TASKHOST_RESULT_BAD_MANIFEST, text}; }

// Since the token gives them the host, others must not be able to read it. A file of root's may be readable for its
// group as well: that is how Kubernetes (fsGroup) and systemd (LoadCredential) hand secrets to a user, and that user
// can't change it.
mode_t forbidden_mode(const struct stat& status) { return status.st_uid == 0 ? 037 : 077; }

// The file's first line.
std::string read_token(const std::string& path, std::string& problem) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  std::string text(4096, '\0');
  ssize_t size = -1;
  if (descriptor >= 0 && ::fstat(descriptor, &status) == 0) size = ::read(descriptor, text.data(), text.size());
  const int error = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (size < 0) {
    problem = "can't read the token file " + quoted_path(path) + ": " + std::generic_category().message(error);
    return {};
  }
  text.resize(static_cast<std::size_t>(size));
  text.resize(std::min(text.find_first_of("\r\n"), text.size()));
  constexpr std::size_t least = 16;
  if ((status.st_mode & forbidden_mode(status)) != 0) {
    problem = "others may read the token file " + quoted_path(path) + ": chmod 600 " + printable_path(path);
  } else if (text.size() < least || text.size() > 256) {
    problem = "the first line of the token file " + quoted_path(path) + " must have 16 to 256 bytes, and has " +
              std::to_string(text.size()) + ": head -c 32 /dev/urandom | base64 makes a good one";
  }
  const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (problem.empty() && !is_plain) {
    problem = "the first line of the token file " + quoted_path(path) +
              " must have visible ASCII characters only, without spaces: others can't be sent";
  }
  return problem.empty() ? text : std::string();
}

}  // namespace

// Everything that can be wrong with what was asked for is an error; what the system refuses is not: the tasks matter
// more.
HostError Host::open_control() {
  const bool is_chosen = !options_.name.empty() || !manifest_.name.empty();
  name_ = !options_.name.empty() ? options_.name : manifest_.name;
  if (!is_chosen) name_ = host_name_from(manifest_path_);
  if (const std::string problem = host_name_problem(name_); !problem.empty()) return wrong_option(problem);

  ControlServerOptions options;
  options.metrics_tasks = manifest_.metrics_tasks;
  if (!options_.listen.empty()) {
    options.listen = tcp_address(options_.listen);
    if (!options.listen) {
      return wrong_option("can't listen at " + quoted_text(options_.listen) +
                          ": give an address and a port, like 127.0.0.1:8080 or [::1]:8080");
    }
  }
  if (!options_.listen_token_file.empty()) {
    std::string problem;
    options.token = read_token(options_.listen_token_file, problem);
    if (!problem.empty()) return wrong_option(problem);
    if (!options.listen) return wrong_option("a token file is of use only with an address to listen at");
  }
  if (options_.control) {
    if (HostError error = open_endpoint(name_, is_chosen); error.code != 0) return error;
  }
  if (kept_log_) {
    kept_log_->set_capacity(manifest_.keep_log_lines);
    events_->keep(kept_events_.emplace(manifest_.keep_events));
  }
  options.control_descriptor = endpoint_ ? endpoint_->descriptor() : -1;
  options.name = name_;
  if (options.control_descriptor < 0 && !options.listen) return {};
  const bool listens = options.listen.has_value();
  try {
    control_ = std::make_unique<ControlServer>(static_cast<ControlledHost&>(*this), std::move(options));
    if (endpoint_) (void)endpoint_->release();
  } catch (const boost::system::system_error& error) {
    if (listens && is_refusal(error.code().value())) throw system_failure(error.code().value(), "socket");
    if (listens) return wrong_option("can't listen at " + options_.listen + ": " + error.code().message());
    endpoint_.reset();
    log_->write(LogLevel::warning, nullptr, std::string("there is no control socket: ") + error.what());
  }
  return {};
}

HostError Host::open_endpoint(const std::string& name, bool is_chosen) {
  using Failure = ControlEndpoint::Failure;
  endpoint_.emplace();
  const bool at_usual_place = options_.control->empty();
  const auto open = [&](const std::string& as) {
    return at_usual_place ? endpoint_->open_in(control_directory(), as) : endpoint_->open_at(*options_.control);
  };
  Failure failure = open(name);
  if (failure == Failure::taken && at_usual_place && !is_chosen) {
    // Nobody has asked for this name, so it is no reason not to run.
    log_->write(LogLevel::debug, nullptr,
                endpoint_->problem() + ": this host is named " + name + "-" + std::to_string(::getpid()) +
                    "; --name gives it another name");
    name_ = name + "-" + std::to_string(::getpid());
    failure = open(name_);
  }
  if (failure == Failure::none) return {};
  std::string problem = endpoint_->problem();
  endpoint_.reset();
  if (failure == Failure::taken) {
    return wrong_option(problem + ": stop it, or give this host another name with --name or \"name\"");
  }
  log_->write(LogLevel::warning, nullptr,
              "there is no control socket: " + problem +
                  (at_usual_place ? " (--control PATH makes it elsewhere, off none)" : ""));
  return {};
}

void Host::start_control() noexcept {
  try {
    control_->start();
    if (endpoint_) log_->write(LogLevel::debug, nullptr, "the control socket is " + printable_path(endpoint_->path()));
    if (!control_->tcp_address().empty()) {
      log_->write(LogLevel::info, nullptr, "the API is at http://" + control_->tcp_address());
    }
  } catch (const std::exception& error) {
    close_control();
    log_->write(LogLevel::warning, nullptr, "nobody answers at the control socket:");
    log_->write(LogLevel::warning, nullptr, error.what());
  }
}

void Host::close_control() noexcept {
  control_ = nullptr;
  endpoint_.reset();
}

// Only while somebody follows does a storm's each event cost something.
void Host::follow_events(bool follows) noexcept {
  events_->set_complete(follows);
  supervisor_->set_complete_events(follows || events_->has_subscribers());
}

void Host::stop(const std::string& who) { supervisor_->request_stop({StopReason::request, false, {}, who}); }

}  // namespace taskhost
