"""Paths: prober - r1 - r2 - r3 - target by veth pairs, both families."""

import re
import shutil
import subprocess
import json

import box
from bench import OURS, Measure, Missing, Work, run_measured, times, tool

ROUTERS = ("r1", "r2", "r3")
HOPS, PROBES = len(ROUTERS) + 1, 10
FIRST = {4: "198.18.0.1", 6: "2001:db8:b::1"}
NETS = {4: "198.18.0.0/16", 6: "2001:db8:b::/48"}


class Place:
    """A line of namespaces; all addresses of a network are the target's."""

    def __init__(self):
        self.network = None

    def enter(self):
        n = self.network = box.Network()
        n.prepare()
        names = ("prober", *ROUTERS, "target")
        for name in names:
            n.add(name)
            n.sh(name, "sysctl", "-qw", "net.ipv4.icmp_msgs_per_sec=10000000", "net.ipv4.icmp_ratemask=0")
        for i, (a, b) in enumerate(zip(names, names[1:]), 1):
            n.join(b, a, f"192.0.2.{i * 4 + 2}/30", f"192.0.2.{i * 4 + 1}/30", f"2001:db8:{i}::2/64", f"2001:db8:{i}::1/64")
            for family, via in ((4, f"192.0.2.{i * 4 + 2}"), (6, f"2001:db8:{i}::2")):
                n.sh(a, "ip", f"-{family}", "route", "add", NETS[family], "via", via)
        for i, name in enumerate(names[2:], 2):  # and back to the prober
            n.sh(name, "ip", "route", "add", "192.0.2.4/30", "via", f"192.0.2.{i * 4 + 1}")
            n.sh(name, "ip", "-6", "route", "add", "2001:db8:1::/64", "via", f"2001:db8:{i}::1")
        for family in (4, 6):
            n.sh("target", "ip", f"-{family}", "route", "add", "local", NETS[family], "dev", "lo")

    def leave(self):
        subprocess.run(["umount", "-l", "/run"], check=False)

    def run(self, argv, units):
        return run_measured(["nsenter", "--net=/run/netns/prober", "--", *argv], units)


place = Place()


def ours(family, targets):
    """Looks at many targets of that way, with both families' bookkeeping: hops as parts, comparison with the path before."""
    def measure():
        p, _ = place.run([tool("probe_load"), "path", FIRST[family], str(targets), "50", "host=@", f"probes={PROBES}", "mtu=0", "spacing=1ms"],
                         targets)
        f = json.loads(p.stdout)
        if f["up"] != targets * (1 + HOPS):
            raise ValueError(f"path: {f}")
        return Measure(targets * HOPS * PROBES, f["cpu_s"], f["wall_s"])
    return measure


def mtr(family, cycles):
    """Its report, of mtr and of mtr-packet beside it."""
    def measure():
        if not shutil.which("mtr"):
            raise Missing("mtr-tiny is not installed")
        p, m = place.run(["mtr", f"-{family}", "-n", "-r", "-c", str(cycles), "-i", "0.01", "-G", "1", FIRST[family]], 0)
        sent = [int(x) for x in re.findall(r"^\s*\d+\.\|--\s+\S+\s+0\.0%\s+(\d+)", p.stdout, re.M)]
        if len(sent) != HOPS:
            raise ValueError(f"mtr: {p.stdout} {p.stderr}")
        return Measure(sum(sent), m.more["cpu"], m.more["wall"])
    return measure


def works():
    return [Work("path" if family == 4 else "path6", f"{HOPS} hops over IPv{family}, asked again and again by ICMP", "packet", [
        (OURS, ours(family, 200)), ("mtr", mtr(family, 250))], [times("mtr", 1)], place) for family in (4, 6)]
