"""A whole collector with virtual agents (tests/tools/flood), for the works that measure it."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from bench import ROOT, children_of, cpu_of, end_with_parent, memory_of, tool

LINES_OF_FILE = 50000
PROGRAM = os.path.join(ROOT, "build", "release", "xunjian-collector")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Collector:
    """agents x checks, each over both families, once a minute of virtual time; or the checks that are given, of one agent."""

    def __init__(self, agents, checks, series='flush_within = "2s"; archives = ( { keep = "1h"; } );', where=None, lines=None):
        self.agents, self.checks = agents, checks
        self.folder = tempfile.mkdtemp(prefix="xunjian-bench-", dir=where)
        self.port, self.web, self.process = free_port(), free_port(), None
        self.ca("init", self.at("pki"))
        self.ca("issue", "--ca", self.at("pki"), "--ip", "127.0.0.1", "collector")
        os.mkdir(self.at("inventory.d"))
        with open(self.at("inventory.d/all.conf"), "w", encoding="ascii") as f:
            f.write('units = ( { id = "u"; } );\nsites = ( { id = "city"; level = "city"; }')
            f.write("".join(f',\n{{ id = "town-{i}"; level = "town"; parent = "city"; }}' for i in range(agents)) + " );\nagents = ( ")
            f.write(",\n".join(f'{{ id = "agent-{i}"; site = "town-{i}"; }}' for i in range(agents)) + " );\n")
        lines = lines or [
            f'{{ id = "check-{i}-{k}"; type = "icmp"; subject = "site/town-{i}"; vantages = ( "agent-{i}" ); interval = "60s"; '
            'host = "192.0.2.77"; }' for i in range(agents) for k in range(checks)]
        for i in range(0, len(lines), LINES_OF_FILE):
            with open(self.at(f"inventory.d/checks-{i:06}.conf"), "w", encoding="ascii") as f:
                f.write("checks = ( " + ",\n".join(lines[i:i + LINES_OF_FILE]) + " );\n")
        with open(self.at("collector.conf"), "w", encoding="ascii") as f:
            f.write(f'''name = "bench"; state = "state"; inventory = "inventory.d"; log_level = "warn";
ingest: {{ listen = [ "127.0.0.1:{self.port}" ]; ca = "pki/ca.pem"; certificate = "pki/collector.pem";
  key = "pki/collector.key"; max_connections = {max(1000, agents * 2)}; batches_per_minute = 100000; idle_timeout = "1h"; }};
series: {{ {series} }};
web: {{ listen = [ "127.0.0.1:{self.web}" ]; }};
''')

    def at(self, name):
        return os.path.join(self.folder, name)

    def ca(self, *words):
        subprocess.run([PROGRAM, "ca", *words], check=True, stdout=subprocess.DEVNULL)

    def start(self, seconds=120):
        """Returns how long it took until all is ready; `listening` is when agents were served."""
        self.began = began = time.monotonic()
        with open(self.at("log"), "ab") as log:
            self.process = subprocess.Popen([PROGRAM, "run", "-c", self.at("collector.conf")], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True, preexec_fn=end_with_parent)
        self.listening = None
        while not (self.listens() and self.answers("/-/ready")):
            if self.process.poll() is not None or time.monotonic() - began > seconds:
                with open(self.at("log"), encoding="utf-8", errors="replace") as f:
                    raise ValueError("the collector does not serve: " + f.read()[-400:])
            time.sleep(0.002)
        return time.monotonic() - began

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            self.listening = self.listening or time.monotonic() - self.began
            return True
        except OSError:
            return False

    def get(self, path, timeout=60):
        c = http.client.HTTPConnection("127.0.0.1", self.web, timeout=timeout)
        c.request("GET", path)
        answer = c.getresponse()
        body = answer.read()
        c.close()
        if answer.status != 200:
            raise ValueError(f"{path}: status {answer.status} {body[:200]}")
        return body

    def answers(self, path):
        try:
            self.get(path, 5)
            return True
        except (OSError, ValueError, http.client.HTTPException):
            return False

    def metrics(self):
        text = self.get("/metrics").decode()
        return {m.group(1): float(m.group(2)) for m in re.finditer(r"(?m)^xunjian_(\w+) (\S+)$", text)}

    def pids(self):
        return children_of(self.process.pid)

    def role(self, word):
        """The pids of a role, by the name of its process."""
        return [p for p in self.pids() if word in open(f"/proc/{p}/cmdline").read() + open(f"/proc/{p}/comm").read()]

    def cpu(self):
        return cpu_of(*self.pids())

    def memory(self):
        return memory_of("Pss", *self.pids())

    def wait_written(self, seconds=300):
        """Until all that was acknowledged stands in files."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            m = self.metrics()  # without those of series when it is busy
            if m.get("series_behind_entries") == 0 and m["series_queued_sets"] == 0:
                return m
            time.sleep(0.25)
        raise ValueError(f"series are behind after {seconds} s: {m}")

    def stop(self, number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def remove(self):
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class Flood:
    """The virtual agents; their batches are made when this returns."""

    def __init__(self, collector, rounds, window=64):
        self.process = subprocess.Popen(
            [tool("flood"), f"127.0.0.1:{collector.port}", collector.at("pki"), f"agents={collector.agents}",
             f"checks={collector.checks}", f"rounds={rounds}", f"window={window}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=end_with_parent)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise ValueError(f"flood ended with status {self.process.wait()}")
        return line.strip()

    def say(self, words):
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        figures = json.loads(self.answer())
        if figures["failed"]:
            raise ValueError(f"flood: {figures}")
        return figures

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)
