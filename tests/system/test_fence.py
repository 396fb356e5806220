#!/usr/bin/env python3
"""The fences of all processes (design, chapter 10): what the running ones have given up, as the kernel tells it, and what an
intruder in each of them can do, played by tests/tools/confined, which is fenced by the same functions and settings.

As root the programs become another user; else they stay who they are, and what needs root is left out."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from checks import check, failures  # noqa: E402
from pair import AGENT, COLLECTOR, TOOLS, Pair, wait  # noqa: E402
from ports import free_port  # noqa: E402
from processes import below, children_of, status_of  # noqa: E402

IS_ROOT = os.geteuid() == 0
USER = 65534 if IS_ROOT else os.geteuid()
CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_NET_BIND_SERVICE, CAP_NET_RAW = 2, 5, 6, 7, 10, 13
CAPABILITIES = {"xj-helper": [CAP_NET_RAW], "xj-help-keeper": [CAP_NET_RAW],
                "collector": [CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_NET_BIND_SERVICE]}
ROLES = ("xj-ingest", "xj-series", "xj-judge", "xj-web", "xj-render", "xj-notify")


class Fenced(Pair):
    """A pair whose programs become another user, to whom keys and settings belong."""

    def __init__(self):
        super().__init__(checks=2)
        self.outside = tempfile.mkdtemp(prefix="xunjian-outside-")
        self.write("../" + os.path.basename(self.outside) + "/secret", "secret")
        if IS_ROOT:
            for name in ("collector.conf", "agent.conf"):
                with open(self.path(name), "a", encoding="utf-8") as f:
                    f.write(f'user = "{USER}";\n')
            for top in (self.folder, self.outside):
                for folder, _, names in os.walk(top):
                    for name in ["."] + names:
                        os.chown(os.path.join(folder, name), USER, USER)

    def start(self, name, wrap=()):
        if not wrap:
            super().start(name)
            return
        with open(self.path(name + ".log"), "ab") as log:
            argv = [*wrap, COLLECTOR if name == "collector" else AGENT, "run", "-c", self.path(name + ".conf")]
            self.processes[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def clear(self):
        super().clear()
        shutil.rmtree(self.outside, ignore_errors=True)


# ---------------------------------------------------------------- the running processes


def processes(pair):
    """Of both programs, by what they are called; the first of each by the program's name."""
    found = {}
    for name in ("agent", "collector"):
        first = pair.processes[name].pid
        found[name] = first
        for pid in below(first):
            found[status_of(pid)["Name"]] = pid
    return found


