// What connects the parts: answers, keys, dialogs.

function show_host() {
  const about = host.about;
  set_text(by_id("host-name"), harmless(about.name));
  const title = (about.state === "running" ? "" : about.state + ": ") + harmless(about.name) + " · taskhost";
  if (document.title !== title) document.title = title;
  const word = by_id("host-state");
  set_text(word, host.gone ? "does not answer" : about.state);
  set_attribute(word, "class", "state-word " + (host.gone ? "gone" : about.state));
  show_age();
  const uptime = about.since === null ? "" : "up " + duration_words(about.since_ms);
  set_text(
    by_id("host-facts"),
    [
      "process " + about.pid,
      uptime,
      about.tasks.ready + " of " + about.tasks.total + " ready",
      about.restarts + " restarts",
      "taskhost " + about.version,
    ]
      .filter((words) => words !== "")
      .join("  ·  "),
  );
  by_id("host-facts").title = about.manifest === null ? "" : harmless(about.manifest);
  by_id("enter-token").hidden = host.gone || about.orders !== "token";
  by_id("forget-token").hidden = host.token === null || about.orders !== "accepted";
  by_id("stop-host").hidden = !may_order();
}

// Once it is older than it usually gets.
function show_age() {
  const age = age_of_answer();
  by_id("age").hidden = host.about === null || host.gone || age < pause() + 3000;
  if (!by_id("age").hidden) set_text(by_id("age"), "as of " + duration_words(age) + " ago");
}

let unheard = ""; // why the host was not stopped: until it is, or is asked again

function say_trouble(words) {
  const trouble = by_id("trouble");
  words ||= unheard;
  trouble.hidden = words === "";
  set_text(trouble, words);
  document.body.classList.toggle("gone", host.gone);
}

on_new_instance = () => {
  unheard = "";
  by_id("stop-dialog").close(""); // which was about the former one
  drop_question();
  clear_executions();
  close_events();
  log.instance = null;
  by_id("log").replaceChildren();
  set_text(by_id("said"), "");
};

on_answer = () => {
  say_trouble(host.about.state === "stopping" ? "The host is stopping: nothing can be changed any more." : "");
  show_host();
  take_tasks();
  show_task();
  keep_following();
  draw_strip();
  read_log();
  draw_graph();
};

on_silence = (error) => {
  close_events();
  if (host.about === null)
    return say_trouble("The host does not answer: " + harmless(error.message) + ". Trying again.");
  const was_stopping = host.about.state !== "running";
  say_trouble(
    (was_stopping ? "The host has stopped" : "The host does not answer") +
      ", since " +
      time_words(host.answered.time) +
      ". What is shown is from then; this page goes on when a host answers here.",
  );
  show_host();
  show_task();
};

// --- dialogs ---------------------------------------------------------------------------------------------------------

// Whether it was left with "ok".
function asked(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "ok"), { once: true });
  });
}

async function enter_token(problem = "") {
  set_text(by_id("token-problem"), problem);
  by_id("token").value = "";
  if (!(await asked(by_id("token-dialog")))) return;
  const token = by_id("token").value.trim();
  by_id("token").value = "";
  // What no header can have is no token either.
  if (!/^[\x21-\x7e\x80-\xff]+$/.test(token))
    return enter_token("A token has neither spaces nor letters beyond Latin-1.");
  keep_token(token);
  try {
    const { value: about } = await ask_json("/v1/host");
    if (about.orders === "token") {
      keep_token(null);
      return enter_token("The host has another token.");
    }
  } catch {} // the next look says so
  hurry();
}

async function stop_host() {
  if (!may_order() || !(await asked(by_id("stop-dialog")))) return;
  const problem = await order("/v1/stop");
  unheard = problem === null ? "" : "The host " + problem;
  say_trouble("");
}

const keys = [
  ["j k, ↓ ↑", "next, previous task, j and k also while one is open; Page Down, Home and so on"],
  ["Enter", "open the task"],
  ["Escape", "close the task; empty the filter"],
  ["/", "filter by name; several words must all be in it"],
  ["g", "graph of the order of tasks, or the table"],
  ["s, x, r", "in an open task: start, stop, restart, if you may; stop and restart ask first"],
  ["?", "this help"],
];

