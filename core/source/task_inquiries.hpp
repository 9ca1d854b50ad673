// Asks shards and the coordinator what their tasks are doing, and puts the answers together. Any thread but theirs; the
// tasks must have been made.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "coordinated_tasks.hpp"
#include "inquiry.hpp"
#include "questions.hpp"
#include "shard.hpp"

namespace taskhost {

class TaskInquiries {
 public:
  using Time = std::chrono::steady_clock::time_point;

  TaskInquiries(boost::asio::io_context& control, CoordinatedTasks& coordinated)
      : control_(control), coordinated_(coordinated) {}

  // Task i is on shard i modulo their number. Both throw std::bad_alloc. Whoever let a former asker wait in vain, and
  // has not looked since, is not waited for.
  std::vector<TaskReport> report(const std::vector<Shard*>& shards, std::optional<std::size_t> task, Time end);
  TaskCounts count(const std::vector<Shard*>& shards, Time end);

  // [control thread] At the very end.
  void close() { questions_.close(); }

 private:
  template <class Answer>
  struct AskedCoordinator {
    std::shared_ptr<Inquiry<Answer>> inquiry;  // shared: see Inquiry
    std::optional<std::uint64_t> number;       // absent: it was not asked
  };
  template <class Answer, class Answering>
  AskedCoordinator<Answer> ask_coordinator(Answering answering);
  template <class Answer>
  std::optional<Answer> answer_of_coordinator(const AskedCoordinator<Answer>& asked, Time end);

  boost::asio::io_context& control_;
  CoordinatedTasks& coordinated_;
  Questions questions_;
};

}  // namespace taskhost
