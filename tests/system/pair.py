"""A collector and an agent on loopback in a temporary folder, for system tests of the two programs."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

from ports import free_port

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AGENT, COLLECTOR = (os.path.join(ROOT, "build", "xunjian-" + name) for name in ("agent", "collector"))
TOOLS = os.path.join(ROOT, "build", "release", "tests", "tools")
FULL = os.environ.get("FULL") == "1"


class Echo:
    """A TCP service on 127.0.0.1 and ::1 that says hello and ends; stop() and start() again on the same port."""

    def __init__(self):
        self.port, self.sockets = free_port(), []
        self.start()

    def start(self):
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            s = socket.socket(family)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, self.port))
            s.listen(64)
            self.sockets.append(s)
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        while True:
            try:
                client, _ = s.accept()
            except OSError:
                return
            with client:
                client.sendall(b"hello\n")

    def stop(self):
        for s in self.sockets:
            s.shutdown(socket.SHUT_RDWR)
            s.close()
        self.sockets = []


class Pair:
    """Settings of both, and their processes by name."""

    def __init__(self, checks=4, interval="1s"):
        self.folder = tempfile.mkdtemp(prefix="xunjian-test-")
        self.echo, self.ingest, self.web, self.metrics = Echo(), free_port(), free_port(), free_port()
        self.processes = {}
        self.checks = [f"echo-{i}" for i in range(checks)]
        os.makedirs(self.path("inventory.d"))
        self.write_inventory(interval)
        for argv in (["init", self.path("pki")], ["issue", "--ca", self.path("pki"), "--ip", "127.0.0.1", "collector"],
                     ["issue", "--ca", self.path("pki"), "agent-1"]):
            subprocess.run([COLLECTOR, "ca", *argv], check=True, stdout=subprocess.DEVNULL)
        self.write("collector.conf", f'''name = "test"; state = "collector"; inventory = "inventory.d";
ingest = {{ listen = "127.0.0.1:{self.ingest}"; ca = "pki/ca.pem"; certificate = "pki/collector.pem";
  key = "pki/collector.key"; batches_per_minute = 60000; }};
series = {{ archives = ( {{ keep = "1h"; }} ); }};
web = {{ listen = "127.0.0.1:{self.web}"; }};
''')
        self.write_agent("agent")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def write_inventory(self, interval):
        checks = ",\n".join(f'''  {{ id = "{c}"; type = "tcp"; subject = "system/portal"; vantages = [ "agent-1" ]; interval = "{interval}";
    timeout = "900ms"; host = "localhost"; port = {self.echo.port}; expect = "hello"; }}''' for c in self.checks)
        self.write("inventory.d/all.conf", f'''units = ( {{ id = "unit"; name = "单位"; }} );
systems = ( {{ id = "portal"; unit = "unit"; name = "门户"; }} );
sites = ( {{ id = "city"; level = "city"; name = "市"; }} );
agents = ( {{ id = "agent-1"; name = "观测点"; site = "city"; }} );
checks = (
{checks}
);
''')

    def write_agent(self, state, more="", name="agent", metrics=None):
        self.write(name + ".conf", f'''id = "agent-1"; state = "{state}";
collector = {{ url = "https://127.0.0.1:{self.ingest}"; ca = "pki/ca.pem"; certificate = "pki/agent-1.pem"; key = "pki/agent-1.key"; }};
metrics = {{ listen = "127.0.0.1:{metrics or self.metrics}"; }};
{more}''')

    def start(self, name, wrap=(), program=None):
        """The collector, or the agent of NAME.conf; wrap: words before the program, which may be that of a mutant."""
        program = program or (COLLECTOR if name == "collector" else AGENT)
        with open(self.path(name + ".log"), "ab") as log:
            self.processes[name] = subprocess.Popen([*wrap, program, "run", "-c", self.path(name + ".conf")], stdin=subprocess.DEVNULL,
                                                    stdout=log, stderr=log, start_new_session=True)

    def kill(self, name):
        """SIGKILL to all its processes at once."""
        p = self.processes.pop(name)
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()

    def stop(self, name, timeout=10):
        """SIGTERM; exit status and seconds that the end took."""
        p, began = self.processes.pop(name), time.monotonic()
        p.terminate()
        return p.wait(timeout), time.monotonic() - began

    def ask(self, path, port=None):
        with urllib.request.urlopen(f"http://127.0.0.1:{port or self.web}{path}", timeout=30) as answer:
            return answer.read().decode()

    def metric(self, name, port=None):
        for line in self.ask("/metrics", port).splitlines():
            if line.split("{")[0].split(" ")[0] == name:
                return float(line.rsplit(" ", 1)[1])
        raise KeyError(name)

    def log(self, name):
        with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def clear(self):
        for name in list(self.processes):
            self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)


def wait(what, question, seconds=60, pause=0.02):
    """Asks until question() gives something true; gives that. The bound only ends what has failed: a busy machine may be slow."""
    end, error = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            answer = question()
            if answer:
                return answer
        except (OSError, KeyError, ValueError) as e:
            error = e
        time.sleep(pause)
    raise AssertionError(f"{what}: not within {seconds} s ({error})")
