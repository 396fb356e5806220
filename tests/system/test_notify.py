#!/usr/bin/env python3
"""A real incident of a real collector reaches people: by mail, bots and webhooks that the test is, which refuse, fail, hang and are away
as receivers do. What each was told, in which order, and what the ledger of deliveries says of it.

FULL=1 waits for the end of the incident as well."""

import email
import email.policy
import json
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hook import Hook  # noqa: E402
from pair import COLLECTOR, FULL, Pair, free_port, wait  # noqa: E402
from processes import child  # noqa: E402
from test_notice import certificate, mails, smtp_server  # noqa: E402

SECRET = "very-secret-key"


class Receiver(Hook):
    """Those that the channels name: what they answer next, and all that came."""
    came, replies = [], {"/wecom": [(200, {"errcode": 93000, "errmsg": "invalid webhook url " + SECRET[:4]})],
                         "/flaky": [(500, {}), (200, {})], "/unit": [(200, {"r": "OK"})]}

    def __init__(self, **more):
        super().__init__(self.replies, self.came, **more)

    def take(self, post):
        status_and_answer = super().take(post)
        if post.path == "/hang":
            time.sleep(3600)
        return status_and_answer


def got(path, words=""):
    return [(p.key, p.body.decode()) for p in Receiver.came if p.path == path and words in p.body.decode()]


def notices(pair, *words):
    time.sleep(0.1)  # is asked again and again
    return json.loads(subprocess.run([COLLECTOR, "notices", "-c", pair.path("collector.conf"), "--json", *words], stdout=subprocess.PIPE,
                                     check=True, text=True).stdout)


def on(pair, channel, *words):
    """Deliveries of a channel, oldest first."""
    return [n for n in reversed(notices(pair, *words)) if n["channel"] == channel]


def comment(pair, incident, text):
    subprocess.run([COLLECTOR, "comment", "-c", pair.path("collector.conf"), "--author", "li.wei", str(incident), text], check=True,
                   stdout=subprocess.DEVNULL)


def own_name():
    """A name of this machine that the system's resolver knows, which is asked behind the fence."""
    try:
        return socket.gethostname() if socket.gethostbyname(socket.gethostname()).startswith("127.") else "localhost"
    except OSError:
        return "localhost"


def become_another(pair):
    """As root, both programs become a user who has nothing but their files."""
    for name in ("collector.conf", "agent.conf"):
        with open(pair.path(name), "a", encoding="utf-8") as f:
            f.write('user = "65534";\n')
    for folder, _, names in os.walk(pair.folder):
        for name in ["."] + names:
            os.chown(os.path.join(folder, name), 65534, 65534)


def set_up(pair):
    pem, context = certificate(pair.folder)
    plain, tls, away = Receiver().port, Receiver(context=context).port, free_port()
    mail = smtp_server(context, begin_with_tls=True)
    pair.write("token", SECRET + "\n")
    os.chmod(pair.path("token"), 0o600)
    hook = 'kind = "alertmanager"; per_minute = 600;'
    channels = [
        f'{{ id = "mail"; kind = "smtp"; url = "smtps://127.0.0.1:{mail}"; from = "xj@example.cn"; to = ( "ops@example.cn" ); ca = "{pem}"; }}',
        f'{{ id = "wecom"; kind = "wecom"; url = "https://127.0.0.1:{tls}/wecom"; token_file = "token"; ca = "{pem}"; fallback = "hook"; }}',
        f'{{ id = "hook"; {hook} url = "https://127.0.0.1:{tls}/hook"; token_file = "token"; ca = "{pem}"; }}',
        f'{{ id = "flaky"; {hook} url = "http://{own_name()}:{plain}/flaky"; }}',
        f'{{ id = "hang"; {hook} url = "http://127.0.0.1:{plain}/hang"; }}',
        f'{{ id = "away"; {hook} url = "http://127.0.0.1:{away}/away"; }}',
        f'{{ id = "watch"; {hook} url = "http://127.0.0.1:{plain}/watch"; }}',
        f'{{ id = "sms"; kind = "sms"; url = "http://127.0.0.1:{plain}/unit"; to = "138"; body = "{{\\"t\\":\\"{{text}}\\"}}"; success = "r=OK"; }}',
    ]
    pair.write("notice.conf", "channels = (\n" + ",\n".join(channels) + '''
);
routes = (
  { audience = "operations"; channels = ( "hang", "mail", "wecom", "flaky", "away" ); kinds = ( "commented" ); },
  { audience = "unit/unit"; channels = "sms"; language = "en"; kinds = ( ); }
);
beat = { channel = "watch"; };
''')
    with open(pair.path("collector.conf"), "a", encoding="utf-8") as f:
        f.write('notice = "notice.conf";\n')
    if os.geteuid() == 0:
        become_another(pair)
    return away


