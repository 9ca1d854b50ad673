// Asks a host again and again, in a thread of its own: however long the host takes, `taskhost top` hears its keys.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "operate/running_host.hpp"
#include "operate/top_view.hpp"

namespace taskhost {

// What is new, and what is still so.
struct TopNews {
  std::shared_ptr<const TopFigures> figures;  // the last ones; null: none yet
  std::optional<std::chrono::steady_clock::time_point> unanswered_since;
  std::string trouble;  // why there are no newer figures; empty: there are, or it is not known yet
  std::string note;     // what came of an order, or that another host answers; told once
  Tone note_tone = Tone::plain;
};

// Writes to the descriptor `bell`, an eventfd, when there is something new. Signals go to other threads.
class TopFeed {
 public:
  TopFeed(HostPlace place, int bell);
  ~TopFeed();  // waits for nothing
  TopFeed(const TopFeed&) = delete;
  TopFeed& operator=(const TopFeed&) = delete;

  // Asks for this task's details as well from now on; empty: for no task's.
  void look_at(const std::string& task);
  void order(const std::string& verb, const std::string& task);
  void hurry();
  TopNews take();

 private:
  struct Order {
    std::string verb;
    std::string task;
  };

  void serve();
  void ask_host(std::vector<Order>& orders, const std::string& details_of);
  void give(const Order& order);
  void note(std::string words, Tone tone);
  void ring() const;

  const HostPlace place_;
  const int bell_;
  const int interrupt_;
  std::unique_ptr<RunningHost> host_;  // the thread's own
  std::mutex mutex_;
  std::condition_variable wishes_;
  bool is_over_ = false;
  bool is_hurried_ = true;
  std::string details_of_;
  std::vector<Order> orders_;
  TopNews news_;
  std::thread thread_;
};

}  // namespace taskhost
