"""An agent at rest: 100 checks a minute for a minute of real time, beside agents of others that are asked as often.

All run in the same minute. Ours measures each check over IPv4 and IPv6 (200 runs: 50 checks are rounds of 10 echoes, 25
TCP connections, 25 HTTP requests) and pushes to a collector. zabbix_agentd is asked for 100 items over its own protocol:
50 of its host, 25 TCP ports, 25 HTTP services, over IPv4. node_exporter is scraped every 15 seconds.
"""

import http.client
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

from bench import OURS, ROOT, Line, Measure, Missing, Work, children_of, end_with_parent, memory_of, precise_cpu_of, threads_of, times
from collector import Collector, free_port

WINDOW = float(os.environ.get("BENCH_AGENT_SECONDS", "60"))
HOST_ITEMS = ["system.cpu.util[,user]", "system.cpu.util[,system]", "system.cpu.util[,idle]", "system.cpu.load[all,avg1]",
              "vm.memory.size[available]", "vfs.fs.size[/,pused]", "net.if.in[lo]", "net.if.out[lo]", "system.uptime",
              "system.swap.size[,free]"]


class Place:
    """Everything started, observed for one window, and ended again; the measures wait in `seen`."""

    def __init__(self):
        self.seen, self.processes, self.folder, self.collector = None, {}, None, None

    def enter(self):
        pass

    def start(self, name, argv):
        if not shutil.which(argv[0]):
            return
        with open(os.path.join(self.folder, name + ".log"), "wb") as log:
            self.processes[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                    preexec_fn=end_with_parent, start_new_session=True)

    def observe(self):
        self.folder = tempfile.mkdtemp(prefix="xunjian-bench-")
        os.chmod(self.folder, 0o755)
        self.web = free_port()
        self.start_nginx()
        self.start_ours()
        self.zabbix, self.node = 20050, free_port()  # zabbix_agentd takes none above 32767
        with open(os.path.join(self.folder, "zabbix.conf"), "w", encoding="ascii") as f:
            f.write(f"LogType=console\nServer=127.0.0.1\nHostname=bench\nListenPort={self.zabbix}\nListenIP=127.0.0.1\n"
                    f"PidFile={self.folder}/zabbix.pid\nAllowRoot=1\n")
        self.start("zabbix_agentd", ["zabbix_agentd", "-c", os.path.join(self.folder, "zabbix.conf"), "-f"])
        self.start("node_exporter", ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{self.node}", "--log.level=error"])
        time.sleep(8)  # the first runs of all checks are behind, and what is loaded once is loaded
        dead = [name for name, p in self.processes.items() if p.poll() is not None]
        if dead:
            with open(os.path.join(self.folder, dead[0] + ".log"), encoding="utf-8", errors="replace") as f:
                raise ValueError(f"{dead[0]} ended: {f.read()[-300:]}")
        before, began = self.state(), time.monotonic()
        self.ask_for(WINDOW)
        wall, after = time.monotonic() - began, self.state()
        runs = after[OURS].pop("runs") - before[OURS].pop("runs")
        self.seen = {name: Measure(1, (after[name]["cpu"] - before[name]["cpu"]) * 60 / wall, wall, pss_mib=after[name]["pss"],
                                   threads=after[name]["threads"]) for name in after}
        self.seen[OURS].more["runs_a_minute"] = runs * 60 / wall

    def state(self):
        out = {}
        for name, p in self.processes.items():
            if name == "nginx":
                continue
            pids = children_of(p.pid)
            out[name] = {"cpu": precise_cpu_of(*pids), "pss": memory_of("Pss", *pids), "threads": threads_of(*pids)}
        out[OURS]["runs"] = self.runs()
        return out

    def runs(self):
        c = http.client.HTTPConnection("127.0.0.1", self.figures, timeout=5)
        c.request("GET", "/metrics")
        text = c.getresponse().read().decode()
        c.close()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith("xunjian_agent_results_total"))

    def start_nginx(self):
        temp = " ".join(f"{k}_temp_path {self.folder}/{k};" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(os.path.join(self.folder, "nginx.conf"), "w", encoding="ascii") as f:
            f.write(f"user root; worker_processes 1; pid {self.folder}/nginx.pid; events {{ }}\nhttp {{ access_log off; {temp} "
                    f"server {{ listen 127.0.0.1:{self.web}; listen [::1]:{self.web}; location / {{ return 200 'ok'; }} }} }}\n")
        self.start("nginx", ["nginx", "-e", self.folder + "/error.log", "-c", self.folder + "/nginx.conf", "-g", "daemon off;"])

    def start_ours(self):
        head = 'subject = "site/city"; vantages = ( "agent-0" ); interval = "60s"; ipv6 = "::1";'
        self.collector = Collector(1, 0, where=self.folder, lines=[
            *(f'{{ id = "icmp-{i}"; type = "icmp"; {head} host = "bench"; ipv4 = "127.0.1.{i}"; }}' for i in range(50)),
            *(f'{{ id = "tcp-{i}"; type = "tcp"; {head} host = "bench"; port = {self.web}; ipv4 = "127.0.0.1"; }}' for i in range(25)),
            *(f'{{ id = "http-{i}"; type = "http"; {head} url = "http://bench:{self.web}/"; ipv4 = "127.0.0.1"; }}' for i in range(25))])
        self.collector.ca("issue", "--ca", self.collector.at("pki"), "agent-0")
        self.collector.start()
        self.figures = free_port()
        with open(self.collector.at("agent.conf"), "w", encoding="ascii") as f:
            f.write(f'''id = "agent-0"; state = "agent"; log_level = "warn"; metrics = {{ listen = "127.0.0.1:{self.figures}"; }};
collector = {{ url = "https://127.0.0.1:{self.collector.port}"; ca = "pki/ca.pem"; certificate = "pki/agent-0.pem"; key = "pki/agent-0.key"; }};
''')
        self.start(OURS, [os.path.join(ROOT, "build", "release", "xunjian-agent"), "run", "-c", self.collector.at("agent.conf")])

    # ---- the questions of a minute, evenly

    def ask_for(self, seconds):
        items = [HOST_ITEMS[i % len(HOST_ITEMS)] for i in range(50)] + [f"net.tcp.port[127.0.0.1,{self.web}]"] * 25 + \
            [f"net.tcp.service[http,127.0.0.1,{self.web}]"] * 25
        began, count = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            if "zabbix_agentd" in self.processes:
                self.ask_zabbix(items[count % 100])
            if "node_exporter" in self.processes and count % 25 == 0:
                self.ask_node()
            count += 1
            time.sleep(max(0, began + count * 0.6 - time.monotonic()))

    def ask_zabbix(self, item):
        with socket.create_connection(("127.0.0.1", self.zabbix), timeout=5) as s:
            s.sendall(b"ZBXD\1" + struct.pack("<Q", len(item)) + item.encode())
            answer = b""
            while more := s.recv(4096):
                answer += more
        if b"NOTSUPPORTED" in answer:
            raise ValueError(f"zabbix_agentd does not know {item}")

    def ask_node(self):
        c = http.client.HTTPConnection("127.0.0.1", self.node, timeout=10)
        c.request("GET", "/metrics")
        if c.getresponse().read().count(b"\n") < 100:
            raise ValueError("node_exporter says nothing")
        c.close()

    def leave(self):
        for p in self.processes.values():
            p.terminate()
        for p in self.processes.values():
            p.wait()
        if self.collector:
            self.collector.remove()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.seen, self.processes, self.folder, self.collector = None, {}, None, None


place = Place()


def subject(name):
    def measure():
        if place.seen is None:
            place.seen = {}
            place.observe()
        if name not in place.seen:
            raise Missing(f"{name} is not installed, or did not run")
        return place.seen[name]
    return measure


def works():
    return [Work("agent", f"100 checks a minute over both families, {WINDOW:g} s of real time, scaled to a minute", "minute",
                 [(name, subject(name)) for name in (OURS, "zabbix_agentd", "node_exporter")], [
                     times("zabbix_agentd", 1, words=f"CPU a minute, zabbix_agentd : {OURS}"),
                     times("node_exporter", 1, words=f"CPU a minute, node_exporter : {OURS}"),
                     Line("CPU of one of our runs", lambda r: r.of(OURS) / r.of(OURS, "runs_a_minute") * 1e6, unit="us"),
                     Line("CPU of one item of zabbix_agentd", lambda r: r.of("zabbix_agentd") / 100 * 1e6, unit="us"),
                     Line("memory (PSS, engine and helper)", lambda r: r.of(OURS, "pss_mib"), 6, "MiB", at_most=True),
                     Line("threads", lambda r: r.of(OURS, "threads"), 3, "", at_most=True)], place, rounds=1)]
