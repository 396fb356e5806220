#!/usr/bin/env python3
"""The series are crash-exact: whatever the instant at which the process or the power goes, after a restart every RRD
file dumps equal to one that was made value by value without any interruption (tests/tools/reference.c).

series_host runs the role itself on journals made by series_journal. FULL=1: mutants too, 300 kills, 200 power cuts, 120 kills at
counted system calls; else a slice of each. Power cuts need root (ext4 on a loop device in a mount namespace of its own);
without, they are left out and that is said."""
import atexit
import ctypes
import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = os.path.join(ROOT, "build/release/tests/tools")
FULL = os.environ.get("FULL") == "1"
SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
EXT4_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2

random.seed(SEED)
work = tempfile.mkdtemp(prefix="xunjian-series-")
failures = []
hosts = []


def leave_nothing():
    for host in hosts:
        if host.poll() is None:
            host.kill()
            host.wait()
    for name in os.listdir(work):
        if name.endswith(".mnt"):
            subprocess.run(["umount", os.path.join(work, name)], stderr=subprocess.DEVNULL)
    shutil.rmtree(work, ignore_errors=True)


atexit.register(leave_nothing)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def tool(name, tools=TOOLS):
    return os.path.join(tools, name)


def run(*argv, **more):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, **more)


def check(condition, words):
    if not condition:
        failures.append(words)
        print("FAIL", words, flush=True)
    return condition


def figure(words):
    print("  figure:", words, flush=True)


class Case:
    """A journal, what must become of it, and a state folder for series."""

    def __init__(self, name, *journal, folder=None, archives="archives=0:3600,60:7200"):
        self.archives = archives
        self.folder = folder or os.path.join(work, name)
        self.reference = os.path.join(work, name + "-reference")
        os.makedirs(self.folder, exist_ok=True)
        made = run(tool("series_journal"), os.path.join(self.folder, "journal"), *journal)
        if made.returncode != 0:
            sys.exit("series_journal: " + made.stdout)
        self.entries = int(made.stdout.split()[1])
        self.began = time.monotonic_ns()
        built = run(tool("reference"), "build", os.path.join(self.folder, "journal"), self.reference, archives)
        if built.returncode != 0:
            sys.exit("reference: " + built.stdout)

    def reset(self):
        self.began = time.monotonic_ns()
        for name in ("rrd", "series"):
            shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

    def slowly(self, seconds):
        """Options for a journal that grows to its end over that time, and for rounds that follow each other."""
        return "flush_ms=20", "feed=%d" % max(1, self.entries // seconds), "began=%d" % self.began

    def host(self, *options, tools=TOOLS, wrap=()):
        hosts[:] = [h for h in hosts if h.poll() is None]
        hosts.append(subprocess.Popen([*wrap, tool("series_host", tools), self.folder, self.archives, *options],
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                      stdin=subprocess.DEVNULL))
        return hosts[-1]

    def finish(self, *options, tools=TOOLS):
        """Runs until all is passed; what it said."""
        host = self.host("flush_ms=50", *options, tools=tools)
        try:
            said, _ = host.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            host.kill()
            said, _ = host.communicate()
            return False, said + "\n(did not come to the end)"
        return host.returncode == 0, said

    def compare(self):
        result = run(tool("reference"), "compare", self.reference, os.path.join(self.folder, "rrd"))
        return result.returncode == 0, result.stdout

    def check_equal(self, words, tools=TOOLS):
        done, said = self.finish(tools=tools)
        equal, differences = self.compare()
        return check(done and equal, "%s (SEED=%d)\n%s\n%s" % (words, SEED, said[-1500:], differences[:1500]))


def said_put_back(host):
    """Whether this start found a round that was not done."""
    said = host.stdout.read()
    host.stdout.close()
    return "put back files=" in said


# Long bundles, so that a kill mostly finds librrd in the midst of one; rings that never come round, so that nothing
# that went wrong is written over.
BUSY_ARCHIVES = "archives=0:12000,60:24000"
BUSY = ("noise=0", "agents=1", "checks=2", "seconds=10000", "interval=1", "batch=2000")


def kill_at_random(case, kills, tools=TOOLS, judge=None, busy=False):
    """Kills the process again and again as the journal grows (busy: as it works through a long one); from the start
    when that is through."""
    done = runs = put_back = 0
    case.reset()
    while done < kills:
        host = case.host(*(["flush_ms=20"] if busy else case.slowly(4)), tools=tools)
        try:
            host.wait(timeout=random.uniform(0.01, 0.25))
        except subprocess.TimeoutExpired:
            host.send_signal(signal.SIGKILL)
            host.wait()
            done += 1
        put_back += said_put_back(host)
        if host.returncode == 0 or done == kills or done % 20 == 0:
            runs += 1
            if judge is not None:
                finished, said = case.finish(tools=tools)
                same, differences = case.compare()
                if not (finished and same):
                    return done, runs, put_back, False
            elif not case.check_equal("after kills at random instants", tools):
                return done, runs, put_back, False
            case.reset()
    return done, runs, put_back, True


def test_kills():
    kills = 300 if FULL else 60
    case = Case("kills", "seed=%d" % SEED, "noise=1", "agents=2", "checks=4", "seconds=2400", "batch=5")
    kills, runs, put_back, good = kill_at_random(case, kills)
    if good:
        figure("%d SIGKILLs at random instants, %d journals worked through, %d times a round was not done: 0 files differ"
               % (kills, runs, put_back))
    case = Case("busy", "seed=%d" % SEED, *BUSY, archives=BUSY_ARCHIVES)
    kills, runs, put_back, good = kill_at_random(case, 100 if FULL else 30, busy=True)
    if good:
        figure("%d SIGKILLs in long updates, %d journals worked through, %d times a round was not done: 0 files differ"
               % (kills, runs, put_back))


CALLS = "pwrite64,write,fdatasync,fsync,rename,renameat,unlink,mkdir,ftruncate,fallocate,openat,mmap,munmap,close"


def strace(inject):
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + CALLS, "-e", "inject=" + inject]


