"""patience_test.py PROGRAM PLUGINS: what the page does as time passes. It touches only what changes, says how old it
is, and waits for slow lines."""

import datetime
import re
import signal
import sys

import page_case
import scene
from page_case import failing, idle
from scene import until

if not scene.what_is_missing():
    from selenium.webdriver.common.keys import Keys

HOUR, DAY = 3600, 86400  # seconds

# Marks all elements of some parts of the page, and tells which of them are gone.
MARK = """
window.marked = [...document.querySelectorAll("#task *, #graph *, .row, .row *, header *")]
  .filter((one) => !one.closest("[hidden], .ticks"));"""
GONE = "return window.marked.filter((one) => !one.isConnected).map((one) => one.outerHTML.slice(0, 120))"


class PatienceTest(page_case.PageCase):
    def opened(self, tasks, name, **options):
        host = self.host(tasks, **options)
        self.visit(host)
        self.open(name)
        until(self.bars, "its execution")
        return host

    def at_noon(self):
        """The browser's time zone is one where it is about noon."""
        ahead = 12 - datetime.datetime.now(datetime.timezone.utc).hour
        zone = f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"
        self.browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": zone})
        self.addCleanup(self.browser.execute_cdp_cmd, "Emulation.setTimezoneOverride", {"timezoneId": ""})

    def ticks(self):
        return self.js("return [...document.querySelectorAll('#strip .ticks text')].map((one) => one.textContent)")

    def dates(self):
        return self.js("return [...document.querySelectorAll('#strip .date')].map((one) => one.textContent)")

    def test_ticks_have_a_date_where_it_changes(self):
        self.at_noon()
        self.opened([idle("feed")], "feed")
        self.assertEqual(self.dates(), [])
        self.tell(task="feed", execution=0, ago=46 * HOUR, uptime_ms=HOUR * 1000)  # since 13 o'clock, two days ago
        day = "return new Intl.DateTimeFormat(undefined, {dateStyle: 'medium'}).format(Date.now() - arguments[0])"
        wanted = [self.js(day, ago * DAY * 1000) for ago in (1, 0)]  # the first tick is at midnight
        until(lambda: self.dates() == wanted, "the dates")
        self.assertEqual(self.js("""
            const box = document.getElementById("strip").getBoundingClientRect();
            return [...document.querySelectorAll("#strip text")].map((one) => one.getBoundingClientRect())
              .filter(({right, bottom}) => right > box.right || bottom > box.bottom + 1).length"""), 0)
        self.tell(task="feed", execution=-1, ago=50 * 365 * DAY, uptime_ms=1)  # the clock was not set yet
        until(lambda: re.search(r"\b19[0-9][0-9]\b", " ".join(self.dates())), "dates long ago")
        places = self.js(
            "return [...document.querySelectorAll('#strip .date')].map((one) => Number(one.getAttribute('x')))")
        self.assertLess(len(places), 12)
        self.assertGreaterEqual(min(b - a for a, b in zip(places, places[1:])), 76)

    def test_durations_look_as_those_of_the_command_line(self):
        host = self.opened([idle("feed"), failing("broken", backoff={"initial": "1h", "factor": 1})],
                           "feed")
        lives = {150: "150ms", 1640: "1.6s", 12_000: "12s", 185_000: "3m05s", 7_500_000: "2h05m", 100_800_000: "1d4h"}
        for place, life in enumerate(lives):
            self.tell(task="feed", execution=place - len(lives), ago=1, uptime_ms=life)
        titles = "return [...document.querySelectorAll('#strip title')].map((one) => one.textContent).join('\\n')"
        for words in lives.values():
            until(lambda: f"ended well after {words}\n" in self.js(titles), words)
        until(lambda: re.fullmatch(r"\d+s", self.row("feed")[2]), "its age")
        self.open("broken")
        until(lambda: "next start" in self.by_id("schedule").text, "its delay")
        parts = ("host-facts", "rows", "strip", "last-executions", "schedule", "facts")
        for part in parts:
            self.assertNotRegex(self.text(part), r"\d (ms|s|min|h|d)\b", part)
        host.stop()

    def test_what_does_not_change_is_not_touched(self):
        host = self.opened([idle("calm", after=["base"]), idle("base"), idle("last", after=["calm"])], "calm")
        self.looks(2)
        self.js(MARK)
        self.assertGreater(self.js("return marked.length"), 100)
        self.js("getSelection().selectAllChildren(document.querySelector('#last-executions time'))")
        self.js("document.querySelector('#facts .link').focus()")
        selected = self.js("return String(getSelection())")
        self.looks(3)
        self.assertEqual(self.js(GONE), [])
        self.assertEqual(self.js("return String(getSelection())"), selected)
        self.assertEqual(self.js("return document.activeElement.className"), "link")
        host.operate("restart", "calm")
        until(lambda: self.bars() == 2, "its second execution")
        self.looks(1)
        self.assertEqual(self.js(GONE), [])  # the new one is beside the former ones
        self.assertEqual(self.js("return String(getSelection())"), selected)
        self.js("document.activeElement.blur()")
        self.press("g")
        until(lambda: self.js("return document.querySelectorAll('.node').length") == 3, "the graph")
        self.js(MARK)
        self.js("document.querySelector('[data-key=base]').focus()")
        host.operate("stop", "calm")
        until(lambda: self.js("return document.querySelectorAll('.node.stopped').length") == 1, "its stop")
        self.assertEqual([gone for gone in self.js(GONE) if "node" in gone], [])
        self.assertIn("node", self.js("return document.activeElement.getAttribute('class')"))
        self.press(Keys.ENTER)
        until(lambda: self.text("task-name").strip() == "base", "the node's task")

    def test_a_list_of_facts_keeps_the_focus_while_others_come_and_go(self):
        self.opened([idle("calm", after=["base"]), idle("base")], "calm")
        self.js("""
            const original = window.fetch;
            window.fetch = async (target, options) => {
              const answer = await original(target, options);
              if (target !== "/v1/tasks") return answer;
              const value = await answer.json();
              value.tasks[0].status = window.status_of_calm;
              return new Response(JSON.stringify(value));
            };
            document.querySelector("#facts .link").focus();""")
        for status in ("reads", None, "writes"):
            self.js("window.status_of_calm = arguments[0]", status)
            until(lambda: ("says" in self.by_id("facts").text) == (status is not None), "its status")
            self.assertEqual(self.js("return document.activeElement.className"), "link")
            self.assertEqual(self.js("return document.activeElement.textContent"), "base")

    def test_text_in_a_row_can_be_selected_without_opening_it(self):
        host = self.host([idle("feed")])
        self.visit(host)
        cell = self.js("return document.querySelector('.row .name').getBoundingClientRect().toJSON()")
        y = cell["top"] + cell["height"] / 2
        for kind, x in (("mousePressed", 2), ("mouseMoved", 20), ("mouseReleased", 20)):
            self.browser.execute_cdp_cmd("Input.dispatchMouseEvent", {
                "type": kind, "x": cell["left"] + x, "y": y, "button": "left", "buttons": 1, "clickCount": 1})
        self.assertTrue(self.js("return String(getSelection())"))
        self.assertFalse(self.is_shown("task"))
        self.by_id("shown").click()
        self.browser.find_element("css selector", ".row").click()
        until(lambda: self.is_shown("task"), "the task")

    def test_a_slow_line_is_waited_for_and_the_age_of_what_is_shown_is_told(self):
        host = self.host([idle(f"task {i}") for i in range(3000)])
        self.visit(host)
        size = self.js("""
            return performance.getEntriesByType("resource").find(({name}) => name.endsWith("/v1/tasks")).transferSize""")
        slow_down = {"offline": False, "latency": 0, "uploadThroughput": -1, "downloadThroughput": size / 14}
        self.browser.execute_cdp_cmd("Network.enable", {})
        self.addCleanup(self.browser.execute_cdp_cmd, "Network.emulateNetworkConditions",
                        {**slow_down, "downloadThroughput": -1})
        self.browser.execute_cdp_cmd("Network.emulateNetworkConditions", slow_down)
        host.operate("stop", "task 7")
        until(lambda: self.is_shown("age"), "the age")
        self.assertRegex(self.text("age"), r"^as of \d+(\.\d)?s ago$")
        until(lambda: self.row("task 7")[1] == "stopped", "the slow answer")
        self.assertFalse(self.is_shown("trouble"))

    def test_a_host_that_stands_still_is_told_and_goes_on(self):
        host = self.opened([idle("feed")], "feed")
        host.process.send_signal(signal.SIGSTOP)
        try:
            until(lambda: self.is_shown("age"), "the age")
            self.assertFalse(self.is_shown("trouble"))
            until(lambda: "does not answer, since" in self.text("trouble"), "the news")
            self.assertFalse(self.is_shown("age"))  # the time is in the news
            words = self.text("trouble")
        finally:
            host.process.send_signal(signal.SIGCONT)
        until(lambda: not self.is_shown("trouble"), "the end of the trouble")
        self.assertIn("What is shown is from then", words)
        host.operate("restart", "feed")
        until(lambda: self.row("feed")[3] == "2" and self.bars() == 2, "its second execution")
        self.assertFalse(self.is_shown("age"))

    def test_that_a_host_is_gone_is_announced_once(self):
        host = self.opened([idle("feed")], "feed")
        host.process.kill()
        until(lambda: self.is_shown("trouble"), "the news")
        self.js("""
            const now = Date.now;
            Date.now = () => now() + 5000;  // the clock is set
            window.told = 0;
            new MutationObserver(() => ++window.told).observe(
              document.getElementById("trouble"), {childList: true, characterData: true, subtree: true});""")
        asked = self.js("return window.asked")
        until(lambda: self.js("return window.asked") > asked + 3, "more requests")
        self.assertEqual(self.js("return window.told"), 0)

    def test_nothing_of_a_former_host_is_shown_as_of_the_next_one(self):
        host = self.opened([idle("feed"), idle("store", after=["feed"])], "feed")
        until(lambda: "started" in self.text("log"), "its line")
        self.js("document.activeElement.blur()")
        self.press("g")
        host.process.kill()
        host.process.wait()
        self.host([idle("other"), idle("more", after=["other"])], port=host.port)
        until(lambda: self.text("situation") == "This host has no such task.", "the next host")
        until(lambda: "no log" in self.text("log"), "its answer")
        self.assertNotIn("started", self.text("log"))
        self.assertEqual(self.bars(), 0)
        self.assertEqual(self.text("last-executions") + self.by_id("facts").text, "")
        nodes = "return [...document.querySelectorAll('.node')].map((one) => one.dataset.key)"
        self.assertEqual(self.js(nodes), ["other", "more"])

    def test_a_task_that_the_address_names_has_the_keys(self):
        host = self.host([idle("feed"), idle("store")])
        self.visit(host, "#task=feed")
        until(self.bars, "its execution")
        self.press("j")
        until(lambda: self.text("task-name").strip() == "store", "the next task")

    def test_after_long_in_a_hidden_tab_the_age_is_told_at_once(self):
        host = self.opened([idle("feed")], "feed")
        self.js("hide(true)")
        host.process.send_signal(signal.SIGSTOP)
        try:
            self.js("const now = Date.now; Date.now = () => now() + 3_660_000; hide(false)")
            self.assertEqual(self.text("age"), "as of 1h01m ago")
            self.assertTrue(self.is_shown("age"))
        finally:
            host.process.send_signal(signal.SIGCONT)
        until(lambda: not self.is_shown("age"), "a new answer")
        self.js("hide(true)")
        host.operate("restart", "feed")
        self.js("hide(false)")
        until(lambda: self.row("feed")[3] == "2" and self.bars() == 2, "what happened meanwhile")

    def test_lines_of_the_log_have_their_date_once_it_is_another_day(self):
        self.at_noon()
        self.opened([idle("feed")], "feed")
        until(lambda: "started" in self.text("log"), "its line")
        time = "return document.querySelector('#log time').textContent"
        self.assertRegex(self.js(time), r"^[\d:]+$")
        self.js("const now = Date.now; Date.now = () => now() + 86_400_000")
        until(lambda: re.search("20[0-9][0-9]", self.js(time)), "the date")


if __name__ == "__main__":
    page_case.run(sys.argv)
