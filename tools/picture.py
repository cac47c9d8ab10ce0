"""Takes the README's picture of the console: `python tools/picture.py`. It needs Chromium and two minutes.

A fleet of three simulated engines runs in a home of its own, with clients that ask all the time; the
console's charts fill meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "console.png"
MOST = 200_000  # bytes
SECONDS = 100.0
SIZE = (1300, 820)
SPEC: dict[str, Any] = {
    "name": "shop",
    "model": {"source": "./gemma-3-27b-ft", "served_name": "gemma-3-27b-ft"},
    "replicas": 3,
    "engine": {"kind": "simulated", "simulate": {"ttft": 0.15, "itl": 0.02, "tokens": 120}},
    "endpoint": {"port": 18410, "page": True, "page_port": 18411},
}
BODY = {
    "model": "gemma-3-27b-ft",
    "stream": True,
    "max_tokens": 120,
    "messages": [{"role": "user", "content": "hello " * 60}],
}


def ask(done: threading.Event, pause: float) -> None:
    """One client: a question after another."""
    url = f"http://127.0.0.1:{SPEC['endpoint']['port']}/v1/chat/completions"
    head = {"Content-Type": "application/json"}
    while not done.wait(pause):
        try:
            request = urllib.request.Request(url, json.dumps(BODY).encode(), head)
            urllib.request.urlopen(request, timeout=30).read()
        except OSError:
            done.wait(1)


def shot() -> None:
    """The console as Chromium draws it."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={SIZE[0]},{SIZE[1]}"):
        options.add_argument(flag)
    options.binary_location = "/usr/bin/chromium"
    service = webdriver.chrome.service.Service("/usr/bin/chromedriver")
    browser = webdriver.Chrome(options=options, service=service)
    try:
        browser.get(f"http://127.0.0.1:{SPEC['endpoint']['page_port']}/")
        time.sleep(SECONDS)
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": SIZE[0], "height": SIZE[1], "deviceScaleFactor": 1, "mobile": False},
        )
        time.sleep(2)
        browser.save_screenshot(str(PICTURE))
    finally:
        browser.quit()


def main() -> int:
    """The fleet, its clients, the picture."""
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "STOKER_HOME": home, "STOKER_OFFLINE": "1"}
        (Path(home) / "stoker.yaml").write_text(json.dumps(SPEC))
        stoker = [sys.executable, "-m", "stoker"]
        subprocess.run([*stoker, "up", "-d"], env=env, cwd=home, check=True, stdout=subprocess.DEVNULL)
        done = threading.Event()
        clients = [threading.Thread(target=ask, args=(done, 0.2 + n * 0.3), daemon=True) for n in range(8)]
        for client in clients:
            client.start()
        try:
            shot()
        finally:
            done.set()
            subprocess.run([*stoker, "down", "--now"], env=env, cwd=home, check=True)
    size = PICTURE.stat().st_size
    print(f"  ok    picture     {PICTURE.relative_to(ROOT)}, {size:,} bytes")
    return int(size > MOST)


if __name__ == "__main__":
    sys.exit(main())
