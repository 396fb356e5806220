"""The collector as a store: network to synced journal to RRD, beside rrdcached and two databases of time series.

The same numbers everywhere: 7,680 series of a check, each with 13 columns once a minute: 99,840 columns. Ours come
over mutual TLS as agents send them; rrdcached is told over a unix socket, the databases by remote write over HTTP.
Load is made before the clock runs and its CPU is not counted.
ack: half an hour of all as fast as it is acknowledged, nothing of it written to files yet.
store: five minutes of all, then until all is written (rrdcached: FLUSHALL; the databases write later, and merge more
than is seen here: that is in their favour, as is that the kernel's writing back of pages is charged to nobody, while
ours waits for its own with fdatasync).
"""

import http.client
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

from bench import OURS, Line, Measure, Missing, Work, cpu_of, end_with_parent, memory_of, run_measured, times, tool
from collector import Collector, Flood, free_port

AGENTS, CHECKS, COLUMNS = 8, 480, 13
MINUTES, ACK_MINUTES, PASSES = 5, 30, 5
SETS = AGENTS * CHECKS * 2


def wait_for(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise ValueError(f"{what} does not answer")
        time.sleep(0.02)


class Place:
    """Subjects that run on through the rounds; made when first asked for."""

    def __init__(self):
        self.running, self.folder = {}, None

    def enter(self):
        self.folder = self.folder or tempfile.mkdtemp(prefix="xunjian-bench-")

    def get(self, subject):
        if subject not in self.running:
            self.running[subject] = subject()
        return self.running[subject]

    def leave(self):
        for s in self.running.values():
            s.remove()
        self.running = {}
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = None


place = Place()


class Process:
    """A peer: a program with a folder of its own."""

    def start(self, name, argv, ready):
        if not shutil.which(argv[0]):
            raise Missing(f"{name} is not installed")
        self.name, self.folder = name, os.path.join(place.folder, name)
        os.makedirs(self.folder, exist_ok=True)
        self.process = subprocess.Popen([a.format(folder=self.folder) for a in argv], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=end_with_parent)
        wait_for(ready, name)

    def cpu(self):
        return cpu_of(self.process.pid)

    def memory(self):
        return memory_of("Pss", self.process.pid)

    def remove(self):
        self.process.terminate()
        self.process.wait()

    def acknowledge(self):
        self.prepare(ACK_MINUTES)
        before, began = self.cpu(), time.monotonic()
        self.send(ACK_MINUTES)
        wall = time.monotonic() - began
        return Measure(SETS * ACK_MINUTES, self.cpu() - before, wall, sets_per_s=SETS * ACK_MINUTES / wall)

    def store(self):
        self.prepare(MINUTES)
        before, began = self.cpu(), time.monotonic()
        self.send(MINUTES)
        self.drain()
        return Measure(SETS * MINUTES, self.cpu() - before, time.monotonic() - began, pss_mib=self.memory())


class Ours(Process):
    flush_within, minutes = "4s", 1 + MINUTES * PASSES

    def __init__(self):
        self.collector = Collector(AGENTS, CHECKS, f'flush_within = "{self.flush_within}"; archives = ( {{ keep = "1h"; }} );',
                                   place.folder)
        self.collector.start()
        self.flood = Flood(self.collector, self.minutes)
        self.flood.say("connect")
        self.send(1)  # makes the files
        self.collector.wait_written()

    def cpu(self):
        return self.collector.cpu()

    def memory(self):
        return self.collector.memory()

    def prepare(self, minutes):
        if self.minutes < minutes:
            raise Missing("no more rounds are prepared")

    def send(self, minutes):
        self.minutes -= minutes
        self.flood.say(f"send {minutes}")

    def drain(self):
        self.collector.wait_written()

    def remove(self):
        self.flood.end()
        self.collector.remove()


class OursAlone(Ours):
    """What is acknowledged stays in queues; the CPU of ingest alone."""
    flush_within, minutes = "5m", 1 + ACK_MINUTES * PASSES

    def cpu(self):
        return cpu_of(*self.collector.role("xj-ingest"))


def numbers(rng):
    """13 columns as a quiet network has them."""
    return [1, 5, 0, 0, *(round(300e-6 + rng.randrange(900) / 1e6, 6) for _ in range(6)), 0, 0, 61]


class Rrdcached(Process):
    """With its journal, of which nothing is synced; four clients with BATCHes of 1,000 lines."""

    def __init__(self):
        base = os.path.join(place.folder, "rrdcached")
        for name in ("data", "journal"):
            os.makedirs(os.path.join(base, name), exist_ok=True)
        self.now = 1700000040
        first = os.path.join(base, "data", "0.rrd")
        if not shutil.which("rrdtool"):
            raise Missing("rrdtool is not installed")
        subprocess.run(["rrdtool", "create", first, "--start", str(self.now), "--step", "60",
                        *(f"DS:c{i}:GAUGE:180:U:U" for i in range(COLUMNS)), "RRA:AVERAGE:0.5:1:60"], check=True)
        for i in range(1, SETS):
            shutil.copyfile(first, os.path.join(base, "data", f"{i}.rrd"))
        self.path = os.path.join(base, "socket")
        self.start("rrdcached", ["rrdcached", "-g", "-l", "unix:{folder}/socket", "-b", "{folder}/data", "-j", "{folder}/journal",
                                 "-w", "3600", "-z", "1", "-f", "7200", "-t", "4", "-p", "{folder}/pid"],
                   lambda: os.path.exists(self.path))
        self.store()  # the first touch of each file opens it

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.path)
        return s, s.makefile("rb")

    def prepare(self, minutes):
        rng = random.Random(self.now)
        self.batches = [[] for _ in range(4)]
        for _ in range(minutes):
            self.now += 60
            lines = [f"UPDATE {i}.rrd {self.now}:" + ":".join(map(str, numbers(rng))) + "\n" for i in range(SETS)]
            for k, at in enumerate(range(0, SETS, 1000)):
                self.batches[k % 4].append("BATCH\n" + "".join(lines[at:at + 1000]) + ".\n")

    def send(self, _minutes):
        failed = []

        def client(batches):
            s, answers = self.connect()
            for b in batches:
                s.sendall(b.encode())
                answers.readline()  # go ahead
                if not answers.readline().startswith(b"0 "):
                    failed.append(b[:80])
            s.close()
        threads = [threading.Thread(target=client, args=(b,)) for b in self.batches]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if failed:
            raise ValueError(f"rrdcached refused {len(failed)} batches")

    def drain(self):
        s, answers = self.connect()

        def ask(words):
            s.sendall(words)
            lines = int(answers.readline().split()[0])
            return dict(answers.readline().decode().strip().split(": ") for _ in range(max(lines, 0)))
        before = int(ask(b"STATS\n")["DataSetsWritten"])
        s.sendall(b"FLUSHALL\n")
        answers.readline()
        wait_for(lambda: int(ask(b"STATS\n")["DataSetsWritten"]) >= before + SETS * MINUTES, "FLUSHALL", 120)
        s.close()


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(tag, data):
    return varint(tag << 3 | 2) + varint(len(data)) + data


