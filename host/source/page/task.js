// One task: its executions, restart schedule, log and facts, and the orders for it. Its name is in the address, so that
// it can be linked to, and that "back" closes it.

function opened_name() {
  const [, encoded] = /^#task=(.*)$/.exec(location.hash) ?? [];
  try {
    return encoded === undefined ? null : decodeURIComponent(encoded);
  } catch {
    return null;
  }
}

function open_task(name) {
  table.active = name;
  const hash = "#task=" + encodeURIComponent(name);
  if (location.hash === hash) show_opened(true);
  else location.hash = hash;
}
function close_task() {
  if (opened_name() !== null) history.pushState(null, "", location.pathname);
  show_opened(false);
  by_id(graph.is_shown ? "toggle-graph" : "table").focus();
}

// `enter`: the focus goes there.
function show_opened(enter) {
  const name = opened_name();
  const panel = by_id("task");
  if (executions.task !== name) drop_question();
  panel.hidden = name === null;
  document.body.classList.toggle("has-task", name !== null);
  if (name === null) {
    executions.task = null;
    close_events();
    show_log(null);
    set_text(by_id("said"), "");
  } else {
    if (executions.task !== name) {
      set_text(by_id("said"), "");
      clear_executions();
      panel.scrollTop = 0;
    }
    table.active = name;
    if (!host.by_name.has(name)) hurry();
    follow_executions(name);
    show_log(name);
    show_task();
    draw_strip();
    if (enter) panel.focus({ preventScroll: true });
  }
  measure_rows(); // there may be room for more of them
  draw_graph();
}

// --- lists of facts --------------------------------------------------------------------------------------------------

const task_link = (name) =>
  element("button", { type: "button", className: "link", textContent: harmless(name), onclick: () => open_task(name) });

// `rows`: a label, and a text or a list of tasks; those that are empty are hidden, so that each one keeps its place.
// What has not changed is not touched: it may have the focus.
function show_list(list, rows) {
  rows.forEach(([label, value], i) => {
    if (list.children.length <= 2 * i) list.append(element("dt", { textContent: label }), element("dd"));
    const content = list.children[2 * i + 1];
    content.hidden = value.length === 0;
    if (typeof value === "string") {
      set_text(content, value);
    } else if (content.tasks !== value.join("\n")) {
      content.tasks = value.join("\n");
      content.replaceChildren(
        ...value.slice(0, 30).flatMap((task, place) => (place === 0 ? [task_link(task)] : [", ", task_link(task)])),
        value.length > 30 ? " and " + (value.length - 30) + " more" : "",
      );
    }
  });
  for (let i = 0; i < list.children.length; i += 2) {
    if (i >= 2 * rows.length) list.children[i + 1].hidden = true;
    list.children[i].hidden = list.children[i + 1].hidden;
  }
}

const type_words = {
  shutdown_on_exit: "when it ends, the host stops",
  mandatory: "the host stops when its restarts are used up",
  detachable: "the host goes on without it",
};

function schedule_rows(task) {
  const used = used_restarts(task);
  const restarts =
    task.type === "shutdown_on_exit"
      ? "none: its end stops the host"
      : task.restarts === null
        ? "unlimited"
        : used + " of " + task.restarts + " used, " + task.remaining + " left";
  const left = task.next_start_ms === null ? null : task.next_start_ms - age_of_answer();
  const next =
    task.next_start === null
      ? ""
      : left > 0
        ? "in " + duration_words(left) + ", at " + time_words(task.next_start)
        : "now";
  return [
    ["restarts", restarts],
    ["next start", next],
    ["waits for", task.waits_for],
    ["waits for its group", task.waits_for_group ? task.group + " must be at rest" : ""],
    [
      "last outcome",
      task.last_outcome === null
        ? ""
        : outcome_words[task.last_outcome] + (task.last_message ? ": " + harmless(task.last_message) : ""),
    ],
    ["over, because", task.over_for === null ? "" : task.over_for.replace(/_/g, " ")],
  ];
}

const names_of = (tasks) => tasks.map(({ name }) => name);
const followers_of = (task) => names_of(host.tasks.filter((other) => other.after?.includes(task.name)));
const members_with = (task) =>
  task.group ? names_of(host.tasks.filter((other) => other.group === task.group && other !== task)) : [];

function fact_rows(task) {
  return [
    ["type", task.type + ": " + type_words[task.type]],
    ["says", harmless(task.status ?? "")],
    ["comes after", task.after],
    ["before", followers_of(task)],
    ["group", harmless(task.group ?? "")],
    ["with", members_with(task)],
    ["state since", task.since === null ? "" : time_words(task.since)],
    ["runs since", task.started === null ? "" : time_words(task.started) + ", execution " + task.execution],
    ["stalls", task.stalls === 0 ? "" : String(task.stalls)],
    [
      "runs on",
      task.blocking
        ? "a thread of its own"
        : "event loop " +
          task.shard +
          (share_words(task.share) ? ", of whose time it takes " + share_words(task.share) : ""),
    ],
    ["memory", task.state_bytes + " bytes for its state"],
    ["plugin", harmless(task.plugin ?? "part of the program")],
    ["factory", harmless(task.factory ?? "")],
    ["id", task.id],
  ];
}

