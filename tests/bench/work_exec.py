"""Plugins: the same one started again and again, by ours (a user, a process namespace, limits and a deadline of its own for each)
and by runners that give it nothing but a process."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

from bench import OURS, Measure, Missing, Work, children_of, end_with_parent, precise_cpu_of, run_measured, times, tool

PLUGIN = "/usr/lib/nagios/plugins/check_dummy"
COUNT = 300
# The processes that it started and their own are told apart by nobody here: all of it is a runner's cost of a run.
RUNNER = f"""import resource, subprocess, time
for i in range({COUNT}):
    subprocess.run(["{PLUGIN}", "0", "fine"], stdout=subprocess.PIPE, check=True, timeout=10)
"""


class Place:
    def __init__(self):
        self.folder = None

    def enter(self):
        self.folder = tempfile.mkdtemp(prefix="xunjian-bench-")
        with open(f"{self.folder}/plugins.conf", "w", encoding="ascii") as f:
            f.write(f'plugins = ( {{ name = "dummy"; path = "{PLUGIN}"; }} );\n')
        self.port = 20051
        with open(f"{self.folder}/zabbix.conf", "w", encoding="ascii") as f:
            f.write(f"LogType=console\nServer=127.0.0.1\nHostname=bench\nListenPort={self.port}\nListenIP=127.0.0.1\nStartAgents=1\n"
                    f"PidFile={self.folder}/zabbix.pid\nAllowRoot=1\nUserParameter=dummy,{PLUGIN} 0 fine\n")

    def leave(self):
        shutil.rmtree(self.folder, ignore_errors=True)


place = Place()


def plugin():
    if not os.path.exists(PLUGIN):
        raise Missing("monitoring-plugins-basic is not installed")


def ours():
    plugin()
    p, _ = run_measured([tool("exec_load"), f"{place.folder}/plugins.conf", "nobody", str(COUNT), "1", "dummy", "0", "fine"], COUNT)
    f = json.loads(p.stdout)
    if f["up"] != COUNT:
        raise ValueError(f"exec: {f}")
    return Measure(COUNT, f["cpu_s"], f["wall_s"])


def shell():
    plugin()
    p, m = run_measured(["bash", "-c", f"for i in $(seq {COUNT}); do {PLUGIN} 0 fine >/dev/null || exit 1; done"], COUNT)
    if p.returncode != 0:
        raise ValueError(f"sh: {p.stderr}")
    return m


def python():
    plugin()
    idle = run_measured([sys.executable, "-c", "import resource, subprocess, time"], 1)[1]
    p, m = run_measured([sys.executable, "-c", RUNNER], COUNT)
    if p.returncode != 0:
        raise ValueError(f"python: {p.stderr}")
    return Measure(COUNT, m.more["cpu"] - idle.more["cpu"], m.more["wall"])


def ask(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(b"ZBXD\1" + struct.pack("<Q", 5) + b"dummy")
        answer = b""
        while more := s.recv(4096):
            answer += more
    if not answer.endswith(b"OK: fine"):
        raise ValueError(f"zabbix_agentd: {answer}")


def zabbix():
    """A UserParameter, asked for by its own protocol. The CPU of the plugins it has waited for is in that of its own processes."""
    plugin()
    if not shutil.which("zabbix_agentd"):
        raise Missing("zabbix-agent is not installed")
    p = subprocess.Popen(["zabbix_agentd", "-c", f"{place.folder}/zabbix.conf", "-f"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=end_with_parent)
    try:
        for _ in range(500):
            try:
                ask(place.port)
                break
            except OSError:
                time.sleep(0.02)
        pids = children_of(p.pid)
        before, began = precise_cpu_of(*pids) + waited_cpu_of(*pids), time.monotonic()
        for _ in range(COUNT):
            ask(place.port)
        return Measure(COUNT, precise_cpu_of(*pids) + waited_cpu_of(*pids) - before, time.monotonic() - began)
    finally:
        p.terminate()
        p.wait()


def waited_cpu_of(*pids):
    """CPU seconds of children that they have waited for, in ticks of 10 ms."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[13]) + int(fields[14])
    return total / os.sysconf("SC_CLK_TCK")


def works():
    return [Work("exec", f"check_dummy, {COUNT} times, one after the other; the plugin's own CPU is in all figures", "plugin",
                 [(OURS, ours), ("zabbix_agentd", zabbix), ("python", python), ("sh", shell)],
                 [times("zabbix_agentd", 1), times("python", 1), times("sh", None)], place)]
