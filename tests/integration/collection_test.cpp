// The collection of tasks that break one rule each, and of right but unusual ones: `taskhost verify` says of none of
// them what is wrong, beside loops that keep every processor busy, too.
#include <unistd.h>

#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/sanitizers.hpp"
#include "verification.hpp"

using namespace taskhost::test;
using namespace std::string_view_literals;

namespace {

struct Row {
  const char* task;
  const char* rule;
  const char* test;        // that finds it
  const char* words = "";  // in the verdict's text
  const char* verdict = "broken";
  const char* also = "none";  // a rule that may be broken besides
  const char* time_limit = nullptr;
  const char* config = "{}";
};

// What is left behind is found by many executions, for which there is little time beside busy loops.
const char* time_limit_of(const Row& row) {
  if (row.time_limit != nullptr) return row.time_limit;
  const bool takes_many_executions = row.rule == "5.3"sv && row.verdict == "broken"sv;
  return takes_many_executions ? "30s" : "6s";
}

const std::vector<Row>& breakers() {
  static const std::vector<Row> rows = {
      {"changes_description", "1.4", "start, then drop", "has changed"},
      {"logs_for_the_former", "4.1", "start, then drop", "already been dropped"},
      {"keeps_config", "4.1", "start, then drop", "it read the config or the name"},
      {"keeps_name", "4.1", "start, then drop", "it read the config or the name"},
      {"writes_config", "3.8", "start, then drop", "wrote to its config"},
      {"replaces_watched", "4.5", "run to its end", "closed while it was watched"},
      {"wakes_half", "4.10", "run to its end", "64 bits"},
      {"wakes_next", "4.10", "run to its end", "64 bits"},
      {"watches_for_nothing_known", "4.5", "run to its end", "interests"},
      {"logs_nothing", "4.6", "run to its end", "NULL"},
      {"offloads_nothing", "4.11", "run to its end", "without run"},
      {"fails_in_drop", "4.2", "start, then drop", "fail was called in drop"},
      {"sets_timer_in_drop", "4.2", "start, then drop", "wake_after was called in drop"},
      {"takes_ready_in_drop", "4.2", "start, then drop", "take_ready was called in drop"},
      {"reads_past_state", "2.5", "run to its end", "byte 64 after the end"},
      {"writes_before_state", "2.5", "run to its end", "wrote outside"},
      {"writes_past_odd_state", "2.5", "run to its end", "wrote outside"},
      {"starts_slowly", "3.4", "start, then drop", "start took"},
      {"stops_slowly", "3.4", "stop before it begins", "poll took"},
      {"hangs", "3.4", "run to its end", "had not returned", "broken", "none", "1s"},
      {"spins", "3.4", "run to its end", "had not returned", "broken", "none", "1s"},
      {"halts", "3.4", "run to its end", "had not returned", "broken", "none", "1s"},
      {"deaf_after_three", "3.10", "stop at any time", "it went on", "broken", "none", "10s"},
      {"deaf_after_three", "3.10", "stop at any time", "a --time-limit of at least", "unproven"},
      {"sleeps_when_stopped", "3.10", "stop at any time", "only its timer would wake it"},
      {"fails_if_late", "4.4", "late wakes", "late"},
      {"loses_timer", "4.3", "spurious wakes", "had arranged was gone"},
      {"gives_up_if_early", "4.3", "spurious wakes", "woken for nothing"},
      {"gives_up_if_early", "4.3", "double wakes", "woken for nothing"},
      {"never_reads", "3.12", "run to its end", "a watched descriptor was ready"},
      {"watches_writable", "3.12", "run to its end", "a watched descriptor was ready"},
      {"watches_the_end", "3.12", "run to its end", "a watched descriptor was ready"},
      {"gives_way_for_ever", "3.12", "run to its end", "did nothing but ask"},
      {"locks_across_calls", "3.13", "calls on different threads", "not my mutex"},
      {"keeps_thread_local", "3.13", "calls on different threads", "another thread's"},
      {"leaks_threads", "5.2", "drop at every pending poll", "1 thread"},
      {"thread_logs_later", "4.1", "starts that fail", "log was called", "broken", "5.2"},
      {"shares_a_counter", "5.3", "two executions at once", "another came"},
      {"leaks_16_bytes", "5.3", "many executions", "bytes of memory"},
      {"leaks_16_bytes", "5.3", "drop at every pending poll", "bytes of memory"},
      {"leaks_rarely", "5.3", "many executions", "bytes of memory"},
      {"leaks_mappings", "5.3", "many executions", " memory, for each"},
      {"leaves_files", "5.3", "many executions", "more files"},
      {"failed_start_leaks", "5.3", "starts that fail", "start must free it"},
      {"leaks_on_stop", "5.3", "many executions", "bytes of memory"},
      {"only_a_stop_closes", "5.3", "drop at every pending poll", "after 4 pending polls"},
      {"only_a_stop_frees", "5.3", "drop at every pending poll", "bytes of memory"},
      {"leaks_at_the_twentieth", "5.3", "drop at every pending poll", "bytes of memory"},
      {"leaks_timers", "5.3", "left behind", "timer"},
      {"stop_exits", "3.8", "stop at any time", "exit(0)"},
      {"stop_exits_at_once", "3.8", "stop at any time", "_exit"},
      {"stop_throws", "3.6", "stop at any time", "interrupted"},
      {"stop_nonsense", "3.2", "stop at any time", "-1"},
      {"exits_in_a_drop", "3.8", "start, then drop", "in drop of execution 12"},
      {"crashes", "3.8", "run to its end", "SIGSEGV in poll"},
      {"aborts", "3.8", "run to its end", "SIGABRT in poll"},
      {"kills_itself", "3.8", "run to its end", "SIGKILL in poll"},
      {"run_ends_its_thread", "3.8", "run to its end", "pthread_exit"},
      {"run_sleeps", "3.10", "stop at any time", "had not returned", "broken", "none", "10s"},
      {"run_sleeps", "3.10", "stop at any time", "had not returned", "unproven", "none", "1s"},
      {"run_throws", "3.6", "run to its end", "run threw"},
      {"child_comes_back", "3.14", "run to its end", "came out of that function"},
      {"leaves_a_daemon", "5.3", "run to its end", "left 1 process running"},
      {"forks_many", "5.3", "run to its end", "more than 100 processes"},
      {"writes_a_lot", "3.2", "run to its end", "64 MiB", "unproven"},
  };
  return rows;
}

const std::vector<Row>& meddlers() {
  static const std::vector<Row> rows = {
      {"limits_files", "5.1", "left behind", "the limit of open files"},
      {"takes_terminate", "5.1", "left behind", "the terminate handler"},
      {"starts_interval_timer", "5.1", "left behind", "the interval timer"},
      {"closes_stdin", "5.1", "left behind", "descriptor 0"},
      {"ignores_children", "5.1", "left behind", "SIGCHLD"},
      {"changes_umask_for_a_while", "5.1", "run to its end", "the umask"},
      {"changes_directory", "5.1", "left behind", "the working directory"},
      {"changes_process_locale", "5.1", "left behind", "the locale"},
      {"run_changes_umask", "5.1", "run to its end", "the umask"},
      {"changes_locale_for_a_moment", "5.1", "start, then drop", "start called setlocale(\"C.UTF-8\")"},
      {"changes_cpp_locale_for_a_moment", "5.1", "run to its end", "poll called setlocale"},
      {"asks_for_the_umask_by_changing_it", "5.1", "start, then drop", "drop called umask"},
      {"is_elsewhere_for_a_moment", "5.1", "start, then drop", "start called chdir(\"/\")"},
      {"is_elsewhere_for_a_moment", "5.1", "start, then drop", "start called fchdir"},
      {"changes_environment_for_a_moment", "5.1", "run to its end", "poll called unsetenv(\"BREAKER\")"},
      {"lowers_a_limit_for_a_moment", "5.1", "start, then drop", "start called setrlimit"},
      {"handles_a_signal_for_a_moment", "5.1", "run to its end", "poll called sigaction(SIGALRM)"},
      {"handles_a_signal_for_a_moment", "5.1", "run to its end", "poll called alarm"},
      {"runs_a_shell", "5.1", "run to its end", "run called system"},
      {"a_thread_changes_umask_for_a_moment", "5.1", "run to its end", "a thread of the plugin's own called umask"},
      {"has_a_cpp_locale", "5.1", "left behind", "the C++ locale"},
      {"redirects_stderr", "5.1", "run to its end", "where standard error goes"},
      {"makes_stdout_nonblocking", "5.1", "left behind", "where standard output goes"},
      {"writes_cout_elsewhere", "5.1", "left behind", "the buffer of std::cout"},
      {"ends_with_its_parent", "5.1", "left behind", "when its parent ends"},
      {"calls_atexit", "5.1", "start, then drop", "start called atexit", "note"},
      {"cannot_be_cancelled", "5.1", "run to its end", "whether it can be cancelled"},
      {"has_a_signal_stack", "5.1", "run to its end", "the stack of signal handlers"},
      {"has_late_timers", "5.1", "run to its end", "how late its timers may come"},
      {"is_nice", "5.1", "start, then drop", "the priority"},
      {"rounds_up", "5.1", "run to its end", "the floating-point modes"},
      {"blocks_a_signal", "5.1", "run to its end", "the signal mask"},
      {"stays_on_a_processor", "5.1", "run to its end", "the processors"},
      {"uses_a_locale", "5.1", "run to its end", "the thread's locale"},
  };
  return rows;
}

const std::vector<Row>& subtle_breakers() {
  static const std::vector<Row> rows = {
      {"keeps_text_of_config", "4.1", "start, then drop", "it read the config or the name", "broken", "none", "6s",
       R"({"message": "hello"})"},
      {"keeps_directory", "4.1", "start, then drop", "manifest's directory"},
      {"loses_timer_with_a_waker", "4.3", "spurious wakes", "its timer was gone"},
      {"loses_timer_at_once", "4.3", "spurious wakes", "took away its timer", "note"},
      {"loses_timer_after_work", "4.3", "spurious wakes", "had arranged was gone"},
      {"takes_any_poll_for_the_timer", "4.3", "spurious wakes", "left alone after 36", "note"},
      {"leaves_a_file_at_the_fifth", "5.3", "drop at every pending poll", "left behind 1 file"},
      {"leaves_a_timer_at_the_fifth", "5.3", "drop at every pending poll", "left behind 1 timer"},
      {"leaves_a_mapping_at_the_fifth", "5.3", "drop at every pending poll", "65536 bytes of mapped memory"},
      {"leaves_a_zombie_at_the_fifth", "5.3", "drop at every pending poll", "left behind 1 timer, segment or child"},
      {"run_leaks_after_two_milliseconds", "5.3", "many executions", "descriptors"},
      {"child_comes_out_of_work", "3.14", "run to its end", "came out of that function"},
      {"run_takes_any_wake_for_its_time", "4.3", "spurious wakes", "left alone after 36", "note"},
      {"never_reads_beside_a_timer", "3.12", "run to its end", "a watched descriptor was ready", "note"},
      {"keeps_deadline_thread_local", "3.13", "calls on different threads", "it slept on"},
      {"leaks_when_done", "5.3", "drop at every pending poll", "ended well, each of"},
      {"leaks_when_done", "5.3", "many executions", "of memory"},
      {"leaks_when_it_fails", "5.3", "drop at every pending poll", "failed, each of"},
      {"run_leaks_when_done", "5.3", "many executions", "descriptors"},
  };
  return rows;
}

const std::vector<Row>& intruders() {
  static const std::vector<Row> rows = {
      {"forges_messages", "3.8", "start, then drop", "SIGSEGV in drop"},
      {"leaves_files_in_a_folder", "5.3", "many executions", "more files"},
      {"leaves_segments", "5.3", "left behind", "segment"},
      {"leaves_orphans", "5.3", "run to its end", "processes running, such as"},
      {"leaves_a_sibling", "5.3", "run to its end", "left 1 process running"},
      {"starts_many_daemons", "5.3", "run to its end", "more than 100 processes"},
      {"leaves_a_chain", "5.3", "run to its end", "running, such as"},
      {"kills_its_parent", "3.8", "run to its end", "killed the process that had started it"},
      {"stops_its_parent_and_hangs", "3.4", "run to its end", "had not returned"},
      {"never_has_children", "5.1", "left behind", "SIGCHLD"},
      {"limits_pending_signals", "5.1", "left behind", "the limit of pending signals"},
      {"adopts_orphans", "5.1", "left behind", "whether it adopts orphans"},
      {"gains_no_privileges", "5.1", "left behind", "whether it can gain privileges"},
      {"is_killed_first", "5.1", "left behind", "when memory is short"},
      {"locks_new_memory", "5.1", "run to its end", "whether new memory is locked"},
      {"is_another_user", "5.1", "left behind", "the user ids"},
  };
  return rows;
}

// Right ones, for what a single test says of them.
const std::vector<Row>& rights_in_one_test() {
  static const std::vector<Row> rows = {
      {"stops_in_slices", "3.10", "stop before it begins", "up to 110000 polls", "holds", "none", "10s"},
      {"works_in_a_large_block", "3.2", "run to its end", "ended by", "holds"},
      {"works_in_a_global", "3.2", "run to its end", "ended by", "holds"},
      {"works_far_away", "3.2", "run to its end", "ended by", "holds"},
      {"copies_a_file", "3.2", "run to its end", "ended by", "holds"},
      {"has_a_queue_of_its_own", "3.2", "run to its end", "ended by", "holds"},
      {"works_at_a_ready_descriptor", "3.2", "run to its end", "ended by", "holds"},
      {"closes_for_three_seconds", "5.3", "two executions at once", "on two threads", "holds", "none", "10s"},
      {"run_closes_for_three_seconds", "5.3", "two executions at once", "pair", "holds", "none", "10s"},
      {"run_closes_for_three_seconds", "3.10", "stop at any time", "a --time-limit of at least", "unproven", "none",
       "4s"},
      {"waits_for_the_stop", "4.4", "late wakes", "no timer of its own", "does_not_apply"},
      {"gives_way", "4.3", "spurious wakes", "something had happened", "does_not_apply"},
      {"run_ends_at_once", "4.3", "spurious wakes", "run had ended", "does_not_apply"},
      {"run_ends_at_once", "5.3", "two executions at once", "one had ended", "does_not_apply"},
      {"has_slow_threads", "5.2", "left behind", "ended by themselves", "note", "none", "10s"},
      {"has_slow_threads", "5.2", "drop at every pending poll", "ended by themselves", "note", "none", "10s"},
      {"has_slow_threads", "5.2", "many executions", "ended by themselves", "note", "none", "10s"},
      {"starts_in_80_ms", "5.3", "two executions at once", "on two threads", "holds", "none", "100ms"},
  };
  return rows;
}

struct Right {
  const char* task;
  const char* config = "{}";
  const char* time_limit = "4s";
};

constexpr std::array right_ones = std::to_array<Right>({{"fails_by_chance"},
                                                        {"fails_mostly"},
                                                        {"starts_by_chance"},
                                                        {"fails_at_the_third"},
                                                        {"fails_at_the_thirtieth"},
                                                        {"fails_after_ten_minutes"},
                                                        {"panics_after_an_hour"},
                                                        {"fails_when_stopped"},
                                                        {"ends_at_once"},
                                                        {"ends_at_the_second"},
                                                        {"waits_for_the_stop"},
                                                        {"takes_two_seconds_to_stop"},
                                                        {"times_out"},
                                                        {"patient"},
                                                        {"impatient"},
                                                        {"is_never_answered"},
                                                        {"is_woken_by_a_thread"},
                                                        {"offloads"},
                                                        {"finishes_later"},
                                                        {"works_in_slices"},
                                                        {"works_in_short_slices"},
                                                        {"gives_way"},
                                                        {"counts_down_on_the_heap"},
                                                        {"reads_bit_by_bit"},
                                                        {"has_a_large_state"},
                                                        {"uses_much_memory"},
                                                        {"watches_many"},
                                                        {"makes_a_pool_once"},
                                                        {"makes_something_at_the_fifth"},
                                                        {"fills_a_cache"},
                                                        {"has_a_detached_thread"},
                                                        {"has_a_child"},
                                                        {"has_a_timer"},
                                                        {"writes_some_files"},
                                                        {"starts_slowly"},
                                                        {"needs_config", R"({"n": 5})"},
                                                        {"waits_for_a_signal"},
                                                        {"looks_at_the_process"},
                                                        {"prepares_a_child"},
                                                        {"run_polls_slowly"},
                                                        {"run_fails_later"},
                                                        {"run_fails_when_stopped"},
                                                        {"run_fails_by_chance"},
                                                        {"run_has_a_loop_of_its_own"}});

constexpr std::array subtle_rights = std::to_array<Right>({
    {"winds_down_in_real_time"},
    {"waits_for_a_child_to_end"},
    {"finish_waits_for_a_thread"},
    {"takes_servers_in_turn_of_which_one_is_down"},
    {"has_a_helper_process"},
    {"has_a_cache_of_a_thousand", "{}", "20s"},
    {"frees_later"},
    {"works_in_shared_memory"},
    {"sends_one_datagram_in_each_poll"},
    {"collects_one_datagram_in_each_poll"},
});

// Keeps as many processors busy, as long as it exists.
class BusyLoops {
 public:
  explicit BusyLoops(int count) {
    for (int loop = 0; loop < count; ++loop) {
      Command command;
      command.program = "/bin/sh";
      command.arguments = {"-c", "while :; do :; done"};
      loops_.push_back(std::make_unique<Process>(command));
    }
  }

