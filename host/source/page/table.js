// The table of tasks. Only the rows that can be seen exist, and of these only the cells that changed are touched: so a
// host may have any number of tasks.

const columns = [
  { id: "name", title: "Task", value: (task) => task.name },
  { id: "state", title: "State", value: (task) => rank_of_kind.get(task.kind) },
  { id: "for", title: "For", value: (task) => task.since_ms ?? -1, number: true },
  { id: "runs", title: "Run", value: (task) => task.execution ?? -1, number: true },
  { id: "restarts", title: "Restarts used", value: (task) => used_restarts(task) ?? -1, number: true },
  { id: "share", title: "Share", value: (task) => task.share ?? -1, number: true },
  { id: "message", title: "Message", value: (task) => task.message },
];
const cell_texts = (task) => [
  harmless(task.name),
  state_words(task),
  duration_words(task.since_ms),
  task.execution ? String(task.execution) : "",
  restarts_words(task),
  share_words(task.share),
  harmless(task.message),
];
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

const table = {
  shown: [], // tasks that pass the filter, sorted
  active: null, // name of the task that the keys act on
  sort: null, // a column; null: the order of the manifest
  descending: false,
  words: [], // each must be in the name
  kinds: new Set(), // empty: all
  rows: [], // elements
  row_height: 26,
};

function arrange() {
  const { words, kinds: wanted, sort } = table;
  table.shown = host.tasks.filter(
    (task) => (wanted.size === 0 || wanted.has(task.kind)) && words.every((word) => task.folded.includes(word)),
  );
  if (sort) {
    const sign = table.descending ? -1 : 1;
    const compare =
      sort.id === "name" || sort.id === "message"
        ? (a, b) => collator.compare(sort.value(a), sort.value(b))
        : (a, b) => sort.value(a) - sort.value(b);
    table.shown.sort((a, b) => sign * compare(a, b) || a.place - b.place);
  }
  by_id("rows").style.height = table.shown.length * table.row_height + "px";
  set_attribute(by_id("table"), "aria-rowcount", String(table.shown.length + 1));
  const all = host.about?.tasks.total ?? 0;
  const some = table.shown.length;
  set_text(by_id("shown"), some === all ? (all === 1 ? "1 task" : all + " tasks") : some + " of " + all + " tasks");
  by_id("nothing").hidden = some !== 0 || host.about === null;
  set_text(
    by_id("nothing"),
    all === 0
      ? "This host has no tasks."
      : all > most_tasks
        ? "There are too many tasks for a table: type a whole name into the filter, and press Enter."
        : "No task passes the filter. Escape shows all.",
  );
}

// Called when the tasks were asked for.
function take_tasks() {
  for (const task of host.tasks) {
    task.kind = kind_of(task);
    task.message = message_of(task);
    task.folded = task.name.toLowerCase();
  }
  arrange();
  show_kinds();
  show_rows();
}

// --- rows ------------------------------------------------------------------------------------------------------------

function new_row(place) {
  const row = element("div", { className: "row", id: "row-" + place });
  row.setAttribute("role", "row");
  for (const { id, number } of columns) {
    const cell = element("span", { className: "cell " + id + (number ? " number" : "") });
    cell.setAttribute("role", id === "name" ? "rowheader" : "gridcell");
    if (id === "state") cell.append(symbol("unknown"), element("span"));
    row.append(cell);
  }
  by_id("rows").append(row);
  return row;
}

function show_row(row, task, place) {
  const texts = cell_texts(task);
  row.task = task.name;
  row.hidden = false;
  row.style.transform = "translateY(" + place * table.row_height + "px)";
  set_attribute(row, "aria-rowindex", String(place + 2));
  set_attribute(row, "aria-selected", String(task.name === opened_name()));
  set_attribute(
    row,
    "class",
    "row " + task.kind + (task.name === table.active ? " active" : "") + (task.stalled ? " stalled" : ""),
  );
  for (let i = 0; i < columns.length; ++i) {
    const cell = row.children[i];
    if (columns[i].id === "state") {
      set_attribute(cell.firstChild.firstChild, "href", "#s-" + task.kind);
      set_text(cell.lastChild, texts[i]);
    } else {
      set_text(cell, texts[i]);
    }
    if (!columns[i].number && cell.title !== texts[i]) cell.title = texts[i]; // it may be cut
  }
}

