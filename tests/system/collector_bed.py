"""A collector for tests: certificates, an inventory of virtual agents, settings, and its life and death.

    Bed(agents, checks)   a folder of its own; ingest alone (tests/tools/ingest_host) or the whole collector
    Client                one TLS connection as an agent, request by request
    check, figure         what is to be true; what was measured
"""

import concurrent.futures
import ctypes
import fcntl
import os
import random
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

from ports import free_port
from processes import children_of

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = os.path.join(ROOT, "build/release/tests/tools")
COLLECTOR = os.path.join(ROOT, "build/release/xunjian-collector")
FULL = os.environ.get("FULL") == "1"
SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
failures = []


def check(good, words):
    if not good:
        failures.append(words)
        print("FAILED: %s (SEED=%d)" % (words, SEED), flush=True)
    return good


def figure(words):
    print("  figure: " + words, flush=True)


def run_tests(tests):
    """Runs those named on the command line, or all, and ends the program. They mostly wait, so four at a time, but at
    length one by one: figures of one are not to be those of its neighbours."""
    only = sys.argv[1:]
    random.seed(SEED)
    print("SEED=%d" % SEED, flush=True)

    def timed(test):
        started = time.monotonic()
        test()
        print("%s %.1f s" % (test.__name__, time.monotonic() - started), flush=True)

    with concurrent.futures.ThreadPoolExecutor(1 if FULL else 4) as pool:
        for done in [pool.submit(timed, t) for t in tests if not only or t.__name__ in only]:
            done.result()
    sys.exit(1 if failures else 0)


def tool(name, tools=TOOLS):
    return os.path.join(tools, name)


def run(*argv, **more):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def wait_for(condition, seconds=60, pause=0.01):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(pause)
    return False


def free_ports(count):
    return [free_port() for _ in range(count)]


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))] if values else float("nan")


def raise_files(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), max(hard, count)))


