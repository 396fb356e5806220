"""Probing: the same targets in a namespace behind a veth pair, both families.

The kernel's work for the answering side runs in the sender's softirq, so every subject is charged with it alike, and
ratios come out smaller than between two machines.
"""

import http.client
import ipaddress
import json
import os
import shutil
import subprocess
import tempfile
import time

import box
from bench import OURS, Line, Measure, Missing, Work, cpu_of, end_with_parent, run_measured, times, tool

PLUGINS = "/usr/lib/nagios/plugins"
FIRST4, FIRST6 = "198.18.0.1", "2001:db8:b::1"
SLOW4 = "198.18.0.2"  # of a device that takes a millisecond for each answer
TARGETS, ECHOES = 1500, 20
INTERFACES, COLUMNS_READ, COLUMNS = 100, 12, 16  # of the device: what our type reads of them, what it has
AT_ONCE = 16  # readings of it


def addresses(first, count):
    a = ipaddress.ip_address(first)
    return [str(a + i) for i in range(count)]


class Field:
    """Namespaces `prober` and `target` (all addresses, an nginx on all of them); made once for all works of this module."""

    def __init__(self):
        self.folder = self.nginx = self.blackbox = self.snmp_exporter = None
        self.devices = {}

    def enter(self):
        if self.folder:
            return
        self.folder = tempfile.mkdtemp(prefix="xunjian-bench-")
        n = self.network = box.Network()
        n.prepare()
        for name in ("prober", "target"):
            n.add(name)
        n.join("prober", "target", *box.ends("192.0.2.1", "2001:db8::1"))
        n.sh("prober", "ip", "route", "add", "198.18.0.0/16", "via", "192.0.2.1")
        n.sh("prober", "ip", "-6", "route", "add", "2001:db8:b::/48", "via", "2001:db8::1")
        n.sh("target", "ip", "route", "add", "local", "198.18.0.0/16", "dev", "lo")
        n.sh("target", "ip", "-6", "route", "add", "local", "2001:db8:b::/48", "dev", "lo")
        for ns in ("prober", "target"):
            n.sh(ns, "sysctl", "-qw", "net.ipv4.icmp_msgs_per_sec=10000000", "net.ipv4.icmp_ratemask=0")
        n.sh("prober", "sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_tw_reuse=1")
        self.start_nginx()

    def start_nginx(self):
        if not shutil.which("nginx"):
            raise SystemExit("bench: nginx-light is not installed")
        box.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", "/CN=bench", "-addext", "subjectAltName=DNS:bench,IP:198.18.0.1,IP:2001:db8:b::1",
                "-keyout", f"{self.folder}/key.pem", "-out", f"{self.folder}/cert.pem")
        os.makedirs(f"{self.folder}/www")
        with open(f"{self.folder}/www/index.html", "w", encoding="ascii") as f:
            f.write("<!doctype html><title>bench</title>" + "x" * 500)
        temp = " ".join(f"{k}_temp_path {self.folder}/{k};" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(f"{self.folder}/nginx.conf", "w", encoding="ascii") as f:
            f.write(f"""user root; worker_processes 1; pid {self.folder}/pid; error_log {self.folder}/error.log;
events {{ worker_connections 8192; }}
http {{ access_log off; {temp}
 server {{ listen 80 backlog=4096; listen [::]:80 backlog=4096; listen 443 ssl; listen [::]:443 ssl;
 ssl_certificate {self.folder}/cert.pem; ssl_certificate_key {self.folder}/key.pem; ssl_session_cache off;
 ssl_session_tickets off; root {self.folder}/www; }} }}
""")
        self.nginx = self.start("target", ["nginx", "-e", f"{self.folder}/error.log", "-c", f"{self.folder}/nginx.conf",
                                      "-g", "daemon off;"])
        self.wait_for_port("198.18.0.1", 443)

    def start(self, namespace, argv):
        def before():
            end_with_parent()
            box.enter_netns(namespace)
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                preexec_fn=before)

    def run(self, argv, units, **kwargs):
        """In the prober's namespace."""
        wrapped = ["nsenter", "--net=/run/netns/prober", "--", *argv]
        return run_measured(wrapped, units, **kwargs)

    def wait_for_port(self, host, port):
        end = time.monotonic() + 10
        while subprocess.run(["ip", "netns", "exec", "prober", "bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}"],
                             stderr=subprocess.DEVNULL).returncode != 0:
            if time.monotonic() > end:
                raise SystemExit(f"bench: nothing listens on {host} port {port}")

    def leave(self):
        for p in (self.nginx, self.blackbox, *self.devices.values(), self.snmp_exporter):
            if p:
                p.terminate()
                p.wait()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        subprocess.run(["umount", "-l", "/run"], check=False)
        self.folder = self.nginx = self.blackbox = self.snmp_exporter = None
        self.devices = {}

    def start_device(self, address):
        """A device of INTERFACES interfaces."""
        if address not in self.devices:
            self.devices[address] = self.start("target", [tool("snmp_device"), address, "161", str(INTERFACES),
                                                          "1" if address == SLOW4 else "0"])

    def start_snmp_exporter(self):
        if self.snmp_exporter:
            return
        if not shutil.which("prometheus-snmp-exporter"):
            raise Missing("prometheus-snmp-exporter is not installed")
        tables = {"1.3.6.1.2.1.2.2.1": {2: "DisplayString", 5: "gauge", 7: "gauge", 8: "gauge", 10: "counter", 13: "counter",
                                        14: "counter", 16: "counter", 19: "counter", 20: "counter"},
                  "1.3.6.1.2.1.31.1.1.1": {1: "DisplayString", 6: "counter", 10: "counter", 15: "gauge", 18: "DisplayString",
                                           19: "gauge"}}
        with open(f"{self.folder}/snmp.yml", "w", encoding="ascii") as f:
            f.write("ifs:\n  walk: [1.3.6.1.2.1.2.2, 1.3.6.1.2.1.31.1.1]\n  version: 2\n  max_repetitions: 48\n"
                    "  auth: {community: public}\n  metrics:\n")
            for table, columns in tables.items():
                f.writelines(f"  - {{name: m{len(table)}_{c}, oid: {table}.{c}, type: {kind}, help: x, indexes: [{{labelname: i, "
                             f"type: gauge}}]}}\n" for c, kind in columns.items())
        self.snmp_exporter = self.start("prober", ["prometheus-snmp-exporter", f"--config.file={self.folder}/snmp.yml",
                                                   "--web.listen-address=127.0.0.1:9116", "--log.level=error"])
        self.wait_for_port("127.0.0.1", 9116)

    def start_blackbox(self):
        if self.blackbox:
            return
        if not shutil.which("prometheus-blackbox-exporter"):
            raise Missing("prometheus-blackbox-exporter is not installed")
        with open(f"{self.folder}/bb.yml", "w", encoding="ascii") as f:
            f.write("""modules:
  http4: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}}
  tcp4: {prober: tcp, timeout: 5s}
  dns4: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: portal.gov.example, query_type: A,
    validate_answer_rrs: {fail_if_none_matches_regexp: ['192\\.0\\.2\\.10']}}}
  icmp4: {prober: icmp, timeout: 5s, icmp: {preferred_ip_protocol: ip4}}
  icmp6: {prober: icmp, timeout: 5s, icmp: {preferred_ip_protocol: ip6}}
""")
        self.blackbox = self.start("prober", ["prometheus-blackbox-exporter", f"--config.file={self.folder}/bb.yml",
                                         "--web.listen-address=127.0.0.1:9115", "--log.level=error"])
        self.wait_for_port("127.0.0.1", 9115)


