#include "explained_checks.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>

namespace taskhost::simulation {

namespace {

// Compares one trial with what is told of its task.
class Check {
 public:
  Check(const Scenario& scenario, const Tried& tried, const Json& told)
      : scenario_(scenario), tried_(tried), told_(told), it_(told.at("tasks").at(tried.task)) {}

  void run() {
    check_who_is_over(scenario_, tried_.run, tried_.observed, told_);
    for (const Later* const later : {&tried_.in_order, &tried_.backward}) {
      check_who_is_over(scenario_, later->run, later->observed, told_);
    }
    if (it_.contains("repeat")) check_times_told();
    if (tried_.trial == Trial::stops) return check_order(scenario_, tried_, told_);
    if (tried_.trial == Trial::is_deaf) return check_longest_stop(tried_, told_);
    if (tried_.trial == Trial::fails_among_others) return check_among_others();
    if (tried_.trial == Trial::fails_later) return check_later_failures();
    check_failing();
  }

 private:
  using At = std::vector<Observed>::const_iterator;

  // --- one task fails ---

  bool others_are_ready() const {
    return tried_.trial != Trial::fails_to_start && tried_.trial != Trial::crashes_in_start &&
           tried_.trial != Trial::is_late && tried_.trial != Trial::fails_in_the_end;
  }

  void check_failing() {
    const std::vector<Observed>& all = tried_.observed;
    const auto begin = std::find_if(all.begin(), all.end(), [this](const Observed& one) {
      return one.output.kind == Output::Kind::start && one.output.task == tried_.task;
    });
    expect(begin != all.end(), "it is never started");
    expect_equal(first_moment, begin->time, "time of its start");
    Outcome outcome = Outcome::error;
    std::string message;
    length_ = scenario_.unit;
    Nanoseconds lived = scenario_.unit;
    switch (tried_.trial) {
      case Trial::fails_when_ready:
        message = message_of_failure;
        break;
      case Trial::fails_in_the_end:
        message = message_of_failure;
        length_ = lived = 2 * scenario_.unit;
        break;
      case Trial::fails_to_start:
        length_ = lived = 0;
        break;
      case Trial::crashes:
        outcome = Outcome::crashed;
        message = message_of_failure;
        break;
      case Trial::crashes_in_start:
        outcome = Outcome::crashed;
        message = message_of_failure;
        length_ = lived = 0;
        break;
      case Trial::ends_well:
        outcome = Outcome::ok;
        break;
      case Trial::is_late:
        length_ = time_of(it_.at("start_timeout_ms"));
        lived = 0;
        message = "was not ready within ";
        break;
      case Trial::is_silent:
        if (it_.at("watchdog").at("action") == "log") return check_stalled(begin);
        length_ = lived = time_of(it_.at("watchdog").at("interval_ms"));
        message = "no heartbeat for ";
        break;
      default:
        break;
    }
    if (tried_.deaf) {
      length_ += time_of(it_.at("stop_timeout_ms"));
      if (it_.at("kind") == "blocking") return check_abandoned(begin);
    }
    const auto exit = find(begin, EventKind::task_exited);
    expect(exit != all.end(), "it never exits");
    expect_equal(exit->time - begin->time, length_, "time of its first exit");
    const std::string action = action_told(outcome, message);
    check_action(exit, action, outcome, lived);
  }

  // --- it fails, and the others do what they like ---

  void check_among_others() {
    const std::vector<Observed>& all = tried_.observed;
    length_ = tried_.life * scenario_.unit;
    const bool by_group = it_.contains("restarted_by");
    Names with_it = names_in(it_, "restarted_with_it");
    if (it_.contains("when_it_gives_up")) with_it.merge(names_in(it_.at("when_it_gives_up"), "restarted_with_it"));
    const bool waits = by_group || it_.contains("after") || !with_it.empty();
    Nanoseconds due = never;  // its next start
    bool may_be_early = false;
    for (const Observed& one : all) {
      const Output& output = one.output;
      if (output.kind == Output::Kind::stop_host || one.time >= tried_.run.stop_began) break;
      if (output.task != tried_.task) continue;
      if (output.kind == Output::Kind::ask) {
        expect(is_isolated() || it_.contains("when_abandoned"), "it is asked to end, so it may be abandoned");
      }
      if (is_told(one, EventKind::task_restarting, tried_.task)) {
        // The wall clock may be set meanwhile.
        if (output.restart_kind == RestartKind::repeat && waits_for_schedule()) continue;
        due = one.time + output.delay;
        may_be_early = it_.value("restarted_by_ends_its_delay", false) &&
                       (ends_early() || (by_group && output.restart_kind == RestartKind::repeat)) &&
                       !(output.restart_kind == RestartKind::repeat && it_.contains("repeat"));
      }
      if (output.kind != Output::Kind::start || due == never) continue;
      expect(may_be_early || one.time >= due, "it is started before its delay has passed");
      expect(waits || one.time <= due, "it is started after its delay has passed");
      due = never;
    }
    const auto exit = find(all.begin(), EventKind::task_exited);
    if (exit == all.end() || action_told(Outcome::error, message_of_failure) != "restart") return;
    check_gives_up_among_others(exit);
  }

