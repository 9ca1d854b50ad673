#include "task_inquiries.hpp"

#include <boost/asio/post.hpp>
#include <memory>
#include <new>
#include <utility>

namespace taskhost {

namespace {

// Limits of what a shard answers in one turn, some 20 microseconds.
constexpr std::size_t reports_a_turn = 100;
constexpr std::size_t counts_a_turn = 10'000;

// Asks each of these shards for an answer in parts, and waits for them: part(shard, first, answer) adds what the tasks
// from `first` on add to it, and returns whether there are more. A question ends with its asker.
template <class Answer, class Part>
std::vector<std::optional<Answer>> ask_all(const std::vector<Shard*>& shards, std::size_t a_turn, Part part,
                                           TaskInquiries::Time end) {
  const auto inquiry = std::make_shared<Inquiry<Answer>>(shards.size());  // shared: see Inquiry
  std::vector<std::optional<std::uint64_t>> numbers(shards.size());
  for (std::size_t i = 0; i < shards.size(); ++i) {
    numbers[i] = shards[i]->ask([asked = std::weak_ptr(inquiry), i, shard = shards[i], part, a_turn,
                                 first = std::size_t{0}, answer = Answer()]() mutable {
      const auto inquiry = asked.lock();
      if (inquiry == nullptr) return false;
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
    if (!numbers[i]) inquiry->leave_out();
  }
  auto answers = inquiry->wait_until(end);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (!answers[i] && numbers[i]) shards[i]->give_up_asking(*numbers[i]);
  }
  return answers;
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
  const bool is_supervised =
      task ? coordinated_.is_coordinated(static_cast<std::uint32_t>(*task)) : !coordinated_.empty();
  // Both at once, since the shards may use up all the time.
  AskedCoordinator<std::vector<TaskReport>> supervision;
  if (is_supervised) {
    supervision = ask_coordinator<std::vector<TaskReport>>([this, task] { return coordinated_.report(task); });
  }
  const auto answers = ask_all<std::vector<TaskReport>>(asked, reports_a_turn, part, end);
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
  if (!is_supervised) return reports;
  auto known = answer_of_coordinator(supervision, end);
  for (TaskReport& report : reports) {
    if (!known && coordinated_.is_coordinated(report.task)) report.is_answered = false;
  }
  for (TaskReport& one : known ? *known : std::vector<TaskReport>()) {
    TaskReport& report = reports[task ? 0 : one.task];
    report = together(std::move(one), std::move(report));
  }
  return reports;
}

template <class Answer, class Answering>
TaskInquiries::AskedCoordinator<Answer> TaskInquiries::ask_coordinator(Answering answering) {
  auto inquiry = std::make_shared<Inquiry<Answer>>(1);  // shared: see Inquiry
  const auto question = [asked = std::weak_ptr(inquiry), answering] {
    const auto inquiry = asked.lock();
    if (inquiry == nullptr) return false;
    try {
      inquiry->answer(0, answering());
    } catch (const std::bad_alloc&) {
      // It counts as unanswered.
    }
    return false;
  };
  const auto wake = [this] { boost::asio::post(control_, [this] { (void)questions_.answer(); }); };
  const std::optional<std::uint64_t> number = questions_.ask(question, wake);
  if (!number) inquiry->leave_out();
  return {std::move(inquiry), number};
}

template <class Answer>
std::optional<Answer> TaskInquiries::answer_of_coordinator(const AskedCoordinator<Answer>& asked, Time end) {
  std::optional<Answer> answer = std::move(asked.inquiry->wait_until(end)[0]);
  if (!answer && asked.number) questions_.give_up(*asked.number);
  return answer;
}

TaskCounts TaskInquiries::count(const std::vector<Shard*>& shards, Time end) {
  const auto part = [](Shard& shard, std::size_t first, TaskCounts& counts) {
    return shard.count(first, counts_a_turn, counts);
  };
  // Also if it knows of no tasks: whether it answers is a part of the answer.
  const auto supervision = ask_coordinator<TaskCounts>([this] {
    TaskCounts answer;
    if (!coordinated_.empty()) coordinated_.count(answer);
    return answer;
  });
  const auto answers = ask_all<TaskCounts>(shards, counts_a_turn, part, end);
  TaskCounts counts;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (answers[i]) {
      counts += *answers[i];
    } else {
      counts.unanswered += shards[i]->size() - shards[i]->coordinated();
      ++counts.silent_shards;
    }
  }
  if (const auto answer = answer_of_coordinator(supervision, end)) {
    counts += *answer;
  } else {
    counts.unanswered += coordinated_.size();
    counts.silent_control = true;
  }
  return counts;
}

}  // namespace taskhost
