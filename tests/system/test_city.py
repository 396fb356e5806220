#!/usr/bin/env python3
"""The city in a box from end to end: all systems over both families, faults seen and mended, and no packet leaves.

The walk is the demo's own. The fence: no namespace has a default route or an interface to the host; an address outside
cannot be reached from any of them; Ctrl-C's twin, SIGTERM, ends all of it and leaves no process, folder or namespace.

alone: it looks for what others leave as well, and every step has its time."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "city"))
import box as city  # noqa: E402
import demo  # noqa: E402

OUTSIDE4, OUTSIDE6 = "233.252.0.1", "2606:4700::1"
failures = []


def check(what, good, seen=""):
    if not good:
        failures.append(what)
        print(f"FAIL {what}: {seen}", flush=True)


def fence(box):
    """What must be true of each namespace of the box."""
    inside = {link for ns in box.network.names for link in re.findall(r"link-netns (\S+)", city.run("ip", "-n", ns, "-d", "link"))}
    check("links lead to namespaces of the box alone", inside <= set(box.network.names), inside)
    for ns in box.network.names:
        for family in ("-4", "-6"):
            routes = city.run("ip", "-n", ns, family, "route", "show", "table", "all")
            check(f"{ns} has no default route", not re.search(r"(?m)^default", routes), routes)
        kinds = set(re.findall(r"(?m)^\d+: ([^:@]+)", city.run("ip", "-n", ns, "link")))
        physical = [k for k in kinds if k not in ("lo", "uplink") and k not in {city.device(c) for c in box.network.parents}
                    and not k.startswith(("sit", "tunl", "ip6tnl", "gre", "erspan", "ip_vti", "ip6_vti", "teql", "ifb", "dummy"))]
        check(f"{ns} has only links of the box", not physical, physical)
        for address in (OUTSIDE4, OUTSIDE6):
            out = city.run("ip", "-n", ns, "route", "get", address, check=False)
            check(f"{address} cannot be reached from {ns}", "unreachable" in out.lower(), out)
    own = set(os.listdir("/sys/class/net")) - {"lo"}
    links = city.run("ip", "link")
    check("the first process of the box has no way out", not re.search(r"(?m)^\d+: (eth|en|veth)", links), own)


def told_once(box, system, others):
    """A system fails with others that need it: one notice for operations, one for each of their units."""
    page = demo.Page("", box)
    units = {f"system/{s['id']}": s["unit"] for s in box.city.systems}

    def incident():
        return next((i for i in page.json("/api/v1/incidents")["incidents"] if i["subject"] == f"system/{system}"), None)

    def affected():
        return {units[s] for s in incident()["affected"] if s in units}

    def told():
        return [n["audience"] for n in box.told() if n["incident"] == str(incident()["id"])]

    for ident in (system, *others):
        box.faults.apply("stop-system", ident)
    page.wait("their units are affected and told", lambda: len(affected()) == len({units[f"system/{s}"] for s in (system, *others)}) and
              affected() <= set(told()), 300)
    time.sleep(70)  # whoever is to be told of more is told within a minute
    check("one for operations, one for each affected unit", sorted(told()) == sorted({"operations", *affected()}), (told(), affected()))
    print(f"  figure: {system} stopped: {len(incident()['affected'])} systems of {len(affected())} units: {len(told())} notices")
    box.faults.apply("clear")


def inside(folder):
    box = city.Box(folder, say=demo.say)
    began = time.monotonic()
    try:
        box.start()
        fence(box)
        demo.walk(box, demo.Page("", box), 60)
        if os.environ.get("FULL") == "1":
            told_once(box, "identity", ["budget", "employment", "trade", "petition"])
        print(f"  figure: the city walked through in {time.monotonic() - began:.0f} s: 67 systems in both families, "
              f"{len(box.network.names)} namespaces, none with a way out")
    except city.BoxError as e:
        failures.append(str(e))
        print(f"FAIL {e}", flush=True)
        demo.show_logs(box)
    try:
        box.end()
    except city.BoxError as e:
        check("all ends when it is asked to", False, e)
    return 1 if failures else 0


def ends_clean():
    """The demo, ended from outside in the middle of its life."""
    folder = "(not told)"
    p = subprocess.Popen([sys.executable, os.path.join(ROOT, "tests", "city", "demo.py")], stdout=subprocess.PIPE, text=True,
                         env={**os.environ, "DEMO_PORT": "18080"})
    for line in p.stdout:
        told = re.search(r"xunjian-demo-\w+", line)
        if told:
            folder = told.group(0)
            break
    p.send_signal(signal.SIGTERM)
    p.stdout.read()
    check("a demo that is ended exits 0", p.wait(60) == 0, p.returncode)
    check("it leaves no folder", not os.path.exists(os.path.join(tempfile.gettempdir(), folder)), folder)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read()
        except OSError:
            continue
        check("it leaves no process", folder.encode() not in line, line)


def main():
    if "--inside" in sys.argv:
        return inside(sys.argv[-1])
    reason = city.namespaces_work()
    if reason:
        print(f"network namespaces cannot be made here: {reason}")
        return 77
    with tempfile.TemporaryDirectory(prefix="xunjian-test-city-") as folder:
        os.chmod(folder, 0o755)
        status = city.launch(os.path.abspath(__file__), folder).wait()
    ends_clean()
    return 1 if status or failures else 0


if __name__ == "__main__":
    sys.exit(main())
