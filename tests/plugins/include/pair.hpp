// Two connected sockets, of which the task under test has one.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "support/catch.hpp"

class Pair {
 public:
  Pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_) == 0); }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    close_ours();
    ::close(ends_[1]);
  }
  int theirs() const { return ends_[1]; }
  void write(const char* text) const { REQUIRE(::write(ends_[0], text, std::char_traits<char>::length(text)) > 0); }
  void close_ours() { ::close(std::exchange(ends_[0], -1)); }
  void empty_ours() const {
    char bytes[4096];
    while (::read(ends_[0], bytes, sizeof bytes) > 0) {
    }
  }
  void fill_theirs() const {
    const char bytes[4096] = {};
    while (::write(ends_[1], bytes, sizeof bytes) > 0) {
    }
  }

 private:
  int ends_[2] = {-1, -1};
};
