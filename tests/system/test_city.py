#!/usr/bin/env python3
"""The city in a box from end to end: all systems over both families, faults seen and mended, and no packet leaves.

The walk is the demo's own, over all sites of the county whose link it cuts: more than 300. With FULL=1 the units are waited for as
well, which are told a minute later: those with a system behind that link, each once, and no other. The fence: no namespace has a default route or an interface to the host; an address outside
cannot be reached from any of them; Ctrl-C's twin, SIGTERM, ends all of it and leaves no process, folder or namespace.

alone: it looks for what others leave as well, and every step has its time."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "city"))
import box as city  # noqa: E402
import demo  # noqa: E402
from checks import check, failures  # noqa: E402

OUTSIDE4, OUTSIDE6 = "233.252.0.1", "2606:4700::1"


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


def with_all_sites_of(county, folder):
    """The example's inventory, and a check of each link below a county, from the city."""
    shutil.copytree(os.path.join(city.CONF, "inventory.d"), folder)
    known = city.City(folder)
    watched = {x["id"] for x in known.watched_links()}
    more = [x for x in known.links.values() if x["id"] not in watched and known.is_below(x["site"], county)]
    with open(os.path.join(folder, "70-county.conf"), "w", encoding="utf-8") as f:
        f.write("checks = (\n" + ",\n".join(
            f'{{ id = "{x["id"]}-icmp"; type = "icmp"; subject = "link/{x["id"]}"; vantages = "agent-city"; families = "ipv6"; '
            'interval = "10s"; timeout = "5s"; count = 2; spacing = "20ms"; }' for x in more) + "\n);\n")
    return folder


def told_once(box, subject, systems, apply):
    """Something fails and takes systems along: one notice for operations, one for each of their units, none for others, and each
    of these closed once."""
    page = demo.Page("", box)
    units = {f"system/{s['id']}": s["unit"] for s in box.city.systems}
    wanted = sorted({"operations", *(units[f"system/{s}"] for s in systems)})

    def incident():
        return next((i for i in page.json("/api/v1/incidents")["incidents"] if i["subject"] == subject), None)

    def told(number, status):
        return sorted(n["audience"] for n in box.told()[before:] if n["incident"] == str(number) and n["status"] == status)

    page.wait("all is well", lambda: page.json("/api/v1/incidents")["incidents"] == [] and all(
        page.json(f"/api/v1/systems/{s}")["state"] == "up" for s in systems), 300)
    before = len(box.told())
    apply()
    page.wait("their units are affected and told", lambda: {f"system/{s}" for s in systems} <= set(incident()["affected"]) and
              set(wanted) <= set(told(incident()["id"], "firing")), 300)
    time.sleep(70)  # whoever is to be told of more is told within a minute
    seen = incident()
    check("one for operations, one for each affected unit", told(seen["id"], "firing") == wanted, (told(seen["id"], "firing"), wanted))
    check("nobody is told of anything else", {n["incident"] for n in box.told()[before:]} == {str(seen["id"])}, box.told()[before:])
    box.faults.apply("clear")
    page.wait("all is over and told", lambda: incident() is None and set(told(seen["id"], "resolved")) == set(wanted), 300)
    check("each is told its end once", told(seen["id"], "resolved") == wanted, told(seen["id"], "resolved"))
    print(f"  figure: {subject}: {seen['affected_count']} subjects affected, {len(systems)} systems of {len(wanted) - 1} units: "
          f"{len(wanted)} notices, and each closed once")


def told_of_county(box, link):
    """Of a county's link that is cut the units are told whose systems have a front end behind it."""
    systems = [s["id"] for s in box.city.systems if link in s.get("depends", ())]
    told_once(box, f"link/{link}", systems, lambda: box.faults.apply("cut-link", link))


def told_of_system(box, ident, others):
    """Of a system that fails with others that need it their units are told."""
    told_once(box, f"system/{ident}", [ident, *others],
              lambda: [box.faults.apply("stop-system", s) for s in (ident, *others)])


def inside(folder):
    box = city.Box(folder, say=demo.say, inventory=with_all_sites_of("dongyuan", os.path.join(folder, "inventory.d")))
    began = time.monotonic()
    try:
        box.start()
        fence(box)
        if os.environ.get("FULL") == "1":  # before the walk cuts it: the end of a second outage within the hour is told late
            told_of_county(box, "link-dongyuan")
            told_of_system(box, "identity", ["budget", "employment", "trade", "petition"])
        demo.walk(box, demo.Page("", box), 60)
        print(f"  figure: the city walked through in {time.monotonic() - began:.0f} s: 67 systems in both families, "
              f"{len(box.network.names)} namespaces, none with a way out, {len(box.city.watched_links())} links")
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
