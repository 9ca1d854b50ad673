#include "task_inquiries.hpp"

#include <boost/asio/post.hpp>
#include <memory>
#include <new>
#include <utility>

namespace taskhost {

namespace {

// Limits of what a shard answers in one turn, some 100 microseconds.
constexpr std::size_t reports_a_turn = 500;
constexpr std::size_t counts_a_turn = 10'000;

// Asks each of these shards for an answer in parts: part(shard, first, answer) adds what the tasks from `first` on add
// to it, and returns whether there are more.
template <class Answer, class Part>
std::shared_ptr<Inquiry<Answer>> ask_all(const std::vector<Shard*>& shards, std::size_t a_turn, Part part) {
  auto inquiry = std::make_shared<Inquiry<Answer>>(shards.size());  // shared: see Inquiry
  for (std::size_t i = 0; i < shards.size(); ++i) {
    shards[i]->ask([inquiry, i, shard = shards[i], part, a_turn, first = std::size_t{0}, answer = Answer()]() mutable {
      try {
        const bool more = part(*shard, first, answer);
        first += a_turn;
        if (more) return true;
        inquiry->answer(i, std::move(answer));
      } catch (const std::bad_alloc&) {
        // It counts as unanswered.
      }
      return false;
    });
  }
  return inquiry;
}

// What the coordinator knows of a task, with what only its shard does.
TaskReport together(TaskReport supervision, TaskReport report) {
  supervision.name = report.name;
  supervision.is_answered = report.is_answered;
  supervision.type = report.type;
  supervision.options = report.options;
  supervision.blocking = report.blocking;
  supervision.shard = report.shard;
  supervision.state_size = report.state_size;
  supervision.stalls = report.stalls;
  supervision.restarts = report.restarts;
  // They answer at slightly different moments.
  if (supervision.started_at != 0 && supervision.execution == report.execution) {
    supervision.stalled = report.stalled;
    supervision.status = std::move(report.status);
  }
  return supervision;
}

}  // namespace

std::vector<TaskReport> TaskInquiries::report(const std::vector<Shard*>& shards, std::optional<std::size_t> task,
                                              Time end) {
  std::vector<Shard*> asked = shards;
  if (task) asked = {shards[*task % shards.size()]};
  const std::size_t first_place = task ? *task / shards.size() : 0;
  const auto part = [task, first_place](Shard& shard, std::size_t first, std::vector<TaskReport>& reports) {
    const bool more = shard.report(first_place + first, task ? 1 : reports_a_turn, reports);
    return more && !task;
  };
  const auto supervision = ask_about_supervision(task);  // both at once, since the shards may use up all the time
  const auto answers = ask_all<std::vector<TaskReport>>(asked, reports_a_turn, part)->wait_until(end);
  const auto number_of = [&](std::size_t i) { return static_cast<unsigned>(task ? *task % shards.size() : i); };

  std::size_t count = 0;
  for (const Shard* shard : asked) count += shard->size();
  std::vector<TaskReport> reports(task ? 1 : count);
  const auto put = [&](TaskReport report, unsigned shard) {
    report.shard = shard;
    TaskReport& place = reports[task ? 0 : report.task];
    place = std::move(report);
  };
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (answers[i]) {
      for (const TaskReport& report : *answers[i]) put(report, number_of(i));
      continue;
    }
    asked[i]->for_each_name([&](std::size_t number, const char* name) {
      if (task && number != *task) return;
      put({.task = static_cast<std::uint32_t>(number), .name = name, .is_answered = false}, number_of(i));
    });
  }
  if (supervision == nullptr) return reports;
  auto known = std::move(supervision->wait_until(end)[0]);
  for (TaskReport& report : reports) {
    if (!known && coordinated_.is_coordinated(report.task)) report.is_answered = false;
  }
  for (TaskReport& one : known ? *known : std::vector<TaskReport>()) {
    TaskReport& report = reports[task ? 0 : one.task];
    report = together(std::move(one), std::move(report));
  }
  return reports;
}

// Null: there is nothing to ask.
std::shared_ptr<Inquiry<std::vector<TaskReport>>> TaskInquiries::ask_about_supervision(
    std::optional<std::size_t> task) {
  const bool concerned = task ? coordinated_.is_coordinated(static_cast<std::uint32_t>(*task)) : !coordinated_.empty();
  if (!concerned) return nullptr;
  auto inquiry = std::make_shared<Inquiry<std::vector<TaskReport>>>(1);  // shared: see Inquiry
  ask_coordinator([this, inquiry, task] {
    try {
      inquiry->answer(0, coordinated_.report(task));
    } catch (const std::bad_alloc&) {
      // It counts as unanswered.
    }
    return false;
  });
  return inquiry;
}

TaskCounts TaskInquiries::count(const std::vector<Shard*>& shards, Time end) {
  const auto part = [](Shard& shard, std::size_t first, TaskCounts& counts) {
    return shard.count(first, counts_a_turn, counts);
  };
  const auto supervision = std::make_shared<Inquiry<TaskCounts>>(1);  // shared: see Inquiry
  if (!coordinated_.empty()) {
    ask_coordinator([this, supervision] {
      TaskCounts answer;
      coordinated_.count(answer);
      supervision->answer(0, answer);
      return false;
    });
  }
  const auto answers = ask_all<TaskCounts>(shards, counts_a_turn, part)->wait_until(end);
  TaskCounts counts;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (answers[i]) {
      counts += *answers[i];
    } else {
      counts.unanswered += shards[i]->size() - shards[i]->coordinated();
    }
  }
  if (coordinated_.empty()) return counts;
  const auto answer = supervision->wait_until(end)[0];
  if (answer) {
    counts += *answer;
  } else {
    counts.unanswered += coordinated_.size();
  }
  return counts;
}

void TaskInquiries::ask_coordinator(Questions::Question question) {
  questions_.ask(std::move(question), [this] { boost::asio::post(control_, [this] { (void)questions_.answer(); }); });
}

}  // namespace taskhost
