#!/usr/bin/env python3
"""The monitoring itself: what goes wrong with it becomes an incident that people are told of, and ends when it is mended.

A collector whose disk is nearly full, whose certificate ends in days, and whose agents' clocks are an hour ahead. With FULL=1
also an agent that falls silent, a receiver that is away, the certificate of an agent, and the disk while the collector runs: it
looks once a minute. That a view is left behind takes 15 minutes and is in tests/unit/collector/test_ingest_self.c."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import certs
from collector_bed import COLLECTOR, FULL, ROOT, Bed, Disk, check, failures, figure, free_ports, may_mount, pushed, wait_for
from hook import Hook

AGENT = os.path.join(ROOT, "build/release/xunjian-agent")
told, started = [], []


class Told(Hook):
    def take(self, post):
        if post.path == "/":
            told.extend((a["status"], a["labels"].get("subject", "")) for a in json.loads(post.body)["alerts"])
        return super().take(post)


def certify(bed, days, name="collector"):
    """A certificate anew, a year old, for so many days more."""
    authority, made = certs.Authority.of(bed.pki, bed.folder), os.path.join(bed.folder, name + ".pem")
    more = ",IP:127.0.0.1,IP:::1" if name == "collector" else ""
    authority.sign(made, os.path.join(bed.pki, name + ".key"), name, (-365, days),
                   f"extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:{name}{more}\n")
    os.replace(made, os.path.join(bed.pki, name + ".pem"))


def set_up(disk, hook, away):
    bed = Bed(agents=3, checks=1, state=os.path.join(disk.at, "state"))
    bed.agents = 2  # that are virtual; the third is a real one
    with open(bed.conf, "a", encoding="utf-8") as f:
        f.write('notice = "notice.conf";\n')
    with open(os.path.join(bed.folder, "notice.conf"), "w", encoding="utf-8") as f:
        f.write(f'''channels = ( {{ id = "hook"; kind = "alertmanager"; url = "http://127.0.0.1:{hook}/"; per_minute = 600; }},
  {{ id = "away"; kind = "alertmanager"; url = "http://127.0.0.1:{away}/away"; per_minute = 600; }} );
routes = ( {{ audience = "operations"; channels = ( "hook"{', "away"' if FULL else ''} ); }} );
''')
    return bed


def start_agent(bed):
    """A real one, once the collector has heard of it."""
    with open(os.path.join(bed.folder, "agent.conf"), "w", encoding="utf-8") as f:
        f.write(f'''id = "agent-2"; state = "agent";
collector = {{ url = "{bed.url()}"; ca = "pki/ca.pem"; certificate = "pki/agent-2.pem"; key = "pki/agent-2.key"; }};
''')
    agent = subprocess.Popen([AGENT, "run", "-c", os.path.join(bed.folder, "agent.conf")], start_new_session=True,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started.append(agent)
    check(wait_for(lambda: is_heard(bed, "agent-2")), "the agent is heard")
    return agent


def is_heard(bed, agent):
    with urllib.request.urlopen(f"http://127.0.0.1:{bed.web}/api/v1/overview", timeout=5) as answer:
        return [a["state"] for a in json.load(answer)["agents"] if a["id"] == agent] == ["heard"]


def end(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def is_told(subjects, status, seconds=60):
    missing = [s for s in subjects if not wait_for(lambda: told.count((status, s)) > 0, seconds)]
    check(not missing, f"{status} and told: {', '.join(missing)} is missing of {told}")
    twice = [s for s in subjects if told.count((status, s)) > 1]
    check(not twice, f"{status} and told once: {', '.join(twice)}")


def mended_at_once(bed, disk, _away):
    """A collector that starts looks at itself at once."""
    bed.push("rate=4", "seconds=1", "real=3600").wait()
    is_told(["monitoring/disk", "monitoring/certificate", "monitoring/clock-agent-0", "monitoring/clock-agent-1"], "firing")
    check(not [t for t in told if t[0] == "resolved"], f"nothing ends before it is mended: {told}")
    bed.kill()
    disk.free()
    certify(bed, 300)
    bed.start(program=COLLECTOR)
    is_told(["monitoring/disk", "monitoring/certificate"], "resolved")
    check(("resolved", "monitoring/clock-agent-0") not in told, "clocks that are wrong still are")
    check(pushed(bed.push("rate=4", "seconds=1"))["status"] == 0, "the agents push")
    is_told(["monitoring/clock-agent-0", "monitoring/clock-agent-1"], "resolved")


def mended_while_it_runs(bed, disk, away):
    disk.fill(5 << 20)
    certify(bed, 3, "agent-1")
    check(pushed(bed.push("rate=2", "seconds=1"))["status"] == 0, "the agents show their certificates")
    agent = start_agent(bed)
    # Of the receiver that is away it is known when three tries in a row have failed.
    is_told(["monitoring/disk", "monitoring/certificate", "monitoring/notice"], "firing", 300)
    end(agent)
    is_told(["agent/agent-2"], "firing", 300)
    check(not [t for t in told if t[0] == "resolved" and not t[1].startswith("site/")], f"nothing ends before it is mended: {told}")
    Told(port=away)
    disk.free()
    certify(bed, 300, "agent-1")
    check(pushed(bed.push("rate=2", "seconds=1"))["status"] == 0, "the agents show their certificates")
    agent = start_agent(bed)
    is_told(["agent/agent-2", "monitoring/disk", "monitoring/certificate", "monitoring/notice"], "resolved", 400)


def see(what, is_bad_before):
    """Each with a collector of its own: the end of what fails twice within an hour is told when it has been quiet."""
    hook, away = free_ports(2)
    disk = Disk(128, "tmpfs")
    Told(port=hook)
    bed = set_up(disk, hook, away)
    told.clear()
    try:
        if is_bad_before:
            certify(bed, 3)
            disk.fill(5 << 20)
        bed.start(program=COLLECTOR)
        what(bed, disk, away)
        figure(f"{what.__name__}: {len(set(s for _, s in told))} matters of the monitoring itself told and ended")
    finally:
        if failures:
            print(bed.log()[-3000:])
        for agent in started:
            if agent.poll() is None:
                end(agent)
        bed.kill()
        bed.remove()
        disk.remove()


def main():
    if not may_mount():
        print("no file systems can be mounted here")
        return 77
    see(mended_at_once, True)
    if FULL:
        see(mended_while_it_runs, False)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
