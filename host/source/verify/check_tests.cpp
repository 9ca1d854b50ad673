// What the check of a factory says of configs, changes and leaves behind: rule 3.16.
#include <cxxabi.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "text/printable.hpp"
#include "verify/call_words.hpp"
#include "verify/test.hpp"

namespace taskhost::verify {

namespace {

using std::chrono::milliseconds;

std::string reason_words(const std::string& text) { return text.empty() ? "no reason was given" : text; }

// What check or start says about a config.
struct Judged {
  bool is_right = false;
  std::string why;
};

Judged call_check(TestContext& context, const std::string& config) {
  SimulatedHost& host = context.host();
  Findings& findings = host.findings();
  host.set_config(config);
  Cell& cell = host.claim();
  OwnTexts texts(host.config(), host.task_name(), host.directory());
  cell.begin_check(texts);
  host.progress().enter(Phase::check);
  std::int32_t result = TASKHOST_PANIC;
  const ThreadState thread = ThreadState::take();
  {
    const CallMark mark(&cell, Phase::check);
    const auto threw = [&](const std::string& what) {
      findings.broken("3.6", "throws in check", "check threw an exception: " + what);
      cell.fail("an exception: " + what);
    };
    try {
      result = context.factory().check(&cell);
    } catch (const std::exception& error) {
      threw(error.what());
    } catch (const abi::__forced_unwind&) {
      findings.broken("3.8", "thread exit in check", "check ended its thread (pthread_exit)");
      throw;
    } catch (...) {
      threw("of no standard type");
    }
  }
  host.end_returned_child();
  host.progress().phase = Phase::none;
  judge_thread(host, Phase::check, thread);
  Judged judged{result == TASKHOST_OK, cell.failure()};
  cell.end();
  texts.wall();
  if (result != TASKHOST_OK && result != TASKHOST_ERROR && result != TASKHOST_PANIC) {
    findings.broken("3.16", "nonsense check",
                    "check returned " + std::to_string(result) + ", which is not a valid result there");
  } else if (!judged.is_right && judged.why.empty()) {
    findings.note("3.16", "silent check",
                  "check refused a config without calling fail to say why: " + host.config_words(config));
  }
  return judged;
}

// Whether an execution starts with a config, and does not fail in its first poll, where coroutines read it; why not.
Judged starts_with(TestContext& context, const std::string& config) {
  context.host().set_config(config);
  DrivenExecution execution(context.host(), context.factory(), context.next_number());
  bool is_right = context.start(execution);
  if (is_right && !context.is_blocking()) is_right = !has_failed(context.poll(execution));
  return {is_right, execution.cell().failure()};
}

// What each round of checks leaves behind: memory and files that become more with each.
class CheckGrowth {
 public:
  std::size_t rounds() const noexcept { return memory_.size(); }
  bool goes_on() const { return rounds() < enough || (rounds() < certain && (memory_grows() || growing_folder())); }
  void add(std::uint64_t calls, bool has_threads) {
    calls_ = calls;
    has_threads_ = has_threads_ || has_threads;  // with memory of their own
    memory_.push_back(memory_in_use().allocated);
    const FileCounts files = count_files();
    for (std::size_t folder = 0; folder < files.size(); ++folder) files_[folder].push_back(files[folder]);
  }
  // Empty if nothing grows.
  std::string words() const {
    if (rounds() < certain) return {};
    constexpr std::size_t first = 1;  // by then the test itself keeps nothing more
    const std::uint64_t checks = calls_ * (certain - 1 - first);
    const std::string of = " in " + std::to_string(checks) + " checks";
    if (memory_grows()) {
      return std::to_string((memory_.back() - memory_[first]) / checks) +
             " bytes of memory that was allocated and not freed, for each check" + of;
    }
    const std::optional<std::size_t> folder = growing_folder();
    if (!folder) return {};
    const std::vector<std::size_t>& files = files_[*folder];
    return std::to_string(files.back() - files[first]) + " more files" + of + ", in " + file_folders[*folder];
  }

 private:
  static constexpr std::size_t enough = 3;
  static constexpr std::size_t certain = 8;

  bool grow(const std::vector<std::size_t>& sizes, std::uint64_t least) const {
    for (std::size_t i = 1; i < sizes.size(); ++i) {
      if (sizes[i] < sizes[i - 1] + least) return false;
    }
    return calls_ > 0 && sizes.size() > 1;
  }
  bool memory_grows() const { return memory_can_be_judged && !has_threads_ && grow(memory_, 8 * calls_); }
  std::optional<std::size_t> growing_folder() const {
    for (std::size_t folder = 0; folder < files_.size(); ++folder) {
      if (grow(files_[folder], std::max<std::uint64_t>(calls_ / 2, 1))) return folder;
    }
    return std::nullopt;
  }

