"""The city in a box: the example city of conf/city as network namespaces on one machine.

    launch(main, ports)   starts main(box) inside private network, mount and pid namespaces. The listening
                          sockets of `ports` are opened before, so they are the only door to the host.
    Box                   the network, nginx for the systems, the collector, the agents, the faults.

Everything lives in namespaces that end with the first process of the box, however it ends: nothing is
left behind, no packet finds a way out (there is no default route and no interface to the host).
"""

import ctypes
import errno
import ipaddress
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONF = os.path.join(ROOT, "conf", "city")
SUPERNETS4 = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
SUPERNET6 = "2001:db8::/32"
SYSTEMS4, SYSTEMS6 = "198.51.100.0/24", "2001:db8:100::/48"


class BoxError(Exception):
    """Something of the box could not be built; the text says what and why."""


def run(*argv, check=True, quiet=False):
    """Runs a program to its end; its output is the error text when it fails."""
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if check and p.returncode != 0:
        raise BoxError(f"{' '.join(argv)}: {p.stdout.strip()}")
    return p.stdout


# ---------------------------------------------------------------- into the namespaces


def listen_on_host(port):
    """A listening socket on 127.0.0.1 of the host; the next free port when that one is taken."""
    for candidate in range(port, port + 50):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", candidate))
            s.listen(64)
            os.set_inheritable(s.fileno(), True)
            return s
        except OSError as e:
            s.close()
            if e.errno != errno.EADDRINUSE:
                raise
    raise BoxError(f"no free port from {port} to {port + 49}")


