// The scripts are parts of one function, in the order that embed.cmake lists. All text of others is put into the page
// as text, never as HTML: see `element` and `set_text`.

const by_id = (id) => document.getElementById(id);

// Names and messages may hold what reorders or hides text: it is written as the host's own output writes it.
const misleading = new RegExp(
  "[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u180e" +
    "\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\u{e0000}-\\u{e0fff}]",
  "gu",
);
function escaped(mark) {
  const code = mark.codePointAt(0).toString(16).padStart(4, "0");
  return code.length > 4 ? "\\u{" + code + "}" : "\\u" + code;
}
const harmless = (text) => String(text).replace(misleading, escaped);

// Of what may be many.
function some_of(names) {
  const most = 8;
  const more = names.length > most ? " and " + (names.length - most) + " more" : "";
  return names.slice(0, most).join(", ") + more;
}

// `properties` are those of the DOM; of SVG elements, attributes.
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function set_text(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
function set_attribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// Makes the children of `node` like `wanted`, and leaves alone what is like that already: so focus, selection and
// tooltips stay. Elements with a data-key become only those with the same one. Listeners are not taken over.
const key_of = (node) => node.dataset?.key;
function set_children(node, ...wanted) {
  const keys = new Set(wanted.map(key_of));
  let old = node.firstChild;
  for (const child of wanted) {
    while (old !== null && key_of(old) !== undefined && !keys.has(key_of(old))) {
      const gone = old;
      old = old.nextSibling;
      gone.remove();
    }
    if (old === null || old.nodeName !== child.nodeName || key_of(old) !== key_of(child)) {
      node.insertBefore(child, old);
      continue;
    }
    if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== child.data) old.data = child.data;
    } else {
      for (const { name } of [...old.attributes]) if (!child.hasAttribute(name)) old.removeAttribute(name);
      for (const { name, value } of child.attributes) set_attribute(old, name, value);
      set_children(old, ...child.childNodes);
    }
    old = old.nextSibling;
  }
  while (old !== null) {
    const gone = old;
    old = old.nextSibling;
    gone.remove();
  }
}

const symbol = (id) => svg("svg", { class: "symbol", "aria-hidden": "true" }, svg("use", { href: "#s-" + id }));

// --- times -----------------------------------------------------------------------------------------------------------

// As the commands and the sentences of the API write them.
function duration_words(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 1000) return Math.max(0, Math.floor(ms)) + "ms";
  if (ms < 10_000) return Math.floor(ms / 100) / 10 + "s";
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return seconds + "s";
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes + "m" + two(seconds % 60) + "s";
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return hours + "h" + two(minutes % 60) + "m";
  return Math.floor(hours / 24) + "d" + (hours % 24) + "h";
}

const clock_format = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const date_format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const moment_format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day_of = (time) => new Date(time).toDateString();
// In this reader's time zone, with the date unless it is today.
function time_words(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return "";
  return (day_of(date) === day_of(Date.now()) ? clock_format : moment_format).format(date);
}

// Of a shard's time; next to nothing is the usual.
const share_words = (share) => (typeof share !== "number" || share < 0.005 ? "" : Math.round(share * 100) + " %");

// --- states ----------------------------------------------------------------------------------------------------------

// In the order in which tasks are sorted by state: what needs somebody first.
const kinds = [
  { kind: "lost", words: "is over without success" },
  { kind: "unknown", words: "its event loop does not answer" },
  { kind: "delayed", words: "waits for its next start" },
  { kind: "waiting", words: "waits for other tasks" },
  { kind: "starting", words: "starts, is not ready yet" },
  { kind: "stopping", words: "is asked to end" },
  { kind: "stopped", words: "was stopped by an operator" },
  { kind: "running", words: "is ready" },
  { kind: "done", words: "has done its work" },
];
const rank_of_kind = new Map(kinds.map(({ kind }, rank) => [kind, rank]));

// "ended" is two things to people.
function kind_of(task) {
  if (task.state !== "ended") return rank_of_kind.has(task.state) ? task.state : "unknown";
  return task.last_outcome === "ok" ? "done" : "lost";
}
const label_of = (kind) => (kind === "done" ? "ended well" : kind);
const state_words = (task) => label_of(task.kind) + (task.stalled ? ", stalled" : task.abandoned ? ", abandoned" : "");

// What a row says about a task; the first that there is.
function message_of(task) {
  if (task.state === "unknown") return task.situation;
  if (task.waits_for.length !== 0) return "waits for " + some_of(task.waits_for);
  if (task.waits_for_group) return "waits for its group to be at rest";
  if (task.status) return task.status;
  if (task.last_message) return (task.state === "running" ? "before: " : "") + task.last_message;
  return task.over_for && task.over_for !== "ended" ? task.over_for.replace(/_/g, " ") : "";
}

const used_restarts = (task) =>
  typeof task.restarts === "number" && typeof task.remaining === "number" ? task.restarts - task.remaining : null;
function restarts_words(task) {
  if (task.state === "unknown" || task.type === "shutdown_on_exit") return "";
  if (task.restarts === 0) return "none";
  if (task.restarts === null) return "unlimited";
  return used_restarts(task) + " of " + task.restarts;
}