class Bed:
    def __init__(self, agents=4, checks=10, folder=None, state=None, ingest="", journal="", series="", log="info"):
        self.folder = folder or tempfile.mkdtemp(prefix="xunjian-ingest-")
        self.state = state or os.path.join(self.folder, "state")
        self.pki = os.path.join(self.folder, "pki")
        self.conf = os.path.join(self.folder, "collector.conf")
        self.log_path = os.path.join(self.folder, "log")
        self.port, self.web = free_ports(2)
        self.process = None
        self.agents, self.checks = agents, checks
        self.ca("init", self.pki)
        self.ca("issue", "--ca", self.pki, "--ip", "127.0.0.1", "--ip", "::1", "collector")
        for i in range(agents):
            self.ca("issue", "--ca", self.pki, "agent-%d" % i)
        self.write_inventory()
        with open(self.conf, "w") as f:
            f.write('''state = "%s"; inventory = "%s/inventory.d"; log_level = "%s";
ingest: { listen = [ "127.0.0.1:%d", "[::1]:%d" ]; ca = "pki/ca.pem"; certificate = "pki/collector.pem";
  key = "pki/collector.key"; %s };
journal: { %s };
series: { %s };
web: { listen = [ "127.0.0.1:%d" ]; };
''' % (self.state, self.folder, log, self.port, self.port,
       ingest if "batches_per_minute" in ingest else "batches_per_minute = 100000; " + ingest,
       journal, series, self.web))

    def ca(self, *words):
        made = run(tool("ingest_host"), "ca", *words)
        if made.returncode != 0:
            sys.exit("ca: " + made.stderr.decode())

    def write_inventory(self, without=(), extra=""):
        folder = os.path.join(self.folder, "inventory.d")
        os.makedirs(folder, exist_ok=True)
        lines = ['units = ( { id = "u"; } );', 'sites = ( { id = "city"; level = "city"; } );']
        lines.append("agents = ( %s );" % ",\n".join(
            '{ id = "agent-%d"; site = "city"; }' % i for i in range(self.agents)))
        lines.append("checks = ( %s );" % ",\n".join([
            '{ id = "check-%d-%d"; type = "icmp"; subject = "site/city"; vantages = ( "agent-%d" ); '
            'interval = "1s"; timeout = "500ms"; host = "192.0.2.1"; }' % (i, k, i)
            for i in range(self.agents) for k in range(self.checks)
            if (i, k) not in without] + ([extra] if extra else [])))
        with open(os.path.join(folder, "all.conf"), "w") as f:
            f.write("\n".join(lines) + "\n")

    # ---- life

    def start(self, wrap=(), program=None, words=(), wait=True):
        """program: that of a mutant, or COLLECTOR. Returns when it serves."""
        argv = [*wrap, program or tool("ingest_host"), "run", "-c", self.conf, *words]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        if wait and not self.wait_serving():
            sys.exit("the collector does not serve:\n" + self.log()[-3000:])
        return self.process

    def serves(self):
        try:
            with Client(self, 0, timeout=1) as c:
                return c.request("GET", "/v1/assignments")[0] == 200
        except OSError:
            return False

    def wait_serving(self, seconds=20):
        return wait_for(lambda: self.process.poll() is not None or self.serves(), seconds, 0.002) and \
            self.process.poll() is None

    def pid(self):
        """Of ingest itself, also under strace."""
        return next(iter(children_of(self.process.pid)), self.process.pid)

    def kill(self):
        """The whole group: strace and what it traces, the parent and all roles."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def stop(self, seconds=6):
        """SIGTERM; the exit status, None when it did not end in time."""
        os.kill(self.pid(), signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def metrics(self):
        """By name with labels; of ingest alone."""
        before = len(self.log())
        os.kill(self.pid(), signal.SIGUSR1)
        wait_for(lambda: "\nend\n" in self.log()[before:])
        lines = self.log()[before:].split("\nend\n")[0].splitlines()
        return {l.rsplit(" ", 1)[0].replace("xunjian_ingest_", "", 1): float(l.rsplit(" ", 1)[1])
                for l in lines if l.startswith("xunjian_ingest_")}

    def rss_kib(self, pid=None):
        for line in open("/proc/%d/status" % (pid or self.pid())):
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        return 0

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- load

    def url(self, host="127.0.0.1"):
        return "https://%s:%d" % (host, self.port)

    def push(self, *options, acks="acks", host="127.0.0.1"):
        """Starts the virtual agents; their acknowledgements go to a file."""
        out = open(os.path.join(self.folder, acks), "ab")
        process = subprocess.Popen([tool("pusher"), "push", self.url(host), self.pki, "agents=%d" % self.agents,
                                    "checks=%d" % self.checks, *options], stdout=out, stderr=subprocess.PIPE, text=True)
        out.close()
        return process

    def judge(self, words, acks="acks", journal=None):
        """All that was acknowledged stands in the journal, nothing twice. The counts."""
        with open(os.path.join(self.folder, acks), "rb") as f:
            judged = run(tool("pusher"), "check", journal or os.path.join(self.state, "journal"), stdin=f)
        check(judged.returncode == 0, "%s: %s%s" % (words, judged.stdout.decode(), judged.stderr.decode()[-1500:]))
        return dict(zip(judged.stdout.decode().split()[::2], map(int, judged.stdout.decode().split()[1::2])))

    def body(self, **options):
        return run(tool("pusher"), "body", *("%s=%d" % o for o in options.items())).stdout

    def dump(self, *words):
        return run(tool("journal_dump"), os.path.join(self.state, "journal"), *words).stdout.decode().splitlines()

    def kept(self):
        """What agents sent, without what stands around it."""
        return [l.split(" ", 1)[1] for l in self.dump() if l.split()[1] in ("batch", "now")]


def pushed(process):
    """Waits for the virtual agents; what they counted."""
    _, said = process.communicate(timeout=300)
    words = said.split("pusher: ")[-1].split()
    counts = dict(zip(words[::2], words[1::2]))
    return {k: float(v) for k, v in counts.items() if v.replace(".", "").isdigit()} | {
        "status": process.returncode, "said": said}


class Client:
    """A connection of agent i (None: without a certificate), kept until closed."""

    def __init__(self, bed, agent, host="127.0.0.1", name=None, pki=None, timeout=10, handshake=True):
        self.raw = socket.create_connection((host, bed.port), timeout=timeout)
        self.tls = None
        self.buffer = b""
        try:
            context = ssl.create_default_context(cafile=os.path.join(bed.pki, "ca.pem"))
            name = name or (None if agent is None else "agent-%d" % agent)
            if name:
                at = os.path.join(pki or bed.pki, name)
                context.load_cert_chain(at + ".pem", at + ".key")
            if handshake:
                self.tls = context.wrap_socket(self.raw, server_hostname=host)
        except BaseException:
            self.raw.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        (self.tls or self.raw).close()

    def settimeout(self, seconds):
        (self.tls or self.raw).settimeout(seconds)

    def send(self, data):
        self.tls.sendall(data)

    def receive(self):
        """(status, headers, body) of one answer; OSError when the connection ends."""
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (l.split(":", 1) for l in lines[1:])}
        length = int(headers.get("content-length", 0)) if not lines[0].split()[1] == "304" else 0
        while len(self.buffer) < length:
            self.fill()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return int(lines[0].split()[1]), headers, body

    def fill(self):
        more = self.tls.recv(65536)
        if not more:
            raise ConnectionResetError("closed")
        self.buffer += more

    def request(self, method, path, body=b"", **headers):
        head = {"Host": "collector", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if method == "POST":
            head["Content-Length"] = str(len(body))
            head.setdefault("Content-Encoding", "zstd")
        self.send(("%s %s HTTP/1.1\r\n" % (method, path) + "".join("%s: %s\r\n" % h for h in head.items()) +
                   "\r\n").encode() + body)
        return self.receive()


# ---- file systems of their own

EXT4_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2


def may_mount():
    """In a mount namespace of this process; False where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
        return False
    return run("mount", "--make-rprivate", "/").returncode == 0


