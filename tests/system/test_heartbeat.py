#!/usr/bin/env python3
"""Counter windows that report in, over HTTPS with curl and by sealed datagrams in both families: what becomes of it at the collector,
who is refused, what a replay does before and after a restart of the agent, and what 1,845 windows cost."""

import hashlib
import hmac
import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from checks import check, failures  # noqa: E402
from pair import COLLECTOR, FULL, Pair, free_port, wait  # noqa: E402

WINDOWS = 1845
CONNECTIONS = 4096  # BEATS_CONNECTIONS_MAX
SKEW = 2


def token(i):
    return hashlib.sha256(b"window %d" % i).hexdigest()


def datagram(i, counter, report="up", key=None, at=None):
    said = f"xunjian1 window-{i:04} {int(at or time.time())} {counter} {report}".encode()
    return said + b" " + hmac.new((key or token(i)).encode(), said, hashlib.sha256).hexdigest().encode()


class Hall:
    """An agent that hears, a collector, and the ways to report."""

    def __init__(self):
        self.pair, self.https, self.udp = Pair(), free_port(), free_port()
        p = self.pair
        subprocess.run([COLLECTOR, "ca", "issue", "--ca", p.path("pki"), "--ip", "127.0.0.1", "--ip", "::1", "hall"], check=True,
                       stdout=subprocess.DEVNULL)
        checks = ",\n".join(f'  {{ id = "window-{i:04}"; type = "heartbeat"; subject = "system/portal"; vantages = [ "agent-1" ]; '
                            f'interval = "1s"; timeout = "900ms"; window = "window-{i:04}"; silent = "2s"; down_after = "3s"; }}' for i in range(1, 5))
        p.write("inventory.d/all.conf", f'''units = ( {{ id = "unit"; }} );
systems = ( {{ id = "portal"; unit = "unit"; }} );
sites = ( {{ id = "city"; level = "city"; }} );
agents = ( {{ id = "agent-1"; site = "city"; }} );
checks = (
{checks}
);
''')
        self.write_windows(range(1, WINDOWS + 1))
        p.write_agent("agent", f'''heartbeat = {{ listen_https = [ "127.0.0.1:{self.https}", "[::1]:{self.https}" ];
  listen_udp = [ "127.0.0.1:{self.udp}", "[::1]:{self.udp}" ]; skew = "{SKEW}s";
  certificate = "pki/hall.pem"; key = "pki/hall.key"; tokens = "windows.conf"; }};
''')
        self.sockets = {4: socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 6: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)}

    def write_windows(self, numbers):
        self.pair.write("windows.conf", "windows = (\n" + ",\n".join(
            f'  {{ id = "window-{i:04}"; token = "{token(i)}"; }}' for i in numbers) + "\n);\n")
        os.chmod(self.pair.path("windows.conf"), 0o600)

    def send(self, data, family=4):
        self.sockets[family].sendto(data, ("127.0.0.1" if family == 4 else "::1", self.udp))

    def curl(self, i, body="up", key=None, host="127.0.0.1", more=()):
        """The status of the answer."""
        self.pair.write("header", f"Authorization: Bearer {key or token(i)}\n")
        p = subprocess.run(["curl", "-sS", "-m", "10", "--noproxy", "*", "--cacert", self.pair.path("pki/ca.pem"), "-o", "/dev/null", "-w",
                            "%{http_code}", "-H", "@" + self.pair.path("header"), "-d", body, *more,
                            f"https://{host}:{self.https}/heartbeat/window-{i:04}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return p.stdout if p.returncode == 0 else p.stderr

    def ends(self):
        text = self.pair.ask("/metrics", self.pair.metrics)
        return {k: int(v) for k, v in re.findall(r'heartbeats_total\{end="(\w+)"\} (\d+)', text)}

    def rows(self, i):
        return json.dumps(json.loads(self.pair.ask(f"/api/v1/checks/window-{i:04}")), ensure_ascii=False)


def counted(hall, end, more, act):
    before = hall.ends()[end]
    act()
    wait(f"{more} {end}", lambda: hall.ends()[end] == before + more)


def test_reports(hall):
    check("curl over IPv4", hall.curl(1, "up 叫号正常") == "204")
    check("curl over IPv6", hall.curl(2, "down 打印机缺纸", host="[::1]") == "204")
    counted(hall, "taken", 2, lambda: (hall.send(datagram(3, 1)), hall.send(datagram(4, 1, "down no network"), 6)))
    wait("what windows say are results", lambda: all(w in hall.rows(i) for i, w in (
        (1, "叫号正常"), (2, "打印机缺纸"), (4, "no network"))))
    wait("up without words is up", lambda: hall.send(datagram(3, 2)) or '"outcome": "up", "reason": ""' in hall.rows(3))


def test_strangers(hall):
    for what, status, argv in (("another's token", "401", {"i": 1, "key": token(2)}), ("no window", "401", {"i": 9999}),
                               ("not a report", "400", {"i": 1, "body": "fine"}), ("a GET", "501", {"i": 1, "more": ["-X", "GET"]}),
                               ("a body that is too long", "413", {"i": 1, "body": "up " + "x" * 5000})):
        seen = hall.curl(**argv)
        check(what, seen == status or (status in ("501", "413") and seen.startswith(("4", "5"))), seen)
    counted(hall, "foreign", 3, lambda: (hall.send(datagram(3, 9, key=token(4))), hall.send(datagram(9999, 9)),
                                         hall.send(datagram(3, 9, at=time.time() - SKEW - 3))))
    counted(hall, "malformed", 3, lambda: (hall.send(b""), hall.send(os.urandom(900)), hall.send(b"xunjian1 " + b"x" * 3000)))


def test_replay(hall):
    last = datagram(3, 50, at=time.time() + 1)
    counted(hall, "taken", 1, lambda: hall.send(last))
    counted(hall, "replayed", 2, lambda: (hall.send(last), hall.send(last, 6)))
    hall.pair.kill("agent")
    hall.pair.start("agent")
    wait("the agent hears again", lambda: hall.pair.ask("/-/ready", hall.pair.metrics))
    hall.send(last)
    wait("a replay after a restart is refused", lambda: sum(hall.ends().values()) == 1)
    check("not taken", hall.ends()["taken"] == 0, hall.ends())
    wait("a new one is taken when the time has come", lambda: hall.send(datagram(3, 51)) or hall.ends()["taken"] > 0, SKEW + 6)


def test_silence(hall):
    wait("silence is unknown, and says how long", lambda: re.search(r"silent for \d+s", hall.rows(3)))


def test_told(hall):
    """Others who are heard by the same way tell that it is not the agent who does not hear; those by another way do not."""
    counters = iter(range(1000000))

    def others_speak(of, family):
        hall.send(datagram(of, next(counters), at=time.time() + 1), family)
    wait("silence while others are heard is down", lambda: others_speak(1, 4) or re.search(
        r'"outcome": "down", "reason": "silent for \d+s, others are heard"', hall.rows(3)))
    counted(hall, "taken", 1, lambda: hall.send(datagram(3, 60, at=time.time() + 1)))
    wait("it is up again", lambda: '"outcome": "up"' in hall.rows(3))
    if not FULL: # a unit test has it as well
        return
    wait("silence while others are heard by another family is unknown", lambda: others_speak(2, 6) or re.search(
        r'"outcome": "unknown", "reason": "silent for [4-9]s"', hall.rows(3)))


def test_no_descriptors(hall):
    """Connections wait, and cost nothing meanwhile; afterwards all is well."""
    pid = hall.pair.processes["agent"].pid
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))
    waiting = socket.create_connection(("127.0.0.1", hall.https), 60)
    wait("it says so", lambda: "cannot accept a connection" in hall.pair.log("agent"))
    figures = [socket.create_connection(("127.0.0.1", hall.pair.metrics), 60)] if FULL else []
    if FULL:
        wait("the figures are not served", lambda: "figures are not served" in hall.pair.log("agent"))
    before = cpu_of(pid)
    time.sleep(1)
    check("it does not try at once, for ever", cpu_of(pid) - before < 0.5, cpu_of(pid) - before)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (resource.prlimit(pid, resource.RLIMIT_NOFILE)[1],) * 2)
    check("afterwards it is served", hall.curl(1) == "204")
    waiting.close()
    for s in figures:
        wait("the figures are served again", hall.ends)
        s.close()


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def engine_cpu(hall):
    return hall.pair.metric("process_cpu_seconds_total", hall.pair.metrics)


