#!/usr/bin/env python3
"""What people do reaches judgement through the journal of a real collector: it is kept over kills, refused with words when it
makes no sense, and told to whoever asked; strangers may not ask."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import COLLECTOR, Pair, wait  # noqa: E402
from processes import child  # noqa: E402


def command(pair, name, *words, author="li.wei", status=0):
    p = subprocess.run([COLLECTOR, name, "-c", pair.path("collector.conf"), *(["--author", author] if author else []), *words],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.returncode == status, (name, words, p.returncode, p.stdout, p.stderr)
    return p.stdout + p.stderr


def rows(pair, query):
    db = sqlite3.connect(pair.path("collector", "judge", "judge.db"))
    try:
        return db.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        db.close()


def open_incident(pair):
    found = json.loads(subprocess.run([COLLECTOR, "incidents", "-c", pair.path("collector.conf"), "--json"],
                                      stdout=subprocess.PIPE, check=True, text=True).stdout)
    return found[0] if found else None


def incidents(pair, *words, status=0):
    p = subprocess.run([COLLECTOR, "incidents", "-c", pair.path("collector.conf"), *words], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    assert p.returncode == status, (words, p.returncode, p.stdout)
    return p.stdout


def stranger_is_refused(pair):
    """Another user reaches neither the folder nor the socket; one that has the socket by other ways is let go."""
    if os.getuid() != 0:
        return
    os.chmod(pair.folder, 0o755)
    os.chmod(pair.path("collector"), 0o755)
    os.chmod(pair.path("collector", "requests"), 0o666)
    code = f'''import os, socket
os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX); s.connect({pair.path("collector", "requests")!r})
try:
    s.sendall(b"\\x08\\x01"); s.shutdown(socket.SHUT_WR); print(len(s.recv(100)))
except OSError:
    print(0)'''
    out = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    os.chmod(pair.path("collector"), 0o700)
    assert out.strip() == "0", out
    assert "somebody asks who may not uid=65534" in pair.log("collector")


def main():
    pair = Pair()
    try:
        assert "no collector listens there" in command(pair, "ack", "1", status=1)
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        pair.start("agent")
        wait("the system is up", lambda: rows(pair, "SELECT 1 FROM stretch WHERE state = 1"))

        # A second one takes nothing from the first.
        second = subprocess.run([COLLECTOR, "run", "-c", pair.path("collector.conf")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, timeout=30)
        assert second.returncode == 1 and "a collector runs there already, it is process" in second.stdout, second

        # Planned work, all or nothing.
        assert "there is no \"system/none\"" in command(pair, "maintain", "site/city", "system/none", "--for", "1h", "--reason", "x",
                                                     status=1)
        assert rows(pair, "SELECT count(*) FROM record WHERE key LIKE 'i/maintenance/%'") == [(0,)]
        planned = json.loads(command(pair, "maintain", "site/city", "--from", "+1h", "--for", "2h", "--every", "2nd sat", "--reason",
                                     "switch", "--json"))
        assert planned["accepted"] and planned["maintenance"] == "m2", planned

        began = time.monotonic()
        pair.echo.stop()
        wait("an incident", lambda: open_incident(pair))
        number = str(open_incident(pair)["id"])
        for words, seen in (("--unit", "unit"), True), (("--system", "portal"), True), (("--unit", "unit", "2020-01"), False):
            assert (f"\n{number} " in incidents(pair, *words)) == seen, (words, incidents(pair, *words))
        assert "there is no system \"none\"" in incidents(pair, "--system", "none", status=2)
        assert f"incident {number} is acknowledged" in command(pair, "ack", number, "--comment", "看一下", author="王芳")
        took = time.monotonic()
        assert f"incident {number} is assigned" in command(pair, "assign", number, "network team")
        assert open_incident(pair)["assignee"] == "network team"
        print(f"  figure: a request was kept, judged and told in {time.monotonic() - took:.2f} s")
        assert "is not open" in command(pair, "ack", "999", status=1)
        assert "has passed" in command(pair, "ack", number, "--until", "2020-01-01", status=1)

        # Everything is killed at once; what was told to be accepted still is.
        pair.kill("collector")
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        assert open_incident(pair)["acknowledged_by"] == "王芳", open_incident(pair)
        os.kill(child(pair.processes["collector"].pid, "xj-ingest"), signal.SIGKILL)
        assert "is not acknowledged any more" in command(pair, "unack", number), "who asks while ingest starts waits"
        assert open_incident(pair)["acknowledged_by"] is None

        # What was measured stays beside what people say was.
        day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 8 * 3600))
        wait("some seconds down", lambda: figures(pair, day)["down"] >= 3)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        said = command(pair, "correct", "system/portal", "--from", "2020-01-01", "--until", now, "--state", "up", "--reason",
                       "the test was wrong")
        assert f"counts as up from 2020-01-01 00:00:00 to {day} " in said, said
        assert figures(pair, day)["down"] <= 2, figures(pair, day)
        assert figures(pair, day, "--measured")["down"] >= 3
        assert "has passed: work is planned from now on" in command(pair, "maintain", "site/city", "--from", "2020-01-01", "--until", "+1h",
                                                                    "--reason", "x", status=2)
        assert "of the past" in command(pair, "correct", "system/portal", "--from", "now", "--for", "1h", "--state", "up", "--reason", "x",
                                        status=1)
        assert "knows nothing" in command(pair, "correct", "system/none", "--from", "2020-01-01", "--until", now, "--state", "up",
                                          "--reason", "x", status=1)
        assert "is cancelled" in command(pair, "cancel", "m2")
        assert "there is no maintenance" in command(pair, "cancel", "m2", status=1)
        stranger_is_refused(pair)

        kept = rows(pair, "SELECT author, accepted FROM request ORDER BY number")
        listed = json.loads(subprocess.run([COLLECTOR, "requests", "-c", pair.path("collector.conf"), "--json"], stdout=subprocess.PIPE,
                                           check=True, text=True).stdout)
        assert listed[-3]["author"] == "王芳" and listed[-3]["what"] == "acknowledge" and listed[-3]["accepted"], listed
        assert listed[-2]["words"] == "maintenance m2 of site/city is planned", listed
        assert kept[2] == ("王芳", 1) and len(kept) == 12, kept
        ended = pair.stop("collector")
        assert ended[0] == 0, ended
        print(f"  figure: {len(kept)} requests in {time.monotonic() - began:.1f} s")
    except AssertionError as e:
        print(f"FAILED: {e}\n{pair.log('collector')[-3000:]}")
        sys.exit(1)
    finally:
        pair.clear()


def figures(pair, day, *words):
    return json.loads(subprocess.run([COLLECTOR, "availability", "-c", pair.path("collector.conf"), "--json", *words, day],
                                     stdout=subprocess.PIPE, check=True, text=True).stdout)["sum"]


if __name__ == "__main__":
    main()