  bool is_isolated() const { return it_.contains("isolation"); }

  bool ends_early() const { return it_.contains("restarted_by") && it_.at("strategy") == "rest_for_one"; }

  void check_gives_up_among_others(At exit) {
    const auto gave_up = find(exit, EventKind::task_gave_up);
    const auto exceeds = [this](const char* field, Nanoseconds time) {
      return it_.contains(field) && time > time_of(it_.at(field));
    };
    const bool never_does = it_.at("restarts").is_null() ||
                            exceeds("never_gives_up_if_executions_exceed_ms", length_) ||
                            exceeds("never_gives_up_if_ready_for_ms", length_ + 1);
    expect(!never_does || gave_up == tried_.observed.end(), "it gives up");
    if (gave_up == tried_.observed.end()) return;
    const auto count = static_cast<std::uint64_t>(std::count_if(
        exit, gave_up, [this](const Observed& one) { return is_told(one, EventKind::task_restarting, tried_.task); }));
    const Nanoseconds told = time_of(it_.at("gives_up_after_ms"));
    const Nanoseconds time = gave_up->time - exit->time;
    if (it_.value("gives_up_after_may_be_shorter", false)) return;
    expect(time >= told + it_.at("restarts").get<std::uint64_t>() * length_, "it gives up earlier than told");
    if (it_.at("gives_up_after_is_minimum") == true) return;
    expect_equal(time - count * length_, told, "when it gives up");
  }

  // With a window, restarts that no longer count go on lengthening the delays.
  void check_later_failures() {
    const bool is_restarted = action_told(Outcome::error, message_of_failure) == "restart";
    const bool resets =
        it_.contains("reset_after_ms") && tried_.life * scenario_.unit >= time_of(it_.at("reset_after_ms"));
    if (!is_restarted || resets || it_.at("restarts") == 0) return;
    const auto gave_up = find(tried_.observed.begin(), EventKind::task_gave_up);
    std::uint64_t count = 0;
    for (auto one = tried_.observed.begin(); one != until(gave_up); ++one) {
      if (is_told(*one, EventKind::task_restarting, tried_.task)) check_delay(one->output.delay, ++count);
    }
    const bool is_cut = gave_up == tried_.observed.end() && !tried_.run.cut_after;
    expect(!is_cut, "it neither gives up nor goes on");
    const std::uint64_t needed = tried_.first + it_.at("restarts").get<std::uint64_t>() - 1;
    const std::uint64_t most = it_.value("never_gives_up_after_restarts", ~std::uint64_t{0});
    if (jitter() > 0) return expect(gave_up == tried_.observed.end() || count <= most, "it gives up after all");
    if (gave_up == tried_.observed.end() && count <= needed && needed <= most) return;  // too many steps
    expect((gave_up != tried_.observed.end()) == (needed <= most), "whether it gives up in the end");
    if (needed <= most) expect_equal(count, needed, "restarts until it gives up");
  }

  // Before a trial that took too long was cut short.
  At find(At from, EventKind event) const {
    const At end = end_of_trial(tried_.run, tried_.observed);
    const At found =
        std::find_if(from, std::max(from, end), [&](const Observed& one) { return is_told(one, event, tried_.task); });
    return found == end ? tried_.observed.end() : found;
  }

  // Up to there, or as far as the trial went.
  At until(At found) const {
    return found != tried_.observed.end() ? found : end_of_trial(tried_.run, tried_.observed);
  }

