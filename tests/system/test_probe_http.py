#!/usr/bin/env python3
"""The http probe, one-shot: a table of faults with the outcome and the reason of each, in both families. The server is nginx where
its settings can make the fault, else a peer that does to each connection what the row says."""

import json
import os
import shutil
import socket
import struct
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
HEAD = b"HTTP/1.1 200 OK\r\n"
failures, rows = [], []


def probe(port, options, scheme="http", timeout="1s", name=NAME, path="/"):
    p = subprocess.run([AGENT, "probe", "http", f"url={scheme}://{name}:{port}{path}", "ipv4=127.0.0.1", "ipv6=::1",
                        f"timeout={timeout}", "--json", *options],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    try:
        return json.loads(p.stdout)
    except ValueError:
        return [{"outcome": p.stdout, "family": 0, "reason": ""}]


def expect(what, results, outcome, reason):
    """Both families, with a reason that holds these words."""
    rows.append(what)
    faults.record("http", what, results)
    good = [r["family"] for r in results] == [4, 6]
    good = good and all(r["outcome"] == outcome and reason in r["reason"] and (reason or not r["reason"]) for r in results)
    if not good:
        failures.append(what)
        seen = [(r["family"], r["outcome"], r["reason"]) for r in results]
        print(f"FAIL {what}: wanted {outcome} \"{reason}\", got {seen}", flush=True)
    else:
        print(f"  {what:45} {outcome:8} {results[0]['reason']}")


# ---------------------------------------------------------------- certificates and status, by nginx


def by_nginx(folder):
    server = nginx.Nginx(folder)
    root, other = certs.Authority(folder, "Test Root"), certs.Authority(folder, "Another Root")
    san = f"DNS:{NAME}"
    table = []

    def tls(what, pair, outcome, reason, *options, more="", act='return 200 "ok"'):
        port = server.server(f'location / {{ {act}; }} {more}', f"ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]};")
        table.append((what, port, "https", "/", outcome, reason, ["ca=" + root.pem, *options]))
        return port

    def plain(what, body, outcome, reason, *options, path="/"):
        table.append((what, server.server(body), "http", path, outcome, reason, options))

    tls("a good certificate", root.leaf(NAME, san), "up", "")
    expired = tls("expired", root.leaf("expired", san, days=(-40, -10)), "down", "certificate expired on 20")
    tls("a redirect from https to an expired certificate", root.leaf("first", san), "down",
        f"redirected to https://{NAME}:{expired}/: certificate expired on 20", act=f"return 301 https://{NAME}:{expired}/")
    tls("not yet valid", root.leaf("future", san, days=(5, 10)), "down", "certificate is not valid before 20")
    tls("wrong name", root.leaf("elsewhere", "DNS:other.gov.example"), "down",
        "certificate is for other names: other.gov.example")
    tls("self-signed", root.leaf("selfsigned", san, selfsign=True), "down", "certificate is self-signed and not trusted here")
    tls("another root", other.leaf("stranger", san), "down", "certificate comes from an issuer that is not known here")
    tls("a client certificate is wanted", root.leaf("mutual", san), "down", "status 400",
        more=f"ssl_client_certificate {root.pem}; ssl_verify_client on;")
    plain("status 503", "return 503;", "down", "status 503")
    plain("status 404", f"root {folder}/nowhere;", "down", "status 404")
    plain("a redirect loop", "return 302 /again;", "down", "more than 5 redirects")
    plain("a portal that wants its cookie back", 'location / { if ($cookie_seen = "") { add_header Set-Cookie "seen=1; HttpOnly"; return 302 /; } return 200 "ok"; }', "up", "")
    plain("a wrong page", 'return 200 "maintenance";', "down", "body", "expect_body=welcome")
    plain("a page that must not be", 'return 200 "fatal error";', "down", "body", "forbid_body=fatal")
    answer = """default_type application/json; return 200 '{"state": "ok", "nodes": [{"up": true}, {"up": false}], "queue": 120}';"""
    plain("JSON as it must be", answer, "up", "", "json=$.state == 'ok'", "json=length($.nodes) == 2", "json=$.nodes[0].up == true")
    plain("JSON with a value that is too large", answer, "down", "$.queue is 120, expected < 100", "json=$.queue < 100")
    plain("a page where JSON must be", 'return 200 "<html>";', "down", "the body is not JSON: line 1: ", "json=$.state")
    plain("a redirect to port 1", f"return 302 http://{NAME}:1/;", "down", f"redirected to http://{NAME}:1/: connection refused")
    with open(os.path.join(folder, "huge"), "wb") as f:
        f.truncate(8 << 20)
    plain("a huge body", f"root {folder};", "down", "not hold \"needle\" in its first 64KiB", "body_max=64KiB", "expect_body=needle", path="/huge")
    plain("TLS where plain HTTP is", 'return 200 "ok";', "down", "TLS handshake failed")
    table[-1] = table[-1][:2] + ("https",) + table[-1][3:]
    return server, table


# ---------------------------------------------------------------- a peer with bad manners


class Peer:
    """One port of both families; act(connection) does the fault, then the connection is held open until the end."""

    def __init__(self, act, backlog=64, accepts=True):
        self.act, self.held, self.port = act, [], nginx.free_port()
        self.listeners = [socket.create_server(("127.0.0.1", self.port), backlog=backlog),
                          socket.create_server(("::1", self.port), family=socket.AF_INET6, backlog=backlog)]
        for listener in self.listeners if accepts else []:
            threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            connection, _ = listener.accept()
            self.held.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        connection.settimeout(20)
        try:
            self.act(connection)
        except OSError:
            pass


def request(c):
    seen = b""
    while b"\r\n\r\n" not in seen:
        more = c.recv(4096)
        if not more:
            return
        seen += more


def reset(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


def says(*parts, then=None):
    """After the request: parts are bytes to send; then: reset, or a method of the connection."""
    def act(c):
        request(c)
        for part in parts:
            c.sendall(part)
        if then is not None:
            then(c)
    return act


def drips(head, drop):
    """A byte each 50 ms, for longer than the probe waits."""
    def act(c):
        request(c)
        c.sendall(head)
        wait = threading.Event()
        while not wait.wait(0.05):
            c.sendall(drop)
    return act


FIN = socket.socket.close
PEERS = [
    ("no answer to the request", "http", says(), "down", "no answer to the request within 1s"),
    ("slow header", "http", drips(b"HTTP/1.1 200 OK\r\nX: ", b"a"), "down", "within 1s"),
    ("slow body", "http", drips(HEAD + b"Content-Length: 1000\r\n\r\n", b"a"), "down", "answer not complete within 1s (status 200, "),
    ("an endless slow chunked body", "http", drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"), "down",
     "answer not complete within 1s (status 200, "),
    ("truncated body", "http", says(HEAD + b"Content-Length: 100\r\n\r\nabc", then=FIN), "down", "closed by peer after 3 of 100 bytes of body"),
    ("truncated chunked body", "http", says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", then=FIN), "down", "body"),
    ("bad chunk", "http", says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab"), "down", "chunks make no sense"),
    ("truncated header", "http", says(b"HTTP/1.1 200 OK\r\nContent-Le", then=FIN), "down", "closed by peer inside the headers"),
    ("closed without an answer", "http", says(then=FIN), "down", "closed by peer without an answer"),
    ("not HTTP", "http", says(b"SSH-2.0-OpenSSH_9.2\r\n", then=FIN), "down", "the answer is not HTTP"),
    ("endless header", "http", says(b"HTTP/1.1 200 OK\r\n", b"X-Flood: " + b"a" * 900 + b"\r\n", b"Y: 1\r\n" * 200000), "down", "headers"),
    ("RST before the answer", "http", says(then=reset), "down", "reset by peer"),
    ("RST in the header", "http", says(HEAD + b"X: 1\r\n", then=reset), "down", "reset by peer"),
    ("RST in the body", "http", says(HEAD + b"Content-Length: 100\r\n\r\nabc", then=reset), "down", "reset by peer"),
    ("RST in the handshake", "https", lambda c: (c.recv(4096), reset(c)), "down", "TLS handshake failed: reset by peer"),
    ("FIN in the handshake", "https", lambda c: (c.recv(4096), c.close()), "down", "TLS handshake failed: closed by peer"),
    ("silence in the handshake", "https", lambda c: None, "down", "TLS handshake not complete within 1s"),
]


def by_peer():
    for what, scheme, act, outcome, reason in PEERS:
        peer = Peer(act)
        expect(what, probe(peer.port, [], scheme), outcome, reason)
        for s in peer.listeners:
            s.close()


def by_network():
    peer = Peer(None, accepts=False)
    expect("half-open: connected, nobody there", probe(peer.port, []), "down", "no answer to the request within 1s")
    expect("connection refused", probe(nginx.free_port(), []), "down", "connection refused")


# ---------------------------------------------------------------- silent drop, in a network of its own


DROP = """
ip link set lo up
nft -f - <<'RULES'
table inet t {
  chain i {
    type filter hook input priority 0
    tcp dport 81 drop
    tcp dport 82 reject with tcp reset
  }
}
RULES
"""


def in_own_network(before, port):
    command = f"{AGENT} probe http url=http://{NAME}:{port}/ ipv4=127.0.0.1 ipv6=::1 timeout=1s --json || true"
    p = subprocess.run(["unshare", "-n", "sh", "-ec", before + command], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    try:
        return json.loads(p.stdout)
    except ValueError:
        return [{"outcome": p.stdout, "family": 0, "reason": ""}]


def dropped():
    """The same machine with a firewall before its own ports."""
    expect("silent drop", in_own_network(DROP, 81), "down", "no answer to the connection attempt within 1s")
    expect("refused by a firewall's RST", in_own_network(DROP, 82), "down", "connection refused")
    expect("our own interface is down", in_own_network("", 84), "unknown", "this host")


def main():
    if not os.path.exists(nginx.BINARY):
        print("nginx is not installed")
        return 77
    folder = tempfile.mkdtemp(prefix="xunjian-test-http-")
    os.chmod(folder, 0o755)
    server, table = by_nginx(folder)
    try:
        server.start()
        for what, port, scheme, path, outcome, reason, options in table:
            expect(what, probe(port, options, scheme, "5s", path=path), outcome, reason)
        by_peer()
        by_network()
        if os.geteuid() == 0 and shutil.which("nft"):
            dropped()
        else:
            print("  silent drop is left out: it needs root and nft")
    finally:
        server.stop()
        shutil.rmtree(folder)
    print(f"  figure: {len(rows)} faults of HTTP, both families, {len(rows) - len(failures)} as expected")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
