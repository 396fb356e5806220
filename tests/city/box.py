"""The city in a box: the example city of conf/city as network namespaces on one machine.

    launch(script, ...)   starts `script --inside ...` as the first process of private network, mount and pid
                          namespaces. A listening socket handed to it is the only door to the host.
    Box                   the network, nginx for the systems, the collector, the agents, the faults.
    LoopbackBox           the same without namespaces: on 127.0.0.0/8 and ::1, one port per system.

A Box lives in namespaces that end with its first process, however that ends: nothing is left behind, no
packet finds a way out (there is no default route and no interface to the host).
"""

import ctypes
import errno
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONF = os.path.join(ROOT, "conf", "city")
SUPERNETS4 = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
SUPERNET6 = "2001:db8::/32"
SYSTEMS4, SYSTEMS6 = "198.51.100.0/24", "2001:db8:100::/48"
WEB_CA = "/run/xunjian-city/ca.pem"  # where the checks of the example look for it
WEB = ("127.0.0.1", 8080)  # of the collector, in its namespace


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
    """Runs `python3 script --inside ...` as the first process of a new box; returns the Popen of its parent."""
    argv = unshare_argv() + [sys.executable, script, "--inside", *args]
    return subprocess.Popen(argv, pass_fds=pass_fds)


def signal_first(launched, number):
    """Sends a signal to the first process of a box: its parent, unshare, blocks the usual ones."""
    for pid in os.listdir("/proc"):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                parent = int(f.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if parent == launched.pid:
            os.kill(int(pid), number)


def end_with_parent():
    """In a child before exec: SIGTERM when the process that started it is gone."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


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

    def watched_links(self):
        ids = {c["subject"][5:] for c in self.checks if c.get("subject", "").startswith("link/")}
        return [self.links[i] for i in sorted(ids)]

    def boxed_links(self):
        """Links that a check watches over both families: those are in the box."""
        return [x for x in self.watched_links() if "ipv4" in x]

    def flat_links(self):
        """The others that a check watches, of IPv6 alone: the place above them in the box answers for their ends."""
        return [x for x in self.watched_links() if "ipv4" not in x]

    def is_below(self, site, ancestor):
        while site and site != ancestor:
            site = self.sites[site].get("parent")
        return site == ancestor


# ---------------------------------------------------------------- the network


def device(name):
    """What the parent calls its end of the link to this namespace: 15 bytes, the end of the name tells it apart."""
    return name if len(name) <= 15 else name[:5] + "~" + name[-9:]


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

    def argv(self, name, *argv):
        """A command line that runs in a namespace."""
        return ["ip", "netns", "exec", name, *argv]

    def sh(self, name, *argv, check=True):
        return run(*self.argv(name, *argv), check=check)

    def call(self, name, function):
        """What a function gives that runs in a namespace."""
        out = []

        def work():
            try:
                enter_netns(name)
                out.append((function(), None))
            except BaseException as e:  # handed to the caller
                out.append((None, e))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        result, error = out[0]
        if error:
            raise error
        return result

    def claim(self, name, ipv4, ipv6):
        """Addresses of a namespace's own."""
        run("ip", "-n", name, "addr", "add", f"{ipv4}/32", "dev", "lo")
        run("ip", "-n", name, "addr", "add", f"{ipv6}/128", "dev", "lo", "nodad")

    def claim_behind(self, name, addresses6):
        """Addresses of what stands behind a namespace and has none of its own: it answers for them."""
        self.batch(name, [f"addr add {a}/128 dev lo nodad" for a in addresses6])
        node = name
        while node in self.parents:
            above, _, via6 = self.parents[node][:3]
            self.batch(above, [f"route replace {a}/128 via {via6}" for a in addresses6])
            node = above

    def batch(self, name, lines):
        """Many commands of ip -6 in one."""
        p = subprocess.run(["ip", "-n", name, "-6", "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if p.returncode != 0:
            raise BoxError(f"ip -batch in {name}: {p.stdout.strip()[-300:]}")

    def join(self, parent, child, parent4, child4, parent6, child6):
        """A link: the parent's end is called after the child, the child's end is `uplink`."""
        end = device(child)
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

    def route_to(self, name, ipv4, ipv6):
        """The way down to an address of a namespace's own."""
        above, via4, via6 = self.parents[name][:3]
        run("ip", "-n", above, "route", "replace", f"{ipv4}/32", "via", via4)
        run("ip", "-n", above, "-6", "route", "replace", f"{ipv6}/128", "via", via6)
        self.route_down(name, f"{ipv4}/32", f"{ipv6}/128")

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
    """One nginx that answers for all systems at one place, each on addresses of its own."""

    def __init__(self, folder, place, systems, network):
        """systems: dicts with id, name, host, ipv4, ipv6, port, tls (bool)."""
        self.folder, self.place, self.systems, self.network = folder, place, systems, network
        self.stopped, self.expired, self.process, self.generation = set(), set(), None, 0

    def start(self, ca):
        for s in self.systems:
            self.network.claim(self.place, s["ipv4"], s["ipv6"])
            if s["tls"]:
                ca.issue_server(self.folder, s["id"], s["host"], (s["ipv4"], s["ipv6"]))
        for name in ("log", "page", "tmp"):
            os.makedirs(os.path.join(self.folder, name))
        for s in self.systems:
            page = f"<!doctype html><meta charset=utf-8><title>{s['name']}</title><h1>{s['name']}</h1>\n"
            os.makedirs(os.path.join(self.folder, "page", s["id"]), exist_ok=True)
            with open(os.path.join(self.folder, "page", s["id"], "index.html"), "w", encoding="utf-8") as f:
                f.write(page)
        self.process = self.spawn()

    def server(self, s):
        port = f"{s['port']} ssl reuseport" if s["tls"] else f"{s['port']} reuseport"
        lines = [f"server {{ listen {s['ipv4']}:{port}; listen [{s['ipv6']}]:{port}; server_name {s['host']};",
                 f"  root {self.folder}/page/{s['id']};"]
        if s["tls"]:
            name = s["id"] + (".expired" if s["id"] in self.expired else "")
            lines.append(f"  ssl_certificate {self.folder}/{name}.pem; ssl_certificate_key {self.folder}/{s['id']}.key;")
        return "\n".join(lines) + " }\n"

    def write_config(self):
        # Without a master no user is changed, which a namespace of a plain user does not allow.
        user = "user root;" if os.geteuid() == 0 else ""
        head = (f"master_process off;\n{user}\npid {self.pid_file()};\n"
                "events { worker_connections 1024; }\nhttp {\n  access_log off;\n"
                + "".join(f"  {k}_temp_path {self.folder}/tmp/{k};\n"
                          for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
                + "  default_type text/html;\n")
        with open(os.path.join(self.folder, "nginx.conf"), "w", encoding="utf-8") as f:
            f.write(head + "".join(self.server(s) for s in self.systems if s["id"] not in self.stopped) + "}\n")

    def pid_file(self):
        return os.path.join(self.folder, f"nginx-{self.generation}.pid")

    def spawn(self):
        """An nginx of the present configuration that listens already; the one before may run on beside it."""
        self.generation += 1
        self.write_config()
        argv = self.network.argv(self.place, "nginx", "-p", self.folder, "-e", "log/error",
                                 "-c", os.path.join(self.folder, "nginx.conf"), "-g", "daemon off;")
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=end_with_parent)
        end = time.monotonic() + 10
        while not os.path.exists(self.pid_file()):  # made once the sockets listen
            if process.poll() is not None or time.monotonic() > end:
                with open(os.path.join(self.folder, "log", "error"), encoding="utf-8") as f:
                    raise BoxError(f"nginx does not start: {f.read().strip()[-500:]}")
            time.sleep(0.01)
        return process

    def reload(self):
        """A system that is not touched answers all the time: the new nginx listens before the old one ends."""
        old, self.process = self.process, self.spawn()
        old.terminate()
        old.wait()


class Authority:
    """The certificates of the box: a CA for the web systems (openssl), one expired copy of each on demand."""

    def __init__(self, folder):
        self.folder = folder
        self.pem, self.key = os.path.join(folder, "web-ca.pem"), os.path.join(folder, "web-ca.key")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
            "-subj", "/CN=box web CA", "-keyout", self.key, "-out", self.pem)

    def issue_server(self, folder, name, host, addresses):
        key, csr, ext = (os.path.join(folder, name + x) for x in (".key", ".csr", ".ext"))
        with open(ext, "w", encoding="utf-8") as f:
            f.write("subjectAltName=DNS:" + host + "".join(f",IP:{a}" for a in addresses) + "\n")
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=" + host, "-keyout", key, "-out", csr)
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
                   "lose": self.lose, "slow": self.slow, "expire": self.expire, "blind": self.blind, "clear": self.clear}
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
        return site, self.box.network.parents[site][0], device(site)

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
        """A table of our own with all that the faults need, made once; what it drops it drops on arrival."""
        if "table inet box" in self.box.network.sh(ns, "nft", "list", "tables"):
            return
        for line in ("add table inet box",
                     "add set inet box cut { type ifname ; }",
                     "add chain inet box arriving { type filter hook prerouting priority -300 ; }",
                     "add rule inet box arriving icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
                     "add rule inet box arriving iifname @cut drop",
                     "add chain inet box input { type filter hook input priority 0 ; }",
                     "add chain inet box forward { type filter hook forward priority 0 ; }"):
            self.box.network.sh(ns, "nft", line)

    def ends_of(self, link):
        site, parent, dev = self.end(link)
        return (parent, dev), (site, "uplink")

    def cut_link(self, link):
        """Both ends lose what arrives. The interfaces stay up: a probe then waits in vain, as it does behind a cable
        that was dug up somewhere, instead of being told by its own kernel that there is no way."""
        for ns, dev in self.ends_of(link):
            self.table(ns)
            self.box.network.sh(ns, "nft", "add", "element", "inet", "box", "cut", "{ " + dev + " }")

    def mend_link(self, link):
        for ns, dev in self.ends_of(link):
            self.box.network.sh(ns, "nft", "delete", "element", "inet", "box", "cut", "{ " + dev + " }", check=False)

    def blind(self, vantage):
        """A vantage hears nothing that it asks for any more, what stands beside it included; its collector it reaches."""
        site = next((a["site"] for a in self.box.city.agents if a["id"] == vantage), None)
        if site not in self.box.network.names:
            raise BoxError(f"no vantage '{vantage}' in the box")
        self.table(site)
        for what in ("icmp type echo-reply", "icmpv6 type echo-reply", "tcp sport { 80, 443 }"):
            self.box.network.sh(site, "nft", "add", "rule", "inet", "box", "input", *what.split(), "drop")

    def lose(self, link, percent="30"):
        site, _, _ = self.end(link)
        self.table(site)
        for chain in ("input", "forward"):
            self.box.network.sh(site, "nft", "add", "rule", "inet", "box", chain, "iifname", "uplink", "numgen", "random",
                                "mod", "100", "<", str(int(percent)), "drop")

    def slow(self, link, rate="32kbit"):
        _, parent, dev = self.end(link)
        run("tc", "-n", parent, "qdisc", "replace", "dev", dev, "root", "tbf", "rate", rate, "burst", "1600",
            "latency", "2s")

    def clear(self):
        """Mends everything."""
        for name in self.box.network.names:
            self.box.network.sh(name, "nft", "delete", "table", "inet", "box", check=False)
        for site, (parent, *_rest) in self.box.network.parents.items():
            run("tc", "-n", parent, "qdisc", "del", "dev", device(site), "root", check=False)
        self.box.systems.stopped.clear()
        self.box.systems.expired.clear()
        self.box.systems.reload()


# ---------------------------------------------------------------- the box


class Box:
    """All of it. start() builds everything and returns when the collector serves; end() ends what runs."""

    def __init__(self, folder, say=print, inventory=os.path.join(CONF, "inventory.d"), network=None):
        self.folder, self.say, self.inventory = folder, say, inventory
        self.city, self.network, self.programs = City(inventory), network or Network(), {}
        self.places, self.systems = {}, None  # the cloud's are self.systems
        self.web, self.faults = WEB, Faults(self)

    def start(self):
        self.say("box: network")
        self.build_network()
        self.say(f"box: {len(self.city.systems)} systems")
        self.start_systems()
        self.say(f"box: a collector and {len(self.city.agents)} agents")
        self.start_collector()
        for i, agent in enumerate(self.city.agents):
            self.start_agent(agent, self.collector_addresses()[i % 2])
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
        self.claim_flat_links()
        for net, word in ((SYSTEMS4, []), (SYSTEMS6, ["-6"])):
            via = n.parents["cloud"][2 if word else 1]
            run("ip", "-n", self.root_site(), *word, "route", "add", net, "via", via)

    def claim_flat_links(self):
        places = {}
        for link in self.city.flat_links():
            site = link["site"]
            while site not in self.network.names:
                site = self.city.sites[site]["parent"]
            places.setdefault(site, []).append(link["ipv6"])
        for site, addresses in places.items():
            self.network.claim_behind(site, addresses)

    def root_site(self):
        return next(i for i, s in self.city.sites.items() if not s.get("parent"))

    # ---- the systems

    def systems_of_city(self):
        """What has to be answered for, by place: taken from the http checks of the inventory. The first of a system is its
        page in the cloud; a further one goes to its front end, which stands behind the link that the system needs."""
        systems = {s["id"]: s for s in self.city.systems}
        out, seen = {"cloud": []}, set()
        for c in self.city.checks:
            kind, _, ident = c["subject"].partition("/")
            if kind != "system" or c["type"] != "http":
                continue
            url, front = urllib.parse.urlsplit(c["url"]), ident in seen
            tls = url.scheme == "https"
            place = self.front_place(systems[ident]) if front else "cloud"
            out.setdefault(place, []).append({
                "id": c["id"] if front else ident, "name": systems[ident]["name"], "host": url.hostname, "ipv4": c["ipv4"],
                "ipv6": c["ipv6"], "port": url.port or (443 if tls else 80), "tls": tls})
            seen.add(ident)
        return out

    def front_place(self, system):
        return next(self.city.links[i]["site"] for i in system["depends"] if i in self.city.links)

    def web_ca(self):
        """Where the checks look for the authority of the systems' certificates."""
        return WEB_CA

    def start_systems(self):
        self.authority = Authority(self.folder)
        os.makedirs(os.path.dirname(self.web_ca()), exist_ok=True)
        shutil.copy(self.authority.pem, self.web_ca())
        for place, systems in self.systems_of_city().items():
            folder = os.path.join(self.folder, "systems", place)
            os.makedirs(folder)
            self.places[place] = Systems(folder, place, systems, self.network)
            self.places[place].start(self.authority)
        self.systems = self.places["cloud"]
        for place, front in self.places.items():
            for s in front.systems if place in self.network.parents and place != "cloud" else ():
                self.network.route_to(place, s["ipv4"], s["ipv6"])

    # ---- the programs

    def program(self, name):
        path = os.path.join(ROOT, "build", name)
        if not os.access(path, os.X_OK):
            raise BoxError(f"{path} is not there: run make")
        return path

    def collector_addresses(self):
        """Where agents push: of each family one, with port."""
        _, ipv4, ipv6, *_rest = self.network.parents["core"]
        return f"{ipv4}:8443", f"[{ipv6}]:8443"

    def start_collector(self):
        self.pki, program = os.path.join(self.folder, "pki"), self.program("xunjian-collector")
        run(program, "ca", "init", self.pki)
        listen = self.collector_addresses()
        ips = [word for a in listen for word in ("--ip", a.rpartition(":")[0].strip("[]"))]
        run(program, "ca", "issue", "--ca", self.pki, *ips, "collector")
        for a in self.city.agents:
            run(program, "ca", "issue", "--ca", self.pki, a["id"])
        path = os.path.join(self.folder, "collector.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'''# Made by tests/city. Archives are short: a demonstration need not fill a disk.
name = "city-box"; state = "collector"; inventory = "{self.inventory}";
ingest = {{ listen = ( "{listen[0]}", "{listen[1]}" );
  ca = "pki/ca.pem"; certificate = "pki/collector.pem"; key = "pki/collector.key"; }};
series = {{ archives = ( {{ keep = "3h"; }}, {{ step = "5m"; keep = "2d"; }}, {{ step = "1h"; keep = "30d"; }} ); }};
web = {{ listen = "{self.web[0]}:{self.web[1]}"; }};
notice = "notice.conf";
''')
        self.start_receiver()
        self.start_program("collector", "core", [program, "run", "-c", path])
        self.wait_for_collector()

    def start_receiver(self):
        """Whom notices reach: one for all, as each says whom it is for."""
        port = self.network.call("core", lambda: free_port(9093, "127.0.0.1"))
        self.start_program("receiver", "core", [
            sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "receiver.py"), str(port), self.told_path()])
        end = time.monotonic() + 20
        while not os.path.exists(self.told_path()):  # from then on it ends when it is asked to
            if self.failed() or time.monotonic() > end:
                raise BoxError("the receiver of notices does not start")
            time.sleep(0.02)
        audiences = ", ".join(f'"unit/{u}"' for u in sorted({s["unit"] for s in self.city.systems}))
        with open(os.path.join(self.folder, "notice.conf"), "w", encoding="utf-8") as f:
            f.write(f'''channels = ( {{ id = "people"; kind = "alertmanager"; url = "http://127.0.0.1:{port}/"; per_minute = 600; }} );
routes = ( {{ audience = ( "operations", {audiences} ); channels = "people"; }} );
beat = {{ channel = "people"; }};
''')

    def told_path(self):
        return os.path.join(self.folder, "notices")

    def told(self):
        """Notices that reached somebody, the oldest first, without signs of life."""
        with open(self.told_path(), encoding="utf-8") as f:
            return [n for n in map(json.loads, f) if n["alertname"] != "xunjian-beat"]

    def ask(self, path):
        """A page of the collector, from beside it."""
        def get():
            with urllib.request.urlopen(f"http://{self.web[0]}:{self.web[1]}{path}", timeout=10) as answer:
                return answer.read()
        return self.network.call("core", get)

    def wait_for_collector(self, seconds=20):
        end = time.monotonic() + seconds
        while True:
            try:
                return self.ask("/-/ready")
            except OSError as e:
                if self.failed() or time.monotonic() > end:
                    raise BoxError(f"the collector does not serve: {e}") from e
            time.sleep(0.1)

    def start_agent(self, agent, address):
        path = os.path.join(self.folder, f"{agent['id']}.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'''id = "{agent["id"]}"; state = "{agent["id"]}"; readable = "{os.path.dirname(self.web_ca())}";
collector = {{ url = "https://{address}"; ca = "pki/ca.pem";
  certificate = "pki/{agent["id"]}.pem"; key = "pki/{agent["id"]}.key"; }};
''')
        self.start_program(agent["id"], agent["site"], [self.program("xunjian-agent"), "run", "-c", path])

    def start_program(self, name, namespace, argv):
        with open(os.path.join(self.folder, name + ".log"), "ab") as log:
            self.programs[name] = subprocess.Popen(self.network.argv(namespace, *argv), stdin=subprocess.DEVNULL,
                                                   stdout=log, stderr=log, start_new_session=True,
                                                   preexec_fn=end_with_parent)

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
        for place in self.places.values():
            if place.process:
                place.process.terminate()
                place.process.wait()
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


# ---------------------------------------------------------------- where namespaces are not allowed


class NoNetwork:
    """Everything on the loopback of this host."""

    names, parents = [], {}

    def prepare(self):
        pass

    def argv(self, _name, *argv):
        return list(argv)

    def call(self, _name, function):
        return function()

    def claim(self, _name, _ipv4, _ipv6):
        pass


def free_port(start, *addresses):
    """The first port from start on that is free on all addresses."""
    for port in range(start, 65536):
        sockets = []
        try:
            for a in addresses:
                s = socket.socket(socket.AF_INET6 if ":" in a else socket.AF_INET)
                sockets.append(s)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((a, port))
            return port
        except OSError as e:
            if e.errno != errno.EADDRINUSE:
                raise BoxError(f"{a}: {e.strerror}") from e
        finally:
            for s in sockets:
                s.close()
    raise BoxError(f"no free port from {start} on")


def to_loopback(source, target, ca):
    """Copies an inventory so that its systems and boxed links are on loopback addresses, one port per system."""
    city = City(source)
    hosts = {urllib.parse.urlsplit(c["url"]).hostname: n
             for n, c in enumerate((c for c in city.checks if c["type"] == "http"), 1)}
    ports, links = {}, {x["id"]: n for n, x in enumerate(city.boxed_links(), 1)}
    for host, n in hosts.items():
        ports[host] = free_port(max(ports.values(), default=20000) + 1, f"127.0.1.{n}", "::1")

    def rewrite(m):
        group = m.group(0)
        host = re.search(r'(?:host = "|://)([a-z0-9.-]+)', group)
        link = re.search(r'subject = "link/([a-z0-9-]+)"', group)
        if host and host.group(1) in ports:
            group = re.sub(r'ipv4 = "[^"]*"', f'ipv4 = "127.0.1.{hosts[host.group(1)]}"', group)
            group = re.sub(r'ipv6 = "[^"]*"', 'ipv6 = "::1"', group)
            group = re.sub(r"(://[a-z0-9.-]+)/", rf"\1:{ports[host.group(1)]}/", group)
            group = re.sub(r"port = [0-9]+", f"port = {ports[host.group(1)]}", group)
        elif link and "host =" not in group:
            group = group[:-1] + f'host = "{link.group(1)}"; ipv4 = "127.0.2.{links[link.group(1)]}"; ipv6 = "::1"; }}'
        elif "anchor = true" in group:
            group = re.sub(r'ipv4 = "[^"]*"; ipv6 = "[^"]*"', 'ipv4 = "127.0.0.1"; ipv6 = "::1"', group)
        return group.replace(WEB_CA, ca)

    os.makedirs(target)
    for name in os.listdir(source):
        with open(os.path.join(source, name), encoding="utf-8") as f:
            text = f.read()
        if re.search(r"(?m)^checks\s*[=:]", text):
            text = re.sub(r"\{[^{}]*\}", rewrite, text)
        with open(os.path.join(target, name), "w", encoding="utf-8") as f:
            f.write(text)


class LoopbackBox(Box):
    """No links can be cut here, but systems answer, agents measure and the pages show it."""

    def __init__(self, folder, say=print, source=os.path.join(CONF, "inventory.d")):
        inventory = os.path.join(folder, "inventory.d")
        to_loopback(source, inventory, os.path.join(folder, "systems-ca.pem"))
        super().__init__(folder, say, inventory, NoNetwork())
        self.web = ("127.0.0.1", free_port(8080, "127.0.0.1"))
        self.ingest = free_port(8443, "127.0.0.1", "::1")

    def build_network(self):
        pass

    def web_ca(self):
        return os.path.join(self.folder, "systems-ca.pem")

    def collector_addresses(self):
        return f"127.0.0.1:{self.ingest}", f"[::1]:{self.ingest}"