  void check_stalled(At begin) {
    const auto stalled = find(begin, EventKind::task_stalled);
    expect(stalled != tried_.observed.end(), "its silence is not reported");
    expect_equal(stalled->time - begin->time, time_of(it_.at("watchdog").at("interval_ms")), "time of the report");
    expect(find(begin, EventKind::task_exited) == tried_.observed.end(), "it exits");
  }

  void check_abandoned(At begin) {
    const auto abandoned = find(begin, EventKind::task_abandoned);
    expect(abandoned != tried_.observed.end(), "it is not abandoned");
    expect_equal(abandoned->time - begin->time, length_, "time of its abandonment");
    expect(!is_started_after(abandoned), "an abandoned task is started again");
    check_loss(abandoned, it_.at("when_abandoned"));
  }

  bool is_started_after(At from) const {
    return std::any_of(from, tried_.observed.end(), [this](const Observed& one) {
      return one.output.kind == Output::Kind::start && one.output.task == tried_.task;
    });
  }

  std::string action_told(Outcome outcome, const std::string& message) const {
    if (it_.contains("exit_rules")) {
      for (const Json& rule : it_.at("exit_rules")) {
        const Json& match = rule.at("match");
        const auto is_it = [&](const Json& word) { return word == Json(to_string(outcome)); };
        const bool fits =
            !match.contains("outcome") || std::any_of(match.at("outcome").begin(), match.at("outcome").end(), is_it);
        if (match.contains("outcome")) {
          for (const std::string word : match.at("outcome")) {
            expect(word == "ok" || word == "error" || word == "panic" || (word == "crashed" && is_isolated()),
                   "unknown outcome " + word);
          }
        }
        const std::string part = match.value("message", "");
        if (fits && message.find(part) != std::string::npos) return rule.at("action");
      }
    }
    return it_.at(outcome == Outcome::ok ? "when_it_ends_well" : "when_it_fails");
  }

  void check_action(At exit, const std::string& action, Outcome outcome, Nanoseconds lived) {
    const std::vector<Observed>& all = tried_.observed;
    if (const Json charged = it_.value("gives_up_after_exits", Json()); !charged.is_null() && outcome != Outcome::ok) {
      const bool are_failures = charged == "failures" || charged == "restarted_failures";
      expect(action == "restart" ? are_failures : charged != "failures", "failures lead to " + action);
    }
    if (action == "restart") return check_restarts(exit, lived);
    if (action == "repeat") return check_repeats(exit);
    expect(find(exit, EventKind::task_restarting) == all.end() ||
               (action == "give_up" && it_.at("when_it_gives_up").at("on_give_up") == "cooldown"),
           "it is restarted after " + action);
    expect((find(exit, EventKind::task_gave_up) != all.end()) == (action == "give_up"), "whether it gives up");
    if (action == "give_up") return check_giving_up(find(exit, EventKind::task_gave_up));
    if (action == "discard") {
      if (outcome != Outcome::ok) return check_loss(exit, it_.at("when_discarded_after_failure"));
      return check_loss(exit, {{"discarded_with_it", Json::array()}, {"host_stops", host_without(exit)}});
    }
    expect(action == "stop_host" || action == "fail_host", "unknown action " + action);
    expect_equal(host_stop(exit),
                 Json{{"reason", "task_exit"},
                      {"task", name_of(tried_.task)},
                      {"result", action == "stop_host" ? "success" : "failure"}},
                 "who stops the host");
  }

  // What happens when a task ends well, and no other is left.
  Json host_without(At) const {
    if (scenario_.tasks.size() > 1) return nullptr;
    return {{"reason", "all_done"}, {"task", name_of(tried_.task)}, {"result", "failure"}};
  }

  void check_repeats(At exit) {
    unsigned count = 0;
    for (auto one = exit; one != tried_.observed.end(); ++one) {
      if (!is_told(*one, EventKind::task_restarting, tried_.task)) continue;
      ++count;
      expect(one->output.restart_kind == RestartKind::repeat, "it is not repeated");
      if (it_.contains("repeat")) {
        if (it_.at("repeat").contains("every_ms")) check_time(*one, time_of(it_.at("repeat").at("every_ms")));
        continue;
      }
      expect_range(one->output.delay, it_.at("repeat_delay_ms"), "delay of a repeat");
    }
    const unsigned least = it_.contains("repeat") ? 1 : 3;  // a wait for its time may be long
    expect(count >= least || scenario_.tasks.size() > 1, "it is not repeated often");
  }