// A row element always has the same place modulo their number, so that scrolling moves few of them.
function show_rows() {
  const scroller = by_id("scroller");
  if (scroller.clientHeight === 0) return;
  const margin = 6;
  const count = Math.ceil(scroller.clientHeight / table.row_height) + 2 * margin;
  while (table.rows.length < count) table.rows.push(new_row(table.rows.length));
  const first = Math.max(0, Math.floor(scroller.scrollTop / table.row_height) - margin);
  const used = table.rows.length;
  for (let place = first; place < first + used; ++place) {
    const row = table.rows[place % used];
    if (place < table.shown.length) show_row(row, table.shown[place], place);
    else row.hidden = true;
  }
  const active = table.rows.find((row) => !row.hidden && row.task === table.active);
  if (active) set_attribute(by_id("table"), "aria-activedescendant", active.id);
  else by_id("table").removeAttribute("aria-activedescendant");
}

let row_frame = 0;
function show_rows_soon() {
  row_frame ||= requestAnimationFrame(() => {
    row_frame = 0;
    show_rows();
  });
}

// --- moving ----------------------------------------------------------------------------------------------------------

const active_place = () => table.shown.findIndex((task) => task.name === table.active);

function activate(place) {
  if (table.shown.length === 0) return;
  const bounded = Math.max(0, Math.min(table.shown.length - 1, place));
  table.active = table.shown[bounded].name;
  const scroller = by_id("scroller");
  const top = bounded * table.row_height;
  const room = scroller.clientHeight - by_id("head").offsetHeight; // which covers the first rows
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top + table.row_height > scroller.scrollTop + room) scroller.scrollTop = top + table.row_height - room;
  show_rows();
}
function move(distance) {
  const place = active_place();
  activate(place < 0 ? (distance < 0 ? table.shown.length - 1 : 0) : place + distance);
}
const page_size = () => Math.max(1, Math.floor(by_id("scroller").clientHeight / table.row_height) - 1);

// --- head and filter -------------------------------------------------------------------------------------------------

function sort_by(column) {
  if (table.sort !== column) {
    table.sort = column;
    table.descending = column.number === true;
  } else if (table.descending === (column.number === true)) {
    table.descending = !table.descending;
  } else {
    table.sort = null; // the third time: as in the manifest again
  }
  show_head();
  arrange();
  show_rows();
}

function show_head() {
  const head = by_id("head");
  if (head.childElementCount === 0) {
    for (const column of columns) {
      const button = element("button", { type: "button", textContent: column.title });
      button.addEventListener("click", () => sort_by(column));
      const cell = element("span", { className: "cell " + column.id + (column.number ? " number" : "") }, button);
      cell.setAttribute("role", "columnheader");
      head.append(cell);
    }
  }
  columns.forEach((column, i) =>
    set_attribute(
      head.children[i],
      "aria-sort",
      column !== table.sort ? "none" : table.descending ? "descending" : "ascending",
    ),
  );
}

function filter_changed() {
  table.words = by_id("filter")
    .value.toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  by_id("scroller").scrollTop = 0;
  arrange();
  show_kinds();
  show_rows();
}

// A button for each kind of state that there is.
function show_kinds() {
  const counts = new Map();
  for (const task of host.tasks) counts.set(task.kind, (counts.get(task.kind) ?? 0) + 1);
  const box = by_id("states");
  if (box.childElementCount === 0) {
    for (const { kind } of kinds) {
      const button = element("button", { type: "button", className: "chip " + kind }, symbol(kind), element("span"));
      button.addEventListener("click", () => {
        if (!table.kinds.delete(kind)) table.kinds.add(kind);
        filter_changed();
      });
      box.append(button);
    }
  }
  kinds.forEach(({ kind, words }, i) => {
    const count = counts.get(kind) ?? 0;
    const button = box.children[i];
    button.hidden = count === 0 && !table.kinds.has(kind);
    if (button.hidden) return;
    set_text(button.lastChild, count + " " + label_of(kind));
    if (button.title !== words) button.title = words;
    set_attribute(button, "aria-pressed", String(table.kinds.has(kind)));
  });
}

function measure_rows() {
  const height = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row"));
  if (height > 0 && height !== table.row_height) {
    table.row_height = height;
    arrange();
  }
  show_rows();
}
