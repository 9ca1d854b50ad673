// A pipe that is read only when the test does so. One thread.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace taskhost::test {

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  }
  ~Pipe() {
    close_read_end();
    close_write_end();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int read_end() const noexcept { return ends_[0]; }
  int write_end() const noexcept { return ends_[1]; }
  void close_write_end() noexcept { close(1); }  // so that reading can come to an end
  void close_read_end() noexcept { close(0); }

  // Reads what there is, at most `most` bytes; waits for the first one. Empty if there is no writer any more.
  std::string read_some(std::size_t most = 65536) {
    std::string text(most, '\0');
    const ssize_t size = ::read(ends_[0], text.data(), text.size());
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }
  std::string read_all() {
    std::string text;
    for (std::string more = read_some(); !more.empty(); more = read_some()) text += more;
    return text;
  }
  // Whether a writer would have to wait.
  bool is_full() const {
    pollfd descriptor{.fd = ends_[1], .events = POLLOUT, .revents = 0};
    return ::poll(&descriptor, 1, 0) == 0;
  }
  // Fills it, so that it is full from the start.
  void fill() const {
    const std::string page(4096, '.');
    while (!is_full() && ::write(ends_[1], page.data(), page.size()) > 0) continue;
  }

 private:
  void close(std::size_t end) noexcept {
    if (ends_[end] >= 0) ::close(ends_[end]);
    ends_[end] = -1;
  }

  std::array<int, 2> ends_{-1, -1};
};

}  // namespace taskhost::test