 private:
  std::vector<std::unique_ptr<Process>> loops_;  // killed by their destructors
};

// Each has a directory of its own: files that another one makes meanwhile would be taken for its own.
Job job_of(const char* library, const std::string& task, const TemporaryDirectory& directory, const char* time_limit) {
  static int number = 0;
  const std::filesystem::path own = directory.path() / std::to_string(++number);
  std::filesystem::create_directories(own);
  return {test_plugin_path(library), {"--task", task, "--seed", "7", "--time-limit", time_limit}, own};
}

// Under a sanitizer memory is not counted, nor locked, the bounds of a large block are not known, the end of a thread
// is a fault of its own, memory is short, and a fork takes long.
bool is_beyond_sanitizers(std::string_view task) {
  return task.find("leaks_16_bytes") == 0 || task == "leaks_rarely" || task == "leaks_mappings" ||
         task == "failed_start_leaks" || task == "leaks_on_stop" || task.find("leaks_when") == 0 ||
         task == "only_a_stop_frees" || task == "leaks_at_the_twentieth" || task == "run_ends_its_thread" ||
         task == "uses_much_memory" || task == "locks_new_memory" || task == "works_in_a_large_block" ||
         task == "leaves_a_mapping_at_the_fifth" || task == "has_a_child" || task == "prepares_a_child";
}

void expect_found(const char* library, std::vector<Row> rows) {
  const TemporaryDirectory directory;
  std::vector<Job> jobs;
  if (sanitized) std::erase_if(rows, [](const Row& row) { return is_beyond_sanitizers(row.task); });
  for (const Row& row : rows) {
    jobs.push_back(job_of(library, row.task, directory, time_limit_of(row)));
    jobs.back().options.insert(jobs.back().options.end(), {"--test", row.test, "--config", row.config});
  }
  const std::vector<Verification> results = verify_all(jobs, 4);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Row& row = rows[i];
    INFO(row.task << " " << row.test << "\n" << results[i].end.summary());
    const std::string_view expected = row.verdict;
    CHECK(results[i].status() == (expected == "broken" || expected == "unproven" ? 1 : 0));
    CHECK(results[i].has(row.verdict, row.rule, row.words));
    for (const Json& verdict : results[i].verdicts) {
      if (verdict["verdict"] != "broken") continue;
      INFO(verdict["text"]);
      const std::string rules = verdict["rules"];
      CHECK((rules.find(row.rule) != std::string::npos || rules.find(row.also) != std::string::npos));
    }
    CHECK(results[i].end.err.empty());
  }
}

}  // namespace

