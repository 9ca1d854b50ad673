// The executions of the task that is shown, from the one event stream that the page has at a time: browsers open six
// connections to a host, for all tabs together, so a page that is hidden or shows no task has none.

const kept_executions = 400;

const executions = {
  task: null, // name
  source: null, // EventSource
  instance: null,
  seq: 0, // of the last event
  list: [], // { number, start, end, outcome, message }, times in milliseconds; the oldest first
};

function clear_executions() {
  Object.assign(executions, { instance: null, seq: 0, list: [] });
}

function follow_executions(name) {
  if (executions.task !== name) clear_executions();
  executions.task = name;
  open_events();
}

function close_events() {
  executions.source?.close();
  executions.source = null;
}

function open_events() {
  close_events();
  if (executions.task === null || document.hidden || host.gone || !host.by_name.has(executions.task)) return;
  const from = executions.instance === host.about.instance ? "since=" + executions.seq : "last=2000";
  if (executions.instance !== host.about.instance) clear_executions();
  const source = new EventSource("/v1/events?follow&" + from + "&task=" + encodeURIComponent(executions.task));
  executions.source = source;
  source.onmessage = (message) => {
    const [instance, seq] = message.lastEventId.split(":");
    if (executions.instance !== null && executions.instance !== instance) clear_executions();
    executions.instance = instance;
    executions.seq = Number(seq);
    let event;
    try {
      event = JSON.parse(message.data);
    } catch {
      return;
    }
    take_event(event);
    draw_strip_soon();
  };
  // The browser connects again by itself, unless it was refused; then `keep_following` does, with the next answer.
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED && executions.source === source) executions.source = null;
  };
}

function keep_following() {
  if (executions.task !== null && executions.source === null) open_events();
}

function execution_of(event) {
  const time = Date.parse(event.time);
  // From the end: it is nearly always the last one.
  for (let i = executions.list.length - 1; i >= 0; --i) {
    if (executions.list[i].number === event.execution) return executions.list[i];
  }
  const found = {
    number: event.execution,
    start: time - (event.uptime_ms ?? 0),
    end: null,
    outcome: null,
    message: "",
  };
  add_execution(found);
  return found;
}

// What the host's status tells may be known before the events.
function add_execution(added) {
  let place = executions.list.length;
  while (place > 0 && executions.list[place - 1].number > added.number) --place;
  executions.list.splice(place, 0, added);
  if (executions.list.length > kept_executions) executions.list.shift();
}

function take_event(event) {
  if (event.task !== executions.task) return;
  if (event.event === "task_started") execution_of(event);
  if (!["task_exited", "task_stopped", "task_abandoned"].includes(event.event)) return;
  Object.assign(execution_of(event), {
    end: Date.parse(event.time),
    outcome: event.event === "task_abandoned" ? "abandoned" : event.outcome,
    message: event.message ?? "",
  });
}

// --- the strip chart -------------------------------------------------------------------------------------------------

const outcome_words = {
  ok: "ended well",
  error: "failed",
  panic: "failed: panic",
  crashed: "crashed",
  cancelled: "was stopped",
  abandoned: "did not stop, was abandoned",
};
// From the least to the most important, where several share a place.
const bar_kinds = ["cancelled", "ok", "running", "failed"];
function bar_kind(execution) {
  if (execution.outcome === null) return execution.end === null ? "running" : "cancelled";
  return execution.outcome === "ok" || execution.outcome === "cancelled" ? execution.outcome : "failed";
}
function execution_words(execution, now) {
  const end = execution.end ?? now;
  const what =
    execution.outcome !== null
      ? (outcome_words[execution.outcome] ?? execution.outcome) + " after "
      : execution.end === null
        ? "has run for "
        : "ended after ";
  return (
    "execution " +
    execution.number +
    ": " +
    what +
    duration_words(end - execution.start) +
    (execution.message ? ": " + harmless(execution.message) : "")
  );
}

const steps = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 108e5,
  216e5, 432e5, 864e5, 1728e5, 6048e5,
];

