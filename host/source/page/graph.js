// The order of tasks and their groups: to the right of each task those that come after it, groups in boxes. Of hosts
// with many related tasks only the neighbourhood of the one that is shown.

const most_drawn = 150;
const node_size = { width: 150, height: 26, across: 200, down: 36 };
const graph = { is_shown: false };

const all_followers = () => {
  const followers = new Map();
  for (const task of host.tasks) {
    for (const other of task.after ?? []) {
      if (!followers.has(other)) followers.set(other, []);
      followers.get(other).push(task.name);
    }
  }
  return followers;
};

// The tasks to draw, and what is left out, in words.
function chosen_tasks() {
  const followers = all_followers();
  const related = host.tasks.filter((task) => task.after?.length || task.group || followers.has(task.name));
  if (related.length <= most_drawn) {
    return {
      tasks: related,
      words:
        related.length === 0
          ? "No task of this host comes after another one, and there are no groups."
          : host.tasks.length === related.length
            ? ""
            : "Tasks that come neither before nor after others are left out.",
    };
  }
  const groups = new Map();
  for (const task of related) {
    if (!task.group) continue;
    if (!groups.has(task.group)) groups.set(task.group, []);
    groups.get(task.group).push(task.name);
  }
  const center = table.active !== null && host.by_name.has(table.active) ? table.active : related[0].name;
  const names = new Set([center]);
  for (const name of names) {
    // grows meanwhile: the nearest come first
    const task = host.by_name.get(name);
    if (!task) continue;
    for (const other of [...(task.after ?? []), ...(followers.get(name) ?? []), ...(groups.get(task.group) ?? [])]) {
      if (names.size < most_drawn / 3) names.add(other);
    }
    if (names.size >= most_drawn / 3) break;
  }
  return {
    tasks: host.tasks.filter(({ name }) => names.has(name)),
    words: related.length + " tasks are related: these are the nearest to " + harmless(center) + ".",
  };
}

// Columns by the longest way from a task that comes after no other; a lane of rows for each group, so that its box
// holds nobody else, and one for those without a group.
function laid_out(tasks) {
  const chosen = new Map(tasks.map((task) => [task.name, task]));
  const columns_of = new Map();
  const column_of = (name, path = new Set()) => {
    if (columns_of.has(name)) return columns_of.get(name);
    path.add(name);
    let column = 0;
    for (const other of chosen.get(name).after ?? []) {
      if (chosen.has(other) && !path.has(other)) column = Math.max(column, column_of(other, path) + 1);
    }
    path.delete(name);
    columns_of.set(name, column);
    return column;
  };
  const lanes = new Map();
  for (const task of tasks) {
    const lane = task.group ? "group " + task.group : "";
    if (!lanes.has(lane)) lanes.set(lane, []);
    lanes.get(lane).push(task);
  }
  const places = new Map();
  const boxes = [];
  let top = 8;
  for (const members of lanes.values()) {
    const { group } = members[0];
    if (group) top += 20;
    const rows = new Map();
    let least = Infinity;
    let most = 0;
    let deepest = 0;
    for (const task of members) {
      const column = column_of(task.name);
      const row = rows.get(column) ?? 0;
      rows.set(column, row + 1);
      places.set(task.name, { x: 12 + column * node_size.across, y: top + row * node_size.down });
      [least, most, deepest] = [Math.min(least, column), Math.max(most, column), Math.max(deepest, row)];
    }
    if (group) {
      boxes.push({
        group,
        x: 12 + least * node_size.across - 8,
        y: top - 20,
        width: (most - least) * node_size.across + node_size.width + 16,
        height: deepest * node_size.down + node_size.height + 28,
      });
    }
    top += (deepest + 1) * node_size.down + (group ? 14 : 8);
  }
  const widest = Math.max(0, ...columns_of.values());
  return { places, boxes, width: widest * node_size.across + node_size.width + 24, height: top };
}

function shortened(text, most) {
  const characters = [...text];
  return characters.length <= most ? text : characters.slice(0, most - 1).join("") + "…";
}

function drawn_node(task, { x, y }) {
  const { width, height } = node_size;
  const is_opened = task.name === table.active;
  const name = harmless(task.name);
  return svg(
    "g",
    {
      class: "node " + task.kind + (is_opened ? " active" : ""),
      transform: "translate(" + x + " " + y + ")",
      tabindex: 0,
      role: "button",
      "data-key": task.name,
      "aria-label": name + ", " + state_words(task),
    },
    svg("title", {}, name + "\n" + state_words(task) + (task.message ? ": " + harmless(task.message) : "")),
    svg("rect", { width, height, rx: 3 }),
    svg("use", { href: "#s-" + task.kind, x: 7, y: 7, width: 12, height: 12, class: "symbol" }),
    svg("text", { x: 25, y: 17.5 }, shortened(name, 17)),
  );
}

function draw_graph() {
  if (!graph.is_shown) return;
  const { tasks, words } = chosen_tasks();
  const { places, boxes, width, height } = laid_out(tasks);
  const picture = svg("svg", {
    width,
    height,
    viewBox: "0 0 " + width + " " + height,
    role: "group",
    "aria-label": "Order of the tasks",
  });
  const parts = [svg("g"), svg("g"), svg("g")];
  const [groups, edges, nodes] = parts;
  picture.append(...parts);
  for (const { group, ...rest } of boxes) {
    groups.append(
      svg("rect", { ...rest, rx: 5, class: "group" }),
      svg("text", { x: rest.x + 9, y: rest.y + 15, class: "group" }, "group " + shortened(harmless(group), 40)),
    );
  }
  for (const task of tasks) {
    const to = places.get(task.name);
    for (const other of task.after ?? []) {
      const from = places.get(other);
      if (!from) continue;
      const [x1, y1, x2, y2] = [from.x + node_size.width, from.y + 13, to.x - 5, to.y + 13];
      const half = Math.max(18, (x2 - x1) / 2);
      const waits = task.waits_for?.includes(other);
      edges.append(
        svg(
          "path",
          {
            class: "edge" + (waits ? " waits" : ""),
            d: "M" + x1 + " " + y1 + "C" + (x1 + half) + " " + y1 + " " + (x2 - half) + " " + y2 + " " + x2 + " " + y2,
          },
          svg("title", {}, harmless(task.name) + (waits ? " waits for " : " comes after ") + harmless(other)),
        ),
        svg("path", { class: "arrow" + (waits ? " waits" : ""), d: "M" + (x2 + 5) + " " + y2 + "l-7 -3.5v7z" }),
      );
    }
  }
  nodes.append(...tasks.map((task) => drawn_node(task, places.get(task.name))));
  set_children(by_id("graph"), element("p", { className: "note", textContent: words }), picture);
}

function open_node(event) {
  const node = event.target.closest(".node");
  if (node === null || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
  event.preventDefault();
  event.stopPropagation();
  open_task(node.dataset.key);
}

function toggle_graph() {
  graph.is_shown = !graph.is_shown;
  by_id("graph").hidden = !graph.is_shown;
  by_id("table").hidden = graph.is_shown;
  set_attribute(by_id("toggle-graph"), "aria-pressed", String(graph.is_shown));
  if (graph.is_shown) draw_graph();
  else measure_rows();
}
