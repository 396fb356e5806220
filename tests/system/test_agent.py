#!/usr/bin/env python3
"""The agent as its users meet it: one-shot probes over both families, settings with mistakes, reload, end, rights, its own
figures, life without a collector, and a disk that its own backlog has filled."""

import json
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from checks import check, failures  # noqa: E402
from collector_bed import Disk, may_mount  # noqa: E402
from pair import AGENT, Pair, free_port, wait  # noqa: E402
from processes import child, status_of  # noqa: E402



def probe(*argv):
    return subprocess.run([AGENT, "probe", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_one_shot(pair):
    p = probe("tcp", "host=localhost", f"port={pair.echo.port}", "expect=hello", "--json")
    results = json.loads(p.stdout)
    check("localhost is measured over both families", [(r["family"], r["address"]) for r in results]
          == [(4, "127.0.0.1"), (6, "::1")], results)
    check("all up is 0", p.returncode == 0 and all(r["outcome"] == "up" and r["values"] for r in results), p.stdout)
    check("each result says its type and reason", all(r["type"] == "tcp" and r["reason"] == "" for r in results), results)
    p = probe("tcp", "host=127.0.0.1", f"port={free_port()}", "--json")
    check("any down is 1", p.returncode == 1 and json.loads(p.stdout)[0]["outcome"] == "down", p.stdout)
    p = probe("tcp", "host=localhost", "port=1", "families=ipv6", "--json")
    check("a family alone", [r["family"] for r in json.loads(p.stdout)] == [6], p.stdout)
    for argv, words in ((["tcp", "host=localhost", "port=1", "prot=1"], "prot"), (["tcp", "host=localhost"], "port"),
                        (["nosuch", "host=x"], "nosuch"), (["tcp", "host=localhost", "port=70000"], "65535"), (["tcp", "hello"], "hello")):
        p = probe(*argv)
        check(f"usage: {argv}", p.returncode == 2 and words in p.stderr, (p.returncode, p.stderr))
    p = probe("icmp", "--help")
    check("the options of a type come from its schema", p.returncode == 0 and "spacing" in p.stdout, p.stdout)
    p = probe("icmp", "host=localhost", "count=2", "--json")
    if os.geteuid() == 0:
        check("icmp over both families", p.returncode == 0 and [r["values"]["sent"]["value"] for r in json.loads(p.stdout)] == [2, 2],
              p.stdout)


def test_settings(pair):
    pair.write("bad.conf", 'id = "agent-1";\nstate = "s";\nconcurency = 3;\n')
    p = subprocess.run([AGENT, "check-config", "-c", pair.path("bad.conf")], stderr=subprocess.PIPE, text=True)
    check("a mistake is told with its line", p.returncode == 3 and "bad.conf:3:" in p.stderr and "concurrency" in p.stderr, p.stderr)
    pair.write("bad.conf", 'id = "agent-1";\nstate = "s";\nresolver = "192.0.2.1:53a";\n')
    p = subprocess.run([AGENT, "check-config", "-c", pair.path("bad.conf")], stderr=subprocess.PIPE, text=True)
    check("so are name servers that are none", p.returncode == 3 and "192.0.2.1:53a" in p.stderr, p.stderr)
    p = subprocess.run([AGENT, "check-config", "-c", pair.path("agent.conf")], stdout=subprocess.PIPE)
    check("good settings are good", p.returncode == 0)


def test_life(pair):
    """Without any collector: it measures, keeps, reloads, ends."""
    pair.write_agent("agent", f'''checks = ( {{ id = "own-1"; type = "tcp"; interval = "1s"; timeout = "900ms"; host = "localhost"; port = {pair.echo.port}; }} );''')
    pair.start("agent")
    results = lambda: pair.metric("xunjian_agent_results_total", pair.metrics)  # noqa: E731
    wait("it measures without a collector", lambda: results() >= 4)
    status = status_of(pair.processes["agent"].pid)
    check("the engine has no capabilities", int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0, status)
    check("and can gain none", status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status)
    if shutil.which("promtool"):
        p = subprocess.run(["promtool", "check", "metrics"], input=pair.ask("/metrics", pair.metrics), text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check("promtool takes its figures", p.returncode == 0, p.stdout)
    check("it is healthy and ready", pair.ask("/-/healthy", pair.metrics) and pair.ask("/-/ready", pair.metrics))
    with open(pair.path("agent.conf"), encoding="utf-8") as f:
        good = f.read()
    pair.write("agent.conf", good + "nonsense = 1;\n")
    pair.processes["agent"].send_signal(signal.SIGHUP)
    wait("a bad reload is told with its line", lambda: "agent.conf:" in pair.log("agent") and "nonsense" in pair.log("agent"))
    before = results()
    wait("and the old settings stay", lambda: results() > before)
    pair.write("agent.conf", good.replace('id = "own-1"', 'id = "own-2"'))
    pair.processes["agent"].send_signal(signal.SIGHUP)
    wait("a good reload changes what changed", lambda: "added=1 removed=1" in pair.log("agent"))
    test_what_stays(pair, good)
    test_killed_helper(pair)
    status, seconds = pair.stop("agent")
    check("SIGTERM ends it well within 5 s", status == 0 and seconds < 5, (status, seconds))
    print(f"  figure: the agent ended {seconds:.2f} s after SIGTERM")


def test_what_stays(pair, good):
    """A listener waits for the next start; until then each reload says so, and none does once it is taken back."""
    def reload(settings, told):
        done = pair.log("agent").count("reloaded")
        pair.write("agent.conf", settings)
        pair.processes["agent"].send_signal(signal.SIGHUP)
        wait("it reloads", lambda: pair.log("agent").count("reloaded") > done)
        log = pair.log("agent")
        check(f"what stays is told {told} times", log.count("traps is changed at the next start") == told, log[-1500:])

    other = good + 'traps = { listen = "127.0.0.1:16299"; };\n'
    for settings, told in ((other, 1), (other, 2), (good, 2)):
        reload(settings, told)


def test_killed_helper(pair):
    """The only one with rights is started again, and what needs it then is measured."""
    if os.geteuid() != 0:
        print("SKIP a killed helper: raw sockets need root")
        return
    os.kill(child(child(pair.processes["agent"].pid, "xj-help-keeper"), "xj-helper"), signal.SIGKILL)
    wait("its end is told", lambda: "the helper process is gone" in pair.log("agent"))
    wait("and that another one is there", lambda: "the helper process is there again" in pair.log("agent"))
    check("which the figures say", pair.metric("xunjian_agent_helper_up", pair.metrics) == 1)
    pair.write_agent("agent", '''checks = ( { id = "echo"; type = "icmp"; interval = "1s"; timeout = "900ms"; count = 1; host = "localhost"; } );''')
    pair.processes["agent"].send_signal(signal.SIGHUP)
    wait("the only check is of echoes", lambda: "checks=1 added=1 removed=1" in pair.log("agent").rsplit("is there again", 1)[1])
    up = pair.metric("xunjian_agent_results_total", pair.metrics)  # the first of them: those that are up
    # Two may be of the check before, two families make the rest.
    wait("echoes are measured", lambda: pair.metric("xunjian_agent_results_total", pair.metrics) >= up + 4)


def test_full_disk():
    """The backlog fills the disk; once the collector has it, its room is given back and results are written again."""
    disk, pair = Disk(4, "tmpfs"), Pair(300)
    try:
        pair.write_agent(os.path.join(disk.at, "agent"), 'journal = { segment_bytes = "64KiB"; };')
        pair.start("collector")
        wait("the collector serves", lambda: pair.ask("/-/ready"))
        pair.start("agent")
        wait("results come", lambda: pair.metric("xunjian_ingest_results_total") > 10)
        pair.kill("collector")
        disk.fill(300 << 10)
        wait("the disk is full", lambda: "the journal cannot be written" in pair.log("agent"), 60)
        pair.start("collector")
        wait("what the collector has is trimmed, and the journal is written again",
             lambda: "the journal is written again lost=0" in pair.log("agent"), 60)
    except AssertionError as e:
        check(str(e), False, pair.log("agent")[-2000:])
    finally:
        pair.clear()
        disk.remove()


def main():
    mounts = may_mount()
    pair = Pair()
    try:
        test_one_shot(pair)
        test_settings(pair)
        test_life(pair)
    except AssertionError as e:
        check(str(e), False, pair.log("agent")[-2000:])
    finally:
        pair.clear()
    if mounts:
        test_full_disk()
    else:
        print("SKIP a full disk: mounts are not allowed here")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
