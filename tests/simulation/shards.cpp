#include "shards.hpp"

#include <algorithm>
#include <array>

namespace taskhost::simulation {

namespace {

bool is_later(const Input& a, const Input& b) { return a.time != b.time ? a.time > b.time : a.sequence > b.sequence; }

bool is_told(Input::Kind kind) { return kind < Input::Kind::run_start; }

}  // namespace

Shards::Shards(const Scenario& scenario) : scenario_(scenario) {
  for (std::size_t i = 0; i < scenario.tasks.size(); ++i) {
    const auto& optional = scenario.tasks[i].options.optional;
    bodies_.push_back({.character = scenario.characters[i],
                       .stop_timeout = scenario.tasks[i].options.stop_timeout,
                       .notifies = optional && optional->notify});
  }
  for (const Operator& one : scenario.operators) {
    put({.kind = Input::Kind::operate, .task = one.task, .time = one.time, .operation = one.operation});
  }
  if (scenario.stuck) put({.kind = Input::Kind::lose_calls, .time = *scenario.stuck});
}

void Shards::put(Input input) {
  input.sequence = ++sequence_;
  std::vector<Input>& heap = is_told(input.kind) ? told_ : happenings_;
  heap.push_back(std::move(input));
  std::push_heap(heap.begin(), heap.end(), is_later);
}

Input Shards::take(std::vector<Input>& heap) {
  std::pop_heap(heap.begin(), heap.end(), is_later);
  Input input = std::move(heap.back());
  heap.pop_back();
  return input;
}

Nanoseconds Shards::latency(Body& body) {
  if (scenario_.instant || body.random.percent(60)) return 0;
  return units(1 + body.random.below(2)) / (body.random.percent(50) ? 1 : 3);
}

void Shards::fact(Place task, Input::Kind kind, Nanoseconds now, End end) {
  Body& body = bodies_[task];
  body.last_fact = std::max(body.last_fact, now + latency(body));
  put({.kind = kind, .task = task, .time = body.last_fact, .end = std::move(end)});
}

// --- orders ----------------------------------------------------------------------------------------------------------

void Shards::start(Place task, Nanoseconds now) {
  Body& body = bodies_[task];
  body.random = Random(scenario_.seed, body.character.key, body.execution);
  body.last_order = std::max(body.last_order, now + latency(body));
  put({.kind = Input::Kind::run_start, .task = task, .time = body.last_order});
}

void Shards::ask(Place task, Nanoseconds now) {
  Body& body = bodies_[task];
  body.last_order = std::max(body.last_order, now + latency(body));
  put({.kind = Input::Kind::run_ask, .task = task, .time = body.last_order});
}

void Shards::announce_stop(Nanoseconds now) {
  if (announced_) return;
  announced_ = true;
  put({.kind = Input::Kind::begin_stop, .time = now + (scenario_.instant ? 0 : units(sequence_ % 3))});
  put({.kind = Input::Kind::expire_stop, .time = now + units(2 + scenario_.patience)});
}

// --- what happens in a shard -----------------------------------------------------------------------------------------

Nanoseconds Shards::next_time() {
  while (!happenings_.empty() && (told_.empty() || is_later(told_.front(), happenings_.front()))) {
    happen(take(happenings_));
  }
  return told_.empty() ? never : told_.front().time;
}

Input Shards::next() { return take(told_); }

void Shards::run_until(Nanoseconds now) {
  while (!happenings_.empty() && happenings_.front().time <= now) happen(take(happenings_));
}

void Shards::expire_stop(Nanoseconds now) {
  for (Place task = 0; task < bodies_.size(); ++task) {
    if (scenario_.stuck) {
      lose(task, now);
    } else {
      take_away(task, now);
    }
  }
}

void Shards::happen(const Input& input) {
  const Place task = input.task;
  const Nanoseconds now = input.time;
  const bool is_current = task < bodies_.size() && bodies_[task].live && bodies_[task].execution == input.execution;
  switch (input.kind) {
    case Input::Kind::run_start:
      run_start(task, now);
      break;
    case Input::Kind::run_ask:
      run_ask(task, now);
      break;
    case Input::Kind::start_over:
      if (!is_current) break;
      if (!bodies_[task].notifies) bodies_[task].ready = now;
      fact(task, Input::Kind::started, now);
      break;
    case Input::Kind::says_ready:
      if (!is_current) break;
      if (bodies_[task].notifies) bodies_[task].ready = now;
      fact(task, Input::Kind::said_ready, now);
      break;
    case Input::Kind::call_ended:
      if (is_current) end(task, input.end, now);
      break;
    case Input::Kind::stop_is_due:
      if (is_current) take_away(task, now);
      break;
    case Input::Kind::lose_calls:
      for (Place one = 0; one < bodies_.size(); ++one) {
        if (bodies_[one].live) lose(one, now);
      }
      break;
    default:
      break;
  }
}

void Shards::run_start(Place task, Nanoseconds now) {
  Body& body = bodies_[task];
  if (body.lost) return;  // its shard is stuck, so nothing happens any more
  if (body.live) fault_ = "task " + std::to_string(task) + " is to have two executions at once";
  if (announced_) return fact(task, Input::Kind::ended, now, {.ending = Ending::refused});
  ++body.execution;
  body.live = true;
  body.asked = false;
  body.began = now;
  body.ready = body.asked_at = never;
  body.silent_from = never;
  fact(task, Input::Kind::begun, now);

  const Character& character = body.character;
  if (character.exactly) return live_exactly(task, *character.exactly, now);
  const Nanoseconds over = now + units(body.random.percent(60) ? 0 : body.random.below(6));
  if (body.random.percent(character.fails_to_start)) {
    const Outcome outcome = body.random.percent(70) ? Outcome::error : Outcome::panic;
    End failed{Ending::returned, outcome, "red"};
    if (character.isolated) {  // it has lived, but its start was not over
      failed.uptime = over - now;
      if (body.random.percent(character.crashes)) failed.outcome = Outcome::crashed;
    }
    if (over == now) return end(task, failed, now);
    return put(
        {.kind = Input::Kind::call_ended, .task = task, .time = over, .execution = body.execution, .end = failed});
  }
  live_on(task, over);
}

// Its start function returns at `from` with success: plans what happens then.
void Shards::live_on(Place task, Nanoseconds from) {
  Body& body = bodies_[task];
  const Character& character = body.character;
  const auto happens = [&](Input::Kind kind, Nanoseconds time) {
    put({.kind = kind, .task = task, .time = time, .execution = body.execution});
  };
  const bool never_starts = body.random.percent(character.never_starts);
  const bool says_it_in_start = body.random.percent(20);
  if (says_it_in_start && !character.isolated) happens(Input::Kind::says_ready, from);
  if (!never_starts) happens(Input::Kind::start_over, from);
  if (says_it_in_start && character.isolated && !never_starts) happens(Input::Kind::says_ready, from);
  if (!never_starts && !says_it_in_start && !body.random.percent(character.never_ready)) {
    happens(Input::Kind::says_ready, from + units(body.random.below(8)));
  }
  if (body.random.percent(character.falls_silent)) body.silent_from = from + units(body.random.below(30));
  if (body.random.percent(character.never_ends)) return;
  Nanoseconds over = from + units(body.random.below(character.longest_life + 1));
  End end = some_end(body, character.ends_well);
  if (end.outcome == Outcome::crashed) over += units(body.random.below(3));  // until its process is gone
  end.uptime = over - body.began;
  put({.kind = Input::Kind::call_ended,
       .task = task,
       .time = over,
       .execution = body.execution,
       .end = std::move(end)});
}

// How it ends by itself, or once it is asked: in a process of its own, also by a death after it has ended well.
End Shards::some_end(Body& body, unsigned ends_well) {
  constexpr std::array<Outcome, 4> bad{Outcome::error, Outcome::error, Outcome::error, Outcome::panic};
  constexpr std::array<const char*, 4> messages{"", "red", "blue", "red and blue"};
  const bool is_well = body.random.percent(ends_well);
  End end{Ending::returned, is_well ? Outcome::ok : body.random.one_of(bad), {}};
  if (body.random.percent(is_well ? body.character.dies_in_drop : body.character.crashes)) {
    end.outcome = Outcome::crashed;
  }
  if (end.outcome != Outcome::ok) end.message = body.random.one_of(messages);
  return end;
}

void Shards::live_exactly(Place task, const Exactly& exactly, Nanoseconds now) {
  Body& body = bodies_[task];
  const Nanoseconds over = now + units(exactly.start);
  const auto happens = [&](Input::Kind kind, Nanoseconds time, End end = {}) {
    put({.kind = kind, .task = task, .time = time, .execution = body.execution, .end = std::move(end)});
  };
  if (exactly.fails_to_start) {
    const Nanoseconds uptime = body.character.isolated ? over - now : 0;  // its start was not over, but it has lived
    return happens(Input::Kind::call_ended, over, {Ending::returned, exactly.outcome, exactly.message, uptime});
  }
  if (exactly.starts) happens(Input::Kind::start_over, over);
  if (exactly.ready && exactly.starts) happens(Input::Kind::says_ready, over);
  if (exactly.silent) body.silent_from = now;
  if (!exactly.life) return;
  const bool is_first = body.execution <= exactly.first;
  const Nanoseconds ended = over + units(is_first ? exactly.first_life : *exactly.life);
  happens(Input::Kind::call_ended, ended, {Ending::returned, exactly.outcome, exactly.message, ended - now});
}

void Shards::run_ask(Place task, Nanoseconds now) {
  Body& body = bodies_[task];
  if (!body.live || body.asked) return;  // its end is on its way
  body.asked = true;
  body.asked_at = now;
  put({.kind = Input::Kind::stop_is_due,
       .task = task,
       .time = now + to_nanoseconds(body.stop_timeout),
       .execution = body.execution});
  if (const auto& exactly = body.character.exactly) {
    const Nanoseconds over = now + units(exactly->end);
    if (exactly->deaf) return;
    return put({.kind = Input::Kind::call_ended,
                .task = task,
                .time = over,
                .execution = body.execution,
                .end = {Ending::returned, Outcome::ok, {}, over - body.began}});
  }
  if (body.random.percent(body.character.deaf)) return;
  const Nanoseconds over = now + units(body.random.percent(50) ? 0 : body.random.below(6));
  End end = some_end(body, 80);
  end.uptime = over - body.began;
  put({.kind = Input::Kind::call_ended,
       .task = task,
       .time = over,
       .execution = body.execution,
       .end = std::move(end)});
}

void Shards::end(Place task, const End& end, Nanoseconds now) {
  Body& body = bodies_[task];
  body.live = false;
  body.silent_from = std::min(body.silent_from, now);
  End told = end;
  const Nanoseconds last = std::min(body.asked_at, now);
  told.lived = body.ready < last ? last - body.ready : 0;
  fact(task, Input::Kind::ended, now, told);
}

// The host drops or abandons it.
void Shards::take_away(Place task, Nanoseconds now) {
  Body& body = bodies_[task];
  if (!body.live) return;
  // Its poll may not return; a process is killed.
  const bool stays =
      body.character.blocking || (!body.character.exactly && !body.character.isolated && body.random.percent(5));
  body.lost = stays;
  end(task, {stays ? Ending::abandoned : Ending::dropped, Outcome::cancelled, "did not stop in time", now - body.began},
      now);
}

// Its call does not return, or the shard is stuck, which reports that for all its tasks, live or not.
void Shards::lose(Place task, Nanoseconds now) {
  bodies_[task].lost = true;
  end(task, {Ending::abandoned, Outcome::cancelled, "its shard is stuck", 0, 0}, now);
}

// A heartbeat at the start, and then one per period until it falls silent.
Nanoseconds Shards::last_heartbeat(Place task, Nanoseconds now) const {
  const Body& body = bodies_[task];
  const Nanoseconds until = std::min(now, body.silent_from);
  if (body.began == 0 || until <= body.began) return 0;
  const Nanoseconds period = units(body.character.heartbeat);
  return body.began + (until - body.began) / period * period;
}

std::string to_text(const Input& input, Nanoseconds unit) {
  constexpr std::array<const char*, 9> kinds{"begin",   "begun",      "started",     "said ready", "ended",
                                             "advance", "begin stop", "expire stop", "operate"};
  constexpr std::array<const char*, 4> endings{"returned", "dropped", "abandoned", "refused"};
  const auto since = static_cast<double>(input.time - first_moment) / static_cast<double>(unit);
  std::string text = std::to_string(since).substr(0, 8) + "  " + kinds[static_cast<std::size_t>(input.kind)];
  if (input.kind == Input::Kind::operate) text += " " + std::string(to_string(input.operation));
  if (input.kind != Input::Kind::advance && input.kind != Input::Kind::begin_stop &&
      input.kind != Input::Kind::expire_stop && input.kind != Input::Kind::begin) {
    text += " " + std::to_string(input.task);
  }
  if (input.kind == Input::Kind::ended) {
    text += std::string(": ") + endings[static_cast<std::size_t>(input.end.ending)] + ", " +
            std::string(to_string(input.end.outcome)) + " '" + input.end.message + "', uptime " +
            std::to_string(static_cast<double>(input.end.uptime) / static_cast<double>(unit)).substr(0, 6);
  }
  return text;
}

}  // namespace taskhost::simulation
