#!/usr/bin/env python3
"""The dns probe against Knot DNS (a signed zone), Unbound and BIND (recursion, validation), both families, by its one-shot use.

Facts: each kind of record, DNSSEC, truncation over to TCP, NXDOMAIN, NODATA, SERVFAIL of a bogus zone, REFUSED, a lame
server, a referral, an old server without EDNS, a silent server that delays nothing else, our own faults.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import faults
import pair

failures = []
LOAD = os.path.join(pair.TOOLS, "probe_load")
ZONE = """$ORIGIN gov.example.
$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
ns AAAA ::1
www A 192.0.2.1
www A 192.0.2.2
www AAAA 2001:db8::1
alias CNAME www
chain CNAME alias
dangling CNAME nowhere.gov.example.
@ MX 10 Mail
@ TXT "v=spf1 -all" "second"
_sip._udp SRV 1 2 5060 sip
@ CAA 0 issue "ca.example"
portal HTTPS 1 . alpn=h2
sub NS ns.sub
ns.sub A 192.0.2.53
"""


def check(what, good, seen=""):
    if not good:
        failures.append(what)
        print(f"FAIL {what}: {seen}", flush=True)


def probe(*options, timeout="2s"):
    p = subprocess.run([pair.AGENT, "probe", "dns", "--json", f"timeout={timeout}", *options], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, check=False)
    try:
        return json.loads(p.stdout)
    except json.JSONDecodeError:
        raise AssertionError(f"{options}: {p.stdout}") from None


def value(r, name):
    return r["values"].get(name, {}).get("value")


def both(what, port, options, outcome, reason="", host="localhost", families=2, judge=lambda r: True):
    """The same in each family of the host."""
    got = probe(f"host={host}", f"port={port}", *options)
    faults.record("dns", what, got)
    check(f"{what}: {families} results", len(got) == families, got)
    for r in got:
        check(f"{what} (IPv{r['family']})", r["outcome"] == outcome and r["reason"] in ([reason] if isinstance(reason, str) else reason)
              and judge(r), r)


class Server:
    def __init__(self, argv, log):
        with open(log, "wb") as f:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f, start_new_session=True)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def start_knot(folder, port):
    many = "".join(f'big TXT "{i} {"x" * 200}"\n' for i in range(20))
    write(f"{folder}/gov.zone", ZONE + many)
    write(f"{folder}/other.zone", ZONE.replace("gov.example", "other.example"))
    write(f"{folder}/knot.conf", f"""server:
    rundir: {folder}
    listen: [0.0.0.0@{port}, ::1@{port}]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}/knot
zone:
  - domain: gov.example
    storage: {folder}
    file: gov.zone
    zonefile-sync: -1
    journal-content: none
    dnssec-signing: on
  - domain: other.example
    storage: {folder}
    file: other.zone
log:
  - target: stderr
    any: info
""")
    return Server(["knotd", "-c", f"{folder}/knot.conf"], f"{folder}/knot.log")


def trust_anchor(folder):
    """The DS of the signed zone, once there are keys."""
    def ask():
        out = subprocess.run(["keymgr", "-c", f"{folder}/knot.conf", "gov.example", "ds"], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True, check=False).stdout
        return next((line for line in out.splitlines() if " DS " in line and " 2 " in line), None)
    return pair.wait("keys of the signed zone", ask)


def start_unbound(folder, port, knot, anchor):
    bogus = "other.example. DS 12345 13 2 " + "ab" * 32
    stubs = "".join(f"stub-zone:\n  name: {zone}\n  stub-addr: 127.0.0.1@{knot}\n" for zone in ("gov.example", "other.example"))
    write(f"{folder}/unbound.conf", f"""server:
  interface: 127.0.0.1@{port}
  interface: ::1@{port}
  chroot: ""
  username: ""
  directory: {folder}
  pidfile: {folder}/unbound.pid
  use-syslog: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  ede: yes
  trust-anchor: "{anchor}"
  trust-anchor: "{bogus}"
  local-zone: "refused.example." refuse
  local-zone: "nothere.example." always_nxdomain