def count_calls(case, calls):
    """How often they are made on the way through the journal once the role is ready."""
    out = os.path.join(work, "strace")
    host = case.host("flush_ms=20", "feed=4000", wrap=["strace", "-f", "-qq", "-o", out, "-e", "trace=" + calls])
    host.communicate(timeout=300)
    with open(out) as f:
        return sum(1 for line in f if "(" in line)


def test_kills_at_calls():
    case = Case("calls", "seed=%d" % (SEED + 1), "noise=1", "agents=1", "checks=2", "seconds=600", "batch=10")
    total = count_calls(case, CALLS)
    wanted = 120 if FULL else 14
    for n in sorted(random.sample(range(60, total), min(wanted, total - 60))):
        case.reset()
        host = case.host("flush_ms=20", "feed=4000", wrap=strace("%s:signal=KILL:when=%d" % (CALLS, n)))
        host.communicate(timeout=300)
        if not case.check_equal("killed at system call %d" % n):
            return
    figure("killed at %d of %d counted system calls: 0 files differ" % (wanted, total))


def test_failing_syncs():
    case = Case("syncs", "seed=%d" % (SEED + 2), "noise=1", "agents=1", "checks=2", "seconds=600", "batch=10")
    tried = ended = 0
    for call in ("fdatasync", "fsync", "write", "renameat", "pwrite64"):
        for error in ("EIO", "ENOSPC") if FULL else ("EIO",):
            for n in (1, 2, 5, 11, 23) if FULL else (2, 7):
                case.reset()
                host = case.host("flush_ms=20", "feed=4000", wrap=strace("%s:error=%s:when=%d" % (call, error, n)))
                try:
                    host.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    host.kill()
                    check(False, "%s %s at %d: hangs" % (call, error, n))
                    return
                ended += host.returncode != 0
                tried += 1
                if not case.check_equal("%s failed with %s at %d" % (call, error, n)):
                    return
    figure("%d failed writes and syncs (%d ended the process to recover): 0 files differ" % (tried, ended))


def test_replay_of_a_backlog():
    """Six virtual hours in other batches and another order of agents: as if nothing had been cut."""
    plan = ["seed=%d" % (SEED + 3), "noise=1", "agents=4", "checks=4", "seconds=21600", "interval=30"]
    live = Case("live", *plan, "batch=8")
    replay = Case("replay", *plan, "batch=1000", "order=shuffled")
    done, said = replay.finish()
    result = run(tool("reference"), "compare", live.reference, os.path.join(replay.folder, "rrd"))
    if check(done and result.returncode == 0, "six hours replayed (SEED=%d)\n%s\n%s" % (SEED, said[-500:], result.stdout[:1500])):
        figure("six virtual hours replayed in other batches and order: " + result.stdout.strip())


# ---- on a file system of its own


