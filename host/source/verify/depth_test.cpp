// "drop at every pending poll": what an execution has acquired by then, its drop gives back.
#include <algorithm>
#include <array>
#include <thread>

#include "verify/call_words.hpp"
#include "verify/test.hpp"
#include "verify/worker_thread.hpp"

namespace taskhost::verify {

namespace {

constexpr std::array<std::uint64_t, 15> depths_to_look_at = {1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 17, 22, 28, 36, 50};

struct Dropped {
  std::uint64_t pending = 0;  // how often it was
  bool has_failed = false;
};

// Polls an execution until it has been pending that often, and drops it.
Dropped drop_after(TestContext& context, std::uint64_t depth) {
  Dropped dropped;
  DrivenExecution execution(context.host(), context.factory(), context.next_number());
  if (!context.start(execution)) return {0, true};
  Status outcome = Status::pending;
  while ((outcome = context.poll(execution)) == Status::pending) {
    ++dropped.pending;
    if (dropped.pending == depth || context.rest(execution) == 0) break;
  }
  dropped.has_failed = has_failed(outcome);
  return dropped;
}

struct Held {
  std::size_t descriptors = 0;
  std::size_t threads = 0;
  std::size_t memory = 0;

  static Held take() { return {count_descriptors(), count_threads(), memory_in_use().allocated}; }
};

// Whether each of `rounds` executions leaves more behind than the one before.
class Growth {
 public:
  Growth(TestContext& context, std::uint64_t depth) : context_(context), depth_(depth), first_(Held::take()) {
    last_ = first_;
  }
  void look(int rounds, const Budget& budget) {
    for (int round = 0; round < rounds && !budget.is_over() && any(); ++round) {
      worker_.run([this] { drop_after(context_, depth_); });
      const Held now = Held::take();
      descriptors_ = descriptors_ && now.descriptors > last_.descriptors;
      threads_ = threads_ && now.threads > last_.threads;
      memory_ = memory_ && memory_can_be_judged && now.threads <= first_.threads && now.memory > last_.memory;
      last_ = now;
      ++rounds_;
    }
  }
  bool any() const { return descriptors_ || threads_ || memory_; }
  bool is_memory_only() const { return memory_ && !descriptors_ && !threads_; }
  // What goes away by itself a moment later is not growth.
  void settle() {
    for (int turn = 0; turn < 40 && (descriptors_ || threads_); ++turn) {
      const Held now = Held::take();
      descriptors_ = descriptors_ && now.descriptors > first_.descriptors;
      threads_ = threads_ && now.threads > first_.threads;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  std::string words() const {
    const auto each = [this](std::size_t before, std::size_t now) { return (now - before) / rounds_; };
    std::string words;
    const auto add = [&words](const std::string& more) { words += (words.empty() ? "" : ", ") + more; };
    if (descriptors_) add(counted(each(first_.descriptors, last_.descriptors), "descriptor"));
    if (threads_) add(counted(each(first_.threads, last_.threads), "thread"));
    if (memory_) add(counted(each(first_.memory, last_.memory), "byte") + " of memory");
    return words;
  }
  const char* rules() const { return threads_ ? "5.2, 5.3" : "5.3"; }
  std::size_t rounds() const { return rounds_; }

 private:
  TestContext& context_;
  const std::uint64_t depth_;
  WorkerThread worker_;  // one for all, since runtimes keep something of each thread that enters them
  const Held first_;
  Held last_;
  std::size_t rounds_ = 0;
  bool descriptors_ = true;
  bool threads_ = true;
  bool memory_ = true;
};

}  // namespace

Verdict drop_at_every_pending_poll(TestContext& context) {
  constexpr int rounds = 5;
  constexpr int rounds_to_be_sure = 20;
  constexpr int rounds_of_no_cache = 200;  // memory that still grows then is hardly a cache that fills
  constexpr std::uint64_t most = 50;
  const Budget budget = context.budget(50);
  std::uint64_t dropped = 0;
  std::uint64_t deepest = 0;
  std::uint64_t looked_at = 0;
  std::uint64_t executions = 0;
  context.host().jump_at_once();
  for (std::uint64_t depth = 1; depth <= most && (depth == 1 || !budget.is_over()); ++depth) {
    constexpr int tries = 20;  // of one that fails by chance
    Dropped last;
    for (int attempt = 0; attempt < tries && last.pending < depth && !budget.is_over(); ++attempt) {
      last = drop_after(context, depth);
      if (!last.has_failed) break;
    }
    const std::uint64_t pending = last.pending;
    if (pending > 0) ++dropped;
    deepest = std::max(deepest, pending);
    if (pending < depth && depth > 3) break;  // it ended or sleeps: there is no later pending poll
    const bool is_looked_at =
        std::find(depths_to_look_at.begin(), depths_to_look_at.end(), depth) != depths_to_look_at.end();
    if (pending < depth || !is_looked_at || context.brings_runtime()) continue;
    Growth growth(context, depth);
    growth.look(rounds, budget);
    if (growth.rounds() == rounds || !growth.any()) ++looked_at;
    if (growth.any()) growth.look(rounds_to_be_sure, budget);
    if (growth.is_memory_only()) growth.look(rounds_of_no_cache, budget);
    executions += growth.rounds();
    if (growth.rounds() < rounds + rounds_to_be_sure + (growth.is_memory_only() ? rounds_of_no_cache : 0)) continue;
    growth.settle();
    if (growth.any()) {
      return broken(growth.rules(), "dropped after " + counted(depth, "pending poll") + ", each of " +
                                        counted(growth.rounds(), "execution") + " left behind " + growth.words() +
                                        ": drop must give back what the polls took, also if they were not stopped");
    }
  }
  std::string text =
      counted(dropped, "execution") + ", dropped after each of the first " + counted(deepest, "pending poll");
  if (looked_at > 0) {
    text +=
        "; " + counted(executions, "execution") + " more, at " + counted(looked_at, "depth") + ", left nothing behind";
  } else if (!context.brings_runtime()) {
    text += "; there was no time to look at what they left behind";
  }
  return holds(text, dropped);
}

}  // namespace taskhost::verify
