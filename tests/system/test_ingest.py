#!/usr/bin/env python3
"""Ingest takes what agents push, from whom it should, each entry once, and answers when it is on disk: strangers,
forgeries, nonsense, slow clients, repeats, wrong clocks, full and failing disks, kills and power cuts.

Most run ingest alone (tests/tools/ingest_host, in the place of its parent and views) against virtual agents
(tests/tools/pusher). FULL=1: 100,000 mutated, repeated and traced batches, 10,000 slow connections, 300 kills, 200 power
cuts; else a slice of each. Power cuts and full disks need root."""
import os
import random
import re
import signal
import socket
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from collector_bed import (FULL, ROOT, SEED, Bed, Client, Disk, check, figure, may_mount, percentile, pushed, raise_files,
                           run, run_tests, tool, wait_for)

MOUNTS = may_mount()


def refused(bed, host, **client):
    """True when no request comes through: the handshake fails, for TLS 1.3 at the first answer."""
    try:
        with Client(bed, client.pop("agent", None), host, timeout=3, **client) as c:
            c.request("GET", "/v1/assignments")
            return False
    except (OSError, ssl.SSLError):
        return True


def test_strangers():
    bed, other = Bed(agents=2), Bed(agents=1)
    bed.start()
    bed.ca("issue", "--ca", bed.pki, "stranger")
    bed.ca("issue", "--ca", bed.pki, "--ip", "127.0.0.1", "server-only")
    for host in "127.0.0.1", "::1":
        check(not refused(bed, host, agent=0), "an agent comes in over " + host)
        check(refused(bed, host), "without a certificate over " + host)
        check(refused(bed, host, agent=0, pki=other.pki), "with one of another authority over " + host)
    with Client(bed, None, name="stranger") as c:
        check(c.request("GET", "/v1/assignments")[0] == 403, "an agent that is not in the inventory: GET")
        check(c.request("POST", "/v1/batch", bed.body())[0] == 403, "an agent that is not in the inventory: POST")
    for path in "/v1/batch", "/v1/now":
        with Client(bed, 1) as c:
            check(c.request("POST", path, bed.body(agent=0))[0] in (400, 403), "a batch in another's name to " + path)
    check(bed.kept() == [], "nothing of theirs is kept")
    wait_for(lambda: any(" note agent-1 forged " in l for l in bed.dump()))
    check(any(" note agent-1 forged " in l for l in bed.dump()), "the forgery is noted")
    check(bed.log().count("a client is refused in the handshake") >= 2, "refusals in the handshake are logged")
    check(bed.stop() == 0, "ends well")
    bed.remove()
    other.remove()


def raw_status(bed, request):
    """Status of what is sent as it stands, 0 when the connection just ends."""
    try:
        with Client(bed, 0, timeout=5) as c:
            c.send(request)
            return c.receive()[0]
    except (OSError, ssl.SSLError):
        return 0