def sh(*argv):
    done = run(*argv)
    if done.returncode != 0:
        sys.exit("%s: %s" % (" ".join(argv), done.stderr.decode()))


class Disk:
    """ext4 on a loop device, whose power can be cut; or a tmpfs."""

    def __init__(self, megabytes, kind="ext4"):
        self.folder = tempfile.mkdtemp(prefix="xunjian-disk-")
        self.at = os.path.join(self.folder, "mnt")
        self.image = os.path.join(self.folder, "image")
        os.makedirs(self.at)
        if kind == "tmpfs":
            sh("mount", "-t", "tmpfs", "-o", "size=%dm" % megabytes, "tmpfs", self.at)
            return
        with open(self.image, "wb") as f:
            f.truncate(megabytes << 20)
        sh("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^resize_inode", self.image)
        self.mount()

    def mount(self):
        sh("mount", "-o", "loop", self.image, self.at)

    def umount(self):
        if not wait_for(lambda: run("umount", self.at).returncode == 0, 10):
            sys.exit("cannot umount " + self.at)

    def cut(self):
        """What was not synced is gone, as with the power."""
        fd = os.open(self.at, os.O_RDONLY)
        fcntl.ioctl(fd, EXT4_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.close(fd)

    def fill(self, leave=0):
        """Writes ballast until no more than `leave` bytes are free."""
        with open(os.path.join(self.at, "ballast"), "ab", buffering=0) as f:
            try:
                while True:
                    free = os.statvfs(self.at).f_bavail * os.statvfs(self.at).f_bsize
                    if free <= leave:
                        break
                    f.write(b"x" * min(1 << 20, max(4096, free - leave)))
            except OSError:
                pass

    def free(self):
        os.unlink(os.path.join(self.at, "ballast"))

    def remove(self):
        self.umount()
        shutil.rmtree(self.folder, ignore_errors=True)
