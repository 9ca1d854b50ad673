// The process of an execution that lives elsewhere, or of several, whose tasks share it: how it ends, what it prints,
// and who is in it. Any thread, unless said otherwise.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taskhost/core/execution.hpp"
#include "worker/keeper.hpp"
#include "worker/output_lines.hpp"
#include "worker/protocol.hpp"

namespace taskhost {

class IsolatedProcess {
 public:
  // One of those that are in it.
  struct Member {
    Execution& execution;
    Waker waker = 0;
  };

  // Begins it, with this one in it, and with these ends of its first connection. `is_counted`: see WorkerProcess.
  // Throws std::system_error.
  IsolatedProcess(WorkerKeeper& keeper, bool is_counted, ChannelEnds first, const Member& member);
  IsolatedProcess(const IsolatedProcess&) = delete;
  IsolatedProcess& operator=(const IsolatedProcess&) = delete;

  Channel& first() noexcept { return first_; }
  const WorkerProcess& process() const noexcept { return *process_; }

  // One more, with the worker's end of a connection. False: the process is over, or about to be.
  bool enter(const Member& member, int connection);
  // Unless `is_gone`, so that nothing of it is left there, the process is killed. The last one takes it along.
  void leave(const Member& member, bool is_gone) noexcept;

  // Whether nobody else is in it, now.
  bool is_alone() const;

  // How it has ended, once it has and that could be told.
  std::optional<WorkerEnd> end();
  // Kills it for the sake of one that is in it.
  void kill(const Member& member) noexcept;
  // The task for whose sake it was killed, if that is another one; else "".
  std::string killed_for(const Member& member) const;

  // What it prints is read by one of them at a time, and logged as of its task. The others wait for that.
  bool is_reader(const Member& member) const noexcept { return reader_.load() == &member; }
  OutputLines& output() noexcept { return output_; }  // the reader's
  OutputLines& errors() noexcept { return errors_; }  // the reader's
  void hear_out() noexcept;                           // the reader's: there will be no more
  bool is_heard_out() const noexcept { return is_heard_out_.load(); }
  std::string last_error() const;  // the last line on stderr

 private:
  void kill_process() noexcept;

  WorkerKeeper& keeper_;
  Channel first_;
  const std::shared_ptr<WorkerProcess> process_ = std::make_shared<WorkerProcess>();

  mutable std::mutex mutex_;
  std::vector<const Member*> members_;
  std::optional<WorkerEnd> end_;
  std::string killed_for_;
  bool is_over_ = false;     // nobody enters any more
  bool is_to_kill_ = false;  // once it has been started
  std::atomic<const Member*> reader_;
  std::atomic<bool> is_heard_out_{false};
  mutable std::mutex last_error_mutex_;
  std::string last_error_;
  OutputLines output_;
  OutputLines errors_;
};

// Where the tasks that share a process find it. Any thread.
class SharedProcess {
 public:
  // The process that there is, or a new one. `ends`: of this one's connection, of which the host's stays there unless
  // it becomes the first of a new process. Throws std::system_error.
  std::shared_ptr<IsolatedProcess> enter(WorkerKeeper& keeper, bool is_counted, ChannelEnds& ends,
                                         const IsolatedProcess::Member& member);

 private:
  std::mutex mutex_;
  std::weak_ptr<IsolatedProcess> current_;
};

}  // namespace taskhost
