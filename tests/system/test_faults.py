#!/usr/bin/env python3
"""Faults of the way and faults of our own, on a network of three hosts: prober - router - target, both families.

What is made here no peer can make: packets that vanish in silence, in one family, on the way back, behind the handshake, or when they
are large; hosts that are gone; filters that say so. Then the agent itself in its own trouble: the probing interface is taken down, its
descriptors are used up, the collector is out of reach. Faults that peers make are in the tests of the probe types; with FULL=1 these are
run as well and all is printed as one table.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "city"))
import box  # noqa: E402
import certs  # noqa: E402
import faults  # noqa: E402
import nginx  # noqa: E402
import pair  # noqa: E402
from checks import check, failures  # noqa: E402

NAME = "portal.gov.example"
B4, B6 = "192.0.2.3", "2001:db8::3"
TIMEOUT = "700ms" if pair.FULL else "550ms"
ROUNDS = 3 if pair.FULL else 1
count = 0
# How each type asks the target; the answers to the large ones do not fit into one packet.
TYPES = {
    "icmp": ["icmp", "count=2", "spacing=10ms", "wait=300ms"],
    "tcp": ["tcp", "port=22", "expect=SSH-2.0"],
    "http": ["http", f"url=http://{NAME}/"],
    "tls": ["tls", "port=443", "verify=false"],
    "dns": ["dns", f"name={NAME}"],
    "ntp": ["ntp"],
    "sip": ["sip", "port=5060"],
    "large http": ["http", f"url=http://{NAME}/large"],
}
SMALL = [t for t in TYPES if not t.startswith("large")]


# ---------------------------------------------------------------- the network and its servers


def build():
    n = box.Network()
    n.prepare()
    for name in ("router", "prober", "target"):
        n.add(name)
    n.join("router", "prober", *box.ends("192.0.2.1", "2001:db8::1"))
    n.join("router", "target", *box.ends(B4, B6))
    n.route()
    n.sh("router", "sysctl", "-qw", "net.ipv4.icmp_msgs_per_sec=100000", "net.ipv4.icmp_ratemask=0")
    return n


def start(n, argv, log):
    with open(log, "ab") as f:
        return subprocess.Popen(n.argv("target", *argv), stdin=subprocess.DEVNULL, stdout=f, stderr=f)


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def serve(n, folder):
    """nginx, Knot DNS, chronyd, and two small ones: a greeting on port 22 and a telephone server."""
    cert, key = certs.Authority(folder, "Root").leaf(NAME, f"DNS:{NAME}")
    write(f"{folder}/nginx.conf", nginx.CONFIG.format(folder=folder, servers=f"""server {{ listen 80; listen [::]:80; listen 443 ssl;
  listen [::]:443 ssl; ssl_certificate {cert}; ssl_certificate_key {key}; location / {{ return 200 "ok"; }}
  location /large {{ root {folder}; }} }}"""))
    write(f"{folder}/large", "x" * 200000)
    write(f"{folder}/zone", f"$TTL 300\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nns A {B4}\n@ A {B4}\n@ AAAA {B6}\n")
    write(f"{folder}/knot.conf", f"""server:
    rundir: {folder}
    listen: [0.0.0.0@53, "::@53"]
database:
    storage: {folder}/knot
zone:
  - domain: {NAME}
    storage: {folder}
    file: zone
    zonefile-sync: -1
    journal-content: none
