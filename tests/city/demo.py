#!/usr/bin/env python3
"""make demo: the city in a box, with its page on a port of this host.

DEMO_SECONDS=60  checks that every step works and ends by itself, after that time at the earliest (exit 0 only then).
DEMO_PORT=8080   where the page is to be (the next free port if that is taken).
"""

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time

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
    tests/city/fault {folder} blind {vantage}      it hears nothing, what stands beside it included: it has no vote
    tests/city/fault {folder} clear

  Ctrl-C ends all of it; nothing is left behind.
"""


class Page:
    """The web API of the box as a visitor sees it; asked from beside the collector."""

    def __init__(self, url, box):
        self.url, self.box = url, box

    def raw(self, path):
        return self.box.ask(path)

    def picture(self, system):
        check = self.json(f"/api/v1/systems/{system}")["list"][0]
        return self.raw(f"/api/v1/graph.svg?check={check['id']}&span=1h&lang=zh")

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
    os.chmod(folder, 0o755)
    try:
        if reason:
            print(f"demo: no private namespaces here ({reason}); falling back to loopback addresses", flush=True)
            return run_box(city.LoopbackBox(folder, say=say), None)
        door = city.listen_on_host(int(os.environ.get("DEMO_PORT", "8080")))
        child = city.launch(os.path.abspath(__file__), folder, str(door.fileno()), pass_fds=(door.fileno(),))
        # Ctrl-C reaches the box too (same terminal); it ends in order and we wait for it.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: city.signal_first(child, signal.SIGTERM))
        return child.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def inside(folder, door_fd):
    """First process of the box: hands the one door to it."""
    return run_box(city.Box(folder, say=say), socket.socket(fileno=door_fd))


def say(text):
    print(text, flush=True)


def run_box(box, door):
    """Builds it, shows it, waits for the end; 0 only when all went well."""
    stop = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.append(True))
    status = 1
    try:
        box.start()
        box.serve_control()
        port = door.getsockname()[1] if door else box.web[1]
        if door:
            city.Door(door, "core", box.web)
        status = stay(box, Page(f"http://127.0.0.1:{port}", box), stop)
    except city.BoxError as e:
        print(f"demo: {e}", file=sys.stderr, flush=True)
        show_logs(box)
    print("demo: ending", flush=True)
    try:
        box.end()
    except city.BoxError as e:
        print(f"demo: {e}", file=sys.stderr, flush=True)
        status = 1
    return status


def show_logs(box):
    for name in sorted(os.listdir(box.folder)):
        if name.endswith(".log"):
            with open(os.path.join(box.folder, name), encoding="utf-8", errors="replace") as f:
                lines = f.read().splitlines()[-15:]
            print(f"--- {name}", *lines, sep="\n", file=sys.stderr, flush=True)


def examples(box):
    """A system, one with a certificate, and a link, to name in what can be tried."""
    systems = box.systems.systems
    return {"system": systems[-1]["id"], "tls": next(s["id"] for s in systems if s["tls"]),
            "link": box.city.boxed_links()[0]["id"], "vantage": box.city.agents[-1]["id"]}


def stay(box, page, stop):
    """Prints what to look at; waits for the end, or checks all steps when the time is limited."""
    say(LOOK.format(url=page.url, folder=box.folder, **examples(box)))
    limit = int(os.environ.get("DEMO_SECONDS", "0"))
    began = time.monotonic()
    if limit:
        walk(box, page, max(limit, 60))
    while not stop and (not limit or time.monotonic() - began < limit):
        name = box.failed()
        if name:
            raise city.BoxError(f"{name} ended although nobody asked it to")
        time.sleep(0.2)
    return 0


def walk(box, page, seconds):
    """Every step that a visitor would make, each with its own words when it does not work."""
    def states(ident):
        s = page.json(f"/api/v1/systems/{ident}")
        return s["v4"], s["v6"]

    def all_up():
        seen = page.json("/api/v1/overview")["systems"]
        bad = [s["id"] for s in seen if (s["v4"], s["v6"]) != ("up", "up")]
        if bad:
            raise ValueError(f"{len(bad)} are not: {', '.join(bad[:5])}")
        return len(seen) == len(box.city.systems)

    page.wait(f"{len(box.city.systems)} systems answer over IPv4 and IPv6", all_up, seconds)
    say("demo: all systems answer over both families")
    example = examples(box)
    page.wait("a picture is drawn", lambda: b"<svg" in page.picture(example["system"]), 20)
    say("demo: the render worker draws")
    if box.network.names:
        walk_faults(box, page, states, example)
    say("demo: every step worked")


def walk_faults(box, page, states, example):
    ident, before = example["system"], len(box.told())
    box.faults.apply("blind", example["vantage"])
    box.faults.apply("cut-family", ident, "6")
    page.wait(f"{ident} is seen down over IPv6 alone", lambda: states(ident) == ("up", "down"), 40)
    say(f"demo: {ident} without IPv6 is seen")
    box.faults.apply("cut-link", example["link"])
    walk_blind(box, page, example["vantage"], {f"system/{ident}", f"link/{example['link']}"}, before)
    page.wait(f"{example['link']} is seen down",
              lambda: page.json(f"/api/v1/links/{example['link']}")["v4"] == "down", 40)
    walk_notices(box, page, f"link/{example['link']}")
    box.faults.apply("clear")
    page.wait(f"{ident} is seen up again", lambda: states(ident) == ("up", "up"), 40)
    page.wait(f"{example['link']} is seen up again",
              lambda: page.json(f"/api/v1/links/{example['link']}")["v4"] == "up", 40)
    say("demo: a cut link is seen, and seen mended")


def walk_blind(box, page, vantage, broken, before):
    """A vantage that does not reach what stands beside it finds everything down, and nobody believes it."""
    seen = [c["id"] for c in box.city.checks if vantage in c["vantages"]]
    some = seen[::10] + seen[-1:]

    def finds_down(check):
        # Thrice, ten seconds apart: that is a vote, if it has one.
        rows = [r for r in page.json(f"/api/v1/checks/{check}")["list"][0]["rows"] if r["vantage"] == vantage]
        return len(rows) > 1 and all(r["outcome"] == "down" and r["measured"] - r["since"] >= 20 for r in rows)

    page.wait(f"{vantage} finds all down", lambda: all(map(finds_down, some)), 60)
    told = [n for n in box.told()[before:] if n.get("subject") not in broken]
    if told:
        raise city.BoxError(f"what a blind vantage does not reach was told: {told}")
    wrong = [i["subject"] for i in page.json("/api/v1/incidents")["incidents"] if i["subject"] not in broken]
    if wrong:
        raise city.BoxError(f"what a blind vantage does not reach became an incident: {wrong}")
    say(f"demo: {vantage} finds {len(seen)} checks down, what stands beside it included: nobody believes it")


def walk_notices(box, page, subject):
    """Of the cut link operations are told, once, by its name."""
    def incident():
        return next((str(i["id"]) for i in page.json("/api/v1/incidents")["incidents"] if i["subject"] == subject), None)

    def told():
        number = incident()
        return [n for n in box.told() if n["incident"] == number and n["audience"] == "operations"]

    page.wait(f"operations are told of {subject}", told, 40)
    if len(told()) != 1 or subject not in told()[0]["title"]:
        raise city.BoxError(f"{subject} was not told once by its name: {told()}")
    say(f"demo: operations are told of the cut link, once: {told()[0]['title']}")


if __name__ == "__main__":
    sys.exit(inside(sys.argv[2], int(sys.argv[3])) if sys.argv[1:2] == ["--inside"] else outside())