function show_help() {
  by_id("keys").replaceChildren(
    ...keys.flatMap(([key, words]) => [
      element("dt", {}, element("kbd", { textContent: key })),
      element("dd", { textContent: words }),
    ]),
  );
  by_id("legend").replaceChildren(
    ...kinds.map(({ kind, words }) =>
      element("p", { className: kind }, symbol(kind), element("b", { textContent: label_of(kind) }), words),
    ),
    ...[
      ["ok", "ended well"],
      ["failed", "failed"],
      ["cancelled", "was stopped"],
      ["running", "runs"],
    ].map(([kind, words]) =>
      element(
        "p",
        {},
        svg(
          "svg",
          { class: "swatch", width: 26, height: 12 },
          svg("rect", {
            class: "run " + kind,
            x: 1,
            y: kind === "cancelled" ? 4 : 1,
            width: 24,
            height: kind === "cancelled" ? 7 : 10,
          }),
        ),
        element("b", { textContent: "execution" }),
        words,
      ),
    ),
  );
  by_id("help-dialog").showModal();
  by_id("help-dialog").scrollTop = 0; // its button, which has the focus, is at the end
}

// --- keys ------------------------------------------------------------------------------------------------------------

const table_keys = {
  ArrowDown: () => move(1),
  j: () => move(1),
  ArrowUp: () => move(-1),
  k: () => move(-1),
  PageDown: () => move(page_size()),
  PageUp: () => move(-page_size()),
  Home: () => activate(0),
  End: () => activate(table.shown.length - 1),
  Enter: () => {
    if (active_place() >= 0) open_task(table.active);
  },
};
function open_next(distance) {
  move(distance);
  if (active_place() >= 0) open_task(table.active);
}
const task_keys = {
  j: () => open_next(1),
  k: () => open_next(-1),
  s: () => want_order("start"),
  x: () => want_order("stop"),
  r: () => want_order("restart"),
};
const page_keys = {
  "/": () => by_id("filter").focus(),
  "?": show_help,
  g: toggle_graph,
  Escape: () => {
    if (opened_name() !== null) return close_task();
    by_id("filter").value = "";
    table.kinds.clear();
    filter_changed();
    by_id("table").focus();
  },
};

// What is typed otherwise was not meant as an answer.
function answers_question({ key, target }) {
  const is_yes = key === question.key && by_id("task").contains(target);
  if (is_yes) confirm_order();
  else if (key === "Escape" || (key.length === 1 && key !== " ")) drop_question();
  return is_yes || key === "Escape";
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  const at = event.target;
  // A key that is held gives one order, and does not answer the question that it has led to.
  if (event.repeat && "sxr".includes(event.key)) return;
  if (event.repeat && event.key === "Enter" && by_id("question").contains(at)) return event.preventDefault();
  if (question.what !== null && answers_question(event)) return event.preventDefault();
  const is_filter = at === by_id("filter");
  if (is_filter) {
    // On from the filter to what passes it.
    if (event.key === "Enter" && host.about?.tasks.total > most_tasks && at.value !== "") return open_task(at.value);
    if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      by_id("table").focus();
      activate(Math.max(0, active_place()));
    }
    if (event.key !== "Escape") return;
  } else if (at.matches("select, input") && event.key !== "Escape") {
    return;
  }
  const in_task = by_id("task").contains(at);
  const on_button = at.matches("button, [role=button]");
  const in_table = !in_task && !on_button && !graph.is_shown;
  const action = (in_table && table_keys[event.key]) || (in_task && task_keys[event.key]) || page_keys[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// --- the beginning ---------------------------------------------------------------------------------------------------

show_head();
by_id("scroller").addEventListener("scroll", show_rows_soon, { passive: true });
by_id("rows").addEventListener("click", (event) => {
  const row = event.target.closest(".row");
  const has_selected = !getSelection().isCollapsed && getSelection().containsNode(event.target, true);
  if (row && !has_selected) open_task(row.task);
});
by_id("filter").addEventListener("input", filter_changed);
by_id("toggle-graph").addEventListener("click", toggle_graph);
by_id("graph").addEventListener("click", open_node);
by_id("graph").addEventListener("keydown", open_node);
by_id("close-task").addEventListener("click", close_task);
by_id("span").addEventListener("change", draw_strip);
by_id("level").addEventListener("change", () => show_log(log.task));
for (const button of by_id("orders").children) button.addEventListener("click", () => want_order(button.dataset.order));
by_id("question-yes").addEventListener("click", confirm_order);
by_id("question-no").addEventListener("click", drop_question);
by_id("enter-token").addEventListener("click", () => enter_token());
by_id("forget-token").addEventListener("click", () => {
  keep_token(null);
  hurry();
});
by_id("stop-host").addEventListener("click", stop_host);
by_id("show-help").addEventListener("click", show_help);
addEventListener("hashchange", () => show_opened(true));
addEventListener("popstate", () => show_opened(false));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return close_events();
  if (host.about !== null) show_age();
  keep_following();
});
setInterval(show_age, 1000);
addEventListener("pagehide", close_events);
new ResizeObserver(() => {
  measure_rows();
  draw_strip();
}).observe(document.documentElement);
show_opened(false);
requestAnimationFrame(() => by_id("task").focus({ preventScroll: true })); // if one is open; not before autofocus is over
poll();
