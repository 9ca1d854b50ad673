#include "coordinated_tasks.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <set>
#include <utility>

namespace taskhost {

CoordinatedTasks::CoordinatedTasks(boost::asio::io_context& control, EventSink& sink, const Clock& clock,
                                   bool complete_events, Owner owner)
    : control_(control),
      sink_(sink),
      clock_(clock),
      complete_events_(complete_events),
      owner_(std::move(owner)),
      timer_(control) {}

void CoordinatedTasks::plan(const TaskList& tasks, std::uint64_t seed) {
  std::set<std::uint32_t> chosen;
  for (const TaskList::Relation& relation : tasks.relations) {
    chosen.insert(relation.task);
    chosen.insert(relation.after.begin(), relation.after.end());
  }
  std::vector<CoordinatedTask> list;
  for (const std::uint32_t index : chosen) {
    places_.emplace(index, static_cast<Place>(list.size()));
    list.push_back({tasks.options(index), {}, {}});
    members_.push_back({index, nullptr, nullptr});
  }
  for (const TaskList::Relation& relation : tasks.relations) {
    CoordinatedTask& task = list[places_.at(relation.task)];
    task.group = relation.group;
    for (const std::uint32_t other : relation.after) task.after.push_back(places_.at(other));
  }
  coordinator_ = std::make_unique<Coordinator>(std::move(list), tasks.groups, seed, *this);
}

void CoordinatedTasks::made(std::uint32_t index, Shard& shard, TaskCell& cell) {
  Member& member = members_[places_.at(index)];
  member.shard = &shard;
  member.cell = &cell;
}

void CoordinatedTasks::begin() {
  coordinator_->begin(clock_.now());
  after_input();
}

// --- facts -----------------------------------------------------------------------------------------------------------

template <class Fact>
void CoordinatedTasks::post_fact(std::uint32_t index, Fact fact) {
  boost::asio::post(control_, [this, index, fact = std::move(fact)]() mutable {
    fact(places_.at(index));
    after_input();
  });
}

void CoordinatedTasks::begun(std::uint32_t index) {
  post_fact(index, [this](Place task) { coordinator_->begun(task, clock_.now()); });
}
void CoordinatedTasks::started(std::uint32_t index) {
  post_fact(index, [this](Place task) { coordinator_->started(task, clock_.now()); });
}
void CoordinatedTasks::step_ended(std::uint32_t index) {
  post_fact(index, [this](Place task) { coordinator_->step_ended(task); });
}

void CoordinatedTasks::ready(std::uint32_t index) {
  post_fact(index, [this](Place task) { coordinator_->said_ready(task, clock_.now()); });
}
void CoordinatedTasks::ended(std::uint32_t index, End end) {
  post_fact(index, [this, end = std::move(end)](Place task) { coordinator_->ended(task, end, clock_.now()); });
}

void CoordinatedTasks::after_input() {
  const Nanoseconds now = clock_.now();
  const bool ends = coordinator_->idle();
  if (ends ? log_gate_.holds_back() : log_gate_.refill(now)) sink_.summarize(log_gate_.take(now));
  const Nanoseconds deadline = std::min(coordinator_->next_deadline(), log_gate_.next_deadline());
  if (deadline < armed_) {
    armed_ = deadline;
    constexpr auto last = static_cast<Nanoseconds>(std::chrono::nanoseconds::max().count());
    timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(std::min(deadline, last))));
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      armed_ = never;
      coordinator_->advance(clock_.now());
      after_input();
    });
  }
  if (owner_.active) owner_.active();
  if (ends) owner_.changed();
}

void CoordinatedTasks::begin_stop() {
  coordinator_->begin_stop(clock_.now());
  after_input();
}

void CoordinatedTasks::expire_stop() {
  coordinator_->expire_stop(clock_.now());
  after_input();
}

void CoordinatedTasks::give_up(const Shard& shard) {
  for (Place task = 0; task < members_.size(); ++task) {
    if (members_[task].shard != &shard) continue;
    coordinator_->ended(task, {Ending::abandoned, Outcome::cancelled, "its shard is stuck", 0, 0}, clock_.now());
  }
  after_input();
}

