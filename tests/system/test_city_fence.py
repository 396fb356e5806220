#!/usr/bin/env python3
"""No packet of the city in a box reaches the host, and the door is the only way in: seen from the host's side.

The test plays the host in a network namespace of its own, which has a way to everywhere (an interface with
default routes), takes connections on all its addresses, and counts packets of the city's networks at every hook.
Inside it a whole box runs and measures, and every namespace of the box tries to get out."""

import errno
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "city"))
import box as city  # noqa: E402
import demo  # noqa: E402

HOST4, HOST6, PORT = "10.99.0.1", "fd99::1", 7777
WORLD4, WORLD6 = "233.252.0.1", "2001:db9::1"
NOBODY4, NOBODY6 = "203.0.113.99", "2001:db8:dead::1"  # of the city's networks, but given to nobody
# SYN, SYN and ACK, ACK, reset; to HOST4 and HOST6; at the four hooks a loopback packet passes; by source and destination
OWN = 4 * 2 * 4 * 2
COUNTED = (("ip", ", ".join((*city.SUPERNETS4, HOST4, WORLD4))), ("ip6", ", ".join((city.SUPERNET6, HOST6, WORLD6))))


def make_host():
    for line in ("link set lo up", "link add out type veth peer name away", "link set away up", f"addr add {HOST4}/24 dev out",
                 f"-6 addr add {HOST6}/64 dev out nodad", "link set out up", "route add default via 10.99.0.254",
                 "-6 route add default via fd99::254"):
        city.run("ip", *line.split())
    city.run("nft", "add table inet fence")
    for hook in ("prerouting", "input", "forward", "output", "postrouting"):
        city.run("nft", f"add chain inet fence {hook} {{ type filter hook {hook} priority 0 ; }}")
        for word, nets in COUNTED:
            for end in ("saddr", "daddr"):
                city.run("nft", f"add rule inet fence {hook} {word} {end} {{ {nets} }} counter")


def counted():
    table = json.loads(city.run("nft", "-j", "list", "table", "inet", "fence"))["nftables"]
    return sum(e["counter"]["packets"] for x in table if "rule" in x for e in x["rule"]["expr"] if "counter" in e)


def answers(address, port):
    """Does somebody take connections there? Ends with a reset, which nobody answers: no packet comes later."""
    try:
        with socket.create_connection((address, port), timeout=2) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return True
    except OSError:
        return False


def settled(want):
    """The count once it is `want`: under load the last packets of the loopback device are counted a little later."""
    end = time.monotonic() + 10
    while counted() != want and time.monotonic() < end:
        time.sleep(0.05)
    return counted()


def check(good, words):
    print(("ok   " if good else "FAIL ") + words, flush=True)
    return not good


def host(folder):
    make_host()
    listeners = [socket.create_server((a, PORT), family=f) for f, a in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))]
    bad = check(all(answers(a, PORT) for a in (HOST4, HOST6, "127.0.0.1")), "the host takes connections on its addresses")
    start = settled(OWN)
    bad += check(start == OWN, f"packets at the host are counted ({start} of its own were)")
    door = city.listen_on_host(18080)
    child = city.launch(os.path.abspath(__file__), folder, str(door.fileno()), pass_fds=(door.fileno(),))
    report = os.path.join(folder, "report")
    while child.poll() is None and not os.path.exists(report):
        time.sleep(0.05)
    if child.poll() is None:
        page = urllib.request.urlopen(f"http://127.0.0.1:{door.getsockname()[1]}/api/v1/overview", timeout=10).read()
        bad += check(b"systems" in page, "a page comes through the door")
        names = sorted(x["ifname"] for x in json.loads(city.run("ip", "-j", "link")))
        bad += check(names == ["away", "lo", "out"], f"no interface of the box is on the host: {', '.join(names)}")
        open(os.path.join(folder, "finish"), "w", encoding="utf-8").close()
    bad += check(child.wait() == 0, "the box ended well")
    seen = counted() - start
    bad += check(seen == 0, f"the host has seen {seen} packets of the city")
    bad += check(not answers("192.0.2.249", 8443), "from the host nobody is at the collector's address")
    for x in listeners:
        x.close()
    if os.path.exists(report):
        with open(report, encoding="utf-8") as f:
            tries = json.load(f)
        for name, (reached, errors, _) in tries.items():
            bad += check(not reached and not errors, f"{name} reached {reached}, unexpected {errors}")
        print(f"  figure: {len(tries)} namespaces, {sum(t[2] for t in tries.values())} tries to get out, {seen} packets at the host")
    return 1 if bad else 0


def attempts():
    """Tries of every kind to get out from here: what was reached, errors that nobody expects, how many."""
    reached, errors, tries = [], [], 1
    for family, addresses in ((socket.AF_INET, (HOST4, WORLD4, NOBODY4)), (socket.AF_INET6, (HOST6, WORLD6, NOBODY6))):
        for address in addresses:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                tries += 1
                with socket.socket(family, kind) as s:
                    s.settimeout(2)
                    try:
                        s.connect((address, PORT))
                        s.send(b"x")  # to nobody a packet may set out: it ends where the city knows no way
                        if kind == socket.SOCK_STREAM or address not in (NOBODY4, NOBODY6):
                            reached.append(address)
                    except OSError as e:
                        if e.errno not in (errno.ENETUNREACH, errno.EHOSTUNREACH):
                            errors.append(f"{address}: {e}")
    if answers("127.0.0.1", PORT):
        reached.append("the host's loopback")
    return reached, errors, tries


def inside(folder, door_fd):
    box = city.Box(folder, say=demo.say)
    try:
        box.start()
        city.Door(socket.socket(fileno=door_fd), "core", box.web)
        page = demo.Page("", box)
        page.wait("all systems are measured", lambda: all((s["v4"], s["v6"]) == ("up", "up")
                                                          for s in page.json("/api/v1/overview")["systems"]), 60)
        tries = {"(first)": attempts(), **{n: box.network.call(n, attempts) for n in box.network.names}}
        with open(os.path.join(folder, "report.new"), "w", encoding="utf-8") as f:
            json.dump(tries, f)
        os.rename(os.path.join(folder, "report.new"), os.path.join(folder, "report"))
        while not os.path.exists(os.path.join(folder, "finish")):
            time.sleep(0.05)
    except city.BoxError as e:
        print(e, flush=True)
        demo.show_logs(box)
        return 1
    finally:
        box.end()
    return 0


def main():
    if "--inside" in sys.argv:
        return inside(sys.argv[2], int(sys.argv[3]))
    if "--host" in sys.argv:
        return host(sys.argv[2])
    reason = city.namespaces_work()
    if reason:
        print(f"network namespaces cannot be made here: {reason}")
        return 77
    folder = tempfile.mkdtemp(prefix="xunjian-fence-")
    os.chmod(folder, 0o755)
    try:
        argv = city.unshare_argv() + [sys.executable, os.path.abspath(__file__), "--host", folder]
        return subprocess.run(argv, check=False).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
