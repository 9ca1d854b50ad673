// The tests of what executions use and leave behind, for polled and blocking tasks alike.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "text/printable.hpp"
#include "verify/call_words.hpp"
#include "verify/test.hpp"

namespace taskhost::verify {

namespace {

using std::chrono::milliseconds;
using Json = nlohmann::json;

// Whether executions end by themselves, as far as those have shown that were given the time for it.
class NaturalEnds {
 public:
  // Whether the next one is played to its end: one in ten, unless the first few did not come to it.
  bool is_next(std::uint64_t number) const { return number % 10 == 3 && (ended_ > 0 || tried_ < 3); }
  void add(bool has_ended) {
    ++tried_;
    if (has_ended) ++ended_;
  }
  std::uint64_t count() const { return ended_; }

 private:
  std::uint64_t tried_ = 0;
  std::uint64_t ended_ = 0;
};

// A whole life of one execution, kept short for tests that need many. False if it can't be dropped. Every ninth one
// waits a little for what may come in real time, so that some get the answers that they wait for; and every twentieth
// blocking one runs for up to 20 ms.
bool live(TestContext& context, std::uint64_t number, NaturalEnds* ends = nullptr) {
  const bool to_its_end = ends != nullptr && ends->is_next(number);
  if (context.is_blocking()) {
    const bool is_long = number % 20 == 7;
    if (is_long && !to_its_end) return play_blocking(context, milliseconds(5 + number / 20 * 5 % 20));
    if (!to_its_end) return play_blocking(context, std::chrono::microseconds(number % 3 * 100));
    const std::uint64_t ended = context.tally().ended_alone;
    const bool is_dropped = play_blocking(context, milliseconds(20));
    ends->add(context.tally().ended_alone > ended);
    return is_dropped;
  }
  DrivenExecution execution(context.host(), context.factory(), context.next_number());
  if (!context.start(execution)) return true;
  const bool waits = number % 9 == 2;
  Status outcome = Status::pending;
  for (std::uint64_t polls = 0; polls < 1 + number % 3 && outcome == Status::pending; ++polls) {
    outcome = context.poll(execution);
    if (outcome == Status::pending) execution.rest(waits ? milliseconds(5) : milliseconds(0));
  }
  if (to_its_end) {
    constexpr std::uint64_t most = 200;
    for (std::uint64_t polls = 0; polls < most && outcome == Status::pending; ++polls) {
      outcome = context.poll(execution);
      if (outcome == Status::pending && execution.rest(milliseconds(5)) == 0) break;
    }
    ends->add(outcome != Status::pending);
  }
  if (outcome == Status::pending && number % 2 == 0) stop_polled(context, execution);
  return true;
}

Verdict stuck() { return unproven("an execution did not end when it was asked to: see \"stop at any time\""); }

struct Sample {
  Memory memory;
  std::size_t threads = 0;
  std::size_t descriptors = 0;
  FileCounts files{};
  std::size_t shared = 0;