function drawn_strip(width, now) {
  const task = host.by_name.get(executions.task);
  const shown_span = Number(by_id("span").value);
  const list = executions.list.filter(({ end }) => shown_span === 0 || (end ?? now) > now - shown_span);
  const first = list.length === 0 ? now - 60_000 : list[0].start;
  const from = shown_span !== 0 ? now - shown_span : Math.min(first, now - 1000);
  const next = task?.next_start ? Date.parse(task.next_start) : 0;
  const to = next > now ? Math.min(next, now + (now - from) / 2) : now;
  const place = (time) => Math.max(0, ((time - from) / (to - from)) * (width - 4));
  const chart = svg("svg", { width, role: "img" });
  const ticks = svg("g", { class: "ticks" });
  const bars = svg("g");
  chart.append(svg("line", { x1: 0, x2: width, y1: 42.5, y2: 42.5, class: "axis" }), ticks, bars);

  let step = steps.find((one) => ((to - from) / one) * 78 <= width) ?? steps[steps.length - 1];
  while (((to - from) / step) * 78 > width) step *= 2;
  const zone = new Date(now).getTimezoneOffset() * 60_000;
  let day = day_of(now); // the last one that is known to the reader
  for (let time = Math.ceil((from - zone) / step) * step + zone; time <= to; time += step) {
    const x = Math.round(place(time)) + 0.5;
    const is_new_day = day_of(time) !== day;
    ticks.append(svg("line", { x1: x, x2: x, y1: 4, y2: 46, class: "tick" }));
    if (x >= width - (is_new_day ? 78 : 60)) continue;
    day = day_of(time);
    const text = step < 1000 ? (time % 60_000) / 1000 + "s" : clock_format.format(time);
    ticks.append(svg("text", { x: x + 3, y: 57 }, text));
    if (is_new_day) ticks.append(svg("text", { x: x + 3, y: 70, class: "date" }, date_format.format(time)));
  }
  const height = chart.querySelector(".date") === null ? 62 : 75;
  set_attribute(chart, "height", String(height));
  set_attribute(chart, "viewBox", "0 0 " + width + " " + height);

  let last = null;
  for (const execution of list) {
    const x = place(Math.max(execution.start, from));
    const bar_width = Math.max(2, place(execution.end ?? now) - x - (execution.end === null ? 0 : 0.5));
    const kind = bar_kind(execution);
    if (last !== null && x - last.x < 1 && last.width <= 2 && bar_width <= 2) {
      ++last.count;
      if (bar_kinds.indexOf(kind) > bar_kinds.indexOf(last.kind)) {
        last.kind = kind;
        last.bar.setAttribute("class", "run " + kind);
      }
      set_text(last.bar.firstChild, last.count + " executions, the last one: " + execution_words(execution, now));
      continue;
    }
    const height = kind === "cancelled" ? 22 : 34;
    const bar = svg(
      "rect",
      { x, y: 42 - height, width: bar_width, height, class: "run " + kind, "data-key": execution.number },
      svg("title", {}, execution_words(execution, now) + "\n" + time_words(execution.start)),
    );
    bars.append(bar);
    last = { x, width: bar_width, kind, bar, count: 1 };
  }
  if (next > now) {
    const x = place(now);
    chart.append(
      svg(
        "line",
        { x1: x, x2: place(to), y1: 25, y2: 25, class: "delay" },
        svg("title", {}, "the next restart is at " + time_words(next)),
      ),
    );
  }
  const count = (kind) => list.filter((one) => bar_kind(one) === kind).length;
  const counted = [
    [count("ok"), "ended well"],
    [count("failed"), "failed"],
    [count("cancelled"), "stopped"],
    [count("running"), "running"],
  ]
    .filter(([number]) => number !== 0)
    .map(([number, words]) => number + " " + words);
  const words = list.length === 0 ? "No execution in this time" : counted.join(", ");
  chart.setAttribute("aria-label", words);
  set_text(by_id("strip-note"), words + unknown_words());
  return chart;
}

// The host keeps so many events, and may only have counted some.
function unknown_words() {
  const { list } = executions;
  if (list.length === 0) return "";
  const before = list[0].number - 1;
  const between = list[list.length - 1].number - before - list.length;
  return (
    (between > 0 ? "; nothing is known of " + between + " others" : "") +
    (before <= 0
      ? ""
      : list.length === kept_executions
        ? "; the last " + kept_executions + " are shown"
        : "; the first " + before + (before === 1 ? " is" : " are") + " not kept")
  );
}

function draw_strip() {
  const box = by_id("strip");
  if (executions.task === null || box.clientWidth === 0) return;
  const now = host_now();
  // What runs is known even if its event is not kept.
  const task = host.by_name.get(executions.task);
  if (task?.started && !executions.list.some(({ number }) => number === task.execution)) {
    add_execution({ number: task.execution, start: Date.parse(task.started), end: null, outcome: null, message: "" });
  }
  // One that is over though its end was lost.
  for (const one of executions.list) {
    if (one.end === null && task && (one.number < task.execution || (!task.started && task.execution === one.number))) {
      one.end = now;
    }
  }
  set_children(box, drawn_strip(box.clientWidth, now));
  set_children(
    by_id("last-executions"),
    ...executions.list
      .slice(-5)
      .reverse()
      .map((one) =>
        element(
          "li",
          { value: one.number, className: bar_kind(one), "data-key": one.number },
          element("time", { textContent: time_words(one.start), dateTime: new Date(one.start).toISOString() }),
          " " + execution_words(one, now).replace(/^execution \d+: /, ""),
        ),
      ),
  );
}

// At most a few times a second, in a storm too.
let strip_timer = 0;
function draw_strip_soon() {
  strip_timer ||= setTimeout(() => {
    strip_timer = 0;
    requestAnimationFrame(draw_strip);
  }, 200);
}
