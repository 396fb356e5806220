#!/usr/bin/env python3
"""Channels of notices spoken with real sockets and TLS: mail (smtps, STARTTLS, refused), bots that say no inside 200, webhooks.
Each is tried by `xunjian-collector notify-test`; what arrived is read with Python's own parsers."""

import base64
import email
import email.policy
import hashlib
import hmac
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from checks import check, failures  # noqa: E402
from hook import Hook  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COLLECTOR = os.path.join(ROOT, "build", "xunjian-collector")
mails = []


def converse(conn, context, begin_with_tls, refuse):
    """One session of SMTP: (RFC 5321, 3207, 4954 PLAIN). refuse: what is said of a receiver, by its first letter."""
    secure = begin_with_tls
    if begin_with_tls:
        conn = context.wrap_socket(conn, server_side=True)
    lines = conn.makefile("rb")
    say = lambda text: conn.sendall(text.encode() + b"\r\n")
    seen = {"to": [], "tls": secure}
    say("220 test")
    while line := lines.readline():
        word = line.decode().strip()
        verb = word.split(" ")[0].upper()
        if verb == "EHLO":
            seen["ehlo"] = word.split(" ")[1]
            say("250-test" + ("" if secure or context is None else "\r\n250-STARTTLS") + "\r\n250 AUTH PLAIN")
        elif verb == "STARTTLS":
            say("220 go")
            conn = context.wrap_socket(conn, server_side=True)
            lines, secure, seen["tls"] = conn.makefile("rb"), True, True
        elif verb == "AUTH":
            words = word.split(" ")
            if len(words) < 3:
                say("334 ")
                words.append(lines.readline().decode().strip())
            seen["auth"] = base64.b64decode(words[2])
            say("235 in")
        elif verb == "MAIL":
            say("250 ok")
        elif verb == "RCPT":
            seen["to"].append(word)
            say(refuse.get(word.split("<")[1][0], "250 ok"))
        elif verb == "DATA":
            say("354 go")
            data = b""
            while (line := lines.readline()) != b".\r\n":
                data += line
            seen["data"] = data
            mails.append(seen)
            say("250 kept")
        elif verb == "QUIT":
            say("221 bye")
            break
        else:
            say("502 what")
    conn.close()


