// Erlang/OTP's side: otp_side.escript, a program that runs one supervisor after the other. One thread.
#pragma once

#include <string>

#include "scenario.hpp"
#include "support/process.hpp"

namespace taskhost::test {

class OtpSide {
 public:
  OtpSide();  // throws if it can't be started

  // A supervisor with these children. Returns the answer to `open`: "up", or why it is not.
  std::string open(const Setup& setup);
  void fail(std::size_t child, unsigned failures);  // also before open
  void exit(std::size_t child, Reason reason);
  void exit_both(std::size_t first, Reason first_reason, std::size_t second, Reason second_reason);
  // What OTP's functions return: "ok", "running", "not_found", …
  std::string terminate_child(std::size_t child);
  std::string restart_child(std::size_t child);
  void stop();
  void release(std::size_t child);
  void await(const std::string& event);
  Settled settle();

 private:
  std::string ask(const std::string& command);
  void expect_ok(const std::string& command);

  Process program_;
};

}  // namespace taskhost::test
