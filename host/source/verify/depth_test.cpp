// "drop at every pending poll": what an execution has acquired by then, its drop gives back.
#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <thread>

#include "verify/call_words.hpp"
#include "verify/test.hpp"
#include "verify/worker_thread.hpp"

namespace taskhost::verify {

namespace {

constexpr std::array<std::uint64_t, 15> depths_to_look_at = {1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 17, 22, 28, 36, 50};

struct Dropped {
  std::uint64_t pending = 0;  // how often it was
  Status outcome = Status::pending;
  bool has_started = true;

  bool is_whole_life() const { return has_started && outcome != Status::pending; }
};

// Polls an execution until it has been pending that often, and drops it.
Dropped drop_after(TestContext& context, std::uint64_t depth) {
  Dropped dropped;
  DrivenExecution execution(context.host(), context.factory(), context.next_number());
  dropped.has_started = context.start(execution);
  if (!dropped.has_started) return dropped;
  while ((dropped.outcome = context.poll(execution)) == Status::pending) {
    ++dropped.pending;
    if (dropped.pending == depth || context.rest(execution) == 0) break;
  }
  return dropped;
}

// What an execution may take, and has to give back.
enum What : std::size_t { descriptors, threads, memory, mapped, acquired, files };
constexpr std::array<std::pair<const char*, const char*>, files + 1> what_words = {
    {{"descriptor", "descriptors"},
     {"thread", "threads"},
     {"byte of memory", "bytes of memory"},
     {"byte of mapped memory", "bytes of mapped memory"},
     {"timer, segment or child process", "timers, segments or child processes"},
     {"file", "files"}}};

using Grows = std::array<bool, what_words.size()>;

class Held : public std::array<std::size_t, what_words.size()> {
 public:
  void add(const Held& before, const Held& after) {
    for (std::size_t what = 0; what < size(); ++what) (*this)[what] += after[what] - before[what];
  }
  // Only threads, and what `which` asks for: the others take time.
  static Held take(const Grows& which) {
    Held held{};
    const Memory in_use = memory_in_use();
    held[threads] = count_threads();
    held[memory] = in_use.allocated;
    held[mapped] = in_use.mapped - mapped_for_blocks();
    if (which[descriptors]) held[descriptors] = count_descriptors();
    if (which[acquired]) {
      for (const auto& [what, count] : acquired_by_process()) held[acquired] += count;
    }
    if (which[files]) {
      const FileCounts counts = count_files();
      held[files] = counts.front() + counts.back();  // others use the temporary directory, too
    }
    return held;
  }
};

// Whether each execution leaves more behind than the one before. Those that went another way than `outcome` do not
// count: pending ones were dropped at that depth, others had ended by themselves.
class Growth {
 public:
  Growth(TestContext& context, std::uint64_t depth, Status outcome)
      : context_(context), depth_(depth), outcome_(outcome) {
    grows_.fill(true);
    grows_[memory] = grows_[mapped] = memory_can_be_judged;
    first_ = last_ = Held::take(grows_);
  }
  // The first rounds are always made, so that chance does not decide how many there are.
  void look(std::size_t rounds, const Budget& budget) {
    constexpr std::size_t tries = 10;  // for each of them
    const bool is_first = rounds_ == 0;
    const std::size_t enough = rounds_ + rounds;
    for (std::size_t turn = 0; turn < rounds * tries && rounds_ < enough && !budget.is_over(); ++turn) {
      if (!is_first && !any()) break;
      Dropped dropped;
      worker_.run([&] { dropped = drop_after(context_, depth_); });
      const Held now = Held::take(grows_);
      if (dropped.outcome != outcome_) {
        // What it left behind would be taken for the others'.
        first_.add(last_, now);
        last_ = now;
        continue;
      }
      for (std::size_t what = 0; what < grows_.size(); ++what) grows_[what] = grows_[what] && now[what] > last_[what];
      // Threads have memory of their own.
      const bool has_threads = now[threads] > first_[threads];
      grows_[memory] = grows_[memory] && !has_threads;
      grows_[mapped] = grows_[mapped] && !has_threads;
      last_ = now;
      ++rounds_;
    }
  }
  bool any() const { return std::find(grows_.begin(), grows_.end(), true) != grows_.end(); }
  // Of what malloc gives, which may be kept in a cache. Large blocks are mapped, too.
  bool is_memory_only() const {
    const auto kinds = std::count(grows_.begin(), grows_.end(), true);
    return grows_[memory] && kinds == (grows_[mapped] ? 2 : 1);
  }
  // What goes away by itself a moment later is not growth.
  void settle() {
    grows_[threads] = grows_[threads] && !context_.threads_have_gone(first_[threads]);
    grows_[memory] = grows_[memory] && !context_.memory_goes(first_[memory]);
    for (int turn = 0; turn < 40 && any() && !is_memory_only(); ++turn) {
      const Held now = Held::take(grows_);
      for (std::size_t what = 0; what < grows_.size(); ++what) grows_[what] = grows_[what] && now[what] > first_[what];
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  std::string words() const {
    std::string words;
    for (std::size_t what = 0; what < grows_.size(); ++what) {
      if (!grows_[what] || (what == mapped && grows_[memory])) continue;
      const std::size_t each = (last_[what] - first_[what]) / rounds_;
      words += (words.empty() ? "" : ", ") + counted(each, what_words[what].first, what_words[what].second);
    }
    return words;
  }
  const char* rules() const { return grows_[threads] ? "5.2, 5.3" : "5.3"; }
  std::size_t rounds() const { return rounds_; }

 private:
  TestContext& context_;
  const std::uint64_t depth_;
  const Status outcome_;
  WorkerThread worker_;  // one for all, since runtimes keep something of each thread that enters them
  Held first_;
  Held last_;
  std::size_t rounds_ = 0;
  Grows grows_{};
};

struct Looked {
  bool has_looked = false;
  std::uint64_t executions = 0;
  std::optional<Verdict> verdict;
};

Looked look_for_growth(TestContext& context, std::uint64_t depth, Status outcome, const Budget& budget) {
  constexpr std::size_t rounds = 5;
  constexpr std::size_t rounds_to_be_sure = 20;
  constexpr std::size_t rounds_of_no_cache = 1100;  // memory that still grows then is hardly a cache that fills
  Looked looked;
  Growth growth(context, depth, outcome);
  growth.look(rounds, budget);
  looked.has_looked = growth.rounds() == rounds;
  if (growth.any()) growth.look(rounds_to_be_sure, budget);
  if (growth.is_memory_only()) growth.look(rounds_of_no_cache, budget);
  looked.executions = growth.rounds();
  if (growth.rounds() < rounds + rounds_to_be_sure) return looked;
  const bool may_be_cache =
      growth.is_memory_only() && growth.rounds() < rounds + rounds_to_be_sure + rounds_of_no_cache;
  growth.settle();
  if (!growth.any()) return looked;
  if (may_be_cache) {
    looked.verdict = unproven("each of " + counted(growth.rounds(), "execution") + " left behind " + growth.words() +
                              ", which may be a cache that fills: there was no time for more executions; try a longer "
                              "--time-limit");
    return looked;
  }
  const std::string each = ", each of " + counted(growth.rounds(), "execution") + " left behind " + growth.words() +
                           ": drop must give back ";
  if (outcome == Status::pending) {
    looked.verdict = broken(growth.rules(), "dropped after " + counted(depth, "pending poll") + each +
                                                "what the polls took, also if they were not stopped");
  } else {
    looked.verdict = broken(growth.rules(), (outcome == Status::ok ? "ended well" : "failed") + each +
                                                "what is left when an execution ends by itself");
  }
  return looked;
}

}  // namespace

Verdict drop_at_every_pending_poll(TestContext& context) {
  constexpr std::uint64_t most = 50;
  const Budget budget = context.budget(50);
  std::uint64_t dropped = 0;
  std::uint64_t deepest = 0;
  std::uint64_t looked_at = 0;
  std::uint64_t executions = 0;
  std::set<Status> ends;
  context.host().jump_at_once();
  for (std::uint64_t depth = 1; depth <= most && (depth == 1 || !budget.is_over()); ++depth) {
    constexpr int tries = 20;  // of one that fails by chance
    Dropped last;
    for (int attempt = 0; attempt < tries && last.pending < depth && !budget.is_over(); ++attempt) {
      last = drop_after(context, depth);
      if (last.is_whole_life()) ends.insert(last.outcome);
      if (last.has_started && !has_failed(last.outcome)) break;
    }
    const std::uint64_t pending = last.pending;
    if (pending > 0) ++dropped;
    deepest = std::max(deepest, pending);
    if (pending < depth && depth > 3) break;  // it ended or sleeps: there is no later pending poll
    const bool is_looked_at =
        std::find(depths_to_look_at.begin(), depths_to_look_at.end(), depth) != depths_to_look_at.end();
    if (pending < depth || !is_looked_at || context.brings_runtime()) continue;
    const Looked looked = look_for_growth(context, depth, Status::pending, budget);
    if (looked.verdict) return *looked.verdict;
    if (looked.has_looked) ++looked_at;
    executions += looked.executions;
  }
  // What is taken at the end is not seen by drops before it.
  std::uint64_t lives = 0;
  constexpr int more_ends = 10;  // to see whether they end in another way, too
  for (int turn = 0; turn < more_ends && !ends.empty() && !budget.is_over(); ++turn) {
    if (const Dropped last = drop_after(context, most); last.is_whole_life()) ends.insert(last.outcome);
  }
  for (const Status outcome : ends) {
    if (context.brings_runtime() || budget.is_over()) break;
    const Looked looked = look_for_growth(context, most, outcome, budget);
    if (looked.verdict) return *looked.verdict;
    if (looked.has_looked) lives += looked.executions;
  }
  std::string text =
      counted(dropped, "execution") + ", dropped after each of the first " + counted(deepest, "pending poll");
  if (looked_at > 0) {
    text +=
        "; " + counted(executions, "execution") + " more, at " + counted(looked_at, "depth") + ", left nothing behind";
  } else if (!context.brings_runtime()) {
    text += "; there was no time to look at what they left behind";
  }
  if (lives > 0) text += "; nor did " + counted(lives, "execution") + " that ended by themselves";
  return holds(text, dropped);
}

}  // namespace taskhost::verify