""")
    write(f"{folder}/chrony.conf", f"port 123\nallow\ncmdport 0\nbindcmdaddress /\npidfile {folder}/chrony.pid\nlocal stratum 3\n")
    start(n, [nginx.BINARY, "-c", f"{folder}/nginx.conf", "-p", folder, "-e", f"{folder}/nginx.log"], f"{folder}/nginx.out")
    start(n, ["knotd", "-c", f"{folder}/knot.conf"], f"{folder}/knot.log")
    write(f"{folder}/snmpd.conf", "rocommunity everybody\nrocommunity6 everybody\n")
    start(n, ["env", "MIBS=", f"SNMP_PERSISTENT_DIR={folder}", "snmpd", "-f", "-Lo", "-C", "-c", f"{folder}/snmpd.conf", "-p", f"{folder}/snmpd.pid",
              f"udp:{B4}:161", f"udp6:[{B6}]:161"], f"{folder}/snmpd.log")
    start(n, ["chronyd", "-d", "-x", "-U", "-u", "root", "-f", f"{folder}/chrony.conf"], f"{folder}/chrony.log")
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        greeter = n.call("target", lambda f=family, a=address: socket.create_server((a, 22), family=f))
        threading.Thread(target=greet, args=(greeter,), daemon=True).start()
        phone = n.call("target", lambda f=family: socket.socket(f, socket.SOCK_DGRAM))
        if family == socket.AF_INET6:
            phone.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        phone.bind((address, 5060))
        threading.Thread(target=answer_calls, args=(phone,), daemon=True).start()


def greet(listener):
    while True:
        c, _ = listener.accept()
        c.sendall(b"SSH-2.0-test\r\n")
        c.close()


def answer_calls(phone):
    while True:
        data, sender = phone.recvfrom(4096)
        keep = [line for line in data.split(b"\r\n") if re.match(rb"(Via|From|To|Call-ID|CSeq)\s*:", line, re.I)]
        phone.sendto(b"SIP/2.0 200 OK\r\n" + b"\r\n".join(keep) + b"\r\nContent-Length: 0\r\n\r\n", sender)


# ---------------------------------------------------------------- faults of the way


def ask(n, kinds, six=B6):
    """All types at once, as faults mostly wait; results by type."""
    running = {}
    for kind in kinds:
        probe_type, *options = TYPES[kind]
        where = [f"ipv4={B4}", f"ipv6={six}", *([] if probe_type == "http" else [f"host={NAME}"])]
        running[kind] = subprocess.Popen(n.argv("prober", pair.AGENT, "probe", probe_type, "--json", f"timeout={TIMEOUT}", *where, *options),
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out = {}
    for kind, p in running.items():
        text = p.communicate()[0]
        try:
            out[kind] = json.loads(text)
        except ValueError:
            out[kind] = [{"family": 0, "outcome": text, "reason": ""}]
    return out


def expect(fault, said, wanted):
    """wanted: what each type says of both families, or of IPv4 and of IPv6; a reason begins so."""
    global count
    for kind, results in said.items():
        of = wanted[kind] if kind in wanted else wanted["all"]
        four, six = (of, of) if isinstance(of[0], str) else of
        good = [r["family"] for r in results] == [4, 6]
        for r, (outcome, *reason) in zip(results, (four, six)):
            good = good and r["outcome"] == outcome and (r["reason"].startswith(reason[0]) if reason else r["reason"] == "")
        count += 1
        faults.record(kind, fault, results)
        check(f"{kind}: {fault}", good, [(r["family"], r["outcome"], r["reason"]) for r in results])


UP = ("up",)
SILENCE = {
    "icmp": ("down", "no reply to 2"), "tcp": ("down", f"no answer to the connection attempt within {TIMEOUT}"),
    "http": ("down", f"no answer to the connection attempt within {TIMEOUT}"), "tls": ("down", f"no answer to the connection attempt within {TIMEOUT}"),
    "dns": ("down", f"no answer to 3 queries within {TIMEOUT}"), "ntp": ("down", f"no answer to 3 queries within {TIMEOUT}"), "sip": ("down", f"no response to 2 requests within {TIMEOUT}"),
}
# TCP over IPv6 goes on trying behind a filter's word, which Linux does not take for final.
NO_ROUTE, WAITED = ("down", "no route to host"), SILENCE["tcp"]
REFUSED = {
    "icmp": ("down", "prohibited by a filter, said "), "tcp": (NO_ROUTE, WAITED), "http": (NO_ROUTE, WAITED), "tls": (NO_ROUTE, WAITED),
    **{kind: ((words[0], words[1] + ": no route to host"), (words[0], words[1] + ": prohibited, says a router on the way"))
       for kind, words in SILENCE.items() if kind in ("dns", "ntp", "sip")},
}
UNREACHABLE = {
    "icmp": (("down", "host unreachable, said "), ("down", "address unreachable, said ")),
    **{kind: (NO_ROUTE, WAITED) for kind in ("tcp", "http", "tls")},
    **{kind: (words[0], words[1] + ": no route to host") for kind, words in SILENCE.items() if kind in ("dns", "ntp", "sip")},
}
HALF_OPEN = {"tcp": ("down", "connected in "), "http": ("down", "connected in "), "tls": ("down", "connected in "), "all": UP}
NO_SERVICE = {"icmp": UP, **{kind: (UP, ("down", "connection refused")) for kind in ("tcp", "http", "tls")},
              **{kind: (UP, ("down", "port unreachable")) for kind in ("dns", "ntp", "sip")}}
HOLE = {"large http": ("down", "connected in "), "all": UP}


def forward(n, *rules):
    n.sh("router", "nft", "; ".join(["add table inet t", "add chain inet t f { type filter hook forward priority 0 ; }",
                                     "add chain inet t o { type filter hook output priority 0 ; }", *rules]))


def clear(n):
    n.sh("router", "nft", "flush ruleset")


def one_family(of):
    return {kind: (UP, words) for kind, words in of.items()}


def by_rules(n):
    def case(fault, wanted, *rules, kinds=SMALL):
        forward(n, *rules)
        expect(fault, ask(n, kinds), wanted)
        clear(n)

    expect("none", ask(n, TYPES), {"all": UP})
    if pair.FULL:
        case("all vanishes in silence", SILENCE, "add rule inet t f drop")
        case("only the answers vanish", SILENCE, f"add rule inet t f ip saddr {B4} drop", f"add rule inet t f ip6 saddr {B6} drop")
        case("a router knows no way to the host", UNREACHABLE, "add rule inet t f reject with icmpx host-unreachable")
        expect("the AAAA record leads to another machine", ask(n, SMALL, "2001:db8::"), NO_SERVICE)
    case("all IPv6 vanishes in silence", one_family(SILENCE), "add rule inet t f meta nfproto ipv6 drop")
    case("a router's filter refuses", REFUSED, "add rule inet t f reject with icmpx admin-prohibited")
    case("half-open: connected, then silence", HALF_OPEN, "add rule inet t f tcp flags & psh == psh drop")


def by_mtu(n):
    """The link to the prober takes packets of 1,300 bytes only: told, then not told."""
    n.sh("router", "ip", "link", "set", "prober", "mtu", "1300")
    forward(n, "add rule inet t o icmp type destination-unreachable drop", "add rule inet t o icmpv6 type packet-too-big drop")
    expect("a black hole for large packets", ask(n, TYPES), HOLE)
    clear(n)
    if pair.FULL:
        expect("a narrow link that says so", ask(n, TYPES), {"all": UP})


# ---------------------------------------------------------------- faults of our own, in the agent itself


RESULT = re.compile(r'result check=(\S+) family=(\d) part= outcome=(\w+) reason="([^"]*)"')
PINS = f'host = "{NAME}"; ipv4 = "{B4}"; ipv6 = "{B6}"; '
# Types that an agent does besides those above; with a plugin that is written here, and snmpd.
WINDOW = 'window = "w"; silent = "2s";'
MORE = {
    "path": PINS + 'type = "path"; hops = 4; wait = "200ms"; spacing = "5ms"; mtu = 0;',
    "path-udp": PINS + 'type = "path"; mode = "udp"; hops = 4; wait = "200ms"; spacing = "5ms";',
    "http-steps": PINS.replace(f'host = "{NAME}"; ', "") + f'type = "http-steps"; url = "http://{NAME}/"; steps = [ "a: GET /" ];',
    "snmp": PINS + 'type = "snmp"; credentials = "all"; what = [ "system" ];',
    "exec": PINS + 'type = "exec"; plugin = "greeting"; args = [ "{address}" ];',
    "resolvers": 'type = "dns"; host = "resolvers"; families = "ipv4"; name = "%s";' % NAME,
    "named": f'type = "tcp"; host = "{NAME}"; port = 22;',
    "scorecard": f'type = "scorecard"; url = "http://{NAME}/"; attempts = 1; links2 = 0; delay = "0s"; ports = "80";',
}
# Of the host that it stands on. A heartbeat is unknown here all the time, as nobody reports.
OWN = ("cpu", "memory", "load", "disk", "interface", "protocol", "process", "descriptors", "entropy", "uptime", "self", "users", "systemd",
       "heartbeat")
GREETING = """#!/usr/bin/python3
import socket, sys
try:
    socket.create_connection((sys.argv[1], 22), 1)
