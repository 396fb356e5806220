#!/usr/bin/env python3
"""Delivery killed at random instants: no notice is lost, and one comes twice only when the kill fell between its answer and the
commit of that: at most one a kill, with the same key.

Without FULL=1 40 kills amid a stream of letters. FULL=1: 1,000 of those, 1,000 spread over seconds around single letters, and mutants
that confirm too early or commit too late, which must be noticed. SEED=N repeats a run."""

import http.server
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hook import Server  # noqa: E402
from pair import FULL, ROOT, TOOLS, wait  # noqa: E402

SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))
HOST = os.path.join(TOOLS, "notify_host")
ANSWER = 0.001  # of the receiver of the stream, so that it takes as long on every machine


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    came = {}  # by path: keys in order
    times = []  # when each came
    answered = {}  # by path and key: when the first came, and when that was answered

    def do_POST(self):
        try:
            self.rfile.read(int(self.headers["Content-Length"]))
            key, began = self.headers["Idempotency-Key"], time.monotonic()
            self.came.setdefault(self.path, []).append(key)
            self.times.append(began)
            if not self.path.startswith("/spread"):
                time.sleep(ANSWER)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            self.answered.setdefault((self.path, key), (began, time.monotonic()))
        except OSError:
            self.close_connection = True  # whoever asked is dead

    def log_message(self, *_):
        pass


class Site:
    """A folder with one outbox and one ledger of deliveries, and who delivers."""

    def __init__(self, name, port, host=HOST):
        self.folder, self.path, self.host, self.put_count = tempfile.mkdtemp(prefix="xunjian-notify-"), f"/{name}", host, 0
        os.makedirs(self.at("inventory.d"))
        self.write("inventory.d/all.conf", '''units = ( { id = "unit"; } ); systems = ( { id = "portal"; unit = "unit"; } );
sites = ( { id = "city"; level = "city"; } );''')
        self.write("collector.conf", 'name = "test"; state = "state"; inventory = "inventory.d"; notice = "notice.conf"; log_level = "error";')
        self.write("notice.conf", f'''channels = ( {{ id = "hook"; kind = "alertmanager"; url = "http://127.0.0.1:{port}{self.path}"; per_minute = 1000; }} );
routes = ( {{ audience = "operations"; channels = "hook"; }} );''')
        self.process, self.kills = None, []

    def at(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.at(name), "w", encoding="utf-8") as f:
            f.write(text)

    def put(self, count):
        self.put_count = int(subprocess.run([self.host, "put", self.at("state"), str(count)], stdout=subprocess.PIPE, check=True).stdout)

    def start(self):
        self.process = subprocess.Popen([self.host, "run", "-c", self.at("collector.conf")], stdin=subprocess.PIPE)

    def kill(self):
        self.kills.append(time.monotonic())
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()

    def came(self):
        return Receiver.came.get(self.path, [])

    def wait_all(self):
        """Those that are still to come do, and the ledger says so."""
        self.start()
        wait("all notices came, and that is written", lambda: self.unconfirmed() == 0 or self.process.poll() is not None, 60)
        self.process.stdin.close()
        assert self.process.wait(20) == 0, "delivery did not end well"

    def unconfirmed(self):
        db = sqlite3.connect(self.at("state", "notice", "notice.db"), timeout=30)
        taken = db.execute("SELECT count(*) FROM delivery WHERE state = 1").fetchone()[0]
        db.close()
        return self.put_count - taken

    def judge(self):
        """Lost; twice; not confirmed in the ledger."""
        keys = self.came()
        wanted = {f"test-notice-{n}-hook" for n in range(1, self.put_count + 1)}
        assert set(keys) <= wanted, f"keys that nobody made: {sorted(set(keys) - wanted)[:5]}"
        return len(wanted - set(keys)), len(keys) - len(set(keys)), self.unconfirmed()

    def nobody_could_know(self):
        """Of those that came twice: who delivered was killed before the receiver answered."""
        keys = self.came()
        times = [Receiver.answered[self.path, k] for k in set(keys) if keys.count(k) > 1]
        return sum(any(began <= k <= answered for k in self.kills) for began, answered in times)

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder)


def keep_the_limit(site):
    """Of a minute; with what was killed on its way. Beyond it letters become digests, of other keys."""
    def used():
        since = time.monotonic() - 60
        return sum(t > since for t in Receiver.times) + sum(t > since for t in site.kills)

    while used() > 900:
        time.sleep(0.1)


