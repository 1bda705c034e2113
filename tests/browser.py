"""A headless Chromium, driven through the W3C WebDriver protocol of `chromedriver` (https://www.w3.org/TR/webdriver2/)."""

import base64
import http.client
import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

AXE = Path(__file__).parent / "axe/axe.min.js"  # https://github.com/dequelabs/axe-core, npm: axe-core
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015"}


def programs():
    """(chromium, chromedriver), or None where they are not installed."""
    found = [next(filter(None, map(shutil.which, names)), None) for names in (
        ("chromium", "chromium-browser", "google-chrome"), ("chromedriver", "chromium.chromedriver"),
    )]  # fmt: skip
    return found if all(found) else None


class Browser:
    """One window. Use as a context manager."""

    def __enter__(self):
        chromium, driver = programs()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process = subprocess.Popen([driver, f"--port={self.port}"], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:  # ends when it listens, or when it ends
            if "started successfully" in line:
                break
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"]
        options = {
            "goog:chromeOptions": {"binary": chromium, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        made = self.call("POST", "", {"capabilities": {"alwaysMatch": options}}, session=False)
        self.session = made["sessionId"]
        return self

    def __exit__(self, *_):
        self.call("DELETE", "")
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def call(self, method, path, body=None, *, session=True):
        """One command; its value."""
        at = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        text = json.dumps(body if body is not None else {}) if method == "POST" else None
        at.request(method, f"/session/{self.session}{path}" if session else "/session", text)
        value = json.loads(at.getresponse().read())["value"]
        at.close()
        assert not (isinstance(value, dict) and "error" in value), value
        return value

    def open(self, file):
        """Load a page of the disk."""
        self.call("POST", "/url", {"url": file.as_uri()})

    def ask(self, script):
        """The value of a JavaScript expression."""
        return self.call("POST", "/execute/sync", {"script": f"return {script}", "args": []})

    def press(self, *keys):
        """Press and release keys, one after the other."""
        typed = [KEYS.get(k, k) for k in keys]
        actions = [{"type": t, "value": k} for k in typed for t in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def click(self, selector):
        """Click in the middle of an element."""
        element = self.call("POST", "/element", {"using": "css selector", "value": selector})
        move = {"type": "pointerMove", "origin": element, "x": 0, "y": 0}
        actions = [move, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})

    def errors(self):
        """What the page complained about, refused requests and blocked scripts included."""
        return [
            entry["message"]
            for entry in self.call("POST", "/se/log", {"type": "browser"})
            if entry["level"] == "SEVERE"
        ]

    def picture(self, file):
        """A screenshot."""
        file.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def devtools(self, command, **parameters):
        """One command of Chromium's own protocol (https://chromedevtools.github.io/devtools-protocol/)."""
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def look(self, width, height=900, scheme="light"):
        """Make the window so wide, and the page light or dark."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", **metrics)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def breaches(self):
        """What axe-core finds serious or critical on the page, by the rules that it runs by itself: rule, elements."""
        self.call("POST", "/execute/sync", {"script": AXE.read_text(encoding="utf-8"), "args": []})
        result = self.call("POST", "/execute/async", {"script": "axe.run().then(arguments[0])", "args": []})
        assert len(result["passes"]) > 5, "axe looked at nothing"
        return [
            f"{v['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
            for v in result["violations"]
            if v["impact"] in ("serious", "critical")
            for node in v["nodes"][:3]
        ]

    def until(self, script):
        """Wait for an expression to become true."""
        end = time.monotonic() + 60
        while not self.ask(script):
            assert time.monotonic() < end, f"never: {script}"


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    if not programs():
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    with Browser() as window:
        yield window