def test_nonsense():
    bed = Bed(agents=1)
    bed.start()
    body = bed.body(agent=0)
    post = b"POST /v1/batch HTTP/1.1\r\nHost: c\r\nContent-Encoding: zstd\r\n"
    length = b"Content-Length: %d\r\n" % len(body)
    cases = {
        "chunked": (post + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n", (400,)),
        "chunked and a length": (post + length + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body +
                                 b"\r\n0\r\n\r\n", (400,)),
        "another coding": (post + length + b"Transfer-Encoding: identity\r\n\r\n" + body, (400,)),
        "two lengths": (post + length + length + b"\r\n" + body, (400,)),
        "a negative length": (post + b"Content-Length: -5\r\n\r\n" + body, (400, 0)),
        "a length in words": (post + b"Content-Length: ten\r\n\r\n" + body, (400, 0)),
        "a huge length": (post + b"Content-Length: 99999999\r\n\r\n" + body, (413, 0)),
        "a body of no length": (post + b"\r\n", (400, 411)),
        "a body of no bytes": (post + b"Content-Length: 0\r\n\r\n", (400,)),
        "not zstd": (post + b"Content-Length: 4\r\n\r\nabcd", (400,)),
        "no encoding": (post.replace(b"Content-Encoding: zstd\r\n", b"") + length + b"\r\n" + body, (400,)),
        "a large head": (post + b"X: " + b"x" * 20000 + b"\r\n" + length + b"\r\n" + body, (400, 413, 0)),
        "NUL in the path": (b"GET /v1/assignments%00 HTTP/1.1\r\nHost: c\r\n\r\n", (404,)),
        "another path": (b"GET //v1/assignments HTTP/1.1\r\nHost: c\r\n\r\n", (404,)),
        "up and down": (b"GET /v1/../v1/assignments HTTP/1.1\r\nHost: c\r\n\r\n", (404,)),
        "a query": (b"GET /v1/assignments?x HTTP/1.1\r\nHost: c\r\n\r\n", (404,)),
        "GET of a push": (b"GET /v1/batch HTTP/1.1\r\nHost: c\r\n\r\n", (404,)),
        "another method": (b"DELETE /v1/batch HTTP/1.1\r\nHost: c\r\n\r\n", (501, 405)),
        "no method": (b"BREW /v1/batch HTTP/1.1\r\nHost: c\r\n\r\n", (501, 400, 0)),
        "no HTTP": (b"\x00\x01\x02\x03\r\n\r\n", (400, 0)),
        "what waits": (post + length + b"Expect: something\r\n\r\n" + body, (417, 0)),
    }
    for words, (request, wanted) in cases.items():
        status = raw_status(bed, request)
        check(status in wanted, "%s: %d" % (words, status))
    bomb = bytes.fromhex("28b52ffda0ffffff00") + b"\0" * 100
    check(raw_status(bed, post + b"Content-Length: %d\r\n\r\n" % len(bomb) + bomb) == 400, "a bomb")
    check(bed.kept() == [], "nothing of it is kept")
    with Client(bed, 0) as c:
        check(c.request("POST", "/v1/batch", body)[0] == 200, "and a good one is")
    check(bed.process.poll() is None and bed.stop() == 0, "lives and ends well")
    bed.remove()


def test_mutants_of_batches():
    bed = Bed(agents=1)
    bed.start()
    count = 100000 if FULL else 3000
    run(tool("pusher"), "mutate", bed.url(), bed.pki, "count=300", "seed=%d" % SEED)
    before = bed.rss_kib()
    done = run(tool("pusher"), "mutate", bed.url("[::1]"), bed.pki, "count=%d" % count, "seed=%d" % (SEED + 1))
    grown = bed.rss_kib() - before
    counts = done.stdout.decode().split()
    check(done.returncode == 0, "only refusals: " + " ".join(counts))
    check(bed.process.poll() is None, "lives")
    check(bed.kept() == [], "nothing of them is kept: %s" % bed.kept()[:3])
    check(grown < 1024, "memory is flat: %d KiB more" % grown)
    files = len(os.listdir("/proc/%d/fd" % bed.pid()))
    check(files < 40, "descriptors are given back: %d are open" % files)
    check(bed.stop() == 0, "ends well")
    figure("%d mutated batches over live TLS (%s): nothing kept, memory %+d KiB" % (count, " ".join(counts), grown))
    bed.remove()


# ---- each entry once


def test_repeats():
    """Repeats of old batches and batches that leave holes, over kills: what is kept is kept once."""
    bed = Bed(agents=6, checks=20)
    bed.start()
    seconds, kills = (600, 100) if FULL else (6, 4)
    agents = bed.push("rate=15", "rows=6", "restart=500", "virtual=1", "repeat=50", "seconds=%d" % seconds)
    for _ in range(kills):
        time.sleep(seconds / (kills + 1))
        bed.kill()
        bed.start()
    counts = pushed(agents)
    check(counts["status"] == 0 and counts["repeats"] > counts["batches"] / 5, "pushed: " + counts["said"])
    judged = bed.judge("repeats and holes")
    check(judged["rows"] > 1000, "there was something to keep")
    figure("%d batches, %d repeats and holes, %d kills: each of %d results stands in the journal once"
           % (counts["batches"], counts["repeats"], kills, judged["rows"]))
    kept = bed.kept()
    check(bed.stop() == 0, "ends well")
    check(bed.kept() == kept, "and stays so")
    bed.remove()


def answer_of(bed, client, **batch):
    status, _, body = client.request("POST", "/v1/batch", bed.body(**batch))
    return status, body


def test_epochs():
    """Holes, overlaps, restarts, clones and copies, one by one."""
    bed = Bed(agents=2)
    bed.start()
    with Client(bed, 0) as c:
        check(answer_of(bed, c, epoch=7, first=1, last=10)[0] == 200, "the first")
        check(answer_of(bed, c, epoch=7, first=1, last=10)[0] == 200, "the same again")
        check(answer_of(bed, c, epoch=7, first=12, last=15)[0] == 409, "a hole")
        check(answer_of(bed, c, epoch=7, first=9, last=15)[0] == 409, "an overlap")
        check(answer_of(bed, c, epoch=7, first=11, last=15)[0] == 200, "the next")
        check(answer_of(bed, c, epoch=8, first=18, last=19, previous_epoch=7, previous=17)[0] == 409, "ahead of us")
        check(answer_of(bed, c, epoch=8, first=16, last=17, previous_epoch=7, previous=15)[0] == 200, "a restart")
        check(not any(" note " in l for l in bed.dump()), "nothing of that is noted")
        check(answer_of(bed, c, epoch=9, first=12, last=13, previous_epoch=7, previous=11)[0] == 200, "put back")
        check(answer_of(bed, c, epoch=10, first=16, last=17, previous_epoch=7, previous=15)[0] == 200, "cloned")
        check(answer_of(bed, c, epoch=11, first=50, last=51, previous_epoch=99, previous=49)[0] == 200, "unknown")
        check(answer_of(bed, c, epoch=8, first=18, last=20)[0] == 200, "the original goes on")
        check(answer_of(bed, c, epoch=10, first=16, last=17, previous_epoch=7, previous=15)[0] == 200, "a repeat")
        wait_for(lambda: sum(" note " in l for l in bed.dump()) == 3)
    notes = [l for l in bed.dump() if " note agent-0 cloned-or-rolled-back " in l]
    check(len(notes) == 3, "each of the three is noted once: %s" % notes)
    check(bed.log().count("cloned-or-rolled-back") == 3 and bed.metrics()["cloned_total"] == 3, "logged, counted")
    check([l.split()[2:5] for l in bed.kept()] == [["%016x" % e, str(f), str(l)] for e, f, l in (
        (7, 1, 10), (7, 11, 15), (8, 16, 17), (9, 12, 13), (10, 16, 17), (11, 50, 51), (8, 18, 20))],
        "kept: %s" % bed.kept())
    check(bed.stop() == 0, "ends well")
    bed.remove()


def test_marks_lost():
    """Marks that are missing, damaged or ahead are made anew from the journal: told, and nothing is taken twice."""
    bed = Bed(agents=2)
    bed.start()
    with Client(bed, 0) as c:
        answer_of(bed, c, epoch=7, first=1, last=10)
    bed.stop()
    marks = os.path.join(bed.state, "ingest", "marks")
    good = open(marks, "rb").read()
    for words, content in (("missing", None), ("damaged", good[:20] + bytes([good[20] ^ 1]) + good[21:]),
                           ("cut", good[:-1]), ("empty", b"")):
        if content is None:
            os.unlink(marks)
        else:
            open(marks, "wb").write(content)
        open(bed.log_path, "w").close()
        bed.start()
        check(content is None or "marks are made anew from the whole journal" in bed.log(), words + ": told")
        with Client(bed, 0) as c:
            check(answer_of(bed, c, epoch=7, first=1, last=10)[0] == 200, words + ": a repeat is known")
            check(answer_of(bed, c, epoch=7, first=13, last=14)[0] == 409, words + ": a hole is seen")
        bed.kill()
    check(len(bed.kept()) == 1, "nothing is taken twice: %s" % bed.kept())
    bed.remove()


# ---- time


def test_wrong_clocks():
    """Whatever the wall clocks of agents say, results are stamped by ours; skew is noted once."""
    worst = 0
    clocks = [("1970", -int(time.time())), ("2038", 2147483647 - int(time.time())), ("right", 0),
              ("a year ahead", 31536000), ("an hour behind", -3600)]
    for words, real in clocks if FULL else clocks[:3]:
        bed = Bed(agents=2)
        bed.start()
        counts = pushed(bed.push("rate=2", "seconds=2", "real=%d" % real))
        bed.stop()
        ages = [float(l.split()[6]) for l in bed.dump("rows") if l.startswith("  row ")]
        # A result is stamped by the whole second in which it was made, and is sent at once.
        worst = max([worst] + [abs(a) for a in ages])
        check(counts["status"] == 0 and len(ages) >= 60 and all(-1 < a < 3 for a in ages),
              "%s: rows %d, ages %s to %s" % (words, len(ages), min(ages, default=0), max(ages, default=0)))
        notes = [l for l in bed.dump() if " skew " in l]
        check(len(notes) == (0 if real == 0 else 2), "%s: skew is noted once of each agent: %s" % (words, notes))
        bed.remove()
    figure("wall clocks in %s: results at most %.1f s from receipt" % (", ".join(c[0] for c in clocks), worst))


def test_times_that_cannot_be():
    """Results of another boot, and of a far future or past, count as time unknown."""
    for words, options in (("another boot", ("old_boot=77",)), ("the future", ("ahead=121",)),
                           ("a far future", ("ahead=300000000",)), ("right", ("ahead=100",))):
        bed = Bed(agents=1)
        bed.start()
        pushed(bed.push("seconds=1", *options))
        metrics = bed.metrics()
        bed.stop()
        rows = [l for l in bed.dump("rows") if l.startswith("  row ")]
        unknown = [l for l in rows if l.endswith(" unknown -")]
        check(len(rows) == 10 and len(unknown) == (0 if words == "right" else 10), "%s: %s" % (words, rows[:2]))
        check(metrics["untimed_results_total"] == len(unknown), words + ": counted")
        bed.remove()


# ---- rights and assignments


def test_assignments():
    """A long poll answers when the agent's own assignments change, not when another's do; older rows are still taken."""
    bed = Bed(agents=3)
    bed.start()
    tags = []
    for i in range(3):
        with Client(bed, i) as c:
            status, headers, body = c.request("GET", "/v1/assignments")
            check(status == 200 and len(body) > 100, "assignments")
            tags.append(headers["etag"])
            check(c.request("GET", "/v1/assignments", If_None_Match=tags[i])[0] == 304, "unchanged")
            check(c.request("GET", "/v1/assignments", If_None_Match=tags[i] + "x", Prefer="wait=60")[0] == 200, "a bad tag")
            started = time.monotonic()
            check(c.request("GET", "/v1/assignments", If_None_Match=tags[i], Prefer="wait=1")[0] == 304 and
                  0.8 < time.monotonic() - started < 30, "unchanged after a second")
    answers = {}

    def wait(i):
        with Client(bed, i, timeout=30) as c:
            started = time.monotonic()
            answers[i] = *c.request("GET", "/v1/assignments", If_None_Match=tags[i], Prefer="wait=8"), \
                time.monotonic() - started

    threads = [threading.Thread(target=wait, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    wait_for(lambda: bed.metrics()["connections"] >= 3)
    time.sleep(0.3)
    bed.write_inventory(without={(1, k) for k in range(10)})
    os.kill(bed.pid(), signal.SIGHUP)
    for t in threads:
        t.join()
    check([answers[i][0] for i in range(3)] == [304, 200, 304], "who is woken: %s" % {i: a[0] for i, a in answers.items()})
    check(answers[1][3] < 7 and min(answers[0][3], answers[2][3]) > 7.5, "when: %s" % {i: a[3] for i, a in answers.items()})
    check(answers[1][1]["etag"] != tags[1], "another generation")
    bed.stop()
    bed.remove()


def test_rights():
    """What an agent is not assigned is refused row by row and noted once; what it was assigned before is taken."""
    bed = Bed(agents=2)
    bed.write_inventory(without={(0, 3), (0, 4)})
    bed.start()
    with Client(bed, 0) as c:
        answer_of(bed, c, first=1, last=10)
        answer_of(bed, c, first=11, last=20)
    metrics = bed.metrics()
    check([l.split()[6] for l in bed.kept()] == ["refused=2"] * 2, "refused: %s" % bed.kept())
    check(metrics["unassigned_results_total"] == 4 and metrics["results_total"] == 20, "counted")
    wait_for(lambda: any(" unassigned " in l for l in bed.dump()))
    check(sum(" note agent-0 unassigned " in l for l in bed.dump()) == 1, "noted once")
    check(bed.stop() == 0, "ends well")
    bed.remove()


# ---- limits


def test_limits():
    bed = Bed(agents=2, ingest="batches_per_minute = 6; max_connections_per_agent = 2;")
    bed.start()
    with Client(bed, 0) as c:
        answers = [c.request("POST", "/v1/batch", bed.body(first=i, last=i)) for i in range(1, 9)]
        statuses = [a[0] for a in answers]
        check(statuses[0] == 200 and statuses[-1] == 429 and answers[-1][1].get("retry-after", "").isdigit(),
              "too many batches: %s" % statuses)
    with Client(bed, 1) as c:
        check(c.request("POST", "/v1/batch", bed.body(agent=1))[0] == 200, "another agent has a rate of its own")
    clients = [Client(bed, 0) for _ in range(3)]
    for c in clients[1:]:
        check(c.request("GET", "/v1/assignments")[0] == 200, "the newest connections live")
    try:
        clients[0].request("GET", "/v1/assignments")
        check(False, "the oldest connection of too many is closed")
    except (OSError, ssl.SSLError):
        pass
    for c in clients:
        c.close()
    check(bed.stop() == 0, "ends well")
    bed.remove()


def slow_clients(bed, count, ended):
    """Connections that never come to a whole request, of five kinds; `ended` takes the seconds each one lived."""
    kinds = []

    def drip(c, data):
        c.send(data)
        while True:
            c.settimeout(0.7)
            try:
                if not c.tls.recv(1000):
                    return
            except (socket.timeout, TimeoutError):
                c.send(b"x")

    def live(kind, i):
        started = time.monotonic()
        try:
            with Client(bed, i % bed.agents, handshake=kind >= 2, timeout=30) as c:
                if kind == 0:
                    c.raw.recv(1)
                elif kind == 1:
                    c.raw.sendall(bytes.fromhex("160301020001"))
                    c.raw.recv(1)
                elif kind == 2:
                    c.tls.recv(1)
                elif kind == 3:
                    drip(c, b"POST /v1/batch HTTP/1.1\r\nX: ")
                else:
                    drip(c, b"POST /v1/batch HTTP/1.1\r\nHost: c\r\nContent-Length: 100000\r\n\r\n")
        except (OSError, ssl.SSLError):
            pass
        ended.append((kind, time.monotonic() - started))

    for i in range(count):
        # Most never show a certificate: an agent's connections are bounded by its number.
        kind = i % 5 if i < 20 else i % 2
        kinds.append(threading.Thread(target=live, args=(kind, i), daemon=True))
        kinds[-1].start()
    return kinds


def test_slow_clients():
    count = 10000 if FULL else 300
    raise_files(count + 2000)
    bed = Bed(agents=8, checks=10, ingest="max_connections = %d;" % (count // 2))
    bed.start()
    quiet = pushed(bed.push("rate=5", "seconds=3", "virtual=1"))
    before = bed.rss_kib()
    ended = []
    threads = slow_clients(bed, count, ended)
    agents = bed.push("rate=5", "seconds=6", "virtual=1", acks="acks2")
    most = 0
    while agents.poll() is None:
        most = max(most, bed.rss_kib())
        time.sleep(0.05)
    loud = pushed(agents)
    for t in threads:
        t.join(40)
    check(len(ended) == count, "all are ended: %d of %d" % (len(ended), count))
    longest = max(t for _, t in ended)
    check(longest < 15.5, "ended within 15 s: %.1f" % longest)
    check(loud["status"] == 0 and loud["failures"] == 0, "agents are served meanwhile: " + loud["said"])
    check(quiet["batches"] > 0, "and before")
    per = (most - before) / (count / 2)
    check(per < 48, "%.1f KiB a connection" % per)
    check(wait_for(lambda: bed.metrics()["connections"] == 0), "none stays")
    check(bed.stop() == 0, "ends well")
    figure("%d slow connections of five kinds: the longest lived %.1f s, %.1f KiB each, agents lost no request"
           % (count, longest, per))
    bed.remove()


# ---- on disk before it is said

TRACED = "read,readv,recvfrom,recvmsg,write,writev,pwrite64,sendto,sendmsg,fdatasync,fsync,accept,accept4,close"
CALL = re.compile(r"^\d+ +(\w+)\((\d+)<((?:TCP|TCPv6|socket):\[.*?\]|[^>]*)>.*\) += (-?\d+)")


def trace_violations(path, journal):
    """Reads a trace in order. An answer on a connection must stand behind a sync that returned 0, of a write to the
    journal that came behind the request's last byte. (answers, violations)."""
    state = {}   # socket -> [bursts of writes, seq of the last read]
    journal_write = journal_synced = 0
    answers, violations = 0, []
    for number, line in enumerate(open(path, errors="replace"), 1):
        m = CALL.match(line)
        if not m:
            continue
        call, fd, target, result = m.group(1), m.group(2), m.group(3), int(m.group(4))
        if target.startswith(journal) and target.endswith(".seg"):
            if "write" in call and result > 0:
                journal_write = number
            elif call in ("fdatasync", "fsync"):
                journal_synced = journal_write if result == 0 else journal_synced
            continue
        if not (target.startswith("TCP") or target.startswith("socket")):
            continue
        if call == "close":
            state.pop(fd, None)
            continue
        s = state.setdefault(fd, [0, 0, ""])
        if call.startswith(("read", "recv")):
            if result > 0:
                s[1], s[2] = number, "read"
        elif call.startswith(("write", "send")) and result > 0:
            if s[2] == "read":
                s[0] += 1  # a burst: what follows the reads
                # The first is the handshake's.
                if s[0] > 1:
                    answers += 1
                    if journal_synced < s[1]:
                        violations.append("line %d: %s" % (number, line.strip()[:100]))
            s[2] = "write"
    return answers, violations


def traced_push(program, seconds, *options):
    bed = Bed(agents=8, checks=10)
    trace = os.path.join(bed.folder, "trace")
    bed.start(wrap=["strace", "-f", "-yy", "-s", "0", "-o", trace, "-e", "trace=" + TRACED], program=program, wait=False)
    check(wait_for(lambda: "ready\n" in bed.log()), "ready under strace")
    counts = pushed(bed.push("rate=40", "rows=4", "virtual=1", "seconds=%d" % seconds, *options))
    bed.stop(20)
    answers, violations = trace_violations(trace, os.path.join(bed.state, "journal"))
    bed.remove()
    return counts, answers, violations


def test_order_of_calls():
    counts, answers, violations = traced_push(None, 30 if FULL else 3)
    check(counts["status"] == 0 and answers >= 0.98 * counts["batches"] > 500, "answers %d: %s" % (answers, counts["said"]))
    check(violations == [], "answered before it was synced: %d, %s" % (len(violations), violations[:3]))
    figure("%d answers traced: none before the sync that covers it had returned" % answers)


def cut_power(disk, bed, program, cuts):
    """(cuts done, True when all that was acknowledged is there)."""
    for done in range(1, cuts + 1):
        bed.start(program=program)
        agents = bed.push("rate=100", "rows=20", "virtual=1", "seconds=30", acks="acks%d" % done)
        time.sleep(random.uniform(0.15, 0.8))
        acks = os.path.join(bed.folder, "acks%d" % done)
        # What is answered while the power goes no one would have heard.
        heard = os.path.getsize(acks)
        disk.cut()
        agents.kill()
        pushed(agents)
        bed.kill()
        disk.umount()
        disk.mount()
        os.truncate(acks, heard)
        with open(acks, "rb") as f:
            judged = run(tool("pusher"), "check", os.path.join(bed.state, "journal"), stdin=f)
        if judged.returncode != 0:
            return done, judged.stdout.decode() + judged.stderr.decode()
    return cuts, ""


def test_power_cuts():
    if not MOUNTS:
        figure("power cuts left out: no right to mount here")
        return
    cuts = 200 if FULL else 8
    disk = Disk(256)
    bed = Bed(agents=8, checks=20, state=os.path.join(disk.at, "state"))
    done, wrong = cut_power(disk, bed, None, cuts)
    check(wrong == "", "after %d power cuts: %s" % (done, wrong))
    figure("%d power cuts under load: nothing that was acknowledged is missing, nothing twice" % done)
    disk.remove()
    bed.remove()


def test_mutants():
    """The tests are tested: an ingest that answers before it syncs must be noticed by both."""
    made = run(os.path.join(ROOT, "tests/mutants/build"), "ingest-ack-before-sync", "build/release/tests/tools/ingest_host")
    if not check(made.returncode == 0, "the mutant does not build: " + made.stderr.decode()[-1500:]):
        return
    program = os.path.join(ROOT, made.stdout.decode().strip(), "build/release/tests/tools/ingest_host")
    _, answers, violations = traced_push(program, 2)
    check(len(violations) > answers / 2, "the trace shows it: %d of %d" % (len(violations), answers))
    figure("mutant ingest-ack-before-sync: %d of %d answers before their sync" % (len(violations), answers))
    if not MOUNTS:
        return
    disk = Disk(256)
    bed = Bed(agents=8, checks=20, state=os.path.join(disk.at, "state"))
    done, wrong = cut_power(disk, bed, program, 40)
    check(wrong != "", "the power cuts show it, %d of them" % done)
    figure("mutant ingest-ack-before-sync: noticed at power cut %d" % done)
    disk.remove()
    bed.remove()


# ---- disks that are full or fail


def test_full_disk():
    if not MOUNTS:
        figure("full disk left out: no right to mount here")
        return
    disk = Disk(48, "tmpfs")
    bed = Bed(agents=4, checks=20, state=os.path.join(disk.at, "state"),
              journal='segment_bytes = "1MiB"; max_bytes = "24MiB";')
    bed.start()
    healed = []
    for turn in range(20 if FULL else 1):
        acks = "acks%d" % turn
        agents = bed.push("rate=30", "virtual=1", "seconds=6", acks=acks)
        path = os.path.join(bed.folder, acks)
        wait_for(lambda: os.path.getsize(path) > 0)
        disk.fill(random.choice((0, 0, 4096, 70000)))
        check(wait_for(lambda: "cannot keep what agents send" in bed.log(), 15), "the disk is full, and that is told")
        time.sleep(0.3)
        stuck = os.path.getsize(path)
        time.sleep(0.7)
        check(os.path.getsize(path) == stuck, "nothing is acknowledged on a full disk")
        with Client(bed, 0) as c:
            status, headers, _ = c.request("POST", "/v1/batch", bed.body(agent=0, epoch=1 << 40 | turn))
            check(status == 503 and headers.get("retry-after", "").isdigit(), "asked to wait: %d" % status)
            check(c.request("GET", "/v1/assignments")[0] == 200, "assignments are answered meanwhile")
        open(bed.log_path, "w").close()
        disk.free()
        freed = time.monotonic()
        check(wait_for(lambda: os.path.getsize(path) > stuck, 10), "normal within 10 s of space coming back")
        healed.append(time.monotonic() - freed)
        counts = pushed(agents)
        check(counts["status"] == 0, "all is acknowledged in the end: " + counts["said"])
        bed.judge("full disk", acks)
    check(bed.process.poll() is None, "lives")
    disk.fill(0)
    bed.kill()
    bed.start(wait=False)
    check(wait_for(lambda: "ready\n" in bed.log()), "starts on a full disk")
    disk.free()
    check(wait_for(lambda: pushed(bed.push("seconds=1", acks="last"))["status"] == 0, 10), "and heals")
    bed.judge("after a start on a full disk", "last")
    check(bed.stop() == 0, "ends well")
    figure("disk full %d times: acknowledged again %.1f s after space was back at most" % (len(healed), max(healed)))
    disk.remove()
    bed.remove()


def test_failing_syncs():
    """Writes and syncs of the journal fail; nothing of it is acknowledged, and it heals by itself."""
    tried = 0
    ways = ("fdatasync:error=EIO:when=10+9", "pwrite64:error=ENOSPC:when=40+37", "fdatasync:error=ENOSPC:when=7+50",
            "fsync:error=EIO:when=3+2", "pwrite64:error=EIO:when=41+60")
    for inject in ways if FULL else ways[:2]:
        bed = Bed(agents=4, checks=20, journal='segment_bytes = "64KiB"; max_bytes = "64MiB";')
        bed.start(wrap=["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + inject.split(":")[0], "-e",
                        "inject=" + inject], wait=False)
        check(wait_for(lambda: "ready\n" in bed.log()), inject + ": ready")
        counts = pushed(bed.push("rate=20", "rows=10", "virtual=1", "seconds=%d" % (6 if FULL else 2)))
        check(counts["status"] == 0, "%s: all is acknowledged in the end: %s" % (inject, counts["said"]))
        told = bed.log().count("cannot keep what agents send") or "line repeated" in bed.log()
        check("fsync:" in inject[:6] or told, inject + ": it did fail")
        bed.kill()
        bed.judge(inject)
        tried += 1
        bed.remove()
    figure("%d ways of failing writes and syncs: no false acknowledgement, healed by itself" % tried)


# ---- kills and restarts


def test_restarts():
    """From the start of the process to the first answer over TLS, after SIGKILLs under load."""
    bed = Bed(agents=8, checks=50)
    kills = 300 if FULL else 10
    bed.start()
    agents = bed.push("rate=5", "virtual=1", "seconds=%d" % (kills // 2 + 5))
    times = []
    for _ in range(kills):
        time.sleep(random.uniform(0.05, 0.5))
        bed.kill()
        started = time.monotonic()
        bed.start()
        times.append(time.monotonic() - started)
    counts = pushed(agents)
    check(counts["status"] == 0, "all is acknowledged in the end: " + counts["said"])
    bed.judge("after %d kills" % kills)
    ms = [1000 * t for t in times]
    figure("%d SIGKILLs under %d values/s: restart to serving p50 %.0f ms, p99 %.0f ms (ingest alone)"
           % (kills, counts["values"] / counts["seconds"], percentile(ms, 50), percentile(ms, 99)))
    # A full journal behind it: the marks are read from their snapshot.
    started = time.monotonic()
    check(bed.stop() == 0 and time.monotonic() - started < 5, "SIGTERM ends it within 5 s")
    bed.remove()


def waiting(bed):
    """Connections to it with bytes that it has not read yet."""
    with open("/proc/net/tcp") as f:
        lines = [line.split() for line in f][1:]
    return sum(1 for w in lines if w[1].endswith(":%04X" % bed.port) and w[3] == "01" and int(w[4].split(":")[1], 16) > 0)


def test_ends_amid_work():
    """What comes in the turn of the loop in which it ends is asked to wait, and finds nothing that is gone already."""
    bed = Bed(agents=8, checks=2)
    ends = 200 if FULL else 10
    # Freed memory is written over, so that whoever reads it stumbles.
    os.environ["MALLOC_PERTURB_"] = "165"
    bed.start()
    agents = bed.push("rate=50", "virtual=1", "seconds=%d" % (ends // 2))
    for _ in range(ends):
        before, kept = len(bed.log()), len(bed.kept())
        check(wait_for(lambda: len(bed.kept()) > kept or agents.poll() is not None), "agents are at work")
        os.kill(bed.pid(), signal.SIGSTOP)
        wait_for(lambda: waiting(bed) > 0 or agents.poll() is not None)
        os.kill(bed.pid(), signal.SIGTERM)
        os.kill(bed.pid(), signal.SIGCONT)
        check(bed.process.wait(60) == 0, "it ends well: " + bed.log()[before:])
        bed.start()
    del os.environ["MALLOC_PERTURB_"]
    counts = pushed(agents)
    check(counts["status"] == 0, "all is acknowledged in the end: " + counts["said"])
    bed.judge("after %d ends amid work" % ends)
    check(bed.stop() == 0, "ends well")
    bed.remove()


def test_speed():
    """Not judged, but shown: what one core takes."""
    bed = Bed(agents=32, checks=50)
    bed.start()

    def cpu():
        with open("/proc/%d/stat" % bed.pid()) as f:
            fields = f.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    for words, options in (("batches of 1,000 results", ("rate=40", "seconds=4")),
                           ("batches of 1 result", ("rate=100", "rows=1", "seconds=4"))):
        before, started = cpu(), time.monotonic()
        agents = bed.push("virtual=1", *options, acks="speed")
        time.sleep(4)
        used, took, metrics = cpu() - before, time.monotonic() - started, bed.metrics()
        agents.kill()
        pushed(agents)
        values, batches = metrics["values_total"], metrics["batches_total"]
        if words.startswith("batches of 1,000"):
            first = values, batches
        else:
            values, batches = values - first[0], batches - first[1]
        figure("%s from %d agents: %.0f values/s, %.0f batches/s acknowledged, %.0f ns of processor time a value, "
               "%.0f us a batch" % (words, bed.agents, values / took, batches / took, 1e9 * used / values,
                                    1e6 * used / batches))
    bed.kill()
    bed.remove()


def test_metrics():
    bed = Bed(agents=2)
    bed.start()
    pushed(bed.push("seconds=1"))
    before = len(bed.log())
    os.kill(bed.pid(), signal.SIGUSR1)
    wait_for(lambda: "\nend\n" in bed.log()[before:])
    text = bed.log()[before:].split("end\n")[0]
    checked = run("promtool", "check", "metrics", input=text.encode())
    check(checked.returncode == 0, "promtool: " + checked.stderr.decode() + checked.stdout.decode())
    check(bed.metrics()["batches_total"] > 0, "figures")
    check(bed.stop() == 0, "ends well")
    bed.remove()


if __name__ == "__main__":
    # The longest first.
    run_tests([test_failing_syncs, test_slow_clients, test_restarts, test_order_of_calls, test_assignments,
               test_full_disk, test_ends_amid_work, test_repeats, test_wrong_clocks, test_power_cuts, test_times_that_cannot_be,
               test_strangers, test_nonsense, test_mutants_of_batches, test_epochs, test_marks_lost, test_rights,
               test_limits, test_metrics] + ([test_speed, test_mutants] if FULL else []))