  bool waits_for_schedule() const { return it_.contains("repeat") && it_.at("repeat").contains("schedule"); }

  // They begin with the first after the first moment.
  void check_times_told() const {
    if (!waits_for_schedule()) return;
    const Schedule& schedule = *scenario_.tasks[tried_.task].options.optional->repeat->schedule;
    expect_equal(schedule.text(), it_.at("repeat").at("schedule"), "its schedule");
    const Json& times = it_.at("repeat").at("next_times_ms");
    expect_equal(times.size(), 5, "how many times are told");
    for (std::size_t i = 0; i < times.size(); ++i) {
      const Nanoseconds before = i == 0 ? schedule.wall_time(first_moment) : time_of(times.at(i - 1));
      expect_equal(schedule.next(before), time_of(times.at(i)), "one of its times");
    }
  }

  // The first execution began at the first moment. It may be late, and then it is due at once.
  void check_time(const Observed& one, Nanoseconds every) const {
    const Nanoseconds due = one.time + one.output.delay - first_moment;
    expect(one.output.delay <= every, "it waits for longer than its time");
    expect(due % every == 0 || (one.output.delay == 0 && length_ > 0), "it is due at another time");
  }

  void expect_range(Nanoseconds delay, const Json& range, const std::string& what) const {
    const bool fits = delay >= time_of(range.at(0)) && delay <= time_of(range.at(1));
    expect(fits && time_of(range.at(0)) <= time_of(range.at(1)),
           what + ": " + Json(delay).dump() + ", told: " + range.dump());
    expect(range.size() == 2, what + " is not a range");
    // Without jitter, both are the delay.
    if (jitter() == 0) expect_equal(time_of(range.at(0)), time_of(range.at(1)), what + " without jitter");
  }

  double jitter() const {
    const auto& optional = scenario_.tasks[tried_.task].options.optional;
    return optional && optional->backoff ? optional->backoff->jitter : 0;
  }

  Json delay_told(std::size_t number) const {
    const Json& list = it_.at("delays_ms");
    if (number <= list.size()) return list.at(number - 1);
    const Json rest = it_.value("delays_from", Json());
    if (!rest.is_null() && number >= rest.at("restart")) return rest.at("delay_ms");
    const Json last = it_.value("last_delay", Json());
    if (!last.is_null() && number == last.at("restart")) return last.at("delay_ms");
    return nullptr;  // between those that are listed and the longest
  }

  void check_delay(Nanoseconds delay, std::size_t number) const {
    const bool immediate = it_.at("delays_ms").empty() && !it_.contains("delays_from");
    if (immediate) return expect_equal(delay, 0, "delay");
    const Json range = delay_told(number);
    if (!range.is_null()) expect_range(delay, range, "delay of restart " + std::to_string(number));
    if (const Json rest = it_.value("delays_from", Json()); !rest.is_null()) {
      expect(delay <= time_of(rest.at("delay_ms").at(1)), "delay beyond the longest");
      expect_equal(rest.at("restart") > 1, rest.at("is_longest"), "whether it is the longest");
      const bool may_reach_it = number + 1 == rest.at("restart").get<std::size_t>() && jitter() == 0;
      expect(!may_reach_it || delay < time_of(rest.at("delay_ms").at(1)), "an earlier one is as long");
    }
    if (const Json last = it_.value("last_delay", Json()); !last.is_null()) {
      expect_equal(last.at("restart"), it_.at("restarts"), "number of the last restart");
    }
  }

