#!/usr/bin/env python3
"""Faults of the journal: killed before every system call, every call of the write path failing, a full disk, power
cuts, damage anywhere. After each: nothing acknowledged is missing, nothing is lost in silence, and it goes on by itself.
Needs root (mounts in a namespace of its own), strace. FULL=1: the full counts."""

import fcntl
import os
import random
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.environ.get("JOURNAL_LOAD", os.path.join(ROOT, "build/release/tests/tools/journal_load"))
FULL = os.environ.get("FULL") == "1"
SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = 2
SEED = int(os.environ.get("SEED", time.time_ns() % 10**9))


def figure(text):
    print(f"  figure: {text}", flush=True)


class Failed(Exception):
    pass


def expect(truth, words):
    if not truth:
        raise Failed(words)


# ---- what the tool says


class Acks:
    """Acknowledged seqs by run; what was said of them may not be contradicted."""

    def __init__(self):
        self.runs = {}
        self.count = 0

    def take(self, output):
        """Lines as far as they are whole; returns the failures that were told."""
        failures = []
        for line in output[: output.rfind("\n") + 1].splitlines():
            word = line.split()
            if word[0] == "ack":
                self.runs.setdefault(int(word[1]), []).append((int(word[2]), int(word[3]), word[4]))
                self.count += int(word[3]) - int(word[2]) + 1
            elif word[0] == "failed":
                failures.append(line[7:])
        return failures


class Found:
    """What is in a journal: kind and run of each seq, gaps, what the opening counted."""

    def __init__(self, folder, mode="check", **options):
        done = subprocess.run([TOOL, mode, folder] + [f"{k}={v}" for k, v in options.items()],
                              capture_output=True, text=True, timeout=60)
        expect(done.returncode == 0, f"{mode} of {folder} ended with {done.returncode}: {done.stderr[-600:]}")
        self.log = done.stderr
        self.entries, self.gaps, self.bad = {}, [], []
        self.damaged = self.torn = self.synced = 0
        at = None
        for line in done.stdout.splitlines():
            word = line.split()
            if word[0] == "e":
                seq = int(word[1])
                expect(at is None or seq == at + 1, f"seq {seq} follows {at}")
                if word[3] == "bad":
                    self.bad.append(seq)
                self.entries[seq] = (int(word[2]), word[3], word[4])
                at = seq
            elif word[0] == "g":
                expect(at is None or int(word[1]) == at + 1, f"gap from {word[1]} follows {at}")
                self.gaps.append((int(word[1]), int(word[2])))
                at = int(word[2])
            else:
                self.damaged, self.torn, self.synced = int(word[1]), int(word[2]), int(word[4])
        self.first = min([s for s in self.entries] + [g[0] for g in self.gaps], default=0)

    def missing(self, acks, trimmed_to=0):
        """Acknowledged positions that are not there (those below the oldest entry may be trimmed)."""
        lost = []
        for run, spans in acks.runs.items():
            for first, last, epoch in spans:
                for seq in range(max(first, trimmed_to), last + 1):
                    kind, who, when = self.entries.get(seq, (0, None, None))
                    if when != epoch or (kind != 1 and who != str(run)):
                        lost.append(seq)
        return lost


def write(folder, *, strace=None, trace=None, timeout=60, **options):
    """Runs the writer, under strace when rules are given; its output and exit status."""
    command = [TOOL, "write", folder] + [f"{k}={v}" for k, v in options.items()]
    if strace:
        command = ["strace", "-f", "-qq", "-o", trace or "/dev/null"] + strace + command
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    return done.stdout, done.returncode, done.stderr


# A life with everything in it: several segments, trimming, overflow, state records, a closing.
LIFE = {"count": 60, "per_sync": 6, "payload": 60, "segment": 700, "lag": 90, "max_bytes": 5000}
NEWEST = 20  # entries that no overflow of such a life reaches


def life(folder, run, **more):
    return write(folder, run=run, **{**LIFE, **more})


# ---- killed before each system call


