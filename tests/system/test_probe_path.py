#!/usr/bin/env python3
"""The path probe on a network of namespaces, both families:

    prober - near - left or right - far - target        (near shares load over left and right)
               \ second                                 (by a narrow link)

Routers that share load by flow, a narrow link in the middle, a black hole made by nft, a router that limits its errors, a path
that changes, replies that are forged.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests", "city"), os.path.join(ROOT, "tests", "system")]
import box  # noqa: E402
import faults  # noqa: E402
import pair  # noqa: E402
from checks import check, failures  # noqa: E402

AGENT = os.path.join(ROOT, "build", "xunjian-agent")
WATCH = os.path.join(ROOT, "build", "release", "tests", "tools", "path_watch")
LINKS = (("prober", "near", 1), ("near", "left", 2), ("near", "right", 3), ("left", "far", 4), ("right", "far", 5), ("far", "target", 6),
         ("near", "second", 7))
TARGETS, SECOND = {4: "192.0.2.98", 6: "2001:db8:6::2"}, {4: "192.0.2.114", 6: "2001:db8:7::2"}
FULL = os.environ.get("FULL") == "1"


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
    for name in ("prober", "near", "left", "right", "far", "target", "second"):
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
    for ns in ("near", "second"):
        n.sh(ns, "ip", "link", "set", "l7", "mtu", "1400")
    for link in (2, 3, 4, 5, 6, 7):
        route(n, "prober", link, (1, 2))
    route(n, "second", 1, (7, 1))
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


def probe(family, *options, to=None):
    p = subprocess.run(["ip", "netns", "exec", "prober", AGENT, "probe", "path", f"host={(to or TARGETS)[family]}", "--json", *options],
                       stdout=subprocess.PIPE, text=True)
    results = json.loads(p.stdout)
    main = next(r for r in results if r["part"] == "")
    main["hops"] = [r["address"] for r in results if r["part"].startswith("hop ")]
    main["parts"] = [r for r in results if r["part"]]
    main["status"] = p.returncode
    main["n"] = {k: v["value"] for k, v in main["values"].items()}
    return main


def probe_all(*looks):
    """Looks (target, options) in both families, all at once: for each look its results, (4, ...) and (6, ...)."""
    out = [{} for _ in looks]
    threads = [threading.Thread(target=lambda i=i, f=f: out[i].update({f: probe(f, *looks[i][1], to=looks[i][0])}))
               for i in range(len(looks)) for f in (4, 6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return [sorted(o.items()) for o in out]


def probe_both(*options, to=None):
    return probe_all((to, options))[0]


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


HOLE = "packets of 1401 bytes and more vanish"
ERRORS = {4: "icmp type { time-exceeded, destination-unreachable }", 6: "icmpv6 type { time-exceeded, packet-too-big }"}


def rules(n, ns, *lines, hook="output"):
    n.sh(ns, "nft", "; ".join([f"add table inet t; add chain inet t c {{ type filter hook {hook} priority 0 ; }}",
                               *(f"add rule inet t c {line}" for line in lines)]))


def clear(n, ns):
    n.sh(ns, "nft", "flush ruleset")


class Flood:
    """Large datagrams to second that ask near for errors all the time, as others' traffic does."""

    def __init__(self, n, family):
        self.socket = n.call("prober", lambda: socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM))
        # IP_MTU_DISCOVER and IPV6_MTU_DISCOVER: whole, whatever was said of the way before.
        self.socket.setsockopt(*((socket.IPPROTO_IP, 10, 3) if family == 4 else (socket.IPPROTO_IPV6, 23, 3)))
        self.to, self.is_on, self.sent = (SECOND[family], 9), True, 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while self.is_on:
            try:
                self.socket.sendto(bytes(1420), self.to)
                self.sent += 1
            except OSError:
                pass
            time.sleep(0.002)

    def end(self):
        self.is_on = False
        self.thread.join()
        self.socket.close()