except OSError as e:
    print("CRITICAL:", e)
    sys.exit(2)
print("OK")
"""


class Agent:
    """Agent and collector on the prober; what the agent says of each check, from its log."""

    def __init__(self, n):
        self.n, self.pair = n, pair.Pair(checks=1)
        checks = ""
        for kind in SMALL:
            probe_type, *options = TYPES[kind]
            more = "".join(f"{k} = {v if v.isdigit() or v == 'false' else json.dumps(v)}; " for k, v in (o.split("=", 1) for o in options))
            host = "" if probe_type == "http" else f'host = "{NAME}"; '
            checks += (f'{{ id = "{kind}"; type = "{probe_type}"; subject = "system/portal"; vantages = [ "agent-1" ]; interval = "1s"; '
                       f'timeout = "{TIMEOUT}"; {host}ipv4 = "{B4}"; ipv6 = "{B6}"; {more}}},\n')
        begin = '{ id = "%s"; subject = "system/portal"; vantages = [ "agent-1" ]; interval = "1s"; timeout = "900ms"; '
        checks += "".join(begin % kind + text + " },\n" for kind, text in MORE.items())
        checks += "".join(begin % f"own-{t}" + f'type = "{t}"; {WINDOW if t == "heartbeat" else ""} }},\n' for t in OWN)
        with open(self.pair.path("inventory.d", "all.conf"), encoding="utf-8") as f:
            head = f.read().split("checks = (")[0]
        self.pair.write("inventory.d/all.conf", f"{head}checks = ({checks.rstrip().rstrip(',')});\n")
        self.files()
        self.pair.write_agent("agent", f'''log_level = "debug"; resolver = "{B4}"; credentials = "credentials.conf"; plugins = "plugins.conf";
plugin_user = "61241"; heartbeat = {{ listen_udp = [ "127.0.0.1:8445" ]; tokens = "windows.conf"; }};
''')
        for name in ("collector", "agent"):
            self.pair.start(name, wrap=n.argv("prober"))

    def files(self):
        p = self.pair
        os.chmod(p.folder, 0o755)
        p.write("greeting", GREETING)
        os.chmod(p.path("greeting"), 0o755)
        p.write("plugins.conf", f'plugins = ( {{ name = "greeting"; path = "{p.path("greeting")}"; }} );\n')
        p.write("credentials.conf", 'credentials = ( { id = "all"; community = "everybody"; } );\n')
        p.write("windows.conf", f'windows = ( {{ id = "w"; token = "{"t" * 32}"; }} );\n')
        for name in ("credentials.conf", "windows.conf"):
            os.chmod(p.path(name), 0o600)

    def results(self, since):
        """By check and family, what came after that place of the log."""
        out = {}
        for kind, family, outcome, reason in RESULT.findall(self.pair.log("agent")[since:]):
            out.setdefault((kind, int(family)), []).append((outcome, reason))
        return out

    def measures(self):
        """Whether each check was up last: before that, it may not even have its checks from the collector."""
        got = self.results(0)
        return got.keys() == EXPECTED and all(said[-1][0] == "up" or kind.startswith("own-") for (kind, _), said in got.items())

    def rounds(self, what, judge):
        """Some rounds of all checks; what was under way when things changed is as before or unknown, but not down."""
        global count
        since = len(self.pair.log("agent"))

        def enough():
            got = self.results(since)
            return got if got.keys() == EXPECTED and all(len(v) > ROUNDS for v in got.values()) else None
        got = pair.wait(f"results while {what}", enough, 60)
        for (kind, family), said in sorted(got.items()):
            of = [f for f in (0, 4, 6) if (kind, f) in got]
            good = is_own(kind, said) if kind.startswith("own-") else (
                said[0][0] != "down" and all(judge(kind, *result) for result in said[1:]))
            check(f"{kind} IPv{family}, {what}", good, said)
            if family == of[-1]:
                count += 1
                faults.record(kind, what, [{"family": f, "outcome": got[kind, f][-1][0], "reason": got[kind, f][-1][1]} for f in of])

    def limit(self, descriptors):
        """The soft limit of all its processes."""
        for pid in os.listdir("/proc"):
            try:
                if pid.isdigit() and os.getpgid(int(pid)) == self.pair.processes["agent"].pid:
                    subprocess.run(["prlimit", "--pid", pid, f"--nofile={descriptors}:"], check=True)
            except ProcessLookupError:
                continue


# Family 0 where the type has none.
EXPECTED = ({(k, f) for k in [*SMALL, *(m for m in MORE if m not in ("resolvers", "scorecard"))] for f in (4, 6)} |
            {("resolvers", 4), ("scorecard", 0)} | {(f"own-{t}", 0) for t in OWN})


def is_up(kind, outcome, reason):
    return outcome == "up" and (reason == "" or kind == "scorecard")


def unknown_for(words):
    """With one of these words; a resolver is asked on the way to some."""
    return lambda kind, outcome, reason: outcome == "unknown" and re.search(words + "|no resolver gave a usable answer", reason)


def is_own(kind, said):
    """What it sees of its own host goes on, or is unknown."""
    return not any(outcome == "down" for outcome, _ in said)


def by_ourselves(n, a):
    """Of an agent that has measured all the time."""
    try:
        pair.wait("the agent to measure", a.measures, 60)
        if pair.FULL:
            a.rounds("nothing is wrong", is_up)
        n.sh("prober", "nft", f"add table inet t; add chain inet t o {{ type filter hook output priority 0 ; }}; "
             f"add rule inet t o tcp dport {a.pair.ingest} drop")
        a.rounds("only the collector is out of reach", is_up)
        n.sh("prober", "nft", "flush ruleset")
        a.limit(3)
        # Raw sockets for icmp are there already, and those of dns wait for their next use.
        there = ("icmp", "path", "dns", "resolvers")
        a.rounds("no descriptor is left", lambda kind, *result: (is_up if kind in there else unknown_for("Too many open files"))(kind, *result))
        a.limit(1024)
        if pair.FULL:
            a.rounds("descriptors are there again", is_up)
        n.sh("prober", "ip", "link", "set", "uplink", "down")
        a.rounds("the probing interface is down", unknown_for("this host has no route to it|cannot send: Network is unreachable"))
    except AssertionError as e:
        failures.append(str(e))
        got = a.results(0)
        print(f"FAIL {e}: {sorted(EXPECTED - got.keys())} say nothing, of others last", {k: v[-1] for k, v in got.items() if v[-1][0] != "up"},
              a.pair.log("agent")[:1500], a.pair.log("collector")[:1500], sep="\n")
    finally:
        a.pair.clear()


# ---------------------------------------------------------------- all faults as one table

# Of issue 3, by probe type and the name that the test of the type gives it.
FAULTS = [
    ("expired", "tls", "expired"), ("expired", "http", "expired"), ("wrong name", "tls", "wrong name"), ("wrong name", "http", "wrong name"),
    ("self-signed", "tls", "self-signed"), ("self-signed", "http", "self-signed"), ("another root", "http", "another root"),
    ("not yet valid", "tls", "not yet valid"), ("revoked", "tls", "revoked"), ("below the floor of versions", "tls", "below the floor"),
    ("slow header", "http", "slow header"), ("slow body", "http", "slow body"), ("truncated body", "http", "truncated body"),
    ("truncated header", "http", "truncated header"), ("redirect loop", "http", "a redirect loop"), ("huge body", "http", "a huge body"),
    ("bad chunk", "http", "bad chunk"), ("endless header", "http", "endless header"), ("not HTTP", "http", "not HTTP"),
    ("RST at the connection", "http", "connection refused"), ("RST in the handshake", "http", "RST in the handshake"),
    ("RST before the answer", "http", "RST before the answer"), ("RST in the header", "http", "RST in the header"),
    ("RST in the body", "http", "RST in the body"), ("half-open", "tcp", "half-open: connected, then silence"),
    ("half-open", "tls", "half-open: connected, then silence"), ("silent drop", "icmp", "all vanishes in silence"),
    ("silent drop", "dns", "all vanishes in silence"), ("v6 dropped", "http", "all IPv6 vanishes in silence"),
    ("v6 dropped", "ntp", "all IPv6 vanishes in silence"), ("answers dropped", "sip", "only the answers vanish"),
    ("refused by a filter", "icmp", "a router's filter refuses"), ("no way to the host", "tcp", "a router knows no way to the host"),
    ("PMTU hole", "large http", "a black hole for large packets"), ("AAAA broken", "tls", "the AAAA record leads to another machine"),
    ("AAAA broken", "scorecard", "a broken AAAA record"), ("NXDOMAIN", "dns", "NXDOMAIN"), ("NODATA", "dns", "NODATA"),
    ("SERVFAIL", "dns", "a bogus zone"), ("lame delegation", "dns", "lame: no authority"), ("lame delegation", "scorecard", "a delegation in part"),
    ("no source of time", "ntp", "a server without a source"), ("own interface down", "http", "the probing interface is down"),
    ("own descriptors used up", "ntp", "no descriptor is left"), ("collector out of reach", "http", "only the collector is out of reach"),
    ("wrong credentials", "snmp", "wrong-auth"), ("wrong community", "snmp", "a wrong community"),
    ("overload", "sip", "tcp: overload"), ("wrong name", "sip", "tls: wrong name"), ("expired", "sip", "tls: expired"),
    ("black hole", "path", "a black hole"), ("a router that limits its errors", "path", "a busy router that limits its errors"),
    ("a plugin that hangs", "exec", "stubborn"), ("a plugin without end", "exec", "dripping"), ("a fork bomb", "exec", "bomb"),
]
OTHERS = ["http", "tls", "dns", "ntp", "sip", "scorecard", "snmp", "exec", "path"]


def words_of(said):
    texts = {f"{outcome}{': ' if reason else ''}{reason}" for _, outcome, reason in said}
    if len(texts) == 1:
        return texts.pop()
    return " | ".join(f"IPv{family} {outcome}{': ' if reason else ''}{reason}" for family, outcome, reason in said)


def print_table(place):
    with open(place, encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    for probe_type in dict.fromkeys(r["type"] for r in rows):
        for r in rows:
            if r["type"] == probe_type:
                print(f"  {probe_type:10} {r['fault']:44} {words_of(r['said'])}")
    print(f"  figure: {len(rows)} faults in one table, of {len({r['type'] for r in rows})} types")
    seen = {(r["type"], r["fault"]) for r in rows}
    lacking = [f"{probe_type}: {name}" for name, probe_type, fault in FAULTS if (probe_type, fault) not in seen]
    check("each fault of the list is in the table", not lacking, lacking)
    print(f"  figure: {len(FAULTS) - len(lacking)} of the {len(FAULTS)} faults of the list are in it")


def other(probe_type):
    return os.path.join(ROOT, "tests", "system", f"test_probe_{probe_type}.py")


def all_faults():
    """This test and those of the types, each of which fails by itself."""
    fd, place = tempfile.mkstemp(prefix="xunjian-faults-")
    os.close(fd)
    os.environ["XUNJIAN_FAULTS"] = place
    status = box.launch(os.path.abspath(__file__)).wait()
    check("the faults of this test", status == 0, status)
    for probe_type in OTHERS:
        if os.path.exists(other(probe_type)):
            p = subprocess.run([sys.executable, other(probe_type)], env={**os.environ, "FULL": ""}, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, check=False)
            check(f"test_probe_{probe_type}", p.returncode == 0, p.stdout[-2000:])
    print_table(place)
    os.unlink(place)
    return 1 if failures else 0


def inside():
    folder = tempfile.mkdtemp(prefix="xunjian-faults-")
    os.chmod(folder, 0o755)
    os.mkdir(f"{folder}/knot")
    n = build()
    serve(n, folder)
    pair.wait("the servers", lambda: all(r["outcome"] == "up" for results in ask(n, TYPES).values() for r in results))
    agent = Agent(n)
    by_rules(n)
    by_mtu(n)
    n.sh("router", "ip", "link", "set", "prober", "mtu", "1500")
    by_ourselves(n, agent)
    shutil.rmtree(folder, ignore_errors=True)
    print(f"  figure: {count} faults of the way and of our own, both families, {count - len(failures)} as expected")
    return 1 if failures else 0


def main():
    if "--inside" in sys.argv:
        return inside()
    reason = box.namespaces_work()
    missing = [name for name in ("knotd", "chronyd", "snmpd", "nft") if shutil.which(name) is None] + [nginx.BINARY] * (not os.path.exists(nginx.BINARY))
    if reason or os.geteuid() != 0 or missing:
        print(f"network namespaces cannot be made here: {reason or 'not root'}" if not missing else f"not installed: {' '.join(missing)}")
        return 77
    return all_faults() if pair.FULL else box.launch(os.path.abspath(__file__)).wait()


if __name__ == "__main__":
    sys.exit(main())