  std::uint64_t calls_ = 0;  // in each round
  bool has_threads_ = false;
  std::vector<std::size_t> memory_;
  std::array<std::vector<std::size_t>, file_folders.size()> files_;
};

// The name of a file that a check makes in the working directory, which is empty meanwhile, so that it can't be another
// program's.
std::string file_left_by_check(TestContext& context, const std::string& config) {
  std::error_code error;
  std::string directory = (std::filesystem::temp_directory_path(error) / "taskhost-verify-XXXXXX").string();
  const int former = ::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::string found;
  if (former >= 0 && !error && ::mkdtemp(directory.data()) != nullptr) {
    if (::chdir(directory.c_str()) == 0) call_check(context, config);
    for (auto entry = std::filesystem::directory_iterator(directory, error);
         !error && entry != std::filesystem::end(entry); entry.increment(error)) {
      found = entry->path().filename().string();
    }
    (void)::fchdir(former);
    std::filesystem::remove_all(directory, error);
  }
  if (former >= 0) ::close(former);
  return found;
}

}  // namespace

Verdict check_of_configs(TestContext& context) {
  if (context.factory().check == nullptr) return inapplicable("it has no check");
  const Budget budget = context.budget(50);
  const std::string given = context.host().config();
  const ProcessState before = ProcessState::take();
  const Judged of_given = call_check(context, given);
  const WrongConfigs configs = wrong_configs(context);
  std::vector<std::string> accepted;
  std::uint64_t calls = 1;
  std::uint64_t refusals = 0;
  ProcessState after_first;
  CheckGrowth growth;
  while (!budget.is_over() && growth.goes_on()) {
    std::uint64_t done = 0;
    run_apart([&] {  // it may be called on any thread, also for the first time
      for (const std::string& config : configs.list) {
        if (budget.is_over()) break;
        ++done;
        const bool is_right = call_check(context, config).is_right;
        if (!is_right) ++refusals;
        if (is_right && growth.rounds() == 1) accepted.push_back(config);
      }
    });
    calls += done;
    if (growth.rounds() == 0) after_first = settled(ProcessState::take(), 50);
    growth.add(done, count_threads() > after_first.threads.size());
  }
  // What is made once, when it is first needed, may stay, if it is no more than a thread, a descriptor or memory.
  const ProcessState after = settle(context, after_first);
  const LeftBehind each = judge_left_behind(after_first, after, false, context.brings_runtime(), "3.16", "3.16");
  const LeftBehind once = judge_left_behind(before, after, true, context.brings_runtime(), "3.16", "3.16");
  for (const auto& [left, when] : {std::pair(&once, "after "), std::pair(&each, "in the last rounds of ")}) {
    if (!left->broken_rules.empty()) {
      return broken(left->broken_rules, when + counted(calls, "check") + ", " + left->broken_words);
    }
  }
  if (!once.kept.empty()) {
    context.host().findings().note("3.16", "check kept",
                                   "the first checks left this behind, and later ones added nothing: " + once.kept +
                                       ". A check starts nothing; it may only keep what belongs to the process");
  }
  if (const std::string words = growth.words(); !words.empty()) return broken("3.16", words);
  if (const std::string file = file_left_by_check(context, given); !file.empty()) {
    return broken("3.16", "check leaves a file behind in the working directory: " + quoted_text(file));
  }
  const Judged started = starts_with(context, given);
  if (!of_given.is_right) {
    if (started.is_right) {
      return broken("3.16", "check refuses a config with which it starts: " + reason_words(of_given.why));
    }
    return unproven("check refuses the given config: " + reason_words(of_given.why) +
                    " (give it one with which it starts: --config, or the manifest's)");
  }
  std::string text =
      counted(calls, "check") + ", " + std::to_string(refusals) + " with a reason to refuse" + configs.words();
  std::uint64_t failed = 0;
  std::string example;
  for (const std::string& config : accepted) {
    if (budget.is_over()) break;
    const Judged start = starts_with(context, config);
    if (start.is_right || ++failed > 1) continue;
    example = context.host().config_words(config) + ": " + start.why;
  }
  if (failed > 0) text += "; " + counted(failed, "config") + " that it accepts fail in start, such as " + example;
  return holds(text);
}

}  // namespace taskhost::verify
