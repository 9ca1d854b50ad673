// The log of the task that is shown: asked for with each look at the host, and bounded.

const kept_lines = 1000;
const lines_at_once = 300;
const nothing_logged = "It has logged nothing that is kept.";

const log = { task: null, level: "trace", instance: null, seq: 0, is_asking: false, day: "" };

function show_log(name) {
  if (log.task !== name || log.level !== by_id("level").value) log.instance = null;
  log.task = name;
  log.level = by_id("level").value;
  if (log.instance === null) by_id("log").replaceChildren();
  if (name !== null) read_log();
}

async function read_log() {
  const { task, level, instance: former } = log;
  if (task === null || log.is_asking || host.about === null || document.hidden) return;
  log.is_asking = true;
  const instance = host.about.instance;
  const from = former === instance ? "since=" + log.seq + "&" : "";
  let lines = [];
  let problem = "";
  try {
    const answer = await ask(
      "/v1/log?" +
        from +
        "last=" +
        lines_at_once +
        "&task=" +
        encodeURIComponent(task) +
        (level === "trace" ? "" : "&level=" + level),
    );
    if (answer.ok)
      lines = answer.text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line));
    else problem = "no log: status " + answer.status;
  } catch {
    problem = host.gone ? "" : "the log can't be read at present";
  }
  log.is_asking = false;
  // Another one was chosen meanwhile, or this one anew.
  if (log.task !== task || log.level !== level || log.instance !== former) return read_log();
  if (problem === "") {
    if (log.instance !== instance) {
      by_id("log").replaceChildren();
      log.seq = 0;
    }
    log.instance = instance;
  }
  const is_cut = lines.length === lines_at_once && from !== "";
  add_lines(is_cut ? [{ seq: log.seq + 1, lost: "some" }, ...lines] : lines, problem);
}

function add_lines(lines, problem) {
  const box = by_id("log");
  const today = day_of(Date.now());
  if (log.day !== today) {
    for (const time of box.querySelectorAll("time")) set_text(time, time_words(time.dateTime)); // now with their date
  }
  log.day = today;
  const at_end = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
  const note = box.lastChild?.className === "note" ? box.lastChild : null;
  if (lines.length === 0 && note?.textContent === (problem || nothing_logged)) return;
  note?.remove();
  for (const line of lines) {
    log.seq = Math.max(log.seq, line.seq);
    if (line.lost) box.append(element("p", { className: "lost", textContent: line.lost + " lines are missing here" }));
    if (line.message === undefined) continue;
    box.append(
      element(
        "p",
        { className: line.level },
        element("time", { textContent: time_words(line.time), dateTime: line.time, title: line.time }),
        " ",
        element("b", { textContent: line.level === "info" ? "" : line.level }),
        " ",
        element("span", { textContent: line.message.split("\n").map(harmless).join("\n") }),
      ),
    );
  }
  while (box.childElementCount > kept_lines) box.firstChild.remove();
  if (problem !== "" || box.childElementCount === 0) {
    box.append(element("p", { className: "note", textContent: problem || nothing_logged }));
  }
  if (at_end) box.scrollTop = box.scrollHeight;
}
