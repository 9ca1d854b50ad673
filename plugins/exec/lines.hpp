// What a program prints, as lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "descriptor.hpp"

namespace exec {

// Its first bytes, at most so many, and no part of a character.
std::string_view cut(std::string_view text, std::size_t most);

class Lines {
 public:
  // `take` gets each line without its end and without its level, "<3>" to "<7>" as of syslog, and that as one of the
  // host's; info if there is none.
  using Take = std::function<void(std::int32_t level, std::string_view line)>;

  // Throws a Failure.
  explicit Lines(Take take);

  int descriptor() const noexcept { return source_.get(); }
  const Descriptor& writing_end() const noexcept { return sink_; }
  void close_writing_end() noexcept { sink_.close(); }

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

}  // namespace exec
