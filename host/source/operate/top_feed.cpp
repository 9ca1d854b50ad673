#include "operate/top_feed.hpp"
#include "text/counted.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <exception>
#include <system_error>
#include <utility>

namespace taskhost {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto usual_interval = 1s;
constexpr auto quick_interval = 200ms;  // for a while after an order
constexpr auto quick_time = 3s;
constexpr int idle_share = 9;  // times as long as an answer took is the host left alone
constexpr auto stale_limit = 1s;
constexpr unsigned log_lines = 500;

TopFigures figures_of(RunningHost& host, const std::string& details_of) {
  TopFigures figures{.host = host.get("/v1/host"),
                     .tasks = {},
                     .details_of = details_of,
                     .task = nullptr,
                     .dependants = {},
                     .log = {}};
  Json tasks = host.tasks();
  if (!details_of.empty()) figures.dependants = dependants_of(tasks, details_of);
  figures.tasks.reserve(tasks.size());
  for (Json& task : tasks) {
    if (!details_of.empty() && text_field(task, "name") == details_of) figures.task = task;
    figures.tasks.push_back(top_task(std::move(task)));
  }
  if (details_of.empty() || figures.task.is_null()) return figures;
  try {
    const std::string target = "/v1/log?since=0&last=" + std::to_string(log_lines);
    host.read(target + "&task=" + percent_encoded(details_of), false, [&figures](const Json& record) {
      append_log(figures.log, record);
      return true;
    });
    figures.keeps_log = true;
  } catch (const Refusal& refusal) {
    if (refusal.status != operate_no_such) throw;
  }
  return figures;
}

bool is_same_host(const Json& left, const Json& right) {
  return text_field(left, "instance") == text_field(right, "instance") &&
         number_field(left, "pid") == number_field(right, "pid");
}

int new_eventfd() {
  const int descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (descriptor < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return descriptor;
}

}  // namespace

TopFeed::TopFeed(HostPlace place, int bell) : place_(std::move(place)), bell_(bell), interrupt_(new_eventfd()) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { serve(); });
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::close(interrupt_);
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TopFeed::~TopFeed() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  ::eventfd_write(interrupt_, 1);
  wishes_.notify_one();
  thread_.join();
  ::close(interrupt_);
}

void TopFeed::look_at(const std::string& task) {
  const std::lock_guard lock(mutex_);
  details_of_ = task;
}

void TopFeed::order(const std::string& verb, const std::string& task) {
  const std::lock_guard lock(mutex_);
  orders_.push_back({verb, task});
  wishes_.notify_one();
}

void TopFeed::hurry() {
  const std::lock_guard lock(mutex_);
  is_hurried_ = true;
  wishes_.notify_one();
}

TopNews TopFeed::take() {
  const std::lock_guard lock(mutex_);
  TopNews news = news_;
  news_.note.clear();
  return news;
}

void TopFeed::ring() const { ::eventfd_write(bell_, 1); }

void TopFeed::note(std::string words, Tone tone) {
  {
    const std::lock_guard lock(mutex_);
    news_.note = std::move(words);
    news_.note_tone = tone;
  }
  ring();
}

void TopFeed::give(const Order& order) {
  const RunningHost::Call answer = host_->call("POST", "/v1/tasks/" + percent_encoded(order.task) + '/' + order.verb);
  if (answer.is_good()) return note(order.task + ": asked to " + order.verb, Tone::good);
  note(order.verb + ' ' + order.task + ": " + host_->refusal_of(answer).what(), Tone::bad);
}

void TopFeed::ask_host(std::vector<Order>& orders, const std::string& details_of) {
  if (!host_) host_ = std::make_unique<RunningHost>(place_, interrupt_);
  for (; !orders.empty(); orders.erase(orders.begin())) give(orders.front());
  auto figures = std::make_shared<const TopFigures>(figures_of(*host_, details_of));
  const std::lock_guard lock(mutex_);
  if (news_.figures && !is_same_host(news_.figures->host, figures->host)) {
    const std::uint64_t process = number_field(figures->host, "pid").value_or(0);
    news_.note = "another host answers here now: process " + std::to_string(process);
    news_.note_tone = Tone::warning;
  }
  news_.figures = std::move(figures);
  news_.unanswered_since.reset();
  news_.trouble.clear();
}

void TopFeed::serve() {
  Clock::time_point next = Clock::now();
  Clock::time_point quick_until = next;
  std::unique_lock lock(mutex_);
  while (true) {
    wishes_.wait_until(lock, next, [this] { return is_over_ || is_hurried_ || !orders_.empty(); });
    if (is_over_) return;
    is_hurried_ = false;
    std::vector<Order> orders = std::exchange(orders_, {});
    const std::string details_of = details_of_;
    if (!news_.unanswered_since) news_.unanswered_since = Clock::now();
    lock.unlock();

    const bool has_orders = !orders.empty();
    const bool was_connected = host_ != nullptr;
    const Clock::time_point begin = Clock::now();
    Clock::duration idle{};
    std::string trouble;
    try {
      ask_host(orders, details_of);
      idle = (Clock::now() - begin) * idle_share;
    } catch (const std::exception& error) {
      trouble = error.what();
      host_.reset();
    }
    const Clock::time_point end = Clock::now();
    if (has_orders) quick_until = end + quick_time;
    next = end + std::max<Clock::duration>(idle, end < quick_until ? Clock::duration(quick_interval) : usual_interval);
    // A host closes connections that were not used for long, as when this process was stopped.
    const bool was_stale = was_connected && !trouble.empty() && !has_orders && end - begin < stale_limit;
    if (was_stale) next = end;
    lock.lock();
    if (!trouble.empty() && !was_stale) {
      news_.trouble = trouble;
      if (!orders.empty()) {
        news_.note = orders.front().verb + ' ' + orders.front().task;
        if (orders.size() > 1) news_.note.append(" and ").append(counted(orders.size() - 1, "other order"));
        news_.note.append(": ").append(trouble);
        news_.note_tone = Tone::bad;
      }
    }
    ring();
  }
}

}  // namespace taskhost
