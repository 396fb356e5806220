#!/usr/bin/env python3
"""The path probe on a network of namespaces, both families:

    prober - near - left or right - far - target        (near shares load over left and right)

Routers that share load by flow, a narrow link in the middle, a black hole made by nft, a path that changes.
"""

import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "city"))
import box  # noqa: E402

AGENT = os.path.join(ROOT, "build", "xunjian-agent")
WATCH = os.path.join(ROOT, "build", "release", "tests", "tools", "path_watch")
LINKS = (("prober", "near", 1), ("near", "left", 2), ("near", "right", 3), ("left", "far", 4), ("right", "far", 5), ("far", "target", 6))
TARGETS = {4: "192.0.2.98", 6: "2001:db8:6::2"}
failures = []


def check(what, good, seen=""):
    if not good:
        failures.append(what)
        print(f"FAIL {what}: {seen}", flush=True)


def address(family, link, side):
    return f"192.0.2.{link * 16 + side}" if family == 4 else f"2001:db8:{link}::{side}"


def net(family, link):
    return f"192.0.2.{link * 16}/30" if family == 4 else f"2001:db8:{link}::/64"


def device(n, link):
    return f"l{link}"


def route(n, ns, where, *hops):
    """where, by these (link, side) next hops, in both families."""
    for family in (4, 6):
        via = []
        for link, side in hops:
            via += ["nexthop", "via", address(family, link, side), "dev", f"l{link}"]
        n.sh(ns, "ip", f"-{family}", "route", "replace", net(family, where), *via)


def build():
    n = box.Network()
    n.prepare()
    for name in ("prober", "near", "left", "right", "far", "target"):
        n.add(name)
        n.sh(name, "sysctl", "-qw", "net.ipv4.icmp_msgs_per_sec=100000", "net.ipv4.fib_multipath_hash_policy=1",
             "net.ipv6.fib_multipath_hash_policy=1", "net.ipv4.icmp_errors_use_inbound_ifaddr=1")
    for a, b, link in LINKS:
        dev = device(n, link)
        box.run("ip", "-n", a, "link", "add", dev, "type", "veth", "peer", "name", dev, "netns", b)
        for ns, side in ((a, 1), (b, 2)):
            n.sh(ns, "ip", "addr", "add", address(4, link, side) + "/30", "dev", dev)
            n.sh(ns, "ip", "addr", "add", address(6, link, side) + "/64", "dev", dev, "nodad")
            n.sh(ns, "ip", "link", "set", dev, "up")
    for link in (2, 3, 4, 5, 6):
        route(n, "prober", link, (1, 2))
    route(n, "near", 4, (2, 2))
    route(n, "near", 5, (3, 2))
    shared(n)
    for ns, up, down in (("left", (2, 1), (4, 2)), ("right", (3, 1), (5, 2))):
        route(n, ns, 1, up)
        route(n, ns, 6, down)
    for link in (1, 2):
        route(n, "far", link, (4, 1))
    route(n, "far", 3, (5, 1))
    for link in (1, 2, 3, 4, 5):
        route(n, "target", link, (6, 1))
    return n


def shared(n):
    route(n, "near", 6, (2, 2), (3, 2))


def probe(family, *options):
    p = subprocess.run(["ip", "netns", "exec", "prober", AGENT, "probe", "path", f"host={TARGETS[family]}", "--json", *options],
                       stdout=subprocess.PIPE, text=True)
    results = json.loads(p.stdout)
    main = next(r for r in results if r["part"] == "")
    main["hops"] = [r["address"] for r in results if r["part"].startswith("hop ")]
    main["parts"] = [r for r in results if r["part"]]
    main["status"] = p.returncode
    main["n"] = {k: v["value"] for k, v in main["values"].items()}
    return main


def hops(family, middle):
    link = 2 if middle == "left" else 3
    return [address(family, 1, 2), address(family, link, 2), address(family, link + 2, 2), TARGETS[family]]