def namespaces_work():
    """'' or the reason why private namespaces cannot be made here."""
    p = subprocess.run(unshare_argv() + ["true"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return "" if p.returncode == 0 else (p.stderr.strip() or "unshare failed")


def unshare_argv():
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *rights, "--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--"]


def launch(script, *args, pass_fds=()):
    """Runs `python3 script --inside ...` as the first process of a new box; returns the Popen."""
    argv = unshare_argv() + [sys.executable, script, "--inside", *args]
    return subprocess.Popen(argv, pass_fds=pass_fds)


# ---------------------------------------------------------------- the example inventory, as far as the box needs it


def records(text, section):
    """The `{ key = "value"; ... }` groups of one list of an inventory file, as dicts of texts."""
    m = re.search(r"(?m)^" + section + r"\s*[=:]\s*\((.*?)^\)", text, re.S)
    out = []
    for body in re.findall(r"\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}", m.group(1) if m else ""):
        r = dict(re.findall(r'([a-z_0-9]+)\s*=\s*"((?:[^"\\]|\\.)*)"', body))
        lists = re.findall(r"([a-z_0-9]+)\s*=\s*[\[(]([^\])]*)[\])]", body)
        r.update({k: re.findall(r'"([^"]*)"', v) for k, v in lists})
        out.append(r)
    return out


class City:
    """conf/city as the box sees it."""

    def __init__(self, folder=os.path.join(CONF, "inventory.d")):
        text = ""
        for name in sorted(os.listdir(folder)):
            if name.endswith(".conf"):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    text += re.sub(r"(?m)^\s*#.*$", "", f.read()) + "\n"
        self.systems, self.sites, self.links, self.agents, self.checks = [], {}, {}, [], []
        for part in re.split(r"(?m)^(?=(?:units|systems|sites|links|agents|checks)\s*[=:])", text):
            self.systems += records(part, "systems")
            self.sites.update({s["id"]: s for s in records(part, "sites")})
            self.links.update({x["id"]: x for x in records(part, "links")})
            self.agents += records(part, "agents")
            self.checks += records(part, "checks")

    def boxed_links(self):
        """Links that a check watches: those are in the box."""
        ids = {c["subject"][5:] for c in self.checks if c.get("subject", "").startswith("link/")}
        return [self.links[i] for i in sorted(ids)]


# ---------------------------------------------------------------- the network


class Network:
    """Namespaces by name, joined by veth pairs, routed along the tree; `core` and `cloud` hang on the city."""

    def __init__(self):
        self.names, self.parents = [], {}

    def prepare(self):
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        os.mkdir("/run/netns")
        run("ip", "link", "set", "lo", "up")

    def add(self, name):
        run("ip", "netns", "add", name)
        self.sh(name, "ip", "link", "set", "lo", "up")
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.sh(name, "sysctl", "-qw", f"{key}=1")
        for key in ("all", "default"):
            self.sh(name, "sysctl", "-qw", f"net.ipv6.conf.{key}.accept_dad=0",
                    f"net.ipv6.conf.{key}.keep_addr_on_down=1")
        self.sh(name, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        self.names.append(name)

    def sh(self, name, *argv, check=True):
        return run("ip", "netns", "exec", name, *argv, check=check)

    def join(self, parent, child, parent4, child4, parent6, child6):
        """A link: the parent's end is called after the child, the child's end is `uplink`."""
        end = child[:15]
        run("ip", "-n", parent, "link", "add", end, "type", "veth", "peer", "name", "uplink", "netns", child)
        for ns, dev, a4, a6 in ((parent, end, parent4, parent6), (child, "uplink", child4, child6)):
            run("ip", "-n", ns, "addr", "add", a4, "dev", dev)
            run("ip", "-n", ns, "addr", "add", a6, "dev", dev, "nodad")
            run("ip", "-n", ns, "link", "set", dev, "up")
        self.parents[child] = (parent, child4.split("/")[0], child6.split("/")[0],
                               parent4.split("/")[0], parent6.split("/")[0])

    def route(self):
        """Up the tree: the documentation networks; down the tree: each end by a host route. No default route."""
        for child, (parent, a4, a6, p4, p6) in self.parents.items():
            for net in SUPERNETS4:
                run("ip", "-n", child, "route", "add", net, "via", p4)
            run("ip", "-n", child, "-6", "route", "add", SUPERNET6, "via", p6)
            self.route_down(child, f"{a4}/32", f"{a6}/128")

    def restore(self, child):
        """Routes that the kernel dropped when the link above the child was down."""
        parent, a4, a6 = self.parents[child][:3]
        self.route_down(child, f"{a4}/32", f"{a6}/128")
        for below, (above, *_rest) in self.parents.items():
            if above == child:
                run("ip", "-n", parent, "route", "replace", self.parents[below][1] + "/32", "via", a4)
                run("ip", "-n", parent, "-6", "route", "replace", self.parents[below][2] + "/128", "via", a6)

    def route_down(self, child, net4, net6):
        """Teaches all ancestors of child but its parent (which is connected) the way down to it."""
        node = self.parents[child][0]
        while node in self.parents:
            above, via4, via6 = self.parents[node][:3]
            run("ip", "-n", above, "route", "replace", net4, "via", via4)
            run("ip", "-n", above, "-6", "route", "replace", net6, "via", via6)
            node = above


# ---------------------------------------------------------------- the systems


class Systems:
    """One nginx that answers for all systems, each on addresses of its own."""

    def __init__(self, folder, systems, network):
        """systems: dicts with id, name, ipv4, ipv6, tls (bool)."""
        self.folder, self.systems, self.network = folder, systems, network
        self.stopped, self.expired, self.process = set(), set(), None

    def start(self, ca):
        for s in self.systems:
            run("ip", "-n", "cloud", "addr", "add", f"{s['ipv4']}/32", "dev", "lo")
            run("ip", "-n", "cloud", "addr", "add", f"{s['ipv6']}/128", "dev", "lo", "nodad")
            if s["tls"]:
                ca.issue_server(self.folder, s["id"], (s["ipv4"], s["ipv6"]))
        for name in ("log", "page", "tmp"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        for s in self.systems:
            page = f"<!doctype html><meta charset=utf-8><title>{s['name']}</title><h1>{s['name']}</h1>\n"
            os.makedirs(os.path.join(self.folder, "page", s["id"]), exist_ok=True)
            with open(os.path.join(self.folder, "page", s["id"], "index.html"), "w", encoding="utf-8") as f:
                f.write(page)
        self.write_config()
        self.process = subprocess.Popen(["ip", "netns", "exec", "cloud", "nginx", "-p", self.folder, "-e", "log/error",
                                         "-c", os.path.join(self.folder, "nginx.conf"), "-g", "daemon off;"])

    def server(self, s):
        port = "443 ssl" if s["tls"] else "80"
        lines = [f"server {{ listen {s['ipv4']}:{port}; listen [{s['ipv6']}]:{port}; server_name {s['id']};",
                 f"  root {self.folder}/page/{s['id']};"]
        if s["tls"]:
            name = s["id"] + (".expired" if s["id"] in self.expired else "")
            lines.append(f"  ssl_certificate {self.folder}/{name}.pem; ssl_certificate_key {self.folder}/{s['id']}.key;")
        return "\n".join(lines) + " }\n"

    def write_config(self):
        user = "user root;" if os.geteuid() == 0 else ""
        head = (f"{user}\nworker_processes 1;\npid {self.folder}/nginx.pid;\n"
                "events { worker_connections 1024; }\nhttp {\n  access_log off;\n"
                + "".join(f"  {k}_temp_path {self.folder}/tmp/{k};\n"
                          for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
                + "  default_type text/html;\n")
        with open(os.path.join(self.folder, "nginx.conf"), "w", encoding="utf-8") as f:
            f.write(head + "".join(self.server(s) for s in self.systems if s["id"] not in self.stopped) + "}\n")

    def reload(self):
        self.write_config()
        self.process.send_signal(signal.SIGHUP)


class Authority:
    """The certificates of the box: a CA for the web systems (openssl), one expired copy of each on demand."""

    def __init__(self, folder):
        self.folder = folder
        self.pem, self.key = os.path.join(folder, "web-ca.pem"), os.path.join(folder, "web-ca.key")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
            "-subj", "/CN=box web CA", "-keyout", self.key, "-out", self.pem)

    def issue_server(self, folder, name, addresses):
        key, csr, ext = (os.path.join(folder, name + x) for x in (".key", ".csr", ".ext"))
        with open(ext, "w", encoding="utf-8") as f:
            f.write("subjectAltName=DNS:" + name + "".join(f",IP:{a}" for a in addresses) + "\n")
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=" + name, "-keyout", key, "-out", csr)
        self.sign(csr, ext, os.path.join(folder, name + ".pem"), 90)

    def sign(self, csr, ext, out, days):
        run("openssl", "x509", "-req", "-in", csr, "-CA", self.pem, "-CAkey", self.key, "-days", str(days),
            "-extfile", ext, "-set_serial", str(time.time_ns()), "-out", out)

    def expire(self, folder, name):
        """A certificate of the same key that ended at its very start."""
        csr, ext = os.path.join(folder, name + ".csr"), os.path.join(folder, name + ".ext")
        self.sign(csr, ext, os.path.join(folder, name + ".expired.pem"), -1)


# ---------------------------------------------------------------- the one door to the host


def enter_netns(name):
    """Moves the calling thread into a network namespace by name."""
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(fd)


class Door:
    """Passes connections of a listening socket of the host to one address inside a namespace."""

    def __init__(self, listener, namespace, address):
        self.listener, self.namespace, self.address = listener, namespace, address
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        enter_netns(self.namespace)
        while True:
            client, _ = self.listener.accept()
            try:
                inner = socket.create_connection(self.address, timeout=5)
                inner.settimeout(None)
            except OSError:
                client.close()
                continue
            for a, b in ((client, inner), (inner, client)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for s, how in ((sink, socket.SHUT_WR), (source, socket.SHUT_RD)):
            try:
                s.shutdown(how)
            except OSError:
                pass


# ---------------------------------------------------------------- faults


class Faults:
    """What can be broken, and mended, by name. Each fault is a word and its arguments."""

    def __init__(self, box):
        self.box = box

    def apply(self, word, *args):
        actions = {"stop-system": self.stop_system, "start-system": self.start_system,
                   "cut-family": self.cut_family, "cut-link": self.cut_link, "mend-link": self.mend_link,
                   "lose": self.lose, "slow": self.slow, "expire": self.expire, "clear": self.clear}
        if word not in actions:
            raise BoxError(f"unknown fault '{word}': one of {', '.join(sorted(actions))}")
        try:
            return actions[word](*args)
        except TypeError as e:
            raise BoxError(f"{word}: wrong arguments ({e})") from e

    def system(self, ident):
        for s in self.box.systems.systems:
            if s["id"] == ident:
                return s
        raise BoxError(f"no system '{ident}' in the box")

    def end(self, link):
        """The namespace below a link and the parent's end of it."""
        site = self.box.city.links.get(link, {}).get("site")
        if site not in self.box.network.parents:
            raise BoxError(f"no link '{link}' in the box")
        return site, self.box.network.parents[site][0], site[:15]

    def stop_system(self, ident):
        self.box.systems.stopped.add(self.system(ident)["id"])
        self.box.systems.reload()

    def start_system(self, ident):
        self.box.systems.stopped.discard(self.system(ident)["id"])
        self.box.systems.reload()

    def expire(self, ident):
        s = self.system(ident)
        if not s["tls"]:
            raise BoxError(f"system '{ident}' has no certificate")
        self.box.authority.expire(self.box.systems.folder, ident)
        self.box.systems.expired.add(ident)
        self.box.systems.reload()

    def cut_family(self, ident, family):
        s = self.system(ident)
        key, word = (s["ipv6"], "ip6") if str(family) == "6" else (s["ipv4"], "ip")
        self.table("cloud")
        self.box.network.sh("cloud", "nft", "add", "rule", "inet", "box", "input", word, "daddr", key, "drop")

    def table(self, ns):
        """A table of our own with input and forward chains; adding what is there is not an error."""
        for line in ("add table inet box",
                     "add chain inet box input { type filter hook input priority 0 ; }",
                     "add chain inet box forward { type filter hook forward priority 0 ; }"):
            self.box.network.sh(ns, "nft", line)

    def cut_link(self, link):
        _, parent, dev = self.end(link)
        run("ip", "-n", parent, "link", "set", dev, "down")

    def mend_link(self, link):
        site, parent, dev = self.end(link)
        run("ip", "-n", parent, "link", "set", dev, "up")
        self.box.network.restore(site)

    def lose(self, link, percent="30"):
        site, _, _ = self.end(link)
        self.table(site)
        for chain in ("input", "forward"):
            self.box.network.sh(site, "nft", "add", "rule", "inet", "box", chain, "iifname", "uplink", "numgen", "random",
                                "mod", "100", "<", str(int(percent)), "drop")

    def slow(self, link, rate="64kbit"):
        _, parent, dev = self.end(link)
        run("tc", "-n", parent, "qdisc", "replace", "dev", dev, "root", "tbf", "rate", rate, "burst", "2kb",
            "latency", "400ms")

    def clear(self):
        """Mends everything."""
        for name in self.box.network.names:
            self.box.network.sh(name, "nft", "delete", "table", "inet", "box", check=False)
        for site, (parent, *_rest) in self.box.network.parents.items():
            dev = site[:15]
            run("tc", "-n", parent, "qdisc", "del", "dev", dev, "root", check=False)
            run("ip", "-n", parent, "link", "set", dev, "up")
        for site in self.box.network.parents:
            self.box.network.restore(site)
        self.box.systems.stopped.clear()
        self.box.systems.expired.clear()
        self.box.systems.reload()


# ---------------------------------------------------------------- the box


class Box:
    """All of it. start() builds everything and returns when the collector serves; end() ends what runs."""

    def __init__(self, folder, say=print):
        self.folder, self.say = folder, say
        self.city, self.network, self.programs = City(), Network(), {}
        self.faults = Faults(self)

    def start(self):
        self.say("box: network")
        self.build_network()
        self.say(f"box: {len(self.city.systems)} systems")
        os.makedirs(os.path.join(self.folder, "systems"))
        self.authority = Authority(self.folder)
        self.systems = Systems(os.path.join(self.folder, "systems"), self.systems_of_city(), self.network)
        self.systems.start(self.authority)
        self.say("box: collector and agents")
        self.start_collector()
        for a in self.city.agents:
            self.start_agent(a)
        self.say("box: running")

    # ---- the network

    def build_network(self):
        n = self.network
        n.prepare()
        for name in ("core", "cloud"):
            n.add(name)
        n.add(self.root_site())
        n.join(self.root_site(), "core", *ends("192.0.2.249", "2001:db8:0:ffff::9"))
        n.join(self.root_site(), "cloud", *ends("192.0.2.251", "2001:db8:0:ffff::b"))
        waiting = {x["site"]: x for x in self.city.boxed_links()}
        while waiting:
            ready = [s for s in waiting if self.city.sites[s]["parent"] in n.names]
            if not ready:
                raise BoxError(f"links {sorted(waiting)} hang on sites that are not in the box")
            for site in ready:
                link = waiting.pop(site)
                n.add(site)
                n.join(self.city.sites[site]["parent"], site, *ends(link["ipv4"], link["ipv6"]))
        n.route()
        for net, word in ((SYSTEMS4, []), (SYSTEMS6, ["-6"])):
            via = n.parents["cloud"][2 if word else 1]
            run("ip", "-n", self.root_site(), *word, "route", "add", net, "via", via)

    def root_site(self):
        return next(i for i, s in self.city.sites.items() if not s.get("parent"))

    def systems_of_city(self):
        """What nginx has to answer for: taken from the http checks of the inventory."""
        out, seen = [], set()
        for c in self.city.checks:
            kind, _, ident = c.get("subject", "").partition("/")
            if kind != "system" or c.get("type") != "http" or ident in seen:
                continue
            seen.add(ident)
            name = next(s["name"] for s in self.city.systems if s["id"] == ident)
            out.append({"id": ident, "name": name, "ipv4": c["ipv4"], "ipv6": c["ipv6"],
                        "tls": c["url"].startswith("https:")})
        return out

    # ---- the programs

    def start_collector(self):
        pki = os.path.join(self.folder, "pki")
        self.collector_program = os.path.join(ROOT, "build", "xunjian-collector")
        run(self.collector_program, "ca", "init", pki)
        address = self.network.parents["core"][1]
        run(self.collector_program, "ca", "issue", "--ca", pki, "--ip", address, "collector")
        for a in self.city.agents:
            run(self.collector_program, "ca", "issue", "--ca", pki, a["id"])
        state = os.path.join(self.folder, "collector")
        os.makedirs(state)
        path = os.path.join(self.folder, "collector.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'''name = "city-box";
state = "{state}";
inventory = "{CONF}/inventory.d";
ingest: {{ listen = [ "{address}:8443" ];
  ca = "{pki}/ca.pem"; certificate = "{pki}/collector.pem"; key = "{pki}/collector.key"; }};
web: {{ listen = [ "127.0.0.1:8080" ]; }};
''')
        self.start_program("collector", "core", [self.collector_program, "run", "-c", path])

    def start_agent(self, agent):
        pki = os.path.join(self.folder, "pki")
        state = os.path.join(self.folder, "agent-" + agent["id"])
        os.makedirs(state)
        path = os.path.join(self.folder, f"agent-{agent['id']}.conf")
        address = self.network.parents["core"][1]
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'''id = "{agent["id"]}";
state = "{state}";
collector: {{ url = "https://{address}:8443"; ca = "{pki}/ca.pem";
  certificate = "{pki}/{agent["id"]}.pem"; key = "{pki}/{agent["id"]}.key"; }};
''')
        program = os.path.join(ROOT, "build", "xunjian-agent")
        self.start_program("agent-" + agent["id"], agent["site"], [program, "run", "-c", path])

    def start_program(self, name, namespace, argv):
        log = open(os.path.join(self.folder, name + ".log"), "ab")
        self.programs[name] = subprocess.Popen(["ip", "netns", "exec", namespace, *argv], stdin=subprocess.DEVNULL,
                                               stdout=log, stderr=log, start_new_session=True)
        log.close()

    def failed(self):
        """The name of a program that ended although nobody asked it to, or ''."""
        return next((n for n, p in self.programs.items() if p.poll() is not None), "")

    def stop_program(self, name, timeout=10):
        """SIGTERM, and the exit status; the program must end by itself in time."""
        p = self.programs.pop(name)
        p.send_signal(signal.SIGTERM)
        try:
            return p.wait(timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            raise BoxError(f"{name} did not end within {timeout} s of SIGTERM") from None

    def end(self):
        """Ends agents, then the collector, then nginx; raises when one did not end well."""
        bad = []
        for name in sorted(self.programs, key=lambda n: n == "collector"):
            try:
                status = self.stop_program(name)
                if status != 0:
                    bad.append(f"{name} ended with status {status}")
            except BoxError as e:
                bad.append(str(e))
        if self.systems.process:
            self.systems.process.terminate()
            self.systems.process.wait()
        if bad:
            raise BoxError("; ".join(bad))

    def serve_control(self):
        """Answers tests/city/fault on a socket in the folder: a JSON list in, one line out."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.join(self.folder, "control"))
        listener.listen(8)

        def serve():
            while True:
                client, _ = listener.accept()
                with client, client.makefile("rw") as stream:
                    try:
                        self.faults.apply(*json.loads(stream.readline()))
                        stream.write("done\n")
                    except (BoxError, ValueError, OSError) as e:
                        stream.write(f"not done: {e}\n")

        threading.Thread(target=serve, daemon=True).start()


def ends(lower4, lower6):
    """Addresses of both ends of a link (/31, /127) from those of its lower end: parent4, child4, parent6, child6."""
    a4, a6 = ipaddress.ip_address(lower4), ipaddress.ip_address(lower6)
    return (f"{ipaddress.ip_address(int(a4) ^ 1)}/31", f"{a4}/31",
            f"{ipaddress.ip_address(int(a6) ^ 1)}/127", f"{a6}/127")