def test_cost(hall):
    """A minute's reports of all windows at once, as sealed datagrams."""
    rounds = 20 if FULL else 3
    reports = [(i, n) for n in range(1000, 1000 + rounds) for i in range(1, WINDOWS + 1)]
    before, began = hall.ends()["taken"], engine_cpu(hall)
    for sent, (i, n) in enumerate(reports):
        hall.send(datagram(i, n, at=time.time() + 1), 4 if sent % 2 else 6)
        if sent % 100 == 99:
            time.sleep(0.002)
    wait("they are taken", lambda: hall.ends()["taken"] - before >= 0.98 * len(reports))
    used, taken = engine_cpu(hall) - began, hall.ends()["taken"] - before
    each = used / taken
    print(f"  figure: {taken} of {len(reports)} datagrams taken, {each * 1e6:.1f} us CPU each: {WINDOWS} windows a minute are "
          f"{each * WINDOWS / 60 * 100:.4f} % of a core")
    for what, each in (("of its own", cost_https(hall, 400 if FULL else 60, False)), ("that is kept", cost_https(hall, 2000 if FULL else 500, True))):
        print(f"  figure: {each * 1e3:.2f} ms CPU for a report over HTTPS, over a connection {what}: {WINDOWS} windows a minute are "
              f"{each * WINDOWS / 60 * 100:.2f} % of a core")


