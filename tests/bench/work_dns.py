"""Name servers: the same question to one Knot over UDP and IPv4, in the namespaces of work_probes.py."""

import os
import re
import shutil

from bench import OURS, Line, Missing, Work, times
from work_probes import FIRST4, blackbox, field, load, plugin

NAME = "portal.gov.example"


class Place:
    """The namespaces of work_probes.py with a Knot on all addresses of the target, once it is asked for."""

    def __init__(self):
        self.knot = None

    def enter(self):
        field.enter()

    def leave(self):
        if self.knot:
            self.knot.terminate()
            self.knot.wait()
            self.knot = None
        field.leave()


place = Place()


def start_knot():
    if place.knot:
        return
    if not shutil.which("knotd"):
        raise Missing("knot is not installed")
    os.makedirs(f"{field.folder}/knot")
    with open(f"{field.folder}/zone", "w", encoding="ascii") as f:
        f.write(f"$ORIGIN gov.example.\n$TTL 300\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nns A {FIRST4}\nportal A 192.0.2.10\n")
    with open(f"{field.folder}/knot.conf", "w", encoding="ascii") as f:
        f.write(f"server:\n    rundir: {field.folder}\n    listen: [0.0.0.0@53, \"::@53\"]\n    udp-workers: 1\n    tcp-workers: 1\n"
                f"    background-workers: 1\ndatabase:\n    storage: {field.folder}/knot\nzone:\n  - domain: gov.example\n"
                f"    storage: {field.folder}\n    file: zone\n    zonefile-sync: -1\n    journal-content: none\n")
    place.knot = field.start("target", ["knotd", "-c", f"{field.folder}/knot.conf"])
    field.wait_for_port(FIRST4, 53)


def at_knot(subject):
    def measure():
        start_knot()
        return subject()
    return measure


def dnsperf(count):
    """Its own loop does nothing but send, receive and count: a floor, not a peer."""
    def measure():
        if not shutil.which("dnsperf"):
            raise Missing("dnsperf is not installed")
        with open(f"{field.folder}/queries", "w", encoding="ascii") as f:
            f.write(f"{NAME} A\n")
        p, m = field.run(["dnsperf", "-s", FIRST4, "-d", f"{field.folder}/queries", "-n", str(count), "-q", "32", "-c", "1", "-T", "1"], count)
        found = re.search(r"Queries completed:\s+(\d+)", p.stdout)
        if not found or int(found[1]) != count:
            raise ValueError(f"dnsperf: {p.stdout[-300:]} {p.stderr[-300:]}")
        return m
    return measure


OTHERS = OURS + ", other servers"


def works():
    ours = ["name=" + NAME, "expect=192.0.2.10"]
    return [Work("dns", "an A record over UDP and IPv4, of one server again and again; ours with random id and letters for each, a port for 16", "query", [
        (OURS, at_knot(load("dns", FIRST4, 24000, 32, "host=" + FIRST4, *ours))),
        (OTHERS, at_knot(load("dns", FIRST4, 24000, 32, "host=@", *ours))),
        ("blackbox_exporter", at_knot(blackbox("dns4", FIRST4, 1000))),
        ("check_dns", at_knot(plugin("check_dns", 40, "-s", "$h", "-a", "192.0.2.10", target=NAME, package="monitoring-plugins-standard"))),
        ("dnsperf", at_knot(dnsperf(20000)))],
        [times("blackbox_exporter", 60), times("check_dns", 60),
         Line("blackbox_exporter : ours, each question to another address", lambda r: r.of("blackbox_exporter") / r.of(OTHERS)),
         Line(f"{OURS} : dnsperf, which only sends, receives and counts", lambda r: r.of(OURS) / r.of("dnsperf"))], place)]