def smtp_server(context, begin_with_tls=False, refuse=None):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            conn, _ = listener.accept()
            try:
                converse(conn, context, begin_with_tls, refuse or {})
            except (OSError, ssl.SSLError):
                conn.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def certificate(folder):
    pem, key = os.path.join(folder, "server.pem"), os.path.join(folder, "server.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                    "-out", pem, "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return pem, context


def write(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def main():
    folder = tempfile.mkdtemp(prefix="xunjian-test-notice-")
    try:
        pem, context = certificate(folder)
        bots = Hook(context=context)
        web = f"https://127.0.0.1:{bots.port}"
        ports = smtp_server(context, begin_with_tls=True), smtp_server(context), smtp_server(context, refuse={"a": "550 no such user", "b": "550-no such\r\n550 user"})
        one_gone = smtp_server(context, refuse={"b": "550-5.1.1 no such\r\n550 5.1.1 user"})
        one_full = smtp_server(context, refuse={"a": "550 no such user", "b": "452 4.2.2 mailbox full"})
        write(os.path.join(folder, "token"), "tok en&1\n")
        write(os.path.join(folder, "secret"), "SEC42\n")
        write(os.path.join(folder, "open"), "for all\n", 0o644)
        mail = f'kind = "smtp"; from = "xj@example.cn"; to = ( "a@example.cn", "b@example.cn" ); user = "u"; token_file = "token"; ca = "{pem}";'
        bot = f'token_file = "token"; ca = "{pem}";'
        channels = [
            f'{{ id = "smtps"; {mail} url = "smtps://127.0.0.1:{ports[0]}"; }}',
            f'{{ id = "starttls"; {mail} url = "smtp://127.0.0.1:{ports[1]}"; }}',
            f'{{ id = "no-user"; {mail} url = "smtp://127.0.0.1:{ports[2]}"; }}',
            f'{{ id = "one-gone"; {mail} url = "smtp://127.0.0.1:{one_gone}"; }}',
            f'{{ id = "one-full"; {mail} url = "smtp://127.0.0.1:{one_full}"; }}',
            f'{{ id = "stranger"; {mail.replace(pem, "/etc/ssl/certs/ca-certificates.crt")} url = "smtps://127.0.0.1:{ports[0]}"; }}',
            f'{{ id = "readable"; {mail.replace("token", "open", 2).replace("open_file", "token_file")} url = "smtps://127.0.0.1:{ports[0]}"; }}',
            f'{{ id = "wecom"; kind = "wecom"; url = "{web}/wecom"; {bot} }}',
            f'{{ id = "ding"; kind = "dingtalk"; url = "{web}/ding"; secret_file = "secret"; {bot} }}',
            f'{{ id = "feishu"; kind = "feishu"; url = "{web}/feishu"; secret_file = "secret"; {bot} }}',
            f'{{ id = "hook"; kind = "alertmanager"; url = "{web}/hook"; {bot} }}',
            f'{{ id = "sms"; kind = "sms"; url = "{web}/sms"; to = "138"; form = "form"; body = "m={{to}}&t={{text}}"; success = "r=OK"; {bot} }}',
        ]
        write(os.path.join(folder, "notice.conf"), "channels = (\n" + ",\n".join(channels) + "\n);\n")
        conf = os.path.join(folder, "collector.conf")
        write(conf, f'name = "city"; state = "state"; inventory = "{ROOT}/conf/inventory.d"; notice = "notice.conf";\n')

        def try_channel(name):
            p = subprocess.run([COLLECTOR, "notify-test", "-c", conf, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, timeout=60, check=False)
            return p.returncode, p.stdout

        for name in ("smtps", "starttls"):
            mails.clear()
            seen = try_channel(name)
            check(f"{name} is taken", seen[0] == 0 and f"{name}: taken: status 250" in seen[1] and len(mails) == 1, seen)
            if len(mails) != 1:
                continue
            m = email.message_from_bytes(mails[0]["data"], policy=email.policy.default)
            check(f"{name} is encrypted", mails[0]["tls"])
            check(f"{name} greets by name", mails[0]["ehlo"] == "city", mails[0])
            check(f"{name} logs in", mails[0].get("auth") == b"\0u\0tok en&1", mails[0])
            check(f"{name} has all receivers", len(mails[0]["to"]) == 2 and m["To"].addresses[1].addr_spec == "b@example.cn", mails[0])
            check(f"{name} has its subject", m["Subject"] == "【测试】巡检通知 [TEST] xunjian notice", m["Subject"])
            check(f"{name} has its words", "无需处理" in m.get_content(), m.get_content())
            check(f"{name} has an id", m["Message-ID"].endswith(f"-{name}@city.xunjian>"), m["Message-ID"])
            check(f"{name} is well-formed", not m.defects, m.defects)
        seen = try_channel("no-user")
        check("unknown receivers are refused", seen[0] == 1 and "no-user: refused: " in seen[1] and
              "a@example.cn: 550 no such user" in seen[1] and "b@example.cn: 550 user" in seen[1], seen)
        mails.clear()
        seen = try_channel("one-gone")
        check("one mailbox that is gone keeps no others from reading", seen[0] == 0 and len(mails) == 1, (seen, mails))
        check("who does not get it is told", "one-gone: taken: for 1 of 2 receivers, refused for b@example.cn: 550 5.1.1 user"
              in seen[1], seen)
        seen = try_channel("one-full")
        check("refused for now is not refused", seen[0] == 1 and "one-full: not taken: " in seen[1] and "452 4.2.2" in seen[1], seen)
        mails.clear()
        seen = try_channel("stranger")
        check("a strange certificate gets no mail", seen[0] == 1 and "not taken" in seen[1] and not mails, seen)
        seen = try_channel("readable")
        check("a secret that all may read is none", seen[0] == 3 and "chmod 600" in seen[1], seen)

        cases = (  # channel, status, answer, exit status, words
            ("wecom", 200, {"errcode": 0, "errmsg": "ok"}, 0, "taken: code 0"),
            ("wecom", 200, {"errcode": 93000, "errmsg": "invalid webhook url"}, 1, "refused: code 93000 invalid webhook url"),
            ("wecom", 200, {"errcode": 45009, "errmsg": "freq"}, 1, "too many: code 45009"),
            ("ding", 200, {"errcode": 0, "errmsg": "ok"}, 0, "taken: code 0"),
            ("ding", 200, {"errcode": 130101, "errmsg": "send too fast"}, 1, "too many: code 130101"),
            ("feishu", 200, {"code": 0, "msg": "success"}, 0, "taken: code 0"),
            ("feishu", 200, {"code": 9499, "msg": "too many request"}, 1, "too many: code 9499"),
            ("hook", 200, {}, 0, "taken: status 200"),
            ("hook", 500, {}, 1, "not taken: status 500"),
            ("sms", 200, {"r": "OK"}, 0, 'taken: r is "OK"'),
            ("sms", 200, {"r": "BALANCE"}, 1, 'refused: r is "BALANCE"'),
        )
        for name, status, answer, code, words in cases:
            path = f"/{name}" + ("/tok%20en%261" if name == "feishu" else "")
            bots.answers[path] = [(status, answer)]
            seen = try_channel(name)
            check(f"{name} {answer}", seen[0] == code and words in seen[1], seen)
        check("no secret is printed", "tok" not in seen[1] and "SEC42" not in seen[1], seen)
        check("every request arrived", len(bots.posts) == len(cases), len(bots.posts))
        check("every request has its key", all(p.key.startswith("city-") for p in bots.posts))
        by_name = {p.path.split("/")[1]: p for p in bots.posts}
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(by_name["ding"].target).query)
        sign = hmac.new(b"SEC42", f'{query["timestamp"][0]}\nSEC42'.encode(), hashlib.sha256).digest()
        check("the signature of DingTalk", query["sign"][0] == base64.b64encode(sign).decode() and query["access_token"] == ["tok en&1"], query)
        body = json.loads(by_name["feishu"].body)
        sign = hmac.new(f'{body["timestamp"]}\nSEC42'.encode(), b"", hashlib.sha256).digest()
        check("the signature of Feishu", body["sign"] == base64.b64encode(sign).decode(), body)
        check("the webhook is version 4", json.loads(by_name["hook"].body)["version"] == "4" and
              by_name["hook"].headers["Authorization"] == "Bearer tok en&1")
        form = urllib.parse.parse_qs(by_name["sms"].body.decode())
        check("the short message", form["m"] == ["138"] and form["t"][0].startswith("【测试】"), form)
    finally:
        shutil.rmtree(folder)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
