#!/usr/bin/env python3
"""The ntp probe against chronyd, synchronised and not, and servers that lie, in both families, by its one-shot use."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import faults
import once
import pair
from checks import check, failures
from once import value

LOAD = os.path.join(pair.TOOLS, "probe_load")
SINCE_1900 = 2208988800


def probe(*options, timeout="2s"):
    return once.probe("ntp", f"timeout={timeout}", *options)


def both(what, port, outcome, reason="", judge=lambda r: True, options=(), timeout="2s"):
    got = probe("host=localhost", f"port={port}", *options, timeout=timeout)
    faults.record("ntp", what, got)
    check(f"{what}: both families", [r["family"] for r in got] == [4, 6], got)
    for r in got:
        check(f"{what} (IPv{r['family']})", r["outcome"] == outcome and r["reason"] == reason and judge(r), r)


class Chrony:
    """chronyd in the foreground on a port of loopback, which leaves the clock alone."""

    def __init__(self, folder, name, more):
        self.port = pair.free_port()
        config = f"{folder}/{name}.conf"
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"port {self.port}\nbindaddress 0.0.0.0\nbindaddress ::\nallow 127.0.0.0/8\nallow ::1\ncmdport 0\n"
                    f"bindcmdaddress /\npidfile {folder}/{name}.pid\n{more}")
        with open(f"{folder}/{name}.log", "wb") as log:
            self.process = subprocess.Popen(["chronyd", "-d", "-x", "-U", "-u", "root", "-f", config], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Liar:
    """Answers with a clock that is ahead, and by a manner: plain, kiss, forge (wrong cookie first), or not at all."""

    def __init__(self):
        self.port, self.ahead, self.manner, self.drop = pair.free_port(), 0.0, "plain", 0
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            s = socket.socket(family, socket.SOCK_DGRAM)
            s.bind((address, self.port))
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        asked = 0
        while True:
            query, sender = s.recvfrom(2048)
            asked += 1
            if self.manner == "silent" or self.drop and asked % 2:
                continue
            now = int((time.time() + self.ahead + SINCE_1900) * 2**32)
            stamps = struct.pack(">QQ", now, now)
            head = struct.pack(">BBbbII", 0x24, 2, 6, -20, 0, 0) + b"\x7f\0\0\1" + struct.pack(">Q", now - (5 << 32))
            if self.manner == "kiss":
                head = struct.pack(">BBbbII", 0xe4, 0, 6, -20, 0, 0) + b"RSTR" + bytes(8)
            if self.manner == "forge":
                s.sendto(head + os.urandom(8) + stamps, sender)
                s.sendto(query, sender)
            s.sendto(head + query[40:48] + stamps, sender)


def main():
    if shutil.which("chronyd") is None:
        print("not installed: chronyd")
        return 77
    if os.geteuid() != 0:
        print("chronyd needs root")
        return 77
    folder, servers = tempfile.mkdtemp(prefix="xunjian-ntp-"), []
    try:
        servers.append(Chrony(folder, "good", "local stratum 5\n"))
        servers.append(Chrony(folder, "lost", ""))
        good, lost = (s.port for s in servers)
        for port in (good, lost):
            pair.wait(f"chronyd at port {port}", lambda p=port: all(
                value(r, "stratum") is not None for r in probe("host=localhost", f"port={p}", timeout="500ms")))
        both("a synchronised server", good, "up", judge=lambda r: abs(value(r, "offset")) < 0.01 and 0 < value(r, "delay") < 0.1
             and value(r, "stratum") == 5 and value(r, "leap") == 0 and value(r, "lost") == 0 and value(r, "foreign") == 0)
        for r in probe("host=localhost", f"port={good}"):
            print(f"  figure: ntp chronyd on loopback, IPv{r['family']}: offset {value(r, 'offset') * 1e6:.1f} us, "
                  f"delay {value(r, 'delay') * 1e6:.1f} us")
        both("too far from the source", good, "down", "stratum 5, expected at most 4", options=["stratum_max=4"])
        both("a server without a source", lost, "down", "not synchronised (leap indicator 3, stratum 0)")
        liar = Liar()
        liar.ahead = -37.5
        both("a clock that is behind", liar.port, "up", judge=lambda r: abs(value(r, "offset") + 37.5) < 0.05)
        liar.manner = "forge"
        both("forged and reflected packets", liar.port, "up", judge=lambda r: value(r, "foreign") == 2)
        liar.manner = "kiss"
        both("kiss-o'-death", liar.port, "down", "kiss-o'-death RSTR: access restricted")
        liar.manner, liar.drop = "plain", 1
        probe("host=localhost", f"port={liar.port}", timeout="600ms")  # from here on the next one is dropped in each family
        both("a lost query is not down", liar.port, "up", judge=lambda r: value(r, "lost") == 1, timeout="600ms")
        liar.manner, liar.drop = "silent", 0
        both("silence", liar.port, "down", "no answer to 3 queries within 600ms", timeout="600ms")
        both("a closed port", pair.free_port(), "down", "port unreachable")
        count = 20000 if pair.FULL else 4000
        f = json.loads(subprocess.run([LOAD, "ntp", "127.1.0.1", str(count), "200", "host=@", f"port={good}"],
                                      stdout=subprocess.PIPE, text=True, check=True).stdout)
        check("many at once are all up", f["up"] == count, f)
        print(f"  figure: ntp {count} runs, 200 at a time: {f['wall_s']} s, {f['cpu_s'] / count * 1e6:.1f} us CPU per run")
    except AssertionError as e:
        failures.append(str(e))
        print(f"FAIL {e}")
        for name in ("good", "lost"):
            if os.path.exists(f"{folder}/{name}.log"):
                print(open(f"{folder}/{name}.log", encoding="utf-8", errors="replace").read()[-2000:])
    finally:
        for s in servers:
            s.end()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
