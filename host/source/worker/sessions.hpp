// Sessions of processes. A worker leads one, in which is all that it has started, unless that made one of its own.
#pragma once

#include <sys/types.h>

#include "worker/descriptor.hpp"

namespace taskhost {

class Sessions {
 public:
  // Keeps a descriptor, so that it needs none later.
  Sessions() noexcept;

  // Kills with SIGKILL all of the session but its leader, which has not been reaped: else its number may be anybody's.
  // Does nothing where /proc is missing, or is of other processes. Any thread; takes about a microsecond for each
  // process of the machine.
  void kill(pid_t leader) const noexcept;
  // Whether there is anybody but the leader.
  bool has_others(pid_t leader) const noexcept;

 private:
  template <typename Call>
  void for_each(pid_t leader, Call call) const noexcept;

  Descriptor processes_;  // of /proc
};

}  // namespace taskhost