  void check_restarts(At exit, Nanoseconds lived) {
    const std::vector<Observed>& all = tried_.observed;
    const auto gave_up = find(exit, EventKind::task_gave_up);
    const bool resets = it_.contains("reset_after_ms") && lived >= time_of(it_.at("reset_after_ms"));
    std::size_t count = 0;
    Nanoseconds delays = 0;
    for (auto one = exit; one != until(gave_up); ++one) {
      if (!is_told(*one, EventKind::task_restarting, tried_.task)) continue;
      expect(one->output.restart_kind == RestartKind::charged, "it is not charged");
      ++count;
      delays += one->output.delay;
      check_delay(one->output.delay, resets ? 1 : count);
      if (count == 1 && others_are_ready()) check_restarted(one, it_.value("restarted_with_it", Json::array()));
    }
    const Json restarts = it_.at("restarts");
    const Json most = it_.value("never_gives_up_if_executions_exceed_ms", Json());
    const bool exceeds = !most.is_null() && length_ > time_of(most);
    const Json minimum = it_.value("gives_up_after_is_minimum", Json(false));
    if (restarts.is_null()) expect(it_.at("gives_up_after_ms").is_null(), "when it gives up");
    if (restarts.is_null() || resets || exceeds) {
      expect(gave_up == all.end(), "it gives up");
      return expect(restarts.is_null() || count > restarts || tried_.run.cut_after.has_value(), "it does not go on");
    }
    // With jitter, the delays may or may not fit into the window.
    if (it_.value("gives_up_after_or_never", false)) {
      expect(!most.is_null() && jitter() > 0, "why should it never give up?");
      return expect(gave_up == all.end() || count >= restarts, "it gives up early");
    }
    if (!most.is_null() && jitter() > 0 && length_ > 0) return;
    // What is told of executions that never use the restarts up is for delays that others may end.
    const bool by_group = it_.contains("restarted_by");
    if (!most.is_null() && ends_early() && gave_up == all.end()) return;
    if (gave_up == all.end() && tried_.run.cut_after.has_value()) return;
    expect(gave_up != all.end(), "it never gives up");
    expect_equal(count, restarts, "restarts until it gives up");
    expect_equal(gave_up->time - exit->time, delays + count * length_, "time until it gives up");
    const bool waits = by_group || it_.contains("after") || !it_.value("restarted_with_it", Json::array()).empty();
    expect(minimum == (waits || jitter() > 0), "whether it is a minimum");
    const Nanoseconds told = time_of(it_.at("gives_up_after_ms"));
    expect(it_.value("gives_up_after_may_be_shorter", false) == (ends_early() && told != 0),
           "whether it may be shorter");
    if (jitter() > 0) {
      expect(delays >= told, "it gives up too early");
    } else {
      expect_equal(delays, told, "sum of the delays");
    }
    check_giving_up(gave_up);
  }

  // Until the task starts again, those that are restarted with it are asked to end.
  void check_restarted(At from, const Json& told) const {
    Names asked;
    for (auto one = from; one != tried_.observed.end(); ++one) {
      if (one->output.kind == Output::Kind::start && one->output.task == tried_.task) break;
      if (one->output.kind == Output::Kind::ask) asked.insert(name_of(one->output.task));
    }
    if (!is_started_after(from)) return;
    expect_equal(asked, told.get<Names>(), "restarted with it");
  }

  void check_giving_up(At gave_up) {
    const Json& told = it_.at("when_it_gives_up");
    const auto& optional = scenario_.tasks[tried_.task].options.optional;
    expect_equal(to_string(optional ? optional->on_give_up : GiveUp::by_type), told.at("on_give_up"), "on_give_up");
    if (told.at("on_give_up") != "cooldown") return check_loss(gave_up, told);
    const auto restarting = find(gave_up, EventKind::task_restarting);
    if (restarting == tried_.observed.end() && tried_.run.cut_after.has_value()) return;
    expect(restarting != tried_.observed.end(), "it does not start over");
    expect(restarting->output.restart_kind == RestartKind::cooldown, "it does not cool down");
    expect_equal(restarting->output.delay, time_of(told.at("cooldown_ms")), "cooldown");
    if (others_are_ready()) check_restarted(restarting, told.at("restarted_with_it"));
  }

  // --- it is over for good ---

  static Names discarded(At from, At end, StopReason reason) {
    Names names;
    for (auto one = from; one != end; ++one) {
      const Output& output = one->output;
      const bool is_it = output.kind == Output::Kind::tell && output.event == EventKind::task_discarded;
      if (is_it && output.reason == reason) names.insert(name_of(output.task));
    }
    return names;
  }

  Json host_stop(At from) const { return host_stop(from, tried_.observed.end()); }

