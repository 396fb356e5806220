#!/usr/bin/env python3
"""What delivery makes of an outbox that the test writes: order, digests within the limits of a provider, fall-backs, ends of what was
never told, and an outbox that begins anew. Each case has a folder, a ledger and receivers of its own; they run side by side."""

import concurrent.futures
import json
import os
import re
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hook import Hook  # noqa: E402
from pair import COLLECTOR, FULL, free_port, wait  # noqa: E402
from test_notify_kill import HOST, Site  # noqa: E402

PROBLEM, CLOSE, MERGED, FLAPPING, ESCALATE, ACKNOWLEDGED = range(6)
DIGEST = 9
SYSTEMS = 120


class Case(Site):
    """channels: text of notice.conf, in which PORT and PATH stand for the receiver."""

    def __init__(self, name, conf):
        self.hook, self.name, self.key = Hook(otherwise=(200, {"errcode": 0})), name, 0
        super().__init__(name, self.hook.port, HOST)
        systems = ", ".join(f'{{ id = "s{i}"; unit = "u{i % 2}"; name = "系统{i}"; }}' for i in range(SYSTEMS))
        self.write("inventory.d/all.conf", f'units = ( {{ id = "u0"; }}, {{ id = "u1"; }} ); systems = ( {systems} );\n'
                   'sites = ( { id = "city"; level = "city"; } );')
        self.configure(conf)
        subprocess.run([HOST, "put", self.at("state"), "0"], check=True, stdout=subprocess.DEVNULL)

    def configure(self, conf):
        self.write("notice.conf", conf.replace("PORT", str(self.hook.port)).replace("PATH", f"/{self.name}"))

    def intent(self, kind, incident, audience="", subject="system/s0", items=(), at=None, affected=None, closed=False):
        at = int((at or time.time()) * 1e9)
        self.key += 1
        db = sqlite3.connect(self.at("state", "judge", "judge.db"), timeout=30)
        with db:
            db.execute("INSERT INTO intent (key, kind, audience, incident, other, subject, state, faults, level, since, at, author, text, "
                       "reason, items) VALUES (?, ?, ?, ?, 0, ?, 4, 3, 0, ?, ?, '', '', 'no answer', ?)",
                       (self.key, kind, audience, incident, subject, at, at, "".join(f"{k} {i} {s}\n" for k, i, s in items)))
            if incident:
                db.execute("INSERT OR REPLACE INTO incident (id, phase, subject, reason, state, faults, since, opened, closed, "
                           "acknowledged_until, assignee, flapping, quiet, level, affected_count, affected) VALUES (?, ?, ?, '', 4, 3, "
                           "?, ?, ?, 0, '', 0, 0, 0, 1, ?)", (incident, 2 if closed else 0, subject, at, at, at if closed else 0,
                                                              affected or subject))
        db.close()

    def wake(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def got(self, path=""):
        return [(p.key, p.body.decode()) for p in self.hook.posts if p.path == f"/{self.name}{path}"]

    def notices(self):
        """Oldest first."""
        time.sleep(0.1)  # asked again and again by seven
        out = subprocess.run([COLLECTOR, "notices", "-c", self.at("collector.conf"), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
        return list(reversed(json.loads(out.stdout))) if out.returncode == 0 else []

    def states(self, channel):
        return [(n["kind"], n["state"]) for n in self.notices() if n["channel"] == channel]

    def wait_states(self, channel, wanted):
        try:
            wait("", lambda: self.states(channel) == wanted, 60)
        except AssertionError:
            raise AssertionError(f"{self.name}: {channel}: {self.states(channel)} in place of {wanted}") from None


def hook(name, path="", more=""):
    return f'{{ id = "{name}"; kind = "alertmanager"; per_minute = 600; url = "http://127.0.0.1:PORTPATH{path}"; {more} }}'


def routes(*channels, audience="operations"):
    return f'routes = ( {{ audience = "{audience}"; channels = ( {", ".join(json.dumps(c) for c in channels)} ); }} );'


def digests_hold_the_limit_and_name_all():
    """40 problems at once, five letters a minute: four and one digest of the rest; the unit's own only."""
    case = Case("limit", "channels = (" + hook("c").replace("600", "5") + ");" + routes("c"))
    for i in range(40):
        case.intent(PROBLEM, i + 1, subject=f"system/s{i}")
    case.start()
    wait("five letters", lambda: len(case.got()) == 5, 60)
    wait("nothing waits", lambda: [n["state"] for n in case.notices()].count("taken") == 5, 60)
    told = " ".join(body for _, body in case.got())
    missing = [i for i in range(40) if f"(system/s{i})" not in told]
    assert not missing, missing
    alerts = json.loads(case.got()[4][1])["alerts"]
    assert {a["labels"]["incident"] for a in alerts} == {str(i) for i in range(5, 41)}, alerts
    joined = [n for n in case.notices() if n["state"] == "joined"]
    assert len(joined) == 36 and {n["into"] for n in joined} == {41}, joined[:2]
    return case


def long_digests_become_several():
    """What judgement joined is more than a bot takes: several letters, none cut, all named."""
    case = Case("long", '''channels = ( { id = "c"; kind = "sms"; url = "http://127.0.0.1:PORTPATH"; to = "1"; success = "errcode=0";
 per_minute = 600; body = "{\\"text\\":\\"{text}\\"}"; }, ''' + hook("d", "/all") + ");" + routes("c", "d"))
    case.intent(DIGEST, 0, items=[("problem" if i % 2 else "close", i + 1, f"system/s{i}") for i in range(100)], subject="")
    case.start()
    wait("all of them", lambda: [n["state"] for n in case.notices() if n["channel"] == "c"].count("taken") > 3 and
         not [n for n in case.notices() if n["state"] == "waiting"], 60)
    texts = [json.loads(body)["text"] for _, body in case.got()]
    assert all(len(t.encode()) <= 500 and t.rstrip().endswith(tuple("0123456789")) for t in texts), texts[:2]
    lines = re.findall(r"(故障|恢复) (\d+) 系统(\d+) \(system/s(\d+)\)", "\n".join(texts))
    assert [(int(n), int(a), int(b)) for _, n, a, b in lines] == [(i + 1, i, i) for i in range(100)], lines
    assert len({k for k, _ in case.got()}) == len(texts), "each has a key of its own"
    assert len(case.got("/all")) == 1 and len(json.loads(case.got("/all")[0][1])["alerts"]) == 100
    return case


def an_end_without_its_beginning_tells_of_both():
    """The receiver is away while an incident begins and ends: one letter, which says so; an earlier one stays two."""
    case = Case("late", "channels = (" + hook("c") + ");" + routes("c"))
    case.hook.answers["/late"] = [(200, {}), (200, {}), (503, {}), (200, {})]
    case.intent(PROBLEM, 1)
    case.start()
    case.wait_states("c", [("problem", "taken")])
    case.intent(CLOSE, 1)
    case.wake()
    case.wait_states("c", [("problem", "taken"), ("close", "taken")])
    case.intent(PROBLEM, 2, subject="system/s2")
    case.wake()
    wait("a try that fails", lambda: len(case.got()) == 3, 60)
    case.intent(FLAPPING, 2, subject="system/s2")
    case.intent(CLOSE, 2, subject="system/s2")
    case.wake()
    wanted = [("problem", "taken"), ("close", "taken"), ("problem", "joined"), ("flapping", "joined"),
              ("close", "taken")]
    case.wait_states("c", wanted)
    bodies = [body for _, body in case.got()]
    assert len(bodies) == 4 and "未能送达" in bodies[-1] and not any("未能送达" in b for b in bodies[:-1]), bodies
    assert json.loads(bodies[-1])["status"] == "resolved"
    return case


def a_channel_that_fails_gives_all_to_its_fall_back():
    """And the end of an incident follows its problem there, though the channel works again."""
    away = free_port()
    case = Case("fall", "channels = (" + hook("c", more='fallback = "d"; fallback_after = 1;').replace("PORTPATH", f"{away}/c") + ", " +
                hook("d", "/d") + ");" + routes("c"))
    case.intent(PROBLEM, 1)
    case.intent(PROBLEM, 2, subject="system/s2")
    case.start()
    case.wait_states("d", [("problem", "taken"), ("problem", "taken")])
    Hook(port=away)
    wait("the rest is over", lambda: case.intent(PROBLEM, 3 + case.key, subject="system/s4") or case.wake() or time.sleep(1) or
         ("problem", "taken") in case.states("c"), 60)
    before = len(case.states("d"))
    case.intent(CLOSE, 2, subject="system/s2")
    case.wake()
    wait("its end", lambda: ("close", "taken") in case.states("d"), 60)
    assert len(case.states("d")) == before + 1 and ("close", "taken") not in case.states("c"), case.notices()
    return case


def what_is_refused_falls_back_alone():
    case = Case("refused", '''channels = ( { id = "c"; kind = "sms"; url = "http://127.0.0.1:PORTPATH"; to = "1"; success = "errcode=0";
 per_minute = 600; body = "{\\"text\\":\\"{text}\\"}"; fallback = "d"; }, ''' + hook("d", "/d") + ");" + routes("c", "d"))
    case.hook.answers["/refused"] = [(200, {"errcode": 7}), (200, {"errcode": 0})]
    case.intent(PROBLEM, 1)
    case.start()
    wait("the other", lambda: ("problem", "moved") in case.states("c"), 60)
    case.intent(PROBLEM, 2)
    case.wake()
    case.wait_states("c", [("problem", "moved"), ("problem", "taken")])
    case.wait_states("d", [("problem", "taken"), ("problem", "taken")])
    assert len(case.got("/d")) == 2, "who has it by a route of his own is not told twice"
    return case


def an_outbox_that_begins_anew_is_read_anew():
    """And what is long over is written down and not told; what still lasts is told, however old."""
    case = Case("anew", "channels = (" + hook("c") + ");" + routes("c"))
    day = 86400
    case.intent(PROBLEM, 1, at=time.time() - 3 * day, closed=True)
    case.intent(CLOSE, 1, at=time.time() - 2 * day, closed=True)
    case.intent(PROBLEM, 2, at=time.time() - 3 * day, subject="system/s2")
    for items in ([("problem", 1, "system/s0")], [("problem", 1, "system/s0"), ("problem", 2, "system/s2")]):
        case.intent(DIGEST, 0, at=time.time() - 2 * day, items=items, subject="")
    case.start()
    before = [("problem", "old"), ("close", "old"), ("problem", "taken"), ("digest", "old"), ("digest", "taken")]
    case.wait_states("c", before)
    db = sqlite3.connect(case.at("state", "judge", "judge.db"), timeout=30)
    with db:
        db.execute("DELETE FROM intent")
    db.close()
    case.key = 0
    case.intent(PROBLEM, 1, subject="system/s4")
    case.wake()
    case.wait_states("c", before + [("problem", "taken")])
    assert [k for k, _ in case.got()] == [f"test-notice-{n}-c" for n in (3, 5, 6)], case.got()
    return case


def a_unit_is_told_of_its_own():
    case = Case("unit", "channels = (" + hook("c") + ", " + hook("o", "/o") + ");"
                'routes = ( { audience = "unit/u1"; channels = "c"; }, { audience = "operations"; channels = "o"; } );')
    affected = "link/x system/s0 system/s1 system/s3"
    for audience in ("", "u0", "u1"):
        case.intent(PROBLEM, 1, audience=audience, subject="link/x", affected=affected)
    case.start()
    case.wait_states("c", [("problem", "taken")])
    case.wait_states("o", [("problem", "taken")])
    body = case.got()[0][1]
    assert "系统1" in body and "系统3" in body and "系统0" not in body and "link/x" not in body and "no answer" not in body, body
    assert "link/x" in case.got("/o")[0][1] and len(case.got()) == 1
    return case


def what_nobody_takes_is_given_up():
    case = Case("given-up", "channels = (" + hook("c") + "); give_up = \"1s\";" + routes("c"))
    case.hook.answers["/given-up"] = [(500, {})]
    case.intent(PROBLEM, 1)
    case.start()
    case.wait_states("c", [("problem", "failed")])
    assert [t["answer"] for t in case.notices()[0]["tries"]] == ["status 500"] * 2, case.notices()
    return case


def a_beat_that_does_not_come_through_is_told():
    """Judgement beats; nobody takes it for three minutes, then somebody does."""
    case = Case("beat", "channels = (" + hook("c") + '); beat = { channel = "c"; };')
    case.hook.answers["/beat"] = [(503, {})]

    def beat(number):
        db = sqlite3.connect(case.at("state", "judge", "judge.db"), timeout=30)
        with db:
            db.execute("INSERT OR REPLACE INTO beat (one, number, at) VALUES (1, ?, ?)", (number, time.time_ns()))
        db.close()

    def taken():
        db = sqlite3.connect(case.at("state", "notice", "notice.db"), timeout=30)
        rows = db.execute("SELECT number FROM beat").fetchall()
        db.close()
        return rows

    beat(1)
    with open(case.at("log"), "w", encoding="utf-8") as log:
        case.process = subprocess.Popen([HOST, "run", "-c", case.at("collector.conf")], stdin=subprocess.PIPE, stderr=log)
    began, number = time.monotonic(), 1
    while "no beat came through channel c" not in open(case.at("log"), encoding="utf-8").read():
        assert time.monotonic() - began < 300, "it is not told"
        time.sleep(10)
        number += 1
        beat(number)
    print(f"  figure: a beat that nobody takes is told after {time.monotonic() - began:.0f} s", flush=True)
    case.hook.answers["/beat"] = [(200, {})]
    wait("the newest beat", lambda: taken() == [(number,)], 60)
    keys = [k for k, _ in case.got()]
    assert len(keys) <= (time.monotonic() - began) / 30 + 1 and keys[-1] == f"test-beat-{number}-c", keys
    return case


def run(test):
    began = time.monotonic()
    case = test()
    case.process.stdin.close()
    assert case.process.wait(20) == 0, f"{test.__name__}: did not end well"
    case.remove()
    print(f"  {test.__name__}: {time.monotonic() - began:.1f} s", flush=True)


def main():
    tests = [digests_hold_the_limit_and_name_all, long_digests_become_several, an_end_without_its_beginning_tells_of_both,
             a_channel_that_fails_gives_all_to_its_fall_back, what_is_refused_falls_back_alone, an_outbox_that_begins_anew_is_read_anew,
             a_unit_is_told_of_its_own, what_nobody_takes_is_given_up]
    if FULL:
        tests.append(a_beat_that_does_not_come_through_is_told)
    began, failed = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(len(tests)) as pool:
        for done in [(t, pool.submit(run, t)) for t in tests]:
            try:
                done[1].result()
            except AssertionError as e:
                failed += 1
                print(f"FAILED: {done[0].__name__}: {e}", flush=True)
    print(f"  figure: {len(tests)} cases in {time.monotonic() - began:.1f} s")
    os._exit(1 if failed else 0)  # a case that failed has left its process


if __name__ == "__main__":
    main()