def snappy(data):
    """Literals alone, which is snappy as well."""
    out = bytearray(varint(len(data)))
    for at in range(0, len(data), 65536):
        piece = data[at:at + 65536]
        out += b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


class RemoteWrite(Process):
    """A database that takes remote write: 5,000 samples a request, two connections."""

    def __init__(self, name, argv, path, settled):
        self.port, self.path, self.settled = free_port(), path, settled
        self.start(name, [a.replace("{port}", str(self.port)) for a in argv], self.listens)
        label = lambda k, v: field(1, field(1, k.encode()) + field(2, v.encode()))  # noqa: E731
        self.labels = [label("__name__", f"icmp_c{c}") + label("check", f"check-{i // 960}-{i // 2 % 480}") +
                       label("family", str(4 + i % 2 * 2)) + label("vantage", f"agent-{i // 960}")
                       for i in range(SETS) for c in range(COLUMNS)]
        self.now = int(time.time()) * 1000 - (1 + MINUTES * PASSES) * 60000
        self.prepare(1)
        self.send(1)  # makes the index
        self.drain()

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def prepare(self, minutes):
        self.requests = []
        for _ in range(minutes):
            self.now += 60000
            rng, stamp = random.Random(self.now), b"\x10" + varint(self.now)
            values = [v for _ in range(SETS) for v in numbers(rng)]
            samples = [field(1, label + field(2, b"\x09" + struct.pack("<d", v) + stamp)) for label, v in zip(self.labels, values)]
            self.requests += [snappy(b"".join(samples[at:at + 5000])) for at in range(0, len(samples), 5000)]

    def send(self, _minutes):
        bad = []

        def client(requests):
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            for r in requests:
                c.request("POST", self.path, r, {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
                                                 "X-Prometheus-Remote-Write-Version": "0.1.0"})
                answer = c.getresponse()
                said = answer.read()
                if answer.status // 100 != 2:
                    bad.append((answer.status, said[:200]))
        threads = [threading.Thread(target=client, args=(self.requests[k::2],)) for k in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if bad:
            raise ValueError(f"{self.name}: {bad[0]}")

    def drain(self):
        time.sleep(self.settled)


def victoria():
    return RemoteWrite("victoria-metrics", ["victoria-metrics", "-storageDataPath={folder}/data", "-loggerLevel=ERROR",
                                            "-httpListenAddr=127.0.0.1:{port}"], "/api/v1/write", 4)


def prometheus():
    with open(os.path.join(place.folder, "prometheus.yml"), "w", encoding="ascii") as f:
        f.write("global: {scrape_interval: 1m}\n")
    return RemoteWrite("prometheus", ["prometheus", "--web.enable-remote-write-receiver", "--storage.tsdb.path={folder}/data",
                                      f"--config.file={place.folder}/prometheus.yml", "--log.level=error",
                                      "--web.listen-address=127.0.0.1:{port}"], "/api/v1/write", 1)


def store(make):
    return lambda: place.get(make).store()


def acknowledge(make):
    return lambda: place.get(make).acknowledge()


def rrd_rounds():
    """tests/tools/series_bench: rounds of ours and librrd alone with the same bundles, in turn, in one process."""
    folder = os.path.join(place.folder, "series_bench")
    p, m = run_measured([tool("series_bench"), folder, "files=1000", "sets=5", "rounds=4", "archives=0:10800"], 20000)
    shutil.rmtree(folder, ignore_errors=True)
    cost = {k: float(v) for k, v in re.findall(r"(?m)^(librrd alone|in rounds) .*?([\d.]+) us of CPU", p.stdout)}
    wall, cpu = re.search(r"ratio: ([\d.]+) by wall time .*?, ([\d.]+) by CPU", p.stdout).groups()
    return Measure(20000, cost["in rounds"] * 20000 / 1e6, m.more["wall"], librrd_us=cost["librrd alone"], ratio_cpu=float(cpu),
                   ratio_wall=float(wall))


def works():
    return [
        Work("ack", "half an hour of 7,680 series x 13 columns, to the journal: ours synced, over TLS; rrdcached not, over a unix socket",
             "value set", [(OURS, acknowledge(OursAlone)), ("rrdcached", acknowledge(Rrdcached))], [
                 Line(f"acknowledged value sets per second, {OURS} : rrdcached",
                      lambda r: r.of(OURS, "sets_per_s") / r.of("rrdcached", "sets_per_s"), 2),
                 Line("acknowledged value sets per second", lambda r: r.of(OURS, "sets_per_s"), unit="/s")], place),
        Work("store", "five minutes of 7,680 series x 13 columns, to the files", "value set", [
            (OURS, store(Ours)), ("rrdcached", store(Rrdcached)), ("victoria-metrics", store(victoria)),
            ("prometheus", store(prometheus))], [
                Line("CPU per value, network to journal to RRD", lambda r: r.of(OURS) / COLUMNS * 1e6, unit="us"),
                times("victoria-metrics", 1, words=f"CPU per value, victoria-metrics : {OURS}"),
                times("prometheus", 3, words=f"CPU per value, prometheus : {OURS}"),
                Line("memory at 100,000 columns, victoria-metrics : " + OURS,
                     lambda r: r.of("victoria-metrics", "pss_mib") / r.of(OURS, "pss_mib"), 1)], place),
        Work("rrd", "rounds of writing beside bare librrd, 1,000 files, 5 value sets each", "value set", [(OURS, rrd_rounds)], [
            Line("CPU, librrd alone : in rounds", lambda r: r.of(OURS, "ratio_cpu"), 0.8),
            Line("wall time (ours is synced, librrd alone is not)", lambda r: r.of(OURS, "ratio_wall"), 0.8)], place),
    ]