remote-control:
  control-enable: no
{stubs}""")
    return Server(["unbound", "-d", "-p", "-c", f"{folder}/unbound.conf"], f"{folder}/unbound.log")


def start_bind(folder, port, knot, anchor):
    """Recursion for the zones of Knot, and a zone of its own."""
    tag, algorithm, kind, digest = anchor.split()[-4:]
    forward = "".join(f'zone "{zone}" {{ type forward; forward only; forwarders {{ 127.0.0.1 port {knot}; }}; }};\n'
                      for zone in ("gov.example", "other.example"))
    write(f"{folder}/bind.zone", ZONE.replace("gov.example", "bind.example") + "".join(f'big TXT "{i} {"x" * 200}"\n' for i in range(20)))
    write(f"{folder}/refused.zone", ZONE.replace("gov.example", "refused.example"))
    write(f"{folder}/named.conf", f"""options {{
    directory "{folder}";
    pid-file none;
    lock-file none;
    session-keyfile none;
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 port {port} {{ ::1; }};
    recursion yes;
    dnssec-validation yes;
    notify no;
}};
trust-anchors {{
    gov.example. static-ds {tag} {algorithm} {kind} "{digest}";
    other.example. static-ds 12345 13 2 "{"ab" * 32}";
}};
controls {{ }};
{forward}
zone "bind.example" {{ type primary; file "{folder}/bind.zone"; }};
zone "refused.example" {{ type primary; file "{folder}/refused.zone"; allow-query {{ none; }}; }};
""")
    return Server(["named", "-g", "-n", "1", "-c", f"{folder}/named.conf"], f"{folder}/named.log")


def of_bind(port):
    both("BIND: validated", port, ["name=www.gov.example", "dnssec=validated", "expect=192.0.2.1"], "up",
         judge=lambda r: value(r, "authentic") == 1 and value(r, "authoritative") == 0)
    both("BIND: its own zone", port, ["name=chain.bind.example", "authoritative=true", "expect=192.0.2.1"], "up",
         judge=lambda r: value(r, "authoritative") == 1 and value(r, "authentic") == 0)
    both("BIND: truncated, then whole by TCP", port, ["name=big.bind.example", "record=TXT", "expect=~^19 x"], "up",
         judge=lambda r: value(r, "truncated") == 1 and value(r, "tcp") == 1 and value(r, "answers") == 20)
    both("BIND: NXDOMAIN", port, ["name=nowhere.bind.example"], "down", "NXDOMAIN, expected NOERROR")
    both("BIND: NODATA", port, ["name=www.bind.example", "record=MX"], "down", "no MX record")
    both("BIND: REFUSED", port, ["name=www.refused.example"], "down", ["REFUSED, expected NOERROR", "REFUSED, expected NOERROR: prohibited"])
    both("BIND: a bogus zone", port, ["name=www.other.example"], "down", "SERVFAIL, expected NOERROR", judge=lambda r: value(r, "rcode") == 2)


def authoritative(port):
    def ask(what, name, record, expect, judge=lambda r: True, more=()):
        both(what, port, [f"name={name}", f"record={record}", *[f"expect={e}" for e in expect], "recursion=false",
                          "authoritative=true", *more], "up", judge=judge)

    ask("addresses in any order", "www.gov.example", "A", ["192.0.2.2", "192.0.2.1"],
        lambda r: value(r, "answers") == 2 and value(r, "ttl") == 300 and value(r, "authoritative") == 1
        and 0 < value(r, "time") < 0.5 and value(r, "lost") == 0 and value(r, "foreign") == 0)
    ask("an IPv6 address in whatever form", "WWW.gov.example.", "AAAA", ["2001:DB8:0::0001"])
    ask("behind aliases", "chain.gov.example", "A", ["192.0.2.1"], lambda r: value(r, "answers") == 2)
    ask("MX", "gov.example", "MX", ["10 mail.gov.example."])
    ask("NS", "gov.example", "NS", ["ns.gov.example"])
    ask("SOA", "gov.example", "SOA", ["~^ns.gov.example hostmaster.gov.example [0-9]+ 3600 600 86400 60$"])
    ask("TXT", "gov.example", "TXT", ["v=spf1 -allsecond"])
    ask("SRV", "_sip._udp.gov.example", "SRV", ["1 2 5060 sip.gov.example"])
    ask("CAA", "gov.example", "CAA", ['0 issue "ca.example"'])
    ask("DNSKEY", "gov.example", "DNSKEY", ["~^257 3 13 "])
    ask("a type by its number", "portal.gov.example", "TYPE65", ["~^\\\\# [0-9]+ 0001"])
    ask("signatures", "www.gov.example", "A", [], more=["dnssec=signed"])
    ask("over TCP from the start", "www.gov.example", "A", ["192.0.2.1"], lambda r: value(r, "tcp") == 1, ["protocol=tcp"])
    ask("truncated, then whole by TCP", "big.gov.example", "TXT", ["~^19 x"],
        lambda r: value(r, "truncated") == 1 and value(r, "tcp") == 1 and value(r, "answers") == 20 and value(r, "size") > 4000)

    def down(what, options, reason):
        both(what, port, options, "down", reason)

    down("a record that is missing", ["name=www.gov.example", "expect=192.0.2.3"],
         '"192.0.2.3" is not among the answers: 192.0.2.1, 192.0.2.2')
    down("NXDOMAIN", ["name=nowhere.gov.example"], "NXDOMAIN, expected NOERROR")
    down("NODATA", ["name=www.gov.example", "record=MX"], "no MX record")
    down("an alias that leads nowhere", ["name=dangling.gov.example"], "NXDOMAIN, expected NOERROR")
    down("a zone that is not there (lame)", ["name=www.city.example"], "REFUSED, expected NOERROR: not authoritative")
    down("a referral", ["name=www.sub.gov.example"], "a referral to other servers, not an answer (it does no recursion)")
    down("unsigned", ["name=www.other.example", "dnssec=signed"], "no signature over the A records")
    down("not validated", ["name=www.gov.example", "dnssec=validated"], "not validated: the server does not set the AD flag")
    for word, name in (("NXDOMAIN", "nowhere.gov.example"), ("REFUSED", "www.city.example")):
        both(f"{word} when it is wanted", port, [f"name={name}", f"expect_status={word}"], "up")
    both("NODATA when it is wanted", port, ["name=www.gov.example", "record=MX", "expect_status=NODATA"], "up")


def recursive(port):
    both("what was validated is told unasked", port, ["name=www.gov.example"], "up", judge=lambda r: value(r, "authentic") == 1)
    both("validated", port, ["name=www.gov.example", "dnssec=validated", "expect=192.0.2.1"], "up",
         judge=lambda r: value(r, "authentic") == 1 and value(r, "authoritative") == 0)
    both("validated NXDOMAIN", port, ["name=nowhere.gov.example", "dnssec=validated", "expect_status=NXDOMAIN"], "up")
    both("lame: no authority", port, ["name=www.gov.example", "authoritative=true"], "down",
         "lame: it answers without authority (no AA flag)")
    both("NXDOMAIN by a resolver", port, ["name=a.nothere.example"], "down", "NXDOMAIN, expected NOERROR")
    both("REFUSED by a resolver", port, ["name=a.refused.example"], "down", "REFUSED, expected NOERROR")
    both("a bogus zone", port, ["name=www.other.example"], "down",
         ["SERVFAIL, expected NOERROR: DNSKEY missing", "SERVFAIL, expected NOERROR: DNSSEC bogus"],  # the latter from its cache
         judge=lambda r: value(r, "rcode") == 2)


def silent(port, knot):
    """One target of a thousand does not answer: it alone is down, the others are not slower."""
    out = subprocess.run([LOAD, "dns", "127.0.1.1", "1000", "100", "timeout=3s", "host=@", f"port={knot}", "name=www.gov.example",
                          "expect=192.0.2.1"], stdout=subprocess.PIPE, text=True, check=True).stdout
    f = json.loads(out)
    check("one dead server of 1,000 is down alone", (f["up"], f["down"], f["unknown"]) == (999, 1, 0), f)
    check("and is asked three times", f["reason"] == "no answer to 3 queries within 3s", f)
    check("while the others go on", f["wall_s"] < 5, f)
    print(f"  figure: dns 1,000 servers, one of them dead: {f['wall_s']} s, 999 up")
    count = 20000 if pair.FULL else 4000
    out = subprocess.run([LOAD, "dns", "127.1.0.1", str(count), "200", "host=@", f"port={knot}", "name=www.gov.example", "expect=192.0.2.1"],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    f = json.loads(out)
    check("many at once are all up", f["up"] == count, f)
    print(f"  figure: dns {count} runs, 200 at a time: {f['wall_s']} s, {f['cpu_s'] / count * 1e6:.1f} us CPU per run")
    began = time.monotonic()
    got = probe("host=localhost", f"port={port}", "name=a", timeout="600ms")
    check("silence in both families", [(r["outcome"], r["reason"]) for r in got] ==
          [("down", "no answer to 3 queries within 600ms")] * 2 and time.monotonic() - began < 3, got)


def inside(folder, port):
    """An agent in a place of its own, whose /etc/resolv.conf changes."""
    conf, log = f"{folder}/resolv.conf", f"{folder}/agent.log"
    write(conf, "nameserver 127.0.2.7\nnameserver ::1\n")
    subprocess.run(["mount", "--bind", conf, "/etc/resolv.conf"], check=True)
    write(f"{folder}/agent.conf", f"""id = "a"; state = "{folder}/state"; log_level = "debug";
