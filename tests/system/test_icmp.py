#!/usr/bin/env python3
"""The icmp probe on a network of three hosts: prober - router - target, both families.

Facts are made with the kernel's own means: nft drops, routes that are unreachable, a link that is down,
and a responder on the target that answers late, twice, or with forged replies.

alone: losses and times are judged.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "city"))
import box  # noqa: E402
from checks import check, failures  # noqa: E402

LOAD = os.path.join(ROOT, "build", "release", "tests", "tools", "probe_load")
MANY4, MANY6 = "198.18.0.1", "2001:db8:b::1"
B4, B6 = "192.0.2.3", "2001:db8::3"


def probe(address, *options, timeout="2s"):
    """One round to an address: what the tool printed, with the outcome as a word."""
    p = subprocess.run(["ip", "netns", "exec", "prober", LOAD, "icmp", address, "1", "1", f"timeout={timeout}", "host=@", *options],
                       stdout=subprocess.PIPE, text=True, check=True)
    r = json.loads(p.stdout)
    r["outcome"] = next(word for word in ("up", "down", "unknown") if r[word])
    return r


def build():
    n = box.Network()
    n.prepare()
    for name in ("router", "prober", "target"):
        n.add(name)
    n.join("router", "prober", *box.ends("192.0.2.1", "2001:db8::1"))
    n.join("router", "target", *box.ends(B4, B6))
    n.route()
    for ns, via4, via6 in (("prober", "192.0.2.0", "2001:db8::"), ("router", B4, B6)):
        n.sh(ns, "ip", "route", "add", "198.18.0.0/16", "via", via4)
        n.sh(ns, "ip", "-6", "route", "replace", "2001:db8:b::/48", "via", via6)
    n.sh("target", "ip", "route", "add", "local", "198.18.0.0/16", "dev", "lo")
    n.sh("target", "ip", "-6", "route", "add", "local", "2001:db8:b::/48", "dev", "lo")
    for ns in ("prober", "router", "target"):
        n.sh(ns, "sysctl", "-qw", "net.ipv4.icmp_msgs_per_sec=100000", "net.ipv4.icmp_ratemask=0")
    return n


def both(what, address4, address6, options, judge):
    for address in (address4, address6):
        r = probe(address, *options)
        check(f"{what} ({address})", judge(r), r)


def restore_routes(n):
    for net in box.SUPERNETS4:
        n.sh("prober", "ip", "route", "replace", net, "via", "192.0.2.0")
    n.sh("prober", "ip", "-6", "route", "replace", box.SUPERNET6, "via", "2001:db8::")
    n.sh("prober", "ip", "route", "replace", "198.18.0.0/16", "via", "192.0.2.0")
    n.sh("prober", "ip", "-6", "route", "replace", "2001:db8:b::/48", "via", "2001:db8::")


def facts(n):
    both("a target that answers is up", B4, B6, ["count=5"],
         lambda r: r["outcome"] == "up" and r["sent"] == 5 and r["lost"] == 0
         and 0 < r["rtt_min"] <= r["rtt_median"] <= r["rtt_max"] < 0.1 and r["ttl"] == 63)
    n.sh("router", "nft", "add table inet t; add chain inet t f { type filter hook forward priority 0 ; }; "
         "add rule inet t f numgen random mod 100 < 30 drop")
    both("lost packets are seen", B4, B6, ["count=300", "spacing=2ms"],
         lambda r: r["outcome"] == "up" and 35 < r["loss"] < 67)  # both ways: 1 - 0.7 * 0.7 = 51 %
    n.sh("router", "nft", "flush chain inet t f")
    n.sh("router", "nft", "add rule inet t f drop")
    both("silence is down", B4, B6, ["count=3"],
         lambda r: r["outcome"] == "down" and r["reason"] == "no reply to 3 echo requests" and r["loss"] == 100)
    n.sh("router", "nft", "flush chain inet t f")
    n.sh("router", "ip", "route", "add", "unreachable", "198.51.100.0/24")
    n.sh("router", "ip", "-6", "route", "add", "unreachable", "2001:db8:dead::/48")
    both("the hop that says unreachable is named", "198.51.100.7", "2001:db8:dead::7", ["count=3"],
         lambda r: r["outcome"] == "down" and ("said 192.0.2.0" in r["reason"] or "said 2001:db8::" in r["reason"])
         and ("unreachable" in r["reason"] or "no route" in r["reason"]))
    both("no way out of our own is unknown", "233.252.0.1", "fd00::1", ["count=2"], lambda r: r["outcome"] == "unknown")
    n.sh("prober", "ip", "link", "set", "uplink", "down")
    both("our own link down is unknown", B4, B6, ["count=2"], lambda r: r["outcome"] == "unknown")
    n.sh("prober", "ip", "link", "set", "uplink", "up")
    restore_routes(n)


# ---------------------------------------------------------------- a responder with bad manners


def checksum(data):
    s = sum(struct.unpack(f">{len(data) // 2}H", data))
    s = (s & 0xffff) + (s >> 16)
    return ~((s & 0xffff) + (s >> 16)) & 0xffff


class Responder:
    """Answers echoes on the target in place of the kernel: after `delay` s, `times` over, `forged` ones before."""

    def __init__(self, n):
        n.sh("target", "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1", "net.ipv6.icmp.echo_ignore_all=1")
        self.delay, self.times, self.forge = 0, 1, False
        ready = threading.Barrier(3)
        for family in (4, 6):
            threading.Thread(target=self.serve, args=(family, ready), daemon=True).start()
        ready.wait()

    def serve(self, family, ready):
        box.enter_netns("target")
        if family == 4:
            s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        else:
            s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        ready.wait()
        while True:
            data, sender = s.recvfrom(2048)
            if family == 4:
                data = data[(data[0] & 15) * 4:]
            if data[0] == (8 if family == 4 else 128):
                threading.Timer(self.delay, self.answer, (s, family, data, sender)).start()

    def answer(self, s, family, request, sender):
        def send(payload):
            head = bytes([0 if family == 4 else 129, 0, 0, 0]) + request[4:8]
            if family == 4:
                head = head[:2] + struct.pack(">H", checksum(head + payload)) + head[4:]
            s.sendto(head + payload, sender)

        if self.forge:
            send(bytes(8) + request[16:])  # another nonce
            send(os.urandom(56))
            return
        for _ in range(self.times):
            send(request[8:])


def manners(n):
    r = Responder(n)
    r.times = 2
    both("second replies are duplicates", B4, B6, ["count=3", "spacing=100ms"],
         lambda x: x["outcome"] == "up" and x["duplicates"] >= 2 and x["lost"] == 0)
    r.times, r.delay = 1, 0.6
    both("late replies are slow, not lost", B4, B6, ["count=3", "wait=200ms"],
         lambda x: x["outcome"] == "up" and x["late"] >= 1)
    r.delay, r.forge = 0, True
    both("forged replies are not believed", B4, B6, ["count=3"], lambda x: x["outcome"] == "down" and x["lost"] == 3)
    n.sh("target", "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=0", "net.ipv6.icmp.echo_ignore_all=0")


def many(n):
    """1,500 targets, 20 echoes each, and 3,000 with 10: none may be lost by our own haste."""
    for first in (MANY4, MANY6):
        for targets, echoes in ((1500, 20), (3000, 10)):
            out = n.sh("prober", LOAD, "icmp", first, str(targets), str(targets), "host=@", f"count={echoes}")
            f = json.loads(out)
            check(f"{targets} x {echoes} from {first}", f["up"] == targets and f["lost"] == 0, f)
            print(f"  figure: icmp {targets} targets x {echoes} from {first}: {f['wall_s']} s, "
                  f"{f['cpu_s'] / f['sent'] * 1e6:.1f} us CPU per echo (the responder's share included), "
                  f"rtt p50 {f['rtt_p50_us']} us p99 {f['rtt_p99_us']} us")


def main():
    if "--inside" not in sys.argv:
        reason = box.namespaces_work()
        if reason or os.geteuid() != 0:
            print(f"network namespaces cannot be made here: {reason or 'not root'}")
            return 77
        return box.launch(os.path.abspath(__file__)).wait()
    n = build()
    facts(n)
    manners(n)
    many(n)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
