"""The own host: one cycle of all host types, beside a scrape of node_exporter; and processes alone."""

import http.client
import shutil
import subprocess
import time

from bench import OURS, Line, Measure, Missing, Work, end_with_parent, precise_cpu_of, run_measured, times, tool
from collector import free_port

TYPES = ["cpu", "memory", "load", "disk", "interface", "pressure", "protocol", "descriptors", "entropy", "uptime", "self", "clock", "process"]
CYCLES, SCRAPES = 200, 20


def ours():
    return run_measured([tool("host_load"), str(CYCLES), *TYPES], CYCLES)[1]


def processes():
    return run_measured([tool("host_load"), str(CYCLES), "process"], CYCLES)[1]


def scrape(port):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    c.request("GET", "/metrics")
    lines = c.getresponse().read().count(b"\n")
    c.close()
    if lines < 100:
        raise ValueError("node_exporter says nothing")


def node_exporter():
    if not shutil.which("prometheus-node-exporter"):
        raise Missing("node_exporter is not installed")
    port = free_port()
    p = subprocess.Popen(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=end_with_parent)
    try:
        for _ in range(100):
            try:
                scrape(port)
                break
            except OSError:
                time.sleep(0.05)
        scrape(port)
        began, before = time.monotonic(), precise_cpu_of(p.pid)
        for _ in range(SCRAPES):
            scrape(port)
        return Measure(SCRAPES, precise_cpu_of(p.pid) - before, time.monotonic() - began)
    finally:
        p.terminate()
        p.wait()


def works():
    return [Work("host", "one look at the own host: processors, memory, disks, interfaces, protocols, pressure ...", "cycle",
                 [(OURS, ours), ("node_exporter", node_exporter), ("processes", processes)],
                 [Line("CPU of a cycle", lambda r: r.of(OURS) * 1e3, 1, "ms", at_most=True), times("node_exporter", 1),
                  Line("CPU of a cycle of the type process", lambda r: r.of("processes") * 1e3, unit="ms")], rounds=5)]
