#!/usr/bin/env python3
"""Units of a real systemd, which runs as the first process of namespaces of its own (processes, mounts, cgroups; with units of this
test alone, and no way to settings of the kernel): from the shell as root and as nobody, and in a running agent, to the page.
Root, systemd, dbus-daemon and cgroup v2 are needed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import AGENT, Pair, wait  # noqa: E402
from processes import child, children_of, status_of  # noqa: E402

SYSTEMD = next((p for p in ("/lib/systemd/systemd", "/usr/lib/systemd/systemd") if os.path.exists(p)), None)
TARGETS = ("sysinit", "basic", "shutdown", "sockets", "exit", "umount", "final", "paths", "timers")
LONELY = "[Unit]\nDefaultDependencies=no\n"

BEGIN = """set -e
mount --make-rprivate /
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
umount -R -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /run
mount -t tmpfs none /var/log
export container=xunjian SYSTEMD_UNIT_PATH="$1"
exec "$2" --system --log-target=console
"""


def cgroup_root():
    with open("/proc/self/mounts", encoding="utf-8") as f:
        return next((line.split()[1] for line in f if line.split()[2] == "cgroup2"), None)


class Host:
    """A systemd with a unit that failed, one that runs and one that does not."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="xunjian-systemd-")
        os.chmod(self.folder, 0o755)
        self.group = os.path.join(cgroup_root(), os.path.basename(self.folder))
        self.outside = None
        units = {t + ".target": LONELY for t in TARGETS}
        units["default.target"] = "[Unit]\nWants=dbus.socket bad.service good.service\n"
        units["bad.service"] = LONELY + "[Service]\nExecStart=/bin/false\n"
        units["good.service"] = units["off.service"] = LONELY + "[Service]\nExecStart=/bin/sleep 1000\n"
        units["dbus.socket"] = LONELY + "[Socket]\nListenStream=/run/dbus/system_bus_socket\n"
        units["dbus.service"] = (LONELY + "Requires=dbus.socket\n[Service]\nType=notify\nNotifyAccess=main\nExecStart=" +
                                 shutil.which("dbus-daemon") + " --system --address=systemd: --nofork --nopidfile --systemd-activation\n")
        for name, text in units.items():
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
                f.write(text)
        self.log = open(os.path.join(self.folder, "log"), "ab")

    def start(self):
        os.mkdir(self.group)

        def enter():
            with open(os.path.join(self.group, "cgroup.procs"), "w", encoding="utf-8") as f:
                f.write("0")

        self.outside = subprocess.Popen(["unshare", "--cgroup", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--ipc", "--uts", "sh",
                                         "-c", BEGIN, "sh", self.folder, SYSTEMD], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        preexec_fn=enter, start_new_session=True)

    def first(self):
        """The pid of the systemd, as seen from here."""
        return next(iter(children_of(self.outside.pid)), None)

    def inside(self):
        return ["nsenter", "-t", str(self.first()), "-m", "-p", "-C"]

    def run(self, *argv, user=None):
        become = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"] if user else []
        return subprocess.run([*self.inside(), *become, *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                              check=False)

    def clear(self):
        if self.outside:
            self.outside.kill() # and with it, by --kill-child, the first process and the namespace
            self.outside.wait()
        self.log.close()
        try:
            wait("the cgroup is empty", lambda: "populated 0" in open(os.path.join(self.group, "cgroup.events"), encoding="utf-8").read(), 60)
            for folder, _, _ in os.walk(self.group, topdown=False):
                os.rmdir(folder)
        except (OSError, AssertionError) as e:
            print(f"  {self.group} is left behind: {e}")
        shutil.rmtree(self.folder, ignore_errors=True)


def probe(host, *options, user=None):
    p = host.run(AGENT, "probe", "systemd", "--json", *options, user=user)
    return p.returncode, {r["part"]: (r["outcome"], r["reason"]) for r in json.loads(p.stdout)}


def test_once(host):
    for user in (None, 65534):
        status, seen = probe(host, "names=good", "names=off.service", "names=bad", "names=no-such-unit", "names=dbus.socket", user=user)
        expected = {"": ("down", "1 unit failed: bad.service"), "good": ("up", ""), "off.service": ("down", "inactive (dead)"),
                    "bad": ("down", "failed (failed)"), "no-such-unit": ("down", "there is no such unit"), "dbus.socket": ("up", "")}
        assert (status, seen) == (1, expected), (user, status, seen)
        status, seen = probe(host, "ignore=ba?.service", "names=good.service", user=user)
        assert (status, seen) == (0, {"": ("up", ""), "good.service": ("up", "")}), (user, status, seen)
    outside = subprocess.run([AGENT, "probe", "systemd"], stdout=subprocess.PIPE, text=True, check=False)
    if not os.path.isdir("/run/systemd/system"):
        assert outside.returncode == 3 and "this host is not run by systemd" in outside.stdout, outside.stdout


def test_in_agent(host):
    pair = Pair(checks=1)
    try:
        path = pair.path("inventory.d", "all.conf")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        pair.write(path, text.rstrip().removesuffix(");").rstrip() + ''',
  { id = "own-systemd"; type = "systemd"; subject = "host/agent-1"; vantages = [ "agent-1" ]; interval = "1s"; names = [ "good", "off" ]; }
);
''')
        pair.write_agent("agent", 'user = "65534";\n')
        with open(pair.path("collector.conf"), "a", encoding="utf-8") as f:
            f.write('user = "65534";\n')
        for folder, _, names in os.walk(pair.folder):
            for name in [".", *names]:
                os.chown(os.path.join(folder, name), 65534, 65534)
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"), 60)
        pair.start("agent", wrap=host.inside())

        def seen():
            checks = json.loads(pair.ask("/api/v1/agents/agent-1"))["list"]
            rows = next((c["rows"] for c in checks if c["type"] == "systemd"), [])
            return sorted((r["part_name"], r["outcome"], r["reason"]) for r in rows)

        def told(state):
            return lambda: seen() == [("", "down", "1 unit failed: bad.service"), ("good", "up", ""), ("off", *state)]

        wait("both units and the one that failed", told(("down", "inactive (dead)")), 60)
        host.run("systemctl", "start", "off.service")
        wait("a unit that was started", told(("up", "")), 60)
        engine = children_of(pair.processes["agent"].pid)[0]
        keeper = child(engine, "xj-units-keeper")
        units = children_of(keeper)[0]
        assert status_of(units)["Name"] == "xj-units", status_of(units)
        s = status_of(units)
        assert s["Seccomp"] == "2" and s["NoNewPrivs"] == "1" and int(s["CapEff"], 16) == 0 and s["Uid"].split() == ["65534"] * 4, s
        assert len(os.listdir(f"/proc/{units}/fd")) == 4, os.listdir(f"/proc/{units}/fd")
        assert not any(os.readlink(f"/proc/{engine}/fd/{fd}").startswith("socket:") and fd_is_bus(engine, fd)
                       for fd in os.listdir(f"/proc/{engine}/fd")), "the engine is on the bus"
        host.run("systemctl", "kill", "--signal=KILL", "dbus.service")
        wait("after the bus was killed it is asked anew", told(("up", "")), 60)
        os.kill(units, signal.SIGKILL)
        wait("its keeper starts another one", lambda: "the process that asks systemd is there again" in pair.log("agent"), 60)
        host.run("systemctl", "stop", "off.service")
        wait("which asks", told(("down", "inactive (dead)")), 60)
        units = children_of(keeper)[0]
        os.kill(keeper, signal.SIGKILL)
        os.kill(units, signal.SIGKILL)
        wait("without both all is unknown", lambda: re.match(r"the process that asks systemd", seen()[0][2]), 60)
        assert "unknown until the agent is started again" in pair.log("agent"), pair.log("agent")
    except AssertionError:
        print(*(pair.log(name)[-2000:] for name in pair.processes), sep="\n---\n")
        raise
    finally:
        pair.clear()


def fd_is_bus(pid, fd):
    inode = os.readlink(f"/proc/{pid}/fd/{fd}")[8:-1]
    with open(f"/proc/{pid}/net/unix", encoding="utf-8") as f:
        return any(line.split()[6] == inode and len(line.split()) > 7 and "dbus" in line.split()[7] for line in f.readlines()[1:])


def main():
    for what, there in (("root", os.geteuid() == 0), ("systemd", SYSTEMD), ("dbus-daemon", shutil.which("dbus-daemon")),
                        ("cgroup v2", cgroup_root() and os.access(cgroup_root(), os.W_OK))):
        if not there:
            print(f"{what} is missing")
            return 77
    host = Host()
    try:
        host.start()
        try:
            wait("systemd answers", lambda: host.first() and "good.service" in host.run("systemctl", "list-units", "--no-pager").stdout, 60)
        except AssertionError:
            print(open(os.path.join(host.folder, "log"), encoding="utf-8").read()[-2000:] + "systemd does not run in namespaces here")
            return 77
        host.run("systemctl", "start", "dbus.service")
        wait("it is on the bus", lambda: probe(host)[0] == 1, 60)
        test_once(host)
        test_in_agent(host)
    except AssertionError as e:
        print(f"FAIL {e}")
        return 1
    finally:
        host.clear()
    return 0


if __name__ == "__main__":
    sys.exit(main())