class Disk:
    """ext4 on a loop device; in a mount namespace of this process."""

    def __init__(self, name, megabytes):
        self.image = os.path.join(work, name + ".img")
        self.at = os.path.join(work, name + ".mnt")
        os.makedirs(self.at)
        with open(self.image, "wb") as f:
            f.truncate(megabytes << 20)
        self.sh("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^resize_inode", self.image)
        self.mount()

    def sh(self, *argv):
        result = run(*argv)
        if result.returncode != 0:
            sys.exit("%s: %s" % (" ".join(argv), result.stdout))

    def mount(self):
        self.sh("mount", "-o", "loop", self.image, self.at)

    def umount(self):
        for _ in range(100):
            if run("umount", self.at).returncode == 0:
                return
            time.sleep(0.01)
        sys.exit("cannot umount " + self.at)

    def cut(self):
        """What was not synced is gone, as with the power."""
        fd = os.open(self.at, os.O_RDONLY)
        fcntl.ioctl(fd, EXT4_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.close(fd)


def may_mount():
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
        return False
    return run("mount", "--make-rprivate", "/").returncode == 0


def test_power_cuts():
    cuts = 200 if FULL else 10
    disk = Disk("power", 192)
    case = Case("power", "seed=%d" % (SEED + 4), "noise=1", "agents=2", "checks=3", "seconds=1800", "batch=5",
                folder=os.path.join(disk.at, "state"))
    os.sync()
    done = runs = put_back = 0
    while done < cuts:
        host = case.host(*case.slowly(4))
        try:
            host.wait(timeout=random.uniform(0.02, 0.4))
        except subprocess.TimeoutExpired:
            disk.cut()
            host.kill()
            host.wait()
            done += 1
            disk.umount()
            disk.mount()
        put_back += said_put_back(host)
        if host.returncode == 0 or done == cuts:
            runs += 1
            if not case.check_equal("after power cuts"):
                return
            case.reset()
            run("sync", "-f", disk.at)
    disk.umount()
    figure("%d power cuts, %d journals worked through, %d times a round was not done: 0 files differ"
           % (cuts, runs, put_back))


def free_percent(path):
    s = os.statvfs(path)
    return 100 * s.f_bavail / (s.f_blocks - s.f_bfree + s.f_bavail)


def fill_to(path, ballast, percent):
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while free_percent(path) > percent:
        try:
            os.write(fd, b"x" * (64 << 10))
            os.fsync(fd)
        except OSError:
            break
    os.close(fd)


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_full_disk():
    disk = Disk("full", 96)
    case = Case("full", "seed=%d" % (SEED + 5), "noise=0", "agents=2", "checks=4", "seconds=1800", "batch=5",
                folder=os.path.join(disk.at, "state"))
    ballast = os.path.join(disk.at, "ballast")
    rrd = os.path.join(case.folder, "rrd")
    healed = []

    def files():
        return sum(len(names) for _, _, names in os.walk(rrd))

    # With no byte at all it cannot begin either: its parent then starts it again, which is not what is looked at here.
    for percent, what in ((8, "no file is made below 10 %"), (2, "no file is written below 3 %"), (0.3, "full")):
        case.reset()
        fill_to(disk.at, ballast, percent)
        host = case.host("flush_ms=50")
        # It has had a second of rounds to make what it may not make.
        try:
            host.wait(timeout=1)
        except subprocess.TimeoutExpired:
            pass
        check(host.poll() is None and files() == 0, "%s: files=%d" % (what, files()))
        os.truncate(ballast, 0)
        started = time.monotonic()
        check(wait_for(lambda: host.poll() is not None, 10) and host.returncode == 0, "healed in 10 s: " + what)
        healed.append(time.monotonic() - started)
        if host.poll() is None:
            host.kill()
        host.wait()
        host.stdout.close()
        equal, differences = case.compare()
        check(equal, "after a full disk: %s\n%s" % (what, differences[:1500]))
    # Files that are there go on being written between 10 and 3 percent, and with no space they wait.
    case.reset()
    host = case.host(*case.slowly(2))
    wait_for(lambda: files() >= 16, 60)
    fill_to(disk.at, ballast, 0.05)
    time.sleep(0.5)
    os.truncate(ballast, 0)
    check(wait_for(lambda: host.poll() is not None, 20) and host.returncode == 0, "filled up as it worked")
    if host.poll() is None:
        host.kill()
    host.wait()
    host.stdout.close()
    case.check_equal("filled up as it worked")
    disk.umount()
    figure("full disk: all written %.1f s after space was back at most" % max(healed))


def test_mutants():
    """The test itself is tested: these must be noticed."""
    for name in ("series-resume-from-last-up", "series-cursor-before-sync"):
        made = run(os.path.join(ROOT, "tests/mutants/build"), name, "build/release/tests/tools/series_host")
        if not check(made.returncode == 0, "mutant %s does not build\n%s" % (name, made.stdout[-1500:])):
            continue
        tools = os.path.join(ROOT, made.stdout.strip(), "build/release/tests/tools")
        case = Case(name, "seed=%d" % (SEED + 6), *BUSY, archives=BUSY_ARCHIVES)
        kills, _, _, unnoticed = kill_at_random(case, 400, tools=tools, judge=True, busy=True)
        if check(not unnoticed, "mutant %s was not noticed in %d kills" % (name, kills)):
            figure("mutant %s noticed after %d kills" % (name, kills))


def main():
    only = sys.argv[1:]
    mounts = may_mount()
    tests = [test_kills, test_kills_at_calls, test_failing_syncs, test_replay_of_a_backlog]
    if mounts:
        tests += [test_power_cuts, test_full_disk]
    if FULL:
        tests.append(test_mutants)
    print("SEED=%d" % SEED, flush=True)
    for test in tests:
        if only and test.__name__ not in only:
            continue
        started = time.monotonic()
        test()
        print("%s %.1f s" % (test.__name__, time.monotonic() - started), flush=True)
    if not mounts:
        print("  figure: power cuts and full disk left out: no right to mount here")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
