"""page_test.py PROGRAM PLUGINS: the page in a real browser, with running hosts. Status 77 if there is no browser."""

import sys
import urllib.error
import urllib.request

import page_case
import scene
from page_case import failing, idle
from scene import TOKEN, until

if not scene.what_is_missing():
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

HOSTILE = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "a%2Fb/c?d#e&f=g",
    "quote \" ' ` \\ ${x}",
    "\u202egnp.exe",
    "عربي עברית",
    "../../v1/stop",
    "__proto__",
]


class PageTest(page_case.PageCase):
    def test_the_table_shows_all_tasks_and_a_filter_those_that_are_meant(self):
        host = self.host([idle("feed berlin"), idle("feed oslo"), idle("Store"), 
                          idle("broken", config={"end": "error", "message": "no route"})])
        self.visit(host)
        until(lambda: self.row("broken")[1] == "lost", "its loss")
        self.assertEqual(self.names(), ["feed berlin", "feed oslo", "Store", "broken"])
        self.assertEqual(self.row("broken")[6], "no route")
        self.assertEqual(self.row("Store")[1], "running")
        self.by_id("filter").send_keys("OSLO fe")
        until(lambda: self.names() == ["feed oslo"], "the filtered table")
        self.assertEqual(self.text("shown"), "1 of 4 tasks")
        self.press(Keys.ESCAPE)
        until(lambda: len(self.names()) == 4, "the whole table")
        self.browser.find_element(By.CSS_SELECTOR, ".chip.lost").click()
        self.assertEqual(self.names(), ["broken"])
        self.browser.find_element(By.CSS_SELECTOR, ".chip.lost").click()
        head = self.browser.find_elements(By.CSS_SELECTOR, "#head button")
        head[0].click()
        self.assertEqual(self.names(), ["broken", "feed berlin", "feed oslo", "Store"])
        head[0].click()
        self.assertEqual(self.names(), ["Store", "feed oslo", "feed berlin", "broken"])
        head[0].click()
        self.assertEqual(self.names(), ["feed berlin", "feed oslo", "Store", "broken"])
        self.assertEqual(self.complaints(), [])

    def test_what_others_change_is_seen(self):
        host = self.host([idle("feed"), idle("store")])
        self.visit(host)
        self.assertEqual(self.row("feed")[3], "1")
        host.operate("restart", "feed")
        until(lambda: self.row("feed")[3] == "2", "its second execution")
        host.operate("stop", "feed")
        until(lambda: self.row("feed")[1] == "stopped", "its stop")
        self.assertEqual(self.row("store")[1:4:2], ["running", "1"])

    def test_the_executions_of_a_task_grow_and_one_stream_is_open(self):
        host = self.host([failing("broken", message="<b>no</b> route"), idle("calm")])
        self.visit(host)
        self.assertEqual(self.js("return open_streams()"), 0)
        self.open("broken")
        until(lambda: self.bars(".failed") > 1, "two failures")
        before = self.bars(".failed")
        until(lambda: self.bars(".failed") > before, "more failures")
        self.assertEqual(self.js("return open_streams()"), 1)
        title = self.js("return document.querySelector('#strip rect.failed title').textContent")
        self.assertRegex(title, r"^execution \d+: failed after \d+ms: <b>no</b> route\n")
        self.assertRegex(self.js("return document.querySelector('#strip svg').ariaLabel"), r"\d+ failed")
        self.assertRegex(self.text("schedule"), r"restarts\d+ of 50 used, \d+ left")
        self.assertIn("failed after", self.text("last-executions"))
        self.open("calm")
        until(lambda: self.bars(".running") == 1 and self.bars() == 1, "the other one's execution")
        host.operate("restart", "calm")
        until(lambda: self.bars(".running") == 1 and self.bars() == 2, "its second execution")
        self.assertEqual(self.js("return open_streams()"), 1)
        self.js("hide(true)")
        self.assertEqual(self.js("return open_streams()"), 0)
        host.operate("restart", "calm")
        self.js("hide(false)")
        until(lambda: self.bars() == 3, "what happened meanwhile")
        self.press(Keys.ESCAPE)
        self.assertEqual(self.js("return open_streams()"), 0)
        self.assertEqual(self.complaints(), [])

    def test_a_storm_of_executions_is_bounded(self):
        storm = failing("storm", restarts="unlimited", backoff={"initial": "1ms", "factor": 1})
        storm["config"]["run_for"] = "0s"
        host = self.host([storm, idle("calm")])
        self.visit(host, "#task=storm")
        until(lambda: int((self.row("storm") or [0] * 7)[3] or 0) > 600, "600 executions")
        until(lambda: "the last 400" in self.text("strip-note"), "the note")  # all that came before may be summed up
        self.assertIn(self.bars(), range(20, 401))
        self.assertLess(self.js("return document.querySelectorAll('*').length"), 3000)

    def test_the_log_of_one_task_is_shown(self):
        host = self.host([failing("broken", message="first\n<i>second</i>", restarts=3),
                          failing("other", message="not me")])
        self.visit(host)
        self.open("broken")
        until(lambda: "<i>second</i>" in self.text("log"), "its line")
        until(lambda: "lost" in self.row("broken")[1], "its end")
        until(lambda: self.text("log").count("<i>second</i>") >= 3, "more lines")
        self.assertNotIn("not me", self.text("log"))
        self.js("document.getElementById('level').value = 'error'; "
                "document.getElementById('level').dispatchEvent(new Event('change'))")
        until(lambda: "started" not in self.text("log"), "the log from level error on")
        self.assertEqual(self.js("return document.querySelectorAll('#log i').length"), 0)

    def test_orders_need_the_token_and_work_with_it(self):
        host = self.host([idle("feed")])
        self.visit(host)
        self.open("feed")
        self.assertEqual(self.order_buttons(), [])
        self.assertFalse(self.is_shown("stop-host"))
        self.enter_token("not the token at all")
        until(lambda: self.text("token-problem"), "the refusal")
        self.by_id("token").send_keys("0123456789abcdefXXXX", Keys.ENTER)
        until(lambda: self.text("token-problem") == "The host has another token.", "the refusal")
        self.by_id("token").send_keys(TOKEN, Keys.ENTER)
        until(lambda: len(self.order_buttons()) == 3, "the buttons")
        start, stop, restart = self.order_buttons()
        self.assertFalse(start.is_enabled())
        restart.click()
        self.confirm()
        until(lambda: self.row("feed")[3] == "2", "its second execution")
        until(lambda: "It was asked to restart" in self.text("said"), "the answer")
        stop.click()
        self.confirm()
        until(lambda: self.row("feed")[1] == "stopped", "its stop")
        until(start.is_enabled, "the other button")
        start.click()
        until(lambda: self.row("feed")[1] == "running", "its start")
        self.browser.refresh()  # the tab keeps the token
        until(lambda: len(self.order_buttons()) == 3, "the buttons")
        self.by_id("forget-token").click()
        until(lambda: self.order_buttons() == [], "the table without buttons")
        self.enter_token(TOKEN)
        until(lambda: self.is_shown("stop-host"), "the button")
        self.by_id("stop-host").click()
        self.press(Keys.ENTER)  # Cancel
        until(lambda: not self.is_shown("stop-dialog"), "the dialog's end")
        self.assertEqual(host.process.poll(), None)
        self.by_id("stop-host").click()
        self.by_id("stop-ok").click()
        until(lambda: host.process.poll() is not None, "the host's end")
        until(lambda: "stopped" in self.text("trouble") or "does not answer" in self.text("trouble"), "the news")
        self.assertEqual(self.complaints(), [])

    def test_where_orders_are_refused_none_is_offered(self):
        host = self.host([idle("feed")], token=False)
        self.visit(host)
        self.open("feed")
        self.assertEqual(self.order_buttons(), [])
        self.assertTrue(self.is_shown("look-only"))
        self.assertFalse(self.is_shown("enter-token"))
        self.assertFalse(self.is_shown("stop-host"))
        self.press("r")
        self.assertEqual(self.row("feed")[3], "1")

    def test_hostile_names_are_text(self):
        host = self.host([idle(name) for name in HOSTILE] + [idle("last", after=HOSTILE), idle("..")])
        self.visit(host)
        shown = [name.replace("\u202e", "\\u202e") for name in HOSTILE]
        self.assertEqual(self.names(), shown + ["last", ".."])
        self.enter_token(TOKEN)
        for name in shown:
            self.open(name)
            until(lambda: len(self.order_buttons()) == 3, "the buttons")
            until(lambda: self.bars(".running") == 1, "its execution")
            self.order_buttons()[2].click()
            self.confirm()
            until(lambda: self.row(name)[3] == "2", "its second execution")
            self.browser.refresh()  # the address has its name
            until(lambda: self.text("task-name").strip() == name, "the task's name")
            until(self.rows, "the table")
        self.open("..")  # can't be named in an address: the order would be one for the host
        self.press("r", "x")
        until(lambda: self.bars(".running") == 1, "its execution")
        self.assertEqual(self.order_buttons(), [])
        self.press("g")
        until(lambda: self.js("return document.querySelectorAll('.node').length") == len(HOSTILE) + 1, "the graph")
        self.assertIsNone(self.js("return window.hacked ?? null"))
        self.assertEqual(self.js("return document.querySelectorAll('main img, main script').length"), 0)
        self.assertEqual(self.complaints(), [])

    def test_the_graph_has_what_comes_after_and_groups(self):
        host = self.host([idle("db", ready="notify"), idle("api", after=["db"]), idle("web", after=["api", "db"]),
                          idle("a", group="pair"), idle("b", group="pair"), idle("alone")],
                         groups={"pair": {"strategy": "one_for_all"}})
        self.visit(host)
        self.by_id("toggle-graph").click()
        count = "return document.querySelectorAll('#graph ' + arguments[0]).length"
        self.assertEqual(self.js(count, ".node"), 5)
        self.assertEqual(self.js(count, ".edge"), 3)
        self.assertEqual(self.js(count, ".edge.waits"), 3)
        self.assertEqual(self.js(count, "rect.group"), 1)
        self.browser.find_elements(By.CSS_SELECTOR, ".node")[1].send_keys(Keys.ENTER)
        until(lambda: self.text("task-name").strip() == "api", "the task")
        self.assertIn("comes afterdb", self.text("facts"))
        self.assertIn("waits fordb", self.text("schedule"))
        self.browser.find_element(By.CSS_SELECTOR, "#facts .link").click()
        until(lambda: self.text("task-name").strip() == "db", "the other task")
        self.browser.back()
        until(lambda: self.text("task-name").strip() == "api", "the first one")

    def test_many_tasks_do_not_stutter(self):
        for count in (1000, 10_000):
            chain = [idle(f"task {i}", after=[f"task {i - 1}"] if i % 10 else []) for i in range(count)]
            host = self.host(chain)
            self.visit(host)
            until(lambda: self.text("shown") == f"{count} tasks", "all tasks")
            self.browser.set_script_timeout(scene.PATIENCE)
            frames = self.browser.execute_async_script("""
                const done = arguments[0], scroller = document.getElementById("scroller"), times = [];
                let last = performance.now(), polls = performance.getEntriesByType("resource").length;
                const end = last + 3500;
                requestAnimationFrame(function frame(now) {
                  times.push(now - last);
                  last = now;
                  scroller.scrollTop += 173;
                  if (now < end) return requestAnimationFrame(frame);
                  const waited = times.slice(1).sort((a, b) => a - b);
                  done([waited.length, waited[Math.floor(waited.length / 2)], waited[Math.floor(waited.length * 0.99)],
                        waited[waited.length - 1], performance.getEntriesByType("resource").length - polls]);
                });""")
            print("%d tasks: %d frames while scrolling; median %.1f ms, 99%% %.1f ms, longest %.1f ms; %d requests"
                  % (count, *frames), file=sys.stderr)
            self.assertLess(frames[1], 100)
            self.assertLess(self.js("return document.querySelectorAll('.row').length"), 80)
            self.by_id("table").send_keys(Keys.END)
            until(lambda: f"task {count - 1}" in self.names(), "the last task")
            self.press("g")
            until(lambda: 1 < self.js("return document.querySelectorAll('.node').length") < 200, "a part of the graph")
            self.press("g", "/")
            self.press("task 77")
            until(lambda: self.names()[0] == "task 77", "the filtered table")
            host.stop()

    def test_of_very_many_tasks_one_is_shown_by_its_name(self):
        host = self.host([idle(f"task {i}") for i in range(20_001)])
        self.browser.get(host.address)
        until(lambda: "too many" in self.text("nothing"), "the words")
        self.by_id("filter").send_keys("task 4711", Keys.ENTER)
        until(lambda: self.text("task-name").strip() == "task 4711", "the task")
        until(lambda: self.text("situation").startswith("running: "), "its state")
        self.assertEqual(self.names(), ["task 4711"])

    def test_a_host_that_is_gone_is_told_and_another_one_is_taken(self):
        host = self.host([idle("feed")])
        self.visit(host)
        self.open("feed")
        until(lambda: self.bars() == 1, "its execution")
        host.operate("restart", "feed")
        until(lambda: self.bars() == 2 and self.row("feed")[3] == "2", "its second execution")
        host.stop()
        until(lambda: self.is_shown("trouble"), "the news")
        self.assertRegex(self.text("trouble"), "The host (does not answer|has stopped), since ")
        self.assertEqual(self.text("host-state"), "does not answer")
        self.assertEqual(self.row("feed")[3], "2")
        other = self.host([idle("feed"), idle("more")], port=host.port)
        until(lambda: not self.is_shown("trouble"), "the news")
        until(lambda: self.names() == ["feed", "more"], "the other host's tasks")
        self.assertEqual(self.row("feed")[3], "1")
        until(lambda: self.bars() == 1, "its one execution")
        other.operate("restart", "feed")
        until(lambda: self.bars() == 2, "its second execution")
        self.assertEqual(self.js("return open_streams()"), 1)

    def test_a_host_that_stops_is_told(self):
        deaf = {"name": "deaf", "plugin": "probe_blocking", "type": "detachable", "stop_timeout": "20s",
                "config": {"deaf": True, "run_for": "3s"}}
        host = self.host([deaf, idle("feed")])
        self.visit(host)
        host.process.terminate()
        until(lambda: "is stopping" in self.text("trouble"), "the news")
        until(lambda: "has stopped" in self.text("trouble"), "the end")

    def test_the_keyboard_alone_opens_a_task_and_restarts_it(self):
        host = self.host([idle(f"task {i}") for i in range(60)])
        self.visit(host)
        body = self.browser.find_element(By.TAG_NAME, "body")
        body.send_keys("/")
        self.press("task 5", Keys.ENTER)
        self.press("j", Keys.ARROW_DOWN, "k")
        active = self.by_id("table").get_attribute("aria-activedescendant")
        self.assertEqual(self.by_id(active).text.split("\n")[0], "task 15")
        self.press(Keys.ENTER)
        until(lambda: self.text("task-name").strip() == "task 15", "the task")
        self.assertEqual(self.browser.switch_to.active_element.get_attribute("id"), "task")
        for _ in range(40):  # Shift+Tab leads to the token's button
            if self.browser.switch_to.active_element.get_attribute("id") == "enter-token":
                break
            self.press(Keys.SHIFT, Keys.TAB)
        outline = "return getComputedStyle(document.activeElement).outlineStyle"
        self.assertEqual(self.js(outline), "solid")
        self.press(Keys.ENTER)
        self.press(TOKEN, Keys.ENTER)
        until(lambda: len(self.order_buttons()) == 3, "the buttons")
        self.press(Keys.ESCAPE)
        self.press(Keys.ENTER)
        until(lambda: self.text("task-name").strip() == "task 15", "the task")
        self.press("r")
        self.confirm()
        until(lambda: self.row("task 15")[3] == "2", "its second execution")
        self.press("j")
        until(lambda: self.text("task-name").strip() == "task 25", "the next task")
        self.press("?")
        until(lambda: self.is_shown("help-dialog"), "the help")
        self.press(Keys.ESCAPE)
        self.press(Keys.ESCAPE)
        until(lambda: not self.is_shown("task"), "the table alone")
        self.assertEqual(self.complaints(), [])

    def test_it_fits_narrow_screens_and_keeps_contrast_in_both_schemes(self):
        long_name = "a-name-without-any-space-" * 5
        host = self.host([failing(long_name, message="x" * 300), idle("b", after=[long_name])])
        for scheme in ("light", "dark"):
            scene.set_screen(self.browser, 360, 700, scheme)
            for fragment in ("", "#task=" + long_name):
                self.visit(host, fragment)
                until(lambda: self.text("host-state") == "running", "the host")
                self.assertLessEqual(self.js("return document.documentElement.scrollWidth"), 360, fragment)
            low = self.js(CONTRAST)
            self.assertEqual(low, [], scheme)
        scene.set_screen(self.browser, 1280, 800, "dark")
        dark = self.js("return getComputedStyle(document.documentElement).backgroundColor")
        scene.set_screen(self.browser, 1280, 800, "light")
        self.assertNotEqual(dark, self.js("return getComputedStyle(document.documentElement).backgroundColor"))

    def test_it_can_be_used_with_a_large_zoom(self):
        host = self.host([failing("broken", message="no route\n" * 400, backoff={"initial": "30s", "factor": 1}),
                          idle("feed")])
        scene.set_screen(self.browser, 320, 256)  # 1280 by 1024 at 400 %
        self.visit(host)
        self.enter_token(TOKEN)
        until(lambda: self.is_shown("stop-host"), "the token's use")
        self.assertEqual(self.names(), ["broken", "feed"])
        self.browser.find_elements(By.CSS_SELECTOR, ".row")[0].click()
        until(lambda: self.bars(".failed") == 1, "its execution")
        self.assertLessEqual(self.js("return document.documentElement.scrollWidth"), 320)
        self.assertLess(self.js("return document.getElementById('schedule').offsetHeight"), 300)  # the message is long
        self.press("x")
        until(lambda: self.is_shown("question"), "the question")
        places = self.js("""
            return ["question-words", "question-yes"].flatMap((id) => {
              const {top, bottom} = document.getElementById(id).getBoundingClientRect();
              return [top, bottom];
            })""")
        self.assertTrue(all(0 <= place <= 256 for place in places), places)

    def test_no_script_but_its_own_runs_and_it_is_fetched_once(self):
        host = self.host([idle("feed")])
        with urllib.request.urlopen(host.address) as answer:
            policy, tag = answer.headers["Content-Security-Policy"], answer.headers["ETag"]
        self.assertNotIn("unsafe", policy)
        self.assertIn("frame-ancestors 'none'", policy)
        again = urllib.request.Request(host.address, headers={"If-None-Match": tag})
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(again)
        self.assertEqual(caught.exception.code, 304)
        self.visit(host)
        self.js("""
            const made = document.createElement("script");
            made.textContent = "window.hacked = 3";
            document.body.append(made);""")
        self.assertIsNone(self.js("return window.hacked ?? null"))


# Texts whose contrast with what is behind them is below WCAG's 4.5.
CONTRAST = """
const parts = (color) => color.match(/[\\d.]+/g).map(Number);
const linear = (one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
const light = (color) => [0.2126, 0.7152, 0.0722].reduce((sum, part, i) => sum + part * linear(color[i] / 255), 0);
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const color = parts(getComputedStyle(node).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll("h1, h2, h3, p, dt, dd, .chip, .cell, button, li, time, #log p, #log b, label")]
  .filter((node) => node.offsetParent && node.textContent.trim() && !node.disabled).map((node) => {
    const [a, b] = [light(parts(getComputedStyle(node).color)), light(behind(node))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent.slice(0, 30)];
  }).filter(([contrast]) => contrast < 4.5);"""


if __name__ == "__main__":
    page_case.run(sys.argv)