  Json host_stop(At from, At end) const {
    for (auto one = from; one != end; ++one) {
      if (one->output.kind != Output::Kind::stop_host) continue;
      return {{"reason", to_string(one->output.reason)},
              {"task", name_of(one->output.task)},
              {"result", one->output.failure ? "failure" : "success"}};
    }
    const std::size_t gone =
        1 + discarded(from, end, StopReason::group).size() + discarded(from, end, StopReason::skipped).size();
    if (gone < scenario_.tasks.size()) return nullptr;
    return {{"reason", "all_done"}, {"task", name_of(tried_.task)}, {"result", "failure"}};
  }

  std::string type_told(const std::string& name) const {
    return told_.at("tasks").at(std::stoul(name.substr(1))).at("type");
  }

  void check_loss(At from, const Json& told) const {
    if (tried_.run.cut_after && from->time >= tried_.run.stop_began) return;  // before all had happened
    if (tried_.trial == Trial::fails_in_the_end) return check_loss_among_others(from, told);
    const At end = tried_.observed.end();
    const Names skipped_told = skipped_in_all(told);
    const Names skipped = discarded(from, end, StopReason::skipped);
    const Names with_it = discarded(from, end, StopReason::group);
    const Names with_it_told = told.at("discarded_with_it").get<Names>();
    const Json stop = host_stop(from);
    // A task that can't be skipped may stop the host before all of the group have ended.
    const bool is_cut = !stop.is_null() && stop.at("reason") == "skipped";
    expect(is_cut ? std::includes(with_it_told.begin(), with_it_told.end(), with_it.begin(), with_it.end())
                  : with_it == with_it_told,
           "discarded with it: " + Json(with_it).dump() + ", told: " + Json(with_it_told).dump());
    if (others_are_ready()) {
      expect_equal(skipped, Names(), "skipped though all are ready");
      expect_equal(stop, unconditional(told.at("host_stops")), "who stops the host");
    } else {
      expect(std::includes(skipped_told.begin(), skipped_told.end(), skipped.begin(), skipped.end()),
             "skipped: " + Json(skipped).dump() + ", told: " + Json(skipped_told).dump());
      const Json stop_told = told.value("host_stops_if_waiting", told.at("host_stops"));
      expect(stop == unconditional(told.at("host_stops")) ||
                 (!stop_told.is_null() && stop.at("result") == stop_told.at("result")),
             "who stops the host: " + stop.dump() + ", told: " + stop_told.dump());
    }
    check_later(tried_.in_order, told, skipped_told);
    check_later(tried_.backward, told, names_in(told, "skipped_if_waiting"));
  }

  static Names skipped_in_all(const Json& told) {
    Names all = names_in(told, "skipped_if_waiting");
    all.merge(names_in(told, "skipped_in_turn"));
    return all;
  }

  // If no other task is over before.
  static Json unconditional(Json stop) {
    if (stop.is_object()) {
      stop.erase("unless_over");
      stop.erase("unless_one_ended_well");
    }
    return stop;
  }

  // Of the others some have ended well for good, or will.
  void check_loss_among_others(At from, const Json& told) const {
    const At begin = tried_.observed.begin();
    const At end = tried_.observed.end();
    Names left = names_in(told, "discarded_with_it");
    Names over;
    bool ended_well = false;
    std::map<std::string, bool> ends_well;
    for (auto one = begin; one != end; ++one) {
      if (one->output.kind == Output::Kind::stop_host) break;
      if (one->output.kind != Output::Kind::tell) continue;
      const std::string name = name_of(one->output.task);
      if (one->output.event == EventKind::task_exited) ends_well[name] = one->output.outcome == Outcome::ok;
      if (one->output.event != EventKind::task_discarded) continue;
      if (one < from) left.erase(name);
      over.insert(name);
      ended_well = ended_well || (one->output.reason == StopReason::task_exit && ends_well[name]);
    }
    const Json& stop_told = told.at("host_stops");
    const bool is_for_group = !stop_told.is_null() && stop_told.at("reason") == "group";
    const auto stopped =
        std::find_if(from, end, [](const Observed& one) { return one.output.kind == Output::Kind::stop_host; });
    if (is_for_group && over.contains(stop_told.at("task"))) {
      const Names needed = names_in(stop_told, "unless_over");
      const bool may_go_on = !needed.empty() && std::includes(over.begin(), over.end(), needed.begin(), needed.end());
      const bool stops = stopped != end && stopped->output.reason == StopReason::group;
      return expect(stops != may_go_on, "whether the host stops for the group though one is over before");
    }
    if (!stop_told.is_null() && stop_told.at("reason") != "all_done") {
      return expect_equal(host_stop(from), unconditional(stop_told), "who stops the host");
    }
    expect(stopped == end, "who stops the host: somebody, told: nobody");
    expect_equal(discarded(from, end, StopReason::group), left, "discarded with it, of those that are left");
    if (over.size() < scenario_.tasks.size()) return;
    for (const char* const field : {"host_stops", "host_stops_if_waiting"}) {
      const Json stop = told.value(field, Json());
      if (stop.is_null() || stop.at("reason") != "all_done") continue;
      expect(!ended_well || stop.value("unless_one_ended_well", false), "one ended well, so the host does, too");
    }
  }