def problem_is_told(pair, incident):
    number = incident["id"]
    wait("a mail", lambda: mails)
    mail = email.message_from_bytes(mails[0]["data"], policy=email.policy.default)
    first = on(pair, "mail")[0]
    assert mail["Message-ID"] == f"<notice-{first['notice']}-mail@test.xunjian>", mail["Message-ID"]
    assert mail["In-Reply-To"] == f"<incident-{number}@test.xunjian>", mail["In-Reply-To"]
    assert "门户" in mail["Subject"] and "连接被拒绝" in mail.get_content(), mail.get_content()
    # Refused inside 200: at once to the fall-back, where it is taken.
    wait("the fall-back", lambda: got("/hook", f'"incident":"{number}"'))
    wait("the ledger of it", lambda: on(pair, "hook")[0]["state"] == "taken")
    refused, = on(pair, "wecom")
    assert (refused["state"], refused["into"], len(refused["tries"])) == ("moved", on(pair, "hook")[0]["id"], 1), refused
    assert refused["tries"][0]["outcome"] == "refused" and "code 93000" in refused["tries"][0]["answer"], refused
    # A unit reads of its own in its language.
    key, body = wait("the unit", lambda: got("/unit"))[0]
    assert "[PROBLEM] system/portal" in body and on(pair, "sms", "--unit", "unit")[0]["state"] == "taken", (key, body)
    # A receiver that hangs has held up nobody.
    assert len(got("/hang")) == 1 and on(pair, "hang")[0]["state"] == "waiting", on(pair, "hang")


def trouble_heals(pair, away):
    """Of the ones that failed and were away, over a death of the process, after which all that waits is tried at once."""
    failed = wait("tries that fail", lambda: on(pair, "away", "--failed"))[0]
    assert failed["state"] == "waiting" and "onnect to" in failed["tries"][0]["answer"], failed
    before = child(pair.processes["collector"].pid, "xj-notify")
    Receiver(port=away)
    os.kill(before, signal.SIGKILL)
    wait("delivery is there again", lambda: child(pair.processes["collector"].pid, "xj-notify") not in (None, before))
    wait("the one that was away", lambda: on(pair, "away")[0]["state"] == "taken")
    wait("the one that failed", lambda: on(pair, "flaky")[0]["state"] == "taken")
    tries = on(pair, "flaky")[0]["tries"]
    assert [t["outcome"] for t in tries] == ["not taken", "taken"] and tries[0]["answer"] == "status 500", tries
    assert len({k for k, _ in got("/flaky")}) == 1, got("/flaky")
    assert len(got("/away")) == 1 and len(mails) == 1 and len(got("/unit")) == 1, "what was confirmed is not told again"


