#!/usr/bin/env python3
"""The exec probe with Debian's monitoring-plugins and with hostile ones: from the shell, and in a running agent through the
collector to the page. What a plugin started is looked for by its user, whom nobody else is."""

import concurrent.futures
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faults  # noqa: E402
import once  # noqa: E402
from checks import check, failures  # noqa: E402
from once import value  # noqa: E402
from pair import AGENT, FULL, Pair, wait  # noqa: E402
from processes import below, status_of  # noqa: E402

PLUGINS = "/usr/lib/nagios/plugins"
RAW = ("check_icmp", "check_ping")
USER = 61239
HOSTILE = {  # name: (program, outcome's words)
    "bomb": ("#!/usr/bin/python3\nimport os\nwhile True:\n  try:\n    os.fork()\n  except OSError:\n    pass\n", "did not end within"),
    "detached": ("#!/usr/bin/python3\nimport os, time\nwhile True:\n  if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
                 "      time.sleep(1000)\n    os._exit(0)\n  time.sleep(0.01)\n", "did not end within"),
    "endless": ("#!/bin/sh\nexec yes 'OK - all is well | a=1'\n", "wrote without end"),
    "dripping": ("#!/bin/sh\nwhile :; do echo drip; sleep 0.01; done\n", "did not end within"),
    "stubborn": ("#!/bin/sh\ntrap '' TERM INT HUP QUIT ALRM\nwhile :; do sleep 1000; done\n", "did not end within"),
    "closed": ("#!/bin/sh\nexec </dev/null >/dev/null 2>&1\nwhile :; do sleep 1000; done\n", "did not end within"),
    "busy": ("#!/bin/sh\nwhile :; do :; done\n", "did not end within"),
    "hungry": ("#!/usr/bin/python3\nimport mmap, sys\nx = []\ntry:\n  while True:\n    x.append(mmap.mmap(-1, 1 << 30))\n"
               "except OSError:\n  print('stopped at', len(x), 'GiB')\n  sys.exit(3)\n", "stopped at 3 GiB"),
    "left": ("#!/bin/sh\n(setsid sleep 1000 &)\nsetsid sleep 1000 &\necho OK\n", None),
}
ENDS = ("hungry", "endless", "left")  # before their time is over
SET = sorted(n for n in os.listdir(PLUGINS) if n.startswith("check_")) if os.path.isdir(PLUGINS) else []


