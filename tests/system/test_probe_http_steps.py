#!/usr/bin/env python3
"""The http probe in several steps, one-shot and in both families: a portal with a login (a token in its form, cookies), an API of JSON
that is written to and read back, and what goes wrong in each step. Secrets come from a file of the agent and are nowhere else."""

import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faults  # noqa: E402
import nginx  # noqa: E402
import pair  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AGENT = os.path.join(ROOT, "build", "xunjian-agent")
NAME = "portal.gov.example"
PASSWORD = 'p&w=d "%+\\ 密'  # what a form and JSON must both carry unchanged
failures, rows, seen = [], [], []


class Portal(http.server.BaseHTTPRequestHandler):
    """One session per login; a session, a form's token and an item are each known by a number."""
    protocol_version = "HTTP/1.1"
    sessions, tokens, items, lock, number = set(), set(), {}, threading.Lock(), 1000
    sick = set()  # what is broken now

    def log_message(self, *_):
        pass

    def new(self):
        with self.lock:
            Portal.number += 1
            return str(Portal.number)

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name.replace("_", "-"), one)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def json(self, status, value):
        self.answer(status, json.dumps(value, ensure_ascii=False).encode(), Content_Type="application/json")

    def cookie(self, name):
        found = re.search(rf"\b{name}=(\w+)", self.headers.get("Cookie", ""))
        return found.group(1) if found else None

    def handle_one(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        seen.append((self.command, self.path, dict(self.headers), body))
        path = self.path
        if path == "/login" and self.command == "GET":
            token = self.new()
            self.tokens.add(token)
            self.answer(200, f'<form method=post><input name="csrf" value="{token}"><p>登录</form>'.encode(), Set_Cookie=[f"pre={token}; Path=/", "lang=zh"])
        elif path == "/login":
            form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
            good = form == {"user": "monitor", "password": PASSWORD, "csrf": self.cookie("pre")} and form["csrf"] in self.tokens
            if not good:
                self.answer(403, "口令错误".encode())
                return
            session = self.new()
            self.sessions.add(session)
            self.answer(302, b"", Location="/home", Set_Cookie=f"sid={session}; Path=/; HttpOnly")
        elif "silent" in self.sick and path == "/home":
            threading.Event().wait(20)
        elif self.cookie("sid") not in self.sessions:
            self.answer(401, b"who are you")
        elif path == "/home":
            self.answer(200, "欢迎 monitor".encode())
        elif path == "/api/items" and self.command == "POST":
            item = self.new()
            self.items[item] = json.loads(body)
            self.json(201, {"item": {"id": int(item)}, "state": "busy" if "busy" in self.sick else self.items[item]["key"] if "echo" in self.sick else "ok"})
        elif path.startswith("/api/items/") and self.command == "GET":
            item = path.rsplit("/", 1)[1]
            self.json(200, {"items": [{"id": int(item), **self.items.get(item, {})}], "queue": 120 if "queue" in self.sick else 3})
        elif path.startswith("/api/items/") and self.command == "DELETE":
            self.items.pop(path.rsplit("/", 1)[1], None)
            self.answer(204)
        else:
            self.answer(404)

    do_GET = do_POST = do_DELETE = handle_one


class Server(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 64

    def __init__(self, family, address):
        self.address_family = family
        super().__init__(address, Portal)


STEPS = [
    "form: GET /login",
    "  expect 登录",
    "  take csrf = body ~name=\"csrf\" value=\"([0-9]+)\"",
    "login: POST /login",
    "  form user=monitor",
    "  form password=${secret:portal}",
    "  form csrf=${csrf}",
    "  expect 欢迎",
    "write: POST /api/items",
    "  body {\"name\": \"巡检\", \"key\": \"${secret:portal}\"}",
    "  status 201",
    "  json $.state == 'ok'",
    "  take id = json $.item.id",
    "read: GET /api/items/${id}",
    "  json $.items[0].id == ${id}",
    "  json $.items[-1].name == '巡检'",
    "  json $.queue < 100",
    "remove: DELETE /api/items/${id}",
    "  status 204",
]


def probe(port, steps, *options, secrets=None, timeout="10s"):
    p = subprocess.run([AGENT, "probe", "http-steps", f"url=http://{NAME}:{port}/", "ipv4=127.0.0.1", "ipv6=::1", f"timeout={timeout}", "--json",
                        *([f"credentials_file={secrets}"] if secrets else []), *options, *[f"steps={line}" for line in steps]],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    if "p&w" in p.stdout or "p%26w" in p.stdout:
        failures.append("a secret was printed")
    try:
        return json.loads(p.stdout)
    except ValueError:
        return [{"outcome": p.stdout.strip(), "family": 0, "reason": p.stdout, "values": {}}]


def expect(what, results, outcome, reason="", done=None):
    """Both families; done: how many steps went well."""
    rows.append(what)
    faults.record("http-steps", what, results)
    good = [r["family"] for r in results] == [4, 6]
    good = good and all(r["outcome"] == outcome and (reason in r["reason"] if reason else not r["reason"]) for r in results)
    good = good and all(done is None or r["values"]["done"]["value"] == done for r in results)
    print(f"{'  ' if good else 'FAIL '}{what:48} {results[0]['outcome']:8} {results[0]['reason']}")
    if not good:
        failures.append(what)
        print([(r["family"], r["outcome"], r["reason"], r["values"]) for r in results], flush=True)
    return results


def changed(line, by):
    assert line in STEPS, line
    return [by if one == line else one for one in STEPS if by or one != line]


def check(what, good, detail=""):
    if not good:
        failures.append(what)
        print(f"FAIL {what} {detail}", flush=True)


def whole_way(port, secrets):
    seen.clear()
    r = expect("log in, write, read back, remove", probe(port, STEPS, secrets=secrets), "up", "", 5)
    check("what was written is gone again", not Portal.items, Portal.items)
    check("values of all steps", all(0 < sum(x["values"][f"step{i}"]["value"] for i in range(1, 6)) <= x["values"]["total"]["value"] and
                                     x["values"]["redirects"]["value"] == 1 and
                                     x["values"]["status"]["value"] == 204 for x in r), r)
    check("each run begins without cookies", all("Cookie" not in h for m, p, h, _ in seen if m == "GET" and p == "/login"))
    check("two families, two sessions", len({h.get("Cookie") for _, p, h, _ in seen if p == "/api/items"}) == 2)
    bodies = [json.loads(b) for _, p, _, b in seen if p == "/api/items"]
    check("JSON carries the secret unchanged", len(bodies) == 2 and all(b["key"] == PASSWORD for b in bodies), bodies)
    check("JSON is told to be such", all(h.get("Content-Type") == "application/json" for _, p, h, _ in seen if p == "/api/items"))
    print(f"  figure: 5 steps and a redirect over one family in {r[0]['values']['total']['value'] * 1000:.1f} ms")


def faults_of_steps(port, secrets):
    expect("a wrong user", probe(port, changed("  form user=monitor", "  form user=nobody"), secrets=secrets), "down",
           "step 2 (login): status 403, expected 200-399", 1)
    expect("no token in the form", probe(port, changed(STEPS[2], "  take csrf = body ~csrf=([0-9]+)"), secrets=secrets), "down",
           "step 1 (form): take csrf: the pattern does not occur in the body", 0)
    expect("the redirect after the login is not followed", probe(port, changed("  expect 欢迎", "  redirects 0"), secrets=secrets), "up")
    expect("no login", probe(port, STEPS[8:13], secrets=secrets), "down", "step 1 (write): status 401, expected 201")
    for sick, outcome, reason in (("busy", "down", 'step 3 (write): $.state is "busy", expected == \'ok\''),
                                  ("echo", "down", 'step 3 (write): $.state is "***", expected == \'ok\''),
                                  ("queue", "down", "step 4 (read): $.queue is 120, expected < 100")):
        Portal.sick.add(sick)
        expect(f"the API is {sick}", probe(port, STEPS, secrets=secrets), outcome, reason)
        Portal.sick.clear()
    Portal.sick.add("silent")
    expect("a step that hangs", probe(port, STEPS, secrets=secrets, timeout="1s"), "down",
           "redirected to http://portal.gov.example:%d/home: connected in " % port, 1)
    Portal.sick.clear()
    expect("no body of JSON", probe(port, ["page: GET /login", "  json $.x"]), "down", "step 1 (page): the body is not JSON: line 1: ")
    expect("a value that is not there", probe(port, [*STEPS[:12], "  take id = json $.item.number", *STEPS[13:]], secrets=secrets), "down",
           "step 3 (write): take id: $.item.number is not there")
    expect("no secrets here", probe(port, STEPS), "unknown", 'step 2 (login): this agent has no secret "portal"')
    expect("a secret for another host", probe(port, ["login: POST /login", "  form password=${secret:other}"], secrets=secrets), "unknown",
           'step 1 (login): this agent does not send the secret "other" to portal.gov.example')
    expect("a step to a closed port", probe(port, ["form: GET /login", f"far: GET http://{NAME}:1/"]), "down",
           "step 2 (far): connection refused", 1)


def settings_that_are_wrong(folder):
    """Each is told with file and line of the very line."""
    for lines, words in (
            (['"form user=x"'], "\"form\" belongs to a step"), (['"login: POST /login"', '"  from user=x"'], "\"from\" is none of form, body"),
            (['"login: FETCH /"'], "\"FETCH\" is none of GET"), (['"a: GET /"', '"b: GET /${id}"'], "no step above takes \"id\""),
            (['"a: GET /${secret:x}"'], "a secret may stand in form, body and header lines alone"), (['"a: GET /"', '"  form x=1"'], "a GET sends no body"),
            (['"a: GET /"', '"  json $.x ~ 3"'], "is wanted behind the path"), (['"a: GET /"', '"a: GET /"'], "two steps are named \"a\""),
            (['"a: GET /"', '"  status 2xx"'], "is not a list of codes"), (['"a: GET /"', '"  take x = body ~abc"'], "has no ( ) around what is taken")):
        path = os.path.join(folder, "agent.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write('id = "a"; state = "s";\nchecks = ( { id = "c"; type = "http-steps"; interval = "60s"; url = "http://x/";\n  steps = (\n' +
                    ",\n".join(lines) + "); } );\n")
        p = subprocess.run([AGENT, "check-config", "-c", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        check(f"{lines[-1]} is refused at its line", p.returncode == 3 and f"agent.conf:{3 + len(lines)}: steps: " in p.stdout and words in p.stdout, p.stdout)


def in_an_agent(port, folder):
    """Behind its fence the JSON library can still be loaded, and the secret is in nothing that the agent writes."""
    def quoted(line):
        return '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"'

    path, log, state = os.path.join(folder, "agent.conf"), os.path.join(folder, "agent.log"), os.path.join(folder, "state")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'id = "a"; state = "{state}"; log_level = "debug"; credentials = "credentials.conf";\n'
                f'checks = ( {{ id = "login"; type = "http-steps"; interval = "2s"; timeout = "1900ms"; url = "http://{NAME}:{port}/";\n'
                'ipv4 = "127.0.0.1"; ipv6 = "::1"; steps = (\n' + ",\n".join(quoted(line) for line in STEPS) + "); } );\n")
    with open(log, "wb") as f:
        agent = subprocess.Popen([AGENT, "run", "-c", path], stdin=subprocess.DEVNULL, stdout=f, stderr=f)

    def lines():
        with open(log, encoding="utf-8") as f:
            return [line for line in f if "result check=login" in line and "outcome=up" in line]
    try:
        pair.wait("results of both families", lambda: len(lines()) >= 2)
    finally:
        agent.terminate()
        agent.wait()
    for top, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(top, name), "rb") as f:
                check(f"{name} holds no secret", name == "credentials.conf" or PASSWORD.encode() not in f.read())


def main():
    folder = tempfile.mkdtemp(prefix="xunjian-http-steps-")
    port = nginx.free_port()
    servers = [Server(socket.AF_INET, ("127.0.0.1", port)), Server(socket.AF_INET6, ("::1", port))]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    secrets = os.path.join(folder, "credentials.conf")
    with open(secrets, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        escaped = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
        f.write(f'credentials = ( {{ id = "portal"; secret = "{escaped}"; hosts = [ "{NAME}" ]; }},\n'
                '  { id = "other"; secret = "x"; hosts = [ "mail.gov.example" ]; } );\n')
    try:
        whole_way(port, secrets)
        faults_of_steps(port, secrets)
        settings_that_are_wrong(folder)
        in_an_agent(port, folder)
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        shutil.rmtree(folder)
    print(f"  figure: {len(rows)} ways of steps, both families; {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
