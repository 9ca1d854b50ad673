// What a worker prints, as lines: its stdout or its stderr. Owned by the execution; on its shard's thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "taskhost/core/event.hpp"
#include "worker/descriptor.hpp"

namespace taskhost {

class OutputLines {
 public:
  // `take` gets each line without its end and without its level, "<3>" to "<7>" as of syslog; info if there is none.
  using Take = std::function<void(LogLevel level, std::string_view line)>;

  // Throws std::system_error.
  explicit OutputLines(Take take);

  int descriptor() const noexcept { return source_.get(); }
  Descriptor take_writing_end() noexcept { return std::move(sink_); }

  // Reads at most so many bytes. Returns whether there may be more at once.
  bool read(std::size_t most);
  bool is_at_end() const noexcept { return is_at_end_; }  // nobody can write any more

  // Gives what has come of a line that has no end.
  void finish();

 private:
  void take_bytes(std::string_view bytes);
  void end_line();

  Take take_;
  Descriptor source_;
  Descriptor sink_;
  std::string line_;
  bool is_at_end_ = false;
};

}  // namespace taskhost