def narrow(n):
    """The link between far and target takes 1400 bytes, as that between near and second does."""
    for ns in ("far", "target"):
        n.sh(ns, "ip", "link", "set", "l6", "mtu", "1400")
    for family, r in probe_both("spacing=2ms"):
        check(f"IPv{family}: MTU of a narrow link", r["outcome"] == "up" and r["n"].get("mtu") == 1400, r)
    limit(n, "1/hour")
    for family, r in probe_both("spacing=2ms", to=SECOND):
        check(f"IPv{family}: few errors are enough", r["outcome"] == "up" and r["n"].get("mtu") == 1400, r)
    drained(n)
    if FULL:
        busy(n)
    clear(n, "near")
    for ns in ("far", "target"):
        n.sh(ns, "ip", "link", "set", "l6", "mtu", "1500")


def limit(n, rate):
    """near sends few errors, of all kinds together."""
    clear(n, "near")
    rules(n, "near", *(line for words in ERRORS.values() for line in (f"{words} limit rate {rate} burst 5 packets accept", words + " drop")))


NOT_SURE = f"{HOLE}, 1400 bytes arrive: a black hole, or a router that limits its errors "


def drained(n):
    """far's errors are filtered; near's are used up: a black hole, and what only looks like one."""
    floods = [Flood(n, family) for family in (4, 6)]
    pair.wait("no error to be left", lambda: all(f.sent > 50 for f in floods))
    for f in floods:
        f.end()
    rules(n, "far", "icmp type destination-unreachable icmp code frag-needed drop", "icmpv6 type packet-too-big drop")
    long = ("spacing=2ms", "wait=300ms", "timeout=20s" if FULL else "timeout=5s")
    hole, short, limited = probe_all((TARGETS, long), (TARGETS, ("spacing=2ms", "wait=300ms", "timeout=2s")), (SECOND, long))
    clear(n, "far")
    faults.record("path", "a black hole", [r for _, r in hole])
    faults.record("path", "a busy router that limits its errors", [r for _, r in limited])
    for family, r in hole:
        check(f"IPv{family}: black hole", r["outcome"] == "down" and r["status"] == 1 and r["n"].get("mtu") == 1400 and r["reason"] ==
              f"black hole behind hop 3, {r['hops'][-2]}: {HOLE} and nobody says too big; 1400 bytes arrive", r)
    for family, r in short:
        check(f"IPv{family}: no time to ask again", r["outcome"] == "unknown" and r["n"].get("mtu") == 1400 and
              r["reason"] == NOT_SURE + "(no time to ask again)", r)
    for family, r in limited:
        check(f"IPv{family}: a router without errors to spare is no black hole", r["outcome"] == "unknown" and r["n"].get("mtu") == 1400 and
              r["reason"] == NOT_SURE + "(asked again, not all routers spoke)", r)


def busy(n):
    """One error a second, and as Linux limits them itself; others want them all the time. One may come by luck."""
    limit(n, "1/second")
    n.sh("near", "sysctl", "-qw", "net.ipv4.icmp_ratelimit=1000")
    floods = [Flood(n, family) for family in (4, 6)]
    for _ in range(5):
        for family, r in probe_both("spacing=2ms", "timeout=20s", to=SECOND):
            check(f"IPv{family}: a busy router is no black hole", r["n"].get("mtu") == 1400 and (r["outcome"], r["reason"]) in
                  (("up", ""), ("unknown", NOT_SURE + "(asked again, not all routers spoke)")), r)
            print(f"  figure: IPv{family}, a router whose errors others want 500 times a second: {r['outcome']}")
    for f in floods:
        f.end()
    n.sh("near", "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")


def ones_sum(data):
    s = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data) - 1, 2))
    while s > 0xffff:
        s = (s & 0xffff) + (s >> 16)
    return s


def with_sum(packet):
    packet[2:4] = b"\0\0"
    packet[2:4] = (0xffff - ones_sum(packet)).to_bytes(2, "big")
    return packet


def false_replies(family, data, sender):
    """To an echo request: a reply with another nonce, and one of an index that was not sent."""
    icmp = data[(data[0] & 15) * 4:] if family == 4 else data
    if icmp[0] != (8 if family == 4 else 128) or len(icmp) < 24:
        return []
    other, late = bytearray(icmp), bytearray(icmp)
    other[8] ^= 1
    late[18:20] = b"\xff\xf0"
    for packet in (other, late):
        packet[0] = 0 if family == 4 else 129
    return [with_sum(other), with_sum(late)]


