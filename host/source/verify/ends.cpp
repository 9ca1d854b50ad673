#include "verify/ends.hpp"

#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <system_error>

#include "taskhost/core/system_failure.hpp"
#include "text/printable.hpp"
#include "verify/call_words.hpp"
#include "verify/keeper.hpp"
#include "verify/process_changes.hpp"
#include "verify/process_state.hpp"

namespace taskhost::verify {

namespace {

// Whether the thread that crashed was in no call, while another one was, or was none of the kit's.
bool is_of_its_own_thread(const Progress& progress) {
  return progress.crashed_elsewhere || (progress.crashed_outside && progress.phase >= Phase::start);
}

// What is often the reason, though it is not known to be: drop has freed what a thread still uses.
std::string thread_words(const Progress& progress) {
  const int threads = progress.own_threads;
  if (threads == 0) return {};
  return "; " + counted(static_cast<std::size_t>(threads), "thread") + " of the plugin's own " +
         (threads == 1 ? "was" : "were") +
         " running: does it still use what a drop has freed (rule 5.2)? It must be gone, or own all that it uses";
}

std::string place_words(const Progress& progress) {
  const Phase phase = progress.phase;
  std::string words = phase_words(phase);
  if (is_of_its_own_thread(progress)) {
    words = "on a thread of the plugin's own, " + (phase < Phase::start ? words : "while another was " + words);
    if (progress.execution == 0 || phase >= Phase::check) return words;
    return words + (phase == Phase::none ? ", after execution " : " of execution ") +
           std::to_string(progress.execution) + (phase == Phase::none ? " had begun" : "");
  }
  if (phase == Phase::none || phase == Phase::load || phase == Phase::entry) {
    if (phase == Phase::none && progress.execution != 0) {
      words += ", after execution " + std::to_string(progress.execution) + " had begun";
    }
    return words;
  }
  if (phase == Phase::check || phase == Phase::unload) return words;
  words += " of execution " + std::to_string(progress.execution);
  if (phase == Phase::poll) words += ", poll " + std::to_string(progress.call);
  if (progress.stop_requested) words += ", after it was asked to stop";
  return words;
}

// The end of its output usually says more than the signal: the text of an exception, a panic or a sanitizer.
std::string output_words(const ChildEnd& end) {
  std::string output = end.output;
  while (output.ends_with('\n')) output.pop_back();
  if (output.empty()) return {};
  constexpr std::size_t most = 300;
  const bool is_cut = output.size() > most;
  if (is_cut) output.erase(0, output.size() - most);
  return "; it wrote: \"" + std::string(is_cut ? "…" : "") + printable_text(output, most) + '"';
}

bool has(const ChildEnd& end, const char* words) { return end.output.find(words) != std::string::npos; }

// By SIGKILL that it has not sent itself, or SIGXCPU of a limit that was there before it: by others. Empty if it was
// not.
std::string killed_from_outside(const ChildEnd& end, const Progress& progress) {
  rlimit processor_time{};
  const bool is_limited = ::getrlimit(RLIMIT_CPU, &processor_time) == 0 && processor_time.rlim_cur != RLIM_INFINITY;
  const std::string limit =
      "by the limit of processor time: ulimit -t is " + std::to_string(processor_time.rlim_cur) + " here; raise it";
  const int signal = end.signal.value_or(SIGKILL);
  if (signal == SIGXCPU) return is_limited ? limit : "";
  if (signal != SIGKILL || progress.sent_kill || !process_changes_are_recorded) return {};
  return is_limited ? limit : "by an operator, or by the system because memory was short";
}

Verdict crash(const ChildEnd& end, const Progress& progress) {
  const std::string place = place_words(progress);
  const std::int64_t offset = progress.hit_offset;
  const std::string killed = signal_words(*end.signal) + " " + place;
  const bool in_loading = progress.phase == Phase::load || progress.phase == Phase::entry;
  switch (progress.hit.load()) {
    case Hit::behind_state:
      return broken("2.5", killed + ": it touched byte " + std::to_string(offset) +
                               " after the end of its state. Is state_size the size of the type that is kept there?");
    case Hit::before_state:
      return broken("2.5", killed + ": it touched memory " + std::to_string(-offset) + " bytes before its state");
    case Hit::dropped_state:
      return broken(progress.phase == Phase::none || is_of_its_own_thread(progress) ? "5.2" : "3.9",
                    killed + ": it touched the state of an execution that had already been dropped, at byte " +
                        std::to_string(offset) + ". Does a thread or a callback still have it?");
    case Hit::text:
      return broken("3.8", killed + ": it wrote to its config, name or manifest's directory, or read beyond its end");
    case Hit::dropped_text:
      return broken(
          "4.1",
          killed +
              ": it read the config or the name of an execution that had already been dropped, or its manifest's "
              "directory; "
              "these texts end with it: copy what is needed for longer");
    case Hit::unknown:
      break;
  }
  if (*end.signal == SIGABRT && (has(end, "terminate called") || has(end, "cannot unwind") || has(end, "panicked"))) {
    return broken(in_loading ? "1.3" : "3.6",
                  "an exception or panic ended the process, " + killed + output_words(end) + thread_words(progress));
  }
  const char* const rule = progress.phase == Phase::unload ? "5.4" : "3.8";
  return broken(in_loading ? "1.3" : rule, "it crashed: " + killed + output_words(end) + thread_words(progress));
}

Verdict late(const ChildEnd& end, const Progress& progress) {
  const std::string lifetime = "the test had not ended after " + duration_words(end.lifetime);
  const std::string words = "it had not returned after " + duration_words(end.time_in_call) + ", ";
  if (!end.was_stuck && progress.phase != Phase::work) {
    return unproven(lifetime + ", " + place_words(progress) + ": try a longer --time-limit");
  }
  switch (progress.phase.load()) {
    case Phase::none:
      break;
    case Phase::load:
    case Phase::entry:
      return broken("1.5", words + place_words(progress));
    case Phase::start:
    case Phase::poll:
    case Phase::finish:
    case Phase::drop:
      return broken("3.4", words + place_words(progress));
    case Phase::check:
      return broken("3.16", words + place_words(progress));
    case Phase::run:
      return broken("3.10", words + place_words(progress));
    case Phase::unload:
      if (end.time_in_call <= longest_end) break;
      return broken("5.4", words + place_words(progress));
    case Phase::work:
      return unproven(lifetime + ", since work that execution " + std::to_string(progress.execution) +
                      " had offloaded was still going on: try a config with which it ends sooner, or a longer "
                      "--time-limit");
  }
  return unproven(words + place_words(progress) + ": try a longer --time-limit");
}

}  // namespace

Verdict refused_by_system(const ChildEnd& end, const Progress& progress) {
  const int error = progress.refusal;
  if (!progress.has_used_it_up) {
    const std::string words = "a test could not go on, " + place_words(progress) + ": " + end.refusal;
    if (error == 0) throw std::runtime_error(words);
    throw std::system_error(error, std::generic_category(), words);
  }
  return unproven("the test could not go on, " + place_words(progress) + ": " +
                  system_failure(error, end.refusal.c_str()).what() +
                  "; it may have run out because of the plugin, which holds much of it then: see \"many executions\"");
}

Verdict death(const ChildEnd& end, const Progress& progress) {
  if (end.had_too_many_processes) {
    return broken("5.3", "it had more than " + std::to_string(max_processes) + " processes, " + place_words(progress) +
                             ": they and the test were ended");
  }
  if (end.wrote_too_much) {
    return unproven("it wrote more than " + std::to_string(max_output >> 20) +
                    " MiB to stdout and stderr, so the test was ended, " + place_words(progress));
  }
  if (end.was_late) return late(end, progress);
  if (!end.status) {
    const std::string by_others = killed_from_outside(end, progress);
    const std::string what =
        end.signal ? "the test was killed, " : "the process that had started the test was killed, ";
    if (!by_others.empty()) return unproven(what + place_words(progress) + ", from outside: " + by_others);
  }
  if (end.signal) return crash(end, progress);
  if (progress.phase == Phase::unload) {
    Verdict verdict;
    verdict.judgement = Judgement::note;
    verdict.text = "it ended the process " + place_words(progress) +
                   ": destructors and exit handlers of others do not run then. The host keeps its status";
    return verdict;
  }
  if (!end.status) {
    return broken("3.8", "it killed the process that had started it, " + place_words(progress) +
                             ": what it has started itself may still be running");
  }
  const bool in_loading = progress.phase == Phase::load || progress.phase == Phase::entry;
  if (progress.exit_called) {
    return broken(in_loading ? "1.3" : "3.8",
                  "it called exit(" + std::to_string(end.status.value_or(0)) + ") " + place_words(progress));
  }
  return broken(in_loading ? "1.3" : "3.8",
                "it ended the process with status " + std::to_string(end.status.value_or(0)) +
                    ", by _exit, the end of its last thread, or by closing descriptors of others, " +
                    place_words(progress) + output_words(end));
}

}  // namespace taskhost::verify