  // Those that wait for the lost task are skipped, which those that come after them notice only if they wait later.
  void check_later(const Later& later, const Json& told, const Names& skipped_told) const {
    if (later.observed.empty()) return;
    const auto end = later.observed.end();
    const bool by_task = std::any_of(later.observed.begin(), end,
                                     [](const Observed& one) { return one.output.kind == Output::Kind::stop_host; });
    if (later.run.stop_began < later.last_order && !by_task) return;
    const auto lost = std::find_if(later.observed.begin(), end, [this](const Observed& one) {
      return is_told(one, EventKind::task_discarded, tried_.task);
    });
    const Names skipped = discarded(lost, end, StopReason::skipped);
    const Json stop = host_stop(lost, end);
    const bool is_cut = !stop.is_null() && stop.at("reason") == "skipped";
    expect(is_cut ? std::includes(skipped_told.begin(), skipped_told.end(), skipped.begin(), skipped.end())
                  : skipped == skipped_told,
           "skipped in the end: " + Json(skipped).dump() + ", told: " + Json(skipped_told).dump());
    const auto is_needed = [this](const std::string& name) { return type_told(name) != "detachable"; };
    const bool is_one_needed = std::any_of(skipped_told.begin(), skipped_told.end(), is_needed);
    const Json stop_told = told.value("host_stops_if_waiting", told.at("host_stops"));
    const bool is_by_skipped = !stop_told.is_null() && stop_told.at("reason") == "skipped";
    expect(is_by_skipped || !is_one_needed, "a task that the host needs is skipped, and does not stop it");
    if (is_by_skipped ? !is_one_needed : skipped_told != skipped_in_all(told)) {
      return expect_equal(stop, Json(), "who stops the host though what it needs is not yet skipped");
    }
    if (!is_by_skipped || !is_cut) return expect_equal(stop, unconditional(stop_told), "who stops the host in the end");
    // If there are several without which the host can't be, which one comes first depends on when they start.
    expect_equal(stop.at("result"), stop_told.at("result"), "result in the end");
    const std::string name = stop.at("task");
    expect(skipped_told.count(name) == 1 && is_needed(name), name + " stops the host");
    const std::string named = stop_told.at("task");
    expect(skipped_in_all(told).count(named) == 1 && is_needed(named), named + " is told to stop the host");
  }

  const Scenario& scenario_;
  const Tried& tried_;
  const Json& told_;
  const Json& it_;
  Nanoseconds length_ = 0;  // of an execution, from its start to its end
};

const char* words_of_trial(Trial trial) {
  constexpr std::array<const char*, 12> words{
      "fails when it is ready", "fails to start",      "ends well", "is late", "falls silent", "fails among others",
      "fails in the end",       "fails at once later", "stops",     "is deaf", "crashes",      "crashes in its start"};
  return words[static_cast<std::size_t>(trial)];
}

}  // namespace

std::string difference(const Scenario& scenario, const std::vector<Tried>& tried, const Json& told) {
  for (const Tried& one : tried) {
    std::string what = one.run.fault;
    if (what.empty()) {
      try {
        Check(scenario, one, told).run();
        continue;
      } catch (const std::exception& error) {
        what = error.what();
      }
    }
    return name_of(one.task) + " " + words_of_trial(one.trial) + (one.deaf ? ", deaf" : "") +
           (one.never_starts ? ", never started" : "") + ": " + what;
  }
  return {};
}

}  // namespace taskhost::simulation