def false_errors(family, data, sender):
    """Of a datagram: that its port is unreachable, with another nonce in what is quoted."""
    quote = bytearray(data)
    if family == 6:
        ends = b"".join(socket.inet_pton(socket.AF_INET6, a) for a in (sender[0], TARGETS[6]))
        quote = bytearray(b"\x60\0\0\0" + len(data).to_bytes(2, "big") + b"\x11\1" + ends) + quote
    at = ((quote[0] & 15) * 4 if family == 4 else 40) + 8
    if quote[at + 12:at + 16] != b"xunj":
        return []
    quote[at] ^= 1
    return [with_sum(bytearray((b"\3\3" if family == 4 else b"\1\4") + bytes(6)) + quote)]


def forge(n, family, mode):
    """Answers of target that are not true, behind each packet of a look that reaches it. Gives a function that ends it and tells how many."""
    af, icmp = (socket.AF_INET, socket.IPPROTO_ICMP) if family == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    heard = n.call("target", lambda: socket.socket(af, socket.SOCK_RAW, icmp if mode == "icmp" else socket.IPPROTO_UDP))
    out = n.call("target", lambda: socket.socket(af, socket.SOCK_RAW, icmp))
    heard.settimeout(0.1)
    sent, is_on = [0], [True]

    def work():
        while is_on[0]:
            try:
                data, sender = heard.recvfrom(2048)
            except TimeoutError:
                continue
            for packet in (false_replies if mode == "icmp" else false_errors)(family, data, sender):
                out.sendto(packet, (sender[0], 0))
                sent[0] += 1
    t = threading.Thread(target=work)
    t.start()

    def end():
        is_on[0] = False
        t.join()
        heard.close()
        out.close()
        return sent[0]
    return end


def forged(n):
    for family, mode in ((f, m) for f in (4, 6) for m in ("icmp", "udp")):
        r = probe(family, "spacing=2ms", "mtu=0", f"mode={mode}")
        check(f"IPv{family} {mode}: nothing foreign", r["n"].get("foreign") == 0, r)
        end = forge(n, family, mode)
        r = probe(family, "spacing=5ms", "mtu=0", "probes=5", f"mode={mode}")
        sent = end()
        check(f"IPv{family} {mode}: forged answers are counted out", r["outcome"] == "up" and r["n"]["hops"] == 4 and r["n"]["loss"] == 0 and
              0 < r["n"].get("foreign") <= sent, (r, sent))


def silent(n):
    rules(n, "near", "icmp type time-exceeded drop", "icmpv6 type time-exceeded drop")
    for family, r in probe_both("wait=300ms"):
        check(f"IPv{family}: a silent hop", r["outcome"] == "up" and r["n"]["silent"] == 1 and len(r["hops"]) == 3, r)
    clear(n, "near")
    rules(n, "target", "icmp type echo-request drop", "icmpv6 type echo-request drop", hook="input")
    for family, r in probe_both("timeout=100ms", "spacing=20ms"):
        check(f"IPv{family}: time for a few hops only is unknown", r["outcome"] == "unknown" and r["status"] == 3 and
              r["reason"].endswith(" of 30 hops only"), r)
    for family, r in probe_both("wait=300ms", "hops=6"):
        check(f"IPv{family}: a destination that is silent", r["outcome"] == "down" and
              r["reason"].startswith("no answer from the destination; the last that answers is hop 3, "), r)
    clear(n, "target")


def changes(n):
    """The same check in one process: a change is told once, with both paths."""
    for family in (4, 6):
        for mode in ("icmp", "udp"):
            route(n, "near", 6, (2, 2))
            p = subprocess.Popen(["ip", "netns", "exec", "prober", WATCH, TARGETS[family], f"mode={mode}", "mtu=0", "spacing=2ms"],
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
    for part in (facts, narrow, silent, changes, forged):
        began = time.monotonic()
        part(n)
        print(f"  figure: {part.__name__} took {time.monotonic() - began:.1f} s")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