def sockets_of(pid):
    """Of the internet and of packets; those of UNIX, which are channels, are not among them."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            end = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        if end.startswith("socket:["):
            inodes.add(end[8:-1])
    out = []
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet", "netlink"):
        try:
            with open(f"/proc/{pid}/net/{table}", encoding="utf-8") as f:
                out += [(table, line.split()) for line in f.readlines()[1:] if inodes & set(line.split())]
        except OSError:
            continue
    return out


def test_rights(pair):
    found = processes(pair)
    units = {"xj-units", "xj-units-keeper"} if os.path.isdir("/run/systemd/system") else set()
    check("there is every process", set(found) == units | {"agent", "xj-helper", "xj-help-keeper", "collector", *ROLES}, found)
    for name, pid in found.items():
        s = status_of(pid)
        mask = sum(1 << c for c in CAPABILITIES.get(name, []))
        check(f"{name}: a filter of calls", s["Seccomp"] == "2", s["Seccomp"])
        # Landlock holds for the thread that asked for it and those that it makes.
        check(f"{name}: no thread from before the fence", name == "agent" or s["Threads"] == "1", s["Threads"])
        check(f"{name}: no new rights", s["NoNewPrivs"] == "1", s["NoNewPrivs"])
        for kind in ("CapEff", "CapPrm"):
            check(f"{name}: {kind}", int(s[kind], 16) & ~mask == 0, s[kind])
        check(f"{name}: nothing to inherit", int(s["CapInh"], 16) | int(s["CapAmb"], 16) == 0, s)
        user = 0 if IS_ROOT and name in CAPABILITIES else USER
        check(f"{name}: the user", s["Uid"].split() == [str(user)] * 4, s["Uid"])
        check(f"{name}: the group", s["Gid"].split() == [str(user if IS_ROOT else os.getegid())] * 4, s["Gid"])
        if IS_ROOT and user != 0:
            check(f"{name}: no other groups", s["Groups"].split() == [], s["Groups"])
    if IS_ROOT:
        for name in ("xj-helper", "xj-help-keeper"):
            check(f"{name}: has what it is for", int(status_of(found[name])["CapEff"], 16) == 1 << CAP_NET_RAW)
    for name in ("xj-helper", "xj-help-keeper", *units, "collector", "xj-series", "xj-judge", "xj-render", "xj-notify"):
        check(f"{name}: no socket", sockets_of(found[name]) == [], sockets_of(found[name]))
    for name in ("xj-ingest", "xj-web"):
        check(f"{name}: TCP alone", {s[0] for s in sockets_of(found[name])} <= {"tcp", "tcp6"}, sockets_of(found[name]))


# ---------------------------------------------------------------- an intruder in each


def confined(pair, who, *deeds):
    """Whether the kernel has Landlock; what became of each deed, by the name of the error; the exit status."""
    conf = pair.path("agent.conf" if who in OF_AGENT else "collector.conf")
    p = subprocess.run([os.path.join(TOOLS, "confined"), who, conf, *deeds], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, timeout=20, check=False)
    lines = [line.rsplit(" ", 1) for line in p.stdout.splitlines()]
    if not lines or p.returncode > 0:
        raise AssertionError(f"confined {who}: {p.returncode} {p.stdout} {p.stderr}")
    return lines[0][1] == "1", {d: errno.errorcode.get(int(n), n).replace("0", "done") for d, n in lines[1:]}, p.returncode


OF_AGENT = ("engine", "helper", "helper-keeper", "units", "units-keeper", "probe")
EVERYBODY = {"fork", "exec", "kill", "root", "socket:1,1,0", "socket:17,3,768", "socket:40,1,0", "socket:2,3,255"}
MAY = {  # of what EVERYBODY and OTHERS list
    "engine": {"connect", "bind", "accept", "code", "socket:2,1,0", "socket:10,2,0", "socket:16,3,0"},
    "helper": {"socket:2,2,1", "socket:10,2,58"},
    "helper-keeper": {"socket:2,2,1", "socket:10,2,58", "fork", "kill"},
    # A stream of UNIX; connecting is tried with a socket of the internet, which this process never has.
    "units": {"connect", "socket:1,1,0"},
    "units-keeper": {"connect", "socket:1,1,0", "fork", "kill"},
    "probe": {"connect", "bind", "accept", "code", "socket:2,1,0", "socket:10,2,0", "socket:16,3,0"},
    "ingest": {"accept"},
    "series": set(),
    "judge": set(),
    "web": {"accept"},
    "render": set(),
    "notify": {"connect", "bind", "accept", "code", "socket:2,1,0", "socket:10,2,0", "socket:16,3,0"},
    "parent": {"connect", "bind", "accept", "code", "socket:2,1,0", "socket:10,2,0", "socket:16,3,0", "fork", "kill"},
}
OTHERS = {"connect", "bind", "accept", "code", "socket:2,1,0", "socket:10,2,0", "socket:16,3,0", "socket:16,3,12"}


def test_deeds(pair):
    port = pair.echo.port
    free = free_port()
    for who, may in MAY.items():
        deeds = {}
        for deed in EVERYBODY | OTHERS | may:
            argument = {"connect": f"connect:{port}", "bind": f"bind:{free}", "exec": "exec:/bin/true"}.get(deed, deed)
            if deed == "connect" and "bind" in may:
                continue  # of the one socket either can be tried
            if deed == "root" and who in ("parent", *OF_AGENT[1:]) and IS_ROOT:
                continue  # it is
            deeds[argument] = deed
        _, became, status = confined(pair, who, *sorted(deeds))
        check(f"{who}: lives", status == 0, status)
        for argument, deed in deeds.items():
            # The kernel's own refusal, for lack of rights, is not the fence's but as good.
            good = became.get(argument) in (("done", "EACCES") if deed in may else ("EPERM",))
            check(f"{who}: {argument} {'can' if deed in may else 'cannot'} be done", good, became.get(argument))
        if "connect" in may:
            check(f"{who}: connects", confined(pair, who, f"connect:{port}")[1][f"connect:{port}"] == "done")
        else:
            became = confined(pair, who, f"fastopen:{port}")[1]
            check(f"{who}: does not connect by sending", became[f"fastopen:{port}"] == "EPERM", became)


def test_paths(pair):
    state, inventory = pair.path("collector"), pair.path("inventory.d", "all.conf")
    journal, agent_state = os.path.join(state, "journal"), pair.path("agent")
    secret, new = os.path.join(pair.outside, "secret"), os.path.join(pair.outside, "new")
    key, agent_key, conf = pair.path("pki", "collector.key"), pair.path("pki", "agent-1.key"), pair.path("collector.conf")
    files = {  # who: what can be read, with what is below; where can be written
        "engine": ([pair.folder, "/etc/hosts", "/usr", "/proc/self"], [agent_state]),  # what stands beside its settings
        "helper": ([], []),
        "helper-keeper": ([], []),
        "units": ([], []),
        "units-keeper": ([], []),
        "ingest": ([pair.path("pki"), inventory, journal, os.path.join(state, "judge")], [journal, os.path.join(state, "ingest")]),
        "series": ([inventory, journal, os.path.join(state, "judge")], [os.path.join(state, "rrd"), os.path.join(state, "series")]),
        "judge": ([inventory, journal, os.path.join(state, "judge")], [os.path.join(state, "judge")]),
        "web": ([inventory], []),
        "render": (["/usr/share/fonts"], []),
        "notify": ([inventory, os.path.join(state, "judge", "judge.db"), "/etc/hosts", "/usr"], [os.path.join(state, "notice")]),
    }
    probes = [secret, key, agent_key, conf, inventory, journal, "/etc/shadow", "/etc/passwd", "/etc/hosts", "/proc/1/environ", "/usr",
              "/usr/share/fonts", pair.path("agent.conf"), os.path.join(agent_state, "journal"), "/proc/self/status",
              os.path.join(state, "judge", "judge.db")]
    for who, (readable, writable) in files.items():
        reads = [f"read:{p}" for p in probes]
        places = [pair.outside, pair.folder, "/tmp", "/etc", state, journal, agent_state,
                  *(os.path.join(state, d) for d in ("ingest", "rrd", "series", "judge", "notice"))]
        writes = [f"write:{p}/intruder" for p in places]
        rest = [f"remove:{secret}", f"mode:{secret}", f"write:{secret}"]
        has_landlock, became, status = confined(pair, who, *reads, *writes, *rest)
        check(f"{who}: lives", status == 0, status)
        if not has_landlock:
            print("  no Landlock: paths are not tried", flush=True)
            return
        for p in probes:
            allowed = p in readable or any(p.startswith(top + "/") for top in readable)
            good = became[f"read:{p}"] == "done" if allowed else became[f"read:{p}"] in ("EACCES", "EPERM")
            check(f"{who}: {p} {'can' if allowed else 'cannot'} be read", good, became[f"read:{p}"])
        for p in places:
            good = became[f"write:{p}/intruder"] == "done" if p in writable else became[f"write:{p}/intruder"] in ("EACCES", "EPERM")
            check(f"{who}: {p} {'can' if p in writable else 'cannot'} be written", good, became[f"write:{p}/intruder"])
            try:
                os.remove(f"{p}/intruder")
            except OSError:
                pass
        for deed in rest:
            if deed.startswith("mode:") and who in ("engine", "ingest", "series", "judge", "notify"):
                continue  # Landlock says nothing about modes: of its own user's files a process may change them
            check(f"{who}: {deed} cannot be done", became[deed] in ("EACCES", "EPERM"), became[deed])
    became = confined(pair, "probe", f"write:{new}", f"remove:{secret}")[1]
    check("probe: writes nothing", set(became.values()) == {"EPERM"}, became)
    check("a path that nobody has was not made", not os.path.exists(new))


def test_hostile(pair):
    for who in MAY:
        for deed in ("ptrace", "memory", "namespace", "mount", "bpf"):
            _, became, status = confined(pair, who, deed)
            check(f"{who}: {deed} kills", status == -signal.SIGSYS and became == {}, (status, became))


# ---------------------------------------------------------------- and all works


def test_work(pair):
    wait("results reach the page", lambda: pair.metric("xunjian_web_rows") == 4)
    wait("a picture", lambda: pair.ask("/api/v1/graph.svg?check=echo-0&span=10m").startswith("<?xml"))
    check("the page tells of Landlock", pair.metric("xunjian_landlock_active") in (0, 1))
    check("the agent too", pair.metric("xunjian_agent_landlock_active", pair.metrics) == pair.metric("xunjian_landlock_active"))
    check("nothing is an error", " error " not in pair.log("collector") + pair.log("agent"), pair.log("collector") + pair.log("agent"))


def test_reload(pair):
    """Fenced processes read a new inventory, written by renaming; what they could not read is refused whole."""
    with open(pair.path("inventory.d", "all.conf"), encoding="utf-8") as f:
        text = f.read()
    pair.write("inventory.d/new", text.replace('id = "echo-1"', 'id = "echo-new"'))
    os.chown(pair.path("inventory.d", "new"), USER, -1)
    os.rename(pair.path("inventory.d", "new"), pair.path("inventory.d", "all.conf"))
    pair.processes["collector"].send_signal(signal.SIGHUP)
    wait("the new check", lambda: '"echo-new"' in pair.ask("/api/v1/systems/portal") and pair.metric("xunjian_web_rows") == 4)
    with open(pair.path("collector.conf"), encoding="utf-8") as f:
        text = f.read()
    shutil.copytree(pair.path("inventory.d"), pair.path("elsewhere.d"))
    pair.write("collector.conf", text.replace('"inventory.d"', '"elsewhere.d"'))
    pair.processes["collector"].send_signal(signal.SIGHUP)
    wait("the refusal", lambda: "inventory is changed by a restart" in pair.log("collector"))
    check("the old inventory stays", '"echo-new"' in pair.ask("/api/v1/systems/portal"))
    pair.write("collector.conf", text)
    check("nobody else refused", pair.log("collector").count("reload refused") == 1, pair.log("collector"))


def test_end(pair):
    """A child of another user that hangs is ended by the parent all the same."""
    web = processes(pair)["xj-web"]
    os.kill(web, signal.SIGSTOP)
    status, seconds = pair.stop("collector", 15)
    check("a process that hangs is killed", "killing it role=web" in pair.log("collector") and 4 < seconds < 10, (status, seconds))
    status, seconds = pair.stop("agent")
    check("the agent ends well", status == 0, status)


def test_without_landlock():
    """On older kernels: told once, counted, and the calls are fenced all the same."""
    pair = Fenced()
    old = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=landlock_create_ruleset", "-e",
           "inject=landlock_create_ruleset:error=ENOSYS"]
    try:
        for name in ("collector", "agent"):
            pair.start(name, wrap=old)
        wait("results without Landlock", lambda: pair.metric("xunjian_web_rows") == 4)
        check("collector: it is counted", pair.metric("xunjian_landlock_active") == 0)
        check("agent: it is counted", pair.metric("xunjian_agent_landlock_active", pair.metrics) == 0)
        for name in ("collector", "agent"):
            check(f"{name}: it is told once", pair.log(name).count("this kernel has no Landlock") == 1, pair.log(name))
            first = children_of(pair.processes[name].pid)[0]
            for pid in [first, *below(first)]:
                s = status_of(pid)
                check(f"{s['Name']}: a filter without Landlock", s["Seccomp"] == "2", s["Seccomp"])
    finally:
        pair.clear()


def main():
    pair = Fenced()
    try:
        pair.start("collector")
        pair.start("agent")
        test_work(pair)
        test_rights(pair)
        test_deeds(pair)
        test_paths(pair)
        test_hostile(pair)
        test_reload(pair)
        test_end(pair)
        test_without_landlock()
    finally:
        if failures:
            print(pair.log("collector"), pair.log("agent"), sep="\n")
        pair.clear()
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
