"""Running hosts and a browser, for the test of the page and for its pictures."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

TOKEN = "0123456789abcdef0123"
PATIENCE = 60  # seconds; only what never comes takes so long

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
except ImportError:
    webdriver = None


def found(*names):
    return next((path for path in map(shutil.which, names) if path), None)


BROWSER = found("chromium", "chromium-browser", "google-chrome")
DRIVER = found("chromedriver")


def what_is_missing():
    return [
        package
        for package, is_there in (("python3-selenium", webdriver), ("chromium", BROWSER), ("chromium-driver", DRIVER))
        if not is_there
    ]


def until(condition, what="it", patience=PATIENCE):
    """The first result of `condition` that is true."""
    end = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come in {patience} s")
        time.sleep(0.03)


class Host:
    """A running host, with its API on TCP. `tasks` are entries of a manifest."""

    program = plugins = None  # set by main

    def __init__(self, tasks, groups=None, port=0, token=True, name="page"):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="taskhost-page-"))
        self.lines = []
        manifest = {"name": name, "plugin_dirs": [os.path.abspath(self.plugins)], "tasks": tasks}
        if groups:
            manifest["groups"] = groups
        file = self.directory / "manifest.json"
        file.write_text(json.dumps(manifest))
        command = [self.program, "run", "--control", self.socket, "--listen", f"127.0.0.1:{port}"]
        if token:
            secret = self.directory / "token"
            secret.touch(mode=0o600)
            secret.write_text(TOKEN + "\n")
            command += ["--listen-token-file", secret]
        self.process = subprocess.Popen(command + [file], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, errors="replace", env=self._environment())
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.port = until(self._announced, "the address of the API")
        except AssertionError:
            self.stop()
            raise

    @property
    def socket(self):
        return str(self.directory / "control.sock")

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}/"

    def _environment(self):
        return {**os.environ, "NO_COLOR": "1"}

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            del self.lines[:-500]  # the log of a storm is long

    def _announced(self):
        for line in list(self.lines):
            match = re.search(r"the API is at http://127\.0\.0\.1:(\d+)", line)
            if match:
                return int(match.group(1))
        if self.process.poll() is not None:
            raise AssertionError("the host has ended: " + "".join(self.lines))
        return None

    def operate(self, order, *tasks):
        """As an operator does on the command line."""
        subprocess.run([self.program, order, "--host", self.socket, *tasks], check=True, stdout=subprocess.DEVNULL,
                       timeout=PATIENCE)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(5)
        self.process.stderr.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def start_browser():
    options = Options()
    options.binary_location = BROWSER
    # Root and many containers can't have a sandbox; it sees our own page only.
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--disable-lcd-text"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    browser.set_script_timeout(PATIENCE)
    browser.set_page_load_timeout(PATIENCE)
    return browser


def set_screen(browser, width, height, scheme="light"):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                            {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.execute_cdp_cmd("Emulation.setLocaleOverride", {"locale": "en-GB"})

