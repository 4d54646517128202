"""The pictures of the console in ``docs/pictures``: real services, real Envoy, real browser.

    python scripts/console_pictures.py [DIRECTORY]

Three services are deployed in a home of their own, one of them begins a canary that is a little
slower, and Chromium looks at it in light, in dark and in the width of a phone. About a minute.
"""

from __future__ import annotations

import http.client
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from holdfast.conductor.client import Client
from holdfast.conductor.daemon import start_daemon, stop_daemon
from holdfast.runtime.home import Home

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
APP = """
import os, random, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one answer, one packet

    def do_GET(self):
        slow = float(os.environ.get("SLOW_MS", "2"))
        time.sleep(random.expovariate(1000 / slow) if self.path == "/" else 0)
        body = b"ok"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        if self.path == "/" and random.random() < 0.02:
            print("answered", self.path, flush=True)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"""
CANARY = (
    "{ strategy: canary, steps: [{ weight: 10, max: 600s }, { weight: 25, max: 600s },"
    " { weight: 50, approvals: 1 }, 100], analysis: { warm_up: 1s } }"
)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def deploy(client: Client, home: Path, name: str, port: int, version: str, **more: str) -> None:
    (home / "app.py").write_text(APP)
    slow, rollout = more.get("slow", "2"), more.get("rollout", "rolling")
    spec = (
        f"service: {name}\nversion: {version}\nrun:\n  command: python app.py\n"
        f"  env: {{ SLOW_MS: '{slow}' }}\nreplicas: 3\ntraffic: {port}\nrollout: {rollout}\n"
    )
    client.deploy(name, spec, spec_path=str(home / "holdfast.yaml"))


def load(port: int, rate: float, until: threading.Event) -> None:
    """A steady trickle of requests, each on a connection of its own."""
    while not until.wait(1 / rate):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except OSError:
            continue
        finally:
            connection.close()


def look(page: Page, client: Client, place: Path, full: bool, overview: bool) -> None:
    page.goto(client.console_link()["url"])
    page.wait_for_selector(".board li")
    if not overview:
        page.locator("a.name", has_text="checkout").click()
        page.wait_for_selector(".ladder .now-step")
    time.sleep(2)
    page.screenshot(path=place, full_page=full)
    Image.open(place).convert("RGB").quantize(128).save(place, optimize=True)


def main(words: list[str]) -> int:
    pictures = Path(words[0]) if words else PICTURES
    scratch = Path(tempfile.mkdtemp(prefix="holdfast-pictures-"))
    home, done = Home(scratch / ".holdfast"), threading.Event()
    start_daemon(home)
    client = Client(home)
    ports = {name: free_port() for name in ("checkout", "pricing", "quotes")}
    rates = {"checkout": 60, "pricing": 25, "quotes": 8}
    try:
        for name, port in ports.items():
            deploy(client, scratch, name, port, "v1")
        while any(not each["state"]["stable"] for each in client.services()):
            time.sleep(0.2)
        for name, port in ports.items():
            threading.Thread(target=load, args=(port, rates[name], done), daemon=True).start()
        time.sleep(40)
        deploy(client, scratch, "checkout", ports["checkout"], "v2", slow="3", rollout=CANARY)
        time.sleep(18)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for name, options in {
                "light": {}, "dark": {"color_scheme": "dark"},
                "phone": {"viewport": {"width": 390, "height": 780}},
            }.items():  # fmt: skip
                wide = {"viewport": {"width": 1180, "height": 1010}, **options}
                page = browser.new_context(**wide).new_page()  # type: ignore[arg-type]
                place = pictures / f"console-{name}.png"
                look(page, client, place, name != "phone", name == "phone")
            browser.close()
    finally:
        done.set()
        for name in ports:
            client.down(name)
        time.sleep(2)
        stop_daemon(home)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
