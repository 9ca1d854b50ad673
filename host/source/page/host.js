// What is known of the host: asked for about once a second while the page is visible, one request after the other.

const poll_pause = 1000;
const most_tasks = 20_000; // an answer has about a kilobyte for each
const silence_limit = 10_000; // a request is given up when nothing has arrived for so long
const token_key = "taskhost-token";

const host = {
  about: null, // the answer of /v1/host
  tasks: [], // of /v1/tasks, in its order
  by_name: new Map(),
  answered: { tick: 0, time: 0 }, // when the last answer began: performance.now(), and Date.now()
  ahead: 0, // its wall clock minus ours, in milliseconds
  gone: false,
  token: null,
};
try {
  host.token = sessionStorage.getItem(token_key);
} catch {} // not kept, then

const host_now = () => Date.now() + host.ahead;
// Of what is shown. The first clock may stand still while the computer sleeps, the second one may be set.
const age_of_answer = () => Math.max(performance.now() - host.answered.tick, Date.now() - host.answered.time);
const may_order = () => !host.gone && host.about?.orders === "accepted" && host.about.state === "running";

function keep_token(token) {
  host.token = token;
  try {
    if (token === null) sessionStorage.removeItem(token_key);
    else sessionStorage.setItem(token_key, token);
  } catch {}
}

// Throws if nobody answers; answers that refuse are returned. However long an answer takes, it is only given up when
// nothing arrives any more.
async function ask(target, options = {}) {
  const headers = host.token === null ? {} : { Authorization: "Bearer " + host.token };
  const given_up = new AbortController();
  let timer = 0;
  const wait_on = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      given_up.abort(new Error("nothing has arrived for " + duration_words(silence_limit)));
    }, silence_limit);
  };
  wait_on();
  try {
    const { ok, status, body } = await fetch(target, {
      headers,
      cache: "no-store",
      signal: given_up.signal,
      ...options,
    });
    const began = { tick: performance.now(), time: Date.now() };
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      wait_on();
      const { done, value } = await reader.read();
      text += decoder.decode(value, { stream: !done });
      if (done) return { ok, status, text, began };
    }
  } finally {
    clearTimeout(timer);
  }
}

// Why an answer refuses.
function refusal({ status, text }) {
  try {
    return JSON.parse(text).message ?? "status " + status;
  } catch {
    return "status " + status;
  }
}

async function ask_json(target) {
  const answer = await ask(target);
  if (!answer.ok) throw new Error(refusal(answer));
  return { value: JSON.parse(answer.text), began: answer.began };
}

// What came of an order: null if it was taken, otherwise what became of whom it is for.
async function order(target) {
  try {
    const answer = await ask(target, { method: "POST" });
    if (answer.status === 401) keep_token(null);
    hurry();
    return answer.ok ? null : "was not asked: " + harmless(refusal(answer));
  } catch {
    return "may have been asked, or may still be: no answer came.";
  }
}
// To browsers, also "%2E%2E" is the way out of a folder: POST /v1/tasks/../stop would be the host's stop.
const has_address = (name) => name !== "." && name !== "..";
const task_path = (name) => "/v1/tasks/" + encodeURIComponent(name);

// Another run of the host, or the first one that is seen.
let on_new_instance = () => {};
let on_answer = () => {};
let on_silence = () => {};

async function look() {
  const { value: about, began } = await ask_json("/v1/host");
  if (about.tasks.total <= most_tasks) {
    const { value, began } = await ask_json("/v1/tasks");
    return { about, tasks: value.tasks, began };
  }
  const name = opened_name();
  const answer = name === null || !has_address(name) ? null : await ask(task_path(name));
  return { about, tasks: answer?.ok ? [JSON.parse(answer.text)] : [], began };
}

function take_answer({ about, tasks, began }) {
  const before = host.about;
  host.answered = began;
  host.gone = false;
  host.about = about;
  host.tasks = tasks;
  host.by_name = new Map(tasks.map((task, place) => [task.name, Object.assign(task, { place })]));
  const timed = tasks.find((task) => task.since);
  if (timed) host.ahead = Date.parse(timed.since) + timed.since_ms - began.time;
  if (before?.instance !== about.instance) {
    if (before && before.version !== about.version) location.reload();
    on_new_instance();
  }
  on_answer();
}

const pause = () => Math.max(poll_pause, host.tasks.length / 5);
let poll_timer = 0;
let is_polling = false;
let is_hurried = false;
async function poll() {
  clearTimeout(poll_timer);
  if (is_polling || document.hidden) return;
  is_polling = true;
  is_hurried = false;
  let answer = null;
  let problem = null;
  try {
    answer = await look();
  } catch (error) {
    problem = error;
  }
  is_polling = false;
  poll_timer = setTimeout(poll, is_hurried ? 0 : pause());
  if (answer !== null) return take_answer(answer);
  host.gone = true;
  on_silence(problem);
}
// Soon, since something was changed.
function hurry() {
  is_hurried = true;
  poll();
}
document.addEventListener("visibilitychange", poll);