TEST_CASE("each task that breaks a rule is found, by the test that is made for it, and accused of nothing else") {
  const int busy_loops = GENERATE(0, 4);
  CAPTURE(busy_loops);
  const BusyLoops loops(busy_loops);
  expect_found("breakers", breakers());
  expect_found("meddlers", meddlers());
  std::vector<Row> others = intruders();
  if (::geteuid() != 0) std::erase_if(others, [](const Row& row) { return row.task == "is_another_user"sv; });
  expect_found("intruders", others);
  expect_found("subtle_breakers", subtle_breakers());
  expect_found("breakers_that_stay", {{"leaks_timers", "5.3", "left behind", "timer"}});
}

TEST_CASE("of right tasks a test says what it has seen, and no more") {
  expect_found("right_ones", rights_in_one_test());
  expect_found("subtle_rights", {{"joins_in_drop_if_not_finished", "5.2", "start, then drop", "joins a thread", "note"},
                                 {"joins_in_drop_if_not_finished", "3.10", "stop at any time", "ended", "holds"}});
}

TEST_CASE("right but unusual tasks pass, also beside busy loops") {
  const TemporaryDirectory directory;
  const BusyLoops loops(4);
  std::vector<Job> jobs;
  std::vector<Right> rights;
  const auto add = [&](const char* library, std::span<const Right> some) {
    for (const Right& right : some) {
      if (sanitized && is_beyond_sanitizers(right.task)) continue;
      rights.push_back(right);
      jobs.push_back(job_of(library, right.task, directory, right.time_limit));
      jobs.back().options.insert(jobs.back().options.end(), {"--config", right.config});
    }
  };
  add("right_ones", right_ones);
  add("subtle_rights", subtle_rights);
  const std::vector<Verification> results = verify_all(jobs, 6);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    INFO(rights[i].task << "\n" << results[i].end.summary());
    CHECK(results[i].status() == 0);
    CHECK(results[i].count("broken") + results[i].count("unproven") == 0);
    CHECK(results[i].count("holds") > 5);
  }
}