bool CoordinatedTasks::live_on(const Shard& shard) const {
  for (Place task = 0; task < members_.size(); ++task) {
    if (members_[task].shard == &shard && coordinator_->is_live(task)) return true;
  }
  return false;
}

std::string CoordinatedTasks::held_up_by(std::uint32_t index) const {
  const auto found = places_.find(index);
  if (found == places_.end()) return {};
  constexpr std::size_t max_named = 8;
  constexpr std::size_t max_counted = 1000;  // so that reports of many stragglers don't each count all tasks
  const std::vector<Place> places = coordinator_->held_up_by(found->second, max_counted);
  std::string names;
  for (std::size_t i = 0; i < std::min(places.size(), max_named); ++i) {
    names += (names.empty() ? "'" : ", '") + std::string(members_[places[i]].cell->name()) + "'";
  }
  if (places.size() > max_named) {
    names += places.size() == max_counted ? " and at least " : " and ";
    names += std::to_string(places.size() - max_named) + " more";
  }
  return names;
}

bool CoordinatedTasks::was_held_up(std::uint32_t index) const {
  const auto found = places_.find(index);
  return found != places_.end() && coordinator_->was_held_up(found->second);
}

std::vector<TaskReport> CoordinatedTasks::report(std::optional<std::size_t> task) {
  const Place first = task ? places_.at(static_cast<std::uint32_t>(*task)) : 0;
  std::vector<TaskReport> reports(task ? 1 : members_.size());
  for (Place i = 0; i < reports.size(); ++i) {
    reports[i].task = members_[first + i].index;
    coordinator_->report(first + i, clock_.now(), reports[i]);
    for (std::uint32_t& other : reports[i].after) other = members_[other].index;
    for (std::uint32_t& other : reports[i].waits_for) other = members_[other].index;
  }
  return reports;
}

void CoordinatedTasks::operate(std::uint32_t index, Operation operation) {
  const Place task = places_.at(index);
  coordinator_->operate(task, operation, clock_.now());
  if (members_[task].is_lost && coordinator_->state(task) != TaskState::ended) {
    members_[task].is_lost = false;
    --lost_;
  }
  after_input();
}

// --- orders and news -------------------------------------------------------------------------------------------------

void CoordinatedTasks::start(Place task, std::optional<std::uint32_t> remaining) {
  const Member& member = members_[task];
  member.shard->post([shard = member.shard, cell = member.cell, remaining] { shard->order_start(*cell, remaining); });
}

void CoordinatedTasks::ask(Place task) {
  const Member& member = members_[task];
  member.shard->post([shard = member.shard, cell = member.cell] { shard->order_stop(*cell); });
}

void CoordinatedTasks::tell(const TaskNews& news) {
  Member& member = members_[news.task];
  if (news.kind == EventKind::task_discarded && is_lost(news) && !std::exchange(member.is_lost, true)) ++lost_;
  const bool for_log = log_gate_.admit(news, member.cell->name(), coordinator_->host_stops());
  if (!for_log && !complete_events_.load(std::memory_order_relaxed)) return;
  Event event = event_of(TaskNews(news), *member.cell, owner_.id_of(member.index), for_log);
  if (news.because) {
    const std::string other = "task '" + std::string(members_[*news.because].cell->name()) + "'";
    event.message = news.reason == StopReason::group ? other + " of its group gave up"
                                                     : other + ", which it comes after, has ended";
  }
  sink_.publish(std::move(event));
}

void CoordinatedTasks::stop_host(Place task, StopReason reason, bool failure, std::string_view message) {
  owner_.stop_host({reason, failure, members_[task].cell->name(), std::string(message)});
}

Nanoseconds CoordinatedTasks::last_heartbeat(Place task) {
  return members_[task].cell->supervised()->heartbeat.load(std::memory_order_relaxed);
}

}  // namespace taskhost
