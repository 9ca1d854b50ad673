"""What tests of the page have in common: a browser, and what is on the page."""

import sys
import unittest

import scene
from scene import Host, until

if not scene.what_is_missing():
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys


def idle(name, **more):
    return {"name": name, "plugin": "probe", "type": "detachable", **more}


def failing(name, message="no route", **more):
    return {"name": name, "plugin": "probe", "type": "detachable", "restarts": 50,
            "config": {"end": "error", "run_for": "150ms", "message": message},
            "backoff": {"initial": "100ms", "factor": 1}, **more}


class PageCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = scene.start_browser()
        # Counts event streams and orders, and lets a test hide the page.
        cls.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": """
            window.streams = [];
            const Original = window.EventSource;
            window.EventSource = class extends Original {
              constructor(...given) { super(...given); window.streams.push(this); }
            };
            window.is_hidden = false;
            Object.defineProperty(document, "hidden", {get: () => window.is_hidden});
            window.hide = (hidden) => {
              window.is_hidden = hidden;
              document.dispatchEvent(new Event("visibilitychange"));
            };
            const original_fetch = window.fetch;
            window.orders = [];
            window.asked = 0;
            window.fetch = async (target, options) => {
              ++window.asked;
              if (options?.method === "POST") window.orders.push([target, options.headers.Authorization ?? null]);
              const answer = await original_fetch(target, options);
              if (target === "/v1/host") answer.clone().json().then((host) => { window.instance = host.instance; });
              return answer;
            };
            window.open_streams = () => window.streams.filter((one) => one.readyState !== 2).length;"""})

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()

    def setUp(self):
        scene.set_screen(self.browser, 1280, 800)
        self.browser.get_log("browser")  # forget

    def host(self, tasks, **options):
        host = Host(tasks, **options)
        self.addCleanup(host.stop)
        return host

    def visit(self, host, fragment=""):
        self.browser.get("about:blank")
        self.browser.get(host.address + fragment)
        self.browser.execute_script("sessionStorage.clear()")
        if fragment == "":
            until(self.rows, "the table")

    # What is on the page.
    def js(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def by_id(self, name):
        return self.browser.find_element(By.ID, name)

    def text(self, name):
        return self.js("return document.getElementById(arguments[0]).textContent", name)

    def rows(self):
        return self.js("""
            return [...document.querySelectorAll(".row:not([hidden])")].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
              .map((row) => [...row.children].map((cell) => cell.textContent))""")

    def names(self):
        return [row[0] for row in self.rows()]

    def row(self, name):
        return next((row for row in self.rows() if row[0] == name), None)

    def press(self, *keys):
        self.browser.switch_to.active_element.send_keys(*keys)

    def is_shown(self, name):
        return self.by_id(name).is_displayed()

    def bars(self, kind=""):
        return self.js("return document.querySelectorAll('#strip rect.run' + arguments[0]).length", kind)

    def order_buttons(self):
        buttons = self.browser.find_elements(By.CSS_SELECTOR, "[data-order]")
        return [button for button in buttons if button.is_displayed()]

    def open(self, name):
        self.js("""[...document.querySelectorAll(".row:not([hidden])")]
          .find((row) => row.firstChild.textContent === arguments[0]).click()""", name)
        until(lambda: self.text("task-name").strip() == name, "the task's name")

    def enter_token(self, token):
        self.by_id("enter-token").click()
        self.by_id("token").send_keys(token, Keys.ENTER)

    def confirm(self):
        until(lambda: self.is_shown("question"), "the question")
        self.press(Keys.ENTER)

    def tell(self, **event):
        """The page hears of an event of the task that is shown, with `ago` in seconds, as if the host had told it."""
        self.js("""
            const {ago, ...event} = arguments[0];
            event.time = new Date(Date.now() - ago * 1000).toISOString();
            window.streams.at(-1).dispatchEvent(
              new MessageEvent("message", {data: JSON.stringify(event), lastEventId: window.instance + ":1"}));""",
                {"event": "task_exited", "outcome": "ok", **event})

    def looks(self, number):
        """Waits until the page has looked at the host so often."""
        count = "return performance.getEntriesByType('resource').filter(({name}) => /v1.tasks$/.test(name)).length"
        wanted = self.js(count) + number
        until(lambda: self.js(count) >= wanted, f"look {wanted}")

    def complaints(self):
        """What the browser has complained about, without requests that were not answered or refused."""
        return [entry["message"] for entry in self.browser.get_log("browser")
                if "Failed to load resource" not in entry["message"]]


def run(arguments):
    missing = scene.what_is_missing()
    if missing:
        print(f"skipped: the test of the page needs {', '.join(missing)}; ./dev test installs them", file=sys.stderr)
        sys.exit(77)
    Host.program, Host.plugins = arguments[1:3]
    unittest.main(argv=arguments[:1] + arguments[3:], verbosity=2)