def calls_of_a_life(base):
    """How often each system call is made in a folder that has a past."""
    trace = os.path.join(base, "trace")
    folder = os.path.join(base, "counted")
    life(folder, 1, count=30)
    life(folder, 2, strace=["-e", "trace=all"], trace=trace)
    counts = {}
    with open(trace, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = re.match(r"\d+ +([a-z0-9_]+)\(", line)
            if match:
                counts[match[1]] = counts.get(match[1], 0) + 1
    shutil.rmtree(folder)
    return counts


def check_life(folder, acks, what):
    found = Found(folder)
    newest = max([s[1] for spans in acks.runs.values() for s in spans], default=0)
    lost = found.missing(acks, trimmed_to=found.first)
    # The oldest values may go on overflow, declared; what is kept, and the newest, never.
    silent = [s for s in lost if not any(g[0] <= s <= g[1] for g in found.gaps)]
    expect(not silent, f"{what}: acknowledged entries are missing in silence: {silent[:10]}")
    wrong = [s for s in lost if s % 10 == 0 or s > newest - NEWEST]
    expect(not wrong, f"{what}: acknowledged entries are missing: {wrong[:10]}")
    expect(not found.bad, f"{what}: wrong payloads: {found.bad[:10]}")
    expect(found.damaged == 0, f"{what}: {found.damaged} damaged: {found.log[-500:]}")
    expect(found.first <= max(1, newest - LIFE["lag"] + 1), f"{what}: {found.first} is the oldest of {newest}")
    expect(found.synced >= newest, f"{what}: ends at {found.synced}, acknowledged was {newest}")
    return found


def killed_at_each_call(base):
    counts = calls_of_a_life(base)
    points = [(name, n) for name, count in sorted(counts.items()) for n in range(1, count + 1)
              if name not in ("execve", "exit_group")]
    total = len(points)
    if not FULL:
        # Between the other calls nothing changes on the disk.
        points = [p for p in points if p[0] in WRITE_PATH[:8] or p[0] == "write"]
        random.shuffle(points)
        points = points[:60]
    killed = kept = 0
    for name, n in points:
        folder = os.path.join(base, "killed")
        acks = Acks()
        acks.take(life(folder, 1, count=30)[0])
        output, status, _ = life(folder, 2, strace=["-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={n}"])
        acks.take(output)
        killed += status in (-9, 137)
        check_life(folder, acks, f"killed before {name} {n}")
        output, status, words = life(folder, 3)
        expect(status == 0, f"after a kill before {name} {n}: {words}")
        acks.take(output)
        check_life(folder, acks, f"a life after a kill before {name} {n}")
        kept += acks.count
        shutil.rmtree(folder)
    expect(killed >= len(points) * 0.9, f"only {killed} of {len(points)} were killed")
    figure(f"killed before a system call: {killed} of {total} points of a life, {kept} acknowledged entries, 0 missing")


# ---- each call of the write path failing


WRITE_PATH = ("openat", "pwrite64", "fdatasync", "fsync", "renameat2", "renameat", "unlinkat", "ftruncate", "close",
              "pread64", "fstat", "newfstatat", "getdents64", "flock", "fcntl", "mkdir")
ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EMFILE", "EINTR", "ENOMEM", "EROFS", "EACCES")


def failing_calls(base):
    counts = calls_of_a_life(base)
    # Before the journal is opened the loader reads libraries: failures there are not ours.
    points = [(name, error, n, times) for name in WRITE_PATH for error in ERRORS for times in (1, 4)
              for n in range(1, counts.get(name, 0) + 1)]
    total = len(points)
    random.shuffle(points)
    points = points[: 2500 if FULL else 60]
    endings = {"went on": 0, "refused, then fine": 0, "not touched": 0}
    for name, error, n, times in points:
        folder = os.path.join(base, "failing")
        what = f"{name} fails {times} times from {n} on with {error}"
        acks = Acks()
        acks.take(life(folder, 1, count=30)[0])
        output, status, words = life(folder, 2, retry_ms=3000, strace=[
            "-e", f"trace={name}", "-e", f"inject={name}:error={error}:when={n}..{n + times - 1}"])
        failures = acks.take(output)
        expect(status in (0, 1, 127), f"{what}: ended with {status}: {words}")
        if status == 0:
            endings["went on" if failures or "error=" in words else "not touched"] += 1
        else:
            # The opening, or the loader of programs, was refused: nothing was promised, and words say why.
            expect(words.strip(), f"{what}: ended with {status} without a word")
            expect("open\n" not in output or "closed" not in output, f"{what}: ended oddly: {words}")
            endings["refused, then fine"] += 1
        check_life(folder, acks, what)
        output, status, words = life(folder, 3)
        expect(status == 0, f"after {what}: {words}")
        acks.take(output)
        check_life(folder, acks, f"a life after: {what}")
        shutil.rmtree(folder)
    figure(f"failing calls: {len(points)} of {total} points; " + ", ".join(f"{k} {v}" for k, v in endings.items()) +
           "; 0 acknowledged missing, 0 by hand")


# ---- the order of calls: nothing is acknowledged before its sync


OPENING = 64  # bytes of the record that begins an epoch
HEAD = 48     # bytes of a segment's head, the only write of that size here


def order_violations(trace, payload):
    """Acknowledgements (writes to standard output) of more than what is synced in files whose names are synced; and
    how many there were. Of a journal begun and written by one process. A file that is renamed into place is synced
    first, and a segment is unlinked only behind a state record that is in place and durable."""
    unsynced, state_in_place, state_durable = set(), False, False
    written = synced = counted = violations = acks = 0
    with open(trace, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = re.match(r"\d+ +(\w+)\((\d+<([^>]*)>)?(.*)", line)
            if not match:
                continue
            name, path, rest = match[1], match[3] or "", match[4]
            result = re.search(r"= (\d+)(<[^>]*>)?$", rest.strip())
            if name == "pwrite64" and result:
                unsynced.add(path)
            elif name == "fdatasync" and result:
                unsynced.discard(path)
            elif name.startswith("rename") and result:
                moved = [os.path.join(m[1], m[2]) for m in re.finditer(r'<([^>]*)>, "([^"]*)"', line)]
                expect(moved[0] not in unsynced, f"renamed before it was synced: {line}")
                state_in_place = state_in_place or moved[1].endswith("/state")
            elif name == "unlinkat" and result and '.seg"' in rest:
                expect(state_durable, f"unlinked before the state record was durable: {line}")
            if name == "fsync" and result:
                state_durable = state_durable or state_in_place
            elif name == "write" and '"ack ' in rest:
                state_in_place = state_durable = False
            if name == "openat" and result and "O_EXCL" in rest and '.seg"' in rest:
                expect(counted == synced == written, "a segment was begun before the last one was done with")
                counted = None
            elif name == "pwrite64" and result and path.endswith(".seg"):
                written += int(result[1]) if int(result[1]) != HEAD else 0
            elif name == "fdatasync" and result and path.endswith(".seg"):
                synced = written
                counted = counted if counted is None else synced
            elif name == "fsync" and result and counted is None:
                counted = synced
            elif name == "write" and '"ack ' in rest:
                acks += 1
                last = int(rest.split('"ack ')[1].split()[2])
                violations += counted is None or (counted - OPENING) // (24 + payload) + 1 < last
    return violations, acks


def order_of_calls(base):
    trace = os.path.join(base, "trace")
    rules = ["-y", "-e", "trace=openat,pwrite64,write,fdatasync,fsync,renameat,renameat2,unlinkat"]
    count = 200000 if FULL else 4000
    _, status, words = write(os.path.join(base, "order"), strace=rules, trace=trace, timeout=900, count=count,
                             per_sync=2, payload=30, segment=20000, lag=2000, max_bytes=90000)
    expect(status == 0, words)
    violations, acks = order_violations(trace, 30)
    expect(violations == 0 and acks == count // 2, f"{violations} of {acks} acknowledged before their sync")
    _, status, words = write(os.path.join(base, "mutant"), strace=rules, trace=trace, count=100, per_sync=2,
                             payload=30, early=1)
    expect(status == 0, words)
    caught, early = order_violations(trace, 30)
    expect(caught == early == 50, f"the mutant that acknowledges before it syncs was not caught: {caught} of {early}")
    figure(f"order of calls: {acks} acknowledgements, 0 before their sync; of the mutant {caught} of {early} caught")


def left_unsynced(base):
    """What a writer leaves that ended after a failed sync, memory may hold as if it were on the disk: who opens the journal
    writes it again before the sync by which it counts."""
    folder, trace = os.path.join(base, "left"), os.path.join(base, "trace")
    expect(write(folder, run=1, count=30, per_sync=6, payload=60)[1] == 0, "a life without faults failed")
    _, status, _ = write(folder, run=2, count=60, per_sync=6, payload=60, strace=[
        "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:signal=KILL:when=4"])
    expect(status in (-9, 137), f"was not killed in a sync: {status}")
    last = max(n for n in os.listdir(folder) if n.endswith(".seg"))
    size = os.stat(os.path.join(folder, last)).st_size
    done = subprocess.run(["strace", "-y", "-o", trace, "-e", "trace=pwrite64,fdatasync", TOOL, "check", folder],
                          capture_output=True, text=True, timeout=60)
    expect(done.returncode == 0, done.stderr)
    end, synced = 0, None
    with open(trace, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if last not in line or synced is not None:
                continue
            match = re.search(r", (\d+), (\d+)\) += (\d+)", line)
            if line.startswith("pwrite64") and match:
                end = int(match[2]) + int(match[3])
            elif line.startswith("fdatasync"):
                synced = end
    expect(synced == size, f"{last} of {size} bytes was synced, written again up to {synced}")


# ---- a writer that is watched while it runs


class Writer:
    def __init__(self, folder, **options):
        command = [TOOL, "write", folder] + [f"{k}={v}" for k, v in options.items()]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.output = b""
        os.set_blocking(self.process.stdout.fileno(), False)

    def read(self, timeout):
        """More output, or False when none comes in time or the process has ended."""
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            return False
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        self.output += data
        return bool(data)

    def wait_for(self, word, start, times=1, timeout=30):
        """Waits for lines that begin with word, in the output from byte `start` on; the byte behind the last of them."""
        end = time.monotonic() + timeout
        while True:
            found = [m.end() for m in re.finditer(b"^" + word + b" .*\n", self.output[start:], re.M)]
            if len(found) >= times:
                return start + found[times - 1]
            left = end - time.monotonic()
            expect(left > 0 and self.read(left), f"no '{word.decode()}' in time: {self.output[-300:]}")

    def kill(self):
        self.process.kill()
        while self.read(10):
            pass
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        return self.output.decode()


# ---- a full disk


def fill_up(path):
    """Takes all that is left, to the last block."""
    with open(path, "ab", buffering=0) as out:
        for size in (1 << 16, 4096, 1):
            try:
                while True:
                    out.write(b"f" * size)
            except OSError:
                pass


def full_disk(base):
    mount = os.path.join(base, "small")
    os.mkdir(mount)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount], check=True)
    try:
        full_and_free(mount)
        trimmed_while_full(mount)
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def fill_until_it_fails(writer, filler, at):
    """It goes on for as long as it trims, so all that is freed is taken again."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        fill_up(filler)
        writer.read(0)
        found = re.search(b"^failed .*\n", writer.output[at:], re.M)
        if found:
            return at + found.end()
    raise Failed("the disk could not be filled")


def full_and_free(mount):
    folder, filler = os.path.join(mount, "journal"), os.path.join(mount, "filler")
    cycles, slowest, acks = 50 if FULL else 12, 0.0, Acks()
    for run in range(1, 3):
        writer = Writer(folder, run=run, count=10**9, per_sync=20, payload=200, segment=20000, lag=1000, retry_ms=60000)
        at = 0
        for _ in range(cycles // 2):
            at = writer.wait_for(b"ack", at, times=random.randint(1, 30))
            at = fill_until_it_fails(writer, filler, at)
            os.unlink(filler)
            since = time.monotonic()
            at = writer.wait_for(b"ack", at)
            slowest = max(slowest, time.monotonic() - since)
        fill_until_it_fails(writer, filler, at)
        acks.take(writer.kill())  # in the middle of a full disk
        os.unlink(filler)
        found = Found(folder)
        lost = found.missing(acks, trimmed_to=found.first)
        expect(not lost and not found.gaps, f"full disk: missing {lost[:10]}, gaps {found.gaps[:3]}")
        expect(found.first <= max(1, found.synced - 1000), f"full disk: {found.first} is the oldest of {found.synced}")
    expect(slowest <= 10, f"{slowest:.1f} s until it went on")
    figure(f"disk full and free again: {cycles} times, normal after {slowest * 1000:.0f} ms at most, "
           f"{acks.count} acknowledged entries, 0 missing")
    shutil.rmtree(folder)


def trimmed_while_full(mount):
    """Nobody else makes room: all must come from trimming, for which the state record is written on a full disk."""
    folder = os.path.join(mount, "journal")
    output, status, words = write(folder, count=30000, per_sync=20, payload=200, segment=20000, give_way=1,
                                  retry_ms=5000)
    acks = Acks()
    failures = acks.take(output)
    expect(status == 0, f"trimming on a full disk: {words[-300:]} {output[-300:]}")
    expect(len(failures) >= 5, f"the disk was full {len(failures)} times only")
    found = Found(folder)
    lost = found.missing(acks, trimmed_to=found.first)
    expect(not lost and not found.gaps, f"trimming on a full disk: missing {lost[:10]}, gaps {found.gaps[:3]}")
    figure(f"room made by trimming on a full disk: {len(failures)} failed syncs, {acks.count} entries went through 1 MiB")
    shutil.rmtree(folder)


# ---- power cuts


def cut_power(mount):
    fd = os.open(mount, os.O_RDONLY)
    fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    os.close(fd)


class Disk:
    """An ext4 of its own in a file."""

    def __init__(self, base):
        self.image, self.mount = os.path.join(base, "image"), os.path.join(base, "disk")
        os.mkdir(self.mount)
        with open(self.image, "wb") as out:
            out.truncate(48 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
        self.up()

    def up(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.mount], check=True)

    def down(self):
        subprocess.run(["umount", self.mount], check=True)


def cut_once(disk, acks, run, **more):
    folder = os.path.join(disk.mount, "journal")
    options = {"count": 10**9, "per_sync": 5, "payload": 100, "segment": 20000, "lag": 400, "retry_ms": 0, **more}
    writer = Writer(folder, run=run, **options)
    writer.wait_for(b"ack", 0, times=random.randint(1, 120))
    while writer.read(0):
        pass
    heard = len(writer.output)
    cut_power(disk.mount)
    # Of a sync that is under way the kernel may still say that it succeeded: to nobody, where power is cut.
    acks.take(writer.kill()[:heard])
    disk.down()
    disk.up()
    found = Found(folder)
    return found, found.missing(acks, trimmed_to=found.first)


def power_cuts(base):
    disk, acks, cuts, torn = Disk(base), Acks(), 200 if FULL else 15, 0
    try:
        for run in range(1, cuts + 1):
            found, lost = cut_once(disk, acks, run)
            expect(not lost, f"power cut {run}: acknowledged entries are missing: {lost[:10]}")
            expect(not found.gaps and found.damaged == 0, f"power cut {run}: gaps {found.gaps[:3]} {found.log[-500:]}")
            expect(found.first <= max(1, found.synced - 400), f"power cut {run}: begins at {found.first}")
            torn += found.torn > 0
        shutil.rmtree(os.path.join(disk.mount, "journal"))
        mutant, caught, tried = Acks(), False, 0
        while not caught and tried < 10:
            tried += 1
            try:
                caught = bool(cut_once(disk, mutant, tried, early=1)[1])
            except Failed:
                caught = True
        expect(caught, "the mutant that acknowledges before it syncs survived 10 power cuts")
    finally:
        disk.down()
    figure(f"power cuts: {cuts}, {acks.count} acknowledged entries, 0 missing, {torn} torn ends cut; "
           f"the mutant is caught by cut {tried}")


# ---- damage


def record_spans(data):
    """(seq, begin, end) of each record of a segment that is whole."""
    at, spans = 48, []
    while at + 24 <= len(data):
        length, seq = struct.unpack_from("<I", data, at + 4)[0], struct.unpack_from("<Q", data, at + 8)[0]
        spans.append((seq, at, at + 24 + length))
        at += 24 + length
    return spans


def damage(data):
    """Damaged bytes, and the range that is hit."""
    at = random.randrange(len(data))
    kind = random.randrange(5)
    if kind == 0:
        return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1:], at, at + 1
    if kind == 1:
        end = min(len(data), at + random.randint(1, 300))
        return data[:at] + bytes(end - at) + data[end:], at, end
    if kind == 2:
        end = min(len(data), at + random.randint(1, 40))
        return data[:at] + random.randbytes(end - at) + data[end:], at, end
    if kind == 3:  # a block that was never written
        at -= at % 512
        end = min(len(data), at + 512)
        return data[:at] + bytes(end - at) + data[end:], at, end
    return data[:at], at, len(data)


def damaged_anywhere(base):
    mount = os.path.join(base, "memory")
    os.mkdir(mount)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", mount], check=True)
    folder, acks = os.path.join(mount, "journal"), Acks()
    for run in (1, 2, 3):
        acks.take(write(folder, run=run, count=40, per_sync=4, payload=60, segment=1500, lag=1000)[0])
    names = [n for n in sorted(os.listdir(folder)) if n.endswith(".seg") or n.startswith("state")]
    whole = {n: open(os.path.join(folder, n), "rb").read() for n in names}
    spans = {n: record_spans(whole[n]) for n in names if n.endswith(".seg")}
    places = 10000 if FULL else 1000
    hit = lost_count = told = 0
    for place in range(places):
        shutil.rmtree(folder)
        os.mkdir(folder)
        name = random.choice(names)
        broken, begin, end = damage(whole[name])
        for n in names:
            with open(os.path.join(folder, n), "wb") as out:
                out.write(broken if n == name else whole[n])
        what = f"damage {place} (seed {SEED}): {name} [{begin}, {end})"
        found = Found(folder, "check" if place % 2 else "read", **({"segment": 1500} if place % 2 else {}))
        hits = {s for s, a, b in spans.get(name, []) if a < end and b > begin}
        lost = set(found.missing(acks))
        if name == names[-1] or place % 2 == 0:
            # A reader alone cannot know of entries behind the last one it can see.
            top = max(found.entries, default=0)
            unseen = {s for s in lost if s > top and not any(g[0] <= s <= g[1] for g in found.gaps)}
            expect(unseen <= hits, f"{what}: {sorted(unseen - hits)[:10]} are missing")
            lost -= unseen
        silent = [s for s in lost if not any(g[0] <= s <= g[1] for g in found.gaps)]
        expect(not silent, f"{what}: missing in silence: {silent[:10]}")
        expect(lost <= hits, f"{what}: more is lost than was hit: {sorted(lost - hits)[:10]}")
        expect(not found.bad, f"{what}: wrong payload of {found.bad[:10]}")
        if lost:
            expect("error" in found.log or "warn" in found.log, f"{what}: not told")
            told += 1
        hit += len(hits)
        lost_count += len(lost)
    figure(f"damage at {places} places: {hit} records hit, {lost_count} lost, all in gaps, {told} told; 0 others lost")
    subprocess.run(["umount", "-l", mount], check=True)


def main():
    if not os.path.exists(TOOL):
        print(f"{TOOL} is missing: make it first")
        return 1
    if os.geteuid() != 0 or shutil.which("strace") is None:
        print("needs root (mounts in a namespace of its own) and strace")
        return 77
    if os.environ.get("JOURNAL_FAULTS_INSIDE") != "1":
        os.environ["JOURNAL_FAULTS_INSIDE"] = "1"
        probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
        if probe.returncode != 0:
            print("namespaces are not allowed here")
            return 77
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
    random.seed(SEED)
    print(f"seed {SEED}", flush=True)
    base = tempfile.mkdtemp(prefix="xj-journal-")
    parts = [p for p in (order_of_calls, left_unsynced, killed_at_each_call, failing_calls, full_disk, power_cuts, damaged_anywhere)
             if not sys.argv[1:] or p.__name__ in sys.argv[1:]]
    try:
        for part in parts:
            folder = os.path.join(base, part.__name__)
            os.mkdir(folder)
            since = time.monotonic()
            part(folder)
            print(f"{part.__name__}: {time.monotonic() - since:.1f} s", flush=True)
    except (Failed, subprocess.TimeoutExpired) as e:
        print(f"FAILED: {e}")
        return 1
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
