#!/usr/bin/env python3
"""The sip probe against Kamailio over UDP, TCP and TLS, in both families, by its one-shot use."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

import certs
import faults
import once
import pair
from checks import check, failures
from once import value

NAME = "sip.gov.example"
TRANSPORTS = ("udp", "tcp", "tls")
LOAD = os.path.join(pair.TOOLS, "probe_load")
CONFIG = """#!KAMAILIO
debug=1
log_stderror=yes
children=2
tcp_children=1
enable_tls=yes
auto_aliases=no
dns=no
rev_dns=no
tcp_connection_lifetime=30
{listen}
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "tls.so"
modparam("tls", "config", "{folder}/tls.cfg")

request_route {{
    if ($rU == "silent") {{
        exit;
    }}
    if ($rU == "overload") {{
        sl_send_reply("503", "Service Unavailable");
        exit;
    }}
    if (method == "OPTIONS" && $rU == $null) {{
        options_reply();
        exit;
    }}
    if (method == "OPTIONS" && $rU == "12345") {{
        sl_send_reply("200", "OK");
        exit;
    }}
    sl_send_reply("404", "Not Found");
}}
"""


def probe(port, transport, *options, host=NAME, timeout="5s"):
    pins = ["ipv4=127.0.0.1", "ipv6=::1"] if host == NAME else []
    return once.probe("sip", f"timeout={timeout}", f"host={host}", *pins, f"port={port}", f"transport={transport}", *options)


def both(what, port, transport, outcome, reason="", options=(), judge=lambda r: True, user="12345", timeout="5s"):
    got = probe(port, transport, f"user={user}", *options, timeout=timeout)
    faults.record("sip", what, got)
    check(f"{what}: both families", [r["family"] for r in got] == [4, 6], got)
    for r in got:
        check(f"{what} (IPv{r['family']})", r["outcome"] == outcome and r["reason"].startswith(reason) and bool(r["reason"]) == bool(reason)
              and judge(r), r)


class Kamailio:
    """In the foreground on ports of loopback; certificates: a port of TLS for each."""

    def __init__(self, folder, plain, certificates):
        listen = [f"{t}:{a}:{plain}" for t in ("udp", "tcp") for a in ("127.0.0.1", "[::1]")]
        sections = []
        for port, (certificate, key) in certificates.items():
            for a in ("127.0.0.1", "[::1]"):
                listen.append(f"tls:{a}:{port}")
                sections.append(f"[server:{a}:{port}]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n"
                                f"certificate = {certificate}\nprivate_key = {key}\n")
        head = sections[0].split("\n", 1)[1]
        for name, text in (("tls.cfg", "\n".join([f"[server:default]\n{head}", *sections])),
                           ("kamailio.cfg", CONFIG.format(folder=folder, listen="\n".join(f"listen={x}" for x in listen)))):
            with open(f"{folder}/{name}", "w", encoding="ascii") as f:
                f.write(text)
        with open(f"{folder}/log", "wb") as log:
            self.process = subprocess.Popen(["kamailio", "-DD", "-E", "-f", f"{folder}/kamailio.cfg", "-P", f"{folder}/pid", "-Y", folder,
                                             "-m", "32", "-M", "4"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def near(days):
    return lambda r: abs(value(r, "cert_days") - days) < 0.1


def facts(plain, tls, ca):
    for transport in TRANSPORTS:
        port, options = (tls["good"], [ca]) if transport == "tls" else (plain, [])
        both(f"{transport}: a server that answers", port, transport, "up", options=options, judge=lambda r, t=transport: value(r, "code") == 200
             and 0 < value(r, "time") < 5 and value(r, "foreign") == 0 and (value(r, "connect") is None) == (t == "udp")
             and (value(r, "handshake") is None) == (t != "tls") and (t != "tls" or near(30)(r)))
        for r in probe(port, transport, "user=12345", *options):
            print(f"  figure: sip Kamailio on loopback, {transport}, IPv{r['family']}: {value(r, 'time') * 1e3:.2f} ms to the response")
        both(f"{transport}: the server itself", port, transport, "up", options=options, user="")
        both(f"{transport}: overload", port, transport, "down", "503 Service Unavailable, expected 200-299", options, user="overload")
        both(f"{transport}: a user that it does not know", port, transport, "down", "404 Not Found, expected 200-299", options, user="nobody")
        both(f"{transport}: and that is expected", port, transport, "up", options=[*options, "status=200-299,404"], user="nobody")
        both(f"{transport}: silence", port, transport, "down", f"no response to {2 if transport == 'udp' else 1} request", options,
             user="silent", timeout="900ms")


def certificates(tls, ca):
    def case(what, outcome, reason="", options=(ca,), judge=lambda r: True):
        both("tls: " + what, tls[what.split(",")[0]], "tls", outcome, reason, options, judge)

    case("expired", "down", "certificate expired on 20", judge=near(-10))
    case("expired, not verified", "up", options=[ca, "verify=false"], judge=near(-10))
    case("wrong name", "down", "certificate is for other names: other.gov.example", judge=near(30))
    case("wrong name, right by server_name", "up", options=[ca, "server_name=other.gov.example"])
    case("another root", "down", "certificate comes from an issuer that is not known here")


def main():
    if shutil.which("kamailio") is None:
        print("not installed: kamailio")
        return 77
    folder, server = tempfile.mkdtemp(prefix="xunjian-sip-"), None
    try:
        root, other = certs.Authority(folder, "Test Root"), certs.Authority(folder, "Another Root")
        san, plain = f"DNS:{NAME}", pair.free_port()
        pairs = {"good": root.leaf("good", san), "expired": root.leaf("expired", san, days=(-40, -10)),
                 "wrong name": root.leaf("elsewhere", "DNS:other.gov.example"), "another root": other.leaf("stranger", san)}
        tls = {name: pair.free_port() for name in pairs}
        ca = "ca=" + root.pem
        server = Kamailio(folder, plain, {tls[name]: p for name, p in pairs.items()})
        pair.wait("Kamailio", lambda: all(r["outcome"] == "up" for t, port in (("udp", plain), ("tls", tls["another root"]))
                                          for r in probe(port, t, "user=12345", *(["verify=false"] if t == "tls" else []), timeout="1s")), 60)
        facts(plain, tls, ca)
        certificates(tls, ca)
        both("tls: a port that does not speak it", plain, "tls", "down", "connected in ", timeout="900ms",
             judge=lambda r: r["reason"].endswith("TLS handshake not complete within 900ms"))
        closed = pair.free_port()
        both("udp: a closed port", closed, "udp", "down", "port unreachable")
        both("tls: a closed port", closed, "tls", "down", "connection refused")
        for transport, count, options in (("udp", 2000, []), ("tls", 200, [ca, "server_name=" + NAME])):
            count *= 5 if pair.FULL else 1
            port = plain if transport == "udp" else tls["good"]
            f = json.loads(subprocess.run([LOAD, "sip", "127.0.0.1", str(count), "20", "host=127.0.0.1", f"port={port}", "user=12345",
                                           f"transport={transport}", *options], stdout=subprocess.PIPE, text=True, check=True).stdout)
            check(f"{transport}: many at once are all up", f["up"] == count, f)
            print(f"  figure: sip over {transport}, {count} runs, 20 at a time: {f['wall_s']} s, {f['cpu_s'] / count * 1e6:.1f} us CPU per run")
    except AssertionError as e:
        failures.append(str(e))
        print(f"FAIL {e}")
    finally:
        if server:
            server.end()
        if failures and os.path.exists(f"{folder}/log"):
            with open(f"{folder}/log", encoding="utf-8", errors="replace") as f:
                print(f.read()[-2000:])
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