field = Field()


# ---------------------------------------------------------------- subjects


def load(probe, first, targets, concurrency, *options, units=None, results=None):
    """Our runner and probe types; its own account of CPU."""
    def measure():
        p, _ = field.run([tool("probe_load"), probe, first, str(targets), str(concurrency),
                          *(o.format(folder=field.folder) for o in options)], units or targets)
        f = json.loads(p.stdout)
        if f["up"] != (results or targets):
            raise ValueError(f"{probe}: {f}")
        more = {k: f[k] for k in ("lost", "rtt_min_us", "rtt_p50_us", "rtt_p99_us") if k in f}
        return Measure(units or targets, f["cpu_s"], f["wall_s"], **more)
    return measure


def fping(family, first, *options):
    def measure():
        if not shutil.which("fping"):
            raise Missing("fping is not installed")
        p, m = field.run(["fping", f"-{family}", "-q", *options], 0, input="\n".join(addresses(first, TARGETS)))
        sent, rtts = 0, []
        for line in p.stderr.splitlines():
            if " : " in line:
                values = line.split(" : ")[1].split()
                sent += len(values)
                rtts += [float(v) * 1000 for v in values if v != "-"]
        rtts.sort()
        return Measure(sent, m.more["cpu"], m.more["wall"], lost=sent - len(rtts), rtt_min_us=rtts[0],
                       rtt_p50_us=rtts[len(rtts) // 2], rtt_p99_us=rtts[len(rtts) * 99 // 100])
    return measure


def blackbox(module, target, count):
    """Over one kept connection, one probe after the other; the CPU of the exporter alone."""
    def measure():
        field.start_blackbox()
        before, began = cpu_of(field.blackbox.pid), time.monotonic()
        pid = os.fork()
        if pid == 0:
            good = 0
            try:
                box.enter_netns("prober")
                c = http.client.HTTPConnection("127.0.0.1", 9115, timeout=10)
                for _ in range(count):
                    c.request("GET", f"/probe?module={module}&target={target}")
                    good += b"probe_success 1" in c.getresponse().read()
            finally:
                os._exit(0 if good == count else 1)
        if os.waitpid(pid, 0)[1] != 0:
            raise ValueError(f"blackbox_exporter did not probe {target} well")
        return Measure(count, cpu_of(field.blackbox.pid) - before, time.monotonic() - began)
    return measure


def snmp(address, count):
    """Whole runs of our type: walks, rates, a result for each interface."""
    def measure():
        field.start_device(address)
        return load("snmp", address, count, AT_ONCE, "host=" + address, "community=public", units=count * INTERFACES * COLUMNS_READ,
                    results=count * (1 + INTERFACES))()
    return measure


def snmpbulkwalk(address, count):
    """A process for each table, its text thrown away."""
    def measure():
        if not shutil.which("snmpbulkwalk"):
            raise Missing("snmp is not installed")
        field.start_device(address)
        walk = f"snmpbulkwalk -m '' -On -v2c -c public -Cr48 {address}"
        line = f"for i in $(seq {count}); do {walk} 1.3.6.1.2.1.2.2 && {walk} 1.3.6.1.2.1.31.1.1 || exit 1; done | wc -l"
        p, m = field.run(["bash", "-o", "pipefail", "-c", line], count * INTERFACES * COLUMNS)
        if int(p.stdout) != count * INTERFACES * COLUMNS:
            raise ValueError(f"snmpbulkwalk: {p.stdout} {p.stderr}")
        return m
    return measure


def scrape_device(address, count):
    """Over one kept connection, one after the other, in a process of its own: whether all was there, as its exit status."""
    pid = os.fork()
    if pid == 0:
        good = 0
        try:
            box.enter_netns("prober")
            c = http.client.HTTPConnection("127.0.0.1", 9116, timeout=10)
            for _ in range(count):
                c.request("GET", f"/snmp?module=ifs&target={address}:161")
                good += c.getresponse().read().count(b"\nm") == INTERFACES * COLUMNS
        finally:
            os._exit(0 if good == count else 1)
    return pid


def snmp_exporter(address, count):
    """As many readings at a time as ours; the CPU of the exporter alone."""
    def measure():
        field.start_device(address)
        field.start_snmp_exporter()
        before, began = cpu_of(field.snmp_exporter.pid), time.monotonic()
        pids = [scrape_device(address, count // AT_ONCE) for _ in range(AT_ONCE)]
        if any([os.waitpid(pid, 0)[1] != 0 for pid in pids]):
            raise ValueError("snmp_exporter did not read the device well")
        return Measure(count * INTERFACES * COLUMNS, cpu_of(field.snmp_exporter.pid) - before, time.monotonic() - began)
    return measure


def plugin(name, count, *options, target="$h", package="monitoring-plugins-basic"):
    """A process for each check, as a scheduler of plugins starts it: from a shell."""
    def measure():
        program = os.path.join(PLUGINS, name)
        if not os.path.exists(program):
            raise Missing(f"{package} is not installed")
        line = " ".join([program, "-H" if name != "check_http" else "-I", target, *options])
        p, m = field.run(["bash", "-c", f"for h in {' '.join(addresses(FIRST4, count))}; do {line} >/dev/null || exit 1; done"], count)
        if p.returncode != 0:
            raise ValueError(f"{line} did not probe well: {p.stderr}")
        return m
    return measure


def smokeping(targets):
    """One cycle of its FPing probe as --debug makes it, its start (without targets' probing) taken off."""
    def once(count):
        folder = os.path.join(field.folder, f"smokeping-{count}")
        os.makedirs(folder + "/data", exist_ok=True)
        lines = "\n".join(f"+ h{i}\nmenu = h{i}\ntitle = h{i}\nhost = {a}" for i, a in enumerate(addresses(FIRST4, count)))
        with open(folder + "/config", "w", encoding="ascii") as f:
            f.write(f"""*** General ***
owner = bench
contact = bench@example.org
mailhost = 127.0.0.1
sendmail = /bin/true
imgcache = {folder}
imgurl = http://localhost/
datadir = {folder}/data
piddir = {folder}
cgiurl = http://localhost/
smokemail = /etc/smokeping/smokemail
tmail = /etc/smokeping/tmail
*** Database ***
step = 300
pings = {ECHOES}
AVERAGE  0.5   1  1008
*** Presentation ***
template = /etc/smokeping/basepage.html
+ overview
width = 600
height = 50
range = 10h
+ detail
width = 600
height = 200
unison_tolerance = 2
"Last 3 Hours" 3h
*** Probes ***
+ FPing
binary = /usr/bin/fping
mininterval = 0.001
hostinterval = 0.01
*** Targets ***
probe = FPing
menu = Top
title = bench
{lines}
""")
        p, m = field.run(["smokeping", f"--config={folder}/config", "--debug"], 1)
        if p.returncode != 0:
            raise ValueError("smokeping: " + (p.stderr or p.stdout)[-300:])
        return m.more["cpu"], m.more["wall"]

    def measure():
        if not shutil.which("smokeping"):
            raise Missing("smokeping is not installed")
        idle, _ = once(1)
        once(targets)  # makes its files
        cpu, wall = once(targets)
        return Measure((targets - 1) * ECHOES, cpu - idle, wall)
    return measure


def icmp(name, what, family, first):
    full = ["-C", str(ECHOES), "-i", "0", "-p", "10", "-t", "500"]
    return Work(name, what, "echo", [
        (OURS, load("icmp", first, TARGETS, TARGETS, "host=@", f"count={ECHOES}", "spacing=10ms", units=TARGETS * ECHOES)),
        ("fping", fping(family, first, *full)),
        ("blackbox_exporter", blackbox(f"icmp{family}", first, 1000)),
        *([("smokeping", smokeping(100))] if family == 4 else []),
    ], [
        times("fping", 1.2), times("blackbox_exporter", 60), *([times("smokeping", 15)] if family == 4 else []),
        Line(f"{TARGETS} x {ECHOES} echoes", lambda r: r.of(OURS, "wall"), 3, "s", at_most=True),
    ], field)


def works():
    paced = ["-C", "3", "-i", "0.1", "-p", "150", "-t", "500"]
    return [
        icmp("icmp4", "1,500 targets x 20 echoes over IPv4, as fast as each can", 4, FIRST4),
        icmp("icmp6", "the same over IPv6", 6, FIRST6),
        Work("icmp-paced", "1,500 targets x 3 echoes over IPv6, evenly, 10,000 a second", "echo", [
            (OURS, load("icmp", FIRST6, TARGETS, TARGETS, "every=100us", "host=@", "count=3", "spacing=150ms",
                        units=TARGETS * 3)),
            ("fping", fping(6, FIRST6, *paced))], [times("fping", 1.8)], field),
        Work("icmp-rtt", "round-trip times that one echo to each of 30,000 targets reads, 1,500 at a time; what is above "
             "the shortest is the reading's own", "echo", [
                 (OURS, load("icmp", FIRST6, 30000, TARGETS, "host=@", "count=1")),
                 ("fping", fping(6, FIRST6, "-C", "20", "-i", "0", "-p", "10", "-t", "500"))],
             [Line("round-trip time, p99 above the shortest",
                   lambda r: r.of(OURS, "rtt_p99_us") - r.of(OURS, "rtt_min_us"), 10, "us", at_most=True),
              Line("the same of fping", lambda r: r.of("fping", "rtt_p99_us") - r.of("fping", "rtt_min_us"), unit="us")],
             field),
        Work("tcp", "TCP connections over IPv4", "connection", [
            (OURS, load("tcp", FIRST4, 3000, 32, "host=@", "port=80")),
            ("blackbox_exporter", blackbox("tcp4", FIRST4 + ":80", 1000)),
            ("check_tcp", plugin("check_tcp", 150, "-p", "80"))],
            [times("blackbox_exporter", 10), times("check_tcp", 45)], field),
        Work("http", "HTTP GET over IPv4, a new connection each", "request", [
            (OURS, load("http", FIRST4, 3000, 32, "url=http://[@]/")),
            ("blackbox_exporter", blackbox("http4", f"http://{FIRST4}/", 1000)),
            ("check_http", plugin("check_http", 150, "-u", "/"))],
            [times("blackbox_exporter", 7), times("check_http", 20)], field),
        Work("snmp", f"a device of {INTERFACES} interfaces, again and again, v2c over IPv4", "varbind", [
            (OURS, snmp(FIRST4, 1000)), ("snmpbulkwalk", snmpbulkwalk(FIRST4, 20)),
            ("snmp_exporter", snmp_exporter(FIRST4, 5 * AT_ONCE))],
            [times("snmpbulkwalk", 12), times("snmp_exporter", 25)], field),
        Work("snmp-slow", "the same device, which takes 1 ms for each answer: everybody sleeps and is woken for it", "varbind", [
            (OURS, snmp(SLOW4, 160)), ("snmpbulkwalk", snmpbulkwalk(SLOW4, 20)),
            ("snmp_exporter", snmp_exporter(SLOW4, 2 * AT_ONCE))],
            [times("snmpbulkwalk", 12), times("snmp_exporter", 25)], field),
        Work("https", "HTTPS GET, full TLS 1.3 handshake each; ours verifies, the peer does not", "request", [
            (OURS, load("http", FIRST4, 500, 16, "url=https://bench/", "ipv4=" + FIRST4, "ipv6=" + FIRST6,
                        "ca={folder}/cert.pem", units=1000, results=1000)),
            ("blackbox_exporter", blackbox("http4", f"https://{FIRST4}/", 400))],
            [times("blackbox_exporter", 1.2)], field),
    ]
