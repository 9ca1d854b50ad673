// The calls of the HTTP API, without the HTTP: from a route to an answer. Keeps the last snapshot of all tasks for a
// moment, so that a hundred pollers cost as much as one. For the thread of the control server.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/controlled_host.hpp"
#include "control/record_stream.hpp"
#include "control/route.hpp"

namespace taskhost {

struct ApiAnswer {
  unsigned status = 200;
  std::string_view type = "application/json";
  std::shared_ptr<const std::string> body;  // shared by all who get the same snapshot, and with those who still read it
  std::string_view allow{};                 // status 405
  std::unique_ptr<RecordStream> records{};  // then there is no body
  RecordFormat format = RecordFormat::json_lines;
  History* followed = nullptr;  // of records: wait for more of them in this history
  bool is_page = false;         // for browsers: it has a tag and a policy
};

// An operator's request that has been passed on: what has to become true.
struct ApiWait {
  std::string task;
  ApiCall call = ApiCall::start_task;
  std::uint64_t execution = 0;  // the one that there was before
};

// What the head of a request says about how records are wanted.
struct RecordHeaders {
  RecordFormat format = RecordFormat::json_lines;
  std::string_view last_event_id{};
};

class Api {
 public:
  using Clock = std::chrono::steady_clock;

  // `metrics_tasks`: how many tasks have series of their own.
  Api(ControlledHost& host, std::string name, std::size_t metrics_tasks);

  // `who` asks: for the log; `orders`: see HostStatus. For a call with ?wait, `wait` is set if the answer is to be
  // asked for again, by look.
  ApiAnswer answer(const Route& route, const std::string& who, std::string_view orders, std::optional<ApiWait>& wait);
  // The events or the log.
  ApiAnswer records(const Route& route, const RecordHeaders& headers);
  // Its answer if it is done; `is_last`: also if it is not.
  std::optional<ApiAnswer> look(const ApiWait& wait, bool is_last);

  static ApiAnswer problem(unsigned status, std::string_view message, std::string_view allow = {});

 private:
  ApiAnswer operated(const Route& route, const std::string& who, std::optional<ApiWait>& wait);
  ApiAnswer health(bool ready);
  ApiAnswer unknown_task(std::string_view name);
  ApiAnswer of_code(int code, std::string_view task);
  HostStatus host_status();
  std::int64_t wall_us(const TaskStatus& task) const noexcept;
  void look_at_clock() noexcept;
  void refresh_status();
  void refresh(bool with_shares = true);
  // Whoever was told what a task does now finds nothing older in the next snapshot.
  void outdate(const TaskReport& seen) noexcept;

  ControlledHost& host_;
  const std::string name_;
  const std::size_t metrics_tasks_;
  // The wall clock when the steady one was 0. It changes only if the wall clock was set, so that a moment looks the
  // same in each answer.
  std::int64_t clock_zero_us_;
  Clock::time_point stale_{};         // when the snapshot must be taken anew
  Clock::time_point status_stale_{};  // the same for status_, which is as new or newer
  bool has_shares_ = false;
  std::vector<TaskStatus> tasks_;
  HostStatus status_;
  std::shared_ptr<const std::string> tasks_json_;  // see ApiAnswer::body; null: not made of this snapshot yet
  std::shared_ptr<const std::string> metrics_;
};

}  // namespace taskhost
