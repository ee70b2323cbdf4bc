"""A few words of the Chrome DevTools protocol: enough to look at a page the way a person does."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
_SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
)  # fmt: skip
PATIENCE_S = 20.0


class Page:
    """One tab; `problems` collects what its console and its network complain about."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self.problems: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(timeout=PATIENCE_S))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event["method"] == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event["method"] == "Runtime.exceptionThrown":
            self.problems.append(str(parameters["exceptionDetails"]))
        elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.problems.append(str(parameters["entry"]))

    def look(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def wait(self, script: str) -> None:
        """Until the expression is true."""
        until = time.monotonic() + PATIENCE_S
        while not self.look(script):
            assert time.monotonic() < until, f"never became true: {script}; {self.problems}"
            time.sleep(0.05)

    def open(self, address: str, *, width: int = 1280, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def click(self, selector: str, share: float = 0.5) -> None:
        """Press the mouse on the element, `share` of its width from the left."""
        self.look(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        box = self.look(
            f"(({{left, top, width, height}}) => [left + width * {share}, top + height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """A fresh browser with its profile in `folder`; ends with the context."""
    switches = [*_SWITCHES, f"--user-data-dir={folder}", "about:blank"]
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    process = subprocess.Popen([CHROMIUM, *switches], stderr=subprocess.DEVNULL, env=environment)  # noqa: S603 - ours
    try:
        with connect(_tab(folder), max_size=None, proxy=None) as connection:
            yield Page(connection)
    finally:
        process.terminate()
        process.wait(10)


def _tab(folder: Path) -> str:
    port_file = folder / "DevToolsActivePort"
    until = time.monotonic() + PATIENCE_S
    while not (port_file.exists() and port_file.read_text().count("\n")):
        assert time.monotonic() < until, "the browser did not start"
        time.sleep(0.05)
    port = port_file.read_text().splitlines()[0]
    with httpx.Client(trust_env=False) as client:
        tabs = client.get(f"http://127.0.0.1:{port}/json").json()
    return next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
