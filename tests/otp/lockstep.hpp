// Takes an OTP supervisor and taskhost through the same steps, and compares them after each. For known differences
// (README.md) it says exactly how they differ, and brings both sides into the same state again.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "otp_side.hpp"
#include "scenario.hpp"
#include "taskhost_side.hpp"

namespace taskhost::test {

enum class ChildState {
  live,
  stopped,     // by an operator
  over,        // ended well, for good
  over_badly,  // ended for good, with an error
};

class Lockstep {
 public:
  Lockstep(OtpSide& otp, const Setup& setup);

  // False if the two differ, and `fault` says how; or if they have reached their common end.
  bool take(const Step& step);
  bool ended() const noexcept { return ended_; }
  const std::string& fault() const noexcept { return fault_; }

  ChildState state(std::size_t child) const { return states_[child]; }
  // Whether OTP has forgotten a temporary child that does not live.
  bool is_forgotten(std::size_t child) const {
    return states_[child] != ChildState::live && setup_.children[child].restart == Restart::temporary;
  }
  // The others of its group, which start again with it.
  std::vector<std::size_t> concerned_by(std::size_t child) const;
  bool restarts(std::size_t child, Reason reason) const;

  // What has been seen, so that a run can report that it has seen everything.
  std::map<std::string, unsigned> seen;

 private:
  struct Exemptions;

  Settled lead_otp(const Step& step);
  void lead_taskhost(const Step& step);
  Exemptions exemptions(const Step& step) const;
  Events normalised(const Step& step, Events events) const;
  bool resynchronise(const Exemptions& exempt);
  bool compare(const Step& step, const Settled& otp);
  void update(const Step& step, const std::vector<std::string>& live);
  bool differ(const std::string& what, const Settled& otp, const Settled& taskhost);

  OtpSide& otp_;
  const Setup setup_;
  std::string otp_start_;
  TaskhostSide taskhost_;
  std::vector<ChildState> states_;
  bool ended_ = false;
  std::string fault_;
};

}  // namespace taskhost::test
