"""order_test.py PROGRAM PLUGINS: orders are asked about first, and go to whom they are meant for."""

import signal
import sys

import page_case
import scene
from page_case import idle
from scene import TOKEN, until

if not scene.what_is_missing():
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys


class OrderTest(page_case.PageCase):
    def opened(self, tasks=None, name="feed", **options):
        host = self.host(tasks or [idle("feed"), idle("store")], **options)
        self.visit(host)
        self.enter_token(TOKEN)
        until(lambda: self.is_shown("stop-host"), "the token's use")
        self.open(name)
        until(lambda: len(self.order_buttons()) == 3, "the buttons")
        return host

    def focused(self):
        return self.js("return document.activeElement.id")

    def given(self):
        return self.js("return window.orders.map(([target]) => target)")

    def test_a_stop_by_key_is_asked_about_first(self):
        self.opened()
        self.press("x")
        until(lambda: self.is_shown("question"), "the question")
        self.assertEqual(self.text("question-words"), "Stop feed? Press x again or Enter; Esc: no.")
        self.assertEqual(self.focused(), "question-yes")
        dialog = self.by_id("question")
        self.assertEqual(dialog.aria_role, "alertdialog")
        self.assertEqual(dialog.accessible_name, self.text("question-words"))
        self.press(Keys.ESCAPE)
        until(lambda: not self.is_shown("question"), "the question's end")
        self.assertEqual(self.focused(), "task")  # it is still open, and has the keys
        self.press("r")
        until(lambda: self.is_shown("question"), "the other question")
        self.assertEqual(self.text("question-yes"), "Restart it")
        self.press("x")  # no answer to this, and a question of its own
        until(lambda: self.text("question-yes") == "Stop it", "the question")
        self.assertEqual(self.given(), [])
        self.press("x")
        until(lambda: self.row("feed")[1] == "stopped", "its stop")
        self.press("s")
        until(lambda: self.row("feed")[1] == "running", "its start")
        self.press("r", "r")
        until(lambda: self.row("feed")[3] == "3", "its third execution")
        self.assertEqual(self.given(), [f"/v1/tasks/feed/{what}" for what in ("stop", "start", "restart")])
        self.assertEqual(self.complaints(), [])

    def test_buttons_ask_too_and_a_double_click_is_no_answer(self):
        self.opened()
        stop = self.order_buttons()[1]
        ActionChains(self.browser).double_click(stop).perform()
        until(lambda: self.is_shown("question"), "the question")
        self.looks(1)
        self.assertEqual(self.given(), [])
        self.by_id("question-no").click()
        until(lambda: not self.is_shown("question"), "the question's end")
        stop.click()
        self.by_id("question-yes").click()
        until(lambda: self.row("feed")[1] == "stopped", "its stop")
        self.assertEqual(self.given(), ["/v1/tasks/feed/stop"])
        self.press("s")  # the button that had the focus is disabled now
        until(lambda: self.row("feed")[1] == "running", "its start")

    def test_a_key_that_is_held_is_no_answer(self):
        self.opened()
        self.js("document.querySelector('[data-order=stop]').focus()")
        for key, code in (("Enter", 13), ("x", 88)):
            for repeat in (False, True, True):
                self.browser.execute_cdp_cmd("Input.dispatchKeyEvent", {
                    "type": "keyDown", "key": key, "windowsVirtualKeyCode": code, "autoRepeat": repeat,
                    "text": "\r" if key == "Enter" else key})
            self.browser.execute_cdp_cmd("Input.dispatchKeyEvent",
                                         {"type": "keyUp", "key": key, "windowsVirtualKeyCode": code})
            until(lambda: self.is_shown("question"), "the question")
            self.press(Keys.ESCAPE)
        self.looks(1)
        self.assertEqual(self.given(), [])

    def test_what_is_typed_elsewhere_is_no_answer(self):
        self.opened()
        self.press("x")
        until(lambda: self.is_shown("question"), "the question")
        self.by_id("filter").click()
        self.press("x")
        until(lambda: not self.is_shown("question"), "the question's end")
        self.assertEqual(self.by_id("filter").get_property("value"), "x")
        self.assertEqual(self.given(), [])

    def test_another_task_is_another_question(self):
        self.opened()
        self.press("x")
        until(lambda: self.is_shown("question"), "the question")
        self.js("location.hash = '#task=store'")
        until(lambda: self.text("task-name").strip() == "store", "the other task")
        self.assertFalse(self.is_shown("question"))
        self.press("x")
        until(lambda: self.is_shown("question"), "the question")
        self.press("k")
        until(lambda: self.text("task-name").strip() == "feed", "the first one")
        self.assertFalse(self.is_shown("question"))
        self.assertEqual(self.given(), [])

    def test_the_question_names_what_hangs_on_the_task(self):
        self.opened([idle("db", group="pair"), idle("<b>twin</b>", group="pair")] +
                    [idle(f"user {i}", after=["db"]) for i in range(10)] + [idle("alone")],
                    name="db", groups={"pair": {"strategy": "one_for_all"}})
        self.press("x")
        until(lambda: self.is_shown("question"), "the question")
        names = ", ".join(f"user {i}" for i in range(8))
        self.assertEqual(self.text("question-more"), f"After it run: {names} and 2 more. In its group pair: "
                         "<b>twin</b>. The order is for this task only.")
        self.confirm()
        until(lambda: self.row("db")[1] == "stopped", "its stop")
        self.assertEqual({row[1] for row in self.rows() if row[0] != "db"}, {"running"})  # as it was said
        self.open("alone")
        self.press("x")
        until(lambda: self.is_shown("question"), "the question")
        self.assertEqual(self.text("question-more"),
                         "No other task runs after it, and none is in a group with it.")

    def test_a_question_does_not_outlive_what_it_is_about(self):
        host = self.opened()
        self.press("x")
        until(lambda: self.is_shown("question"), "the question")
        host.operate("stop", "feed")
        until(lambda: not self.is_shown("question"), "the question's end")
        self.assertEqual(self.focused(), "task")
        self.press("r")
        until(lambda: self.is_shown("question"), "the question")
        host.stop()
        host = self.host([idle("feed")], port=host.port)
        until(lambda: self.row("feed") and self.row("feed")[1] == "running", "the other host")
        self.assertFalse(self.is_shown("question"))
        self.by_id("stop-host").click()
        until(lambda: self.is_shown("stop-dialog"), "the dialog")
        host.stop()
        self.host([idle("other")], port=host.port)
        until(lambda: self.row("other"), "the third host")
        self.assertFalse(self.is_shown("stop-dialog"))
        self.assertEqual(self.given(), [])

    def test_every_order_carries_the_token(self):
        host = self.opened()
        self.press("x", "x")
        until(lambda: self.row("feed")[1] == "stopped", "its stop")
        self.press("s")
        until(lambda: self.row("feed")[1] == "running", "its start")
        self.press("r", "r")
        until(lambda: self.row("feed")[3] == "3", "its third execution")
        self.by_id("stop-host").click()
        self.by_id("stop-ok").click()
        until(lambda: host.process.poll() is not None, "the host's end")
        orders = self.js("return window.orders")
        self.assertEqual(len(orders), 4)
        self.assertEqual({token for _, token in orders}, {"Bearer " + TOKEN})

    def test_an_order_without_an_answer_is_not_said_to_have_failed(self):
        host = self.opened()
        host.process.send_signal(signal.SIGSTOP)
        try:
            self.press("r", "r")
            until(lambda: "no answer came" in self.text("said"), "the words")
        finally:
            host.process.send_signal(signal.SIGCONT)
        until(lambda: self.row("feed")[3] == "2", "the restart that came late")


if __name__ == "__main__":
    page_case.run(sys.argv)