def of_user():
    """Processes of the plugins' user that are not dead."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == USER:
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                    name, state = f.read().rsplit(") ", 1)
                if state[0] not in "ZX":
                    found.append(name)
        except OSError:
            continue
    return found


def write_table(folder):
    """agent.conf and plugins.conf, with the scripts that it names."""
    os.chmod(folder, 0o755)
    table = [(n, f"{PLUGINS}/{n}", "") for n in SET]
    for name, (text, _) in HOSTILE.items():
        path = f"{folder}/{name}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o755)
        table.append((name, path, ""))
    table.append(("fixed", "/bin/echo", 'argv = [ "FIXED" ]; takes_args = false;'))
    table.append(("echo", "/bin/echo", ""))
    with open(f"{folder}/rights", "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\ngrep -E '^(CapPrm|NoNewPrivs):' /proc/self/status | tr -d '\\t\\n'\nexit 3\n")
    os.chmod(f"{folder}/rights", 0o755)
    table += [("rights", f"{folder}/rights", ""), ("rights-raw", f"{folder}/rights", "raw_sockets = true;")]
    table += [(f"{n}-raw", f"{PLUGINS}/{n}", "raw_sockets = true;") for n in RAW]
    with open(f"{folder}/plugins.conf", "w", encoding="utf-8") as f:
        f.write("plugins = (\n" + ",\n".join(f'{{ name = "{n}"; path = "{p}"; {more} }}' for n, p, more in table) + "\n);\n")
    with open(f"{folder}/agent.conf", "w", encoding="utf-8") as f:
        f.write(f'id = "agent-1"; plugins = "plugins.conf"; plugin_user = "{USER}";\n')


def probe(folder, plugin, *args, options=(), timeout="10s", wrap=()):
    return once.probe("exec", "-c", f"{folder}/agent.conf", f"timeout={timeout}", f"plugin={plugin}", *options, *(f"args={a}" for a in args),
                      wrap=wrap)


def expect(what, results, outcome, words="", parts=(), state=None):
    r = results[0]
    faults.record("exec", what, [r])
    check(what, r["outcome"] == outcome and words in r["reason"] and (state is None or value(r, "state") == state), r)
    labels = [p["part"] for p in results[1:]]
    check(f"{what}: parts", all(p in labels for p in parts), labels)


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if self.path == "/bad" else 200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


class Server6(Server):
    address_family = socket.AF_INET6


def serve():
    first = Server(("127.0.0.1", 0), Page)
    second = Server6(("::1", first.server_port), Page)
    for s in (first, second):
        threading.Thread(target=s.serve_forever, daemon=True).start()
    return first.server_port


def test_real(folder):
    for status, (outcome, state) in enumerate((("up", 0), ("up", 1), ("down", 2), ("unknown", 3))):
        expect(f"check_dummy {status}", probe(folder, "check_dummy", status, "why not"), outcome, "" if outcome == "up" else "why not",
               state=state)
    port = serve()
    for plugin, args, bad in (("check_tcp", ["-H", "{address}", "-p", port], None),
                              ("check_http", ["-I", "{address}", "-p", port, "-u", "/"], "/bad")):
        got = probe(folder, plugin, *args, options=["host=localhost"])
        mine = [r for r in got if not r["part"] or r["part"] == r["address"]]
        check(f"{plugin}: both families", [(r["family"], r["address"], r["outcome"]) for r in mine]
              == [(4, "127.0.0.1", "up"), (6, "::1", "up")], got)
        times = [r for r in got if r["part"].endswith("time [s]")]
        check(f"{plugin}: the time of each", len(times) == 2 and all(0 < value(r, "value") < 5 for r in times), got)
        if bad:
            got = probe(folder, plugin, *[bad if a == "/" else a for a in args], options=["host=localhost"])
            mine = [r for r in got if not r["part"] or r["part"] == r["address"]]
            check(f"{plugin}: 500 is down in both", [r["outcome"] for r in mine] == ["down", "down"]
                  and all("HTTP CRITICAL: HTTP/1.0 500" in r["reason"] for r in mine), got)
    got = probe(folder, "check_disk", "-w", "1%", "-c", "0%", "-p", "/")
    fs = os.statvfs("/")
    expect("check_disk", got, "up", parts=["/"])
    check("check_disk: size in bytes", abs(value(got[1], "bytes_max") - fs.f_blocks * fs.f_frsize) < fs.f_blocks * fs.f_frsize * 0.1, got)
    got = probe(folder, "check_load", "-w", "0,0,0", "-c", "900,900,900")
    expect("check_load", got, "up", parts=["load1", "load5", "load15"])
    check("check_load: thresholds", value(got[1], "crit") == 900, got)
    expect("check_procs", probe(folder, "check_procs", "-w", "1:", "-c", "1:"), "up", parts=["procs"])
    expect("check_users", probe(folder, "check_users", "-w", "900", "-c", "999"), "up", parts=["users"])
    expect("check_file_age", probe(folder, "check_file_age", "-f", "/etc/passwd", "-w", 10**9, "-c", 10**9), "up")
    got = probe(folder, "check_cluster", "-s", "-d", "0,2,0", "-c", "@1:")
    expect("check_cluster", got, "down", "CLUSTER CRITICAL")
    expect("check_ssh: nobody there", probe(folder, "check_ssh", "-p", 1, "127.0.0.1"), "down", "refused")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        expect("a timeout of the plugin's own", probe(folder, "check_tcp", "-t", 1, "-H", "127.0.0.1", "-e", "hello", "-p",
                                                      silent.getsockname()[1]), "down", "Socket timeout after 1 seconds")


def test_whole_set(folder):
    """Each plugin of Debian's set starts, with the rights it has here, and ends as it does from a shell of that user."""
    def differs(plugin):
        p = subprocess.run([*AS_USER, f"{PLUGINS}/{plugin}", "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, check=False)
        r = probe(folder, plugin, "--version", timeout="60s")[0]
        good = value(r, "state") == p.returncode if p.returncode in range(4) else r["outcome"] == "unknown"
        return None if good else (plugin, p.returncode, p.stdout[:200], r)
    names = SET if FULL else sorted({*SET[::4], "check_icmp", "check_dhcp", "check_file_age"} & set(SET))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        wrong = [w for w in pool.map(differs, names) if w]
    check("each plugin of the set starts and ends as from a shell", len(SET) > 40 and not wrong, wrong)
    print(f"  figure: exec: {len(names)} of {len(SET)} plugins of Debian's set, {len(names) - len(wrong)} as from a shell")


def test_raw(folder):
    """Sockets of ICMP for plugins that the table gives them, and nothing else."""
    with open("/proc/self/status", encoding="ascii") as f:
        has = next(line.split()[-1] for line in f if line.startswith("CapBnd"))
    for plugin, rights in (("rights", 0), ("rights-raw", int(has, 16) & 0x2400)):
        expect(plugin, probe(folder, plugin), "unknown", f"CapPrm:{rights:016x}NoNewPrivs:1")
    if subprocess.run([f"{PLUGINS}/check_icmp", "-H", "127.0.0.1", "-n", "1"], stdout=subprocess.DEVNULL, check=False).returncode != 0:
        print("  ICMP is left out: root has no raw sockets here")
        return
    for address in ("127.0.0.1", "::1"):
        expect(f"check_ping {address}", probe(folder, "check_ping-raw", "-H", address, "-w", "900,90%", "-c", "999,99%", "-p", "1"), "up",
               parts=["rta [s]", "pl [%]"])
    expect("check_icmp", probe(folder, "check_icmp-raw", "-H", "127.0.0.1", "-n", "1"), "up", parts=["rta [s]"])
    expect("check_icmp without", probe(folder, "check_icmp", "-H", "127.0.0.1", "-n", "1"), "unknown", "ermi")


def test_refused(folder):
    expect("not in the table", probe(folder, "check_nothing"), "unknown", "plugin check_nothing is not allowed on this host")
    expect("no arguments allowed", probe(folder, "fixed", "x"), "unknown", "takes no arguments of a check here")
    expect("fixed arguments", probe(folder, "fixed"), "up")
    marker = f"{folder}/marker"
    probe(folder, "echo", f"$(touch {marker})", f"; touch {marker}", f"`touch {marker}`", f"| touch {marker}")
    check("no shell looks at arguments", not os.path.exists(marker))
    p = subprocess.run([AGENT, "probe", "exec", "-c", f"{folder}/agent.conf", "plugin=../../../bin/sh"], stderr=subprocess.PIPE, text=True)
    check("a path is no name", p.returncode == 2 and "is not the name of a plugin" in p.stderr, p)
    os.chmod(f"{folder}/plugins.conf", 0o666)
    p = subprocess.run([AGENT, "probe", "exec", "-c", f"{folder}/agent.conf", "plugin=fixed"], stderr=subprocess.PIPE, text=True)
    check("a table that others can write", p.returncode == 3 and "can be changed by others" in p.stderr, p)
    os.chmod(f"{folder}/plugins.conf", 0o644)
    expect("as an ordinary user, by his own rights", probe(folder, "echo", "OK", wrap=AS_USER), "up")


AS_USER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")


def test_hostile(folder, wrap=(), who="of root"):
    """With a process namespace for each; wrapped, as an ordinary user who has none."""
    worst = 0
    names = [n for n in HOSTILE if FULL or not wrap or n in ("bomb", "detached", "stubborn", "left")]
    for name in names:
        words = HOSTILE[name][1]
        began, limit = time.monotonic(), 3 if name in ENDS else 0.4
        to = {} if wrap else {"options": ("host=localhost", "args={address}")}
        got = probe(folder, name, **to, timeout=f"{limit * 1000:.0f}ms", wrap=wrap)
        while of_user() and time.monotonic() - began < 8:
            time.sleep(0.01)
        late = time.monotonic() - began - limit
        worst = max(worst, late)
        check(f"{who}, {name}: nothing is left 2 s after the deadline", late < 2 and not of_user(), (late, of_user()))
        if not wrap:
            faults.record("exec", name, got)
        check(f"{who}, {name}: what is told, in each family", [r["family"] for r in got] == ([0] if wrap else [4, 6]) and all(
            r["outcome"] == "up" if words is None else r["outcome"] == "unknown" and words in r["reason"] for r in got), got)
    print(f"  figure: exec: {len(names)} hostile plugins {who} one after the other, the last process gone at most {worst:.2f} s after the deadline "
          "(with the start of the agent)")


def test_in_agent():
    pair = Pair(checks=1)
    try:
        write_table(pair.folder)
        pair.write_agent("agent", f'plugins = "plugins.conf"; plugin_user = "{USER}";\n')
        subject = 'type = "exec"; subject = "system/portal"; vantages = [ "agent-1" ]; interval = "1s"; timeout = "900ms";'
        more = [f'{{ id = "load"; {subject} plugin = "check_load"; args = [ "-w", "900", "-c", "900" ]; }}',
                f'{{ id = "tcp"; {subject} plugin = "check_tcp"; host = "localhost"; args = [ "-H", "{{address}}", "-p", "{pair.echo.port}" ]; }}',
                f'{{ id = "dummy"; {subject} plugin = "check_dummy"; args = [ "2", "broken" ]; }}']
        more += [f'{{ id = "h-{n}"; {subject} plugin = "{n}"; }}' for n in HOSTILE]
        with open(pair.path("inventory.d", "all.conf"), encoding="utf-8") as f:
            text = f.read().rstrip().removesuffix(");").rstrip()
        pair.write("inventory.d/all.conf", text + ",\n" + ",\n".join(more) + "\n);\n")
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        pair.start("agent")

        def seen():
            rows = json.loads(pair.ask("/api/v1/systems/portal"))
            seen.last = rows
            of = {c["id"]: c["rows"] for c in rows["list"]}
            told = {n: {r["outcome"] for r in of.get(n, [])} for n in ("load", "tcp", "dummy", "h-bomb", "h-endless", "h-closed")}
            families = {r["family"] for r in of.get("tcp", []) if r["outcome"] == "up"}
            parts = {r["part_name"] for r in of.get("load", [])}
            return (told["load"] == {"up"} and families == {4, 6} and "down" in told["dummy"] and {"load1", "load15"} <= parts
                    and all(told[n] == {"unknown"} for n in ("h-bomb", "h-endless", "h-closed")))

        wait("all is on the page as it is", seen)
        agent = pair.processes["agent"].pid
        names = {s["Name"]: s for s in map(status_of, below(agent)) if s}
        check("the keeper has the same", names["xj-keeper"]["CapEff"] == names["xj-spawner"]["CapEff"], names)
        check("the spawner keeps six capabilities", int(names["xj-spawner"]["CapEff"], 16) == sum(1 << c for c in (5, 6, 7, 10, 13, 21)), names)
        check("the helper has not more than before", int(names["xj-helper"]["CapEff"], 16) == 1 << 13, names)
        os.kill(int(names["xj-spawner"]["Pid"]), signal.SIGKILL)
        wait("a spawner is there again", lambda: "is there again" in pair.log("agent"))
        back = time.time()
        wait("its plugins run", lambda: any(r["outcome"] == "up" and r["measured"] > back for c in json.loads(
            pair.ask("/api/v1/systems/portal"))["list"] if c["id"] == "load" for r in c["rows"]))
        if FULL:
            time.sleep(60)
            check("many hostile runs leave few processes", len(of_user()) <= 300, len(of_user()))
            check("and all is as it was", seen(), getattr(seen, "last", None))
        status, seconds = pair.stop("agent")
        began = time.monotonic()
        while of_user() and time.monotonic() - began < 60:
            time.sleep(0.01)
        check("the agent ends well", status == 0, status)
        check("and with it all plugins", not of_user(), of_user())
        print(f"  figure: exec: an agent with {len(more)} checks, {len(HOSTILE)} of them hostile, ends in {seconds:.2f} s, its plugins "
              f"{time.monotonic() - began:.2f} s after")
        check("nothing is an error", " error " not in pair.log("agent"), pair.log("agent"))
    except AssertionError:
        print(json.dumps(getattr(seen, "last", None))[:6000], pair.log("agent")[-2000:], pair.log("collector")[-2000:], sep="\n---\n")
        raise
    finally:
        pair.clear()


def main():
    if os.geteuid() != 0:
        print("plugins become another user: needs root")
        return 77
    if not os.path.exists(f"{PLUGINS}/check_dummy"):
        print("not installed: monitoring-plugins-basic")
        return 77
    folder = tempfile.mkdtemp(prefix="xunjian-exec-")
    try:
        write_table(folder)
        for test in (test_real, test_whole_set, test_raw, test_refused, test_hostile):
            began = time.monotonic()
            test(folder)
            print(f"  {test.__name__}: {time.monotonic() - began:.1f} s", flush=True)
        began = time.monotonic()
        test_hostile(folder, AS_USER, "of a user")
        print(f"  test_hostile of a user: {time.monotonic() - began:.1f} s", flush=True)
        began = time.monotonic()
        test_in_agent()
        print(f"  test_in_agent: {time.monotonic() - began:.1f} s", flush=True)
    except AssertionError as e:
        failures.append(str(e))
        print(f"FAIL {e}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