function show_task() {
  const name = opened_name();
  if (name === null) return;
  const task = host.by_name.get(name);
  const title = by_id("task-name");
  if (title.shown !== name + task?.kind) {
    title.shown = name + task?.kind;
    title.className = task?.kind ?? "";
    title.replaceChildren(...(task ? [symbol(task.kind), " "] : []), element("bdi", { textContent: harmless(name) }));
  }
  const is_known = task !== undefined && task.state !== "unknown";
  by_id("task").classList.toggle("unknown", !is_known);
  set_text(
    by_id("situation"),
    task ? state_words(task) + ": " + harmless(task.situation) : host.about ? "This host has no such task." : "",
  );
  by_id("orders").hidden = !task || !may_order() || !has_address(name);
  by_id("look-only").hidden = !task || host.about.orders !== "refused";
  show_list(by_id("schedule"), is_known ? schedule_rows(task) : []);
  show_list(by_id("facts"), is_known ? fact_rows(task) : []);
  show_budget(is_known ? task : null);
  if (task) {
    const is_over = ["stopped", "ended"].includes(task.state);
    for (const button of by_id("orders").children) {
      const is_disabled =
        button.dataset.order === "start" ? task.state === "running" : button.dataset.order === "stop" && is_over;
      // What is disabled gets no keys.
      if (is_disabled && button === document.activeElement) by_id("task").focus({ preventScroll: true });
      button.disabled = is_disabled;
    }
  }
  if (question.what !== null && !may_give(question.what)) drop_question();
}

// The budget as boxes, beside its words.
function show_budget(task) {
  const content = by_id("schedule").children[1];
  const has_boxes = task && typeof task.restarts === "number" && task.restarts > 0 && task.restarts <= 20;
  const former = content?.querySelector(".budget");
  const figures = has_boxes ? used_restarts(task) + " of " + task.restarts : "";
  if (content === undefined || figures === (former?.dataset.figures ?? "")) return;
  former?.remove();
  if (!has_boxes) return;
  const boxes = element("span", { className: "budget", ariaHidden: "true", "data-figures": figures });
  for (let i = 0; i < task.restarts; ++i)
    boxes.append(element("i", { className: i < used_restarts(task) ? "used" : "" }));
  content.append(boxes);
}

// --- orders ----------------------------------------------------------------------------------------------------------

const order_words = { start: "to start", stop: "to stop", restart: "to restart" };

const button_of = (what) => by_id("orders").querySelector("[data-order=" + what + "]");
const may_give = (what) => !by_id("orders").hidden && !button_of(what).disabled;

async function give_order(what) {
  const name = opened_name();
  if (!may_give(what)) return;
  set_text(by_id("said"), "Asking it " + order_words[what] + "…");
  const problem = await order(task_path(name) + "/" + what);
  if (opened_name() !== name) return;
  set_text(
    by_id("said"),
    problem === null ? "It was asked " + order_words[what] + ", at " + time_words(host_now()) + "." : "It " + problem,
  );
}

// What ends an execution is asked about first.
const question = { what: null, key: "" };
const questions = { stop: { verb: "Stop", key: "x" }, restart: { verb: "Restart", key: "r" } };

function what_hangs_on(task) {
  if (host.about.tasks.total > most_tasks) return "There are too many tasks to say here which ones run after it.";
  const [followers, members] = [followers_of(task), members_with(task)];
  if (followers.length + members.length === 0) return "No other task runs after it, and none is in a group with it.";
  return (
    (followers.length === 0 ? "" : "After it run: " + harmless(some_of(followers)) + ". ") +
    (members.length === 0 ? "" : "In its group " + harmless(task.group) + ": " + harmless(some_of(members)) + ". ") +
    "The order is for this task only."
  );
}

function want_order(what) {
  if (!may_give(what)) return;
  if (questions[what] === undefined) return give_order(what);
  const { verb, key } = questions[what];
  const name = opened_name();
  set_text(by_id("said"), "");
  by_id("question-words").replaceChildren(
    verb + " ",
    element("bdi", { textContent: harmless(name) }),
    "? Press " + key + " again or Enter; Esc: no.",
  );
  set_text(by_id("question-more"), what_hangs_on(host.by_name.get(name)));
  set_text(by_id("question-yes"), verb + " it");
  Object.assign(question, { what, key });
  by_id("question").hidden = false;
  by_id("question-yes").focus();
  by_id("question").scrollIntoView({ block: "nearest" });
}

function drop_question() {
  if (question.what === null) return;
  question.what = null;
  if (by_id("question").contains(document.activeElement)) by_id("task").focus({ preventScroll: true });
  by_id("question").hidden = true;
}

function confirm_order() {
  const { what } = question;
  drop_question();
  if (what !== null) give_order(what);
}