def amid_a_stream(site, kills):
    """Each life is given some letters and a random time from its start on, so that many kills fall into one."""
    early = 0
    for _ in range(kills):
        keep_the_limit(site)
        if site.put_count - len(set(site.came())) < 4:  # no more than go out in a minute
            site.put(4)
        before = len(site.came())
        site.start()
        wait("a letter", lambda: len(site.came()) > before or site.process.poll() is not None, pause=0.0005)
        time.sleep(random.uniform(0, 6 * ANSWER))
        site.kill()
        early += len(set(site.came())) < site.put_count
    site.wait_all()
    return early


def check_stream(port, kills):
    site = Site("stream", port)
    try:
        began = time.monotonic()
        early = amid_a_stream(site, kills)
        lost, twice, unconfirmed = site.judge()
        print(f"  figure: {kills} SIGKILLs amid {site.put_count} letters ({early} before all were out) in {time.monotonic() - began:.0f} s: "
              f"{lost} lost, {twice} twice with the same key, {unconfirmed} not confirmed")
        assert lost == 0 and unconfirmed == 0, "letters are lost"
        assert twice <= kills, "more came twice than were on their way when it was killed"
        assert early > kills // 10, "the kills came too late to say anything"
    finally:
        site.remove()


def check_spread(port, kills, at_once=16, span=5):
    """Kills at any time of some seconds around a letter, as they fall in life."""
    sites = [Site(f"spread-{i}", port) for i in range(at_once)]

    def live(site, chance):
        site.put(1)
        site.start()
        for _ in range(kills // at_once):
            at, letter = chance.uniform(0, span), chance.uniform(0, span)
            time.sleep(min(at, letter))
            if letter < at:
                site.put(1)
                site.process.stdin.write(b"\n")
                site.process.stdin.flush()
                time.sleep(at - letter)
                site.kill()
            else:
                site.kill()
                site.put(1)
            site.start()
        site.kill()
        site.wait_all()

    try:
        threads = [threading.Thread(target=live, args=(s, random.Random(SEED + i))) for i, s in enumerate(sites)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        sums = [sum(column) for column in zip(*(s.judge() for s in sites))]
        letters, early = sum(s.put_count for s in sites), sum(s.nobody_could_know() for s in sites)
        print(f"  figure: {kills} SIGKILLs within {span} s of {letters} single letters: {sums[0]} lost, {sums[1]} twice with the same key "
              f"({100 * sums[1] / letters:.2f} %; aim 0.1 % on a machine that has nothing else to do), {early} of them killed before the answer")
        assert sums[0] == 0 and sums[2] == 0 and sums[1] <= kills, sums
    finally:
        for s in sites:
            s.remove()


def check_mutant(port, name, is_noticed):
    folder = subprocess.run([os.path.join(ROOT, "tests", "mutants", "build"), name, "build/release/tests/tools/notify_host"],
                            stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    site = Site(name, port, os.path.join(ROOT, folder, "build", "release", "tests", "tools", "notify_host"))
    try:
        for kills in range(1, 201):
            site.put(4)
            before = len(site.came())
            site.start()
            wait("a letter", lambda: len(site.came()) > before or site.process.poll() is not None, 60)
            time.sleep(random.uniform(0, 0.012))
            site.kill()
            if is_noticed(site, kills):
                print(f"  figure: mutant {name}: noticed after {kills} kills")
                return
        raise AssertionError(f"mutant {name}: not noticed in 200 kills")
    finally:
        site.remove()


def is_lost(site, _):
    """What the ledger calls taken never came."""
    db = sqlite3.connect(site.at("state", "notice", "notice.db"))
    taken = {n for n, in db.execute("SELECT notice FROM delivery WHERE state = 1")}
    db.close()
    return any(f"test-notice-{n}-hook" not in site.came() for n in taken)


def comes_too_often(site, kills):
    return len(site.came()) - len(set(site.came())) > kills


def main():
    random.seed(SEED)
    print(f"SEED={SEED}")
    port = Server(Receiver).port
    try:
        check_stream(port, 1000 if FULL else 40)
        if FULL:
            check_spread(port, 1000)
            check_mutant(port, "notify-confirm-before-answer", is_lost)
            check_mutant(port, "notify-commit-late", comes_too_often)
    except AssertionError as e:
        print(f"FAILED: {e} (SEED={SEED})")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