class Window:
    """An end point that reports over HTTPS as a program of its own would."""

    def __init__(self, hall):
        self.hall = hall
        self.tls = ssl.create_default_context(cafile=hall.pair.path("pki/ca.pem"))
        self.connect()

    def connect(self):
        self.socket = self.tls.wrap_socket(socket.create_connection(("127.0.0.1", self.hall.https), 60), server_hostname="127.0.0.1")

    def report(self, i=1):
        self.socket.sendall(f"POST /heartbeat/window-{i:04} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token(i)}\r\n"
                            "Content-Length: 2\r\n\r\nup".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = self.socket.recv(4096)
            if not more:
                raise OSError("the connection was ended")
            answer += more
        return answer.split()[1] == b"204"

    def close(self):
        self.socket.close()


def cost_https(hall, requests, keeps):
    """CPU of the engine, s a report."""
    w = Window(hall)
    began, taken = engine_cpu(hall), 0
    for _ in range(requests):
        if not keeps:
            w.close()
            w.connect()
        taken += w.report()
    w.close()
    check("each report is taken", taken == requests, taken)
    return (engine_cpu(hall) - began) / requests


def descriptors(hall):
    return len(os.listdir(f"/proc/{hall.pair.processes['agent'].pid}/fd"))


def test_connections(hall):
    """Who reported keeps its connection, however many only connect; no more than the bound are open."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 2 * CONNECTIONS:
        print("  too few descriptors for as many connections: not tried")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before, memory = descriptors(hall), hall.pair.metric("process_resident_memory_bytes", hall.pair.metrics)
    kept = [Window(hall) for _ in range(20)]
    for i, w in enumerate(kept):
        w.report(i + 1)
    idle = [socket.create_connection(("127.0.0.1", hall.https), 60) for _ in range(CONNECTIONS - 10)]
    wait("no more than the bound are open", lambda: CONNECTIONS - 20 <= descriptors(hall) - before <= CONNECTIONS + 2, 60)
    more = Window(hall)
    check("a new one is let in", more.report(30))
    check("who reported is still connected", all(w.report(i + 1) for i, w in enumerate(kept)))
    grown = hall.pair.metric("process_resident_memory_bytes", hall.pair.metrics) - memory
    print(f"  figure: {grown / CONNECTIONS / 1024:.1f} KiB for each of {CONNECTIONS} connections that wait")
    for s in idle + kept + [more]:
        s.close()
    wait("all are closed", lambda: descriptors(hall) <= before + 2, 60)


def test_patience(hall):
    """At length alone: it is of time. Who reported is waited for, who only came is not."""
    if not FULL:
        return
    kept, stranger = Window(hall), socket.create_connection(("127.0.0.1", hall.https), 60)
    kept.report()
    began = time.monotonic()
    check("who only came is told to go", stranger.recv(1) == b"" and 8 < time.monotonic() - began < 30, time.monotonic() - began)
    time.sleep(max(0, began + 100 - time.monotonic()))
    check("who reported 100 s before is still connected", kept.report())
    kept.close()


def test_reload(hall):
    hall.write_windows(range(2, WINDOWS + 1))
    hall.pair.processes["agent"].send_signal(signal.SIGHUP)
    wait("it reloads", lambda: "reloaded" in hall.pair.log("agent"))
    check("who is not in the file is refused", hall.curl(1) == "401")
    check("the others are taken", hall.curl(2) == "204")
    wait("its check says so", lambda: "knows no window" in hall.rows(1))


def main():
    hall = Hall()
    try:
        hall.pair.start("collector")
        wait("the collector serves", lambda: hall.pair.ask("/-/ready"))
        hall.pair.start("agent")
        wait("the agent hears", lambda: hall.pair.ask("/-/ready", hall.pair.metrics))
        wait("the clock has passed the start", lambda: hall.send(datagram(3, 0)) or hall.ends()["taken"] > 0, SKEW + 6)
        for test in (test_reports, test_strangers, test_replay, test_silence, test_told, test_no_descriptors, test_cost, test_connections, test_patience, test_reload):
            test(hall)
    except AssertionError as e:
        print(f"FAILED: {e}\n{hall.pair.log('collector')[-1500:]}\n{hall.pair.log('agent')[-1500:]}")
        failures.append("wait")
    finally:
        hall.pair.clear()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
