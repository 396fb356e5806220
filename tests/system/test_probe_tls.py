#!/usr/bin/env python3
"""The tls probe, one-shot, against nginx with certificates and settings of every kind, and against dialogues that begin TLS."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import certs  # noqa: E402
import faults  # noqa: E402
import nginx  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AGENT = os.path.join(ROOT, "build", "xunjian-agent")
NAME = "portal.gov.example"
failures, rows = [], 0


def probe(port, *options, host=NAME):
    pins = ["ipv4=127.0.0.1", "ipv6=::1"] if host == NAME else []
    p = subprocess.run([AGENT, "probe", "tls", f"host={host}", *pins, f"port={port}", "timeout=5s", "--json", *options],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    try:
        return json.loads(p.stdout)
    except ValueError:
        return [{"outcome": p.stdout, "family": 0, "reason": "", "values": {}, "part": ""}]


def expect(what, results, outcome, reason="", families=(4, 6), **values):
    """Every family: the outcome, a reason that begins so, and values (numbers, or functions that say whether)."""
    global rows
    rows += 1
    faults.record("tls", what, results)
    own = [r for r in results if r["part"] == "" or not r["part"][0].isalpha() or "from" not in r["part"]]
    good = [r["family"] for r in own] == list(families)
    for r in own:
        good = good and r["outcome"] == outcome and r["reason"].startswith(reason) and (reason or not r["reason"])
        for key, wanted in values.items():
            seen = r["values"].get(key, {}).get("value")
            good = good and (wanted(seen) if callable(wanted) else seen == wanted)
    if not good:
        failures.append(what)
        print(f"FAIL {what}: wanted {outcome} \"{reason}\" {values}, got {json.dumps(results)}", flush=True)


def near(days):
    return lambda seen: seen is not None and abs(seen - days) < 0.1


class Fixtures:
    def __init__(self, folder):
        self.folder = folder
        self.root = certs.Authority(folder, "Test Root")
        self.early = certs.Authority(folder, "Early Issuer", self.root, days=(-1, 12))
        self.other = certs.Authority(folder, "Another Root")
        self.rsa = certs.new_key(os.path.join(folder, "rsa.key"), "rsa")
        self.san = f"DNS:{NAME}"
        self.ca = "ca=" + self.root.pem
        self.good = self.root.leaf(NAME, self.san)
        self.server = nginx.Nginx(folder)

    def tls(self, pair, more=""):
        return f"ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]}; {more}"

    def port(self, pair, more=""):
        return self.server.server('location / { return 200 "ok"; }', self.tls(pair, more))


# ---------------------------------------------------------------- certificates


def certificates(f):
    cases = []

    def case(what, pair, outcome, reason="", options=(), **values):
        cases.append((what, f.port(pair, "ssl_protocols TLSv1.2 TLSv1.3;"), outcome, reason, options, values))

    case("good", f.good, "up", cert_days=near(30), chain=1, chain_days=near(30), version=1.3, tls1_0=0, tls1_1=0, tls1_2=1,
         tls1_3=1, ocsp=0, sm2=0, cipher=lambda c: c in (0x1301, 0x1302, 0x1303), group=29)
    case("a chain whose intermediate ends first", f.early.leaf("early." + NAME, f.san), "up", cert_days=near(30), chain=2,
         chain_days=near(12))
    case("expired", f.root.leaf("expired", f.san, days=(-40, -10)), "down", "certificate expired on 20", cert_days=near(-10))
    case("expired, not verified", f.root.leaf("expired2", f.san, days=(-40, -10)), "up", options=["verify=false"],
         cert_days=near(-10))
    case("not yet valid", f.root.leaf("future", f.san, days=(5, 10)), "down", "certificate is not valid before 20",
         cert_days=near(10))
    case("wrong name", f.root.leaf("elsewhere", "DNS:other.gov.example"), "down",
         "certificate is for other names: other.gov.example")
    case("right by server_name", f.root.leaf("elsewhere2", "DNS:other.gov.example"), "up", options=["server_name=other.gov.example"])
    case("self-signed", f.root.leaf("selfsigned", f.san, selfsign=True), "down", "certificate is self-signed and not trusted here")
    case("another root", f.other.leaf("stranger", f.san), "down", "certificate comes from an issuer that is not known here")
    case("the intermediate is missing", f.early.leaf("missing", f.san, chain=False), "down",
         "certificate comes from an issuer that is not known here")
    return cases


# ---------------------------------------------------------------- versions and suites


def settings(f):
    rsa = f.root.leaf("rsa", f.san, key=f.rsa)
    weak = 'ssl_ciphers "%s:@SECLEVEL=0";'
    cases = []

    def case(what, more, outcome, reason="", options=(), pair=rsa, **values):
        cases.append((what, f.port(pair, more), outcome, reason, options, values))

    only = {v: {f"tls1_{i}": int(i == v) for i in range(4)} for v in range(4)}
    case("TLS 1.0 only", "ssl_protocols TLSv1; " + weak % "ALL", "up", version=1.0, **only[0])
    case("TLS 1.1 only", "ssl_protocols TLSv1.1; " + weak % "ALL", "up", version=1.1, **only[1])
    case("TLS 1.2 only", "ssl_protocols TLSv1.2;", "up", version=1.2, **only[2])
    case("TLS 1.3 only", "ssl_protocols TLSv1.3;", "up", version=1.3, **only[3])
    case("a floor that is kept", "ssl_protocols TLSv1.2 TLSv1.3;", "up", options=["min_version=1.2"], version=1.3)
    case("below the floor", "ssl_protocols TLSv1; " + weak % "ALL", "down", "agrees on TLS 1.0, TLS 1.2 or later is wanted",
         ["min_version=1.2"], version=1.0)
    case("also below the floor", "ssl_protocols TLSv1.1 TLSv1.2 TLSv1.3; " + weak % "ALL", "down",
         "accepts TLS 1.1, TLS 1.2 or later is wanted", ["min_version=1.2", "versions=false"], version=1.3, tls1_1=1)
    case("no forward secrecy", "ssl_protocols TLSv1.2; ssl_ciphers AES128-SHA;", "down",
         "agrees on TLS_RSA_WITH_AES_128_CBC_SHA, which has no forward secrecy", ["ciphers=forward"], cipher=0x2f)
    case("strong is enough", "ssl_protocols TLSv1.2; ssl_ciphers AES128-SHA;", "up", options=["ciphers=strong"])
    case("a weak suite beside good ones", "ssl_prefer_server_ciphers on; ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256:AES256-SHA;", "down",
         "accepts TLS_RSA_WITH_AES_256_CBC_SHA, which has no forward secrecy", ["ciphers=forward"])
    case("a suite of CBC beside AEAD", "ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA;", "down",
         "accepts TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, which has no authenticated encryption", ["ciphers=aead"])
    case("AEAD alone", "ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256;", "up", options=["ciphers=aead", "min_version=1.2"])
    case("nothing is protected", "ssl_protocols TLSv1.2; " + weak % "NULL-SHA256:AES128-SHA", "down",
         "accepts TLS_RSA_WITH_NULL_SHA256, which protects nothing", ["ciphers=strong"])
    return cases


# ---------------------------------------------------------------- OCSP


def stapling(f):
    cases = []

    def case(what, outcome, reason="", options=(), pair=f.good, staple=None, **values):
        more = ""
        if staple is not None:
            path = os.path.join(f.folder, f"staple{len(cases)}")
            f.root.staple(pair[0], path, **staple)
            more = f"ssl_stapling on; ssl_stapling_file {path};"
        cases.append((what, f.port(pair, more), outcome, reason, options, values))

    case("a good answer", "up", options=["ocsp_required=true"], staple={}, ocsp=1, ocsp_days=near(1))
    case("revoked", "down", "certificate was revoked on 20", staple={"good": False}, ocsp=2)
    case("revoked, not verified", "up", options=["verify=false"], staple={"good": False}, ocsp=2)
    case("an answer that is missing", "down", "no OCSP answer is stapled", ["ocsp_required=true"], ocsp=0)
    case("an answer about another certificate", "down", "the stapled OCSP answer is about another certificate",
         ["ocsp_required=true"], f.root.leaf("second", f.san), None)
    what, _, outcome, reason, options, _ = cases.pop()
    pair = f.root.leaf("third", f.san)
    path = os.path.join(f.folder, "staple-foreign")
    f.root.staple(f.good[0], path)
    cases.append((what, f.port(pair, f"ssl_stapling on; ssl_stapling_file {path};"), outcome, reason, options, {"ocsp": 5}))
    return cases


# ---------------------------------------------------------------- STARTTLS


class Dialogue(threading.Thread):
    """Speaks the clear part as a script of (wait for, say) and then TLS, on one port of both families."""

    def __init__(self, f, script):
        super().__init__(daemon=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*f.good)
        self.script, self.port = script, nginx.free_port()
        self.listeners = [socket.create_server(("127.0.0.1", self.port)),
                          socket.create_server(("::1", self.port), family=socket.AF_INET6)]
        self.start()

    def run(self):
        for listener in self.listeners:
            threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        connection.settimeout(10)
        try:
            for wanted, answer in self.script:
                seen = b""
                while wanted not in seen:
                    more = connection.recv(1024)
                    if not more:
                        return
                    seen += more
                connection.sendall(answer)
            with self.context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(1)
        except OSError:
            pass
        finally:
            connection.close()


LDAP_HELLO = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
DIALOGUES = [
    ("smtp", "up", "", [(b"", b"220-mail.example\r\n220 ESMTP\r\n"), (b"EHLO", b"250-mail.example\r\n250-starttls\r\n250 HELP\r\n"),
                        (b"STARTTLS\r\n", b"220 go ahead\r\n")]),
    ("smtp", "down", "SMTP: STARTTLS is not offered", [(b"", b"220 x\r\n"), (b"EHLO", b"250-x\r\n250 HELP\r\n")]),
    ("smtp", "down", "SMTP: greeting is not 220: 554 no", [(b"", b"554 no\r\n")]),
    ("imap", "up", "", [(b"", b"* OK ready\r\n"), (b"STARTTLS\r\n", b"* CAPABILITY X\r\nx OK begin\r\n")]),
    ("imap", "down", "IMAP: STARTTLS is refused: x BAD what", [(b"", b"* OK ready\r\n"), (b"STARTTLS\r\n", b"x BAD what\r\n")]),
    ("ldap", "up", "", [(LDAP_HELLO, bytes.fromhex("300c02010178070a010004000400"))]),
    ("ldap", "down", "LDAP: STARTTLS is refused with result code 52", [(LDAP_HELLO, bytes.fromhex("300c02010178070a013404000400"))]),
    ("postgres", "up", "", [(b"\x04\xd2\x16\x2f", b"S")]),
    ("postgres", "down", "PostgreSQL: TLS is not offered", [(b"\x04\xd2\x16\x2f", b"N")]),
    ("postgres", "down", "PostgreSQL: speaks on before TLS has begun (1 bytes)", [(b"\x04\xd2\x16\x2f", b"SX")]),
]


def dialogues(f):
    for kind, outcome, reason, script in DIALOGUES:
        d = Dialogue(f, script)
        values = {"cert_days": near(30), "starttls": lambda s: s > 0} if outcome == "up" else {}
        expect(f"starttls {kind}: {reason or 'agreed'}", probe(d.port, f.ca, f"starttls={kind}"), outcome, reason, **values)


# ----------------------------------------------------------------


def names(f, port):
    """Each certificate as a part of its own."""
    parts = [r["part"] for r in probe(port, f.ca, "certificates=true", "families=ipv4")]
    wanted = ["", f"early.{NAME}, from Early Issuer", "Early Issuer, from Test Root"]
    if parts != wanted:
        failures.append("names")
        print(f"FAIL names of the chain: {parts}", flush=True)


def main():
    if not os.path.exists(nginx.BINARY):
        print("nginx is not installed")
        return 77
    folder = tempfile.mkdtemp(prefix="xunjian-test-tls-")
    f = Fixtures(folder)
    try:
        cases = certificates(f) + settings(f) + stapling(f)
        f.server.start()
        for what, port, outcome, reason, options, values in cases:
            expect(what, probe(port, f.ca, *options), outcome, reason, **values)
        names(f, next(c[1] for c in cases if "intermediate ends first" in c[0]))
        expect("an address is not asked for by name", probe(cases[0][1], f.ca, host="127.0.0.1"), "down",
               "certificate is for other names: " + NAME, families=(4,))
        dialogues(f)
    finally:
        f.server.stop()
        shutil.rmtree(folder)
    print(f"  figure: {rows} cases of TLS, both families, {rows - len(failures)} as expected")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
