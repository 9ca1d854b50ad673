// top: one loop that waits for keys, for news of the host, and for signals.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "operate/commands.hpp"
#include "operate/top_feed.hpp"
#include "operate/top_keys.hpp"
#include "operate/top_screen.hpp"

namespace taskhost {

namespace {

using Clock = std::chrono::steady_clock;

// Rings when the loop has something to do.
class Bell {
 public:
  Bell() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~Bell() { ::close(descriptor_); }
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  int descriptor() const noexcept { return descriptor_; }
  void hush() const {
    eventfd_t value = 0;
    ::eventfd_read(descriptor_, &value);
  }

 private:
  const int descriptor_;
};

// What handlers tell the loop.
std::atomic<int> bell_of_signals{-1};
std::atomic<int> ending_signal{0};
std::atomic<bool> has_to_stop{false};
std::atomic<bool> is_continued{false};
std::atomic<bool> is_resized{false};

void hear_signal(int number) {
  const int error = errno;
  if (number == SIGTSTP) {
    has_to_stop = true;
  } else if (number == SIGCONT) {
    is_continued = true;
  } else if (number == SIGWINCH) {
    is_resized = true;
  } else {
    ending_signal = number;
  }
  ::eventfd_write(bell_of_signals, 1);
  errno = error;
}

// Catches signals until its end. Those that are ignored remain so.
class HeardSignals {
 public:
  explicit HeardSignals(const Bell& bell) {
    bell_of_signals = bell.descriptor();
    sigset_t ours;
    ::sigemptyset(&ours);
    for (std::size_t at = 0; at < numbers.size(); ++at) {
      struct sigaction action {};
      action.sa_handler = hear_signal;
      ::sigemptyset(&action.sa_mask);
      // The second one ends this process even if the terminal takes no output.
      const bool is_repeated = numbers[at] == SIGTSTP || numbers[at] == SIGCONT || numbers[at] == SIGWINCH;
      action.sa_flags = is_repeated ? SA_RESTART : static_cast<int>(SA_RESETHAND);
      ::sigaction(numbers[at], nullptr, &before_[at]);
      if (before_[at].sa_handler != SIG_IGN) ::sigaction(numbers[at], &action, nullptr);
      ::sigaddset(&ours, numbers[at]);
    }
    ::pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);  // whatever mask was inherited
  }
  ~HeardSignals() {
    for (std::size_t at = 0; at < numbers.size(); ++at) ::sigaction(numbers[at], &before_[at], nullptr);
  }
  HeardSignals(const HeardSignals&) = delete;
  HeardSignals& operator=(const HeardSignals&) = delete;

 private:
  static constexpr std::array<int, 7> numbers = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
  std::array<struct sigaction, numbers.size()> before_{};
};

// As the terminal's Ctrl-Z wants it; returns when the process is continued.
void stop_here() {
  struct sigaction heard {};
  struct sigaction default_action {};
  default_action.sa_handler = SIG_DFL;
  ::sigemptyset(&default_action.sa_mask);
  ::sigaction(SIGTSTP, &default_action, &heard);
  ::raise(SIGTSTP);
  ::sigaction(SIGTSTP, &heard, nullptr);
}

class Top {
 public:
  Top(TopFeed& feed, TopScreen& screen, const Bell& bell) : feed_(feed), screen_(screen), bell_(bell) {}

  // Returns an exit status.
  int watch() {
    while (ending_signal == 0) {
      obey_signals();
      take_news();
      draw();
      std::array<pollfd, 2> waited{{{STDIN_FILENO, POLLIN, 0}, {bell_.descriptor(), POLLIN, 0}}};
      const int ready = ::poll(waited.data(), waited.size(), tick_ms);
      if (ready <= 0) continue;
      if (waited[1].revents != 0) bell_.hush();
      if ((waited[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) return operate_failed;  // nobody is there to read
      if (waited[0].revents != 0 && !obey_keys()) return 0;
    }
    return 0;
  }

 private:
  static constexpr int tick_ms = 1000;  // times are shown

  void obey_signals() {
    if (has_to_stop.exchange(false)) {
      screen_.leave();
      stop_here();
      is_continued = true;
    }
    if (is_continued.exchange(false)) screen_.come_back();
    if (is_resized.exchange(false)) screen_.adapt();
  }

  void take_news() {
    TopNews news = feed_.take();
    if (news.figures) figures_ = std::move(news.figures);
    unanswered_since_ = news.unanswered_since;
    if (state_.trouble.empty() && !news.trouble.empty()) state_.note.clear();  // of before
    state_.trouble = std::move(news.trouble);
    if (news.note.empty()) return;
    state_.note = std::move(news.note);
    state_.note_tone = news.note_tone;
  }

  void draw() {
    state_.width = screen_.width();
    state_.height = screen_.height();
    order_ = top_order(figures_->tasks, state_);
    keep_in_sight(state_, figures_->tasks, order_);
    const Clock::duration silence = unanswered_since_ ? Clock::now() - *unanswered_since_ : Clock::duration{};
    const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(silence).count();
    screen_.draw(top_screen(*figures_, order_, state_, static_cast<std::uint64_t>(silent)));
  }

  // All that were typed; each acts on what is seen. False: it is over.
  bool obey_keys() {
    bool has_any = false;
    while (const std::optional<TopKey> key = screen_.key()) {
      if (has_any) {  // the keys before may have changed the order
        order_ = top_order(figures_->tasks, state_);
        keep_in_sight(state_, figures_->tasks, order_);
      }
      has_any = true;
      const TopWish wish = press(state_, *key, *figures_, order_);
      if (wish.is_quit) return false;
      if (wish.is_redraw) screen_.redraw();
      feed_.look_at(state_.details_of);
      if (!wish.verb.empty()) feed_.order(wish.verb, wish.task);
      if (wish.is_refresh) feed_.hurry();
    }
    return true;
  }

  TopFeed& feed_;
  TopScreen& screen_;
  const Bell& bell_;
  TopState state_;
  std::shared_ptr<const TopFigures> figures_ = std::make_shared<const TopFigures>();
  std::vector<std::size_t> order_;
  std::optional<Clock::time_point> unanswered_since_;
};

}  // namespace

int watch_host(const OperateArguments& arguments) {
  require_screen();
  const HostPlace place = find_host(arguments.host);
  (void)RunningHost(place).get("/v1/host");  // what is wrong from the start is said as by other commands
  int status = 0;
  try {
    const Bell bell;
    const HeardSignals signals(bell);
    TopFeed feed(place, bell.descriptor());
    TopScreen screen;
    status = Top(feed, screen, bell).watch();
  } catch (const std::system_error& error) {
    throw Refusal(operate_failed, std::string("top needs a thread and two descriptors, which the system refuses (") +
                                      error.what() + "): raise ulimit -u or ulimit -n");
  }
  // Ctrl-C is a way to quit. Who sent another signal is to see that it did what it does to others.
  if (const int number = ending_signal; number != 0 && number != SIGINT) ::raise(number);
  return status;
}

}  // namespace taskhost
