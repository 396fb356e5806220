#!/usr/bin/env python3
"""make demo: the city in a box, with its page on a port of this host.

DEMO_SECONDS=60  ends by itself after that time and checks on the way that every step worked (exit 0 only then).
DEMO_PORT=8080   where the page is to be (the next free port if that is taken).
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import box as city  # noqa: E402

LOOK = """
  {url}/

  What to look at:
    - the wall: 33 units, 67 systems, IPv4 and IPv6 side by side
    - a system: its outcome per vantage and family, its graphs (1 h, 24 h, 7 d, 1 y)
    - the tree of sites: city, counties, towns, villages, each link in both families
  What to break, from another terminal:
    tests/city/fault {folder} stop-system {system}
    tests/city/fault {folder} cut-family {system} 6
    tests/city/fault {folder} cut-link {link}
    tests/city/fault {folder} lose {link} 30
    tests/city/fault {folder} slow {link} 64kbit
    tests/city/fault {folder} expire {tls}
    tests/city/fault {folder} clear

  Ctrl-C ends all of it; nothing is left behind.
"""


class Page:
    """The web API of the box as a visitor sees it."""

    def __init__(self, url):
        self.url = url

    def raw(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read()

    def json(self, path):
        return json.loads(self.raw(path))

    def wait(self, what, question, seconds):
        """Asks until question() is true; the last words when it never was."""
        end = time.monotonic() + seconds
        words = ""
        while time.monotonic() < end:
            try:
                if question():
                    return
            except (OSError, ValueError, KeyError, TypeError, IndexError) as e:
                words = f": {e!r}"
            time.sleep(0.5)
        raise city.BoxError(f"{what}: not within {seconds} s{words}")


def outside():
    """On the host: opens the door, starts the box, hands signals on, clears the folder."""
    reason = city.namespaces_work()
    folder = tempfile.mkdtemp(prefix="xunjian-demo-")
    status = 1
    try:
        if reason:
            print(f"demo: no private namespaces here ({reason}); falling back to loopback addresses", flush=True)
            os.environ["BOX_LOOPBACK"] = "1"
            return inside(folder, -1, int(os.environ.get("DEMO_PORT", "8080")))
        door = city.listen_on_host(int(os.environ.get("DEMO_PORT", "8080")))
        child = city.launch(os.path.abspath(__file__), folder, str(door.fileno()), str(door.getsockname()[1]),
                            pass_fds=(door.fileno(),))
        # Ctrl-C reaches the box too (same terminal); it ends in order and we wait for it.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
        status = child.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return status


def inside(folder, door_fd, port):
    """First process of the box: builds it, shows it, waits for the end."""
    box = city.Box(folder, say=lambda text: print(text, flush=True))
    stop = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.append(True))
    try:
        box.start()
        if door_fd >= 0:
            import socket
            city.Door(socket.socket(fileno=door_fd), "core", ("127.0.0.1", 8080))
        page = Page(f"http://127.0.0.1:{8080 if door_fd >= 0 else port}")
        return stay(box, page, port, stop)
    except city.BoxError as e:
        print(f"demo: {e}", file=sys.stderr, flush=True)
        show_logs(box)
        return 1
    finally:
        print("demo: ending", flush=True)


def show_logs(box):
    for name in sorted(os.listdir(box.folder)):
        if name.endswith(".log"):
            with open(os.path.join(box.folder, name), encoding="utf-8", errors="replace") as f:
                lines = f.read().splitlines()[-15:]
            print(f"--- {name}", *lines, sep="\n", file=sys.stderr, flush=True)