  static Sample take() {
    return {memory_in_use(), count_threads(), count_descriptors(), count_files(), count_shared()};
  }
};

// Growth between the samples at the quarters' ends: growth in each is a leak, in some it is a cache.
std::string memory_growth(const std::array<Sample, 4>& samples, std::uint64_t executions) {
  if (!memory_can_be_judged) return {};
  const double quarter = static_cast<double>(executions) / 4;
  const auto grows = [&](std::size_t Memory::*what, double min_each, double min_total) {
    double total = 0;
    for (std::size_t i = 1; i < samples.size(); ++i) {
      const double more =
          static_cast<double>(samples[i].memory.*what) - static_cast<double>(samples[i - 1].memory.*what);
      if (more < min_each * quarter) return 0.0;
      total += more;
    }
    return total >= min_total ? total / (3 * quarter) : 0.0;
  };
  if (const double each = grows(&Memory::allocated, 8, 2048); each > 0) {
    return std::to_string(std::lround(each)) + " bytes of memory that was allocated and not freed";
  }
  if (const double each = grows(&Memory::resident, 16, 8.0 * (1 << 20)); each > 0) {
    return std::to_string(std::lround(each)) + " bytes of resident memory";
  }
  if (const double each = grows(&Memory::mapped, 4000, 1 << 20); each > 0) {
    return std::to_string(std::lround(each)) + " bytes of mapped memory";
  }
  return {};
}

// As above, in each folder. Other programs use these folders too, but not that evenly; after few executions only the
// working directory tells.
constexpr std::uint64_t enough_for_all_folders = 100;
std::string file_growth(const std::array<Sample, 4>& samples, std::uint64_t executions) {
  const bool are_many = executions >= enough_for_all_folders;
  const std::size_t folders = are_many ? file_folders.size() : 1;
  for (std::size_t folder = 0; folder < folders; ++folder) {
    const bool grows =
        std::equal(samples.begin() + 1, samples.end(), samples.begin(), [&](const auto& one, const auto& former) {
          return one.files[folder] >= former.files[folder] + executions / (are_many ? 8 : 4);
        });
    if (!grows) continue;
    return std::to_string(samples.back().files[folder] - samples.front().files[folder]) + " more files in " +
           std::to_string(executions * 3 / 4) + " executions, in " + file_folders[folder];
  }
  if (!are_many) return {};
  for (std::size_t i = 1; i < samples.size(); ++i) {
    if (samples[i].shared < samples[i - 1].shared + executions / 8) return {};
  }
  return std::to_string(samples.back().shared - samples.front().shared) + " more in " +
         std::to_string(executions * 3 / 4) +
         " executions, in POSIX queues, or System V segments, semaphores or queues";
}

// The numbers of executions from which "many executions" chooses, so that they mostly are the same each time.
constexpr std::array<std::uint64_t, 8> possible_counts = {4000, 2000, 1000, 400, 200, 100, 40, 20};

}  // namespace

// Configs that no task expects: every kind of JSON, and the given one with each of its values replaced; of a large one,
// as many as memory and time allow, since each is kept.
WrongConfigs wrong_configs(TestContext& context) {
  WrongConfigs configs;
  std::vector<std::string>& list = configs.list;
  list = {
      "null",         "true", "17", "-1.5e300", "\"text\"", "\"\"", "[]", "[1, \"two\", {}]", R"({"no_such_key": 1})",
      R"({"": null})"};
  Json deep = Json::array();
  for (int level = 0; level < 200; ++level) deep = Json::array({std::move(deep)});
  list.push_back(Json{{"deep", std::move(deep)}}.dump());
  list.push_back(Json{{"long", std::string(100'000, 'x')}}.dump());
  const std::string& text = context.host().config();
  const Json given = Json::parse(text, nullptr, false);
  // No other texts: a path with a wrong letter still names a file. And without the key.
  const std::array<std::optional<Json>, 9> wrong = {
      nullptr, true, -1, 1e300, "", Json::array(), Json::object(), std::uint64_t{0xFFFF'FFFF'FFFF'FFFF}, std::nullopt};
  constexpr std::size_t most = 1000;
  constexpr std::size_t most_bytes = std::size_t{8} << 20;
  const std::size_t room = std::min(most, most_bytes / std::max<std::size_t>(text.size(), 1));
  if (given.is_object() && room > 0) {
    Json with_more = given;
    with_more["no_such_key"] = 1;
    list.push_back(with_more.dump());
  }
  std::vector<std::pair<std::string, std::size_t>> changes;  // key and number of what replaces its value
  if (given.is_object()) {
    for (const auto& [key, value] : given.items()) {
      for (std::size_t which = 0; which < wrong.size(); ++which) changes.emplace_back(key, which);
    }
  }
  configs.possible = list.size() + changes.size();
  for (std::size_t i = 0; i < std::min(room, changes.size()); ++i) {
    std::swap(changes[i], changes[context.choose(i, changes.size() - 1)]);
    const auto& [key, which] = changes[i];
    Json changed = given;
    if (wrong.at(which)) {
      changed[key] = *wrong.at(which);
    } else {
      changed.erase(key);
    }
    list.push_back(changed.dump());
  }
  for (std::size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[context.choose(0, i - 1)]);
  return configs;
}

std::string WrongConfigs::words() const {
  if (list.size() == possible) return {};
  return "; " + std::to_string(list.size()) + " of " + std::to_string(possible) + " configs were tried";
}

// How long to wait for threads and descriptors that are about to go.
int patience_ms(const TestContext& context) {
  const nanoseconds patience = std::min<nanoseconds>(milliseconds(400), context.stop_limit() / 5);
  return static_cast<int>(patience / milliseconds(1));
}

// Once threads and descriptors that are about to go have gone.
ProcessState settle(TestContext& context, const ProcessState& before) {
  ProcessState now = settled(before, patience_ms(context));
  const auto is_old = [&](const auto& thread) { return before.threads.contains(thread.first); };
  const auto are_gone = [&] {
    now = ProcessState::take();
    return std::all_of(now.threads.begin(), now.threads.end(), is_old);
  };
  const bool has_new = !std::all_of(now.threads.begin(), now.threads.end(), is_old);
  if (has_new && context.have_gone(are_gone)) now = settled(before, patience_ms(context));
  return now;
}

Verdict start_then_drop(TestContext& context) {
  const Budget budget = context.budget(30);
  std::uint64_t executions = 0;
  for (int turn = 0; turn < 20 && (turn < 1 || !budget.is_over()); ++turn) {
    DrivenExecution execution(context.host(), context.factory(), context.next_number());
    if (!context.start(execution)) continue;
    ++executions;
    execution.drop();
  }
  return holds(counted(executions, "execution") + ", dropped before anything else was called", executions);
}

Verdict failing_starts(TestContext& context) {
  const Budget budget = context.budget(50);
  SimulatedHost& host = context.host();
  const auto live_with = [&](const std::string& config) {
    host.set_config(config);
    const std::uint64_t before = context.tally().failed_starts;
    DrivenExecution execution(host, context.factory(), context.next_number());
    if (context.start(execution) && !context.is_blocking()) {
      for (int polls = 0; polls < 3 && context.poll(execution) == Status::pending; ++polls) {
        execution.rest(nanoseconds(0));
      }
    }
    return context.tally().failed_starts > before;
  };
  const WrongConfigs configs = wrong_configs(context);
  std::uint64_t failed = 0;
  std::uint64_t tried = 0;
  ProcessState before;
  std::vector<std::size_t> memory;  // after each round
  bool has_threads = false;
  const auto grows = [&] {
    const std::uint64_t failed_each = failed / std::max<std::size_t>(memory.size(), 1);
    for (std::size_t i = 1; i < memory.size(); ++i) {
      if (failed_each == 0 || memory[i] < memory[i - 1] + 8 * failed_each) return false;
    }
    return memory_can_be_judged && !has_threads && memory.size() > 1;
  };
  constexpr std::size_t rounds = 3;
  constexpr std::size_t rounds_to_be_sure = 8;
  while (!budget.is_over() && (memory.size() < rounds || (memory.size() < rounds_to_be_sure && grows()))) {
    run_apart([&] {
      for (const std::string& config : configs.list) {
        if (budget.is_over()) break;
        ++tried;
        if (live_with(config)) ++failed;
      }
    });
    if (memory.empty()) before = settled(ProcessState::take(), 50);  // by now, one-time allocations have been made
    has_threads = has_threads || count_threads() > before.threads.size();  // with memory of their own
    memory.push_back(memory_in_use().allocated);
  }
  // What malloc keeps for each thread of a runtime counts as allocated: a few blocks more in each round.
  const std::size_t kept = before.threads.size() > 1 ? 4096 : 0;
  if (memory.size() == rounds_to_be_sure && grows() && memory.back() - memory.front() >= kept &&
      !context.memory_goes(memory.front())) {
    return broken("5.3", std::to_string((memory.back() - memory.front()) * rounds_to_be_sure /
                                        ((rounds_to_be_sure - 1) * failed)) +
                             " bytes of memory that was allocated and not freed, for each of " +
                             counted(failed, "start") + " that failed: no drop follows, so start must free it");
  }
  const bool is_silent = failed > 0 && context.tally().start_failure.empty();
  const LeftBehind left =
      judge_left_behind(before, settle(context, before), false, context.brings_runtime(), "5.2", "5.3");
  if (!left.broken_rules.empty()) {
    return broken(left.broken_rules, "after " + counted(tried, "start") + " with wrong configs, of which " +
                                         std::to_string(failed) + " failed, " + left.broken_words);
  }
  std::string text =
      counted(tried, "start") + " with wrong configs: " + std::to_string(failed) + " failed, and left nothing behind";
  if (failed == 0) {
    text = counted(tried, "start") + " with configs of every kind: none failed, so its start has no use for a config";
  }
  text += configs.words();
  if (is_silent) text += "; fail was not called to say why";
  return holds(text);
}

Verdict many_executions(TestContext& context) {
  constexpr std::uint64_t warm_up = 100;
  constexpr std::uint64_t fewest = possible_counts.back();
  context.host().jump_at_once();
  // First determine how many there is time for.
  const Budget time = context.budget(12);
  const Budget most_time = context.budget(70);
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t done = 0;
  NaturalEnds ends;
  while (done < warm_up && !time.is_over()) {
    if (!live(context, done++, &ends)) return stuck();
  }
  const auto each = (std::chrono::steady_clock::now() - begin) / std::max<std::uint64_t>(done, 1);
  const nanoseconds limit = std::min<nanoseconds>(std::chrono::seconds(3), context.stop_limit() * 6 / 10);
  const auto affordable = static_cast<std::uint64_t>(limit / std::max<nanoseconds>(each, nanoseconds(1)));
  std::uint64_t count = *std::find_if(possible_counts.begin(), possible_counts.end() - 1,
                                      [&](std::uint64_t one) { return one <= affordable; });
  std::vector<Sample> all;  // after each twentieth of them
  const std::uint64_t twentieth = std::max<std::uint64_t>(count / 20, 1);
  constexpr std::uint64_t look_each = 100;
  constexpr std::size_t far_too_many = 100;  // an obvious leak need not bring the machine down
  const std::size_t threads = count_threads();
  const std::size_t descriptors = count_descriptors();
  all.reserve(count / twentieth + 1);
  bool is_stuck = false;
  bool threads_linger = false;  // with memory of their own, of which the system keeps some
  for (std::uint64_t i = 0; i < count && !most_time.is_over();) {
    run_apart([&] {
      for (std::uint64_t last = i + twentieth; i < last && !is_stuck && !most_time.is_over();) {
        is_stuck = !live(context, i++, &ends);
        if (i % look_each == 0 && count_descriptors() > descriptors + far_too_many) break;
      }
    });
    if (is_stuck) return stuck();
    Sample now = Sample::take();
    threads_linger =
        threads_linger || now.threads > threads + 16;  // also if they go now: they have memory of their own
    if (now.threads >= threads + far_too_many && context.threads_have_gone(threads)) now = Sample::take();
    if (i % twentieth == 0) all.push_back(now);
    if (context.brings_runtime()) continue;
    const std::string span = " more after " + std::to_string(i) + " executions";
    if (now.threads >= threads + far_too_many) {
      return broken("5.2, 5.3", std::to_string(now.threads - threads) + " threads" + span);
    }
    if (now.descriptors >= descriptors + far_too_many) {
      return broken("5.3", std::to_string(now.descriptors - descriptors) + " descriptors" + span);
    }
  }
  const std::size_t quarter = all.size() / 4;
  if (quarter * 4 * twentieth < fewest) {
    return unproven("only " + counted(all.size() * twentieth, "execution") +
                    ": too few to see growth; try a longer "
                    "--time-limit");
  }
  count = quarter * 4 * twentieth;
  const std::array<Sample, 4> samples = {all[quarter - 1], all[2 * quarter - 1], all[3 * quarter - 1],
                                         all[4 * quarter - 1]};
  // What goes away by itself a moment later is not growth.
  Sample last = samples.back();
  for (int turn = 0; turn < 50; ++turn) {
    if (last.threads <= samples.front().threads && last.descriptors <= samples.front().descriptors) break;
    std::this_thread::sleep_for(milliseconds(10));
    last = Sample::take();
  }
  if (last.threads > samples.front().threads && context.threads_have_gone(samples.front().threads)) {
    last = Sample::take();
  }
  const std::size_t tolerated = 2 + (context.brings_runtime() ? count / 100 : 0);
  const std::string span = " in " + std::to_string(count * 3 / 4) + " executions";
  if (last.threads > samples.front().threads + tolerated) {
    return broken("5.2, 5.3", std::to_string(last.threads - samples.front().threads) + " more threads" + span);
  }
  if (last.descriptors > samples.front().descriptors + tolerated) {
    return broken("5.3", std::to_string(last.descriptors - samples.front().descriptors) + " more descriptors" + span);
  }
  const std::string growth = threads_linger ? std::string() : memory_growth(samples, count);
  if (!growth.empty() && !context.memory_goes(samples.front().memory.allocated)) {
    return broken("5.3", growth + ", for each of " + std::to_string(count) + " executions: drop must give back what " +
                             "start and the others took");
  }
  if (const std::string files = file_growth(samples, count); !files.empty()) return broken("5.3", files);
  const Tally& tally = context.tally();
  if (constexpr std::uint64_t enough = 10; tally.lived > 0 && tally.lived * enough < tally.starts) {
    return unproven(
        "only " + std::to_string(tally.lived) + " of " + counted(tally.starts, "execution") +
        " lived, so growth would not show: " + (tally.start_failure.empty() ? tally.end_failure : tally.start_failure) +
        " (give it a config with which it works: --config)");
  }
  const bool memory_is_judged = memory_can_be_judged && !threads_linger;
  return holds(counted(count, "execution") + ", no growth in descriptors, threads or files" +
               (count < enough_for_all_folders ? " in the working directory" : "") +
               (memory_is_judged ? ", nor in memory of 8 bytes or more for each" : "") +
               (ends.count() > 0 ? "; " + std::to_string(ends.count()) + " were played to their own end" : "") +
               (memory_is_judged       ? ""
                : memory_can_be_judged ? " (memory is not judged, since threads outlive their executions)"
                                       : " (memory is not judged in a sanitizer build)"));
}

Verdict left_behind(TestContext& context) {
  const ProcessState before = ProcessState::take();
  if (!live(context, 0)) return stuck();
  ProcessState after_first = settled(before, patience_ms(context));
  std::uint64_t executions = 1;
  const auto live_on = [&](std::uint64_t last, int percent) {
    const Budget budget = context.budget(percent);
    while (executions < last && !budget.is_over()) {
      if (!live(context, executions++)) return false;
    }
    return true;
  };
  const auto judge = [&context](const ProcessState& old, const ProcessState& now, bool may_keep) {
    return judge_left_behind(old, now, may_keep, context.brings_runtime(), "5.2", "5.3");
  };
  if (!live_on(12, 30)) return stuck();
  const ProcessState after = settle(context, after_first);
  LeftBehind each = judge(after_first, after, false);
  // Threads that were only slow to end are not kept.
  std::erase_if(after_first.threads, [&](const auto& thread) { return !after.threads.contains(thread.first); });
  LeftBehind once = judge(before, after_first, true);
  if (!each.broken_rules.empty()) {
    // What is made once, when it is first needed, does not become more.
    if (!live_on(36, 100)) return stuck();  // a suspicion deserves the time, on a busy machine
    if (judge(after, settle(context, after), false).broken_rules.empty() && executions == 36) {
      once = judge(before, after, true);
      each = judge(after_first, after, true);
    }
  }
  if (!once.kept.empty() && each.broken_rules.empty() && executions > 1) {
    context.host().findings().note(
        "5.2, 5.3", "kept",
        "the first execution left this behind, and later ones added nothing: " + once.kept +
            ". That is right for what belongs to the process and does not touch an execution's state");
  }
  // Wakes are allowed at any time from any thread; but if they continue, they come from something that an execution
  // created.
  std::this_thread::sleep_for(milliseconds(20));
  const std::uint64_t wakes = context.host().stale_wakes();
  std::this_thread::sleep_for(milliseconds(200));
  const std::uint64_t more = context.host().stale_wakes() - wakes;
  if (more >= 10) {
    return broken("5.2", "after the last drop, a thread of the plugin is still running: it called wake " +
                             std::to_string(more) + " times in 200 ms");
  }
  if (!once.broken_rules.empty()) return broken(once.broken_rules, "after the first drop: " + once.broken_words);
  if (!each.broken_rules.empty()) return broken(each.broken_rules, "with each further execution: " + each.broken_words);
  return holds(
      "nothing: no threads, descriptors, timers, shared memory, child processes or signal handlers, nothing "
      "process-wide");
}

}  // namespace taskhost::verify