def facts(n):
    for family in (4, 6):
        for mode in ("icmp", "udp"):
            ways = set()
            for _ in range(40 if mode == "udp" else 2):
                r = probe(family, f"mode={mode}", "probes=5", "spacing=2ms")
                way = "left" if r["hops"][1:2] == [address(family, 2, 2)] else "right"
                ways.add(way)
                check(f"IPv{family} {mode}: one way, no hop of another", r["outcome"] == "up" and r["hops"] == hops(family, way)
                      and r["n"]["hops"] == 4 and r["n"]["silent"] == 0, r)
                check(f"IPv{family} {mode}: loss and time of each hop",
                      all(p["values"]["loss"]["value"] == 0 and 0 < p["values"]["rtt"]["value"] < 1 for p in r["parts"]), r)
                if mode == "icmp":
                    check(f"IPv{family}: path MTU", r["n"].get("mtu") == 1500, r)
                if len(ways) == 2:
                    break
            check(f"IPv{family}: udp looks of random ports are shared over both ways", mode == "icmp" or len(ways) == 2, ways)


def narrow(n):
    """The link between far and target takes 1400 bytes."""
    for ns in ("far", "target"):
        n.sh(ns, "ip", "link", "set", "l6", "mtu", "1400")
    for family in (4, 6):
        r = probe(family, "spacing=2ms")
        check(f"IPv{family}: MTU of a narrow link", r["outcome"] == "up" and r["n"].get("mtu") == 1400, r)
    n.sh("far", "nft", "add table inet t; add chain inet t out { type filter hook output priority 0; };"
         "add rule inet t out icmp type destination-unreachable icmp code frag-needed drop;"
         "add rule inet t out icmpv6 type packet-too-big drop")
    for family in (4, 6):
        r = probe(family, "spacing=2ms", "wait=300ms")
        check(f"IPv{family}: black hole", r["outcome"] == "down" and r["status"] == 1 and r["n"].get("mtu") == 1400 and r["reason"] ==
              "black hole: packets of 1401 bytes and more vanish and nobody says too big; 1400 bytes arrive", r)
    n.sh("far", "nft", "flush ruleset")
    for ns in ("far", "target"):
        n.sh(ns, "ip", "link", "set", "l6", "mtu", "1500")


def silent(n):
    n.sh("near", "nft", "add table inet t; add chain inet t out { type filter hook output priority 0; };"
         "add rule inet t out icmp type time-exceeded drop; add rule inet t out icmpv6 type time-exceeded drop")
    for family in (4, 6):
        r = probe(family, "wait=300ms")
        check(f"IPv{family}: a silent hop", r["outcome"] == "up" and r["n"]["silent"] == 1 and len(r["hops"]) == 3, r)
    n.sh("near", "nft", "flush ruleset")
    n.sh("target", "nft", "add table inet t; add chain inet t in { type filter hook input priority 0; };"
         "add rule inet t in icmp type echo-request drop; add rule inet t in icmpv6 type echo-request drop")
    for family in (4, 6):
        r = probe(family, "timeout=100ms", "spacing=20ms")
        check(f"IPv{family}: time for a few hops only is unknown", r["outcome"] == "unknown" and r["status"] == 3 and
              r["reason"].endswith(" of 30 hops only"), r)
        r = probe(family, "wait=300ms", "hops=6")
        check(f"IPv{family}: a destination that is silent", r["outcome"] == "down" and
              r["reason"].startswith("no answer from the destination; the last that answers is hop 3, "), r)
    n.sh("target", "nft", "flush ruleset")


def changes(n):
    """The same check in one process: a change is told once, with both paths."""
    for family in (4, 6):
        for mode in ("icmp", "udp"):
            route(n, "near", 6, (2, 2))
            p = subprocess.Popen(["ip", "netns", "exec", "prober", WATCH, TARGETS[family], f"mode={mode}", "mtu=0"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            said = []
            for side in ((2, 2), (2, 2), (3, 2), (3, 2)):
                route(n, "near", 6, side)
                p.stdin.write("\n")
                p.stdin.flush()
                said.append(p.stdout.readline().strip())
            p.stdin.close()
            p.wait()
            was, now = (" > ".join(hops(family, side)[1:3]) for side in ("left", "right"))
            check(f"IPv{family} {mode}: a path change", said == ["up:", "up:", f"up: path changed at hop 2: was {was}, now {now}", "up:"], said)
    shared(n)


def main():
    if "--inside" not in sys.argv:
        reason = box.namespaces_work()
        if reason or os.geteuid() != 0:
            print(f"network namespaces cannot be made here: {reason or 'not root'}")
            return 77
        return box.launch(os.path.abspath(__file__)).wait()
    n = build()
    for part in (facts, narrow, silent, changes):
        began = time.monotonic()
        part(n)
        print(f"  figure: {part.__name__} took {time.monotonic() - began:.1f} s")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