checks = ( {{ id = "names"; type = "dns"; interval = "1s"; timeout = "900ms"; host = "resolvers"; name = "www.gov.example"; port = {port}; }} );
""")
    with open(log, "wb") as f:
        agent = subprocess.Popen([pair.AGENT, "run", "-c", f"{folder}/agent.conf"], stdin=subprocess.DEVNULL, stdout=f, stderr=f)

    def told(family, outcome):
        with open(log, encoding="utf-8") as lines:
            return any(f"result check=names family={family} part= outcome={outcome} " in line for line in lines)
    try:
        pair.wait("the dead server to be down", lambda: told(4, "down"))
        pair.wait("an answer of the other one", lambda: told(6, "up"))
        write(conf, "nameserver 127.0.0.9\n")
        pair.wait("an answer of the new server", lambda: told(4, "up"))
        pair.wait("that there is none of IPv6 any more", lambda: told(6, "unknown"))
    finally:
        agent.terminate()
        agent.wait(20)
    return 0


def resolvers(folder, port):
    """Each server of the host, and those of a file that has changed."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        print("  the host's resolvers are left out: that needs root and unshare")
        return
    p = subprocess.run(["unshare", "-m", sys.executable, __file__, folder, str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, check=False)
    log = f"{folder}/agent.log"
    check("the host's resolvers are followed", p.returncode == 0,
          p.stdout[-800:] + (open(log, encoding="utf-8").read()[-2000:] if os.path.exists(log) else ""))


def own_faults():
    got = probe("host=233.252.0.1", "name=a") if subprocess.run(
        ["ip", "route", "get", "233.252.0.1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode else []
    for r in got:
        check("no route of our own is unknown", r["outcome"] == "unknown", r)
    port = pair.free_port()
    both("a closed port", port, ["name=a"], "down", "port unreachable")
    both("a closed port of TCP", port, ["name=a", "protocol=tcp"], "down", "connection refused")


def bind(family, address, port):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    return s


class Old:
    """A server from before EDNS that answers in capital letters."""

    def __init__(self):
        self.port = pair.free_port()
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            threading.Thread(target=self.serve, args=(bind(family, address, self.port),), daemon=True).start()

    @staticmethod
    def serve(s):
        while True:
            data, sender = s.recvfrom(2048)
            end = data.index(0, 12) + 5
            if data[11] == 1:
                s.sendto(data[:2] + b"\x80\1" + bytes(8), sender)
            else:
                s.sendto(data[:2] + b"\x81\x80\0\1\0\1" + bytes(4) + data[12:end].upper() + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xc0\0\2\1", sender)


def main():
    if len(sys.argv) > 1:
        return inside(sys.argv[1], int(sys.argv[2]))
    missing = [name for name in ("knotd", "keymgr", "unbound") if shutil.which(name) is None]
    if missing:
        print(f"not installed: {' '.join(missing)}")
        return 77
    folder, servers = tempfile.mkdtemp(prefix="xunjian-dns-"), []
    knot, unbound, bind9, quiet = pair.free_port(), pair.free_port(), pair.free_port(), pair.free_port()
    dead = bind(socket.AF_INET, "127.0.2.7", knot)
    silents = [bind(socket.AF_INET, "127.0.0.1", quiet), bind(socket.AF_INET6, "::1", quiet)]
    try:
        os.mkdir(f"{folder}/knot")
        servers.append(start_knot(folder, knot))
        anchor = trust_anchor(folder)
        servers.append(start_unbound(folder, unbound, knot, anchor))
        has_bind = shutil.which("named") is not None
        if has_bind:
            servers.append(start_bind(folder, bind9, knot, anchor))
        for port in (knot, unbound, *([bind9] if has_bind else [])):
            pair.wait(f"an answer at port {port}", lambda p=port: all(
                r["outcome"] == "up" for r in probe("host=localhost", f"port={p}", "name=www.gov.example", timeout="500ms")))
        authoritative(knot)
        recursive(unbound)
        if has_bind:
            of_bind(bind9)
        else:
            print("  BIND is left out: named is not installed")
        both("without EDNS and in other letters", Old().port, ["name=www.gov.example", "expect=192.0.2.1"], "up")
        silent(quiet, knot)
        resolvers(folder, knot)
        own_faults()
    except AssertionError as e:
        failures.append(str(e))
        print(f"FAIL {e}")
        for name in ("knot", "unbound", "named"):
            if os.path.exists(f"{folder}/{name}.log"):
                print(open(f"{folder}/{name}.log", encoding="utf-8", errors="replace").read()[-2000:])
    finally:
        for s in servers:
            s.end()
        for s in [dead, *silents]:
            s.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