def reload_is_checked(pair, incident):
    with open(pair.path("notice.conf"), encoding="utf-8") as f:
        text = f.read()
    pair.write("notice.conf", text.replace("unit/unit", "unit/none"))
    line = text[:text.index("unit/unit")].count("\n") + 1
    pair.processes["collector"].send_signal(signal.SIGHUP)
    wait("the refusal", lambda: f'notice.conf:{line}: audience "unit/none": the inventory has no such unit' in pair.log("collector"))
    check = subprocess.run([COLLECTOR, "check-config", "-c", pair.path("collector.conf")], stderr=subprocess.PIPE, text=True)
    assert check.returncode == 3 and f"notice.conf:{line}:" in check.stderr, check
    os.kill(child(pair.processes["collector"].pid, "xj-notify"), signal.SIGKILL)  # the next one, too, goes by what was good
    comment(pair, incident["id"], "by the old routes")
    wait("the old routes", lambda: len(mails) == 2)
    # Without one channel what waits there goes where routes lead now.
    pair.write("notice.conf", text.replace('"hang", ', "").replace('{ id = "hang";', '{ id = "other";'))
    pair.processes["collector"].send_signal(signal.SIGHUP)
    wait("the new channels", lambda: '{channel="other"}' in pair.ask("/metrics"))
    comment(pair, incident["id"], "by the new routes")
    wait("the new routes", lambda: len(mails) == 3)
    if FULL:  # with the end of the try that is under way
        wait("the hanging one is gone", lambda: {n["state"] for n in on(pair, "hang")} == {"moved"}, 60)


def trouble_is_an_incident(pair):
    """A channel that fails three times is told through the others, until it works again."""
    def is_open():
        return "monitoring/notice" in [i["subject"] for i in json.loads(pair.ask("/api/v1/incidents"))["incidents"]]

    Receiver.replies["/flaky"] = [(500, {})]
    pair.echo.stop()
    wait("an incident of the monitoring", is_open, 120)
    wait("the others tell of it", lambda: [n for n in on(pair, "mail") if n["subject"] == "monitoring/notice" and n["state"] == "taken"])
    Receiver.replies["/flaky"] = Receiver.replies["/wecom"] = [(200, {"errcode": 0})]
    number, end = json.loads(pair.ask("/api/v1/incidents"))["incidents"][-1]["id"], time.monotonic() + 300
    while is_open():  # a channel that rests is tried again with the next that is to be told
        assert time.monotonic() < end, "it is not over"
        comment(pair, number, "do they work again?")
        time.sleep(5)


def main():
    pair = Pair(checks=2)
    began = time.monotonic()
    try:
        away = set_up(pair)
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        pair.start("agent")
        wait("the system is up", lambda: json.loads(pair.ask("/api/v1/overview"))["systems"][0]["state"] == "up", 60)
        down = time.monotonic()
        pair.echo.stop()
        incident = wait("an incident", lambda: json.loads(pair.ask("/api/v1/incidents"))["incidents"], 60)[0]
        wait("it is told", lambda: mails, 60)
        print(f"  figure: a mail {time.monotonic() - down:.1f} s after the first failure")
        problem_is_told(pair, incident)
        trouble_heals(pair, away)
        reload_is_checked(pair, incident)
        wait("the beat", lambda: got("/watch", "xunjian-beat"), 60)
        wait("the beat in the figures", lambda: time.time() - pair.metric("xunjian_notify_beat_taken_timestamp_seconds") < 100)
        if FULL:
            pair.echo.start()
            wait("its end", lambda: got("/unit", "[CLOSED]") and len(mails) == 4, 400)
            assert [n["kind"] for n in on(pair, "sms")] == ["problem", "close"], on(pair, "sms")
            kinds = [n["kind"] for n in on(pair, "hook") if n["kind"] != "commented"]
            assert kinds == ["problem", "close"] and "close" not in [n["kind"] for n in on(pair, "wecom")], "the end goes where the problem went"
            trouble_is_an_incident(pair)
            wait("the next beat", lambda: len(got("/watch")) >= 2, 120)
        assert SECRET not in pair.log("collector"), "a secret in the log"
        ended = pair.stop("collector")
        assert ended[0] == 0, ended
        print(f"  figure: {len(Receiver.came)} requests and {len(mails)} mails in {time.monotonic() - began:.1f} s")
    except AssertionError as e:
        print(f"FAILED: {e}\n{pair.log('collector')[-4000:]}\n{[(p.path, p.key) for p in Receiver.came]}")
        sys.exit(1)
    finally:
        pair.clear()


if __name__ == "__main__":
    main()
